//! Mutated and truncated input through every reader and detector: no panic, bounded memory, and
//! random bytes are never called encrypted.

#![expect(clippy::disallowed_methods, reason = "tests read fixtures")]

#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test takes plain datagrams")]
mod frames;
#[path = "common/random.rs"]
#[allow(dead_code, reason = "each test takes the kinds of numbers that it needs")]
mod random;
#[path = "common/streams.rs"]
mod streams;

use frames::{Ip, udp};
use random::Random;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight::analysis;
use watertight::capture::{
    self, Counters, Flow, FlowEnd, FlowLimits, Handshake, Seen, StreamStart, Transport,
};
use watertight::model::Protection;
use watertight::policy::{Dataplane, DataplaneKind};
use watertight::protocol::{self, DETECTORS};
use watertight::source;

fn worlds(file: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    ["shop", "tls-everywhere", "dual-stack"]
        .iter()
        .map(|w| std::fs::read(root.join(w).join(file)).expect("a file"))
        .collect()
}

fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for _ in 0..1 + random.below(12) {
        let at = random.below(changed.len());
        match random.below(4) {
            0 => changed[at] = random.next() as u8,
            1 => changed[at] = [0, 0xff, 0x7f, 0x80][random.below(4)],
            2 => drop(changed.drain(at..(at + random.below(9)).min(changed.len()))),
            _ => changed.insert(at, random.next() as u8),
        }
        if changed.is_empty() {
            changed.push(0);
        }
    }
    if random.below(4) == 0 {
        changed.truncate(random.below(changed.len()));
    }
    changed
}

fn flow(forward: Vec<u8>, backward: Vec<u8>, transport: Transport, port: u16) -> Flow {
    let end = |port| FlowEnd { ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), port };
    let lengths =
        |bytes: &Vec<u8>| if transport == Transport::Tcp { Vec::new() } else { vec![bytes.len() as u32] };
    let start = StreamStart {
        forward_lengths: lengths(&forward),
        backward_lengths: lengths(&backward),
        forward,
        backward,
        ..StreamStart::default()
    };
    Flow {
        initiator: end(40_000),
        responder: end(port),
        transport,
        handshake: Handshake::Seen,
        forward: Counters::default(),
        backward: Counters::default(),
        first: 0,
        last: 0,
        start,
        via: Vec::new(),
        evicted: false,
        seen: Seen::default(),
    }
}

#[test]
fn mutated_captures_and_their_streams_do_no_harm() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for capture in worlds("capture.pcap") {
        for _ in 0..1_500 {
            let changed = mutate(&capture, &mut random);
            let mut packets = 0;
            let read = capture::read_capture(&mut changed.as_slice(), FlowLimits::default(), &mut |flow| {
                packets += flow.forward.packets + flow.backward.packets;
                let (ahead, back) = (&flow.start.forward, &flow.start.backward);
                let bent = |bytes: &Vec<u8>, random: &mut Random| match bytes.is_empty() {
                    true => Vec::new(),
                    false => mutate(bytes, random),
                };
                let (ahead, back) = (bent(ahead, &mut random), bent(back, &mut random));
                let detection =
                    protocol::detect(&self::flow(ahead, back, flow.transport, flow.responder.port));
                assert!(!detection.why.is_empty());
            });
            if let Ok(summary) = read {
                assert!(packets <= summary.packets);
            }
        }
    }
}

