//! Packets of interfaces, through libpcap, as the bytes of a capture file: what reads files reads
//! interfaces as well. One interface is a pcap, several are a pcapng with one description for each.
//!
//! Where no packet comes, reading says so and may be tried again.
//! The end comes with a time, a number of packets, or a signal; what was captured until then is
//! handed over, and what the kernel dropped is known afterwards.

use super::{problem, small_pages};
use crate::model::Problem;
use pcap::{Active, Capture, Device};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long what is left in the buffer is taken after the end.
const LAST_CALL: Duration = Duration::from_millis(250);
/// Bytes that may come in a millisecond: ten gigabits a second.
const FAST: u64 = 1_250_000;
/// The least and the most milliseconds to sleep where no packet waits.
const PAUSES: (u64, u64) = (5, 50);
/// How often the kernel is asked what it dropped.
const STATISTICS: Duration = Duration::from_millis(100);
/// After how long without a packet the reader is told that nothing comes, so that it can look at
/// what is over by now.
const SILENCE: Duration = Duration::from_millis(250);
/// Bytes of a packet's header in a pcap file.
const RECORD: usize = 16;
/// Packets that are taken of one interface before the next has its turn.
const TURN: usize = 256;
/// A filter that lets nothing through, until packets are wanted: no packet is empty.
const NOTHING: &str = "less 0";

/// What to capture.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Interfaces by their names, or `any`; at least one.
    pub interfaces: Vec<String>,
    /// A BPF filter in the language of pcap-filter(7); empty for everything.
    pub filter: String,
    /// Bytes kept of each packet.
    pub snaplen: u32,
    /// The kernel's buffer for each interface, in MiB.
    pub buffer_mib: u32,
    /// When to end, from the first packet that is wanted; never where `None`.
    pub duration: Option<Duration>,
    /// After how many packets to end; never where `None`.
    pub count: Option<u64>,
}

/// Counters of a capture that runs or has ended.
#[derive(Clone, Debug, Default)]
pub struct LiveCounters(Arc<Vec<Counters>>);

#[derive(Debug, Default)]
struct Counters {
    interface: String,
    received: AtomicU64,
    dropped: AtomicU64,
    interface_dropped: AtomicU64,
    gone: AtomicBool,
}

impl LiveCounters {
    /// Packets that came through the filter.
    pub fn received(&self) -> u64 {
        self.0.iter().map(|one| one.received.load(Ordering::Relaxed)).sum()
    }

    /// Packets that were lost because the buffer was full.
    pub fn dropped(&self) -> u64 {
        self.0.iter().map(|one| one.dropped.load(Ordering::Relaxed)).sum()
    }

    /// Packets that the interfaces or their drivers dropped.
    pub fn interface_dropped(&self) -> u64 {
        self.0.iter().map(|one| one.interface_dropped.load(Ordering::Relaxed)).sum()
    }

    /// Interfaces that went away while they were captured.
    pub fn gone(&self) -> Vec<&str> {
        let gone = self.0.iter().filter(|one| one.gone.load(Ordering::Relaxed));
        gone.map(|one| one.interface.as_str()).collect()
    }
}

/// Tells a capture to end, as a signal does.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the capture; what waits is still handed over.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Open interfaces; reading gives the bytes of a capture file.
pub struct Live {
    handles: Vec<Handle>,
    format: Format,
    filter: String,
    duration: Option<Duration>,
    pending: Vec<u8>,
    at: usize,
    /// Packets of several interfaces that wait to be put in order: time, interface, wire length, bytes.
    waiting: Vec<(u64, u32, u32, Vec<u8>)>,
    end: Option<Instant>,
    /// Set once the end has come: until then, what waits in the buffer is still taken.
    last_call: Option<Instant>,
    left: u64,
    asked: Option<Instant>,
    /// How long to sleep where no packet waits.
    pause: Duration,
    stop: Stop,
    counters: LiveCounters,
}

struct Handle {
    capture: Capture<Active>,
    open: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Pcap,
    Pcapng,
}

