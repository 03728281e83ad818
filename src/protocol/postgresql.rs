//! PostgreSQL (protocol 3.0): startup in the clear, an upgrade to TLS and its refusal, or messages
//! of a session that was joined late.

use super::bytes::{Cursor, contains};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector, tls};
use crate::capture::{Exchange, Speaker, StillWanted};
use crate::model::{Encryption, Proof, Protection, WhyUnknown};

detector! {
    Postgresql: "postgresql"; Stream, ports [5432, 6432, 5433, 26257], Either;
    "PostgreSQL: startup, TLS upgrade and its refusal, passwords in the clear";
    "PostgreSQL documentation, Frontend/Backend Protocol";
    begins [
        Opening::client(First::of(&[0])),
        Opening::both(First::of(ASKS).or_silence(), First::of(ANSWERS).or_silence())
    ];
    until heard
}

/// Request codes of the first message, where a version would stand.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

/// The message with which a server asks for a password in the clear.
const PASSWORD_ASKED: &[u8] = &[b'R', 0, 0, 0, 8, 0, 0, 0, 3];

/// Kinds of messages of a session.
const ASKS: &[u8] = b"QPBEDSCXFpHdcf";
const ANSWERS: &[u8] = b"RSKZTDCEN12st3nIGWHVdcA";

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    match opening(seen, seen.client, seen.server) {
        Some(detection) => detection.certain(),
        None => session(seen),
    }
}

fn opening(seen: &Seen<'_>, client: &[u8], server: &[u8]) -> Option<Detection> {
    let mut cursor = Cursor(client);
    let (length, code) = (cursor.u32()?, cursor.u32()?);
    match code {
        SSL_REQUEST | GSS_REQUEST if length == 8 => match server.first() {
            Some(b'S') if code == SSL_REQUEST => Some(
                tls::upgraded("postgresql", cursor.0, &server[1..], seen.time)
                    .or_else(|| opening(seen, cursor.0, &server[1..]).map(not_used))
                    .unwrap_or_else(|| unfinished("TLS was agreed, and no handshake followed")),
            ),
            Some(b'G') if code == GSS_REQUEST && wrapped(cursor.0) => {
                let why = "GSSAPI encryption was agreed, and packets of it followed";
                Some(Detection::encrypted("postgresql", Encryption::Own, why))
            }
            Some(b'G') if code == GSS_REQUEST => {
                Some(opening(seen, cursor.0, &server[1..]).map(not_used).unwrap_or_else(|| {
                    unfinished("GSSAPI encryption was agreed, and nothing of it followed")
                }))
            }
            Some(b'N') => match cursor.0 {
                [] => Some(unfinished("TLS was refused, and the client went away")),
                // A refused GSS request may be followed by one for TLS.
                rest => opening(seen, rest, &server[1..]).map(|detection| refused(code, detection)),
            },
            // An old server answers with an error message in the clear.
            Some(b'E') => Some(Detection::plain("postgresql", "the request for TLS was met with an error")),
            Some(_) => Some(unfinished("the answer to the request for encryption is no answer")),
            // Where only the client was seen, what it says next tells what it was answered.
            None => Some(
                tls::upgraded("postgresql", cursor.0, &[], seen.time)
                    .or_else(|| opening(seen, cursor.0, &[]).map(not_used))
                    .unwrap_or_else(|| unfinished("a request for encryption without an answer")),
            ),
        },
        CANCEL if length == 16 => Some(Detection::plain("postgresql", "a cancel request in the clear")),
        code if is_startup(length, code, cursor.0) => {
            let rest = client.get(length as usize..).unwrap_or(&[]);
            Some(startup(rest, server))
        }
        _ => None,
    }
}

/// Whether the first message of a client is a startup: a version, and parameters, the user among them.
fn is_startup(length: u32, version: u32, parameters: &[u8]) -> bool {
    (0x0003_0000..=0x0003_0009).contains(&version)
        && (10..10_000).contains(&length)
        && contains(parameters, b"user\0")
}

