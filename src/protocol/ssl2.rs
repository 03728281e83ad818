//! SSL 2 alone: a hello of its form that is answered in its form. What a newer server answers is told
//! by `tls`, which passes the old hello over.
//!
//! It names its ciphers in the clear and encrypts, badly: RFC 6176 forbids it.

use super::bytes::{Cursor, is_text};
use super::first::{First, Opening};
use super::spread::{is_readable, middle};
use super::{Detection, Probe, Seen, detector};
use crate::capture::STREAM_BYTES;
use crate::model::{Encryption, Proof, Protection, WhyUnknown};

detector! {
    Ssl2: "ssl2"; Stream, ports [443], Either;
    "SSL 2: hellos of both sides, the cipher that the client takes, and whether what follows is in records";
    "draft-hickman-netscape-ssl-00, RFC 6176";
    begins [Opening::both(LONG_LENGTH, LONG_LENGTH.or_silence())]
}

/// The first byte of a length of two bytes.
const LONG_LENGTH: First = First::masked(0x80, 0x80);
/// The length of the MAC in front of what a record holds.
const MAC: usize = 16;

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let mut client = Cursor(seen.client);
    let version = client_hello(record(&mut client)?)?;
    if seen.server.is_empty() {
        let why = "a hello of SSL 2 without an answer";
        let asked = Detection::unclear("ssl2", WhyUnknown::HandshakeIncomplete, why);
        return (version == VERSION).then_some(asked)?.certain();
    }
    let mut server = Cursor(seen.server);
    let answer = record(&mut server)?;
    let (protection, why, cipher) = match server_hello(answer) {
        Some(hello) => verdict(seen, hello, client.0, server.0),
        None if is_error(answer) => {
            (Protection::Unknown(WhyUnknown::HandshakeIncomplete), "the server of SSL 2 refused", None)
        }
        None => return None,
    };
    Detection::new("ssl2", protection, why)
        .with_some("cipher", cipher.map(|cipher| format!("{cipher:#08x}")))
        .with("version", "SSL2")
        .with_some("weak_cipher", cipher.and_then(weakness))
        .certain()
}

const VERSION: u16 = 2;

/// What a server says of the session.
struct ServerHello {
    /// It goes on with the keys of an earlier one, whose cipher is not named again.
    resumed: bool,
}

fn verdict(
    seen: &Seen<'_>,
    hello: ServerHello,
    client: &[u8],
    server: &[u8],
) -> (Protection, &'static str, Option<u32>) {
    let mut client = Cursor(client);
    let cipher = match hello.resumed {
        true => None,
        false => match record(&mut client).and_then(master_key) {
            Some(cipher) => Some(cipher),
            None => {
                let why = "hellos of SSL 2, and no key behind them";
                return (Protection::Unknown(WhyUnknown::HandshakeIncomplete), why, None);
            }
        },
    };
    let sides = [client.0, server].map(|bytes| inside(bytes, seen));
    let (protection, why) = match cipher {
        Some(0) => (Protection::Plaintext(Proof::NullCipher), "SSL 2 with a cipher that does not encrypt"),
        _ if sides.contains(&Inside::Text) => {
            (Protection::Plaintext(Proof::Text), "a handshake of SSL 2, and text behind it")
        }
        _ if sides.contains(&Inside::Strange) => {
            (Protection::Unknown(WhyUnknown::Ambiguous), "what followed the records of SSL 2 is none")
        }
        _ if sides == [Inside::Nothing; 2] => (
            Protection::Unknown(WhyUnknown::HandshakeIncomplete),
            "a handshake of SSL 2 that nothing followed",
        ),
        Some(cipher) if weakness(cipher).is_none() => (
            Protection::Unknown(WhyUnknown::Ambiguous),
            "a cipher of SSL 2 that nobody knows, of which nobody knows whether it encrypts",
        ),
        _ => (
            Protection::Encrypted(Encryption::Tls),
            "SSL 2, which is broken: whoever is on the way may get in",
        ),
    };
    (protection, why, cipher)
}

/// What stands behind the handshake of a side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Records,
    Text,
    Strange,
}

