//! ClientHello and ServerHello (RFC 8446, section 4.1), for TLS, DTLS and QUIC alike, and the
//! fingerprint of a client.

use super::remember;
use crate::protocol::bytes::{Cursor, plain_name};
use smallvec::SmallVec;
use std::borrow::Cow;

/// What a hello says.
#[derive(Clone, Debug, Default)]
pub(in crate::protocol) struct Hello {
    /// The best version offered, or the one agreed.
    pub(in crate::protocol) version: u16,
    /// The cipher agreed; 0 in a ClientHello.
    pub(in crate::protocol) cipher: u16,
    pub(in crate::protocol) server_name: Option<String>,
    pub(in crate::protocol) alpn: Vec<String>,
    /// A key that both sides had was taken up (TLS 1.3, extension 41): in a ServerHello, the number of
    /// the identity.
    pub(in crate::protocol) resumed: Option<u16>,
    /// Of the identities that a ClientHello offers: whether they are no tickets.
    pub(in crate::protocol) external: SmallVec<[bool; 4]>,
    /// Data may come before the answer (extension 42).
    pub(in crate::protocol) early_data: bool,
    /// How RTP beside it is protected (extension 14, RFC 5764): in a ServerHello, the one that was chosen.
    pub(in crate::protocol) srtp: Option<u16>,
    /// The name that is seen is not the true one (extension 0xfe0d).
    pub(in crate::protocol) hidden_name: bool,
    /// This ServerHello only asks for another ClientHello.
    pub(in crate::protocol) retry: bool,
    pub(in crate::protocol) session: Vec<u8>,
    ciphers: Vec<u16>,
    extensions: Vec<u16>,
    signatures: Vec<u16>,
}

/// What carries a handshake: its fingerprint says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum Carrier {
    Stream,
    Datagram,
    Quic,
}

/// The random value of a HelloRetryRequest (RFC 8446, section 4.1.3).
const RETRY: [u8; 8] = [0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11];

/// Reads the body of a ClientHello; a cut one as far as its extensions.
pub(in crate::protocol) fn client_hello(body: &[u8], carrier: Carrier) -> Option<Hello> {
    let mut cursor = Cursor(body);
    let version = cursor.u16()?;
    let expected =
        if carrier == Carrier::Datagram { matches!(version >> 8, 0xfe | 1) } else { version >> 8 == 3 };
    if !expected {
        return None;
    }
    cursor.take(32)?;
    let session = cursor.vector8()?;
    if session.len() > 32 {
        return None;
    }
    if carrier == Carrier::Datagram {
        cursor.vector8()?;
    }
    let ciphers = cursor.vector16()?;
    if ciphers.is_empty() || ciphers.len() % 2 != 0 || !cursor.vector8()?.contains(&0) {
        return None;
    }
    let session = session.to_vec();
    let mut hello = Hello { version, ciphers: pairs(ciphers), session, ..Hello::default() };
    extensions(cursor, &mut hello);
    Some(hello)
}

/// Reads the body of a ServerHello.
pub(in crate::protocol) fn server_hello(body: &[u8]) -> Option<Hello> {
    let mut cursor = Cursor(body);
    let version = cursor.u16()?;
    if !matches!(version >> 8, 3 | 0xfe | 1) {
        return None;
    }
    let retry = cursor.take(32)?.starts_with(&RETRY);
    let session = cursor.vector8()?;
    if session.len() > 32 {
        return None;
    }
    let cipher = cursor.u16()?;
    cursor.u8()?;
    let mut hello = Hello { version, cipher, retry, session: session.to_vec(), ..Hello::default() };
    extensions(cursor, &mut hello);
    Some(hello)
}

/// RFC 8446, section 4.2; a cut list is read as far as it goes.
fn extensions(mut cursor: Cursor<'_>, hello: &mut Hello) {
    cursor.u16();
    // Clients send up to about twenty.
    hello.extensions.reserve_exact(if hello.ciphers.is_empty() { 8 } else { 24 });
    while let (Some(kind), Some(body)) = (cursor.u16(), cursor.vector16()) {
        hello.extensions.push(kind);
        match kind {
            0 => hello.server_name = server_name(body),
            14 => hello.srtp = Cursor(body).vector16().and_then(|profiles| Cursor(profiles).u16()),
            13 => hello.signatures = Cursor(body).vector16().map(pairs).unwrap_or_default(),
            16 => hello.alpn = alpn(body),
            41 if hello.ciphers.is_empty() => hello.resumed = Cursor(body).u16(),
            41 => hello.external = external(body),
            42 => hello.early_data = true,
            43 => hello.version = best_version(body).unwrap_or(hello.version),
            0xfe0d => hello.hidden_name = true,
            _ => {}
        }
    }
}

/// Which of the offered identities were agreed on by other means than a ticket: those have no age, where
/// the age of a ticket is hidden by a random number (RFC 8446, section 4.2.11).
fn external(body: &[u8]) -> SmallVec<[bool; 4]> {
    let mut found = SmallVec::new();
    let Some(list) = Cursor(body).vector16() else { return found };
    let mut list = Cursor(list);
    while let (Some(_), Some(age)) = (list.vector16(), list.u32()) {
        found.push(age == 0);
    }
    found
}

