//! Redis (RESP 2 and 3): arrays of bulk strings from the client, a type byte from the server.

use super::bytes::contains;
use super::{Detection, Detector, Probe};
use crate::capture::{Flow, StreamStart, Transport};

/// Redis.
pub struct Redis;

impl Detector for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn summary(&self) -> &'static str {
        "Redis: RESP commands and replies, AUTH in the clear"
    }

    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
        if flow.transport != Transport::Tcp {
            return Probe::NotForUs;
        }
        let (client, server) = (start.forward.as_slice(), start.backward.as_slice());
        let inline = client.starts_with(b"PING\r\n") || client.starts_with(b"AUTH ");
        if !(is_command(client) || inline) || !(server.is_empty() || is_reply(server)) {
            return Probe::NotForUs;
        }
        let detection = Detection::plain("redis", "RESP commands in the clear");
        let secret = contains(client, b"\r\nAUTH\r\n") || client.starts_with(b"AUTH ");
        Probe::Certain(if secret { detection.with("credentials", "redis-auth") } else { detection })
    }
}

/// `*<count>\r\n$<length>\r\n`.
fn is_command(bytes: &[u8]) -> bool {
    let Some(rest) = number_line(bytes, b'*') else { return false };
    number_line(rest, b'$').is_some()
}

fn is_reply(bytes: &[u8]) -> bool {
    match bytes.first() {
        Some(b'+' | b'-') => contains(&bytes[..bytes.len().min(512)], b"\r\n"),
        Some(kind @ (b'$' | b':' | b'*' | b'%' | b'~')) => number_line(bytes, *kind).is_some(),
        Some(b'_' | b',' | b'#' | b'>') => true,
        _ => false,
    }
}

/// A type byte, a number and a line end; returns what follows.
fn number_line(bytes: &[u8], kind: u8) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&[kind])?;
    let end = rest.iter().take(12).position(|b| *b == b'\r')?;
    let digits = rest[..end].strip_prefix(b"-").unwrap_or(&rest[..end]);
    let number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    rest[end..].strip_prefix(b"\r\n").filter(|_| number)
}
