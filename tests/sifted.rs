//! Answers of which only stretches with a secret are kept are judged as if all were kept, however
//! they are cut, repeated and out of order.

#[path = "common/files.rs"]
#[allow(dead_code, reason = "one kind of file suffices")]
mod files;
#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test takes plain segments")]
mod frames;
#[path = "common/random.rs"]
#[allow(dead_code, reason = "this test needs numbers alone")]
mod random;

use frames::{from_a, from_b, tcp};
use random::Random;
use std::collections::BTreeMap;
use watertight::capture::{FlowLimits, read_capture};
use watertight::inventory::Inventory;
use watertight::protocol::{Detection, detect};
use watertight::{analysis, observed};

/// What stands in bodies: secrets, pieces of them, and what only looks like them.
const WORDS: &[&str] = &[
    "\"client_secret\": \"x\"",
    "\"client_",
    "secret\"",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ",
    "PRIVATE KEY-----",
    "\"SecretAccessKey\"",
    "\"Secret",
    "AccessKey\"",
    "keys_of",
    "\r\n\r\nHTTP/1.1 200 OK\r\nServer: envoy\r\n\r\n",
];
const HEADS: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nServer: envoy\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\n\r\n",
    "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\r\n",
];

/// An answer with words here and there; most have none.
fn answer(random: &mut Random) -> Vec<u8> {
    let mut text = random.one_of(HEADS).as_bytes().to_vec();
    let length = 400 + random.below(20_000);
    let words = random.below(4);
    let mut left: Vec<usize> = (0..words).map(|_| random.below(length)).collect();
    left.sort_unstable();
    for at in 0..length {
        if left.first() == Some(&at) {
            left.remove(0);
            text.extend(random.one_of(WORDS).as_bytes());
        }
        text.push(b" abcdefghij,:{}\n"[(at * 7 + at / 13) % 16]);
    }
    text
}

/// A connection in which a server answers in segments of any length, some of them twice or late.
fn capture(answer: &[u8], random: &mut Random) -> Vec<u8> {
    let request = b"GET /all HTTP/1.1\r\nHost: shop\r\n\r\n";
    let (mine, theirs) = (5_000, 9_000_u32);
    let asked = mine + 1 + request.len() as u32;
    let client = |sequence, flags, text: &[u8]| (true, tcp((40_000, 80), sequence, theirs, flags, text));
    let server = |at: usize, flags, text: &[u8]| {
        (false, tcp((80, 40_000), theirs.wrapping_add(at as u32), asked, flags, text))
    };
    let mut packets = vec![client(mine, 2, b""), server(0, 0x12, b""), client(mine + 1, 0x18, request)];
    let most = [40, 300, 1_400, 4_000][random.below(4)];
    let mut segments = Vec::new();
    let mut at = 0;
    while at < answer.len() {
        let end = (at + 1 + random.below(most)).min(answer.len());
        segments.push(server(1 + at, 0x18, &answer[at..end]));
        if random.below(9) == 0 {
            let again = at.saturating_sub(random.below(200));
            segments.push(server(1 + again, 0x18, &answer[again..end]));
        }
        at = end;
    }
    for at in 1..segments.len() {
        if random.below(12) == 0 {
            segments.swap(at - 1, at);
        }
    }
    packets.extend(segments);
    packets.push(server(1 + answer.len(), 0x11, b""));
    packets.push(client(asked, 0x11, b""));
    let frames = packets.into_iter().zip(1..).map(|((from_client, segment), id)| {
        let ip = if from_client { from_a(id) } else { from_b(id) };
        (u64::from(id) * 1_000, ip.whole(6, &segment))
    });
    files::pcap(101, &frames.collect::<Vec<_>>())
}

/// The verdict on the only connection of a capture, as the program gives it.
fn sifted(capture: &[u8]) -> Detection {
    let input = Box::new(std::io::Cursor::new(capture.to_vec())) as Box<dyn std::io::Read + Send>;
    let (observed, errors) = analysis::observe(vec![("hand".to_owned(), input)], &Inventory::default(), 1);
    assert!(errors.is_empty(), "{errors:?}");
    let flows: Vec<observed::ObservedFlow> = observed.flows.iter().collect();
    assert_eq!(flows.len(), 1);
    Detection::clone(&flows[0].detection)
}

/// The same by everything that is kept where nobody says that some of it suffices.
fn whole(mut capture: &[u8]) -> Detection {
    let mut flows = Vec::new();
    read_capture(&mut capture, FlowLimits::default(), &mut |flow| flows.push(flow)).expect("a capture");
    assert_eq!(flows.len(), 1);
    let mut detection = detect(&flows[0]);
    detection.facts.sort_by_key(|(name, _)| *name);
    detection
}

#[test]
fn answers_are_judged_as_if_all_of_them_were_kept() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut told = BTreeMap::new();
    for number in 0..600 {
        let text = answer(&mut random);
        let capture = capture(&text, &mut random);
        let (sifted, whole) = (sifted(&capture), whole(&capture));
        assert_eq!(sifted, whole, "{number}");
        let secret = whole.facts.iter().find(|(name, _)| *name == "credentials");
        *told.entry(secret.map(|(_, kind)| kind.to_string())).or_insert(0) += 1;
    }
    println!("{told:?}");
    assert!(told.len() > 3 && told.values().all(|count| *count > 10), "{told:?}");
}
