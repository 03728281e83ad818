//! Reads a capture of any kind through one fixed buffer and hands packets to the flow table.
//!
//! What a file format looks like is left to `pcap` and `pcapng`.

use super::table::{FlowLimits, FlowTable};
use super::{Flow, link, pcap, pcapng};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

/// A read buffer of this size was measured to be about twice as fast as a memory map.
const BUFFER: usize = 256 * 1024;
/// No packet is larger; a length above this is damage.
pub(super) const LARGEST_RECORD: usize = 16 << 20;

/// What was in a capture, besides its flows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureSummary {
    /// Packets read.
    pub packets: u64,
    /// Captured bytes of the packets.
    pub bytes: u64,
    /// Malformed or surprising bytes, and packets of kinds that make no flow, counted.
    pub oddities: BTreeMap<String, u64>,
}

/// The input is no capture at all, or cannot be read.
#[derive(Debug)]
pub enum CaptureError {
    /// The first bytes are those of no known format.
    NotACapture,
    /// The input failed.
    Read(io::Error),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaptureError::NotACapture => f.write_str("not a capture: neither pcap nor pcapng"),
            CaptureError::Read(error) => write!(f, "cannot read the capture: {error}"),
        }
    }
}

impl std::error::Error for CaptureError {}

impl From<io::Error> for CaptureError {
    fn from(error: io::Error) -> Self {
        CaptureError::Read(error)
    }
}

/// Reads to the end and hands every flow to `sink`, each once, in no particular order.
///
/// A damaged or truncated capture keeps everything before and after the damage; what was skipped
/// is counted.
///
/// # Errors
/// The input is no capture, or reading failed before anything was read.
pub fn read_capture(
    input: &mut dyn Read,
    limits: FlowLimits,
    sink: &mut dyn FnMut(Flow),
) -> Result<CaptureSummary, CaptureError> {
    let mut window = Window::new(input);
    let mut packets = Packets { table: FlowTable::new(limits), summary: CaptureSummary::default(), sink };
    let magic: [u8; 4] = match window.peek(4)? {
        Some(bytes) => [bytes[0], bytes[1], bytes[2], bytes[3]],
        None => return Err(CaptureError::NotACapture),
    };
    let read = match (pcap::Header::of(magic), magic) {
        (Some(header), _) => pcap::read(&mut window, header, &mut packets),
        (None, pcapng::SECTION) => pcapng::read(&mut window, &mut packets),
        _ => return Err(CaptureError::NotACapture),
    };
    if let Err(error) = read {
        packets.odd(&format!("the rest could not be read: {error}"));
    }
    packets.table.finish(packets.sink);
    for (oddity, count) in packets.table.oddities() {
        *packets.summary.oddities.entry(oddity.to_owned()).or_default() += count;
    }
    Ok(packets.summary)
}

/// Where packets go.
pub(super) struct Packets<'a> {
    table: FlowTable,
    summary: CaptureSummary,
    sink: &'a mut dyn FnMut(Flow),
}

impl Packets<'_> {
    /// Takes one packet: link type, captured bytes, length on the wire, time.
    pub(super) fn packet(&mut self, link_type: u32, bytes: &[u8], nanos: u64) {
        self.summary.packets += 1;
        self.summary.bytes += bytes.len() as u64;
        match link::decode(link_type, bytes) {
            Ok(packet) => self.table.packet(&packet, nanos, self.sink),
            Err(oddity) => self.odd(oddity.text(link_type).as_str()),
        }
    }

    pub(super) fn odd(&mut self, what: &str) {
        self.odd_many(what, 1);
    }

    pub(super) fn odd_many(&mut self, what: &str, count: u64) {
        match self.summary.oddities.get_mut(what) {
            Some(total) => *total += count,
            None => drop(self.summary.oddities.insert(what.to_owned(), count)),
        }
    }
}

/// A sliding window over the input; grows only for one large record.
pub(super) struct Window<'a> {
    input: &'a mut dyn Read,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<'a> Window<'a> {
    fn new(input: &'a mut dyn Read) -> Self {
        Window { input, buffer: vec![0; BUFFER], start: 0, end: 0 }
    }

    /// The next `count` bytes without taking them; `None` where the input ends before.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<Option<&[u8]>> {
        if self.end - self.start < count && !self.fill(count)? {
            return Ok(None);
        }
        Ok(Some(&self.buffer[self.start..self.start + count]))
    }

    /// Takes `count` bytes that were peeked at.
    pub(super) fn skip(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Bytes that are left when the input has ended before a record.
    pub(super) fn rest(&self) -> usize {
        self.end - self.start
    }

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
