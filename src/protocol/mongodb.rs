//! MongoDB: little-endian headers that hold their own length and a known operation.

use super::bytes::{Cursor, contains};
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector};

detector! {
    Mongodb: "mongodb"; Stream, ports [27017, 27018, 27019], Clear;
    "MongoDB: message headers with known operations, SASL PLAIN";
    "MongoDB documentation, Wire Protocol"
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    if !matches!(seen.fits(is_message), Fit::Both | Fit::TheOnlySide) {
        return None;
    }
    let plain = contains(seen.client, b"saslStart") && contains(seen.client, b"\0PLAIN\0");
    let old = contains(seen.client, b"MONGODB-CR").then_some("mongodb-cr");
    let detection = Detection::plain("mongodb", "messages in the clear");
    detection.with_credentials(plain.then_some("mongodb-plain").or(old)).certain()
}

/// Length, request id, what it answers, operation; compressed messages name the operation inside.
fn is_message(bytes: &[u8]) -> bool {
    let mut cursor = Cursor(bytes);
    let (Some(length), Some(_), Some(_), Some(operation)) =
        (cursor.le32(), cursor.le32(), cursor.le32(), cursor.le32())
    else {
        return false;
    };
    let known = matches!(operation, 1 | 2001 | 2002 | 2004..=2007 | 2010..=2013);
    known && (16..48_000_000).contains(&length)
}
