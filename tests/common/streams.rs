//! Reads `fixtures/streams`: conversations written by hand, with the answer that they must get.
//!
//! A line `client:` or `server:` holds text in quotes, hexadecimal bytes, and `00*16` for a byte
//! that repeats; indented lines go on. For datagrams each line is one, for streams they are joined.

#![allow(
    dead_code,
    clippy::disallowed_methods,
    reason = "every test file uses its own part; tests read fixtures"
)]

use std::path::Path;
use watertight::capture::{Handshake, StreamStart, Transport};
use watertight::protocol::Seen;

/// One conversation.
pub struct Case {
    pub title: String,
    pub near_miss: bool,
    pub transport: Transport,
    pub port: u16,
    pub start: StreamStart,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Protocol and protection; one word where only the protocol matters.
    pub answer: Vec<String>,
    pub facts: Vec<String>,
}

impl Case {
    pub fn seen(&self) -> Seen<'_> {
        let seen = Seen::new(self.transport, 40_000, self.port, &self.start);
        let handshake = if self.start.late { Handshake::GuessedByPort } else { Handshake::Seen };
        Seen { time: self.time, handshake, ..seen }
    }
}

/// All cases of a detector; empty where it has no file.
pub fn cases(name: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/streams").join(format!("{name}.txt"));
    std::fs::read_to_string(path).map(|text| parse(&text)).unwrap_or_default()
}

/// Names of all stream files.
pub fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/streams");
    let entries = std::fs::read_dir(folder).expect("stream files").filter_map(Result::ok);
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().trim_end_matches(".txt").to_owned())
        .collect();
    names.sort();
    names
}

pub fn parse(text: &str) -> Vec<Case> {
    let joined = text.replace("\n        ", " ");
    let blocks = joined.split("\n\n").filter(|block| block.contains("\nanswer: "));
    blocks.map(one).collect()
}

fn one(block: &str) -> Case {
    let mut case = Case {
        title: String::new(),
        near_miss: false,
        transport: Transport::Tcp,
        port: 0,
        start: StreamStart::default(),
        time: 0,
        answer: Vec::new(),
        facts: Vec::new(),
    };
    for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("no key in: {line}"));
        let words = || value.split(' ').map(str::to_owned).collect::<Vec<String>>();
        match key {
            "case" => case.title = value.to_owned(),
            "near miss" => (case.title, case.near_miss) = (value.to_owned(), true),
            "over" => over(&mut case, value),
            "time" => {
                let seconds: u64 = words()[0].parse().expect("seconds");
                case.time = seconds * 1_000_000_000;
            }
            "client" | "server" => payload(&mut case, key == "client", &bytes(value)),
            "answer" => case.answer = words(),
            "facts" => case.facts = words(),
            other => panic!("unknown key {other}"),
        }
    }
    case
}

/// `tcp 5432 late`, `udp 53`, `ip 50`.
fn over(case: &mut Case, value: &str) {
    let words: Vec<&str> = value.split(' ').collect();
    let number: u16 = words[1].parse().expect("a port");
    (case.transport, case.port) = match words[0] {
        "tcp" => (Transport::Tcp, number),
        "udp" => (Transport::Udp, number),
        "ip" if matches!(number, 1 | 58) => (Transport::Icmp, 0),
        "ip" => (Transport::Other(number as u8), 0),
        other => panic!("unknown transport {other}"),
    };
    case.start.late = words.contains(&"late");
    case.start.cut = words.contains(&"cut");
}

fn payload(case: &mut Case, client: bool, bytes: &[u8]) {
    let start = &mut case.start;
    let (stream, lengths) = match client {
        true => (&mut start.forward, &mut start.forward_lengths),
        false => (&mut start.backward, &mut start.backward_lengths),
    };
    stream.extend_from_slice(bytes);
    if case.transport != Transport::Tcp {
        lengths.push(bytes.len() as u32);
    }
}

/// Text in quotes, hexadecimal bytes, repeats.
fn bytes(value: &str) -> Vec<u8> {
    let mut found = Vec::new();
    let mut rest = value.trim();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut letters = quoted.char_indices();
            let mut end = None;
            while let Some((at, letter)) = letters.next() {
                match letter {
                    '"' => {
                        end = Some(at + 1);
                        break;
                    }
                    '\\' => found.push(match letters.next() {
                        Some((_, 'r')) => b'\r',
                        Some((_, 'n')) => b'\n',
                        Some((_, other)) => other as u8,
                        None => panic!("a cut escape in: {value}"),
                    }),
                    plain => found.push(plain as u8),
                }
            }
            rest = quoted[end.expect("a closing quote")..].trim_start();
            continue;
        }
        let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        let (digits, count) = word.split_once('*').unwrap_or((word, "1"));
        let byte = u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("no byte: {word}"));
        found.extend(std::iter::repeat_n(byte, count.parse().expect("a count")));
        rest = behind.trim_start();
    }
    found
}
