//! Network block devices: the server names itself, the client asks for options, and one of them is
//! TLS, which both go over to when the server has acknowledged it.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector, tls};
use crate::model::WhyUnknown;

detector! {
    Nbd: "nbd"; Stream, ports [10809], Either;
    "NBD: the greeting of the server, options, TLS behind the one that asks for it";
    "NBD protocol, Newstyle negotiation and TLS";
    begins [Opening::server(First::of(b"N"))]
}

/// The greeting, and what follows where options are negotiated.
const GREETING: &[u8] = b"NBDMAGIC";
const OPTIONS: &[u8] = b"IHAVEOPT";
/// What follows where they are not.
const OLD_STYLE: &[u8] = &[0, 0, 0x42, 2, 0x81, 0x86, 0x12, 0x53];
/// The mark of a reply to an option.
const REPLY: &[u8] = &[0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9];

const STARTTLS: u32 = 5;
const ACKNOWLEDGED: u32 = 1;

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let style = seen.server.strip_prefix(GREETING)?;
    let clear = || Detection::plain("nbd", "negotiation in the clear").certain();
    let Some(negotiated) = style.strip_prefix(OPTIONS) else {
        return style.starts_with(OLD_STYLE).then(clear)?;
    };
    let Some(behind) = behind_starttls(seen.client) else { return clear() };
    let reply = reply_to_starttls(negotiated);
    if tls::begins(behind) {
        let answer = reply.map_or(&[][..], |(_, answer)| answer);
        return tls::upgraded("nbd", behind, answer, seen.time)?.certain();
    }
    if behind.is_empty() && reply.is_none_or(|(kind, _)| kind == ACKNOWLEDGED) {
        let why = "the client asks for TLS, and no handshake was seen";
        return Detection::unclear("nbd", WhyUnknown::HandshakeIncomplete, why).certain();
    }
    clear()
}

/// What the client sends behind the option that asks for TLS.
fn behind_starttls(client: &[u8]) -> Option<&[u8]> {
    // Its flags come first.
    let mut cursor = Cursor(client.get(4..)?);
    loop {
        let marked = cursor.take(OPTIONS.len())? == OPTIONS;
        let (option, length) = (cursor.u32()?, cursor.u32()?);
        cursor.take(length as usize)?;
        match (marked, option) {
            (false, _) => return None,
            (true, STARTTLS) => return Some(cursor.0),
            (true, _) => {}
        }
    }
}

/// The kind of the server's reply to that option, and what follows.
fn reply_to_starttls(server: &[u8]) -> Option<(u32, &[u8])> {
    // Its flags come first.
    let mut cursor = Cursor(server.get(2..)?);
    loop {
        let marked = cursor.take(REPLY.len())? == REPLY;
        let (option, kind, length) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        cursor.take(length as usize)?;
        match (marked, option) {
            (false, _) => return None,
            (true, STARTTLS) => return Some((kind, cursor.0)),
            (true, _) => {}
        }
    }
}
