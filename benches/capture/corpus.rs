//! Makes the captures that are measured: small real ones replicated with other addresses and right
//! checksums, interleaved in time; and pod traffic, every second flow of it inside VXLAN.

#[path = "replica.rs"]
mod replica;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What a made capture holds.
#[derive(Clone, Copy, Debug)]
pub struct Corpus {
    pub packets: u64,
    pub bytes: u64,
}

/// Sources larger than this would make the mix of one of them.
const LARGEST_SOURCE: u64 = 400_000;
/// All replicas begin within this, in microseconds.
const SPREAD: u64 = 60_000_000;
/// A source that lasts longer is played faster, in microseconds.
const LONGEST: u64 = 30_000_000;
const BASE: u64 = 1_700_000_000_000_000;

/// One source: frames and their times in microseconds since its first one.
struct Source {
    frames: Vec<(u64, Vec<u8>)>,
}

/// Replicates the captures below `folder` until the file has about `size` bytes.
pub fn mix(folder: &Path, out: &Path, size: u64) -> io::Result<Corpus> {
    let sources: Vec<Source> = files(folder).iter().filter_map(|file| read(file)).collect();
    let once: u64 = sources.iter().flat_map(|s| &s.frames).map(|(_, frame)| frame.len() as u64 + 16).sum();
    assert!(once > 0, "no captures in {}", folder.display());
    let replicas = size.div_ceil(once) as u32;
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut order: Vec<(u64, u32, u32, u32)> = Vec::new();
    for replica in 0..replicas {
        for (number, source) in sources.iter().enumerate() {
            let start = BASE + random.next() % SPREAD;
            let times = source.frames.iter().enumerate();
            order.extend(times.map(|(i, (time, _))| (start + time, number as u32, i as u32, replica)));
        }
    }
    order.sort_unstable();
    let mut writer = Writer::new(out)?;
    let mut frame = Vec::new();
    for (time, source, index, replica) in order {
        frame.clear();
        frame.extend_from_slice(&sources[source as usize].frames[index as usize].1);
        let secret = Random(u64::from(replica) << 20 | u64::from(source) << 1 | 1).next() as u32;
        replica::rewrite(&mut frame, secret);
        writer.frame(time, &frame)?;
    }
    writer.finish()
}

/// Pod traffic: `flows` connections of `rounds` answers each, every second one inside VXLAN 8472.
pub fn pods(out: &Path, flows: u32, rounds: u32) -> io::Result<Corpus> {
    let mut writer = Writer::new(out)?;
    let mut time = BASE;
    // Connections overlap by thousands, as they do on a node.
    const ALIVE: u32 = 4_096;
    let steps = rounds + 6;
    for batch in 0..flows.div_ceil(ALIVE) {
        for step in 0..steps {
            for flow in batch * ALIVE..((batch + 1) * ALIVE).min(flows) {
                time += 1;
                writer.frame(time, &pod_frame(flow, step, rounds))?;
            }
        }
    }
    writer.finish()
}

