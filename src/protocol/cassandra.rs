//! Cassandra's native protocol, versions 3 to 5: a header with version, stream, operation, length.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector};

detector! {
    Cassandra: "cassandra"; Stream, ports [9042], Clear;
    "Cassandra: frames of both sides, passwords";
    "Apache Cassandra, native protocol v4 and v5";
    begins [Opening::client(First::range(3, 5))]
}

const AUTH_RESPONSE: u8 = 0x0f;

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    // Answers have the upper bit, requests do not.
    let is_turned = |bytes: &[u8], direction| !bytes.is_empty() && operations(bytes, direction).is_none();
    if is_turned(seen.client, 0) || is_turned(seen.server, 0x80) {
        return None;
    }
    let opens = operations(seen.client, 0).is_some_and(|list| matches!(list[0], 1 | 5));
    let fits = seen.fits(|bytes| operations(bytes, 0).is_some() || operations(bytes, 0x80).is_some());
    if !(opens && matches!(fits, Fit::Both | Fit::TheOnlySide) || fits == Fit::Both && seen.hinted(PORTS)) {
        return None;
    }
    let secret = operations(seen.client, 0)?.contains(&AUTH_RESPONSE).then_some("cassandra-password");
    Detection::plain("cassandra", "frames in the clear").with_credentials(secret).certain()
}

/// The operations of all frames in a direction, where they chain.
fn operations(bytes: &[u8], direction: u8) -> Option<Vec<u8>> {
    let mut cursor = Cursor(bytes);
    let mut found = Vec::new();
    while let Some(head) = cursor.take(9) {
        let length = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let known = (3..=5).contains(&(head[0] ^ direction)) && head[1] & 0xe0 == 0 && head[4] <= 0x10;
        // STARTUP is a short list, OPTIONS is empty.
        let most = if matches!(head[4], 1 | 5) { 1 << 16 } else { 256 << 20 };
        if !known || length > most {
            // Version 5 goes over to another framing behind the start.
            return (!found.is_empty() && found.len() <= 2).then_some(found);
        }
        found.push(head[4]);
        if cursor.take(length as usize).is_none() {
            break;
        }
    }
    (!found.is_empty()).then_some(found)
}
