//! DTLS 1.0 to 1.3 (RFC 4347, 6347, 9147) over UDP, also where STUN shares the port (RFC 7983).

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::spread::{hold_text_before_a_mac, is_readable, middle, one_is_readable};
use super::tls::certificate::{describe, leaf};
use super::tls::hello::{Carrier, Hello, client_hello, is_null_cipher, is_registered, server_hello};
use super::{Detection, Probe, Seen, detector, tls};
use crate::model::{Encryption, Proof, Protection, WhyUnknown};

detector! {
    Dtls: "dtls"; Datagram, ports [443, 4433, 5684, 853, 3391], Either;
    "DTLS: hellos of both sides, or protected records of a session that was joined late";
    "RFC 9147, 6347, 4347, 7983";
    begins [Opening::client(First::range(20, 26)), Opening::server(First::range(20, 26))]
}

/// The kind of records that hold what applications say.
const DATA: u8 = 23;
/// The kind of records that end a session.
const ALERT: u8 = 21;
/// So many readable bytes are no accident.
const ENOUGH: usize = 24;

/// One record, its fragment of a message still in it.
struct Record<'a> {
    kind: u8,
    epoch: u16,
    body: &'a [u8],
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (ahead, back) = (records(seen.client_datagrams()), records(seen.server_datagrams()));
    if ahead.is_empty() && back.is_empty() {
        return None;
    }
    let (client_messages, server_messages) = (messages(&ahead), messages(&back));
    // Whoever sent the ClientHello is the client, whatever the ports say.
    let reversed = find(&server_messages, 1).is_some() && find(&client_messages, 1).is_none();
    let (client_messages, server_messages) =
        if reversed { (server_messages, client_messages) } else { (client_messages, server_messages) };
    let client = find(&client_messages, 1).and_then(|body| client_hello(body, Carrier::Datagram));
    let server = find(&server_messages, 2).and_then(server_hello);
    let protected = |list: &[Record<'_>]| list.iter().filter(|r| r.epoch > 0 && r.body.len() >= 8).count();
    let (sent, answered) = (protected(&ahead), protected(&back));
    // A nonce that counts stands in front (RFC 6347, section 4.1.2), a tag or a MAC behind.
    let sealed = ahead.iter().chain(&back).filter(|record| record.epoch > 0);
    let bodies = || sealed.clone().map(|record| record.body);
    let data = || sealed.clone().filter(|record| record.kind == DATA).map(|record| record.body);
    let readable = || is_readable(bodies().map(|body| middle(body, 8, 20))) || hold_text_before_a_mac(data);
    let (mut protection, mut why) = verdict(client.as_ref(), server.as_ref(), sent, answered, readable)?;
    let failed = sent + answered == 0 && ahead.iter().chain(&back).any(|record| record.kind == ALERT);
    if matches!(protection, Protection::Encrypted(_)) && failed {
        protection = Protection::Unknown(WhyUnknown::HandshakeIncomplete);
        why = "the handshake ended with an alert";
    }
    if let Some((worse, reason)) = beside(seen, client.as_ref(), server.as_ref()) {
        (protection, why) = (worse, reason);
    }
    let detection = Detection::new("dtls", protection, why);
    let mut detection = tls::describe_hellos(detection, client.as_ref(), server.as_ref(), Carrier::Datagram);
    if let Some(certificate) = find(&server_messages, 11).and_then(leaf) {
        detection = describe(detection, certificate, seen.time);
    }
    if find(&client_messages, 11).is_some_and(|body| body.len() > 3) {
        detection = detection.with("client_certificate", "shown");
    }
    detection.certain()
}

/// What shares the ports with DTLS (RFC 7983): RTP is protected only where that was agreed on, and with
/// a cipher (RFC 5764), and what is none of these may be anything. Text is told for every protocol alike.
fn beside(
    seen: &Seen<'_>,
    client: Option<&Hello>,
    server: Option<&Hello>,
) -> Option<(Protection, &'static str)> {
    const WITHOUT_CIPHER: [u16; 2] = [5, 6];
    const LAST: u16 = 0xfefc;
    let long = || seen.datagrams().filter(|datagram| datagram.len() >= ENOUGH);
    let readable = "DTLS, and datagrams beside it that can be read";
    if one_is_readable(seen.datagrams().filter(is_strange).map(|datagram| middle(datagram, 13, 0))) {
        return Some((Protection::Plaintext(Proof::Text), readable));
    }
    // The last version hides what it chooses.
    let agreed = match server.filter(|hello| hello.version != LAST) {
        Some(hello) => hello.srtp,
        None => client.and_then(|hello| hello.srtp),
    };
    let mut media = long().filter(|datagram| matches!(datagram[0], 128..=191)).peekable();
    let relayed = long().any(|datagram| matches!(datagram[0], 64..=79));
    match agreed {
        Some(profile) if media.peek().is_some() && WITHOUT_CIPHER.contains(&profile) => {
            let why = "DTLS, and RTP beside it under a cipher that does not encrypt";
            Some((Protection::Plaintext(Proof::NullCipher), why))
        }
        None if media.peek().is_some() => match is_readable(media.filter_map(rtp_content)) {
            true => Some((Protection::Plaintext(Proof::Text), readable)),
            false => {
                let why =
                    "DTLS, and what may be RTP beside it, whose protection was not seen to be agreed on";
                Some((Protection::Unknown(WhyUnknown::Ambiguous), why))
            }
        },
        _ if relayed => {
            let why = "DTLS, and channels of TURN beside it, which may carry anything";
            Some((Protection::Unknown(WhyUnknown::Ambiguous), why))
        }
        _ => None,
    }
}

