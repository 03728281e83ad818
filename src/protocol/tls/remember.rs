//! The hashes of fingerprints, kept for the texts that were met last: few libraries call, and each
//! offers the same lists again and again.
//!
//! What is kept follows from the text alone, so that it can be forgotten at any time.

use sha2::{Digest, Sha256};
use std::cell::RefCell;

/// Texts that are kept by each thread; a power of two.
const KEPT: usize = 256;
/// Longer texts are not kept: no client that is not made up has them.
const LONGEST: usize = 1_024;

/// Hexadecimal digits of a fingerprint's hash.
const DIGITS: usize = 12;

/// A text with the digits of its hash.
#[derive(Clone, Default)]
struct Known {
    text: Box<[u8]>,
    digits: [u8; DIGITS],
}

thread_local! {
    static TABLE: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// Twelve hexadecimal digits.
pub(super) struct Digits([u8; DIGITS]);

impl std::ops::Deref for Digits {
    type Target = str;

    fn deref(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The first twelve hexadecimal digits of SHA-256; zeros for nothing.
pub(super) fn digits_of(text: &[u8]) -> Digits {
    if text.is_empty() {
        return Digits([b'0'; DIGITS]);
    }
    if text.len() > LONGEST {
        return Digits(hash(text));
    }
    TABLE.with_borrow_mut(|table| {
        if table.is_empty() {
            table.resize(KEPT, Known::default());
        }
        let known = &mut table[slot(text)];
        if *known.text != *text {
            *known = Known { text: text.into(), digits: hash(text) };
        }
        Digits(known.digits)
    })
}

fn hash(text: &[u8]) -> [u8; DIGITS] {
    let mut all = [0; DIGITS];
    for (pair, byte) in all.chunks_exact_mut(2).zip(Sha256::digest(text)) {
        pair.copy_from_slice(&super::hello::digits(byte));
    }
    all
}

/// Where a text is kept.
fn slot(text: &[u8]) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = text.as_chunks::<8>();
    let mix = |all: u64, word: u64| (all ^ word).wrapping_mul(ODD).rotate_left(29);
    let all = words.iter().fold(text.len() as u64, |all, word| mix(all, u64::from_le_bytes(*word)));
    rest.iter().fold(all, |all, byte| mix(all, u64::from(*byte))) as usize % KEPT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_would_be_computed() {
        assert_eq!(&*digits_of(b""), "000000000000");
        // SHA-256 of "1301,1302", computed by another program.
        assert_eq!(&*digits_of(b"1301,1302"), "62ed6f6ca7ad");
        let text = |number: usize| format!("{number:04x},{:04x}", number * 7).into_bytes();
        // More than are kept, twice: each is met again after others were put in its place.
        for number in (0..3 * KEPT).chain(0..3 * KEPT) {
            assert_eq!(digits_of(&text(number)).0, hash(&text(number)), "{number}");
            assert_eq!(digits_of(&text(number)).0, hash(&text(number)), "{number}, kept");
        }
        let long = vec![b'a'; LONGEST + 1];
        assert_eq!(digits_of(&long).0, hash(&long));
    }
}
