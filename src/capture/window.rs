//! A sliding window over an input, and the bookkeeping of what was odd in it.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;

/// A read buffer of this size was measured to be about twice as fast as a memory map.
pub(super) const BUFFER: usize = 256 * 1024;
/// No packet is larger; a length above this is damage.
pub(super) const LARGEST_RECORD: usize = 16 << 20;

/// A sliding window over the input; grows only for one large record.
pub(super) struct Window<'a> {
    input: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// Where a packet's bytes stand in the window until the next record is read.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) link_type: u32,
    /// Number of the interface in the file.
    pub(super) interface: u32,
    /// What the file says of the interface.
    pub(super) medium: super::Medium,
    /// Nanoseconds since 1970.
    pub(super) nanos: u64,
    pub(super) bytes: Range<usize>,
}

impl<'a> Window<'a> {
    pub(super) fn new(input: Box<dyn Read + 'a>, buffer: usize) -> Self {
        Window { input, buffer: vec![0; buffer], start: 0, end: 0 }
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

    /// Bytes that are left when the input has ended before a record.
    pub(super) fn rest(&self) -> usize {
        self.end - self.start
    }

    #[cold]
    fn fill(&mut self, count: usize) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < count {
            self.buffer.resize(count, 0);
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