/// Opens interfaces. Nothing is captured before [`Live::begin`], so that privileges can be given up
/// and manifests be read in between.
///
/// # Errors
/// The interface that is not there, may not be opened, or the filter that is none.
pub fn open_live(options: &LiveOptions) -> Result<Live, Problem> {
    let stop = Stop::default();
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.0.clone())
            .map_err(|error| problem("capture", &format!("no signals: {error}"), ""))?;
    }
    let handles = options.interfaces.iter().map(|name| open(name, options)).collect::<Result<Vec<_>, _>>()?;
    let links: Vec<u32> = handles.iter().map(|handle| handle.capture.get_datalink().0 as u32).collect();
    let (format, pending) = match links.as_slice() {
        [link] => (Format::Pcap, pcap_header(*link, options.snaplen)),
        several => (Format::Pcapng, pcapng_header(several, &options.interfaces, options.snaplen)),
    };
    let counters = options.interfaces.iter();
    let counters = counters.map(|name| Counters { interface: name.clone(), ..Counters::default() });
    Ok(Live {
        handles,
        format,
        filter: options.filter.clone(),
        duration: options.duration,
        pending,
        at: 0,
        waiting: Vec::new(),
        end: None,
        last_call: None,
        left: options.count.unwrap_or(u64::MAX),
        asked: None,
        pause: pause(options.buffer_mib),
        stop,
        counters: LiveCounters(Arc::new(counters.collect())),
    })
}

fn open(name: &str, options: &LiveOptions) -> Result<Handle, Problem> {
    let failed = |error: pcap::Error, hint: &str| problem(name, &error.to_string(), hint);
    let inactive =
        Capture::from_device(name).map_err(|error| failed(error, "`ip link` lists the interfaces"))?;
    let mut capture = inactive
        .snaplen(i32::try_from(options.snaplen).unwrap_or(i32::MAX))
        .buffer_size(i32::try_from(u64::from(options.buffer_mib) << 20).unwrap_or(i32::MAX))
        .promisc(false)
        .timeout(100)
        .open()
        .map_err(|error| failed(error, &hint()))?;
    let wrong = "filters are written as in pcap-filter(7): `tcp port 5432`";
    capture.filter(&options.filter, true).map_err(|error| failed(error, wrong))?;
    capture.filter(NOTHING, true).map_err(|error| failed(error, ""))?;
    // With a timeout alone, a silent interface is waited for without end.
    let capture = capture.setnonblock().map_err(|error| failed(error, ""))?;
    Ok(Handle { capture, open: true })
}

/// How long to sleep where no packet waits. Who sleeps for longer finds more at once, and wakes up
/// less often to cold caches; but when a silent link becomes a fast one, half of the buffer has to
/// suffice.
fn pause(buffer_mib: u32) -> Duration {
    let (least, most) = PAUSES;
    Duration::from_millis(((u64::from(buffer_mib) << 20) / 2 / FAST).clamp(least, most))
}

/// Which interfaces there are, and what it takes to open them.
fn hint() -> String {
    let names: Vec<String> =
        Device::list().unwrap_or_default().into_iter().map(|device| device.name).collect();
    let known = if names.is_empty() { String::new() } else { format!("; there are {}", names.join(", ")) };
    format!("capturing needs CAP_NET_RAW (root, or setcap cap_net_raw+ep on the program){known}")
}

/// The header of a pcap file in the byte order of this machine's readers: little endian.
fn pcap_header(link_type: u32, snaplen: u32) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(snaplen.to_le_bytes());
    bytes.extend(link_type.to_le_bytes());
    bytes
}

/// A section and its interfaces (draft-ietf-opsawg-pcapng sections 4.1 and 4.2), little endian.
fn pcapng_header(links: &[u32], names: &[String], snaplen: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let section = [0x1a2b_3c4d_u32.to_le_bytes(), [1, 0, 0, 0], [0xff; 4], [0xff; 4]].concat();
    block(&mut bytes, 0x0a0d_0d0a, &[&section]);
    for (link, name) in links.iter().zip(names) {
        let fixed = [(link & 0xffff).to_le_bytes(), snaplen.to_le_bytes()].concat();
        let length = (name.len() as u16).to_le_bytes();
        let option = [&[2, 0], &length[..], name.as_bytes(), &vec![0; padding(name.len())]].concat();
        block(&mut bytes, 1, &[&fixed, &option, &[0; 4]]);
    }
    bytes
}

/// A block of pcapng: type, length, content, padding, length again.
fn block(out: &mut Vec<u8>, kind: u32, parts: &[&[u8]]) {
    let content: usize = parts.iter().map(|part| part.len()).sum();
    let length = ((content + padding(content) + 12) as u32).to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(length);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.extend(&[0; 3][..padding(content)]);
    out.extend(length);
}