/// The frame of one step of a connection: handshake, request, answers, farewell.
fn pod_frame(flow: u32, step: u32, rounds: u32) -> Vec<u8> {
    let request: &[u8] = match flow % 3 {
        0 => b"GET /items HTTP/1.1\r\nHost: shop\r\nAccept: */*\r\n\r\n",
        1 => b"\x00\x00\x00\x20\x00\x03\x00\x00user\0app\0database\0shop\0\0\0\0",
        _ => b"*3\r\n$3\r\nSET\r\n$5\r\nitem1\r\n$5\r\nhello\r\n",
    };
    let answer: &[u8] = match flow % 3 {
        0 => b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\nContent-Type: application/json\r\n\r\n{}",
        1 => b"R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I",
        _ => b"+OK\r\n",
    };
    let (mine, theirs) = (flow.wrapping_mul(0x9e37_79b9), flow.wrapping_mul(0x85eb_ca6b) ^ 7);
    let asked = request.len() as u32;
    let (first, later) = (answer.len() as u32, 400);
    let answered = |count: u32| if count == 0 { 0 } else { first + (count - 1) * later };
    let filler = [b'x'; 400];
    let (from_client, sequence, acknowledged, flags, payload): (bool, u32, u32, u8, &[u8]) = match step {
        0 => (true, mine, 0, 2, &[]),
        1 => (false, theirs, mine + 1, 0x12, &[]),
        2 => (true, mine + 1, theirs + 1, 0x10, &[]),
        3 => (true, mine + 1, theirs + 1, 0x18, request),
        4 => (false, theirs + 1, mine + 1 + asked, 0x18, answer),
        _ if step < 4 + rounds => (false, theirs + 1 + answered(step - 4), mine + 1 + asked, 0x18, &filler),
        _ if step == 4 + rounds => (false, theirs + 1 + answered(rounds), mine + 1 + asked, 0x11, &[]),
        _ => (true, mine + 1 + asked, theirs + 2 + answered(rounds), 0x11, &[]),
    };
    let client = ([10, 1, (flow >> 8) as u8, flow as u8], 32_768 + (flow % 28_000) as u16);
    let server = ([10, 2, (flow >> 12) as u8, 9], [8_080, 5_432, 6_379][(flow % 3) as usize]);
    let (source, target) = if from_client { (client, server) } else { (server, client) };
    let mut tcp = Vec::with_capacity(480);
    tcp.extend(source.1.to_be_bytes());
    tcp.extend(target.1.to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(acknowledged.to_be_bytes());
    tcp.extend([0x80, flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 8, 10]);
    tcp.extend((flow ^ step).to_be_bytes());
    tcp.extend([0; 4]);
    tcp.extend(payload);
    let inner = ethernet(&ip(6, (flow + step) as u16, source.0, target.0, &tcp));
    if flow.is_multiple_of(2) {
        return inner;
    }
    let mut udp = vec![0xc0, (flow & 0xff) as u8, 0x21, 0x18];
    udp.extend(((inner.len() + 16) as u16).to_be_bytes());
    udp.extend([0, 0, 8, 0, 0, 0, 0, 0, 1, 0]);
    udp.extend(inner);
    let nodes = ([192, 168, 0, 1 + (flow & 3) as u8], [192, 168, 0, 9]);
    let (a, b) = if from_client { nodes } else { (nodes.1, nodes.0) };
    ethernet(&ip(17, (flow + step) as u16, a, b, &udp))
}

fn ip(protocol: u8, id: u16, source: [u8; 4], target: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend(((body.len() + 20) as u16).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend([0x40, 0, 64, protocol, 0, 0]);
    bytes.extend(source);
    bytes.extend(target);
    let sum = checksum(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn ethernet(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    bytes.extend(body);
    bytes
}

/// RFC 1071.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|p| u32::from(p[0]) << 8 | u32::from(*p.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok);
    let small = |entry: &walkdir::DirEntry| entry.metadata().is_ok_and(|m| m.len() <= LARGEST_SOURCE);
    walk.filter(|e| e.file_type().is_file() && small(e)).map(walkdir::DirEntry::into_path).collect()
}

/// The Ethernet frames of a classic pcap file; `None` for anything else.
fn read(path: &Path) -> Option<Source> {
    let bytes = std::fs::read(path).ok()?;
    let big = match bytes.get(..4)? {
        [0xd4, 0xc3, 0xb2, 0xa1] => false,
        [0xa1, 0xb2, 0xc3, 0xd4] => true,
        _ => return None,
    };
    let word = |at: usize| {
        let word: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    };
    if word(20)? != 1 {
        return None;
    }
    let mut frames = Vec::new();
    let mut at = 24;
    let mut first = None;
    while let (Some(seconds), Some(micros), Some(length)) = (word(at), word(at + 4), word(at + 8)) {
        let Some(frame) = bytes.get(at + 16..at + 16 + length as usize) else { break };
        let time = u64::from(seconds) * 1_000_000 + u64::from(micros);
        let since = time.saturating_sub(*first.get_or_insert(time));
        if frame.len() >= 14 {
            frames.push((since, frame.to_vec()));
        }
        at += 16 + length as usize;
    }
    let lasts = frames.iter().map(|(time, _)| *time).max()?;
    if lasts > LONGEST {
        frames.iter_mut().for_each(|(time, _)| {
            *time = (u128::from(*time) * u128::from(LONGEST) / u128::from(lasts)) as u64
        });
    }
    Some(Source { frames })
}

/// A classic pcap file in the making.
struct Writer {
    out: BufWriter<File>,
    corpus: Corpus,
}

impl Writer {
    fn new(path: &Path) -> io::Result<Writer> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        out.write_all(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0])?;
        Ok(Writer { out, corpus: Corpus { packets: 0, bytes: 24 } })
    }

    fn frame(&mut self, micros: u64, frame: &[u8]) -> io::Result<()> {
        let length = frame.len() as u32;
        for word in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, length, length] {
            self.out.write_all(&word.to_le_bytes())?;
        }
        self.out.write_all(frame)?;
        self.corpus.packets += 1;
        self.corpus.bytes += 16 + u64::from(length);
        Ok(())
    }

    fn finish(mut self) -> io::Result<Corpus> {
        self.out.flush()?;
        Ok(self.corpus)
    }
}

/// Xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        for _ in 0..3 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
        }
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}
