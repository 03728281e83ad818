//! Packets of interfaces, through libpcap, as the bytes of a capture file: what reads files reads
//! interfaces as well. One interface is a pcap, several are a pcapng with one description for each.
//!
//! Where no packet comes, reading says so and may be tried again.
//! The end comes with a time, a number of packets, or a signal; what was captured until then is
//! handed over, and what the kernel dropped is known afterwards.

mod format;
mod order;
mod signals;

use super::{problem, small_pages};
use crate::model::Problem;
use format::{pcap_header, pcapng_header};
use order::{BLOCK, Order, SETTLED};
use pcap::{Active, Capture, Device, Linktype};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long what is left in the buffer is taken after the end, at the most.
const LAST_CALL: Duration = Duration::from_millis(400);
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
    /// Packets of several interfaces that wait for earlier ones.
    order: Order,
    end: Option<Instant>,
    /// When the end came: what was captured until then is still taken.
    ended: Option<Instant>,
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
    /// What the kernel counted the last time, in numbers that begin again at 2^32.
    counted: [u32; 3],
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
    let handles = options.interfaces.iter().map(|name| open(name, options)).collect::<Result<Vec<_>, _>>()?;
    let links: Vec<u32> = handles.iter().map(|handle| handle.capture.get_datalink().0 as u32).collect();
    let (format, pending) = match links.as_slice() {
        [link] => (Format::Pcap, pcap_header(*link, options.snaplen)),
        several => (Format::Pcapng, pcapng_header(several, &options.interfaces, options.snaplen)),
    };
    let counters = options.interfaces.iter();
    let counters = counters.map(|name| Counters { interface: name.clone(), ..Counters::default() });
    Ok(Live {
        order: Order::new(handles.len()),
        handles,
        format,
        filter: options.filter.clone(),
        duration: options.duration,
        pending,
        at: 0,
        end: None,
        ended: None,
        left: options.count.unwrap_or(u64::MAX),
        asked: None,
        pause: pause(options.buffer_mib),
        stop: Stop::default(),
        counters: LiveCounters(Arc::new(counters.collect())),
    })
}

fn open(name: &str, options: &LiveOptions) -> Result<Handle, Problem> {
    let failed = |error: pcap::Error, hint: &str| problem(name, &said(&error), hint);
    let inactive =
        Capture::from_device(name).map_err(|error| failed(error, "`ip link` lists the interfaces"))?;
    let mut capture = inactive
        .snaplen(i32::try_from(options.snaplen).unwrap_or(i32::MAX))
        .buffer_size(i32::try_from(u64::from(options.buffer_mib) << 20).unwrap_or(i32::MAX))
        .promisc(false)
        .timeout(BLOCK.as_millis() as i32)
        .open()
        .map_err(|error| {
            let hint = hint(name, &said(&error));
            failed(error, &hint)
        })?;
    if capture.get_datalink() == Linktype::LINUX_SLL {
        // The second version names the interface of each packet, so that what several of them show
        // is counted once; a library without it (before 1.10) keeps to the first.
        capture.set_datalink(Linktype::LINUX_SLL2).unwrap_or_default();
    }
    let wrong = "filters are written as in pcap-filter(7): `tcp port 5432`";
    capture.filter(&options.filter, true).map_err(|error| failed(error, wrong))?;
    let refused = "the kernel takes no filter: is this a container that forbids it?";
    capture.filter(NOTHING, true).map_err(|error| failed(error, refused))?;
    // With a timeout alone, a silent interface is waited for without end.
    let capture = capture.setnonblock().map_err(|error| failed(error, refused))?;
    Ok(Handle { capture, open: true, counted: [0; 3] })
}

