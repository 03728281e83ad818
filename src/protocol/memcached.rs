//! Memcached: text commands, the binary form, and the frames of UDP.

use super::bytes::{Cursor, contains_any, find, starts_with_any};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Memcached: "memcached"; Both, ports [11211], Clear;
    "Memcached: text and binary commands and their answers, SASL PLAIN";
    "Memcached documentation, protocol.txt and binary protocol";
    begins [
        Opening::ANY.datagram(),
        Opening::both(First::of(&[ASKS]).or_silence(), First::of(&[ANSWERED]).or_silence()).stream(),
        Opening::both(First::words(COMMANDS), First::words(ANSWERS)).stream(),
        Opening::client(First::words(COMMANDS)).hinted().stream(),
        Opening::server(First::words(ANSWERS)).hinted().stream()
    ]
}

const COMMANDS: &[&[u8]] = &[
    b"get ",
    b"gets ",
    b"set ",
    b"add ",
    b"replace ",
    b"append ",
    b"prepend ",
    b"cas ",
    b"delete ",
    b"incr ",
    b"decr ",
    b"touch ",
    b"gat ",
    b"stats",
    b"version\r\n",
    b"verbosity ",
    b"flush_all",
    b"mg ",
    b"ms ",
    b"md ",
    b"mn\r\n",
];
const ANSWERS: &[&[u8]] = &[
    b"VALUE ",
    b"END\r\n",
    b"STORED\r\n",
    b"NOT_STORED\r\n",
    b"DELETED\r\n",
    b"NOT_FOUND\r\n",
    b"STAT ",
    b"VERSION ",
    b"ERROR\r\n",
    b"CLIENT_ERROR ",
    b"SERVER_ERROR ",
    b"OK\r\n",
    b"EXISTS\r\n",
    b"TOUCHED\r\n",
    b"HD",
    b"EN\r\n",
    b"VA ",
];

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let stream = seen.is_stream();
    let text = |bytes: &[u8], words: &[&[u8]]| {
        let inner = content(bytes, stream).unwrap_or(&[]);
        starts_with_any(inner, words) && find(inner, b"\r\n").is_some()
    };
    let (asks, answers) = (text(seen.client_first(), COMMANDS), text(seen.server_first(), ANSWERS));
    let clear = match (seen.client.is_empty(), seen.server.is_empty()) {
        (false, false) => asks && answers,
        (false, true) => asks && seen.hinted(PORTS),
        (true, _) => answers && seen.hinted(PORTS),
    };
    if !clear && !binary(seen) {
        return None;
    }
    let secret = !clear && contains_any(seen.client, &[b"PLAIN\0"]);
    Detection::plain("memcached", "commands in the clear")
        .with_credentials(secret.then_some("memcached-plain"))
        .certain()
}

/// What a stream or a datagram carries.
fn content(bytes: &[u8], stream: bool) -> Option<&[u8]> {
    if stream { Some(bytes) } else { unframed(bytes) }
}

/// Request id, number, count, and two zero bytes stand in front of a datagram's content.
fn unframed(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [_, _, _, _, _, 1..=16, 0, 0, rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Whether both sides, or the one that was seen, begin with a message of the binary form.
fn binary(seen: &Seen<'_>) -> bool {
    let side = |bytes: &[u8], magic| {
        bytes.is_empty() || content(bytes, seen.is_stream()).is_some_and(|inner| is_binary(inner, magic))
    };
    seen.has_payload() && side(seen.client_first(), ASKS) && side(seen.server_first(), ANSWERED)
}

/// The first bytes of requests and of answers.
const ASKS: u8 = 0x80;
const ANSWERED: u8 = 0x81;

/// Magic, operation, key length, lengths of extras and body that hold each other.
fn is_binary(bytes: &[u8], magic: u8) -> bool {
    let mut cursor = Cursor(bytes);
    if cursor.u8() != Some(magic) {
        return false;
    }
    let Some(operation) = cursor.u8() else { return false };
    let (Some(key), Some(extras), Some(kind)) = (cursor.u16(), cursor.u8(), cursor.u8()) else {
        return false;
    };
    let (Some(_), Some(body)) = (cursor.u16(), cursor.u32()) else { return false };
    let inside = u32::from(key) + u32::from(extras) <= body && body <= 1 << 20 && key <= 250;
    cursor.take(12).is_some()
        && kind == 0
        && inside
        && (magic == ANSWERED && operation <= 0x48 && extras <= 24 || asks_for(operation, key, extras))
        && cursor.0.len() >= (body as usize).min(64)
}

/// Whether a request has the key and the extras that its operation takes.
fn asks_for(operation: u8, key: u16, extras: u8) -> bool {
    match operation {
        // Quiet forms stand 16 numbers higher, those of reading among the loud ones.
        0x00 | 0x04 | 0x09 | 0x0c..=0x0f | 0x14 | 0x19 | 0x1a => key > 0 && extras == 0,
        0x01..=0x03 | 0x11..=0x13 => key > 0 && extras == 8,
        0x05 | 0x06 | 0x15 | 0x16 => key > 0 && extras == 20,
        0x1c..=0x1e | 0x23 | 0x24 => key > 0 && extras == 4,
        0x07 | 0x0a | 0x0b | 0x17 | 0x20 => key == 0 && extras == 0,
        0x08 | 0x18 | 0x1b => key == 0 && matches!(extras, 0 | 4),
        0x10 => extras == 0,
        0x21 | 0x22 => key > 0 && extras == 0,
        // Ranges and buckets, which hardly anybody implements.
        0x25..=0x48 => extras <= 24,
        _ => false,
    }
}
