//! Syslog (RFC 5424, 3164): a priority in angle brackets and text, over UDP and TCP.

use super::bytes::is_text;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Syslog: "syslog"; Both, ports [514, 601], Clear;
    "Syslog: a priority in angle brackets and text behind it, counted in TCP";
    "RFC 5424, 3164, 6587";
    begins [Opening::client(First::of(b"<0123456789"))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let first = seen.client_first();
    let (fits, strict) = match seen.is_stream() {
        true => message(uncounted(first).unwrap_or(first)),
        false => message(first),
    };
    (fits && (seen.server.is_empty() || seen.hinted(PORTS)))
        .then(|| Detection::plain("syslog", "messages in the clear"))?
        .certain_if(strict || seen.hinted(PORTS))
}

/// Whether this is one, and whether a date or version behind the priority proves it.
fn message(bytes: &[u8]) -> (bool, bool) {
    let Some(rest) = bytes.strip_prefix(b"<") else { return (false, false) };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let add = |sum: u32, digit: &u8| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
    let number = rest[..digits].iter().fold(0, add);
    let behind = rest.get(digits + 1..).unwrap_or(&[]);
    let head = &behind[..behind.len().min(64)];
    let text = is_text(head.strip_suffix(b"\0").unwrap_or(head));
    let fits = (1..=3).contains(&digits) && number <= 191 && rest.get(digits) == Some(&b'>') && text;
    let months: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let strict = behind.starts_with(b"1 ") || months.iter().any(|month| behind.starts_with(month));
    (fits, strict)
}

/// Behind the count of octets (RFC 6587, section 3.4.1).
fn uncounted(bytes: &[u8]) -> Option<&[u8]> {
    let digits = bytes.iter().take(6).take_while(|b| b.is_ascii_digit()).count();
    (digits > 0 && bytes.get(digits) == Some(&b' ')).then(|| &bytes[digits + 1..])
}