/// Whether a datagram neither begins as a record nor is of those who may share the ports: messages of STUN
/// look for a way and carry nothing, ZRTP agrees on keys, and media are told by themselves.
fn is_strange(datagram: &&[u8]) -> bool {
    let length = |bytes: &[u8]| bytes.get(2..4).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])));
    match datagram {
        [20..=26, 0xfe, 0xfc..=0xff, ..] | [20..=26, 1, 0, ..] => false,
        [0..=3, ..] => length(datagram).is_none_or(|length| length + 20 != datagram.len()),
        [16..=19, ..] => datagram.get(4..8) != Some(b"ZRTP"),
        [64..=79 | 128..=191, ..] => false,
        _ => true,
    }
}

/// What stands behind a header of RTP, its sources and its extension, which are always in the clear (RFC
/// 3550, section 5.3.1; RFC 3711, section 3.1); `None` of RTCP.
fn rtp_content(datagram: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor(datagram);
    let (first, kind) = (cursor.u8()?, cursor.u8()?);
    cursor.take(10 + 4 * usize::from(first & 0x0f))?;
    if first & 0x10 != 0 {
        cursor.u16()?;
        let words = usize::from(cursor.u16()?);
        cursor.take(4 * words)?;
    }
    (!(192..=223).contains(&kind)).then_some(cursor.0)
}

fn verdict(
    client: Option<&Hello>,
    server: Option<&Hello>,
    sent: usize,
    answered: usize,
    readable: impl Fn() -> bool,
) -> Option<(Protection, &'static str)> {
    let encrypted = Protection::Encrypted(Encryption::Dtls);
    match (client, server) {
        (_, Some(hello)) if is_null_cipher(hello.cipher) => {
            Some((Protection::Plaintext(Proof::NullCipher), "the agreed cipher does not encrypt"))
        }
        (_, Some(hello)) if is_registered(hello.cipher) => Some((encrypted, "handshake seen")),
        _ if readable() => {
            let why = "records whose content can be read: their cipher does not encrypt";
            Some((Protection::Plaintext(Proof::NullCipher), why))
        }
        (_, Some(_)) => Some((
            Protection::Unknown(WhyUnknown::Ambiguous),
            "a cipher that no register names, of which nobody knows whether it encrypts",
        )),
        (Some(hello), None) if hello.offers_null_cipher() => Some((
            Protection::Unknown(WhyUnknown::Ambiguous),
            "the client offers ciphers that do not encrypt, and the server's choice was not seen",
        )),
        (Some(_), None) if sent + answered > 0 => Some((encrypted, "a ClientHello and protected records")),
        (Some(_), None) => Some((
            Protection::Unknown(WhyUnknown::HandshakeIncomplete),
            "a ClientHello without a finished handshake",
        )),
        (None, None) if sent > 0 && answered > 0 || sent >= 2 || answered >= 2 => {
            Some((encrypted, "protected records, joined after the handshake"))
        }
        (None, None) => None,
    }
}

/// All records of one direction; datagrams of other protocols on the port are passed over.
fn records<'a>(datagrams: impl Iterator<Item = &'a [u8]>) -> Vec<Record<'a>> {
    let mut found = Vec::new();
    for datagram in datagrams {
        let mut cursor = Cursor(datagram);
        let before = found.len();
        while !cursor.0.is_empty() {
            match record(&mut cursor) {
                Some(record) => found.push(record),
                None => {
                    // A datagram holds whole records and nothing else.
                    found.truncate(before);
                    break;
                }
            }
        }
    }
    found
}

/// RFC 6347, section 4.1: kind, version, epoch, sequence number, length.
fn record<'a>(cursor: &mut Cursor<'a>) -> Option<Record<'a>> {
    let kind = cursor.u8()?;
    let version = cursor.u16()?;
    let epoch = cursor.u16()?;
    cursor.take(6)?;
    let body = cursor.vector16()?;
    let known = (20..=26).contains(&kind) && matches!(version, 0xfeff | 0xfefd | 0xfefc | 0x0100);
    (known && epoch < 64).then_some(Record { kind, epoch, body })
}

/// The clear handshake messages, their fragments put together in order (RFC 6347, section 4.2.3).
fn messages(records: &[Record<'_>]) -> Vec<(u8, Vec<u8>)> {
    let mut found: Vec<(u8, u16, Vec<u8>)> = Vec::new();
    for record in records.iter().filter(|record| record.kind == 22 && record.epoch == 0) {
        let mut cursor = Cursor(record.body);
        while let Some((kind, number, offset, fragment)) = fragment(&mut cursor) {
            match found.iter_mut().find(|(_, known, _)| *known == number) {
                Some((_, _, body)) if body.len() == offset => body.extend_from_slice(fragment),
                None if offset == 0 => found.push((kind, number, fragment.to_vec())),
                _ => {}
            }
        }
    }
    found.into_iter().map(|(kind, _, body)| (kind, body)).collect()
}

fn fragment<'a>(cursor: &mut Cursor<'a>) -> Option<(u8, u16, usize, &'a [u8])> {
    let kind = cursor.u8()?;
    cursor.u24()?;
    let number = cursor.u16()?;
    let offset = cursor.u24()?;
    let length = cursor.u24()?;
    cursor.take(length).map(|body| (kind, number, offset, body))
}

/// The last message of a kind: behind a cookie exchange there are two hellos.
fn find(messages: &[(u8, Vec<u8>)], kind: u8) -> Option<&[u8]> {
    messages.iter().rev().find(|(known, _)| *known == kind).map(|(_, body)| body.as_slice())
}
