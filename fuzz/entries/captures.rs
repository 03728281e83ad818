//! One entry for every container, link layer and tunnel, and for what follows: flows, copies,
//! legs, verdicts.
//!
//! The first byte chooses: a file as it stands (0), or packets of a link type of the table, each with
//! two bytes of length and one that says how much of it was cut, how late it came and where it was met.
//! `WATERTIGHT_PART` keeps to `pcap` or `pcapng` (a file), `link-276` (a link type), or `merged`.
//! Whatever comes, nothing may panic or hang, and no packet may be counted twice.

use super::links::LINKS;
use super::part;
use watertight::analysis::{self, NamedCapture};
use watertight::inventory::Inventory;

pub fn run(data: &[u8]) {
    let [choice, rest @ ..] = data else { return };
    let choice = match part::only() {
        None => *choice,
        Some("pcap" | "pcapng") => 0,
        Some("merged") => *choice | 128,
        Some(part) => {
            let link = |link: &u32| part == format!("link-{link}");
            (LINKS.len() + LINKS.iter().position(link).expect("a part")) as u8
        }
    };
    whatever(&[&[choice], rest].concat());
}

/// The same for any input, whichever part is asked for.
pub fn whatever(data: &[u8]) {
    let [choice, rest @ ..] = data else { return };
    let files = match usize::from(*choice) {
        0 => vec![rest.to_vec()],
        // Two captures with the same packets' halves, merged on time.
        choice if choice >= 128 => {
            let link = LINKS[choice % LINKS.len()];
            let middle = rest.len() / 2;
            vec![pcap(link, &rest[..middle]), pcap(link, &rest[middle..])]
        }
        choice => vec![pcap(LINKS[choice % LINKS.len()], rest)],
    };
    let bytes: usize = files.iter().map(Vec::len).sum();
    let named = files.into_iter().enumerate().map(|(number, file)| {
        let capture: NamedCapture<'_> = (number.to_string(), Box::new(std::io::Cursor::new(file)));
        capture
    });
    let (observed, _) = analysis::observe(named.collect(), &Inventory::default(), 1);
    let packets: u64 = observed.flows.iter().map(|s| s.flow.forward.packets + s.flow.backward.packets).sum();
    // A packet has a header of 16 bytes in its file.
    assert!(packets <= bytes as u64 / 16, "{packets} packets in {bytes} bytes");
    for seen in observed.flows.iter() {
        assert!(!seen.detection.why.is_empty());
        assert!(seen.flow.first <= seen.flow.last);
        assert!(seen.flow.start.forward.is_empty() && seen.flow.start.backward.is_empty());
    }
}

/// A file of packets as the bytes say: length, shape, content.
fn pcap(link: u32, mut bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    file.extend(link.to_le_bytes());
    let mut micros = 0_u32;
    while let [high, low, shape, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (packet, others) = rest.split_at(length);
        micros += [0, 1_000, 200_000, 3_000_000][usize::from(shape & 3)];
        let cut = u32::from(shape >> 4) * 100;
        let captured = packet.len() as u32;
        let words = [1_780_000_000 + micros / 1_000_000, micros % 1_000_000, captured, captured + cut];
        words.iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(packet);
        bytes = others;
    }
    file
}