fn inside(bytes: &[u8], seen: &Seen<'_>) -> Inside {
    let mut cursor = Cursor(bytes);
    let mut bodies = Vec::new();
    while !cursor.0.is_empty() {
        let before = cursor.0;
        match record(&mut cursor) {
            Some(body) if body.len() > MAC => bodies.push(body),
            Some(_) => return Inside::Strange,
            // The last one may have been cut; nothing else ends in the middle.
            None => {
                bodies.push(before.get(3..).unwrap_or(&[]));
                let cut = bytes.len() + MAC >= STREAM_BYTES || seen.cut || seen.holes;
                if !cut && !bodies.iter().any(|body| says(body)) {
                    return Inside::Strange;
                }
                break;
            }
        }
    }
    match () {
        () if bodies.is_empty() => Inside::Nothing,
        () if bodies.iter().any(|body| says(body))
            || is_readable(bodies.iter().map(|body| middle(body, MAC, 0))) =>
        {
            Inside::Text
        }
        () => Inside::Records,
    }
}

/// Whether what should be cipher text is text, in front or behind what may be a MAC.
fn says(body: &[u8]) -> bool {
    const ENOUGH: usize = 12;
    let text = |bytes: &[u8]| bytes.len() >= ENOUGH && is_text(&bytes[..bytes.len().min(32)]);
    text(body) || text(middle(body, MAC, 0))
}

/// A record behind its length, of two bytes or, with padding, of three.
fn record<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let mut at = *cursor;
    let first = at.u8()?;
    let low = usize::from(at.u8()?);
    let body = match first & 0x80 {
        0 => {
            let padding = usize::from(at.u8()?);
            let body = at.take(usize::from(first & 0x3f) << 8 | low)?;
            // A block cipher pads up to one block.
            (padding < 8 && padding < body.len()).then_some(body)?
        }
        _ => at.take(usize::from(first & 0x7f) << 8 | low)?,
    };
    *cursor = at;
    Some(body)
}

/// The version of a hello: its three lists fill it.
fn client_hello(message: &[u8]) -> Option<u16> {
    let mut cursor = Cursor(message);
    let (kind, version) = (cursor.u8()?, cursor.u16()?);
    let [ciphers, session, challenge] = [cursor.u16()?, cursor.u16()?, cursor.u16()?].map(usize::from);
    let fits = kind == 1
        && (version == VERSION || (0x0300..=0x0303).contains(&version))
        && ciphers > 0
        && ciphers.is_multiple_of(3)
        && matches!(session, 0 | 16)
        && (16..=32).contains(&challenge)
        && cursor.0.len() == ciphers + session + challenge;
    fits.then_some(version)
}

fn server_hello(message: &[u8]) -> Option<ServerHello> {
    let mut cursor = Cursor(message);
    let (kind, resumed, _certificate, version) = (cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u16()?);
    let [certificate, ciphers, session] = [cursor.u16()?, cursor.u16()?, cursor.u16()?].map(usize::from);
    let fits = kind == 4
        && resumed <= 1
        && version == VERSION
        && ciphers.is_multiple_of(3)
        && (16..=32).contains(&session)
        && cursor.0.len() == certificate + ciphers + session;
    fits.then_some(ServerHello { resumed: resumed == 1 })
}

/// The cipher that the client takes.
fn master_key(message: &[u8]) -> Option<u32> {
    let mut cursor = Cursor(message);
    let (kind, cipher) = (cursor.u8()?, cursor.u24()?);
    let lengths = [cursor.u16()?, cursor.u16()?, cursor.u16()?].map(usize::from);
    (kind == 2 && cursor.0.len() == lengths.iter().sum::<usize>()).then_some(cipher as u32)
}

/// No cipher, no certificate, or one that is not liked.
fn is_error(message: &[u8]) -> bool {
    matches!(message, [0, 0, 1 | 2 | 4 | 6])
}

/// Of each cipher that is known, what is weak: the version is, whatever the cipher.
fn weakness(cipher: u32) -> Option<&'static str> {
    match cipher {
        0x01_0080 => Some("rc4"),
        0x02_0080 | 0x04_0080 | 0x08_0080 => Some("export"),
        0x03_0080 => Some("rc2"),
        0x05_0080 => Some("idea"),
        0x06_0040 => Some("des"),
        0x07_00c0 => Some("3des"),
        _ => None,
    }
}
