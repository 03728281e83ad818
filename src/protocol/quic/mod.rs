//! QUIC versions 1 and 2 (RFC 9000, 9369), their drafts, and Google's QUIC before them, by the
//! first datagrams. What the Initial packets hide is opened by `initial`.

mod initial;

use super::bytes::{Cursor, find, plain_name};
use super::first::{First, Opening};
use super::spread::{is_readable, middle, once, one_is_readable};
use super::tls::hello::{Carrier, Hello};
use super::{Detection, Probe, Seen, detector, tls};
use crate::model::{Encryption, Proof, Protection, WhyUnknown};
use initial::{Keys, Opened};

detector! {
    Quic: "quic"; Datagram, ports [443, 8443, 853, 784], Either;
    "QUIC: long headers of known versions, the server name inside the Initial packet, and what is no QUIC beside them";
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
    let client = initial::open_all(seen.client_datagrams());
    let opened = if client.any { client } else { initial::open_all(seen.server_datagrams()) };
    let (protection, why) = verdict(seen, &opened);
    let mut detection = Detection::new("quic", protection, why).with("quic_version", header.version_name());
    if let Some(hello) = &opened.hello {
        detection = describe(detection, hello);
    } else if let Some(name) = google_name(seen.client) {
        detection = detection.with("sni", name);
    }
    detection.certain()
}

fn verdict(seen: &Seen<'_>, opened: &Opened) -> (Protection, &'static str) {
    let unknown = |why, what| (Protection::Unknown(why), what);
    match () {
        () if beside(seen) => {
            (Protection::Plaintext(Proof::Text), "QUIC, and datagrams beside it that can be read")
        }
        () if !opened.any && only_asks(seen) => unknown(
            WhyUnknown::HandshakeIncomplete,
            "versions of QUIC are negotiated, or another try is asked for, and no packet of one follows",
        ),
        () if opened.hello.is_some() => (
            Protection::Encrypted(Encryption::Quic),
            "long header of a known version, and a ClientHello inside the Initial packet",
        ),
        () if !opened.any && (is_misshapen(seen) || is_sealed_otherwise(seen)) => {
            unknown(WhyUnknown::Ambiguous, "long header of a known version, and nothing of QUIC behind it")
        }
        () => (Protection::Encrypted(Encryption::Quic), "long header of a known version"),
    }
}

/// Whether nothing is there but packets that ask for a version, or say which there are. A client may seal
/// what it sends under a reserved version, as it would any other.
fn only_asks(seen: &Seen<'_>) -> bool {
    let is_sealed = |datagram: &[u8]| {
        let reserved = Long::read(datagram).filter(|header| header.version_name() == "reserved");
        reserved.is_some_and(|header| !is_readable(std::iter::once(middle(datagram, header.length, 0))))
    };
    let asks = |header: Long<'_>| header.is_of_no_version() || Keys::are_known(&header) && header.is_retry();
    seen.datagrams().filter_map(Long::read).all(asks) && !seen.datagrams().any(is_sealed)
}

/// What a long packet holds that only keys of the handshake or of an earlier session open (RFC 9000,
/// sections 17.2.3 and 17.2.4), its numbers included. Google's versions say some of it in the clear.
fn sealed(datagram: &[u8]) -> Option<&[u8]> {
    let header = Long::read(datagram).filter(Keys::are_known)?;
    let open = initial::is_initial(&header) || header.is_retry();
    datagram.get(header.length..).filter(|_| !open)
}

/// Whether datagrams that share the ports can be read: what stands behind a short header and the longest
/// connection id (RFC 9000, section 17.3), or in a long packet that is sealed, was made by no cipher.
fn beside(seen: &Seen<'_>) -> bool {
    let short = |datagram: &&[u8]| datagram.first().is_some_and(|first| first & 0xc0 == 0x40);
    let behind_a_header = |datagram| middle(datagram, 21, 0);
    is_readable(once(seen.datagrams()).filter(short).map(behind_a_header))
        || one_is_readable(seen.datagrams().filter(strange(seen)).map(behind_a_header))
        || is_readable(once(seen.datagrams()).filter_map(sealed))
}

/// Which datagrams are no packets of QUIC, or only if its fixed bit is anything (RFC 9287): what looks for
/// a way (RFC 9443) carries nothing, and Google's versions have other headers.
fn strange<'a>(seen: &Seen<'_>) -> impl Fn(&&'a [u8]) -> bool + use<'a> {
    const LOOKS_FOR_A_WAY: &[u8] = &[0x21, 0x12, 0xa4, 0x42];
    let standard = seen.datagrams().filter_map(Long::read).any(|header| Keys::are_known(&header));
    move |datagram| match datagram.first().map_or(0, |first| first >> 6) {
        0 => standard && datagram.get(4..8) != Some(LOOKS_FOR_A_WAY),
        1 => false,
        _ => standard && Long::read(datagram).is_none(),
    }
}

/// Whether the packet of a first long header says that it is longer than its datagram, or too short to
/// be protected (RFC 9000, section 17.2; RFC 9001, section 5.4.2).
fn is_misshapen(seen: &Seen<'_>) -> bool {
    const SHORTEST: usize = 20;
    let fits = |datagram: &[u8]| -> Option<bool> {
        let header = Long::read(datagram).filter(|header| Keys::are_known(header))?;
        // A request to try again has no length.
        if header.is_retry() {
            return Some(true);
        }
        let mut cursor = Cursor(&datagram[header.length..]);
        if initial::is_initial(&header) {
            let token = initial::number(&mut cursor);
            token.and_then(|token| cursor.take(token));
        }
        let length = initial::number(&mut cursor).unwrap_or(0);
        Some((SHORTEST..=cursor.0.len()).contains(&length))
    };
    !seen.cut && !seen.holes && seen.datagrams().find_map(fits) == Some(false)
}

/// Whether a client's first packet is not sealed with the keys that everybody knows, while the other side
/// answers, and not to the name under which it was called: the keys stay those of the first packet, which
/// may have been missed, and then the target is a name that the server gave itself.
fn is_sealed_otherwise(seen: &Seen<'_>) -> bool {
    let first =
        seen.client_datagrams().next().filter(|datagram| datagram.len() >= 1_200).and_then(Long::read);
    let Some(first) = first.filter(|header| initial::is_initial(header) && Keys::are_known(header)) else {
        return false;
    };
    let named = seen.server_datagrams().filter_map(Long::read).any(|answer| answer.source == first.target);
    !seen.cut && !seen.server.is_empty() && first.target.len() >= 8 && !named
}

fn describe(detection: Detection, hello: &Hello) -> Detection {
    tls::describe_hellos(detection, Some(hello), None, Carrier::Quic)
}

/// A long header (RFC 9000, section 17.2).
pub(super) struct Long<'a> {
    first: u8,
    version: [u8; 4],
    target: &'a [u8],
    source: &'a [u8],
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
        let header = Long { first, version, target, source, length };
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

    /// Whether it only asks for versions, or says which there are.
    fn is_of_no_version(&self) -> bool {
        matches!(self.version_name(), "negotiation" | "reserved")
    }

    /// The last type of version 1, the first of version 2 (RFC 9369, section 3.2).
    fn is_retry(&self) -> bool {
        let wanted = if self.version == [0x6b, 0x33, 0x43, 0xcf] { 0 } else { 3 };
        self.first >> 4 & 3 == wanted
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
