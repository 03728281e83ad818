//! Reads captures of any kind through fixed buffers, in the order of time, a block of packets at a
//! time.
//!
//! What a file format looks like is left to `pcap` and `pcapng`.

use super::block::{Block, Captured, MOST_PACKETS, Origin};
use super::container::{CaptureError, InputSummary};
use super::window::{BUFFER, Oddities, Record, Window};
use super::{pcap, pcapng};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fmt;
use std::io::{self, Read};

/// A capture, opened.
pub struct Input<R> {
    window: Window<R>,
    format: Format,
    packets: u64,
    oddities: Oddities,
    state: State,
}

/// Why an input gave no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It goes on, or is at its end.
    Read,
    /// Nothing came for a while; it goes on.
    Silent,
}

enum Format {
    Pcap(pcap::Reader),
    Pcapng(pcapng::Reader),
}

impl<R: Read> Input<R> {
    /// Reads the first bytes and knows the format by them.
    ///
    /// # Errors
    /// The input is no capture, or reading failed before anything was read.
    pub fn open(input: R) -> Result<Input<R>, CaptureError> {
        let mut window = Window::new(input);
        let mut oddities = Oddities::default();
        let Some(&[a, b, c, d]) = window.peek(4)?.and_then(|bytes| bytes.first_chunk::<4>()) else {
            return Err(match window.ready() {
                [] => CaptureError::Empty,
                _ => CaptureError::NotACapture,
            });
        };
        let format = match (pcap::Header::of([a, b, c, d]), [a, b, c, d]) {
            (Some(header), _) => Format::Pcap(pcap::Reader::new(&mut window, header, &mut oddities)?),
            (None, pcapng::SECTION) => Format::Pcapng(pcapng::Reader::default()),
            _ => return Err(CaptureError::NotACapture),
        };
        Ok(Input { window, format, packets: 0, oddities, state: State::Read })
    }

    /// Whether the next packet can be had without reading from the input.
    fn is_ready(&self) -> bool {
        match &self.format {
            Format::Pcap(reader) => reader.is_ready(self.window.ready()),
            Format::Pcapng(reader) => reader.is_ready(self.window.ready()),
        }
    }

    /// The next packet; a failure ends the input and is counted. An interface on which nothing
    /// comes says so ([`io::ErrorKind::WouldBlock`]) and goes on.
    fn next(&mut self) -> Option<Record> {
        self.state = State::Read;
        let next = match &mut self.format {
            Format::Pcap(reader) => reader.next(&mut self.window, &mut self.oddities),
            Format::Pcapng(reader) => reader.next(&mut self.window, &mut self.oddities),
        };
        next.unwrap_or_else(|error| {
            match error.kind() {
                io::ErrorKind::WouldBlock => self.state = State::Silent,
                _ => self.oddities.odd(&format!("the rest could not be read: {error}")),
            }
            None
        })
    }

    /// Lists the packets that are in the window, and passes them.
    fn walk(&mut self, input: u16, block: &mut Block) {
        let base = self.window.position();
        match &mut self.format {
            Format::Pcap(reader) => {
                let most = MOST_PACKETS - block.records.len();
                let origin = block.origin(Origin { input, interface: reader.interface() });
                let walked = reader.walk(self.window.ready(), most, |nanos, from, length| {
                    let (start, length) = ((base + from) as u32, length as u32);
                    block.records.push(Captured { nanos, start, length, origin });
                });
                self.window.skip(walked);
            }
            Format::Pcapng(reader) => {
                while block.has_room() && reader.is_ready(self.window.ready()) {
                    let (length, found) = reader.step(self.window.ready(), &mut self.oddities);
                    let at = self.window.skip(length).start;
                    if let Some(mut record) = found {
                        record.bytes = at + record.bytes.start..at + record.bytes.end;
                        block.push(input, &record);
                    }
                }
            }
        }
    }
}

