//! Certificates that travel in the clear (X.509, RFC 5280): whose they are, who vouches, until
//! when, and how strong the key is. Chains are not verified; that needs roots that a wire does not show.

use crate::model::calendar::{date, days_since_1970};
use crate::model::der::{Element, Elements, OCTETS, SEQUENCE, expect};
use crate::protocol::Detection;
use crate::protocol::bytes::{Cursor, plain_name};
use smallvec::SmallVec;
use std::borrow::Cow;

/// What a certificate says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::protocol) struct Certificate {
    subject: String,
    issuer: String,
    self_signed: bool,
    names: Vec<String>,
    spiffe: Option<String>,
    /// Days since 1970.
    from: i64,
    until: i64,
    /// Seconds since 1970.
    until_seconds: i64,
    from_seconds: i64,
    key: Cow<'static, str>,
    weak: bool,
}

/// Object identifiers, as encoded.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANISATION: &[u8] = &[0x55, 4, 10];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
const ELLIPTIC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const CURVES: &[(&[u8], u32, &str)] = &[
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1], 192, "EC 192"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], 256, "EC 256"),
    (&[0x2b, 0x81, 4, 0, 0x21], 224, "EC 224"),
    (&[0x2b, 0x81, 4, 0, 0x22], 384, "EC 384"),
    (&[0x2b, 0x81, 4, 0, 0x23], 521, "EC 521"),
    (&[0x2b, 0x81, 4, 0, 0x0a], 256, "EC 256"),
];
/// Sizes that nearly all keys have.
const USUAL: &[(u32, &str)] =
    &[(2_048, "RSA 2048"), (4_096, "RSA 4096"), (1_024, "RSA 1024"), (3_072, "RSA 3072")];
/// NIST SP 800-131A: fewer bits have been disallowed since 2014.
const LEAST_RSA_BITS: u32 = 2_048;
const LEAST_CURVE_BITS: u32 = 224;

/// The first certificate of a Certificate message (RFC 5246, section 7.4.2).
pub(in crate::protocol) fn leaf(message: &[u8]) -> Option<Certificate> {
    let mut list = Cursor(message);
    list.u24()?;
    let length = list.u24()?;
    let bytes = list.0;
    read(&bytes[..bytes.len().min(length)])
}

/// Adds what a certificate says to what is known of a flow; `time` is the flow's, in nanoseconds.
pub(in crate::protocol) fn describe(detection: Detection, certificate: Certificate, time: u64) -> Detection {
    let now = (time / 1_000_000_000) as i64;
    let Certificate { subject, issuer, self_signed, names, spiffe, key, weak, .. } = certificate;
    let itself = self_signed.then(|| subject.clone());
    let weak_key = weak.then(|| key.clone());
    let (from, until) = (date(certificate.from), date(certificate.until));
    // Without a time nothing can have expired.
    let expired = (now > 0 && now > certificate.until_seconds).then(|| until.clone());
    let too_early = (now > 0 && now < certificate.from_seconds).then(|| from.clone());
    let names = (!names.is_empty()).then(|| names.join(","));
    // In the order of their names.
    detection
        .with_some("certificate_expired", expired)
        .with("certificate_from", from)
        .with("certificate_issuer", issuer)
        .with("certificate_key", key)
        .with_some("certificate_names", names)
        .with_some("certificate_not_yet_valid", too_early)
        .with_some("certificate_self_signed", itself)
        .with_some("certificate_spiffe", spiffe)
        .with("certificate_subject", subject)
        .with("certificate_until", until)
        .with_some("certificate_weak_key", weak_key)
}

/// Who a client says that it is.
pub(in crate::protocol) fn describe_client(detection: Detection, certificate: Certificate) -> Detection {
    detection.with_some("client_spiffe", certificate.spiffe).with("client_subject", certificate.subject)
}

/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature } (RFC 5280, section 4.1).
fn read(bytes: &[u8]) -> Option<Certificate> {
    let certificate = expect(bytes, SEQUENCE)?;
    let mut fields = expect(certificate.body, SEQUENCE)?.inside().peekable();
    fields.next_if(|field| field.tag == 0xa0);
    let (_serial, _algorithm) = (fields.next()?, fields.next()?);
    let (issuer, validity, subject, key) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let mut times = validity.inside();
    let ((from, from_seconds), (until, until_seconds)) = (time(times.next()?)?, time(times.next()?)?);
    let (key, weak) = public_key(key)?;
    let mut found = Certificate {
        subject: name(subject),
        issuer: name(issuer),
        self_signed: issuer.body == subject.body,
        from,
        until,
        from_seconds,
        until_seconds,
        key,
        weak,
        ..Certificate::default()
    };
    if let Some(extensions) = fields.find(|field| field.tag == 0xa3) {
        alternative_names(extensions, &mut found);
    }
    Some(found)
}

