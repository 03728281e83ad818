//! A sliding window over an input, and the bookkeeping of what was odd in it.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::mem;
use std::ops::Range;

/// A read buffer of this size was measured to be about twice as fast as a memory map.
pub(super) const BUFFER: usize = 256 * 1024;
/// The first packet is looked at in so much; where many captures are merged, most wait then.
const FIRST: usize = 4 * 1024;
/// No packet is larger; a length above this is damage.
pub(super) const LARGEST_RECORD: usize = 16 << 20;

/// A sliding window over the input; grows only for one large record.
pub(super) struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// Where a packet's bytes stand in the window until the next record is read.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) interface: Interface,
    /// Nanoseconds since 1970.
    pub(super) nanos: u64,
    pub(super) bytes: Range<usize>,
}

/// What a file says of where a packet was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) link_type: u32,
    /// Number of the interface in the file.
    pub(super) number: u32,
    pub(super) medium: super::Medium,
}

impl<R: Read> Window<R> {
    pub(super) fn new(input: R) -> Self {
        Window { input, buffer: Vec::new(), start: 0, end: 0 }
    }

    /// The next `count` bytes without taking them; `None` where the input ends before.
    #[inline]
    pub(super) fn peek(&mut self, count: usize) -> io::Result<Option<&[u8]>> {
        if self.end - self.start < count && !self.fill(count)? {
            return Ok(None);
        }
        Ok(Some(&self.buffer[self.start..self.start + count]))
    }

    /// Takes `count` bytes that were peeked at.
    #[inline]
    pub(super) fn skip(&mut self, count: usize) -> Range<usize> {
        let from = self.start;
        self.start = (self.start + count).min(self.end);
        from..self.start
    }

    /// Bytes that were skipped over since the last fill.
    #[inline]
    pub(super) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.buffer.get(range.clone()).unwrap_or(&[])
    }

    /// What can be read without filling the window.
    #[inline]
    pub(super) fn ready(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Hands over what was skipped from a place on, without a copy where most of the window was
    /// skipped, and tells by how much its bytes have moved. What was handed over before is used
    /// for what comes next.
    pub(super) fn hand_over(&mut self, from: usize, into: &mut Vec<u8>) -> usize {
        let rest = self.start..self.end;
        if rest.len() > self.start - from {
            into.clear();
            into.extend_from_slice(&self.buffer[from..self.start]);
            return from;
        }
        let mut next = mem::take(into);
        if next.len() > BUFFER {
            // One large record does not keep its memory for good.
            next.truncate(BUFFER);
            next.shrink_to_fit();
        }
        next.resize(BUFFER.max(rest.len()), 0);
        next[..rest.len()].copy_from_slice(&self.buffer[rest.clone()]);
        *into = mem::replace(&mut self.buffer, next);
        (self.start, self.end) = (0, rest.len());
        0
    }

    /// Where the next byte stands.
    pub(super) fn position(&self) -> usize {
        self.start
    }

    /// Gives the memory back, at the end of the input.
    pub(super) fn release(&mut self) {
        (self.buffer, self.start, self.end) = (Vec::new(), 0, 0);
    }

    /// Bytes that are left when the input has ended before a record.
    pub(super) fn rest(&self) -> usize {
        self.end - self.start
    }

    #[cold]
    fn fill(&mut self, count: usize) -> io::Result<bool> {
        let wanted = match self.buffer.len() {
            0 => FIRST,
            size if self.end == size => BUFFER,
            size => size,
        };
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let wanted = wanted.max(count);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while self.end < count {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Malformed or surprising bytes, and packets of kinds that make no flow, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Oddities(pub(super) BTreeMap<String, u64>);

impl Oddities {
    pub(super) fn odd(&mut self, what: &str) {
        self.many(what, 1);
    }

    pub(super) fn many(&mut self, what: &str, count: u64) {
        match self.0.get_mut(what) {
            Some(total) => *total += count,
            None => drop(self.0.insert(what.to_owned(), count)),
        }
    }
}
