//! Kerberos 5 (RFC 4120): messages with known numbers; their framing is clear, the secrets in them
//! are not.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector};
use crate::model::der::{Element, Elements};

detector! {
    Kerberos: "kerberos"; Both, ports [88, 464, 750], Clear;
    "Kerberos: requests, answers and errors; clear framing around encrypted parts";
    "RFC 4120 section 5";
    begins [Opening::client(HEADS), Opening::server(HEADS)]
}

/// First bytes of a message, and of the length in front of it.
const HEADS: First = First::masked(0xe0, 0x60).or(First::of(&[0]));

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let inner = |bytes| if seen.is_stream() { framed(bytes) } else { bytes };
    let fits = seen.fits(|bytes| is_message(inner(bytes)));
    let enough = matches!(fits, Fit::Both | Fit::TheOnlySide) || fits == Fit::OneOfTwo && seen.hinted(PORTS);
    enough.then(|| Detection::plain("kerberos", "clear framing around encrypted parts"))?.certain()
}

/// Behind the length (section 7.2.2); a set first bit is reserved.
fn framed(bytes: &[u8]) -> &[u8] {
    match Cursor(bytes).u32() {
        Some(length) if length >> 24 == 0 && length >= 10 => &bytes[4..],
        _ => &[],
    }
}

/// `[APPLICATION n] SEQUENCE { [1] pvno 5, [2] msg-type n }`; older messages count from 0.
fn is_message(bytes: &[u8]) -> bool {
    let Some(outer) = Elements(bytes).next() else { return false };
    let number = u32::from(outer.tag & 0x1f);
    let known = outer.tag & 0xe0 == 0x60 && matches!(number, 10..=15 | 20..=22 | 30);
    let Some(fields) = outer.inside().next().filter(|inner| inner.tag == 0x30) else { return false };
    let numbers: Vec<u32> = fields
        .inside()
        .take(2)
        .filter_map(|field| field.inside().next())
        .filter_map(Element::number)
        .collect();
    known && numbers == [5, number]
}