/// What libpcap says, without its name in front.
fn said(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How long to sleep where no packet waits. Who sleeps for longer finds more at once, and wakes up
/// less often to cold caches; but when a silent link becomes a fast one, half of the buffer has to
/// suffice.
fn pause(buffer_mib: u32) -> Duration {
    let (least, most) = PAUSES;
    Duration::from_millis(((u64::from(buffer_mib) << 20) / 2 / FAST).clamp(least, most))
}

/// What would help to open an interface: bringing it up, naming one that is there, or privileges.
fn hint(name: &str, said: &str) -> String {
    // What libpcap lists besides shows no packets of a network.
    const OTHERS: [&str; 5] = ["bluetooth", "dbus", "nfqueue", "usbmon", "rdma"];
    let all = Device::list().unwrap_or_default().into_iter().map(|device| device.name);
    let names: Vec<String> = all.filter(|name| !OTHERS.iter().any(|other| name.starts_with(other))).collect();
    match names.iter().any(|known| known == name) {
        true if said.contains("not up") => format!("`ip link set {name} up` brings it up"),
        false if !names.is_empty() => format!("there are {}", names.join(", ")),
        _ => "capturing needs CAP_NET_RAW: root, or setcap cap_net_raw+ep on the program".to_owned(),
    }
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

    /// From now on packets are wanted, the time runs, and SIGINT, SIGTERM and SIGHUP end the capture
    /// instead of the process; before, there is nothing that could be lost.
    ///
    /// # Errors
    /// The filter cannot be set, or signals cannot be taken.
    pub fn begin(&mut self) -> Result<(), Problem> {
        signals::end(self.stop.clone())?;
        for (handle, counters) in self.handles.iter_mut().zip(self.counters.0.iter()) {
            let set = handle.capture.filter(&self.filter, true);
            let hint = "the filter was taken a moment ago: is the interface still there?";
            set.map_err(|error| problem(&counters.interface, &said(&error), hint))?;
        }
        small_pages();
        // A time beyond what clocks count never comes.
        self.end = self.duration.and_then(|duration| Instant::now().checked_add(duration));
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
            match (self.take_turns(room), self.ended) {
                // Only now what came just before the end has left the kernel's last block.
                (0, Some(ended)) if ended.elapsed() >= SETTLED => self.left = 0,
                (0, None) if room.filled > 0 || !self.pending.is_empty() => break,
                (0, None) if silent >= SILENCE => {
                    self.count();
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                (0, _) => {
                    thread::sleep(self.pause);
                    silent += self.pause;
                }
                _ => {}
            }
            self.count();
        }
        if !room.is_full {
            self.hand_over_the_rest(room);
        }
        self.count();
        Ok(())
    }

    /// Takes some packets of each interface; how many came.
    fn take_turns(&mut self, room: &mut Room<'_>) -> usize {
        let mut came = 0;
        // Asked before the interfaces are: what is stamped later may not have come.
        let settled = (self.format == Format::Pcapng).then(settled);
        for number in 0..self.handles.len() {
            let some = self.take(number, room);
            came += some;
            if let Some(settled) = settled.filter(|_| some == 0) {
                self.order.settled(number, settled);
            }
        }
        while let Some(packet) = self.order.next() {
            format::packet(&mut self.pending, packet.interface, packet.micros, packet.length, &packet.bytes);
        }
        room.is_full |= self.pending.len() >= room.bytes.len();
        came
    }

    /// Once it is over, nothing waits for earlier packets any more.
    fn hand_over_the_rest(&mut self, room: &mut Room<'_>) {
        if self.order.is_empty() || !self.is_over() {
            return;
        }
        (0..self.handles.len()).for_each(|number| self.order.close(number));
        while let Some(packet) = self.order.next() {
            format::packet(&mut self.pending, packet.interface, packet.micros, packet.length, &packet.bytes);
        }
        room.is_full |= self.pending.len() >= room.bytes.len();
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
                            self.order.put(number, micros, head.len, packet.data);
                        }
                    }
                    self.left -= 1;
                    came += 1;
                }
                Err(pcap::Error::TimeoutExpired) => break,
                // The interface went away: what was captured until then stands.
                Err(_) => {
                    handle.open = false;
                    self.order.close(number);
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
        if recent && self.left > 0 && self.ended.is_none() {
            return;
        }
        self.asked = Some(now);
        for (handle, counters) in self.handles.iter_mut().zip(self.counters.0.iter()) {
            let Ok(stats) = handle.capture.stats() else { continue };
            let now = [stats.received, stats.dropped, stats.if_dropped];
            let totals = [&counters.received, &counters.dropped, &counters.interface_dropped];
            for ((total, now), before) in totals.into_iter().zip(now).zip(handle.counted) {
                total.fetch_add(u64::from(now.wrapping_sub(before)), Ordering::Relaxed);
            }
            handle.counted = now;
        }
    }

    fn is_over(&mut self) -> bool {
        let ended =
            || self.stop.0.load(Ordering::Relaxed) || self.end.is_some_and(|end| Instant::now() >= end);
        if self.ended.is_none() && ended() {
            self.ended = Some(Instant::now());
        }
        let nobody = self.handles.iter().all(|handle| !handle.open);
        self.left == 0 || nobody || self.ended.is_some_and(|ended| ended.elapsed() >= LAST_CALL)
    }
}

/// What was captured before this is here, where an interface has nothing to give: microseconds
/// since 1970, by the clock that stamps packets.
#[expect(clippy::disallowed_methods, reason = "a live capture goes by the clock")]
fn settled() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.saturating_sub(SETTLED).as_micros() as u64
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
}
