//! QUIC versions 1 and 2 (RFC 9000, 9369), their drafts, and Google's QUIC before them, by the
//! first datagrams. What the Initial packets hide is opened by `initial`.

mod initial;

use super::bytes::{Cursor, find, plain_name};
use super::first::{First, Opening};
use super::tls::hello::{Carrier, Hello};
use super::{Detection, Probe, Seen, detector, tls};
use crate::model::Encryption;

detector! {
    Quic: "quic"; Datagram, ports [443, 8443, 853, 784], Encrypted;
    "QUIC: long headers of known versions, the server name inside the Initial packet";
    "RFC 9000, 9001, 9369";
    begins [Opening::client(HEADS), Opening::server(HEADS)]
}

/// First bytes of long headers, and of Google's public ones.
const HEADS: First = First::masked(0x80, 0x80).or(First::masked(0x89, 0x09));

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let long = seen.datagrams().find_map(Long::read);
    match long {
        Some(header) => long_header(seen, &header),
        None => google(seen),
    }
}

fn long_header(seen: &Seen<'_>, header: &Long<'_>) -> Option<Probe> {
    let opened = initial::client_hello(seen.client_datagrams())
        .or_else(|| initial::client_hello(seen.server_datagrams()));
    let why = match &opened {
        Some(_) => "long header of a known version, and a ClientHello inside the Initial packet",
        None => "long header of a known version",
    };
    let mut detection =
        Detection::encrypted("quic", Encryption::Quic, why).with("quic_version", header.version_name());
    if let Some(hello) = &opened {
        detection = describe(detection, hello);
    } else if let Some(name) = google_name(seen.client) {
        detection = detection.with("sni", name);
    }
    detection.certain()
}

fn describe(detection: Detection, hello: &Hello) -> Detection {
    tls::describe_hellos(detection, Some(hello), None, Carrier::Quic)
}

/// A long header (RFC 9000, section 17.2).
pub(super) struct Long<'a> {
    first: u8,
    version: [u8; 4],
    target: &'a [u8],
    /// How long the header is up to here.
    length: usize,
}

impl<'a> Long<'a> {
    /// Fixed bits, a known version, connection ids of at most 20 bytes, and enough behind.
    fn read(datagram: &'a [u8]) -> Option<Long<'a>> {
        let mut cursor = Cursor(datagram);
        let first = cursor.u8()?;
        let version: [u8; 4] = cursor.take(4)?.try_into().ok()?;
        let target = cursor.vector8()?;
        let source = cursor.vector8()?;
        let length = datagram.len() - cursor.0.len();
        let header = Long { first, version, target, length };
        let ids = target.len() <= 20 && source.len() <= 20;
        let negotiation = version == [0; 4] && first & 0x80 != 0 && header.lists_versions(cursor.0);
        let known = header.is_known() && first & 0xc0 == 0xc0 && cursor.0.len() > 16;
        // Google's last versions write both lengths into one byte.
        let google = matches!(version, [b'Q' | b'T', b'0', ..]) && first & 0x80 != 0 && header.is_known();
        // A reserved version is little proof, but only a client's first datagram is this long
        // (RFC 9000, section 14.1).
        let reserved = header.version_name() == "reserved" && datagram.len() < 1_200;
        (((known && !reserved) || negotiation) && ids || google).then_some(header)
    }

    fn is_known(&self) -> bool {
        match self.version {
            [0, 0, 0, 1] | [0x6b, 0x33, 0x43, 0xcf] | [0xff, 0, 0, _] | [0xfa, 0xce, 0xb0, _] => true,
            [b'Q' | b'T', b'0', tens, ones] => tens.is_ascii_digit() && ones.is_ascii_digit(),
            // Reserved to keep version negotiation alive (RFC 9000, section 15).
            [a, b, c, d] => [a, b, c, d].iter().all(|byte| byte & 0x0f == 0x0a),
        }
    }

    fn lists_versions(&self, rest: &[u8]) -> bool {
        let known = |version: &[u8]| {
            matches!(
                version,
                [0, 0, 0, 1] | [0x6b, 0x33, 0x43, 0xcf] | [0xff, 0, 0, _] | [b'Q' | b'T', b'0', ..]
            )
        };
        rest.len() >= 4 && rest.len().is_multiple_of(4) && rest.chunks_exact(4).any(known)
    }

    fn version_name(&self) -> &'static str {
        match self.version {
            [0, 0, 0, 0] => "negotiation",
            [0, 0, 0, 1] => "1",
            [0x6b, 0x33, 0x43, 0xcf] => "2",
            [0xff, 0, 0, _] | [0xfa, 0xce, 0xb0, _] => "draft",
            [b'Q' | b'T', ..] => "google",
            _ => "reserved",
        }
    }
}

/// Google's QUIC up to version 43: flags, connection id, version, packet number; its hello is in
/// the clear and everything behind it is not.
fn google(seen: &Seen<'_>) -> Option<Probe> {
    let hello = |datagram: &[u8]| {
        let mut cursor = Cursor(datagram);
        let flags = cursor.u8()?;
        if flags & 0x80 != 0 || flags & 9 != 9 {
            return None;
        }
        cursor.take(8)?;
        let [b'Q', b'0', tens, ones] = cursor.take(4)? else { return None };
        (tens.is_ascii_digit() && ones.is_ascii_digit() && datagram.len() > 26).then_some(())
    };
    seen.client_datagrams().find_map(hello).or_else(|| seen.server_datagrams().find_map(hello))?;
    let mut detection =
        Detection::encrypted("quic", Encryption::Quic, "public header with a version of Google's QUIC");
    detection = detection.with("quic_version", "google");
    match google_name(seen.client) {
        Some(name) => detection.with("sni", name).certain(),
        None => detection.certain(),
    }
}

/// The server name of a clear hello of Google's QUIC: tags with the ends of their values.
fn google_name(bytes: &[u8]) -> Option<String> {
    let mut cursor = Cursor(bytes.get(find(bytes, b"CHLO")? + 4..)?);
    let count = usize::from(cursor.le16()?);
    cursor.le16()?;
    let mut table = Cursor(cursor.take(count.min(64) * 8)?);
    let mut from = 0;
    while let (Some(tag), Some(until)) = (table.take(4), table.le32()) {
        if tag == b"SNI\0" {
            return plain_name(cursor.0.get(from..until as usize)?);
        }
        from = until as usize;
    }
    None
}
