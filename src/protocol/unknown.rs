//! What no detector knows: why, as honestly as the bytes allow.
//!
//! Text is readable whatever it means. Random-looking bytes may be encrypted or compressed, and
//! are never called encrypted.

use super::Detection;
use crate::capture::Flow;
use crate::model::{Proof, Protection, WhyUnknown};

/// Fewer bytes than this say nothing about their distribution.
const ENOUGH: usize = 256;
/// Below this, a chi-square of 256 classes is that of random bytes (99th percentile, measured).
const RANDOM_BELOW: f64 = 330.0;

/// The verdict of last resort.
pub(super) fn detect(flow: &Flow) -> Detection {
    let start = &flow.start;
    let sides = [&start.forward, &start.backward];
    let seen: Vec<&Vec<u8>> = sides.into_iter().filter(|bytes| !bytes.is_empty()).collect();
    let random = |bytes: &&Vec<u8>| bytes.len() >= ENOUGH && chi_square(bytes) < RANDOM_BELOW;
    let text = |bytes: &&Vec<u8>| bytes.len() >= 24 && printable(bytes) > 90;
    let (protection, why) = if flow.evicted && seen.is_empty() {
        (unknown(WhyUnknown::Evicted), "the flow table was full")
    } else if seen.is_empty() && start.cut {
        (unknown(WhyUnknown::CutBySnaplen), "the capture cut the payload away")
    } else if seen.is_empty() {
        (unknown(WhyUnknown::NoPayload), "no payload was seen")
    } else if seen.iter().all(text) {
        (Protection::Plaintext(Proof::Text), "readable text of an unknown protocol")
    } else if seen.iter().all(random) {
        (unknown(WhyUnknown::RandomLooking), "random-looking bytes: encrypted or compressed")
    } else if start.cut || start.holes {
        (unknown(WhyUnknown::CutBySnaplen), "bytes are missing at the beginning")
    } else if start.late {
        (unknown(WhyUnknown::LateStart), "the capture began in the middle of the connection")
    } else {
        (unknown(WhyUnknown::NoMatch), "no detector knows these bytes")
    };
    Detection { protocol: "unknown", protection, why: why.to_owned(), facts: Vec::new() }
}

fn unknown(why: WhyUnknown) -> Protection {
    Protection::Unknown(why)
}

/// Percentage of printable bytes.
fn printable(bytes: &[u8]) -> usize {
    let fits = |b: &&u8| b.is_ascii_graphic() || b" \t\r\n".contains(b);
    bytes.iter().filter(fits).count() * 100 / bytes.len()
}

fn chi_square(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|b| counts[usize::from(*b)] += 1);
    let expected = bytes.len() as f64 / 256.0;
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}
