//! Text that may be shown on a terminal: names come out of manifests, file names and captures, and
//! none may move the cursor, clear what stands above, or turn the direction of reading.
//!
//! Lines are left as they are: that a name has none is seen to where objects are read.

use std::io::{self, Write};

/// What stands in the place of a character that does something instead of being shown.
const SHOWN: &str = "\u{fffd}";

/// A writer of text in which nothing but line ends and tabs does anything.
pub struct Printable<W> {
    out: W,
    /// Bytes of a character, or of a line end, of which the rest has not come yet.
    begun: Vec<u8>,
}

impl<W: Write> Printable<W> {
    /// Writes to `out` what is handed on.
    pub fn new(out: W) -> Printable<W> {
        Printable { out, begun: Vec::new() }
    }

    /// Writes as much as is sure: a character that is cut off waits for its rest.
    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut plain = 0;
        let mut at = 0;
        while at < bytes.len() {
            match acts(&bytes[at..]) {
                Acts::No => at += 1,
                Acts::Perhaps => break,
                Acts::For(length) => {
                    self.out.write_all(&bytes[plain..at])?;
                    self.out.write_all(SHOWN.as_bytes())?;
                    at += length;
                    plain = at;
                }
            }
        }
        self.out.write_all(&bytes[plain..at])?;
        self.begun = bytes[at..].to_vec();
        Ok(())
    }
}

impl<W: Write> Write for Printable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.begun.is_empty() {
            true => self.pass(bytes)?,
            false => {
                let mut all = std::mem::take(&mut self.begun);
                all.extend_from_slice(bytes);
                self.pass(&all)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W> Printable<W> {
    /// The writer behind; what was cut off is lost with it, as it is no character.
    pub fn into_inner(self) -> W {
        self.out
    }
}

/// The same for a text that is there as a whole.
pub fn printable(text: &str) -> String {
    let mut out = Printable::new(Vec::with_capacity(text.len()));
    // Nothing fails that writes to memory.
    out.write_all(text.as_bytes()).unwrap_or_default();
    String::from_utf8_lossy(&out.into_inner()).into_owned()
}

/// Whether what comes next does something instead of being shown.
enum Acts {
    No,
    /// That is not known before more comes.
    Perhaps,
    /// So many bytes are the character that does.
    For(usize),
}

/// C0 and C1 controls but tabs and line ends, and the characters of Unicode that end lines or turn
/// the direction of reading (UAX 9, section 2).
fn acts(bytes: &[u8]) -> Acts {
    match bytes {
        [b'\n' | b'\t', ..] | [b'\r', b'\n', ..] => Acts::No,
        [b'\r'] | [0xc2 | 0xe2] | [0xe2, 0x80 | 0x81] => Acts::Perhaps,
        [0..0x20 | 0x7f, ..] => Acts::For(1),
        [0xc2, 0x80..=0x9f, ..] => Acts::For(2),
        [0xe2, 0x80, 0x8e | 0x8f | 0xa8..=0xae, ..] | [0xe2, 0x81, 0xa6..=0xa9, ..] => Acts::For(3),
        _ => Acts::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_not_written() {
        let told = "shop/\u{1b}[2J\u{1b}[Hweb\u{7} a\u{9b}31mb c\u{202e}d \u{2066}e\u{2028}f g\rh\n\tüß\r\n";
        let shown = "shop/\u{fffd}[2J\u{fffd}[Hweb\u{fffd} a\u{fffd}31mb c\u{fffd}d \u{fffd}e\u{fffd}f g\u{fffd}h\n\tüß\r\n";
        assert_eq!(printable(told), shown);
    }

    #[test]
    fn characters_that_are_cut_between_two_writes_are_known() {
        let told = "a\u{202e}b\u{9b}c\r\nd–e\u{2066}f";
        let mut out = Printable::new(Vec::new());
        told.as_bytes().chunks(1).for_each(|byte| out.write_all(byte).expect("memory"));
        assert_eq!(String::from_utf8(out.into_inner()).expect("text"), printable(told));
        assert_eq!(printable(told), "a\u{fffd}b\u{fffd}c\r\nd–e\u{fffd}f");
    }
}
