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
    /// The second of the last time that was written, and its text up to the dot: what is written in
    /// the order of time has it again and again.
    second: Option<(u64, [u8; 20])>,
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

/// The numbers that an octet can have, with a dot behind each, and how long that is.
static OCTETS: [(u32, u32); 256] = {
    let mut table = [(0, 0); 256];
    let mut number = 0;
    while number < 256 {
        let digits = [number / 100, number / 10 % 10, number % 10];
        let mut at = if number < 10 { 2 } else { (number < 100) as usize };
        let (mut text, mut to) = ([0; 4], 0);
        while at < 3 {
            text[to] = b'0' + digits[at] as u8;
            (at, to) = (at + 1, to + 1);
        }
        text[to] = b'.';
        table[number] = (u32::from_le_bytes(text), to as u32 + 1);
        number += 1;
    }
    table
};

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

    /// A number without a sign; most are small.
    #[inline]
    pub(super) fn number(&mut self, value: u64) {
        match value {
            0..10 => self.write([b'0' + value as u8], 1),
            10..100 => self.write(pair(value as u32), 2),
            100..10_000 => {
                let [[a, b], [c, d]] = [pair(value as u32 / 100), pair(value as u32)];
                let skipped = u32::from(value < 1_000);
                self.write(
                    (u32::from_le_bytes([a, b, c, d]) >> (8 * skipped)).to_le_bytes(),
                    4 - skipped as usize,
                );
            }
            10_000..EIGHT_DIGITS => {
                let word = eight_digits(value);
                let zeros = (word ^ u64::from_le_bytes([b'0'; 8])).trailing_zeros() as usize / 8;
                self.last_of(word, 8 - zeros);
            }
            _ => self.long(value),
        }
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
                let [a, b, c, d] = four.octets();
                self.octets(a, b, 1);
                self.octets(c, d, 0);
            }
            IpAddr::V6(six) => self.six(six),
        }
    }

    /// Two octets, with a dot behind them or not: eight bytes are written, and the next piece begins
    /// before their end.
    #[inline]
    fn octets(&mut self, one: u8, other: u8, dot: usize) {
        let [(one, length), (other, more)] = [one, other].map(|octet| OCTETS[usize::from(octet)]);
        let both = u64::from(one) | u64::from(other) << (8 * length);
        self.write(both.to_le_bytes(), (length + more) as usize + dot - 1);
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
        let (second, micros) = (nanos / 1_000_000_000, (nanos % 1_000_000_000 / 1_000) as u32);
        let text = match self.second {
            Some((known, text)) if known == second => text,
            _ => self.begin_second(second),
        };
        let ([a, b], [c, d], [e, f]) = (pair(micros / 10_000), pair(micros / 100), pair(micros));
        self.write(text, text.len());
        self.write([a, b, c, d, e, f, b'Z', 0], 7);
    }

    #[cold]
    fn begin_second(&mut self, second: u64) -> [u8; 20] {
        let (day, rest) = (second / 86_400, (second % 86_400) as u32);
        let (year, month, of_month) = civil(day as i64);
        let year = u32::try_from(year).unwrap_or_default();
        let [[a, b], [c, d]] = [pair(year / 100), pair(year)];
        let [[e, f], [g, h]] = [pair(month as u32), pair(of_month as u32)];
        let [[i, j], [k, l], [m, n]] = [pair(rest / 3_600), pair(rest / 60 % 60), pair(rest % 60)];
        let text = [a, b, c, d, b'-', e, f, b'-', g, h, b'T', i, j, b':', k, l, b':', m, n, b'.'];
        self.second = Some((second, text));
        text
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
    PAIRS.as_chunks().0[(value % 100) as usize]
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
