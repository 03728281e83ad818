//! The PROXY protocol of load balancers: a header in front of whatever follows, which is judged.

use super::bytes::{Cursor, first_line, plain_name};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector, judge};

detector! {
    Proxy: "proxy"; Stream, ports [], Either;
    "The PROXY protocol: its header is taken off, and what follows is judged";
    "HAProxy, The PROXY protocol, versions 1 and 2";
    begins [Opening::client(First::of(b"P\r"))]
}

const SECOND: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (rest, source) = first(seen.client).or_else(|| second(seen.client))?;
    let detection = match seen.inside(rest, seen.server).filter(Seen::has_payload) {
        Some(inner) => judge(&inner),
        None => Detection::plain("proxy", "a header in the clear, and nothing behind it"),
    };
    let detection = detection.with("proxy_protocol", "present");
    match source.and_then(plain_name) {
        Some(source) => detection.with("proxied_for", source).certain(),
        None => detection.certain(),
    }
}

/// `PROXY TCP4 source target port port`, a line of at most 107 bytes.
fn first(client: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let line = first_line(client.starts_with(b"PROXY ").then_some(client)?);
    let words: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let known =
        words.len() >= 2 && words[0] == b"PROXY" && matches!(words[1], b"TCP4" | b"TCP6" | b"UNKNOWN");
    let rest = client.get(line.len()..)?.strip_prefix(b"\r\n")?;
    (known && line.len() <= 105).then(|| (rest, words.get(2).copied()))
}

/// A signature, version and command, family, length.
fn second(client: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let mut cursor = Cursor(client.strip_prefix(SECOND)?);
    let version = cursor.u8()?;
    cursor.u8()?;
    cursor.vector16()?;
    (version >> 4 == 2).then_some((cursor.0, None))
}
