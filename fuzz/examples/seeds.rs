//! Writes the corpora to begin with: conversations of `fixtures/streams` for `detectors`, captures
//! of `fixtures` for `captures`, and the documents of `fixtures` and `docs/semantics` for `manifests`.

#[path = "../../tests/common/streams.rs"]
#[allow(dead_code)]
mod streams;

use std::fs;
use std::path::{Path, PathBuf};
use watertight::capture::Transport;
use watertight::protocol::DETECTORS;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let corpus = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    };
    let write = |folder: &Path, name: String, bytes: Vec<u8>| {
        fs::write(folder.join(name), bytes).expect("a seed");
    };
    let detectors = corpus("detectors");
    for (number, detector) in DETECTORS.iter().enumerate() {
        let path = root.join(format!("fixtures/streams/{}.txt", detector.name()));
        let text = fs::read_to_string(path).unwrap_or_default();
        for (case_number, case) in streams::parse(&text).into_iter().enumerate() {
            let over: u8 = if case.transport == Transport::Tcp { 0 } else { 2 };
            let split = (case.start.forward.len() as u16).to_be_bytes();
            let head = vec![number as u8, over, 0, split[0], split[1]];
            let bytes = [head, case.start.forward, case.start.backward].concat();
            write(&detectors, format!("{}-{case_number}", detector.name()), bytes);
        }
    }
    let captures = corpus("captures");
    let manifests = corpus("manifests");
    for (number, path) in files(&root.join("fixtures")).iter().chain(&files(&root.join("docs/semantics"))).enumerate() {
        let bytes = fs::read(path).expect("a file");
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("pcap" | "pcapng") => {
                let first = &bytes[..bytes.len().min(4_000)];
                write(&captures, format!("file-{number}"), [&[0], first].concat());
                write(&captures, format!("packets-{number}"), packets(&bytes));
            }
            Some("yaml") => write(&manifests, format!("world-{number}"), [&[0], bytes.as_slice()].concat()),
            Some("md") => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                for (block, part) in text.split("```yaml").skip(1).enumerate() {
                    let yaml = part.split("```").next().unwrap_or_default();
                    write(&manifests, format!("page-{number}-{block}"), [&[block as u8], yaml.as_bytes()].concat());
                }
            }
            _ => {}
        }
    }
}

/// The first packets of a file of little-endian pcap, in the form that `captures` takes.
fn packets(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![14 * 5];
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