/// `CN=…,O=…`, the two parts that people look for.
fn name(sequence: Element<'_>) -> String {
    let mut text = String::with_capacity(64);
    let attributes: SmallVec<[(&[u8], &[u8]); 8]> = sequence
        .inside()
        .flat_map(Element::inside)
        .filter_map(|attribute| {
            let mut pair = attribute.inside();
            Some((pair.next()?.body, pair.next()?.body))
        })
        .filter(|(kind, _)| matches!(*kind, COMMON_NAME | ORGANISATION))
        .collect();
    for (wanted, label) in [(COMMON_NAME, "CN="), (ORGANISATION, "O=")] {
        for (_, value) in attributes.iter().filter(|(kind, _)| *kind == wanted) {
            text.push_str(if text.is_empty() { "" } else { "," });
            text.push_str(label);
            put_printable(&mut text, value);
        }
    }
    text
}

/// Text of a certificate by itself.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    put_printable(&mut text, bytes);
    text
}

/// Text of a certificate without control characters, at most a line of it.
fn put_printable(text: &mut String, bytes: &[u8]) {
    const LONGEST: usize = 128;
    let plain = bytes.len() <= LONGEST && bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    match str::from_utf8(bytes) {
        Ok(whole) if plain => text.push_str(whole),
        _ => {
            let other = String::from_utf8_lossy(bytes);
            text.extend(other.chars().filter(|letter| !letter.is_control()).take(LONGEST));
        }
    }
}

/// UTCTime or GeneralizedTime (RFC 5280, section 4.1.2.5) → days and seconds since 1970.
fn time(element: Element<'_>) -> Option<(i64, i64)> {
    let digit = |at: usize| element.body.get(at).map(|b| i64::from(b.wrapping_sub(b'0')));
    let count = element.body.iter().take_while(|b| b.is_ascii_digit()).count();
    let two = |at: usize| (at + 1 < count).then(|| Some(digit(at)? * 10 + digit(at + 1)?)).flatten();
    let (year, rest) = match element.tag {
        0x17 => (two(0)? + if two(0)? < 50 { 2000 } else { 1900 }, 2),
        0x18 => (two(0)? * 100 + two(2)?, 4),
        _ => return None,
    };
    let (month, day) = (two(rest)?, two(rest + 2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_since_1970(year, month, day);
    let clock = two(rest + 4)? * 3_600 + two(rest + 6)? * 60 + two(rest + 8).unwrap_or(0);
    Some((days, days * 86_400 + clock))
}

/// Kind and size of the key, and whether that is too little.
fn public_key(element: Element<'_>) -> Option<(Cow<'static, str>, bool)> {
    let mut parts = element.inside();
    let mut algorithm = parts.next()?.inside();
    let kind = algorithm.next()?.body;
    if kind == RSA {
        let bits = parts.next().and_then(|key| expect(key.body.get(1..)?, SEQUENCE)).and_then(|key| {
            let modulus = key.inside().next()?;
            let skipped = modulus.body.iter().take_while(|byte| **byte == 0).count();
            let first = *modulus.body.get(skipped)?;
            let bytes = u32::try_from(modulus.length.checked_sub(skipped)?).ok()?;
            bytes.checked_mul(8)?.checked_sub(first.leading_zeros())
        })?;
        let usual = USUAL.iter().find(|(size, _)| *size == bits);
        let text = usual.map_or_else(|| format!("RSA {bits}").into(), |(_, text)| Cow::from(*text));
        return Some((text, bits < LEAST_RSA_BITS));
    }
    if kind == ELLIPTIC {
        let curve = algorithm.next()?.body;
        let known = CURVES.iter().find(|(id, ..)| *id == curve);
        return Some(
            known
                .map_or(("EC".into(), false), |(_, bits, text)| (Cow::from(*text), *bits < LEAST_CURVE_BITS)),
        );
    }
    Some(match kind {
        DSA => ("DSA".into(), true),
        [0x2b, 0x65, 0x70] => ("Ed25519".into(), false),
        [0x2b, 0x65, 0x71] => ("Ed448".into(), false),
        _ => ("other".into(), false),
    })
}

/// DNS names, addresses and the SPIFFE id (RFC 5280, section 4.2.1.6).
fn alternative_names(extensions: Element<'_>, found: &mut Certificate) {
    let list = extensions.inside().flat_map(Element::inside);
    for extension in list {
        let mut fields = extension.inside();
        let wanted = { fields }.next().is_some_and(|field| field.body == ALTERNATIVE_NAMES);
        if !wanted {
            continue;
        }
        let Some(value) = fields.find(|field| field.tag == OCTETS) else { continue };
        for name in Elements(value.body).flat_map(Element::inside).take(32) {
            match (name.tag, name.body) {
                (0x82, dns) => found.names.extend(plain_name(dns)),
                (0x86, uri) if uri.starts_with(b"spiffe://") => {
                    found.spiffe = Some(printable(uri));
                }
                (0x87, [a, b, c, d]) => found.names.push(format!("{a}.{b}.{c}.{d}")),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        let utc = Element { tag: 0x17, body: b"700101000010Z", length: 13 };
        assert_eq!(time(utc), Some((0, 10)));
        let general = Element { tag: 0x18, body: b"20500101000000Z", length: 15 };
        assert_eq!(time(general).map(|(days, _)| date(days)), Some("2050-01-01".to_owned()));
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        assert_eq!(leaf(&[0, 0, 9, 0, 0, 6, 0x30, 4, 0x30, 2, 2, 0]), None);
        assert_eq!(leaf(&[]), None);
    }
}
