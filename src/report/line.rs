//! One line of JSON, put together by hand in a buffer that is used again: flow records are many,
//! and a serialiser asks for every field what is known beforehand.
//!
//! What is written between the values, names and commas, is left to the format.

use crate::model::calendar::civil;
use std::net::{IpAddr, Ipv6Addr};

/// Lines in the making.
///
/// There is always room behind the end, so that pieces of a known length are written with a few
/// moves, and numbers and addresses a word at a time, of which what is too long is written over.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// What was written, and room.
    room: Vec<u8>,
    /// Where the written part ends.
    end: usize,
    /// The day of the last time that was written, and its text up to the `T`.
    day: u64,
    date: Option<[u8; 11]>,
}

/// Room that a line begins with.
const LEAST: usize = 256;

/// All numbers of two digits.
const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// Bytes that cannot stand in a JSON string as they are (RFC 8259, section 7).
static ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

/// The numbers that an octet can have, with a dot behind each.
static OCTETS: [[u8; 4]; 256] = {
    let mut table = [[b'.'; 4]; 256];
    let mut number = 0;
    while number < 256 {
        let digits = [number / 100, number / 10 % 10, number % 10];
        let skipped = octet_length(number as u8) as usize;
        let mut at = 3 - skipped;
        let mut to = 0;
        while at < 3 {
            table[number][to] = b'0' + digits[at] as u8;
            (at, to) = (at + 1, to + 1);
        }
        number += 1;
    }
    table
};

/// How many digits an octet has.
const fn octet_length(octet: u8) -> u8 {
    match octet {
        0..10 => 1,
        10..100 => 2,
        100..=255 => 3,
    }
}

impl Line {
    /// Begins anew.
    pub(super) fn clear(&mut self) {
        self.end = 0;
    }

