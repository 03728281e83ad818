//! Walking a capture against reading it: generated pod traffic, plain and inside VXLAN.

#![expect(clippy::disallowed_methods, reason = "benchmarks read the clock and files of their own")]

mod common;

use std::io::{Read, Write};
use watertight::capture::{self, FlowLimits};
use watertight::protocol;

const PACKETS: u32 = 1_500_000;
const FLOWS: u32 = 60_000;

fn packet(number: u32) -> Vec<u8> {
    let flow = number % FLOWS;
    let round = number / FLOWS;
    let payload: &[u8] = if round == 1 { b"GET /items HTTP/1.1\r\nHost: shop\r\n\r\n" } else { &[0x55; 180] };
    let payload = if round == 0 { &[][..] } else { payload };
    let mut tcp = Vec::with_capacity(256);
    tcp.extend((32_768 + (flow % 28_000) as u16).to_be_bytes());
    tcp.extend(8_080_u16.to_be_bytes());
    let sequence = if round <= 1 { round } else { 36 + (round - 2) * 180 };
    tcp.extend(sequence.to_be_bytes());
    tcp.extend([0, 0, 0, 0, 0x50, if round == 0 { 2 } else { 0x18 }, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.extend(payload);
    let inner = ip(6, [10, 1, (flow >> 8) as u8, flow as u8], [10, 2, (flow >> 12) as u8, 9], &tcp);
    let frame = ethernet(&inner);
    if flow.is_multiple_of(2) {
        return frame;
    }
    let mut udp = vec![0xc0, 0, 0x21, 0x18];
    udp.extend(((frame.len() + 16) as u16).to_be_bytes());
    udp.extend([0, 0, 8, 0, 0, 0, 0, 0x10, 0, 0]);
    udp.extend(frame);
    ethernet(&ip(17, [192, 168, 0, 1], [192, 168, 0, 2], &udp))
}

fn ip(protocol: u8, source: [u8; 4], target: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend(((body.len() + 20) as u16).to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    bytes.extend(source);
    bytes.extend(target);
    bytes.extend(body);
    bytes
}

fn ethernet(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    bytes.extend(body);
    bytes
}

fn main() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut out = std::io::BufWriter::new(file.reopen().expect("the file"));
    out.write_all(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0])
        .expect("written");
    for number in 0..PACKETS {
        let bytes = packet(number);
        let head =
            [1_700_000_000 + number / 100_000, number % 100_000 * 10, bytes.len() as u32, bytes.len() as u32];
        head.iter().for_each(|word| out.write_all(&word.to_le_bytes()).expect("written"));
        out.write_all(&bytes).expect("written");
    }
    out.flush().expect("written");
    drop(out);
    let size = file.as_file().metadata().expect("a size").len() as f64 / 1e6;
    let open =
        || file.reopen().and_then(|mut f| std::io::Seek::rewind(&mut f).map(|()| f)).expect("the file");
    let mut buffer = vec![0; 256 * 1024];
    let read = common::median(|| {
        let mut input = open();
        while input.read(&mut buffer).expect("read") > 0 {}
    });
    let mut flows = 0_u64;
    let walk = common::median(|| {
        flows = 0;
        let mut count = |flow: capture::Flow| {
            std::hint::black_box(protocol::detect(&flow));
            flows += 1;
        };
        capture::read_capture(&mut open(), FlowLimits::default(), &mut count).expect("a capture");
    });
    let millions = f64::from(PACKETS) / 1e6;
    let table = format!(
        "| packets | flows | MB | read s | read Mpkt/s | flows and verdicts s | Mpkt/s | walk / read |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|\n\
         | {PACKETS} | {flows} | {size:.0} | {read:.3} | {:.1} | {walk:.3} | {:.2} | {:.1} |\n",
        millions / read,
        millions / walk,
        walk / read
    );
    common::publish("Capture", &table);
}
