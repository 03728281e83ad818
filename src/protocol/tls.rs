//! TLS 1.0 to 1.3 and SSL 3 (RFC 8446, 5246, 6101), from the first byte or joined late.
//!
//! Upgrades inside other protocols ask [`judge`] about the bytes behind the upgrade.

use super::bytes::Cursor;
use super::{Detection, Detector, Probe};
use crate::capture::{Flow, StreamStart, Transport};
use crate::model::{Encryption, Proof, Protection, WhyUnknown};

/// TLS over TCP.
pub struct Tls;

impl Detector for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn summary(&self) -> &'static str {
        "TLS: version, server name, ALPN, cipher, whether the client showed a certificate"
    }

    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
        if flow.transport != Transport::Tcp {
            return Probe::NotForUs;
        }
        match judge(&start.forward, &start.backward).or_else(|| judge(&start.backward, &start.forward)) {
            Some(detection) => Probe::Certain(detection),
            None => Probe::NotForUs,
        }
    }
}

/// A TLS record (RFC 8446, section 5.1).
struct Record<'a> {
    kind: u8,
    length: usize,
    body: &'a [u8],
}

/// What a hello says.
#[derive(Default)]
struct Hello {
    version: u16,
    cipher: u16,
    server_name: Option<String>,
    alpn: Vec<String>,
    resumed: bool,
}

