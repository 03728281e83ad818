//! Reads captures of any kind through fixed buffers and hands packets, in the order of time, to
//! the flow table.
//!
//! What a file format looks like is left to `pcap` and `pcapng`.

use super::flow::{Audience, Collector};
use super::fragment::{Datagram, Fragments};
use super::head::Head;
use super::key::Seed;
use super::link::{self, LinkType};
use super::packet::{Oddity, Packet};
use super::table::{BATCH, FlowLimits, FlowTable, Share};
use super::tunnel::{self, Layer};
use super::window::{BUFFER, Oddities, Record, Window};
use super::{Flow, pcap, pcapng};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
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

/// A capture, opened: its name is for people only.
pub struct Input<'a> {
    window: Window<'a>,
    format: Format,
    oddities: Oddities,
    state: InputState,
}

/// Why an input gave no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputState {
    /// It goes on, or is at its end.
    Read,
    /// Nothing came for a while; it goes on.
    Silent,
}

enum Format {
    Pcap(pcap::Reader),
    Pcapng(pcapng::Reader),
}

impl<'a> Input<'a> {
    /// Reads the first bytes and knows the format by them.
    ///
    /// # Errors
    /// The input is no capture, or reading failed before anything was read.
    pub fn open(input: Box<dyn Read + 'a>) -> Result<Input<'a>, CaptureError> {
        let mut window = Window::new(input, BUFFER);
        let mut oddities = Oddities::default();
        let Some(&[a, b, c, d]) = window.peek(4)?.and_then(|bytes| bytes.first_chunk::<4>()) else {
            return Err(CaptureError::NotACapture);
        };
        let format = match (pcap::Header::of([a, b, c, d]), [a, b, c, d]) {
            (Some(header), _) => Format::Pcap(pcap::Reader::new(&mut window, header, &mut oddities)?),
            (None, pcapng::SECTION) => Format::Pcapng(pcapng::Reader::default()),
            _ => return Err(CaptureError::NotACapture),
        };
        Ok(Input { window, format, oddities, state: InputState::Read })
    }

    /// Whether the next packet can be had without moving the earlier ones.
    #[inline]
    fn is_ready(&self) -> bool {
        match &self.format {
            Format::Pcap(reader) => reader.is_ready(self.window.ready()),
            Format::Pcapng(reader) => reader.is_ready(self.window.ready()),
        }
    }

    /// The next packet; a failure ends the input and is counted. An interface on which nothing
    /// comes says so ([`io::ErrorKind::WouldBlock`]) and goes on.
    #[inline]
    fn next(&mut self) -> Option<Record> {
        self.state = InputState::Read;
        let next = match &mut self.format {
            Format::Pcap(reader) => reader.next(&mut self.window, &mut self.oddities),
            Format::Pcapng(reader) => reader.next(&mut self.window, &mut self.oddities),
        };
        next.unwrap_or_else(|error| {
            match error.kind() {
                io::ErrorKind::WouldBlock => self.state = InputState::Silent,
                _ => self.oddities.odd(&format!("the rest could not be read: {error}")),
            }
            None
        })
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("oddities", &self.oddities).finish_non_exhaustive()
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
    Ok(read_captures(vec![Input::open(Box::new(input))?], limits, &mut Collector(sink)))
}

/// Reads several captures as one, in the order of time, and hands every flow to the audience,
/// each once, in no particular order.
pub fn read_captures(
    inputs: Vec<Input<'_>>,
    limits: FlowLimits,
    audience: &mut dyn Audience,
) -> CaptureSummary {
    let share = Share { number: 0, of: 1, seed: Seed::random() };
    read_share(inputs, limits, share, audience)
}

/// The part of [`read_captures`] that falls to one worker.
pub(super) fn read_share(
    mut inputs: Vec<Input<'_>>,
    limits: FlowLimits,
    share: Share,
    audience: &mut dyn Audience,
) -> CaptureSummary {
    let mut packets = Packets::new(limits, share, audience);
    match inputs.as_mut_slice() {
        [only] => stream(only, &mut packets),
        several => merge(several, &mut packets),
    }
    for input in inputs {
        input.oddities.0.iter().for_each(|(what, count)| packets.oddities.many(what, *count));
    }
    packets.finish()
}

/// Takes packets in batches, as far as they are in the window together.
fn stream(input: &mut Input<'_>, packets: &mut Packets<'_>) {
    let mut records = Vec::with_capacity(BATCH);
    loop {
        match input.next() {
            Some(record) => records.push(record),
            None if input.state == InputState::Silent => {
                packets.show();
                continue;
            }
            None => return,
        }
        while records.len() < BATCH && input.is_ready() {
            records.extend(input.next());
        }
        packets.batch(0, &records, &input.window);
        records.clear();
    }
}

/// Takes the earliest packet of all inputs, again and again.
fn merge(inputs: &mut [Input<'_>], packets: &mut Packets<'_>) {
    // Only files are merged: none of them is ever silent.
    let mut heads: Vec<Option<Record>> = inputs.iter_mut().map(Input::next).collect();
    let times = heads.iter().enumerate();
    let mut order: BinaryHeap<Reverse<(u64, usize)>> =
        times.filter_map(|(number, head)| Some(Reverse((head.as_ref()?.nanos, number)))).collect();
    while let Some(Reverse((_, number))) = order.pop() {
        let input = &mut inputs[number];
        if let Some(record) = heads[number].take() {
            packets.batch(number as u16, &[record], &input.window);
        }
        heads[number] = input.next();
        if let Some(next) = &heads[number] {
            order.push(Reverse((next.nanos, number)));
        }
    }
}

/// Where packets go.
struct Packets<'a> {
    table: FlowTable,
    fragments: Fragments,
    summary: CaptureSummary,
    oddities: Oddities,
    /// Packets that made no flow, by reason and link type.
    odd: BTreeMap<(Oddity, u32), u64>,
    link: Option<(u32, Option<&'static LinkType>)>,
    audience: &'a mut dyn Audience,
}

impl<'a> Packets<'a> {
    fn new(limits: FlowLimits, share: Share, audience: &'a mut dyn Audience) -> Self {
        Packets {
            table: FlowTable::new(limits, share, audience.judging()),
            fragments: Fragments::default(),
            summary: CaptureSummary::default(),
            oddities: Oddities::default(),
            odd: BTreeMap::new(),
            link: None,
            audience,
        }
    }

    /// Takes packets that are in the window together.
    fn batch(&mut self, input: u16, records: &[Record], window: &Window<'_>) {
        let mut batch: Vec<Head<'_>> = Vec::with_capacity(records.len());
        let seed = self.table.seed();
        for record in records {
            let bytes = window.bytes(&record.bytes);
            self.summary.packets += 1;
            self.summary.bytes += bytes.len() as u64;
            if self.fragments.is_due(record.nanos) {
                // At the same packet for any number of workers, wherever a batch ends.
                self.table.packets(&batch, self.audience);
                batch.clear();
                self.expire(input, record.nanos);
            }
            let link = self.link(record.link_type);
            if let Some(quick) = link.and_then(|link| link.quick(bytes, record.interface, record.medium)) {
                let (key, side) = quick.key();
                // Only whoever has the flow needs to know more.
                if self.table.is_ours(&key) {
                    let (hash, place) = (key.hash(seed), quick.place(&mut self.table.places, input));
                    batch.push(quick.head(key, side, hash, place, record.nanos));
                }
                continue;
            }
            let mut packet =
                Packet { interface: record.interface, medium: record.medium, ..Packet::default() };
            let mut read = decode(link, bytes, &mut packet);
            loop {
                let siblings = packet.siblings.take();
                if let Err(oddity) = read {
                    *self.odd.entry((oddity, record.link_type)).or_default() += 1;
                } else if packet.fragment.is_some() {
                    // Earlier packets come first also where a whole datagram follows.
                    self.table.packets(&batch, self.audience);
                    batch.clear();
                    self.piece(&packet, input, record.nanos);
                } else {
                    let place = self.table.places.number(input, &packet);
                    let head = Head::of(&packet, place, record.nanos, seed);
                    if self.table.is_ours(&head.key) {
                        batch.push(head);
                    }
                }
                // A frame of several packets may fill the batch.
                if batch.len() >= BATCH {
                    self.table.packets(&batch, self.audience);
                    batch.clear();
                }
                let Some(siblings) = siblings else { break };
                packet = siblings.packet();
                read = tunnel::follow((Layer::Aggregate, siblings.bytes), &mut packet);
            }
        }
        self.table.packets(&batch, self.audience);
        self.show();
    }

    /// Shows what is open to an audience that asked, and hands out what is over by then.
    #[inline]
    fn show(&mut self) {
        if let Some(now) = self.audience.asks() {
            self.table.survey(now, self.audience);
        }
    }

    #[inline]
    fn link(&mut self, number: u32) -> Option<&'static LinkType> {
        match self.link {
            Some((known, link)) if known == number => link,
            _ => {
                let link = link::of(number);
                self.link = Some((number, link));
                link
            }
        }
    }

    /// Gives up datagrams that have waited for too long.
    #[cold]
    fn expire(&mut self, input: u16, nanos: u64) {
        while let Some(beginning) = self.fragments.expire(nanos) {
            if let Some(beginning) = beginning {
                let last = beginning.last;
                self.datagram(&beginning, input, last);
            }
        }
    }

    /// A fragment waits for the others; the whole may be a tunnel with fragments inside.
    fn piece(&mut self, packet: &Packet<'_>, input: u16, nanos: u64) {
        let Some(fragment) = packet.fragment else { return };
        if let Some(whole) = self.fragments.add(packet, fragment, nanos) {
            self.datagram(&whole, input, nanos);
        }
        while self.fragments.is_over_budget() {
            if let Some(beginning) = self.fragments.give_up_oldest() {
                self.datagram(&beginning, input, nanos);
            }
        }
    }

    fn datagram(&mut self, datagram: &Datagram, input: u16, nanos: u64) {
        let mut packet = datagram.head.packet();
        let layer = Layer::Protocol(datagram.head.protocol());
        let mut read = tunnel::follow((layer, &datagram.bytes), &mut packet);
        loop {
            let siblings = packet.siblings.take();
            match read {
                // Each whole is deeper than its pieces, so this ends at the deepest layer.
                Ok(()) if packet.fragment.is_some() => self.piece(&packet, input, nanos),
                Ok(()) => {
                    let place = self.table.places.number(input, &packet);
                    let head = Head::of(&packet, place, nanos, self.table.seed());
                    if self.table.is_ours(&head.key) {
                        self.table.packets(&[head], self.audience);
                    }
                }
                Err(oddity) => *self.odd.entry((oddity, 0)).or_default() += 1,
            }
            let Some(siblings) = siblings else { break };
            packet = siblings.packet();
            read = tunnel::follow((Layer::Aggregate, siblings.bytes), &mut packet);
        }
    }

    fn finish(mut self) -> CaptureSummary {
        while !self.fragments.is_empty() {
            if let Some(beginning) = self.fragments.give_up_oldest() {
                let nanos = beginning.last;
                self.datagram(&beginning, 0, nanos);
            }
        }
        self.table.finish(self.audience);
        for ((oddity, link_type), count) in std::mem::take(&mut self.odd) {
            self.oddities.many(&oddity.text(link_type), count);
        }
        let lost = self.fragments.lost;
        let counted = [
            ("fragments whose first part was not seen", lost.headless),
            ("fragmented packets that never became whole", lost.incomplete),
            ("fragmented packets whose parts contradict each other", lost.contradictory),
            ("fragmented packets that were given up to bound memory", lost.budget),
        ];
        let counted = counted.into_iter().filter(|(_, count)| *count > 0);
        for (what, count) in counted.chain(self.table.oddities()) {
            self.oddities.many(what, count);
        }
        CaptureSummary { copies: self.table.copied(), oddities: self.oddities.0, ..self.summary }
    }
}

/// From a link header down to the innermost transport.
#[inline]
fn decode<'a>(link: Option<&LinkType>, bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<(), Oddity> {
    let next = link.ok_or(Oddity::LinkType)?.open(bytes, packet)?;
    tunnel::follow(next, packet)
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
        let input = Input::open(Box::new(interface)).expect("a capture");
        let summary = read_captures(vec![input], FlowLimits::default(), &mut Asks(&handed_out));
        assert_eq!((summary.packets, handed_out.get()), (1, 1));
        assert!(summary.oddities.is_empty(), "{:?}", summary.oddities);
    }
}
