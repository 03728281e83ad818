//! Redis (RESP 2 and 3): arrays of bulk strings from the client, a type byte from the server.

use super::bytes::{contains, is_text, line_ends, starts_with_any};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};
use crate::capture::{Exchange, Speaker, StillWanted};

detector! {
    Redis: "redis"; Stream, ports [6379, 6380, 26379], Clear;
    "Redis and its kin: RESP commands and replies, AUTH in the clear";
    "Redis documentation, serialization protocol specification";
    begins [
        Opening::both(First::of(b"*PAISpais").or_silence(), First::of(REPLIES)),
        Opening::both(First::of(b"*"), First::SILENCE),
        Opening::server(First::of(REPLIES)).hinted()
    ];
    until heard
}

/// What a reply can begin with.
const REPLIES: &[u8] = b"+-$:*%~>|_,#(";

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (client, server) = (seen.client, seen.server);
    let inline = starts_with_any(client, &[b"PING\r\n", b"AUTH ", b"INFO\r\n", b"SELECT "]);
    let asks = is_command(client) || inline && !server.is_empty();
    let answers = is_reply(server);
    let fits = match (client.is_empty(), server.is_empty()) {
        (false, true) => asks && !inline,
        (true, false) => {
            is_command(server) || matches!(server.first(), Some(b'$' | b'*')) && answers && seen.hinted(PORTS)
        }
        // On its port, any line that is met with a reply.
        _ => answers && (asks || seen.hinted(PORTS) && is_text(client)),
    };
    if !fits {
        return None;
    }
    let secret = shows_secret(client);
    let detection = Detection::plain("redis", "RESP commands in the clear");
    detection.with_credentials(secret.then_some("redis-auth")).certain()
}

/// Of replies nothing but the first is asked for, of commands whether one of them shows a password.
fn heard(exchange: &Exchange<'_>) -> StillWanted {
    match is_reply(exchange.called) && is_command(exchange.caller) {
        true if shows_secret(exchange.caller) => StillWanted::Nothing,
        true if exchange.speaker == Speaker::Called => StillWanted::TheOther,
        _ => StillWanted::Both,
    }
}

fn shows_secret(client: &[u8]) -> bool {
    contains(client, b"\r\nAUTH\r\n") || client.starts_with(b"AUTH ")
}

/// `*<count>\r\n$<length>\r\n`.
fn is_command(bytes: &[u8]) -> bool {
    number_line(bytes, b'*').is_some_and(|rest| number_line(rest, b'$').is_some())
}

fn is_reply(bytes: &[u8]) -> bool {
    match bytes.first() {
        Some(b'+' | b'-') => has_line(bytes, 512),
        Some(kind @ (b'$' | b':' | b'*' | b'%' | b'~' | b'>' | b'|')) => number_line(bytes, *kind).is_some(),
        Some(b'_' | b',' | b'#' | b'(') => has_line(bytes, 64),
        _ => false,
    }
}

/// Whether a line ends within so many bytes.
fn has_line(bytes: &[u8], most: usize) -> bool {
    line_ends(&bytes[..bytes.len().min(most)]).any(|(returned, _)| returned)
}

/// A type byte, a number and a line end; returns what follows.
fn number_line(bytes: &[u8], kind: u8) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&[kind])?;
    let end = rest.iter().take(12).position(|b| *b == b'\r')?;
    let digits = rest[..end].strip_prefix(b"-").unwrap_or(&rest[..end]);
    let number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    rest[end..].strip_prefix(b"\r\n").filter(|_| number)
}