/// Bytes up to the next multiple of four.
fn padding(length: usize) -> usize {
    length.next_multiple_of(4) - length
}

impl Live {
    /// Its counters, which go on counting.
    pub fn counters(&self) -> LiveCounters {
        self.counters.clone()
    }

    /// What ends it.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// From now on packets are wanted, and the time runs.
    ///
    /// # Errors
    /// The filter cannot be set.
    pub fn begin(&mut self) -> Result<(), Problem> {
        for (handle, counters) in self.handles.iter_mut().zip(self.counters.0.iter()) {
            let set = handle.capture.filter(&self.filter, true);
            set.map_err(|error| problem(&counters.interface, &error.to_string(), ""))?;
        }
        small_pages();
        self.end = self.duration.map(|duration| Instant::now() + duration);
        Ok(())
    }

    /// Waits for packets and takes all that are there, as far as a reader has room; how many bytes
    /// they are.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where none came for a while; the next call waits again.
    fn fill(&mut self, room: &mut Room<'_>) -> io::Result<()> {
        let mut silent = Duration::ZERO;
        while !room.is_full && !self.is_over() {
            match (self.take_turns(room), self.last_call) {
                (0, Some(_)) => self.left = 0,
                (0, None) if room.filled > 0 || !self.pending.is_empty() => break,
                (0, None) if silent >= SILENCE => {
                    self.count();
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                (0, None) => {
                    thread::sleep(self.pause);
                    silent += self.pause;
                }
                _ => {}
            }
            self.count();
        }
        self.count();
        Ok(())
    }

    /// Takes some packets of each interface; how many came.
    fn take_turns(&mut self, room: &mut Room<'_>) -> usize {
        let mut came = 0;
        for number in 0..self.handles.len() {
            came += self.take(number, room);
        }
        // Interfaces take turns, packets come in the order of time.
        self.waiting.sort_by_key(|(micros, ..)| *micros);
        for (micros, interface, length, bytes) in self.waiting.drain(..) {
            let captured = bytes.len() as u32;
            let words = [interface, (micros >> 32) as u32, micros as u32, captured, length];
            let head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            block(&mut self.pending, 6, &[&head, &bytes]);
        }
        room.is_full |= self.pending.len() >= room.bytes.len();
        came
    }

    fn take(&mut self, number: usize, room: &mut Room<'_>) -> usize {
        let handle = &mut self.handles[number];
        let mut came = 0;
        while handle.open && came < TURN && self.left > 0 && !room.is_full {
            match handle.capture.next_packet() {
                Ok(packet) => {
                    let head = packet.header;
                    match self.format {
                        Format::Pcap => {
                            let words =
                                [head.ts.tv_sec as u32, head.ts.tv_usec as u32, head.caplen, head.len];
                            room.put(words, packet.data, &mut self.pending);
                        }
                        Format::Pcapng => {
                            let micros = head.ts.tv_sec as u64 * 1_000_000 + head.ts.tv_usec as u64;
                            self.waiting.push((micros, number as u32, head.len, packet.data.to_vec()));
                        }
                    }
                    self.left -= 1;
                    came += 1;
                }
                Err(pcap::Error::TimeoutExpired) => break,
                // The interface went away: what was captured until then stands.
                Err(_) => {
                    handle.open = false;
                    self.counters.0[number].gone.store(true, Ordering::Relaxed);
                }
            }
        }
        came
    }

    /// Asks the kernel for its counts, not too often: that is a system call for each interface.
    fn count(&mut self) {
        let now = Instant::now();
        let recent = self.asked.is_some_and(|asked| now.duration_since(asked) < STATISTICS);
        if recent && self.left > 0 && self.last_call.is_none() {
            return;
        }
        self.asked = Some(now);
        for (handle, counters) in self.handles.iter_mut().zip(self.counters.0.iter()) {
            if let Ok(stats) = handle.capture.stats() {
                counters.received.store(u64::from(stats.received), Ordering::Relaxed);
                counters.dropped.store(u64::from(stats.dropped), Ordering::Relaxed);
                counters.interface_dropped.store(u64::from(stats.if_dropped), Ordering::Relaxed);
            }
        }
    }

    fn is_over(&mut self) -> bool {
        let ended =
            || self.stop.0.load(Ordering::Relaxed) || self.end.is_some_and(|end| Instant::now() >= end);
        if self.last_call.is_none() && ended() {
            self.last_call = Some(Instant::now() + LAST_CALL);
        }
        let nobody = self.handles.iter().all(|handle| !handle.open);
        self.left == 0 || nobody || self.last_call.is_some_and(|last| Instant::now() >= last)
    }
}

impl Read for Live {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut room = Room { bytes: buffer, filled: 0, is_full: false };
        self.hand_over(&mut room);
        // What did not fit the last time does not come alone.
        if !room.is_full {
            self.fill(&mut room)?;
            self.hand_over(&mut room);
        }
        Ok(room.filled)
    }
}

