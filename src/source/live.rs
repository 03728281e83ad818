//! Packets of an interface, through libpcap, as the bytes of a capture file: what reads files reads
//! interfaces as well.
//!
//! The end comes with a time, a number of packets, or a signal; what was captured until then is
//! handed over, and what the kernel dropped is known afterwards.

use super::problem;
use crate::model::Problem;
use pcap::{Active, Capture, Device};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long what is left in the buffer is taken after the end.
const LAST_CALL: Duration = Duration::from_millis(250);
/// How long to sleep where no packet waits: short against the time in which a buffer fills.
const PAUSE: Duration = Duration::from_millis(5);

/// What to capture.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// An interface by its name, or `any`.
    pub interface: String,
    /// A BPF filter in the language of pcap-filter(7); empty for everything.
    pub filter: String,
    /// Bytes kept of each packet.
    pub snaplen: u32,
    /// The kernel's buffer, in MiB.
    pub buffer_mib: u32,
    /// When to end; never where `None`.
    pub duration: Option<Duration>,
    /// After how many packets to end; never where `None`.
    pub count: Option<u64>,
}

/// Counters of a capture that runs or has ended.
#[derive(Clone, Debug, Default)]
pub struct LiveCounters(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    received: AtomicU64,
    dropped: AtomicU64,
    interface_dropped: AtomicU64,
}

impl LiveCounters {
    /// Packets that came through the filter.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Packets that were lost because the buffer was full.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Packets that the interface or its driver dropped.
    pub fn interface_dropped(&self) -> u64 {
        self.0.interface_dropped.load(Ordering::Relaxed)
    }
}

/// An open interface; reading gives the bytes of a pcap file.
pub struct Live {
    capture: Capture<Active>,
    pending: Vec<u8>,
    at: usize,
    end: Option<Instant>,
    /// Set once the end has come: until then, what waits in the buffer is still taken.
    last_call: Option<Instant>,
    left: u64,
    stop: Arc<AtomicBool>,
    counters: LiveCounters,
}

/// Opens an interface.
///
/// # Errors
/// The interface that is not there, may not be opened, or the filter that is none.
pub fn open_live(options: &LiveOptions) -> Result<(Live, LiveCounters), Problem> {
    let failed = |error: pcap::Error, hint: &str| problem(&options.interface, &error.to_string(), hint);
    let inactive = Capture::from_device(options.interface.as_str())
        .map_err(|error| failed(error, "`ip link` lists the interfaces"))?;
    let mut capture = inactive
        .snaplen(i32::try_from(options.snaplen).unwrap_or(i32::MAX))
        .buffer_size(i32::try_from(u64::from(options.buffer_mib) << 20).unwrap_or(i32::MAX))
        .promisc(false)
        .timeout(100)
        .open()
        .map_err(|error| failed(error, &hint()))?;
    capture
        .filter(&options.filter, true)
        .map_err(|error| failed(error, "filters are written as in pcap-filter(7): `tcp port 5432`"))?;
    // With a timeout alone, a silent interface is waited for without end.
    let capture = capture.setnonblock().map_err(|error| failed(error, ""))?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|error| problem(&options.interface, &format!("no signals: {error}"), ""))?;
    }
    let counters = LiveCounters::default();
    let live = Live {
        pending: header(capture.get_datalink().0 as u32, options.snaplen),
        capture,
        at: 0,
        end: options.duration.map(|duration| Instant::now() + duration),
        last_call: None,
        left: options.count.unwrap_or(u64::MAX),
        stop,
        counters: counters.clone(),
    };
    Ok((live, counters))
}

/// Which interfaces there are, and what it takes to open them.
fn hint() -> String {
    let names: Vec<String> =
        Device::list().unwrap_or_default().into_iter().map(|device| device.name).collect();
    let known = if names.is_empty() { String::new() } else { format!("; there are {}", names.join(", ")) };
    format!("capturing needs CAP_NET_RAW (root, or setcap cap_net_raw+ep on the program){known}")
}

/// The header of a pcap file in the byte order of this machine's readers: little endian.
fn header(link_type: u32, snaplen: u32) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(snaplen.to_le_bytes());
    bytes.extend(link_type.to_le_bytes());
    bytes
}

impl Live {
    /// Waits for packets and takes all that are there, up to what a reader takes at a time.
    fn fill(&mut self, room: usize) {
        self.pending.clear();
        self.at = 0;
        while self.pending.len() < room.min(1 << 18) && !self.is_over() {
            match self.capture.next_packet() {
                Ok(packet) => {
                    let head = packet.header;
                    let words = [head.ts.tv_sec as u32, head.ts.tv_usec as u32, head.caplen, head.len];
                    words.iter().for_each(|word| self.pending.extend(word.to_le_bytes()));
                    self.pending.extend_from_slice(packet.data);
                    self.left -= 1;
                }
                // Nothing waits: after the end, this is the end.
                Err(pcap::Error::TimeoutExpired) if self.last_call.is_some() => self.left = 0,
                Err(pcap::Error::TimeoutExpired) if self.pending.is_empty() => thread::sleep(PAUSE),
                Err(pcap::Error::TimeoutExpired) => break,
                // The interface went away: what was captured until then stands.
                Err(_) => self.left = 0,
            }
        }
        if let Ok(stats) = self.capture.stats() {
            self.counters.0.received.store(u64::from(stats.received), Ordering::Relaxed);
            self.counters.0.dropped.store(u64::from(stats.dropped), Ordering::Relaxed);
            self.counters.0.interface_dropped.store(u64::from(stats.if_dropped), Ordering::Relaxed);
        }
    }

    fn is_over(&mut self) -> bool {
        let ended = || self.stop.load(Ordering::Relaxed) || self.end.is_some_and(|end| Instant::now() >= end);
        if self.last_call.is_none() && ended() {
            self.last_call = Some(Instant::now() + LAST_CALL);
        }
        self.left == 0 || self.last_call.is_some_and(|last| Instant::now() >= last)
    }
}

impl Read for Live {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.pending.len() {
            self.fill(buffer.len());
        }
        let count = buffer.len().min(self.pending.len() - self.at);
        buffer[..count].copy_from_slice(&self.pending[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
