//! What no detector knows: why, as honestly as the bytes allow.
//!
//! Text is readable whatever it means. Random-looking bytes may be encrypted or compressed, and
//! are never called encrypted.

use super::{Detection, Seen};
use crate::model::{Proof, Protection, WhyUnknown};

/// Fewer bytes than this say nothing about their distribution.
const ENOUGH: usize = 256;
/// Below this, a chi-square of 256 classes is that of random bytes (99th percentile, measured).
const RANDOM_BELOW: f64 = 330.0;

/// First bytes of compressed data and of images, which look random and are readable.
const COMPRESSED: &[(&[u8], &str)] = &[
    (&[0x1f, 0x8b, 8], "gzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (&[4, 0x22, 0x4d, 0x18], "lz4"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (&[0xff, 0xd8, 0xff], "jpeg"),
    (&[0x89, b'P', b'N', b'G'], "png"),
    (b"GIF8", "gif"),
    (b"%PDF-", "pdf"),
    (&[0x7f, b'E', b'L', b'F'], "elf"),
    (b"MZ\x90\0", "pe"),
];

/// The verdict of last resort.
pub(super) fn detect(seen: &Seen<'_>) -> Detection {
    let both = [seen.client, seen.server];
    let sides: &[&[u8]] = match both.map(<[u8]>::is_empty) {
        [true, true] => &[],
        [false, true] => &both[..1],
        [true, false] => &both[1..],
        [false, false] => &both,
    };
    let format = sides.iter().find_map(|bytes| COMPRESSED.iter().find(|(mark, _)| bytes.starts_with(mark)));
    let random = |bytes: &&[u8]| bytes.len() >= ENOUGH && chi_square(bytes) < RANDOM_BELOW;
    let readable = sides.iter().all(|bytes| is_text(bytes));
    let looks_encrypted = format.is_none() && !sides.is_empty() && !readable && sides.iter().all(random);
    let (protection, why) = match () {
        () if seen.evicted && sides.is_empty() => (unknown(WhyUnknown::Evicted), "the flow table was full"),
        () if sides.is_empty() && seen.cut => {
            (unknown(WhyUnknown::CutBySnaplen), "the capture cut the payload away")
        }
        () if sides.is_empty() => (unknown(WhyUnknown::NoPayload), "no payload was seen"),
        () if format.is_some() => (Protection::Plaintext(Proof::Text), "a file in a known format"),
        () if readable => (Protection::Plaintext(Proof::Text), "readable text of an unknown protocol"),
        () if looks_encrypted => {
            (unknown(WhyUnknown::RandomLooking), "random-looking bytes: encrypted or compressed")
        }
        () if seen.cut || seen.holes => {
            (unknown(WhyUnknown::CutBySnaplen), "bytes are missing at the beginning")
        }
        () if seen.late => {
            (unknown(WhyUnknown::LateStart), "the capture began in the middle of the connection")
        }
        () => (unknown(WhyUnknown::NoMatch), "no detector knows these bytes"),
    };
    let detection = Detection::new("unknown", protection, why);
    match (looks_encrypted, format) {
        (true, _) => detection.with("entropy", "looks-encrypted"),
        (_, Some((_, name))) => detection.with("format", *name),
        _ => detection,
    }
}

fn unknown(why: WhyUnknown) -> Protection {
    Protection::Unknown(why)
}

/// Enough bytes, nearly all of them printable.
fn is_text(bytes: &[u8]) -> bool {
    bytes.len() >= 24 && printable(bytes) > 90
}

/// Percentage of printable bytes.
fn printable(bytes: &[u8]) -> usize {
    let fits = |b: &&u8| matches!(b, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    bytes.iter().filter(fits).count() * 100 / bytes.len()
}

fn chi_square(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|b| counts[usize::from(*b)] += 1);
    let expected = bytes.len() as f64 / 256.0;
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}
