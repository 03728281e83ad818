//! Fingerprints and their hashes, kept for the hellos and the texts that were met last: few libraries
//! call, and each offers the same lists again and again. Those that put their lists into another order
//! each time still have the hashes.
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

/// What a hello tells of its client, with the fingerprint of that.
#[derive(Clone, Default)]
struct Print {
    told: Box<[u16]>,
    print: String,
}

thread_local! {
    static TABLE: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
    static PRINTS: RefCell<Vec<Print>> = const { RefCell::new(Vec::new()) };
}

/// The fingerprint of what a hello tells, made where it is not known.
pub(super) fn print_of(told: &[u16], make: impl FnOnce() -> String) -> String {
    if told.len() > LONGEST {
        return make();
    }
    PRINTS.with_borrow_mut(|table| {
        if table.is_empty() {
            table.resize(KEPT, Print::default());
        }
        let (fours, rest) = told.as_chunks::<4>();
        let word = |[a, b, c, d]: &[u16; 4]| {
            u64::from(*a) | u64::from(*b) << 16 | u64::from(*c) << 32 | u64::from(*d) << 48
        };
        let known = &mut table
            [slot(told.len(), fours.iter().map(word).chain(rest.iter().map(|one| u64::from(*one))))];
        if *known.told != *told {
            *known = Print { told: told.into(), print: make() };
        }
        known.print.clone()
    })
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
        let (words, rest) = text.as_chunks::<8>();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        let known = &mut table[slot(text.len(), words.chain(rest.iter().map(|byte| u64::from(*byte))))];
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

/// Where something of a length is kept that these words tell.
fn slot(length: usize, words: impl Iterator<Item = u64>) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |all: u64, word: u64| (all ^ word).wrapping_mul(ODD).rotate_left(29);
    words.fold(length as u64, mix) as usize % KEPT
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
        let (told, print) =
            (|number: u16| [number, number % 5, 7, 8, 9], |number: u16| format!("t13d{number}"));
        for number in (0..3 * KEPT as u16).chain(0..3 * KEPT as u16) {
            let asked = [false, true].map(|again| {
                print_of(&told(number), || if again { "made anew".to_owned() } else { print(number) })
            });
            assert_eq!(asked, [print(number), print(number)], "made once and then kept");
        }
        assert_eq!(print_of(&[1; LONGEST + 1], || "long".to_owned()), "long");
        let long = vec![b'a'; LONGEST + 1];
        assert_eq!(digits_of(&long).0, hash(&long));
    }
}