fn pairs(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

fn server_name(body: &[u8]) -> Option<String> {
    let mut list = Cursor(Cursor(body).vector16()?);
    list.u8()?;
    plain_name(list.vector16()?)
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
/// DTLS counts downwards.
fn best_version(body: &[u8]) -> Option<u16> {
    if let [a, b] = body {
        return Some(u16::from_be_bytes([*a, *b]));
    }
    let (list, _) = Cursor(body).vector8()?.as_chunks::<2>();
    let list = list.iter().map(|pair| u16::from_be_bytes(*pair));
    let datagram = list.clone().filter(|v| v >> 8 == 0xfe).min();
    list.filter(|v| v >> 8 == 3).max().or(datagram)
}

fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// A fingerprint in the form of JA4: what the client's library and configuration are, never who.
pub(in crate::protocol) fn fingerprint(hello: &Hello, carrier: Carrier) -> String {
    remember::print_of(&told(hello, carrier), || new_fingerprint(hello, carrier))
}

/// All that a fingerprint is made of, with the lengths of lists in front.
fn told(hello: &Hello, carrier: Carrier) -> SmallVec<[u16; 128]> {
    let lists = [&hello.ciphers, &hello.extensions, &hello.signatures];
    let mut told = SmallVec::from_slice(&[carrier as u16, hello.version]);
    lists.iter().for_each(|list| told.push(list.len() as u16));
    lists.iter().for_each(|list| told.extend_from_slice(list));
    let alpn = hello.alpn.first().map_or("", String::as_str);
    told.extend(alpn.bytes().map(u16::from));
    told
}

fn new_fingerprint(hello: &Hello, carrier: Carrier) -> String {
    let mut ciphers = own(&hello.ciphers);
    let mut kinds = own(&hello.extensions);
    let letter = match carrier {
        Carrier::Stream => 't',
        Carrier::Datagram => 'd',
        Carrier::Quic => 'q',
    };
    let version = match hello.version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    };
    let name = if kinds.contains(&0) { 'd' } else { 'i' };
    let alpn = hello.alpn.first().map_or("00", String::as_str);
    let mut print = String::with_capacity(36);
    print.push(letter);
    print.push_str(version);
    print.push(name);
    for count in [ciphers.len(), kinds.len()] {
        let count = count.min(99) as u8;
        print.push(char::from(b'0' + count / 10));
        print.push(char::from(b'0' + count % 10));
    }
    print.extend(alpn.chars().next().into_iter().chain(alpn.chars().next_back()));
    ciphers.sort_unstable();
    kinds.retain(|kind| !matches!(*kind, 0 | 16));
    kinds.sort_unstable();
    let longest = ciphers.len().max(kinds.len() + hello.signatures.len());
    let mut text = Vec::with_capacity(5 * longest);
    put_hex(&mut text, &ciphers);
    print.push('_');
    print.push_str(&remember::digits_of(&text));
    text.clear();
    put_hex(&mut text, &kinds);
    let signatures = own(&hello.signatures);
    if !signatures.is_empty() {
        text.push(b'_');
        put_hex(&mut text, &signatures);
    }
    print.push('_');
    print.push_str(&remember::digits_of(&text));
    print
}

/// Numbers of a hello; most have few enough to need no memory of their own.
type Numbers = SmallVec<[u16; 64]>;

/// A list without what was put in to keep others tolerant.
fn own(list: &[u16]) -> Numbers {
    list.iter().copied().filter(|value| !is_grease(*value)).collect()
}

/// Numbers of four hexadecimal digits with commas between them.
fn put_hex(text: &mut Vec<u8>, list: &[u16]) {
    let begin = text.len();
    text.resize(begin + 5 * list.len(), b',');
    let (rows, _) = text[begin..].as_chunks_mut::<5>();
    for (row, value) in rows.iter_mut().zip(list) {
        let [high, low] = value.to_be_bytes();
        let ([a, b], [c, d]) = (digits(high), digits(low));
        *row = [a, b, c, d, b','];
    }
    if !list.is_empty() {
        text.pop();
    }
}

pub(super) fn digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// How people write a version.
pub(in crate::protocol) fn version_name(version: u16) -> Cow<'static, str> {
    match version {
        0x0300 => "SSL3".into(),
        0x0301 => "TLS1.0".into(),
        0x0302 => "TLS1.1".into(),
        0x0303 => "TLS1.2".into(),
        0x0304 => "TLS1.3".into(),
        0x0100 | 0xfeff => "DTLS1.0".into(),
        0xfefd => "DTLS1.2".into(),
        0xfefc => "DTLS1.3".into(),
        other => format!("0x{other:04x}").into(),
    }
}

/// How a suite is named: by its number.
pub(super) fn cipher_name(cipher: u16) -> String {
    let [high, low] = cipher.to_be_bytes();
    let ([a, b], [c, d]) = (digits(high), digits(low));
    [b'0', b'x', a, b, c, d].map(char::from).iter().collect()
}