const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// The verdict on two directions, `client` first; `None` where this is no TLS.
pub(super) fn judge(client: &[u8], server: &[u8]) -> Option<Detection> {
    let (from_client, from_server) = (records(client), records(server));
    let (client_flight, server_flight) = (handshake(&from_client), handshake(&from_server));
    let client_hello = client_hello(&client_flight);
    let server_hello = server_hello(&server_flight);
    if client_hello.is_none() && server_hello.is_none() {
        return late(&from_client, &from_server);
    }
    let data = |records: &[Record<'_>]| records.iter().any(|r| r.kind == DATA && r.length > 0);
    let alert = |records: &[Record<'_>]| records.iter().any(|r| r.kind == 21);
    let changed = |records: &[Record<'_>]| records.iter().any(|r| r.kind == 20);
    let version = server_hello.as_ref().or(client_hello.as_ref()).map_or(0, |hello| hello.version);
    let certificate = client_certificate(
        version,
        &from_client,
        &from_server,
        &client_flight,
        &server_flight,
        server_hello.as_ref(),
    );
    let mut detection = Detection {
        protocol: "tls",
        protection: Protection::Encrypted(Encryption::Tls),
        why: "handshake seen".to_owned(),
        facts: Vec::new(),
    };
    let cipher = server_hello.as_ref().map_or(0, |hello| hello.cipher);
    if is_null_cipher(cipher) {
        detection.protection = Protection::Plaintext(Proof::NullCipher);
        detection.why = "the agreed cipher does not encrypt".to_owned();
    } else if server_hello.is_none() && !data(&from_client) && !data(&from_server) {
        let why = if server.is_empty() { "a ClientHello without an answer" } else { "the handshake failed" };
        detection.protection = Protection::Unknown(WhyUnknown::HandshakeIncomplete);
        detection.why = why.to_owned();
    } else if alert(&from_server) && !data(&from_client) && !data(&from_server) && !changed(&from_client) {
        detection.protection = Protection::Unknown(WhyUnknown::HandshakeIncomplete);
        detection.why = "the handshake ended with an alert".to_owned();
    } else if certificate == "shown" {
        detection.protection = Protection::Encrypted(Encryption::MutualTls);
        detection.why = "handshake with a client certificate seen".to_owned();
    }
    detection = detection.with("version", version_name(version));
    if let Some(hello) = &client_hello {
        if let Some(name) = &hello.server_name {
            detection = detection.with("sni", name.clone());
        }
        if !hello.alpn.is_empty() {
            detection = detection.with("alpn", hello.alpn.join(","));
        }
    }
    if cipher != 0 {
        detection = detection.with("cipher", format!("0x{cipher:04x}"));
    }
    Some(detection.with("client_certificate", certificate))
}

/// A stream that was joined after its handshake: records must chain, at least two of them.
fn late(client: &[Record<'_>], server: &[Record<'_>]) -> Option<Detection> {
    let chained = |records: &[Record<'_>]| {
        let data = records.iter().filter(|r| r.kind == DATA && r.length >= 17).count();
        data == records.len() && (data >= 2 || (data == 1 && records[0].body.len() == records[0].length))
    };
    let both = chained(client) && chained(server);
    let one = (chained(client) && client.len() >= 2 && server.is_empty())
        || (chained(server) && server.len() >= 2 && client.is_empty());
    (both || one).then(|| Detection {
        protocol: "tls",
        protection: Protection::Encrypted(Encryption::Tls),
        why: "chained application-data records, joined after the handshake".to_owned(),
        facts: vec![("client_certificate", "unknown".to_owned())],
    })
}

/// Records from the first byte on, as far as they make sense; the last may be cut.
fn records(bytes: &[u8]) -> Vec<Record<'_>> {
    let mut found = Vec::new();
    let mut cursor = Cursor(bytes);
    while let Some(head) = cursor.take(5) {
        let (kind, length) = (head[0], usize::from(u16::from_be_bytes([head[3], head[4]])));
        if !(20..=24).contains(&kind) || head[1] != 3 || head[2] > 4 || length > (1 << 14) + 2048 {
            // What follows is no record: then neither is what came before, unless a hello proves it.
            break;
        }
        let body = &cursor.0[..cursor.0.len().min(length)];
        found.push(Record { kind, length, body });
        if cursor.take(length).is_none() {
            break;
        }
    }
    found
}

/// The clear handshake messages of one direction, put together over records.
fn handshake(records: &[Record<'_>]) -> Vec<u8> {
    let clear = records.iter().take_while(|r| r.kind == HANDSHAKE || r.kind == 21);
    clear.filter(|r| r.kind == HANDSHAKE).flat_map(|r| r.body.iter().copied()).collect()
}

/// Messages of a flight: type and body; the last may be cut.
fn messages(flight: &[u8]) -> Vec<(u8, &[u8])> {
    let mut cursor = Cursor(flight);
    let mut found = Vec::new();
    while let (Some(kind), Some(length)) = (cursor.u8(), cursor.u24()) {
        found.push((kind, &cursor.0[..cursor.0.len().min(length)]));
        if cursor.take(length).is_none() {
            break;
        }
    }
    found
}

fn client_hello(flight: &[u8]) -> Option<Hello> {
    let (kind, body) = messages(flight).into_iter().next()?;
    let mut cursor = Cursor(body);
    let version = cursor.u16()?;
    if kind != 1 || version >> 8 != 3 {
        return None;
    }
    cursor.take(32)?;
    if cursor.vector8()?.len() > 32 {
        return None;
    }
    let ciphers = cursor.vector16()?;
    if ciphers.is_empty() || ciphers.len() % 2 != 0 || !cursor.vector8()?.contains(&0) {
        return None;
    }
    let mut hello = Hello { version, ..Hello::default() };
    extensions(cursor, &mut hello);
    Some(hello)
}

fn server_hello(flight: &[u8]) -> Option<Hello> {
    let (kind, body) = messages(flight).into_iter().next()?;
    let mut cursor = Cursor(body);
    let version = cursor.u16()?;
    if kind != 2 || version >> 8 != 3 {
        return None;
    }
    cursor.take(32)?;
    if cursor.vector8()?.len() > 32 {
        return None;
    }
    let cipher = cursor.u16()?;
    cursor.u8()?;
    let mut hello = Hello { version, cipher, ..Hello::default() };
    extensions(cursor, &mut hello);
    Some(hello)
}

/// RFC 8446, section 4.2; a cut list is read as far as it goes.
fn extensions(mut cursor: Cursor<'_>, hello: &mut Hello) {
    cursor.u16();
    while let (Some(kind), Some(body)) = (cursor.u16(), cursor.vector16()) {
        match kind {
            0 => hello.server_name = server_name(body),
            16 => hello.alpn = alpn(body),
            41 => hello.resumed = true,
            43 => hello.version = best_version(body).unwrap_or(hello.version),
            _ => {}
        }
    }
}

fn server_name(body: &[u8]) -> Option<String> {
    let mut list = Cursor(Cursor(body).vector16()?);
    list.u8()?;
    let name = list.vector16()?;
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._".contains(b);
    name.iter().all(plain).then(|| String::from_utf8_lossy(name).into_owned())
}

fn alpn(body: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let Some(list) = Cursor(body).vector16() else { return names };
    let mut list = Cursor(list);
    while let Some(name) = list.vector8() {
        if !name.is_empty() && name.iter().all(u8::is_ascii_graphic) {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    names
}

/// The version of a server, or the best of a client's list without the greased ones (RFC 8701).
fn best_version(body: &[u8]) -> Option<u16> {
    if let [a, b] = body {
        return Some(u16::from_be_bytes([*a, *b]));
    }
    let list = Cursor(body).vector8()?;
    list.chunks_exact(2).map(|v| u16::from_be_bytes([v[0], v[1]])).filter(|v| v >> 8 == 3).max()
}

/// Whether the client showed a certificate: `shown`, `not-shown`, `declined` or `unknown`.
///
/// Up to TLS 1.2 the messages are in the clear. In TLS 1.3 they are not, but a client flight that
/// holds only Finished has the length of the hash and nothing more.
fn client_certificate(
    version: u16,
    client: &[Record<'_>],
    server: &[Record<'_>],
    client_flight: &[u8],
    server_flight: &[u8],
    hello: Option<&Hello>,
) -> &'static str {
    let Some(hello) = hello else { return "unknown" };
    if version <= 0x0303 {
        let requested = messages(server_flight).iter().any(|(kind, _)| *kind == 13);
        let complete = messages(server_flight).iter().any(|(kind, _)| *kind == 14);
        let shown = messages(client_flight).iter().any(|(kind, body)| *kind == 11 && body.len() > 3);
        return match (shown, requested, complete) {
            (true, _, _) => "shown",
            (false, true, _) => "declined",
            (false, false, true) => "not-shown",
            (false, false, false) => "unknown",
        };
    }
    if hello.resumed || !server.iter().any(|r| r.kind == DATA) {
        return "unknown";
    }
    // One byte of content type and sixteen of tag stand around a message of four bytes and a hash.
    let finished = if hello.cipher == 0x1302 { 69 } else { 53 };
    let encrypted: Vec<usize> = client.iter().filter(|r| r.kind == DATA).map(|r| r.length).take(4).collect();
    match encrypted.as_slice() {
        [first, ..] if *first == finished => "not-shown",
        [first, second, ..] if *first == 25 && *second == finished => "declined",
        [first, ..] if *first == finished + 8 => "declined",
        [first, verify, last, ..] if *first >= 150 && *verify >= 80 && *last == finished => "shown",
        [first, last, ..] if *first >= 150 && *last == finished => "shown",
        _ => "unknown",
    }
}

/// Suites that authenticate and do not encrypt.
fn is_null_cipher(cipher: u16) -> bool {
    matches!(cipher, 0x0001 | 0x0002 | 0x003b | 0xc001 | 0xc006 | 0xc00b | 0xc010 | 0xc015 | 0xc0b4 | 0xc0b5)
}

fn version_name(version: u16) -> String {
    match version {
        0x0300 => "SSL3".to_owned(),
        0x0301 => "TLS1.0".to_owned(),
        0x0302 => "TLS1.1".to_owned(),
        0x0303 => "TLS1.2".to_owned(),
        0x0304 => "TLS1.3".to_owned(),
        other => format!("0x{other:04x}"),
    }
}

/// Whether bytes begin with a ClientHello, as an upgrade must.
pub(super) fn begins(bytes: &[u8]) -> bool {
    client_hello(&handshake(&records(bytes))).is_some()
}

/// The verdict behind an upgrade: TLS if both sides go on with it.
pub(super) fn upgraded(protocol: &'static str, client: &[u8], server: &[u8]) -> Option<Detection> {
    let mut detection = judge(client, server)?;
    detection.protocol = protocol;
    if matches!(detection.protection, Protection::Encrypted(Encryption::Tls)) {
        detection.protection = Protection::Encrypted(Encryption::UpgradedTls);
        detection.why = "upgraded to TLS inside the connection".to_owned();
    }
    Some(detection)
}
