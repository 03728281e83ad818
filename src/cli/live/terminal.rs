//! The terminal of the live table: its size, keys, and giving it back as it was.
//!
//! Keys: `b`, `p` and `n` sort by bytes, packets and newest, `/` begins a filter, `q` ends.

use super::table::Order;
use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};
use std::io::{IsTerminal, Read, Write, stdin, stdout};
use std::sync::{Mutex, PoisonError};

/// What was typed so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// The order that was chosen last.
    pub order: Order,
    /// The filter.
    pub only: String,
    /// Whether the filter is being typed.
    pub typing: Typing,
    /// Whether the end was asked for.
    pub end: bool,
}

/// What keys mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typing {
    /// Commands.
    Commands,
    /// Letters of the filter.
    Filter,
}

impl Default for Typed {
    fn default() -> Typed {
        Typed { order: Order::Bytes, only: String::new(), typing: Typing::Commands, end: false }
    }
}

impl Typed {
    /// Takes a key.
    pub fn key(&mut self, key: u8) {
        match (self.typing, key) {
            (Typing::Filter, b'\r' | b'\n') => self.typing = Typing::Commands,
            (Typing::Filter, 0x1b) => (self.typing, self.only) = (Typing::Commands, String::new()),
            (Typing::Filter, 0x7f | 0x08) => drop(self.only.pop()),
            (Typing::Filter, b' '..=b'~') => self.only.push(char::from(key)),
            (Typing::Filter, _) => {}
            (Typing::Commands, b'b') => self.order = Order::Bytes,
            (Typing::Commands, b'p') => self.order = Order::Packets,
            (Typing::Commands, b'n') => self.order = Order::Newest,
            (Typing::Commands, b'/') => (self.typing, self.only) = (Typing::Filter, String::new()),
            (Typing::Commands, b'q') => self.end = true,
            (Typing::Commands, _) => {}
        }
    }
}

/// A terminal that shows one screen after the other; dropped, it is as it was.
pub struct Terminal {
    before: Option<Termios>,
}

impl Terminal {
    /// Takes the screen, and the keys where somebody types.
    pub fn take() -> Terminal {
        let before = stdin().is_terminal().then(|| termios::tcgetattr(stdin()).ok()).flatten();
        if let Some(before) = &before {
            let mut keys = before.clone();
            // Keys come one by one and unseen; signals stay signals.
            keys.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            // A read waits a fifth of a second at most.
            keys.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
            keys.control_chars[SpecialCharacterIndices::VTIME as usize] = 2;
            // Without it, keys come with their lines.
            let _ = termios::tcsetattr(stdin(), SetArg::TCSANOW, &keys);
        }
        // The other screen, without a cursor (xterm's 1049, DEC's 25).
        print("\x1b[?1049h\x1b[?25l");
        Terminal { before }
    }

    /// Whether keys can be read.
    pub fn has_keys(&self) -> bool {
        self.before.is_some()
    }

    /// Lines and columns.
    pub fn size(&self) -> (usize, usize) {
        let (lines, columns) = console::Term::stdout().size();
        (usize::from(lines), usize::from(columns))
    }

    /// Shows a screen in the place of the last.
    pub fn show(&self, screen: &str) {
        print(&format!("\x1b[H{screen}\x1b[J"));
    }
}

/// Reads keys until `done`.
pub fn read_keys(typed: &Mutex<Typed>, done: impl Fn() -> bool) {
    let mut keys = [0; 16];
    while !done() {
        let count = stdin().lock().read(&mut keys).unwrap_or(0);
        let mut typed = typed.lock().unwrap_or_else(PoisonError::into_inner);
        keys[..count].iter().for_each(|key| typed.key(*key));
    }
}

fn print(text: &str) {
    let mut out = stdout().lock();
    // A terminal that went away ends the capture by its signal.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

impl Drop for Terminal {
    fn drop(&mut self) {
        print("\x1b[?25h\x1b[?1049l");
        if let Some(before) = &self.before {
            let _ = termios::tcsetattr(stdin(), SetArg::TCSANOW, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_filter_and_end() {
        let mut typed = Typed::default();
        b"n/pqx\x7f\r".iter().for_each(|key| typed.key(*key));
        assert_eq!((typed.order, typed.only.as_str(), typed.end), (Order::Newest, "pq", false));
        b"p/\x1bq".iter().for_each(|key| typed.key(*key));
        assert_eq!((typed.order, typed.only.as_str(), typed.end), (Order::Packets, "", true));
    }
}