    /// The lines as they stand.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.room[..self.end]
    }

    /// Puts names, braces and commas as they are, of a length that is known beforehand.
    #[inline]
    pub(super) fn put<const N: usize>(&mut self, text: &[u8; N]) {
        self.write(*text, N);
    }

    /// Puts a word that needs no quotes and nothing escaped.
    #[inline]
    pub(super) fn word(&mut self, text: &str) {
        self.put_bytes(text.as_bytes());
    }

    /// What was put together elsewhere.
    #[inline]
    pub(super) fn put_bytes(&mut self, bytes: &[u8]) {
        self.space(bytes.len()).copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Some bytes behind the end, to be written to.
    #[inline]
    fn space(&mut self, count: usize) -> &mut [u8] {
        if self.room.len() - self.end < count {
            self.grow(count);
        }
        &mut self.room[self.end..][..count]
    }

    /// Writes some bytes, of which the first ones count.
    #[inline]
    fn write<const N: usize>(&mut self, bytes: [u8; N], count: usize) {
        // A copy of a known length is a few moves, where it is one of arrays.
        if let Some(space) = self.space(N).first_chunk_mut::<N>() {
            *space = bytes;
        }
        self.end += count;
    }

    #[cold]
    fn grow(&mut self, count: usize) {
        let enough = (self.end + count).max(2 * self.room.len()).max(LEAST);
        self.room.resize(enough, 0);
    }

    /// A string with its quotes.
    pub(super) fn text(&mut self, text: &str) {
        self.put(b"\"");
        let bytes = text.as_bytes();
        match bytes.iter().position(|byte| ESCAPED[usize::from(*byte)]) {
            None => self.put_bytes(bytes),
            Some(first) => self.escaped(bytes, first),
        }
        self.put(b"\"");
    }

    #[cold]
    fn escaped(&mut self, bytes: &[u8], first: usize) {
        let (plain, rest) = bytes.split_at(first);
        self.put_bytes(plain);
        for byte in rest {
            match byte {
                b'"' => self.put(b"\\\""),
                b'\\' => self.put(b"\\\\"),
                b'\n' => self.put(b"\\n"),
                b'\r' => self.put(b"\\r"),
                b'\t' => self.put(b"\\t"),
                8 => self.put(b"\\b"),
                12 => self.put(b"\\f"),
                control if *control < 0x20 => self.word(&format!("\\u{control:04x}")),
                other => self.put(&[*other]),
            }
        }
    }

    /// A number without a sign.
    #[inline]
    pub(super) fn number(&mut self, value: u64) {
        if value >= EIGHT_DIGITS {
            return self.long(value);
        }
        let word = eight_digits(value);
        let zeros = (word ^ u64::from_le_bytes([b'0'; 8])).trailing_zeros() as usize / 8;
        self.last_of(word, 8 - zeros.min(7));
    }

    #[cold]
    fn long(&mut self, value: u64) {
        self.number(value / EIGHT_DIGITS);
        self.last_of(eight_digits(value % EIGHT_DIGITS), 8);
    }

    /// The last of eight digits: all eight are written, and the next piece begins before their end.
    #[inline]
    fn last_of(&mut self, word: u64, count: usize) {
        self.write((word >> (8 * (8 - count))).to_le_bytes(), count);
    }

    /// An address without quotes.
    #[inline]
    pub(super) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(four) => {
                let octets = four.octets();
                for octet in &octets[..3] {
                    self.octet(*octet, 1);
                }
                self.octet(octets[3], 0);
            }
            IpAddr::V6(six) => self.six(six),
        }
    }

    /// An octet, with a dot behind it or not: four bytes are written, and the next piece begins
    /// before their end.
    #[inline]
    fn octet(&mut self, octet: u8, dot: usize) {
        self.write(OCTETS[usize::from(octet)], usize::from(octet_length(octet)) + dot);
    }

    /// RFC 5952: the first of the longest runs of zeros is left out, where it is longer than one,
    /// and an IPv4 address that is mapped is written as one.
    fn six(&mut self, address: Ipv6Addr) {
        if let Some(four) = address.to_ipv4_mapped() {
            self.put(b"::ffff:");
            return self.address(IpAddr::V4(four));
        }
        let groups = address.segments();
        let (mut longest, mut run) = (0..0, 0..0);
        for (at, group) in groups.iter().enumerate() {
            run = if *group != 0 { at + 1..at + 1 } else { run.start..at + 1 };
            if run.len() > longest.len() {
                longest = run.clone();
            }
        }
        if longest.len() < 2 {
            return self.groups(&groups);
        }
        self.groups(&groups[..longest.start]);
        self.put(b"::");
        self.groups(&groups[longest.end..]);
    }

    /// Hexadecimal numbers without zeros in front, with colons between them.
    fn groups(&mut self, groups: &[u16]) {
        for (at, group) in groups.iter().enumerate() {
            if at > 0 {
                self.put(b":");
            }
            let digit = |shift: u32| b"0123456789abcdef"[usize::from(group >> shift & 15)];
            let skipped = (group.leading_zeros() / 4).min(3);
            let word = u32::from_le_bytes([digit(12), digit(8), digit(4), digit(0)]) >> (8 * skipped);
            self.write(word.to_le_bytes(), 4 - skipped as usize);
        }
    }

    /// A moment, in nanoseconds since 1970, as RFC 3339 in UTC with microseconds.
    #[inline]
    pub(super) fn time(&mut self, nanos: u64) {
        let (seconds, micros) = (nanos / 1_000_000_000, (nanos % 1_000_000_000 / 1_000) as u32);
        let (day, rest) = (seconds / 86_400, (seconds % 86_400) as u32);
        let date = match self.date {
            Some(date) if self.day == day => date,
            _ => self.begin_day(day),
        };
        let [h, g] = pair(rest / 3_600);
        let [m, n] = pair(rest / 60 % 60);
        let [s, t] = pair(rest % 60);
        let ([a, b], [c, d], [e, f]) = (pair(micros / 10_000), pair(micros / 100), pair(micros));
        self.write(date, date.len());
        self.write([h, g, b':', m, n, b':', s, t, b'.', a, b, c, d, e, f, b'Z'], 16);
    }

    #[cold]
    fn begin_day(&mut self, day: u64) -> [u8; 11] {
        let (year, month, of_month) = civil(day as i64);
        let year = u32::try_from(year).unwrap_or_default();
        let [a, b] = [pair(year / 100), pair(year)];
        let [m, d] = [pair(month as u32), pair(of_month as u32)];
        let date = [a[0], a[1], b[0], b[1], b'-', m[0], m[1], b'-', d[0], d[1], b'T'];
        (self.day, self.date) = (day, Some(date));
        date
    }
}

