//! A capture that is damaged keeps what stands before and after the damage, and says what was lost.

#![expect(clippy::disallowed_methods, reason = "tests write captures")]

#[path = "common/files.rs"]
mod files;
#[path = "common/frames.rs"]
#[allow(dead_code, reason = "each test takes the headers that it needs")]
mod frames;

use files::{Timed, pcap, pcapng};
use frames::{ethernet, from_a, tcp, udp};
use std::collections::BTreeMap;
use watertight::capture::{self, FlowLimits, Input};

/// So many datagrams, each of a flow of its own.
const PACKETS: u16 = 4_000;
/// The one whose header is damaged.
const HURT: u16 = 1_000;

fn packets() -> Vec<Timed> {
    (0..PACKETS)
        .map(|number| {
            let datagram = udp(20_000 + number, 9, &[b'x'; 400]);
            (
                1_700_000_000_000_000 + u64::from(number),
                ethernet(0x0800, &from_a(number).whole(17, &datagram)),
            )
        })
        .collect()
}

/// How many flows are in files that are merged, and what was lost in each.
fn read(files: &[&[u8]]) -> (usize, Vec<BTreeMap<String, u64>>) {
    struct Count(usize);
    impl capture::Audience for Count {
        fn judge(&mut self, _: &capture::Flow) -> u32 {
            0
        }
        fn finished(&mut self, _: capture::Flow, _: Option<u32>) {
            self.0 += 1;
        }
    }
    let mut count = Count(0);
    let inputs = files.iter().map(|file| Input::open(*file).expect("a capture")).collect();
    let summary = capture::read_captures(inputs, FlowLimits::default(), &mut count);
    (count.0, summary.inputs.into_iter().map(|input| input.losses).collect())
}

/// Writes a word at the place of the damage.
fn hurt(file: &[u8], at: usize, word: u32) -> Vec<u8> {
    let mut file = file.to_vec();
    file[at..at + 4].copy_from_slice(&word.to_le_bytes());
    file
}

/// One packet is lost, its bytes are counted, and a second file that is merged hides nothing of it.
fn loses_one_packet(file: &[u8], damage: &str, bytes: u64) {
    let whole = pcap(1, &packets()[..1]);
    let (alone, losses) = read(&[file]);
    assert_eq!(alone, usize::from(PACKETS) - 1);
    assert_eq!(losses, [BTreeMap::from([(damage.to_owned(), bytes)])]);
    let (merged, losses) = read(&[&whole, file]);
    assert_eq!(merged, usize::from(PACKETS) - 1);
    assert_eq!(losses, [BTreeMap::new(), BTreeMap::from([(damage.to_owned(), bytes)])]);
}

#[test]
fn a_damaged_length_of_a_pcap_costs_one_packet() {
    let whole = pcap(1, &packets());
    let record = 16 + 442;
    let at = 24 + usize::from(HURT) * record;
    // Longer than anything, longer than the file, and as long as many packets.
    for length in [u32::MAX, 8 << 20, 600_000] {
        let file = hurt(&whole, at + 8, length);
        loses_one_packet(&file, "bytes skipped after a damaged record", record as u64);
    }
}

#[test]
fn a_damaged_length_of_a_pcapng_costs_one_packet() {
    let whole = pcapng(1, "eth0", &packets());
    let block = 12 + 20 + 444;
    let at = whole.len() - usize::from(PACKETS - HURT) * block;
    for length in [u32::MAX, 7, 0, 8 << 20] {
        let file = hurt(&whole, at + 4, length);
        loses_one_packet(&file, "bytes skipped after a damaged block", block as u64);
    }
    // A section whose byte order nobody can tell.
    let file = hurt(&hurt(&whole, at, 0x0a0d_0d0a), at + 8, 7);
    let (flows, losses) = read(&[&file]);
    assert_eq!(flows, usize::from(PACKETS) - 1);
    assert_eq!(losses[0].get("bytes skipped after a damaged block"), Some(&(block as u64)));
}

#[test]
fn what_is_cut_off_is_said() {
    let all = packets();
    for (file, what) in [
        (pcap(1, &all), "the file ends inside a record"),
        (pcapng(1, "eth0", &all), "the file ends inside a block"),
    ] {
        let (flows, losses) = read(&[&file[..file.len() - 5]]);
        assert_eq!((flows, &losses[0]), (usize::from(PACKETS) - 1, &BTreeMap::from([(what.to_owned(), 1)])));
    }
}

#[test]
fn a_ring_of_more_files_than_may_be_open_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = packets();
    for (number, packets) in all.chunks(20).enumerate() {
        // Every second one is packed.
        let (name, file) = (folder.path().join(format!("ring.pcap{number:03}")), pcap(1, packets));
        match number % 2 {
            0 => std::fs::write(name, file).expect("written"),
            _ => {
                let to = std::fs::File::create(folder.path().join(format!("ring.pcap{number:03}.gz")));
                let mut packed =
                    flate2::write::GzEncoder::new(to.expect("a file"), flate2::Compression::fast());
                std::io::Write::write_all(&mut packed, &file).expect("packed");
                packed.finish().expect("packed");
            }
        }
    }
    let command = format!(
        "ulimit -n 60; exec {} flows -f json {}",
        env!("CARGO_BIN_EXE_watertight"),
        folder.path().display()
    );
    let output = std::process::Command::new("sh").args(["-c", &command]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), usize::from(PACKETS), "{said}");
}

#[test]
fn of_headers_that_are_cut_behind_their_ports_the_ports_count() {
    let segment = ethernet(0x0800, &from_a(1).whole(6, &tcp((4_000, 80), 7, 0, 2, b"")));
    let datagram = ethernet(0x0800, &from_a(2).whole(17, &udp(5_000, 53, b"question")));
    for (kept, flows) in [(3, 0), (4, 2), (7, 2), (8, 2)] {
        let cut = [&segment, &datagram].map(|frame| (0, frame[..14 + 20 + kept].to_vec()));
        assert_eq!(read(&[&pcap(1, &cut)]).0, flows, "{kept} bytes");
    }
}
