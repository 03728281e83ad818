//! Kafka: requests behind their length with a known key and version, answers that repeat their number.

use super::bytes::{Cursor, contains};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Kafka: "kafka"; Stream, ports [9092, 9093, 9094], Clear;
    "Kafka: chained requests, answers with the same correlation ids, SASL PLAIN";
    "Apache Kafka documentation, protocol";
    begins [Opening::client(First::range(0, 6))]
}

const MOST_KEYS: u16 = 92;
const SASL_HANDSHAKE: u16 = 17;

/// What tells one request from another.
struct Request {
    key: u16,
    correlation: u32,
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (requests, whole) = requests(seen.client)?;
    let answer = Cursor(seen.server.get(4..).unwrap_or(&[])).u32();
    let length = Cursor(seen.server).u32().unwrap_or(0);
    let answered = answer == Some(requests[0].correlation) && (4..100 << 20).contains(&length);
    let several = whole
        && requests.len() >= 2
        && requests.windows(2).all(|p| p[1].correlation.wrapping_sub(p[0].correlation) <= 16);
    if !(answered || seen.server.is_empty() && (several || seen.hinted(PORTS))) {
        return None;
    }
    let shakes = requests.iter().any(|request| request.key == SASL_HANDSHAKE);
    let plain = shakes && contains(seen.client, b"\0\x05PLAIN");
    let detection = Detection::plain("kafka", "requests in the clear");
    detection.with_credentials(plain.then_some("kafka-plain")).certain_if(answered || several)
}

/// Requests as far as they chain, and whether they fill the stream.
fn requests(bytes: &[u8]) -> Option<(Vec<Request>, bool)> {
    let mut cursor = Cursor(bytes);
    let mut found = Vec::new();
    while let Some(length) = cursor.u32() {
        if !(8..100 << 20).contains(&length) {
            break;
        }
        let mut inside = Cursor(&cursor.0[..cursor.0.len().min(length as usize)]);
        let (Some(key), Some(version), Some(correlation), Some(client)) =
            (inside.u16(), inside.u16(), inside.u32(), inside.u16())
        else {
            break;
        };
        let name =
            client == 0xffff || inside.take(usize::from(client).min(inside.0.len())).is_some_and(is_name);
        // Credentials of the first SASL version travel without a header.
        if key > MOST_KEYS || version > 20 || !name || client != 0xffff && u32::from(client) > length {
            break;
        }
        found.push(Request { key, correlation });
        if cursor.take(length as usize).is_none() {
            return Some((found, true));
        }
    }
    let whole = cursor.0.is_empty();
    (!found.is_empty()).then_some((found, whole))
}

fn is_name(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b.is_ascii_graphic() || *b == b' ')
}