/// `WATERTIGHT_FUZZ_SECONDS` makes it go on for longer, with other numbers.
#[test]
fn mutated_streams_stop_no_detector() {
    let seeds: Vec<streams::Case> = streams::names().iter().flat_map(|name| streams::cases(name)).collect();
    let seconds: u64 =
        std::env::var("WATERTIGHT_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let begin = Instant::now();
    let mut random = Random(0x51_7c_c1_b7_27_22_0a_95 ^ seconds);
    let (mut rounds, mut slowest) = (0_u64, (Duration::ZERO, String::new()));
    while rounds < 12_000 || begin.elapsed().as_secs() < seconds {
        let (seed, other) = (&seeds[random.below(seeds.len())], &seeds[random.below(seeds.len())]);
        let bent = |bytes: &[u8], strange: &[u8], random: &mut Random| {
            let mut all = bytes.to_vec();
            match random.below(8) {
                // A piece of another protocol, or the same again.
                0 => all.extend_from_slice(strange),
                1 => all.extend_from_within(random.below(all.len())..),
                _ => {}
            }
            if all.is_empty() { all } else { mutate(&all, random) }
        };
        let ahead = bent(&seed.start.forward, &other.start.forward, &mut random);
        let back = bent(&seed.start.backward, &other.start.backward, &mut random);
        let mut flow = flow(ahead, back, seed.transport, seed.port);
        flow.start.late = random.below(3) == 0;
        flow.handshake = if flow.start.late { Handshake::FirstPacket } else { Handshake::Seen };
        if seed.transport != Transport::Tcp {
            flow.start.forward_lengths = pieces(flow.start.forward.len(), &mut random);
        }
        let seen = protocol::Seen::of(&flow);
        for detector in DETECTORS {
            let started = Instant::now();
            std::hint::black_box(detector.probe(&seen));
            let took = started.elapsed();
            if took > slowest.0 {
                slowest = (took, format!("{} on a mutation of {}", detector.name(), seed.title));
            }
        }
        let detection = protocol::judge(&seen);
        assert!(!detection.why.is_empty(), "{}", seed.title);
        assert!(!format!("{detection:?}").contains("s3cr3t"), "{}: {detection:?}", seed.title);
        rounds += 1;
    }
    println!(
        "{rounds} mutations of {} streams through {} detectors, slowest {slowest:?}",
        seeds.len(),
        DETECTORS.len()
    );
    assert!(slowest.0 < Duration::from_secs(1), "{slowest:?}");
}

/// Where datagrams end: anywhere.
fn pieces(length: usize, random: &mut Random) -> Vec<u32> {
    let (mut rest, mut all) = (length, Vec::new());
    while rest > 0 && all.len() < 16 {
        let piece = if random.below(2) == 0 { rest } else { 1 + random.below(rest) };
        all.push(piece as u32);
        rest -= piece;
    }
    all
}

#[test]
fn random_bytes_are_never_called_encrypted() {
    let mut random = Random(42);
    for round in 0..4_000 {
        let bytes =
            |random: &mut Random| (0..random.below(700)).map(|_| random.next() as u8).collect::<Vec<u8>>();
        let (ahead, back) = (bytes(&mut random), bytes(&mut random));
        let (transport, port) =
            [(Transport::Tcp, 443), (Transport::Udp, 443), (Transport::Udp, 51_820)][round % 3];
        let detection = protocol::detect(&flow(ahead, back, transport, port));
        assert!(!matches!(detection.protection, Protection::Encrypted(_)), "{detection:?}");
    }
}

#[test]
fn mutated_manifests_do_no_harm() {
    let mut random = Random(7);
    for file in ["manifests/workloads.yaml", "manifests/policies.yaml"] {
        for text in worlds(file) {
            for _ in 0..400 {
                let changed = mutate(&text, &mut random);
                let text = String::from_utf8_lossy(&changed);
                let reading = source::parse(&Arc::from("mutated.yaml"), &text);
                let analysis = analysis::declared(&reading.documents, Dataplane::kubernetes());
                assert!(analysis.problems.iter().all(|problem| !problem.message.is_empty()));
            }
        }
    }
}

#[test]
fn mutated_policies_of_every_page_do_no_harm() {
    let mut random = Random(11);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/semantics");
    for entry in std::fs::read_dir(folder).expect("pages") {
        let page = std::fs::read_to_string(entry.expect("an entry").path()).expect("a page");
        for block in page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            for _ in 0..12 {
                let changed = mutate(block.as_bytes(), &mut random);
                let text = String::from_utf8_lossy(&changed);
                let reading = source::parse(&Arc::from("mutated.yaml"), &text);
                for kind in DataplaneKind::all() {
                    let analysis = analysis::declared(&reading.documents, Dataplane::new(kind));
                    assert!(analysis.problems.iter().all(|problem| problem.origin.line > 0));
                }
            }
        }
    }
}

