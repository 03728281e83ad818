//! One entry for every encapsulation: bytes behind the headers that lead to it, whose lengths are
//! right, so that what is changed is what the tunnel's reader is given.
//!
//! The first byte chooses the wrapping of `tests/common/frames.rs`; `WATERTIGHT_PART=vxlan` keeps to
//! one. Then packets as `captures` takes them, each without its outer headers.

use super::captures;
use super::frames::{Wrapped, wrapped, wrapped_6};
use super::links::LINKS;
use super::part;
use std::sync::OnceLock;

static ROWS: OnceLock<Vec<Wrapped>> = OnceLock::new();

/// Every wrapping that is an encapsulation.
pub fn rows() -> &'static [Wrapped] {
    ROWS.get_or_init(|| {
        let all = wrapped().into_iter().chain(wrapped_6());
        all.filter(|(_, _, _, chain)| !chain.is_empty()).collect()
    })
}

/// The name of a wrapping as a part: `Geneve with options` is `geneve-with-options`.
pub fn slug(name: &str) -> String {
    name.to_lowercase().replace(',', "").replace(' ', "-")
}

/// How many bytes of a frame lead to its tunnel: link header, IP header, UDP header.
pub fn outer(link: u32, frame: &[u8]) -> usize {
    match (link, frame.get(12..14), frame.get(23)) {
        (1, Some([0x08, 0x00]), Some(17)) => 42,
        (1, Some([0x08, 0x00]), _) => 34,
        (1, Some([0x86, 0xdd]), _) => 54,
        (1, _, _) => 14,
        _ => 0,
    }
}

pub fn run(data: &[u8]) {
    let [choice, rest @ ..] = data else { return };
    let only = part::only().map(|part| {
        rows().iter().position(|(name, ..)| slug(name) == part).expect("the name of an encapsulation")
    });
    let (_, link, frame, _) = &rows()[only.unwrap_or(usize::from(*choice) % rows().len())];
    let head = &frame[..outer(*link, frame)];
    let row = LINKS.iter().position(|known| known == link).expect("a link type that is fuzzed");
    let mut input = vec![(row + LINKS.len()) as u8];
    let mut bytes = rest;
    while let [high, low, shape, more @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(more.len()).min(60_000);
        let (content, others) = more.split_at(length);
        input.extend(((head.len() + length) as u16).to_be_bytes());
        input.push(*shape);
        input.extend(lengthened(head, content));
        bytes = others;
    }
    captures::whatever(&input);
}

/// Headers and content, with the lengths that belong to them.
fn lengthened(head: &[u8], content: &[u8]) -> Vec<u8> {
    let mut frame = [head, content].concat();
    let mut set = |at: usize, from: usize| {
        let length = (head.len() - from + content.len()) as u16;
        frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
    };
    match head.len() {
        34 => set(16, 14),
        42 => {
            set(16, 14);
            set(38, 34);
        }
        54 => set(18, 54),
        _ => {}
    }
    frame
}
