//! RADIUS (RFC 2865): a code, the datagram's own length, attributes that fill it exactly.

use super::bytes::Cursor;
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector};

detector! {
    Radius: "radius"; Datagram, ports [1812, 1813, 1645, 1646, 3799], Clear;
    "RADIUS: attributes that fill the message; passwords are only disguised";
    "RFC 2865, 2866"
}

const USER_PASSWORD: u8 = 2;

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let fits = seen.fits(|bytes| attributes(bytes).is_some());
    if !(fits == Fit::Both || matches!(fits, Fit::TheOnlySide | Fit::OneOfTwo) && seen.hinted(PORTS)) {
        return None;
    }
    let passwords =
        seen.client_datagrams().filter_map(attributes).any(|kinds| kinds.contains(&USER_PASSWORD));
    Detection::plain("radius", "attributes in the clear")
        .with_credentials(passwords.then_some("radius-password"))
        .certain()
}

/// The kinds of all attributes.
fn attributes(bytes: &[u8]) -> Option<Vec<u8>> {
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
    while let Some(kind) = rest.u8() {
        let length = usize::from(rest.u8()?).checked_sub(2)?;
        rest.take(length)?;
        kinds.push(kind);
    }
    Some(kinds)
}