#[test]
fn a_flood_of_one_packet_flows_stays_within_the_table() {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    for number in 0..20_000_u32 {
        let [a, b, c, d] = number.to_be_bytes();
        file.extend(number.to_le_bytes());
        let ip = Ip { id: 0, hops: 64, source: [10, b, c, d], target: [10, 9, 9, 9] };
        let packet = ip.whole(17, &udp(u16::from_be_bytes([0x90, a]), 99, &[1, 2, 3, 4]));
        let length = packet.len() as u32;
        [0, length, length].iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(packet);
    }
    let limits = FlowLimits { flows: 1_000, idle_nanos: u64::MAX, ..FlowLimits::default() };
    let (mut flows, mut evicted) = (0, 0);
    let summary = capture::read_capture(&mut file.as_slice(), limits, &mut |flow| {
        flows += 1;
        evicted += u64::from(flow.evicted);
    })
    .expect("a capture");
    assert_eq!((summary.packets, flows), (20_000, 20_000));
    assert!(evicted >= 18_000, "only {evicted} left early");
    assert!(summary.oddities.keys().any(|what| what.contains("full table")), "{:?}", summary.oddities);
}

#[test]
fn reading_in_small_pieces_changes_nothing() {
    struct Drops<'a>(&'a [u8]);
    impl std::io::Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(buffer.len()).min(7);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }
    for capture in worlds("capture.pcap") {
        let all = |input: &mut dyn std::io::Read| {
            let mut flows = Vec::new();
            capture::read_capture(input, FlowLimits::default(), &mut |flow| flows.push(flow))
                .expect("a capture");
            flows.sort_by_key(|f| (f.first, f.initiator, f.responder));
            flows
        };
        assert_eq!(all(&mut capture.as_slice()), all(&mut Drops(&capture)));
    }
}

#[test]
fn headers_are_decoded_as_etherparse_does() {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use std::collections::BTreeSet;
    let ordered = |a: (IpAddr, u16), b: (IpAddr, u16)| if a <= b { (a, b) } else { (b, a) };
    for capture in worlds("capture.pcap") {
        let mut want = BTreeSet::new();
        let mut rest = &capture[24..];
        while rest.len() >= 16 {
            let length = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
            let sliced = etherparse::LaxSlicedPacket::from_ethernet(&rest[16..16 + length]).expect("a frame");
            let strict = SlicedPacket::from_ethernet(&rest[16..16 + length]).ok();
            rest = &rest[16 + length..];
            let ips: Option<(IpAddr, IpAddr)> = match strict.as_ref().and_then(|s| s.net.clone()) {
                Some(NetSlice::Ipv4(ip)) => {
                    Some((ip.header().source_addr().into(), ip.header().destination_addr().into()))
                }
                Some(NetSlice::Ipv6(ip)) => {
                    Some((ip.header().source_addr().into(), ip.header().destination_addr().into()))
                }
                _ => None,
            };
            let ports = match &sliced.transport {
                Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port())),
                Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port())),
                _ => None,
            };
            if let (Some((a, b)), Some((p, q))) = (ips, ports) {
                want.insert(ordered((a, p), (b, q)));
            }
        }
        let mut got = BTreeSet::new();
        let mut collect = |f: Flow| {
            if matches!(f.transport, Transport::Tcp | Transport::Udp) {
                got.insert(ordered((f.initiator.ip, f.initiator.port), (f.responder.ip, f.responder.port)));
            }
        };
        capture::read_capture(&mut capture.as_slice(), FlowLimits::default(), &mut collect)
            .expect("a capture");
        assert!(!want.is_empty() && want.is_subset(&got), "{:?}", want.difference(&got));
    }
}
