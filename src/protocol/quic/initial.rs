//! Opens the client's Initial packets: their keys come from the connection id that stands in front
//! (RFC 9001, section 5.2; RFC 9369, section 3.3), so that everybody on the path can read the
//! ClientHello. Its pieces may come in any order and in several datagrams.

use super::Long;
use crate::protocol::bytes::Cursor;
use crate::protocol::tls::hello::{Carrier, Hello, client_hello as read_hello};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use aes_gcm::{Aes128Gcm, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;

/// Salts by version; drafts before 29 and after 22 share one.
const SALT_1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
    0xbb, 0x7f, 0x0a,
];
const SALT_2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
    0xbd, 0x2e, 0xd9,
];
const SALT_DRAFT_29: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43,
    0x90, 0xa8, 0x99,
];
const SALT_DRAFT_23: [u8; 20] = [
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe,
    0xf9, 0xf5, 0x02,
];

/// What the key, the first value and the mask of headers are derived with (RFC 9001, section 5.1;
/// RFC 9369, section 3.3.2).
const LABELS_1: [&str; 3] = ["quic key", "quic iv", "quic hp"];
const LABELS_2: [&str; 3] = ["quicv2 key", "quicv2 iv", "quicv2 hp"];

/// Longest hello that is put together, in bytes.
const LONGEST_HELLO: usize = 16 << 10;
/// More Initial packets than this are not opened.
const MOST_PACKETS: usize = 8;

/// Keys of one direction.
pub(super) struct Keys {
    packet: Aes128Gcm,
    iv: [u8; 12],
    header: Aes128,
}

/// What the Initial packets of one side hold.
#[derive(Default)]
pub(super) struct Opened {
    /// One was opened, which proves that it is what it says.
    pub(super) any: bool,
    /// The ClientHello in them.
    pub(super) hello: Option<Hello>,
}

/// Opens the Initial packets of one side as those of a client.
pub(super) fn open_all<'a>(datagrams: impl Iterator<Item = &'a [u8]>) -> Opened {
    let mut pieces = Vec::new();
    let any = collect(datagrams, &mut pieces);
    Opened { any, hello: client_hello(pieces) }
}

/// Collects the pieces of the hello; whether a packet was opened.
fn collect<'a>(datagrams: impl Iterator<Item = &'a [u8]>, pieces: &mut Vec<(usize, Vec<u8>)>) -> bool {
    let mut keys: Option<Keys> = None;
    let mut any = false;
    for datagram in datagrams.take(MOST_PACKETS) {
        let Some(header) = Long::read(datagram).filter(is_initial) else { continue };
        // After the first answer the target changes, the keys do not.
        if keys.is_none() {
            keys = Keys::of(&header);
        }
        let Some(keys) = &keys else { break };
        if let Some(frames) = open(datagram, &header, keys) {
            any = true;
            crypto_frames(&frames, pieces);
            if pieces.first().is_some_and(is_whole) {
                break;
            }
        }
    }
    any
}

/// The ClientHello that its pieces make.
fn client_hello(pieces: Vec<(usize, Vec<u8>)>) -> Option<Hello> {
    let message = put_together(pieces);
    let mut cursor = Cursor(&message);
    let (kind, length) = (cursor.u8()?, cursor.u24()?);
    let body = &cursor.0[..cursor.0.len().min(length)];
    (kind == 1).then(|| read_hello(body, Carrier::Quic)).flatten()
}

/// Version 2 counts the types one further (RFC 9369, section 3.2).
pub(super) fn is_initial(header: &Long<'_>) -> bool {
    let wanted = u8::from(header.version == [0x6b, 0x33, 0x43, 0xcf]);
    header.first >> 4 & 3 == wanted
}

