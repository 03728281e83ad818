//! Diameter (RFC 6733) over TCP and SCTP: version, length, flags, a command, pairs that fit.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector};

detector! {
    Diameter: "diameter"; Stream, ports [3868], Clear;
    "Diameter: headers with a known command and a first pair that fits";
    "RFC 6733 section 3";
    begins [Opening::each(First::of(&[1]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    if !matches!(seen.fits(is_message), Fit::Both | Fit::TheOnlySide) {
        return None;
    }
    Detection::plain("diameter", "messages in the clear").certain()
}

fn is_message(bytes: &[u8]) -> bool {
    let mut cursor = Cursor(bytes);
    let version = cursor.u8() == Some(1);
    let length = cursor.u24().is_some_and(|length| length >= 20 && length % 4 == 0 && length < 1 << 20);
    let flags = cursor.u8().is_some_and(|flags| flags & 0x0f == 0);
    let command = cursor.u24().is_some_and(|command| (257..=327).contains(&command) || command >= 8_388_000);
    let ids = cursor.take(12).is_some();
    // The first pair is the session or the host: a code, flags, and a length inside the message.
    let pair =
        cursor.u32().is_some_and(|code| code < 3_000) && cursor.u8().is_some_and(|flags| flags & 0x1f == 0);
    version && length && flags && command && ids && pair && cursor.u24().is_some_and(|length| length >= 8)
}
