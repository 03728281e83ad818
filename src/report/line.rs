//! One line of JSON, put together by hand in a buffer that is used again: flow records are many,
//! and a serialiser asks for every field what is known beforehand.
//!
//! What is written between the values, names and commas, is left to the format.

use std::net::IpAddr;

/// A line in the making.
#[derive(Debug, Default)]
pub(super) struct Line(Vec<u8>);

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

impl Line {
    /// Begins a new line.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The line as it stands.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Puts names, braces and commas as they are.
    #[inline]
    pub(super) fn put(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A string with its quotes.
    pub(super) fn text(&mut self, text: &str) {
        self.0.push(b'"');
        let bytes = text.as_bytes();
        match bytes.iter().position(|byte| ESCAPED[usize::from(*byte)]) {
            None => self.0.extend_from_slice(bytes),
            Some(first) => self.escaped(bytes, first),
        }
        self.0.push(b'"');
    }

    #[cold]
    fn escaped(&mut self, bytes: &[u8], first: usize) {
        let (plain, rest) = bytes.split_at(first);
        self.0.extend_from_slice(plain);
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
                other => self.0.push(*other),
            }
        }
    }

    /// A number without a sign.
    #[inline]
    pub(super) fn number(&mut self, value: u64) {
        if value < 10 {
            return self.0.push(b'0' + value as u8);
        }
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = value;
        while rest >= 10 {
            at -= 2;
            digits[at..at + 2].copy_from_slice(pair(rest % 100));
            rest /= 100;
        }
        if rest > 0 {
            at -= 1;
            digits[at] = b'0' + rest as u8;
        }
        // A last pair may have brought a zero in front.
        let at = if digits[at] == b'0' { at + 1 } else { at };
        self.0.extend_from_slice(&digits[at..]);
    }

    /// Two digits of a number below 100.
    #[inline]
    pub(super) fn two(&mut self, value: u64) {
        self.0.extend_from_slice(pair(value));
    }

    /// An address without quotes.
    #[inline]
    pub(super) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(four) => {
                let [first, rest @ ..] = four.octets();
                self.number(u64::from(first));
                for octet in rest {
                    self.0.push(b'.');
                    self.number(u64::from(octet));
                }
            }
            IpAddr::V6(_) => self.put(&address.to_string()),
        }
    }
}

#[inline]
fn pair(value: u64) -> &'static [u8] {
    let at = (value % 100) as usize * 2;
    &PAIRS[at..at + 2]
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
        for value in (0..1_100).chain([9_999, 10_000, 99_999, 100_000, u64::MAX]) {
            assert_eq!(written(|line| line.number(value)), value.to_string());
        }
    }
}
