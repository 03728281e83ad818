//! Inputs to begin with: conversations of `fixtures/streams` for `detectors`, captures of `fixtures`
//! and a datagram in every wrapping for `captures`, and the documents of `fixtures` and
//! `docs/semantics` for `manifests`.

use super::{frames, links, streams};
use std::fs;
use std::path::{Path, PathBuf};
use watertight::capture::Transport;
use watertight::protocol::DETECTORS;

/// An input, the entry that it is for, and its name.
pub struct Seed {
    pub entry: &'static str,
    pub name: String,
    pub bytes: Vec<u8>,
}

/// All of them; `root` is the folder of the project.
pub fn all(root: &Path) -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |entry, name: String, bytes: Vec<u8>| seeds.push(Seed { entry, name, bytes });
    for (number, detector) in DETECTORS.iter().enumerate() {
        let path = root.join(format!("fixtures/streams/{}.txt", detector.name()));
        let text = fs::read_to_string(path).unwrap_or_default();
        for (case_number, case) in streams::parse(&text).into_iter().enumerate() {
            let over: u8 = if case.transport == Transport::Tcp { 0 } else { 2 };
            let split = (case.start.forward.len() as u16).to_be_bytes();
            let head = vec![number as u8, over, 0, split[0], split[1]];
            let bytes = [head, case.start.forward, case.start.backward].concat();
            add("detectors", format!("{}-{case_number}", detector.name()), bytes);
        }
    }
    let wrapped = frames::wrapped().into_iter().chain(frames::wrapped_6());
    for (number, (_, link, frame, _)) in wrapped.enumerate() {
        let Some(row) = links::LINKS.iter().position(|known| *known == link) else { continue };
        // Twice, so that the second is a repetition or a copy.
        let length = (frame.len() as u16).to_be_bytes();
        let one = [&length[..], &[1], &frame].concat();
        add("captures", format!("wrapped-{number}"), [&[row as u8 + LAYOUT][..], &one, &one].concat());
        add("captures", format!("pcapng-{number}"), [&[0][..], &pcapng(link, &frame)].concat());
    }
    for (number, path) in
        files(&root.join("fixtures")).iter().chain(&files(&root.join("docs/semantics"))).enumerate()
    {
        let bytes = fs::read(path).expect("a file");
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("pcap" | "pcapng") => {
                let first = &bytes[..bytes.len().min(4_000)];
                add("captures", format!("file-{number}"), [&[0], first].concat());
                add("captures", format!("packets-{number}"), packets(&bytes));
            }
            Some("yaml") => add("manifests", format!("world-{number}"), [&[0], bytes.as_slice()].concat()),
            Some("md") => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                for (block, part) in text.split("```yaml").skip(1).enumerate() {
                    let yaml = part.split("```").next().unwrap_or_default();
                    add(
                        "manifests",
                        format!("page-{number}-{block}"),
                        [&[block as u8], yaml.as_bytes()].concat(),
                    );
                }
            }
            _ => {}
        }
    }
    seeds
}

/// One packet in a pcapng of its own: section, interface, packet.
fn pcapng(link: u32, frame: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = ((body.len() + padding + 12) as u32).to_le_bytes();
        file.extend([&kind.to_le_bytes()[..], &length, body, &[0; 3][..padding], &length].concat());
    };
    block(0x0a0d_0d0a, &[&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat());
    block(1, &[link.to_le_bytes(), [0; 4], [2, 0, 2, 0], *b"lo\0\0", [0; 4]].concat());
    let words = [0, 0, 0, frame.len() as u32, frame.len() as u32];
    let head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    block(6, &[&head[..], frame].concat());
    file
}

/// The first byte of inputs that hold packets: a multiple of the number of link types, not 0.
const LAYOUT: u8 = links::LINKS.len() as u8;

/// The first packets of a file of little-endian pcap, in the form that `captures` takes.
fn packets(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![LAYOUT];
    let mut rest = bytes.get(24..).unwrap_or_default();
    for _ in 0..24 {
        let Some((head, more)) = rest.split_first_chunk::<16>() else { break };
        let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let Some(packet) = more.get(..length) else { break };
        out.extend((length.min(600) as u16).to_be_bytes());
        out.push(1);
        out.extend(&packet[..length.min(600)]);
        rest = &more[length..];
    }
    out
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
        match entry.path() {
            path if path.is_dir() => all.extend(files(&path)),
            path => all.push(path),
        }
    }
    all.sort();
    all
}