impl<R> fmt::Debug for Input<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("oddities", &self.oddities).finish_non_exhaustive()
    }
}

/// All inputs of a run, merged on time.
#[derive(Debug)]
pub(super) struct Reader<R> {
    inputs: Vec<Input<R>>,
    /// The next packet of each input, where there are several.
    heads: Vec<Option<Record>>,
    /// Those packets by their time.
    order: BinaryHeap<Reverse<(u64, usize)>>,
    /// Inputs whose next packet has to be waited for.
    waiting: Vec<usize>,
    /// The latest time in the block before.
    clock: u64,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(inputs: Vec<Input<R>>) -> Reader<R> {
        let heads = vec![None; inputs.len()];
        let waiting = (0..inputs.len()).collect();
        Reader { inputs, heads, order: BinaryHeap::new(), waiting, clock: 0 }
    }

    /// Fills a block with the next packets, as many as can be had without waiting for any input
    /// once there is one. The block of an interface on which nothing came for a while is empty.
    pub(super) fn fill(&mut self, block: &mut Block) -> Filled {
        block.clear();
        block.clock = self.clock;
        match self.inputs.as_mut_slice() {
            [only] => stream(only, block),
            // Only files are merged: none of them is ever silent.
            _ => self.merge(block),
        }
        // A clock that was set back, or captures that were put behind each other, must not make all that
        // follows look long over.
        let times = || block.records.iter().map(|record| record.nanos);
        if let (Some(earliest), Some(latest)) = (times().min(), times().max()) {
            block.clock = self.clock.min(earliest);
            self.clock = latest;
        }
        let goes_on = || matches!(self.inputs.as_slice(), [only] if only.state == State::Silent);
        if block.records.is_empty() && !goes_on() { Filled::AtTheEnd } else { Filled::Block }
    }

    /// Takes the earliest packet of all inputs, again and again.
    fn merge(&mut self, block: &mut Block) {
        block.bytes.clear();
        while let Some(number) = self.waiting.pop() {
            self.advance(number);
        }
        while block.has_room() && block.bytes.len() < BUFFER {
            let Some(mut earliest) = self.order.peek_mut() else { return };
            let Reverse((_, number)) = *earliest;
            let input = &mut self.inputs[number];
            if let Some(record) = self.heads[number].take() {
                input.packets += 1;
                block.add(number as u16, &record, input.window.bytes(&record.bytes));
            }
            if !input.is_ready() {
                PeekMut::pop(earliest);
                self.waiting.push(number);
                return;
            }
            self.heads[number] = input.next();
            // Where captures follow each other, the same one is the earliest again.
            match &self.heads[number] {
                Some(next) => *earliest = Reverse((next.nanos, number)),
                None => {
                    input.window.release();
                    PeekMut::pop(earliest);
                }
            }
        }
    }

    /// Looks at the next packet of an input.
    fn advance(&mut self, number: usize) {
        self.heads[number] = self.inputs[number].next();
        match &self.heads[number] {
            Some(next) => self.order.push(Reverse((next.nanos, number))),
            None => self.inputs[number].window.release(),
        }
    }

    /// What was in each of the files.
    pub(super) fn summaries(&self) -> Vec<InputSummary> {
        let summary =
            |input: &Input<R>| InputSummary { packets: input.packets, losses: input.oddities.0.clone() };
        self.inputs.iter().map(summary).collect()
    }
}

/// Whether there was anything left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    Block,
    AtTheEnd,
}

/// Takes packets as far as they are in the window together.
fn stream<R: Read>(input: &mut Input<R>, block: &mut Block) {
    let Some(first) = input.next() else { return };
    let from = first.bytes.start;
    block.push(0, &first);
    input.walk(0, block);
    input.packets += block.records.len() as u64;
    let moved = input.window.hand_over(from, &mut block.bytes) as u32;
    if moved > 0 {
        block.records.iter_mut().for_each(|record| record.start -= moved);
    }
}
