//! Whatever shortens the way of ordinary packets decides nothing otherwise than the tables of layers.
//!
//! Link type 192 (per-packet information) puts eight bytes before a frame of any other link type
//! and has no short way: the same packets are read as they are, and inside of it, and every flow
//! record has to be the same. `src/capture/link.rs` holds that the type keeps to the tables.

#![expect(clippy::disallowed_methods, reason = "tests read fixtures and reference data")]

mod common;
#[path = "common/files.rs"]
#[allow(dead_code, reason = "this test writes pcapng alone")]
mod files;
#[path = "common/random.rs"]
#[allow(dead_code, reason = "each test takes the kinds of numbers that it needs")]
mod random;

use files::{Timed, pcapng};
use random::Random;
use std::io::Read;
use std::path::{Path, PathBuf};
use watertight::capture::{self, FlowLimits};

const ETHERNET: u32 = 1;
const COOKED: u32 = 113;
const RAW: u32 = 101;
const COOKED_2: u32 = 276;
const PER_PACKET: u32 = 192;

/// Everything that is told of a capture, in an order of its own.
fn told(link: u32, interface: &str, packets: &[Timed]) -> Vec<String> {
    let mut told = Vec::new();
    let file = pcapng(link, interface, packets);
    let summary = capture::read_capture(&mut file.as_slice(), FlowLimits::default(), &mut |flow| {
        told.push(format!("{flow:?}"));
    })
    .expect("a capture");
    told.sort();
    // The number of what is not read is that of the wrapping in one of them.
    let oddities =
        format!("{:?}", summary.oddities).replace(&format!("link type {link},"), "this link type,");
    told.push(format!("{} packets, {} copies, {oddities}", summary.packets, summary.copies));
    told
}

/// The same packets inside of the link type that has no short way.
fn wrapped(link: u32, packets: &[Timed]) -> Vec<Timed> {
    let head = [&[0, 0, 8, 0][..], &link.to_le_bytes()].concat();
    packets.iter().map(|(time, bytes)| (*time, [head.as_slice(), bytes].concat())).collect()
}

/// Fails with the first packet that is told differently, or with the records of all together.
fn hold_together(name: &str, link: u32, interface: &str, packets: &[Timed]) -> usize {
    let both = |packets: &[Timed]| {
        (told(link, interface, packets), told(PER_PACKET, interface, &wrapped(link, packets)))
    };
    let (short, long) = both(packets);
    if short != long {
        for packet in packets {
            let (short, long) = both(std::slice::from_ref(packet));
            assert_eq!(short, long, "{name}: {:02x?}", packet.1);
        }
        assert_eq!(short, long, "{name}: together, though each alone is told alike");
    }
    short.len() - 1
}

/// The packets of a capture as libpcap reads them, which stops at what it does not like.
fn packets(path: &Path, scratch: &Path) -> Option<(u32, Vec<Timed>)> {
    let mut plain = path.to_owned();
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).expect("a file");
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).ok()?;
        plain = scratch.join("unpacked");
        std::fs::write(&plain, bytes).expect("written");
    }
    let mut file = pcap::Capture::from_file(&plain).ok()?;
    let link = file.get_datalink().0 as u32;
    let mut all = Vec::new();
    while let Ok(packet) = file.next_packet() {
        let time = packet.header.ts;
        all.push((
            (time.tv_sec as u64).wrapping_mul(1_000_000).wrapping_add(time.tv_usec as u64),
            packet.data.to_vec(),
        ));
    }
    Some((link, all))
}

/// Captures of the fixtures, and of the reference data where it is there.
fn captures() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let roots = [Some(fixtures), common::shared("data/captures")];
    let entries = roots.iter().flatten().flat_map(|root| walkdir::WalkDir::new(root).sort_by_file_name());
    let files = entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    files.map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn packets_of_every_capture_are_told_as_the_tables_tell_them() {
    let scratch = tempfile::tempdir().expect("a folder");
    let (mut files, mut flows, mut count) = (0, 0, 0);
    for path in captures() {
        let Some((link, packets)) = packets(&path, scratch.path()).filter(|(link, _)| *link != PER_PACKET)
        else {
            continue;
        };
        let found = hold_together(&path.display().to_string(), link, "eth0", &packets);
        (files, flows, count) = (files + 1, flows + found, count + packets.len());
    }
    println!("{files} captures, {count} packets, {flows} flows, told alike");
    assert!(files >= 3 && flows > 0);
}

/// Frames of Ethernet from the captures, at most some of each.
fn frames() -> Vec<Vec<u8>> {
    let scratch = tempfile::tempdir().expect("a folder");
    let all = captures().into_iter().filter_map(|path| packets(&path, scratch.path()));
    let ethernet = all.filter(|(link, _)| *link == ETHERNET);
    ethernet.flat_map(|(_, packets)| packets.into_iter().map(|(_, bytes)| bytes).take(25)).collect()
}

