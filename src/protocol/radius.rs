//! RADIUS (RFC 2865): a code, the datagram's own length, attributes that fill it exactly.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector};

detector! {
    Radius: "radius"; Datagram, ports [1812, 1813, 1645, 1646, 3799], Clear;
    "RADIUS: attributes that fill the message; passwords are only disguised";
    "RFC 2865, 2866";
    begins [Opening::client(CODES), Opening::server(CODES)]
}

/// Codes of messages.
const CODES: First = First::range(1, 5).or(First::range(11, 13)).or(First::range(40, 45));

const USER_PASSWORD: u8 = 2;

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    // On its port, a broken attribute behind a right header changes nothing.
    let hinted = seen.hinted(PORTS);
    let fits = seen
        .fits(|bytes| attributes(bytes).is_some_and(|(kinds, whole)| whole || hinted && !kinds.is_empty()));
    if !(fits == Fit::Both || matches!(fits, Fit::TheOnlySide | Fit::OneOfTwo) && hinted) {
        return None;
    }
    let passwords =
        seen.client_datagrams().filter_map(attributes).any(|(kinds, _)| kinds.contains(&USER_PASSWORD));
    Detection::plain("radius", "attributes in the clear")
        .with_credentials(passwords.then_some("radius-password"))
        .certain()
}

/// The kinds of the attributes, and whether they fill the message.
fn attributes(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut cursor = Cursor(bytes);
    let code = cursor.u8()?;
    cursor.u8()?;
    let length = usize::from(cursor.u16()?);
    let known = matches!(code, 1..=5 | 11..=13 | 40..=45);
    if !known || length < 20 || length > bytes.len() {
        return None;
    }
    cursor.take(16)?;
    let mut rest = Cursor(&cursor.0[..length - 20]);
    let mut kinds = Vec::new();
    while let (Some(kind), Some(length)) = (rest.u8(), rest.u8()) {
        let value = usize::from(length).checked_sub(2).and_then(|length| rest.take(length));
        if value.is_none() {
            return Some((kinds, false));
        }
        kinds.push(kind);
    }
    Some((kinds, true))
}
