//! One line of JSON, put together by hand in a buffer that is used again: flow records are many,
//! and a serialiser asks for every field what is known beforehand.
//!
//! What is written between the values, names and commas, is left to the format.

use crate::model::calendar::civil;
use std::io::Write;
use std::net::IpAddr;

/// Lines in the making.
#[derive(Debug, Default)]
pub(super) struct Line {
    bytes: Vec<u8>,
    /// The day of the last time that was written, and its text up to the `T`.
    day: u64,
    date: Option<[u8; 11]>,
}

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
        self.bytes.clear();
    }

    /// The lines as they stand.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Puts names, braces and commas as they are.
    #[inline]
    pub(super) fn put(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A string with its quotes.
    pub(super) fn text(&mut self, text: &str) {
        self.bytes.push(b'"');
        let bytes = text.as_bytes();
        match bytes.iter().position(|byte| ESCAPED[usize::from(*byte)]) {
            None => self.bytes.extend_from_slice(bytes),
            Some(first) => self.escaped(bytes, first),
        }
        self.bytes.push(b'"');
    }

    #[cold]
    fn escaped(&mut self, bytes: &[u8], first: usize) {
        let (plain, rest) = bytes.split_at(first);
        self.bytes.extend_from_slice(plain);
        for byte in rest {
            match byte {
                b'"' => self.put("\\\""),
                b'\\' => self.put("\\\\"),
                b'\n' => self.put("\\n"),
                b'\r' => self.put("\\r"),
                b'\t' => self.put("\\t"),
                8 => self.put("\\b"),
                12 => self.put("\\f"),
                control if *control < 0x20 => self.put(&format!("\\u{control:04x}")),
                other => self.bytes.push(*other),
            }
        }
    }

    /// What was put together elsewhere.
    #[inline]
    pub(super) fn put_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
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

    /// The last of eight digits: all eight are written, which needs no loop, and some taken back.
    #[inline]
    fn last_of(&mut self, word: u64, count: usize) {
        let end = self.bytes.len() + count;
        self.bytes.extend_from_slice(&(word >> (8 * (8 - count))).to_le_bytes());
        self.bytes.truncate(end);
    }

    /// An address without quotes.
    #[inline]
    pub(super) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(four) => {
                // Each octet is written with four bytes, of which the next one takes back what is too many.
                let (mut text, mut end) = ([0; 16], 0);
                for octet in four.octets() {
                    text[end..end + 4].copy_from_slice(&OCTETS[usize::from(octet)]);
                    end += usize::from(octet_length(octet)) + 1;
                }
                let end = self.bytes.len() + end - 1;
                self.bytes.extend_from_slice(&text);
                self.bytes.truncate(end);
            }
            // Nothing can fail: it is written into memory.
            IpAddr::V6(six) => drop(write!(self.bytes, "{six}")),
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
        let mut text = *b"YYYY-MM-DDThh:mm:ss.uuuuuuZ";
        text[..11].copy_from_slice(&date);
        let pairs = [
            (11, rest / 3_600),
            (14, rest / 60 % 60),
            (17, rest % 60),
            (20, micros / 10_000),
            (22, micros / 100 % 100),
            (24, micros % 100),
        ];
        for (at, value) in pairs {
            text[at..at + 2].copy_from_slice(&pair(value));
        }
        self.bytes.extend_from_slice(&text);
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
        fn it_writes_what_a_serialiser_writes(number in any::<u64>(), text in "\\PC*|[\\x00-\\x7f]*") {
            for value in [number, number >> 32, number >> 50, number >> 60] {
                prop_assert_eq!(written(|line| line.number(value)), value.to_string());
            }
            prop_assert_eq!(written(|line| line.text(&text)), serde_json::to_string(&text).expect("a string"));
            let addresses = [IpAddr::from((number as u32).to_be_bytes()), IpAddr::from(u128::from(number).to_be_bytes())];
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