/// The frame of a pod inside VXLAN, Geneve, or what only looks like it, between two nodes.
fn carried(frame: &[u8], random: &mut Random) -> Vec<u8> {
    let tunnel: &[u8] = random.one_of(&[
        &[8, 0, 0, 0, 0, 16, 0, 0],
        &[0x88, 1, 2, 3, 0, 16, 0, 0],
        &[8, 0, 0, 0, 0, 16, 0, 7],
        &[0, 0, 0x65, 0x58, 0, 0, 9, 0],
        &[0x0c, 0, 0, 3, 0, 0, 1, 0],
    ]);
    let payload = [tunnel, frame].concat();
    let port: u16 = random.one_of(&[4_789, 8_472, 6_081, 4_790, 12_345]);
    let udp = [&[0x9c, 0x40][..], &port.to_be_bytes(), &(payload.len() as u16 + 8).to_be_bytes(), &[0, 0]];
    let body = [udp.concat(), payload].concat();
    let mut ip = vec![0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    ip[2..4].copy_from_slice(&(body.len() as u16 + 20).to_be_bytes());
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0][..], &ip, &body].concat()
}

/// Changes where headers are, and cuts and lengthens.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    // Places at which one bit decides: lengths, fragments, protocols, offsets, ports.
    const DECISIVE: [usize; 18] = [12, 13, 14, 16, 17, 18, 19, 20, 21, 23, 34, 36, 37, 38, 39, 46, 47, 54];
    for _ in 0..1 + random.below(3) {
        if bytes.is_empty() {
            return;
        }
        let inside = if random.below(3) == 0 { 50 } else { 0 };
        let at = random.one_of(&DECISIVE) + inside;
        let any = random.below(bytes.len());
        match random.below(8) {
            0 => bytes[any] = random.below(256) as u8,
            1 => bytes.truncate(any.max(random.below(70))),
            2 => bytes.extend([0; 9]),
            3 => drop(bytes.drain(any..(any + random.below(9)).min(bytes.len()))),
            4..8 if at < bytes.len() => {
                bytes[at] = random.one_of(&[0, 1, 4, 6, 8, 17, 20, 0x20, 0x40, 0x45, 0x46, 0x50, 0x60, 0xff]);
            }
            _ => {}
        }
    }
}

#[test]
fn changed_packets_are_told_as_the_tables_tell_them() {
    let (seeds, mut random) = (frames(), Random(0x9e37_79b9_7f4a_7c15));
    assert!(seeds.len() > 20, "only {} frames to begin with", seeds.len());
    let (mut count, mut flows) = (0, 0);
    for round in 0..120 {
        let mut packets = Vec::new();
        for number in 0..500_u64 {
            let mut frame = seeds[random.below(seeds.len())].clone();
            if random.below(3) == 0 {
                frame = carried(&frame, &mut random);
            }
            if random.below(8) > 0 {
                mutate(&mut frame, &mut random);
            }
            packets.push((number * 7, frame));
            // The same once more: a repetition, or a copy at another hop.
            if random.below(5) == 0 {
                packets.extend(packets.last().cloned().map(|(time, bytes)| (time + 1, bytes)));
            }
        }
        let link = [ETHERNET, ETHERNET, COOKED_2, COOKED, RAW][round % 5];
        let packets: Vec<Timed> =
            packets.into_iter().map(|(time, bytes)| (time, relinked(link, &bytes, &mut random))).collect();
        let interface = if round % 7 == 0 { "lo" } else { "eth0" };
        flows += hold_together(&format!("round {round}"), link, interface, &packets);
        count += packets.len();
    }
    println!("{count} changed packets of {} frames, {flows} flows, told alike", seeds.len());
}

/// The same packet as another link type has it.
fn relinked(link: u32, frame: &[u8], random: &mut Random) -> Vec<u8> {
    let Some((addresses, rest)) = frame.split_at_checked(12) else { return frame.to_vec() };
    let (kind, packet) = rest.split_at_checked(2).unwrap_or((&[8, 0], rest));
    let hardware = random.one_of(&[[0, 1], [3, 4], [0xff, 0xfe], [3, 0x21], [3, 0x23], [3, 0x38]]);
    match link {
        RAW => packet.to_vec(),
        COOKED => [&[0, 0][..], &hardware, &[0, 6], &addresses[..6], &[0, 0], kind, packet].concat(),
        COOKED_2 => {
            let interface = random.below(4) as u8;
            [kind, &[0, 0, 0, 0, 0, interface], &hardware, &[0, 6], &addresses[..6], &[0, 0], packet].concat()
        }
        _ => frame.to_vec(),
    }
}
