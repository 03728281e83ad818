//! Reading untrusted bytes: nothing here can panic.

use super::pairs::find_pair;
use memchr::{memchr, memchr2};

/// A position in a slice that only moves forward.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn u24(&mut self) -> Option<usize> {
        self.take(3).map(|b| usize::from(b[0]) << 16 | usize::from(b[1]) << 8 | usize::from(b[2]))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// Little-endian.
    pub(super) fn le16(&mut self) -> Option<u16> {
        self.u16().map(u16::swap_bytes)
    }

    /// Little-endian.
    pub(super) fn le32(&mut self) -> Option<u32> {
        self.u32().map(u32::swap_bytes)
    }

    /// A vector with a length of one byte in front (RFC 8446, section 3.4).
    pub(super) fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// A vector with a length of two bytes in front.
    pub(super) fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// A number in groups of seven bits, the lowest first, of at most four bytes.
    pub(super) fn varint(&mut self) -> Option<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Text up to a zero byte, which is taken too.
    pub(super) fn zero_ended(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|b| *b == 0)?;
        let text = self.take(end)?;
        self.u8()?;
        Some(text)
    }
}

/// Lines are cut here.
const LONGEST_LINE: usize = 512;

/// The part of a text protocol's first line that is text.
pub(super) fn first_line(bytes: &[u8]) -> &[u8] {
    let head = &bytes[..bytes.len().min(LONGEST_LINE)];
    let line = &head[..memchr(b'\n', head).unwrap_or(head.len())];
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What stands behind the first line.
pub(super) fn after_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = memchr(b'\n', bytes)?;
    bytes.get(end + 1..)
}

/// How often a byte stands in what is searched, roughly: text in the first place.
static COMMON: [u8; 256] = {
    let mut table = [40; 256];
    let letters = b"zqjxkvbgwypfmculdhrsnioate";
    let mut at = 0;
    while at < letters.len() {
        let rank = 50 + 5 * at as u8;
        table[letters[at] as usize] = rank;
        table[letters[at].to_ascii_uppercase() as usize] = rank;
        at += 1;
    }
    let frequent = b" \0\n\r0123456789-/.,:;=\"'<>";
    at = 0;
    while at < frequent.len() {
        table[frequent[at] as usize] = 140;
        at += 1;
    }
    table
};

/// Fewer bytes than this are searched for the first byte of a needle.
const FEW: usize = 256;
/// A byte that is met less than this is looked for alone.
const RARE: u8 = 70;

/// Where the bytes of a needle stand that are met least, in the order of places.
fn rarest(needle: &[u8]) -> (usize, usize) {
    let rank = |at: &usize| COMMON[usize::from(needle[*at])];
    let rarest = (0..needle.len()).min_by_key(rank).unwrap_or(0);
    let next = (0..needle.len()).filter(|at| *at != rarest).min_by_key(rank).unwrap_or(rarest);
    (rarest.min(next), rarest.max(next))
}

/// The bit in which both cases of a letter differ; none for what is no letter.
fn case_bit(byte: u8) -> u8 {
    if byte.is_ascii_alphabetic() { 0x20 } else { 0 }
}

/// Where `needle` first stands, letters of either case alike.
pub(super) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let last = bytes.len().checked_sub(needle.len())?;
    // In few bytes, looking for what is rare would take longer, but for a space or a line end in front.
    if bytes.len() < FEW {
        return match needle {
            [b' ', second, ..] => find_by(1, *second, bytes, needle, last),
            [b'\r', b'\n', third, ..] => find_by(2, *third, bytes, needle, last),
            _ => find_by(0, first, bytes, needle, last),
        };
    }
    let (one, other) = rarest(needle);
    for at in [one, other] {
        if COMMON[usize::from(needle[at])] < RARE {
            return find_by(at, needle[at], bytes, needle, last);
        }
    }
    let [(a, of_a), (b, of_b)] =
        [one, other].map(|at| (needle[at] | case_bit(needle[at]), case_bit(needle[at])));
    let fits = |x: u8, y: u8| (x | of_a == a) & (y | of_b == b);
    find_pair(bytes.get(one..=last + other)?, other - one, fits, |at| starts(&bytes[at..], needle))
}

