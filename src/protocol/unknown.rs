//! What no detector knows: why, as honestly as the bytes allow.
//!
//! Text is readable whatever it means. Random-looking bytes may be encrypted or compressed, and
//! are never called encrypted.

use super::{Detection, Seen};
use crate::capture::Transport;
use crate::model::{Proof, Protection, WhyUnknown};

/// Fewer bytes than this say nothing about their distribution.
const ENOUGH: usize = 256;
/// Below this, a chi-square of 256 classes is that of random bytes (99th percentile, measured).
const RANDOM_BELOW: u64 = 330;
/// Bytes that are counted at a time.
const LOOKED_AT: usize = 1_024;

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
    let (why, text) = match (seen.has_payload(), seen.evicted, seen.cut) {
        (true, ..) => return with_payload(seen),
        (false, true, _) => (WhyUnknown::Evicted, "the flow table was full"),
        (false, false, true) => (WhyUnknown::CutBySnaplen, "the capture cut the payload away"),
        (false, false, false) => (WhyUnknown::NoPayload, "no payload was seen"),
    };
    Detection::unclear("unknown", why, text)
}

/// What the bytes look like comes before why nobody knows them.
fn with_payload(seen: &Seen<'_>) -> Detection {
    // Errors quote the packets that they are about, echoes what anybody likes (RFC 792).
    if seen.transport == Transport::Icmp {
        let why = "control messages of IP, not of an application";
        return Detection::unclear("unknown", WhyUnknown::NoMatch, why);
    }
    let sides = || [seen.client, seen.server].into_iter().filter(|bytes| !bytes.is_empty());
    // Nearly all marks fail at their first byte.
    let known = |bytes: &[u8]| {
        COMPRESSED.iter().find(|(mark, _)| mark.first() == bytes.first() && bytes.starts_with(mark))
    };
    let readable = |why| Detection::new("unknown", Protection::Plaintext(Proof::Text), why);
    if let Some((_, format)) = sides().find_map(known) {
        return readable("a file in a known format").with("format", *format);
    }
    if sides().all(is_encoded) {
        let why = "text that encodes random-looking bytes: encrypted or compressed";
        return Detection::unclear("unknown", WhyUnknown::RandomLooking, why)
            .with("entropy", "looks-encrypted");
    }
    if sides().all(is_readable) && sides().any(suffices) {
        return readable("readable text of an unknown protocol");
    }
    if sides().all(is_random) {
        let why = "random-looking bytes: encrypted or compressed";
        return Detection::unclear("unknown", WhyUnknown::RandomLooking, why)
            .with("entropy", "looks-encrypted");
    }
    let (why, text) = match () {
        () if seen.cut || seen.holes => (WhyUnknown::CutBySnaplen, "bytes are missing at the beginning"),
        () if seen.late => (WhyUnknown::LateStart, "the capture began in the middle of the connection"),
        () => (WhyUnknown::NoMatch, "no detector knows these bytes"),
    };
    Detection::unclear("unknown", why, text)
}

/// Enough bytes to say that who can read them can read on. One side that says as much is enough, where
/// the little that the other says can be read too.
fn suffices(bytes: &[u8]) -> bool {
    bytes.len() >= 24
}

/// Nearly all bytes are printable: more than 90 of each hundred, in whole ones.
fn is_readable(bytes: &[u8]) -> bool {
    // As soon as more than these are not printable, the rest need not be looked at.
    let mut left = (bytes.len() - (bytes.len() * 91).div_ceil(100)) as i64;
    bytes.chunks(255).all(|some| {
        left -= (some.len() - printable(some)) as i64;
        left >= 0
    })
}

/// Nothing but base 64 (RFC 4648, both alphabets), of which each of the 64 letters is as frequent as any
/// other: what it encodes is as random as cipher text, and nobody can read it.
fn is_encoded(bytes: &[u8]) -> bool {
    /// With 63 degrees of freedom: one of ten thousand random texts is above it, and words are.
    const SPREAD_BELOW: u64 = 115;
    let text = bytes.trim_ascii_end();
    let filled = text.len() - text.iter().rev().take(2).take_while(|b| **b == b'=').count();
    let letters = &text[..filled.min(LOOKED_AT)];
    let mut counts = [0_u64; 64];
    for letter in letters {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return false,
        };
        counts[usize::from(value)] += 1;
    }
    let length = letters.len() as u64;
    length >= 96
        && 64 * counts.iter().map(|count| count * count).sum::<u64>() < (SPREAD_BELOW + length) * length
}