impl Live {
    /// Hands over what is made already.
    fn hand_over(&mut self, room: &mut Room<'_>) {
        let rest = &self.pending[self.at..];
        let count = rest.len().min(room.bytes.len() - room.filled);
        room.bytes[room.filled..room.filled + count].copy_from_slice(&rest[..count]);
        room.filled += count;
        self.at += count;
        if self.at == self.pending.len() {
            self.pending.clear();
            self.at = 0;
        }
        room.is_full |= room.filled == room.bytes.len() || !self.pending.is_empty();
    }
}

/// What a reader has room for: packets are copied once, from the kernel's buffer to where they are
/// read.
struct Room<'a> {
    bytes: &'a mut [u8],
    filled: usize,
    is_full: bool,
}

impl Room<'_> {
    /// Writes a packet, or, where it does not fit, to what is handed over the next time.
    #[inline]
    fn put(&mut self, head: [u32; 4], packet: &[u8], pending: &mut Vec<u8>) {
        let place = self.bytes.get_mut(self.filled..self.filled + RECORD + packet.len());
        let Some((into, rest)) = place.and_then(|place| place.split_first_chunk_mut::<RECORD>()) else {
            self.is_full = true;
            head.iter().for_each(|word| pending.extend(word.to_le_bytes()));
            pending.extend_from_slice(packet);
            return;
        };
        for (place, word) in into.as_chunks_mut::<4>().0.iter_mut().zip(head) {
            *place = word.to_le_bytes();
        }
        rest.copy_from_slice(packet);
        self.filled += RECORD + packet.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_buffer_allows_a_longer_sleep() {
        let millis = [1, 32, 64, 1_024].map(|buffer| pause(buffer).as_millis());
        assert_eq!(millis, [5, 13, 26, 50]);
    }

    #[test]
    fn packets_are_written_where_there_is_room_and_wait_where_there_is_none() {
        let (mut bytes, mut pending) = ([0; 40], Vec::new());
        let mut room = Room { bytes: &mut bytes, filled: 0, is_full: false };
        room.put([1, 2, 3, 4], b"abc", &mut pending);
        assert_eq!((room.filled, room.is_full, pending.len()), (19, false, 0));
        room.put([5, 6, 6, 6], b"abcdef", &mut pending);
        assert_eq!((room.filled, room.is_full, pending.len()), (19, true, 22));
        let words = |bytes: &[u8]| bytes.as_chunks().0.iter().copied().map(u32::from_le_bytes).collect();
        let (first, second): (Vec<u32>, Vec<u32>) = (words(&bytes[..16]), words(&pending[..16]));
        assert_eq!((first, &bytes[16..19]), (vec![1, 2, 3, 4], &b"abc"[..]));
        assert_eq!((second, &pending[16..]), (vec![5, 6, 6, 6], &b"abcdef"[..]));
    }

    #[test]
    fn several_interfaces_make_blocks_that_say_their_length_on_both_sides() {
        let names = ["eth0".to_owned(), "wg0".to_owned()];
        let mut file = pcapng_header(&[1, 101], &names, 2_048);
        block(&mut file, 6, &[&[7; 20], &[9; 31]]);
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes"));
        let (mut at, mut kinds, mut links) = (0, Vec::new(), Vec::new());
        while at < file.len() {
            let length = word(at + 4) as usize;
            assert!(length.is_multiple_of(4) && word(at + length - 4) as usize == length, "at {at}");
            kinds.push(word(at));
            if word(at) == 1 {
                // The link type, then the name as option 2.
                links.push((word(at + 8), file[at + 16], file[at + 18]));
            }
            at += length;
        }
        assert_eq!(kinds, [0x0a0d_0d0a, 1, 1, 6]);
        assert_eq!(links, [(1, 2, 4), (101, 2, 3)]);
    }
}
