//! Inputs to begin with: conversations of `fixtures/streams` for `detectors`, captures of `fixtures`
//! and a datagram in every wrapping for `captures` and `tunnels`, and the documents of `fixtures` and
//! `docs/semantics` for `manifests`. Other captures can be had too.

use super::{frames, links, streams, tunnels};
use std::fs;
use std::path::{Path, PathBuf};
use watertight::capture::Transport;
use watertight::protocol::DETECTORS;

/// An input, the entry that it is for, the part of it (see `part.rs`), and its name.
pub struct Seed {
    pub entry: &'static str,
    pub part: String,
    pub name: String,
    pub bytes: Vec<u8>,
}

fn seed(entry: &'static str, part: impl Into<String>, name: String, bytes: Vec<u8>) -> Seed {
    Seed { entry, part: part.into(), name, bytes }
}

/// All that the project has; `root` is its folder.
pub fn all(root: &Path) -> Vec<Seed> {
    let captures = of_captures(&root.join("fixtures"));
    [conversations(root), wrappings(), captures, documents(root)].into_iter().flatten().collect()
}

fn conversations(root: &Path) -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (number, detector) in DETECTORS.iter().enumerate() {
        let path = root.join(format!("fixtures/streams/{}.txt", detector.name()));
        let text = fs::read_to_string(path).unwrap_or_default();
        for (case_number, case) in streams::parse(&text).into_iter().enumerate() {
            let over: u8 = if case.transport == Transport::Tcp { 0 } else { 2 };
            let split = (case.start.forward.len() as u16).to_be_bytes();
            let head = vec![number as u8, over, 0, split[0], split[1]];
            let bytes = [head, case.start.forward, case.start.backward].concat();
            seeds.push(seed(
                "detectors",
                detector.name(),
                format!("{}-{case_number}", detector.name()),
                bytes,
            ));
        }
    }
    seeds
}

fn wrappings() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let wrapped = frames::wrapped().into_iter().chain(frames::wrapped_6());
    for (number, (_, link, frame, _)) in wrapped.enumerate() {
        let Some(choice) = chosen(link) else { continue };
        let one = [head(frame.len()), frame.clone()].concat();
        // Twice, so that the second is a repetition or a copy.
        let twice = [vec![choice], one.clone(), one].concat();
        seeds.push(seed("captures", format!("link-{link}"), format!("wrapped-{number}"), twice));
        let file = [&[0][..], &pcapng(link, &frame)].concat();
        seeds.push(seed("captures", "pcapng", format!("pcapng-{number}"), file));
    }
    // Some link types are in no wrapping; the head of an IPv4 packet begins them.
    for link in links::LINKS {
        let name = format!("bare-{link}");
        let bytes = [vec![chosen(*link).expect("a row")], head(64), vec![0x45; 64]].concat();
        seeds.push(seed("captures", format!("link-{link}"), name, bytes));
    }
    for (number, (name, link, frame, _)) in tunnels::rows().iter().enumerate() {
        let inner = &frame[tunnels::outer(*link, frame)..];
        let one = [head(inner.len()), inner.to_vec()].concat();
        let part = tunnels::slug(name);
        let bytes = [vec![number as u8], one.clone()].concat();
        seeds.push(seed("tunnels", part.clone(), format!("once-{number}"), bytes));
        let bytes = [vec![number as u8], one.clone(), one].concat();
        seeds.push(seed("tunnels", part, format!("twice-{number}"), bytes));
    }
    seeds
}

/// Captures below a folder: the beginnings of files, and of their packets.
pub fn of_captures(folder: &Path) -> Vec<Seed> {
    let mut seeds = Vec::new();
    for path in files(folder) {
        let ending = path.extension().and_then(|ending| ending.to_str());
        if !matches!(ending, Some("pcap" | "pcapng" | "cap" | "dmp")) {
            continue;
        }
        let name = path.strip_prefix(folder).expect("a file of it").to_string_lossy().replace('/', "-");
        let bytes = fs::read(&path).expect("a file");
        let part = if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) { "pcapng" } else { "pcap" };
        let first = &bytes[..bytes.len().min(4_000)];
        seeds.push(seed("captures", part, format!("file-{name}"), [&[0], first].concat()));
        let link = bytes.get(20..24).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let choice = link.and_then(chosen).filter(|_| bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]));
        if let (Some(link), Some(choice)) = (link, choice) {
            let packets = packets(&bytes);
            let bytes = |choice: u8| [&[choice][..], &packets].concat();
            seeds.push(seed("captures", format!("link-{link}"), format!("packets-{name}"), bytes(choice)));
            // The choice of two files of the same link type.
            let merged =
                (128..=255).find(|n| n % links::LINKS.len() == usize::from(choice) - links::LINKS.len());
            let choice = merged.expect("more choices than link types") as u8;
            seeds.push(seed("captures", "merged", format!("packets-{name}"), bytes(choice)));
        }
    }
    seeds
}

fn documents(root: &Path) -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |name: String, bytes: Vec<u8>| seeds.push(seed("manifests", "manifests", name, bytes));
    for (number, path) in
        files(&root.join("fixtures")).iter().chain(&files(&root.join("docs/semantics"))).enumerate()
    {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("yaml") => {
                let bytes = fs::read(path).expect("a file");
                add(format!("world-{number}"), [&[0], bytes.as_slice()].concat());
            }
            Some("md") => {
                let text = fs::read_to_string(path).expect("a file of text");
                for (block, part) in text.split("```yaml").skip(1).enumerate() {
                    let yaml = part.split("```").next().unwrap_or_default();
                    add(format!("page-{number}-{block}"), [&[block as u8], yaml.as_bytes()].concat());
                }
            }
            _ => {}
        }
    }
    seeds
}

/// The first byte of inputs that hold packets of a link type.
fn chosen(link: u32) -> Option<u8> {
    links::LINKS.iter().position(|known| *known == link).map(|row| (row + links::LINKS.len()) as u8)
}

/// What stands before a packet: its length, and that it came a millisecond after the one before.
fn head(length: usize) -> Vec<u8> {
    [&(length as u16).to_be_bytes()[..], &[1]].concat()
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

/// The first packets of a file of little-endian pcap, in the form that `captures` takes.
fn packets(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes.get(24..).unwrap_or_default();
    for _ in 0..24 {
        let Some((words, more)) = rest.split_first_chunk::<16>() else { break };
        let length = u32::from_le_bytes([words[8], words[9], words[10], words[11]]) as usize;
        let Some(packet) = more.get(..length) else { break };
        out.extend(head(length.min(600)));
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
