//! PostgreSQL (protocol 3.0): startup in the clear, or an upgrade to TLS and its refusal.

use super::bytes::Cursor;
use super::{Detection, Detector, Probe, tls};
use crate::capture::{Flow, StreamStart, Transport};
use crate::model::{Proof, Protection, WhyUnknown};

/// PostgreSQL.
pub struct Postgresql;

/// Request codes of the first message, where a version would stand.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;
const VERSION_3: u32 = 196_608;

impl Detector for Postgresql {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    fn summary(&self) -> &'static str {
        "PostgreSQL: startup, TLS upgrade and its refusal, passwords in the clear"
    }

    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
        match flow.transport {
            Transport::Tcp => probe(&start.forward, &start.backward).map_or(Probe::NotForUs, Probe::Certain),
            _ => Probe::NotForUs,
        }
    }
}

fn probe(client: &[u8], server: &[u8]) -> Option<Detection> {
    let mut cursor = Cursor(client);
    let (length, code) = (cursor.u32()?, cursor.u32()?);
    match code {
        SSL_REQUEST | GSS_REQUEST if length == 8 => match server.first() {
            Some(b'S') if code == SSL_REQUEST => Some(
                tls::upgraded("postgresql", cursor.0, &server[1..])
                    .unwrap_or_else(|| unfinished("TLS was agreed, and no handshake followed")),
            ),
            Some(b'N') => match cursor.0 {
                [] => Some(unfinished("TLS was refused, and the client went away")),
                // A refused GSS request may be followed by one for TLS.
                rest => probe(rest, &server[1..]).map(|detection| refused(code, detection)),
            },
            Some(_) => Some(unfinished("the answer to the request for encryption is no answer")),
            None => Some(unfinished("a request for encryption without an answer")),
        },
        CANCEL if length == 16 => Some(Detection::plain("postgresql", "a cancel request in the clear")),
        VERSION_3 if (10..10_000).contains(&length) && super::bytes::contains(cursor.0, b"user\0") => {
            let rest = client.get(length as usize..).unwrap_or(&[]);
            Some(startup(rest, server))
        }
        _ => None,
    }
}

fn refused(code: u32, detection: Detection) -> Detection {
    match (code, detection.protection) {
        (SSL_REQUEST, Protection::Plaintext(_)) => Detection {
            protection: Protection::Plaintext(Proof::UpgradeRefused),
            why: "the server refused TLS, and the startup followed in the clear".to_owned(),
            ..detection
        },
        _ => detection,
    }
}

fn unfinished(why: &str) -> Detection {
    Detection {
        protocol: "postgresql",
        protection: Protection::Unknown(WhyUnknown::HandshakeIncomplete),
        why: why.to_owned(),
        facts: Vec::new(),
    }
}

/// The startup is clear; how the password travels is told by the server's request.
fn startup(client: &[u8], server: &[u8]) -> Detection {
    let detection = Detection::plain("postgresql", "startup message in the clear").with("user", "present");
    match (server, client.first()) {
        ([b'R', 0, 0, 0, 8, 0, 0, 0, 3, ..], Some(b'p')) => {
            detection.with("credentials", "postgresql-password")
        }
        _ => detection,
    }
}
