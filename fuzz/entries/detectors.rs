//! One entry for every detector: the table says which ones there are.
//!
//! The first bytes of an input choose a detector, the transport, a port and where the caller's part
//! ends; `WATERTIGHT_PART=tls` keeps to one. Whatever comes, nothing may panic, hang, or call
//! random bytes encrypted without a handshake.

use super::part;
use watertight::capture::{Handshake, StreamStart, Transport};
use watertight::protocol::{DETECTORS, Seen, judge};

pub fn run(data: &[u8]) {
    let [choice, shape, port, split_high, split_low, rest @ ..] = data else { return };
    let only = part::only()
        .map(|name| DETECTORS.iter().position(|d| d.name() == name).expect("the name of a detector"));
    let detector = DETECTORS[only.unwrap_or(usize::from(*choice) % DETECTORS.len())];
    let transport = match shape & 3 {
        0 | 1 => Transport::Tcp,
        2 => Transport::Udp,
        _ => Transport::Other(50),
    };
    let split = (usize::from(*split_high) << 8 | usize::from(*split_low)).min(rest.len());
    let (forward, backward) = rest.split_at(split);
    let mut start =
        StreamStart { forward: forward.to_vec(), backward: backward.to_vec(), ..StreamStart::default() };
    if transport != Transport::Tcp {
        (start.forward_lengths, start.backward_lengths) =
            (lengths(forward, *shape), lengths(backward, *shape));
    }
    (start.late, start.cut, start.holes) = (shape & 4 != 0, shape & 8 != 0, shape & 16 != 0);
    let ports = detector.ports();
    let port = ports.get(usize::from(*port)).copied().unwrap_or(u16::from(*port) * 257);
    let handshake = if start.late { Handshake::FirstPacket } else { Handshake::Seen };
    let seen =
        Seen { handshake, time: 1_780_000_000_000_000_000, ..Seen::new(transport, 40_000, port, &start) };
    std::hint::black_box(detector.probe(&seen));
    assert!(!judge(&seen).why.is_empty());
}

/// Datagrams of a size that the input chooses, up to as many as a flow keeps.
fn lengths(bytes: &[u8], shape: u8) -> Vec<u32> {
    let size = [bytes.len(), 48, 148, 1_200][usize::from(shape >> 6)].max(1);
    bytes.chunks(size).take(16).map(|chunk| chunk.len() as u32).collect()
}
