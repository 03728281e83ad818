//! HTTP/2 in the clear with prior knowledge (RFC 9113), and gRPC inside it.

use super::bytes::{Cursor, contains, plain_name};
use super::first::{First, Opening};
use super::hpack::Reader;
use super::seen::Fit;
use super::{Detection, Probe, Seen, credentials, detector, http};

detector! {
    Http2: "http2", also ["grpc"]; Stream, ports [8080, 50051, 2379, 4317], Clear;
    "HTTP/2 in the clear: preface or chained frames, host and credentials in headers, gRPC";
    "RFC 9113, 7541; gRPC over HTTP2";
    begins [Opening::client(First::of(b"P")), Opening::each(First::of(&[0, 1]))]
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
/// More frames than this are not looked into.
const MOST_FRAMES: usize = 64;

/// One frame (RFC 9113, section 4.1); the last may be cut.
struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    body: &'a [u8],
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    // A server that was asked over HTTP/1 goes over to HTTP/2 as well (h2c).
    let client = seen.client.strip_prefix(PREFACE);
    let why = match client {
        Some(_) => "connection preface in the clear",
        None if seen.client.is_empty() && is_settings(seen.server) => "server settings in the clear",
        None if matches!(seen.fits(chained), Fit::Both | Fit::TheOnlySide) => "chained frames in the clear",
        None => return None,
    };
    let sent = frames(client.unwrap_or(seen.client)).unwrap_or_default();
    let answered = frames(seen.server).unwrap_or_default();
    let (requests, answers) = (headers(&sent), headers(&answered));
    let all = || requests.iter().chain(&answers);
    let value =
        |wanted: &str| requests.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let named = all().any(|(name, value)| name == "content-type" && value.starts_with("application/grpc"));
    // Where a field is not readable, for it stands in a table of an earlier block, the messages tell.
    let grpc = named || contains(seen.client, b"application/grpc") || messages(&sent) && messages(&answered);
    let mut detection = Detection::plain(if grpc { "grpc" } else { "http2" }, why);
    if let Some(host) = value(":authority").and_then(|host| http::host(host.as_bytes())) {
        detection = detection.with("host", host);
    }
    let service = value(":path").filter(|_| grpc).and_then(|path| path.split('/').nth(1));
    if let Some(service) = service.and_then(|service| plain_name(service.as_bytes())) {
        detection = detection.with("service", service);
    }
    let secret = requests.iter().find_map(|(name, value)| credentials::in_header(name, value));
    detection.with_credentials(secret).certain()
}

/// The first frame of a server: SETTINGS on stream 0.
fn is_settings(server: &[u8]) -> bool {
    let Some(frames) = frames(server) else { return false };
    matches!(frames.first(), Some(Frame { kind: 4, flags: 0, stream: 0, body }) if body.len().is_multiple_of(6))
        && (frames.len() > 1 || server.len() >= 15)
}

/// Frames of a connection that was joined late: at least three, to the end.
fn chained(bytes: &[u8]) -> bool {
    frames(bytes).is_some_and(|frames| frames.len() >= 3)
}

/// All frames, `None` where something else stands between them.
fn frames(bytes: &[u8]) -> Option<Vec<Frame<'_>>> {
    let mut cursor = Cursor(bytes);
    let mut found = Vec::new();
    while found.len() < MOST_FRAMES {
        let (Some(length), Some(kind), Some(flags), Some(stream)) =
            (cursor.u24(), cursor.u8(), cursor.u8(), cursor.u32())
        else {
            break;
        };
        if kind > 9 || length > 1 << 16 || stream >> 31 != 0 || !fits(kind, length, stream) {
            return None;
        }
        let body = &cursor.0[..cursor.0.len().min(length)];
        found.push(Frame { kind, flags, stream, body });
        if cursor.take(length).is_none() {
            break;
        }
    }
    Some(found)
}

/// Lengths and streams that section 6 prescribes.
fn fits(kind: u8, length: usize, stream: u32) -> bool {
    match kind {
        2 => length == 5 && stream != 0,
        3 => length == 4 && stream != 0,
        4 => length.is_multiple_of(6) && stream == 0,
        6 => length == 8 && stream == 0,
        7 => length >= 8 && stream == 0,
        8 => length == 4,
        _ => stream != 0,
    }
}

/// The headers of all blocks, in order; padding and priority are cut off (section 6.2).
fn headers(frames: &[Frame<'_>]) -> Vec<(String, String)> {
    let mut reader = Reader::default();
    let mut found = Vec::new();
    for frame in frames.iter().filter(|frame| frame.kind == HEADERS) {
        let mut cursor = Cursor(frame.body);
        let padding = if frame.flags & 8 != 0 { cursor.u8().map_or(0, usize::from) } else { 0 };
        if frame.flags & 0x20 != 0 && cursor.take(5).is_none() {
            continue;
        }
        let block = &cursor.0[..cursor.0.len().saturating_sub(padding)];
        found.extend(reader.block(block));
    }
    found
}

/// Length-prefixed messages of gRPC in DATA: a flag of 0 or 1, and the length of what follows.
fn messages(frames: &[Frame<'_>]) -> bool {
    let mut data = frames.iter().filter(|frame| frame.kind == DATA && !frame.body.is_empty()).peekable();
    data.peek().is_some()
        && data.all(|frame| {
            let mut cursor = Cursor(frame.body);
            let flag = cursor.u8();
            flag.is_some_and(|flag| flag <= 1)
                && cursor.u32().is_some_and(|length| length as usize == cursor.0.len())
        })
}