const EIGHT_DIGITS: u64 = 100_000_000;

/// The eight digits of a number below 10^8, the first one lowest.
#[inline]
fn eight_digits(value: u64) -> u64 {
    let (high, low) = ((value / 10_000) as u32, (value % 10_000) as u32);
    let [a, b] = [pair(high / 100), pair(high % 100)];
    let [c, d] = [pair(low / 100), pair(low % 100)];
    u64::from_le_bytes([a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]])
}

/// The last two digits of a number.
#[inline]
fn pair(value: u32) -> [u8; 2] {
    let at = (value % 100) as usize * 2;
    [PAIRS[at], PAIRS[at + 1]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(put: impl Fn(&mut Line)) -> String {
        let mut line = Line::default();
        put(&mut line);
        String::from_utf8(line.bytes().to_vec()).expect("text")
    }

    proptest! {
        #[test]
        fn it_writes_what_a_serialiser_writes(number in any::<u64>(), zeros in any::<u8>(), text in "\\PC*|[\\x00-\\x7f]*") {
            for value in [number, number >> 32, number >> 50, number >> 60] {
                prop_assert_eq!(written(|line| line.number(value)), value.to_string());
            }
            prop_assert_eq!(written(|line| line.text(&text)), serde_json::to_string(&text).expect("a string"));
            // Of the groups of an address, each bit of `zeros` leaves one at zero.
            let mut groups = [number, number >> 16, number >> 32, number >> 48, number, number >> 16, number >> 32, number >> 48].map(|group| group as u16);
            let whole = IpAddr::from(groups);
            (0..8).filter(|bit| zeros >> bit & 1 == 1).for_each(|bit| groups[bit] = 0);
            let mapped = std::net::Ipv4Addr::from(number as u32).to_ipv6_mapped();
            let addresses = [
                IpAddr::from((number as u32).to_be_bytes()), IpAddr::from(u128::from(number).to_be_bytes()),
                whole, IpAddr::from(groups), IpAddr::from(groups.map(|group| group & 0xff)), mapped.into(),
            ];
            for address in addresses {
                prop_assert_eq!(written(|line| line.address(address)), address.to_string());
            }
        }
    }

    #[test]
    fn small_numbers_have_no_zero_in_front() {
        let borders = [9_999, 10_000, 99_999, 100_000, 99_999_999, 100_000_000, 100_000_001, u64::MAX];
        for value in (0..1_100).chain(borders) {
            assert_eq!(written(|line| line.number(value)), value.to_string());
        }
    }

    #[test]
    fn all_octets_and_days_are_written() {
        for octet in 0..=255_u8 {
            let address = IpAddr::from([octet, 0, 255 - octet, octet]);
            assert_eq!(written(|line| line.address(address)), address.to_string());
        }
        let leap = 1_709_251_199_999_999_000;
        let texts = written(|line| [0, leap, leap + 1_000, leap].iter().for_each(|nanos| line.time(*nanos)));
        let (first, second) = ("2024-02-29T23:59:59.999999Z", "2024-03-01T00:00:00.000000Z");
        assert_eq!(texts, format!("1970-01-01T00:00:00.000000Z{first}{second}{first}"));
    }
}