/// Behind a startup in the clear, the server's first message asks for a password or does not, and the
/// client's next one may be it; nothing else is asked for.
fn heard(exchange: &Exchange<'_>) -> StillWanted {
    let (client, server) = (exchange.caller, exchange.called);
    if server.len() < PASSWORD_ASKED.len() || !server.starts_with(&PASSWORD_ASKED[..1]) {
        return StillWanted::Both;
    }
    let mut cursor = Cursor(client);
    let begins = cursor.u32().zip(cursor.u32());
    let started = begins.filter(|(length, version)| is_startup(*length, *version, cursor.0));
    let Some((length, _)) = started else { return StillWanted::Both };
    match server.starts_with(PASSWORD_ASKED) && client.len() <= length as usize {
        false => StillWanted::Nothing,
        true if exchange.speaker == Speaker::Called => StillWanted::TheOther,
        true => StillWanted::Both,
    }
}

/// Packets of GSSAPI encryption: a length and a token, the first of which names its mechanism (RFC
/// 2743, section 3.1). A startup begins with a length as well.
fn wrapped(client: &[u8]) -> bool {
    const INITIAL_TOKEN: u8 = 0x60;
    let mut cursor = Cursor(client);
    cursor.u32().is_some_and(|length| (1..=16_384).contains(&length)) && cursor.u8() == Some(INITIAL_TOKEN)
}

/// A startup in the clear behind a request for encryption.
fn not_used(detection: Detection) -> Detection {
    match detection.protection {
        Protection::Plaintext(_) => Detection {
            protection: Protection::Plaintext(Proof::UpgradeRefused),
            why: "TLS was asked for, and the startup followed in the clear".into(),
            ..detection
        },
        _ => detection,
    }
}

fn refused(code: u32, detection: Detection) -> Detection {
    match (code, detection.protection) {
        (SSL_REQUEST, Protection::Plaintext(_)) => Detection {
            protection: Protection::Plaintext(Proof::UpgradeRefused),
            why: "the server refused TLS, and the startup followed in the clear".into(),
            ..detection
        },
        _ => detection,
    }
}

fn unfinished(why: &'static str) -> Detection {
    Detection::unclear("postgresql", WhyUnknown::HandshakeIncomplete, why)
}

/// The startup is clear; how the password travels is told by the server's request.
fn startup(client: &[u8], server: &[u8]) -> Detection {
    let detection = Detection::plain("postgresql", "startup message in the clear").with("user", "present");
    let sent = server.starts_with(PASSWORD_ASKED) && client.first() == Some(&b'p');
    detection.with_credentials(sent.then_some("postgresql-password"))
}

/// Messages of both sides must chain; of one side alone, several of them.
fn session(seen: &Seen<'_>) -> Option<Probe> {
    let asks = chained(seen.client, ASKS);
    let answers = chained(seen.server, ANSWERS);
    let enough = match (asks, answers) {
        (Some(_), Some(_)) => true,
        (Some(count), None) => seen.server.is_empty() && count >= 3,
        (None, Some(count)) => seen.client.is_empty() && count >= 3,
        (None, None) => false,
    };
    if !enough {
        return None;
    }
    Detection::plain("postgresql", "messages of a session in the clear").certain_if(seen.hinted(PORTS))
}

/// How many messages chain: a known type, and a length that holds itself (four bytes and more).
fn chained(bytes: &[u8], kinds: &[u8]) -> Option<usize> {
    let mut cursor = Cursor(bytes);
    let mut count = 0;
    while let Some(kind) = cursor.u8() {
        let Some(length) = cursor.u32() else { break };
        if !kinds.contains(&kind) || !(4..1 << 24).contains(&length) {
            return None;
        }
        count += 1;
        if cursor.take(length as usize - 4).is_none() {
            break;
        }
    }
    (count > 0).then_some(count)
}
