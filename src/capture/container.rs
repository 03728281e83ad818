//! Whole captures → flows, in one thread.

use super::Flow;
use super::block::Block;
use super::decode::Decoder;
use super::flow::{Audience, Collector};
use super::key::Seed;
use super::limits::FlowLimits;
use super::reader::{Filled, Input, Reader};
use super::table::Share;
use super::worker::{self, Worker};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

/// What was in captures, besides their flows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureSummary {
    /// Packets read.
    pub packets: u64,
    /// Captured bytes of the packets.
    pub bytes: u64,
    /// Packets that were met again at another place and not counted twice.
    pub copies: u64,
    /// Packets that are malformed or of kinds that make no flow, counted.
    pub oddities: BTreeMap<String, u64>,
    /// Each input that is a capture, in their order.
    pub inputs: Vec<InputSummary>,
}

/// What was in one input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputSummary {
    /// Packets read.
    pub packets: u64,
    /// What is damaged, cut off, or was dropped before it got there, counted.
    pub losses: BTreeMap<String, u64>,
}

/// The input is no capture at all, or cannot be read.
#[derive(Debug)]
pub enum CaptureError {
    /// The first bytes are those of no known format.
    NotACapture,
    /// There are no bytes.
    Empty,
    /// The input failed.
    Read(io::Error),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaptureError::NotACapture => f.write_str("not a capture: neither pcap nor pcapng"),
            CaptureError::Empty => f.write_str("not a capture: it is empty"),
            CaptureError::Read(error) => write!(f, "cannot read the capture: {error}"),
        }
    }
}

impl std::error::Error for CaptureError {}

impl CaptureError {
    /// What would help.
    pub fn hint(&self) -> &'static str {
        match self {
            CaptureError::NotACapture => "captures are pcap or pcapng, gzip or zstd too",
            CaptureError::Empty => "did the program that should write it end before it wrote anything?",
            CaptureError::Read(_) => "is the file whole, and packed as its first bytes say?",
        }
    }
}

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
    Ok(read_captures(vec![Input::open(input)?], limits, &mut Collector(sink)))
}

/// Reads several captures as one, in the order of time, and hands every flow to the audience,
/// each once, in no particular order.
pub fn read_captures<R: Read>(
    inputs: Vec<Input<R>>,
    limits: FlowLimits,
    audience: &mut dyn Audience,
) -> CaptureSummary {
    let share = Share { number: 0, of: 1, seed: Seed::random() };
    let mut reader = Reader::new(inputs);
    let mut decoder = Decoder::new(0, 1, share.seed);
    let mut worker = Worker::new(limits, share, audience);
    let mut block = Block::default();
    while reader.fill(&mut block) == Filled::Block {
        decoder.decode(&mut block);
        worker.take(&block);
    }
    worker::summary(reader.summaries(), vec![decoder.counts], &[worker.finish()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A pcap of raw IP with one datagram, then silence, then the end.
    struct Interface<'a> {
        file: Vec<u8>,
        silences: u32,
        handed_out: &'a Cell<u32>,
    }

    impl Read for Interface<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if !self.file.is_empty() {
                let count = buffer.len().min(self.file.len());
                buffer[..count].copy_from_slice(&self.file[..count]);
                self.file.drain(..count);
                return Ok(count);
            }
            if self.silences > 0 {
                self.silences -= 1;
                return Err(io::ErrorKind::WouldBlock.into());
            }
            assert_eq!(self.handed_out.get(), 1, "what is over is handed out before the end");
            Ok(0)
        }
    }

    struct Asks<'a>(&'a Cell<u32>);

    impl Audience for Asks<'_> {
        fn judge(&mut self, _: &Flow) -> u32 {
            0
        }
        fn finished(&mut self, _: Flow, _: Option<u32>) {
            self.0.set(self.0.get() + 1);
        }
        fn asks(&mut self) -> Option<u64> {
            Some(3_600_000_000_000)
        }
    }

    #[test]
    fn flows_that_are_over_do_not_wait_for_the_next_packet() {
        let mut file =
            vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
        file.extend([1, 0, 0, 0, 0, 0, 0, 0, 29, 0, 0, 0, 29, 0, 0, 0]);
        file.extend([0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        file.extend([0x9c, 0x40, 0, 53, 0, 9, 0, 0, 7]);
        let handed_out = Cell::new(0);
        let interface = Interface { file, silences: 3, handed_out: &handed_out };
        let input = Input::open(interface).expect("a capture");
        let summary = read_captures(vec![input], FlowLimits::default(), &mut Asks(&handed_out));
        assert_eq!((summary.packets, handed_out.get()), (1, 1));
        assert!(summary.oddities.is_empty() && summary.inputs[0].losses.is_empty(), "{summary:?}");
    }
}