/// Salt and labels of a version.
fn of_version(version: [u8; 4]) -> Option<([u8; 20], [&'static str; 3])> {
    match version {
        [0, 0, 0, 1] => Some((SALT_1, LABELS_1)),
        [0x6b, 0x33, 0x43, 0xcf] => Some((SALT_2, LABELS_2)),
        [0xff, 0, 0, 0x1d..=0x22] => Some((SALT_DRAFT_29, LABELS_1)),
        [0xff, 0, 0, 0x17..=0x1c] | [0xfa, 0xce, 0xb0, _] => Some((SALT_DRAFT_23, LABELS_1)),
        _ => None,
    }
}

impl Keys {
    /// Whether the version is one whose first keys everybody knows.
    pub(super) fn are_known(header: &Long<'_>) -> bool {
        of_version(header.version).is_some()
    }

    fn of(header: &Long<'_>) -> Option<Keys> {
        let (salt, labels) = of_version(header.version)?;
        let initial = Hkdf::<Sha256>::new(Some(&salt), header.target);
        let mut secret = [0; 32];
        expand(&initial, "client in", &mut secret)?;
        let secret = Hkdf::<Sha256>::from_prk(&secret).ok()?;
        let (mut key, mut iv, mut mask) = ([0; 16], [0; 12], [0; 16]);
        let [of_key, of_iv, of_mask] = labels;
        expand(&secret, of_key, &mut key)?;
        expand(&secret, of_iv, &mut iv)?;
        expand(&secret, of_mask, &mut mask)?;
        Some(Keys { packet: Aes128Gcm::new(&key.into()), iv, header: Aes128::new(&mask.into()) })
    }
}

/// HKDF-Expand-Label without a context (RFC 8446, section 7.1).
fn expand(secret: &Hkdf<Sha256>, label: &str, out: &mut [u8]) -> Option<()> {
    let [high, low] = (out.len() as u16).to_be_bytes();
    let head = [high, low, 6 + label.len() as u8];
    secret.expand_multi_info(&[&head, b"tls13 ", label.as_bytes(), &[0]], out).ok()
}

/// Takes the protection off (RFC 9001, sections 5.3 and 5.4); the tag proves that it was one.
fn open(datagram: &[u8], header: &Long<'_>, keys: &Keys) -> Option<Vec<u8>> {
    let mut cursor = Cursor(datagram.get(header.length..)?);
    let token = number(&mut cursor)?;
    cursor.take(token)?;
    let length = number(&mut cursor)?;
    let offset = datagram.len() - cursor.0.len();
    let sample: [u8; 16] = datagram.get(offset + 4..offset + 20)?.try_into().ok()?;
    let mut mask = sample.into();
    keys.header.encrypt_block(&mut mask);
    let first = header.first ^ mask[0] & 0x0f;
    let digits = usize::from(first & 3) + 1;
    let mut associated = datagram.get(..offset + digits)?.to_vec();
    associated[0] = first;
    let mut nonce = keys.iv;
    for digit in 0..digits {
        associated[offset + digit] ^= mask[1 + digit];
        nonce[12 - digits + digit] ^= associated[offset + digit];
    }
    let sealed = datagram.get(offset + digits..offset + length)?;
    let (content, tag) = sealed.split_at_checked(sealed.len().checked_sub(16)?)?;
    let tag: [u8; 16] = tag.try_into().ok()?;
    let mut content = content.to_vec();
    let (nonce, tag): (Nonce<_>, Tag) = (nonce.into(), tag.into());
    keys.packet.decrypt_inout_detached(&nonce, &associated, content.as_mut_slice().into(), &tag).ok()?;
    Some(content)
}

/// A number whose first two bits say how long it is (RFC 9000, section 16).
pub(super) fn number(cursor: &mut Cursor<'_>) -> Option<usize> {
    let first = cursor.u8()?;
    let more = (1_usize << (first >> 6)) - 1;
    let rest = cursor.take(more)?;
    let number = rest.iter().fold(u64::from(first & 0x3f), |sum, byte| sum << 8 | u64::from(*byte));
    usize::try_from(number).ok()
}

/// CRYPTO frames among padding and pings (RFC 9000, section 19); others end the reading.
fn crypto_frames(frames: &[u8], pieces: &mut Vec<(usize, Vec<u8>)>) {
    let mut cursor = Cursor(frames);
    while let Some(kind) = cursor.u8() {
        match kind {
            0 | 1 => {}
            6 => {
                let (Some(offset), Some(length)) = (number(&mut cursor), number(&mut cursor)) else { return };
                let Some(piece) = cursor.take(length) else { return };
                pieces.push((offset, piece.to_vec()));
            }
            _ => return,
        }
    }
}

/// Whether a piece has a whole message by itself, which no later one changes: what came first stays.
fn is_whole((offset, piece): &(usize, Vec<u8>)) -> bool {
    let mut cursor = Cursor(piece);
    *offset == 0 && cursor.u8().is_some() && cursor.u24().is_some_and(|length| length <= cursor.0.len())
}

fn put_together(mut pieces: Vec<(usize, Vec<u8>)>) -> Vec<u8> {
    pieces.sort_by_key(|(offset, _)| *offset);
    let mut message = Vec::new();
    for (offset, piece) in pieces {
        let Some(known) = message.len().checked_sub(offset) else { break };
        if let Some(fresh) = piece.get(known..) {
            message.extend_from_slice(fresh);
        }
        if message.len() > LONGEST_HELLO {
            break;
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digit = |c: char| c.to_digit(16).expect("a digit") as u8;
        let digits: Vec<u8> = text.chars().filter(|c| !c.is_whitespace()).map(digit).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// RFC 9001, appendix A.1, and RFC 9369, appendix A.1: connection id 0x8394c8f03e515708.
    #[test]
    fn keys_are_those_of_the_standards() {
        let target = hex("8394c8f03e515708");
        for (version, iv) in [
            ([0, 0, 0, 1], "fa044b2f42a3fd3b46fb255c"),
            ([0x6b, 0x33, 0x43, 0xcf], "91f73e2351d8fa91660e909f"),
        ] {
            let header = Long { first: 0xc0, version, target: &target, source: &[], length: 0 };
            assert_eq!(Keys::of(&header).expect("keys").iv.to_vec(), hex(iv));
        }
    }

    #[test]
    fn pieces_in_any_order_make_one_message() {
        let piece = |at: usize, text: &[u8]| (at, text.to_vec());
        assert_eq!(put_together(vec![piece(4, b"ef"), piece(0, b"abcd"), piece(2, b"cde")]), b"abcdef");
        assert_eq!(put_together(vec![piece(4, b"ef"), piece(0, b"abc")]), b"abc");
        assert!(is_whole(&piece(0, &[1, 0, 0, 2, 3, 3])) && is_whole(&piece(0, &[1, 0, 0, 0, 9])));
        assert!(!is_whole(&piece(0, &[1, 0, 0, 2, 3])) && !is_whole(&piece(1, &[1, 0, 0, 0])));
        assert!(!is_whole(&piece(0, &[1, 0])));
    }
}
