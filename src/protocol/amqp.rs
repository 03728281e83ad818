//! AMQP 0-9-1 and 1.0: a header of eight bytes, or frames that end where they say.

use super::bytes::{Cursor, contains};
use super::first::{First, Opening};
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector, tls};
use crate::model::WhyUnknown;

detector! {
    Amqp: "amqp"; Stream, ports [5672], Either;
    "AMQP: protocol header, TLS upgrade of version 1.0, SASL PLAIN, frames of a session joined late";
    "AMQP 0-9-1 section 4.2; OASIS AMQP 1.0 parts 2 and 5";
    begins [Opening::client(First::of(b"A")), Opening::each(First::of(&[1, 2, 3, 8]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    match seen.client {
        [b'A', b'M', b'Q', b'P', 2, 1, 0, 0, rest @ ..] => upgrade(seen, rest),
        [b'A', b'M', b'Q', b'P', 0 | 1 | 3, 0 | 1, 0 | 9, 0 | 1, ..] => {
            clear(seen, "protocol header in the clear")
        }
        [b'A', b'M', b'Q', b'P', 1, 1, ..] => clear(seen, "protocol header in the clear"),
        _ if matches!(seen.fits(chained), Fit::Both | Fit::TheOnlySide) => clear(seen, "frames in the clear"),
        _ => None,
    }
}

/// Both sides send the header with the number of TLS, and a handshake follows.
fn upgrade(seen: &Seen<'_>, client: &[u8]) -> Option<Probe> {
    if client.starts_with(b"AMQP") {
        return clear(seen, "TLS was asked for, and another header followed in the clear");
    }
    let answer = seen.server.strip_prefix(b"AMQP\x02\x01\x00\x00");
    tls::upgraded("amqp", client, answer.unwrap_or(&[]), seen.time)
        .unwrap_or_else(|| {
            let why = "TLS was asked for, and no handshake followed";
            Detection::unclear("amqp", WhyUnknown::HandshakeIncomplete, why)
        })
        .certain()
}

fn clear(seen: &Seen<'_>, why: &'static str) -> Option<Probe> {
    // Start-Ok names the mechanism and carries its answer (section 1.4.2.2), so does sasl-init.
    let plain = contains(seen.client, b"\x05PLAIN\0\0\0") || contains(seen.client, b"\x05PLAIN\xa0");
    Detection::plain("amqp", why).with_credentials(plain.then_some("amqp-plain")).certain()
}

/// Frames of 0-9-1: type, channel, size, content, and the byte that ends them; at least two.
fn chained(bytes: &[u8]) -> bool {
    let mut cursor = Cursor(bytes);
    let mut count = 0;
    while let (Some(kind), Some(_), Some(size)) = (cursor.u8(), cursor.u16(), cursor.u32()) {
        let known = matches!(kind, 1..=3 | 8) && size < 1 << 20;
        match (cursor.take(size as usize), cursor.u8()) {
            (Some(_), Some(0xce)) if known => count += 1,
            (_, None) if known => break,
            _ => return false,
        }
    }
    count >= 2
}
