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
        Fit::Both => {
            Detection::plain("coap", "messages in the clear").certain_if(hinted || same_number(seen))
        }
        Fit::TheOnlySide if hinted => Detection::plain("coap", "messages in the clear").certain(),
        _ => None,
    }
}

/// An acknowledgement repeats the number of what it answers.
fn same_number(seen: &Seen<'_>) -> bool {
    let (asked, answered) = (seen.client_first(), seen.server_first());
    asked.get(2..4) == answered.get(2..4) && answered[0] >> 4 & 3 == 2
}

fn is_message(bytes: &[u8]) -> Option<()> {
    let mut cursor = Cursor(bytes);
    let head = cursor.u8()?;
    let code = cursor.u8()?;
    cursor.u16()?;
    let token = usize::from(head & 15);
    let known = matches!(code >> 5, 0 | 2 | 4 | 5 | 7) && (code >> 5 != 0 || code <= 7);
    if head >> 6 != 1 || token > 8 || !known {
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