impl Hello {
    /// A suite that does not encrypt is on the list of a client.
    pub(in crate::protocol) fn offers_null_cipher(&self) -> bool {
        self.ciphers.iter().any(|cipher| is_null_cipher(*cipher))
    }
}

/// Suites that authenticate and do not encrypt.
pub(in crate::protocol) fn is_null_cipher(cipher: u16) -> bool {
    // Of Fortezza, and of GOST by the numbers that OpenSSL gives them.
    matches!(cipher, 0x001c | 0x0082 | 0x0083 | 0xff87)
        || matches!(
            cipher,
            0x0000..=0x0002 | 0x003b | 0xc001 | 0xc006 | 0xc00b | 0xc010 | 0xc015 | 0xc0b4 | 0xc0b5
        )
        || matches!(cipher, 0x002c..=0x002e | 0x00b0..=0x00b1 | 0x00b4..=0x00b5 | 0x00b8..=0x00b9)
        || matches!(cipher, 0xc039..=0xc03b)
}

/// Suites that encrypt, as far as numbers of the registry go: those of TLS 1.2 and before, of TLS 1.3, of
/// ChaCha20, of OCB and CCM with PSK, of GOST, and old ones for FIPS. Others may be of somebody's own.
pub(in crate::protocol) fn is_registered(cipher: u16) -> bool {
    matches!(cipher >> 8, 0x00 | 0x13 | 0xc0 | 0xc1 | 0xcc | 0xd0)
        || matches!(cipher, 0xfefe | 0xfeff | 0xff85)
}

/// What is known to be weak about a suite that does encrypt.
pub(in crate::protocol) fn weakness(cipher: u16) -> Option<&'static str> {
    match cipher {
        0x0003 | 0x0006 | 0x0008 | 0x000b | 0x000e | 0x0011 | 0x0014 | 0x0017 | 0x0019 | 0x0026..=0x002b => {
            Some("export")
        }
        // Of drafts that were used: 56 bits.
        0x0060..=0x0065 => Some("export"),
        // With Kerberos.
        0x0020 | 0x0024 => Some("rc4"),
        0x001e | 0x0022 | 0xfefe => Some("des"),
        0x001f | 0x0023 | 0xfeff => Some("3des"),
        0x0004 | 0x0005 | 0x0018 | 0x0066 | 0x008a | 0x008e | 0x0092 | 0xc002 | 0xc007 | 0xc00c | 0xc011
        | 0xc016 | 0xc033 => Some("rc4"),
        0x0009 | 0x000c | 0x000f | 0x0012 | 0x0015 => Some("des"),
        0x000a
        | 0x000d
        | 0x0010
        | 0x0013
        | 0x0016
        | 0x008b
        | 0x008f
        | 0x0093
        | 0xc003
        | 0xc008
        | 0xc00d
        | 0xc012
        | 0xc01a..=0xc01c
        | 0xc034 => Some("3des"),
        // AES, Camellia, SEED, ARIA.
        0x001a | 0x001b | 0x0034 | 0x003a | 0x006c | 0x006d | 0x00a6 | 0x00a7 | 0xc017..=0xc019 => {
            Some("anonymous")
        }
        0x0046 | 0x0089 | 0x009b | 0x00bf | 0x00c5 | 0xc046 | 0xc047 | 0xc05a | 0xc05b | 0xc084 | 0xc085 => {
            Some("anonymous")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_leave_grease_out_and_hash_what_is_sorted() {
        let hello = Hello {
            version: 0x0304,
            alpn: vec!["h2".to_owned()],
            ciphers: vec![0x1a1a, 0x1302, 0x1301],
            extensions: vec![0x2a2a, 0, 16, 43, 13],
            signatures: vec![0x0403, 0x0804],
            ..Hello::default()
        };
        let print = fingerprint(&hello, Carrier::Stream);
        assert!(print.starts_with("t13d0204h2_"), "{print}");
        let other = Hello { ciphers: vec![0x1301, 0x1302, 0x3a3a], ..hello.clone() };
        assert_eq!(print, fingerprint(&other, Carrier::Stream));
        assert_ne!(print, fingerprint(&other, Carrier::Quic));
        // SHA-256 of "1301,1302", computed by another program.
        assert_eq!(print.split('_').nth(1), Some("62ed6f6ca7ad"));
    }

    #[test]
    fn suites_that_do_not_encrypt_are_known_and_strong_ones_are_not_called_weak() {
        assert!(is_null_cipher(0xc006) && !is_null_cipher(0xc02f));
        assert!([0x001c, 0x0083, 0xff87].into_iter().all(is_null_cipher));
        assert!(is_registered(0x1301) && is_registered(0xcca8) && !is_registered(0xff87));
        assert_eq!((weakness(0x0062), weakness(0x0020)), (Some("export"), Some("rc4")));
        assert!([0x0000, 0x003b, 0xc0b4, 0xc0b5].into_iter().all(is_null_cipher) && !is_null_cipher(0x0003));
        assert_eq!((weakness(0x00bf), weakness(0xc018)), (Some("anonymous"), Some("anonymous")));
        assert_eq!(weakness(0x0005), Some("rc4"));
        assert_eq!(weakness(0xc02f), None);
    }
}
