//! CoAP (RFC 7252) over UDP: a header of version 1 with a known code, and options that parse.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector};

detector! {
    Coap: "coap"; Datagram, ports [5683], Clear;
    "CoAP: headers with a known code and options that parse";
    "RFC 7252 section 3";
    begins [Opening::each(First::masked(0xc0, 0x40))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let fits = seen.fits(|bytes| is_message(bytes).is_some());
    let hinted = seen.hinted(PORTS);
    match fits {
        Fit::Both if hinted || answers(seen) => Detection::plain("coap", "messages in the clear").certain(),
        Fit::TheOnlySide if hinted => Detection::plain("coap", "messages in the clear").certain(),
        _ => None,
    }
}

/// Whether a request is answered: an acknowledgement repeats its number, and an answer its token, which
/// many have (section 5.3.2).
fn answers(seen: &Seen<'_>) -> bool {
    let (asked, answered) = (seen.client_first(), seen.server_first());
    let acknowledges = asked.get(2..4) == answered.get(2..4) && answered[0] >> 4 & 3 == 2;
    let token = |bytes: &'_ [u8]| bytes.get(4..4 + usize::from(bytes[0] & 15)).unwrap_or(&[]).to_vec();
    let repeats = token(asked) == token(answered) && !token(asked).is_empty();
    matches!(asked[1], 1..=7)
        && (acknowledges && answered[1] == 0 || answered[1] >= 64 && (acknowledges || repeats))
}

/// Methods, answers, errors and signals that anybody defined (section 12.1; RFC 7959, 8132, 8323, 8516).
fn is_code(code: u8) -> bool {
    match (code >> 5, code & 31) {
        (0, detail) => detail <= 7,
        (2, detail) => matches!(detail, 1..=5 | 31),
        (4, detail) => matches!(detail, 0..=6 | 8 | 9 | 12 | 13 | 15 | 22 | 29),
        (5, detail) => matches!(detail, 0..=5 | 8),
        (7, detail) => matches!(detail, 1..=5),
        _ => false,
    }
}

fn is_message(bytes: &[u8]) -> Option<()> {
    let mut cursor = Cursor(bytes);
    let head = cursor.u8()?;
    let code = cursor.u8()?;
    cursor.u16()?;
    let token = usize::from(head & 15);
    if head >> 6 != 1 || token > 8 || !is_code(code) {
        return None;
    }
    cursor.take(token)?;
    if code == 0 {
        return cursor.0.is_empty().then_some(());
    }
    options(cursor)
}

/// Differences and lengths of four bits, with more where they do not suffice (section 3.1).
fn options(mut cursor: Cursor<'_>) -> Option<()> {
    while let Some(head) = cursor.u8() {
        if head == 0xff {
            return (!cursor.0.is_empty()).then_some(());
        }
        let mut more = |nibble: u8| match nibble {
            13 => cursor.u8().map(|byte| usize::from(byte) + 13),
            14 => cursor.u16().map(|word| usize::from(word) + 269),
            15 => None,
            small => Some(usize::from(small)),
        };
        let (difference, length) = (more(head >> 4)?, more(head & 15)?);
        if difference > 2_500 {
            return None;
        }
        cursor.take(length)?;
    }
    Some(())
}