/// How many of at most 255 bytes are printable.
fn printable(bytes: &[u8]) -> usize {
    let fits = |b: u8| b.wrapping_sub(b' ') <= b'~' - b' ' || matches!(b, b'\t' | b'\r' | b'\n');
    // Counts of so few bytes fit into a byte, and many of them are added at once.
    usize::from(bytes.iter().map(|b| u8::from(fits(*b))).sum::<u8>())
}

/// Enough bytes, spread over all values as random ones are.
///
/// With `n` bytes, of which `c` have each value, chi-square is `256 / n * sum(c^2) - n`. The sum only
/// grows, so most bytes that are not random give themselves away early.
fn is_random(bytes: &[u8]) -> bool {
    let length = bytes.len() as u64;
    let most = (RANDOM_BELOW + length) * length;
    let mut counts = [0_u32; 256];
    bytes.len() >= ENOUGH
        && bytes.chunks(LOOKED_AT).all(|some| {
            some.iter().for_each(|b| counts[usize::from(*b)] += 1);
            256 * counts.iter().map(|count| u64::from(*count) * u64::from(*count)).sum::<u64>() < most
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, value by value.
    fn chi_square(bytes: &[u8]) -> f64 {
        let mut counts = [0_u32; 256];
        bytes.iter().for_each(|b| counts[usize::from(*b)] += 1);
        let expected = bytes.len() as f64 / 256.0;
        counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
    }

    #[test]
    fn text_that_encodes_random_bytes_is_told_from_words() {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let encoded = |bytes: &[u8]| -> Vec<u8> {
            let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
            let bits: Vec<u8> = bits.collect();
            let letter = |six: &[u8]| ALPHABET[usize::from(six.iter().fold(0, |sum, bit| sum << 1 | bit))];
            bits.chunks(6).map(letter).collect()
        };
        for length in (72..1_500).step_by(12) {
            let random: Vec<u8> = (0..length).map(|_| next()).collect();
            assert!(is_encoded(&encoded(&random)), "{length}");
            assert!(is_encoded(&[encoded(&random).as_slice(), b"==\r\n"].concat()));
            let words = b"thequickbrownfoxjumpsoverthelazydog".repeat(length / 20);
            assert!(!is_encoded(&words) && !is_encoded(&encoded(&words)), "{length}");
        }
        assert!(!is_encoded(&[b'A'; 200]) && !is_encoded(b"short") && !is_encoded(&[]));
    }

    fn is_text(bytes: &[u8]) -> bool {
        suffices(bytes) && is_readable(bytes)
    }

    #[test]
    fn random_bytes_are_told_by_chi_square_and_text_by_what_can_be_printed() {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let (mut random, mut other) = (0, 0);
        for round in 0..400_usize {
            // The later the round, the rarer are the upper values.
            let bytes: Vec<u8> = (0..256 + round * 17)
                .map(|at| next() % 255_u8.saturating_sub(at as u8 % 2 * (round / 8) as u8))
                .collect();
            assert_eq!(is_random(&bytes), chi_square(&bytes) < RANDOM_BELOW as f64, "round {round}");
            let fits = bytes.iter().filter(|b| matches!(b, b' '..=b'~' | b'\t' | b'\r' | b'\n')).count();
            assert_eq!(bytes.chunks(255).map(printable).sum::<usize>(), fits);
            assert_eq!(is_text(&bytes), fits * 100 / bytes.len() > 90);
            if is_random(&bytes) { random += 1 } else { other += 1 }
        }
        assert!(random > 20 && other > 20, "{random} {other}");
        for (text, other) in [(91, 9), (90, 10), (910, 90), (909, 91), (911, 89), (23, 2), (22, 2)] {
            let bytes = [vec![b'a'; text], vec![0; other]].concat();
            assert_eq!(is_text(&bytes), text * 100 / bytes.len() > 90 && bytes.len() >= 24, "{text} {other}");
        }
        assert!(is_text(&[b'a'; 24]) && !is_text(&[b'a'; 23]) && !is_random(&[0; 1024]));
    }
}