/// Where `needle` first stands, by one of its bytes: most bytes are another one, and are passed over.
fn find_by(anchor: usize, byte: u8, bytes: &[u8], needle: &[u8], last: usize) -> Option<usize> {
    let places = bytes.get(anchor..=last + anchor)?;
    let (lower, upper) = (byte.to_ascii_lowercase(), byte.to_ascii_uppercase());
    let next = |from: usize| match lower == upper {
        true => memchr(lower, &places[from..]),
        false => memchr2(lower, upper, &places[from..]),
    };
    let mut from = 0;
    while let Some(at) = next(from) {
        if starts(&bytes[from + at..], needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// Whether `needle` stands somewhere, letters of either case alike.
pub(super) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || find(bytes, needle).is_some()
}

/// Whether bytes begin with `prefix`, letters of either case alike.
#[inline]
pub(super) fn starts(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.len() >= prefix.len()
        && bytes.iter().zip(prefix).all(|(byte, wanted)| byte.eq_ignore_ascii_case(wanted))
}

/// What follows each line feed, with whether a carriage return stood before it.
pub(super) fn line_ends(bytes: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    let returned = |at: usize| at.checked_sub(1).is_some_and(|before| bytes[before] == b'\r');
    memchr::memchr_iter(b'\n', bytes).map(move |at| (returned(at), &bytes[at + 1..]))
}

/// Whether bytes begin with one of several prefixes, letters of either case alike.
pub(super) fn starts_with_any(bytes: &[u8], prefixes: &[&[u8]]) -> bool {
    let Some(first) = bytes.first().map(u8::to_ascii_lowercase) else { return false };
    // Nearly all prefixes fail at their first byte.
    let begins = |prefix: &&[u8]| prefix.first().is_some_and(|byte| byte.to_ascii_lowercase() == first);
    prefixes.iter().filter(|prefix| begins(prefix)).any(|prefix| starts(bytes, prefix))
}

/// Whether one of several needles stands somewhere.
pub(super) fn contains_any(bytes: &[u8], needles: &[&[u8]]) -> bool {
    needles.iter().any(|needle| contains(bytes, needle))
}

/// Whether bytes are there and all of them can be read as text.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let fits = |b: &u8| b.is_ascii_graphic() || b" \t\r\n".contains(b) || *b >= 0x80;
    !bytes.is_empty() && bytes.iter().all(fits) && std::str::from_utf8(bytes).is_ok_or_cut()
}

/// Whether what stands last is text, and too long for that to be an accident.
pub(super) fn ends_in_text(bytes: &[u8]) -> bool {
    const ENOUGH: usize = 64;
    bytes.len() >= ENOUGH && is_text(&bytes[bytes.len() - ENOUGH..])
}

/// Bytes of names that are safe to print.
static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let others = b"-._:[]*@/";
    let mut at = 0;
    while at < 256 {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

/// A name that is safe to print: of a host, a service, a file.
pub(super) fn plain_name(bytes: &[u8]) -> Option<String> {
    let fits = !bytes.is_empty() && bytes.len() <= 255 && bytes.iter().all(|b| PLAIN[usize::from(*b)]);
    fits.then(|| str::from_utf8(bytes).ok().map(str::to_owned)).flatten()
}

/// A valid text, or one whose last character was cut.
trait OrCut {
    fn is_ok_or_cut(&self) -> bool;
}

impl OrCut for Result<&str, std::str::Utf8Error> {
    fn is_ok_or_cut(&self) -> bool {
        self.as_ref().err().is_none_or(|error| error.error_len().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_are_found_where_they_first_stand(text in "[aAkK-]{0,60}|[aAkK-]{300,400}", word in "[aAkK-]{1,4}") {
            let (text, word) = (text.as_bytes(), word.as_bytes());
            let first = text.windows(word.len()).position(|some| some.eq_ignore_ascii_case(word));
            prop_assert_eq!(find(text, word), first);
        }
    }

    #[test]
    fn words_are_found_whatever_their_case_and_cut_text_is_text() {
        assert_eq!(find(b"aab AUTH", b"auth"), Some(4));
        assert_eq!(find(b"au", b"auth"), None);
        assert_eq!((find(b"", b""), find(b"a", b"")), (None, None));
        assert!(is_text("gr\u{fc}n".as_bytes()) && is_text(&"gr\u{fc}".as_bytes()[..3]));
        assert!(!is_text(&[b'a', 0xff, b'b']) && !is_text(b""));
        assert_eq!(Cursor(&[0x80, 0x01]).varint(), Some(128));
        assert_eq!(plain_name(b"a-Z_0.:[]*@/").as_deref(), Some("a-Z_0.:[]*@/"));
        assert!([b' ', b'"', 0, 0x7f, 0xc3].iter().all(|byte| plain_name(&[b'a', *byte]).is_none()));
    }
}
