//! Live capture under a load that is sent over a veth: packets that were lost and processor time,
//! of ours, `tcpdump -w /dev/null` and `dumpcap`, one after the other with the same load and buffer.
//!
//! Needs root and `ip`; elsewhere it says that it was left out. `WATERTIGHT_PROGRAM=PATH` measures
//! another build, and publishes nothing.

#![expect(clippy::disallowed_methods, reason = "benchmarks read the clock and files of their own")]

mod common;
#[path = "capture/corpus.rs"]
#[expect(dead_code, reason = "one of the captures is sent")]
mod corpus;
#[path = "capture/process.rs"]
#[expect(dead_code, reason = "how long it listens, and that it is stopped, is known beforehand")]
mod process;

use process::Usage;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const OURS: &str = env!("CARGO_BIN_EXE_watertight");
/// The namespace, and the name that the ends of the cable begin with.
const NAME: &str = "wtbench";
/// How long a load lasts.
const LOAD: Duration = Duration::from_secs(4);
/// How long a contender listens: it has to begin, and to take what waits.
const LISTENS: u64 = 8;

/// A program that listens; `FILE` is where it says what it counted.
struct Contender {
    name: &'static str,
    program: &'static str,
    line: &'static str,
    counted: fn(&str) -> Option<Counted>,
}

/// What a contender says of itself.
#[derive(Clone, Copy, Debug)]
struct Counted {
    taken: u64,
    lost: u64,
}

/// All with a buffer of 32 MiB.
const CONTENDERS: &[Contender] = &[
    Contender {
        name: "**watertight capture -f json**",
        program: "sh",
        line: "OURS capture -i wtbenchb -f json --buffer 32 --no-progress",
        counted: ours,
    },
    Contender {
        name: "tcpdump -w /dev/null",
        program: "tcpdump",
        line: "tcpdump -i wtbenchb -B 32768 -n -p -w /dev/null",
        counted: tcpdump,
    },
    Contender {
        name: "dumpcap -w /dev/null",
        program: "dumpcap",
        line: "dumpcap -i wtbenchb -B 32 -p -q -w /dev/null",
        counted: dumpcap,
    },
];

/// Packets a second; `None` is as fast as one core sends.
const RATES: [Option<u64>; 3] = [Some(100_000), Some(400_000), None];

fn main() {
    let Some(_cable) = Cable::new() else {
        println!("left out: this machine gives no network namespaces");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pods.pcap");
    corpus::pods(&file, 60_000, 12).expect("written");
    let frames = frames(&std::fs::read(&file).expect("a capture"));
    let mut text = String::from(
        "Pod traffic, half of it in VXLAN, is sent for four seconds over a veth, by another thread of the same machine.\n\
         What was lost is what each says that the kernel dropped, of what passed its filter; buffers have 32 MiB.\n\
         Ours makes flows, verdicts and records of it, the others keep the bytes as they are.\n\
         Where others use the machine too, the sender does not reach its load: the third column says what it sent, and what a program needs to begin weighs more.\n\n\
         | load | program | packets a second | lost | lost % | processor µs a packet | processor seconds a gigabit | MB |\n\
         |---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for rate in RATES {
        let load = rate.map_or("as fast as one core sends".to_owned(), |rate| format!("{rate} a second"));
        for contender in CONTENDERS.iter().filter(|one| process::is_installed(one.program)) {
            let row = measure(contender, &frames, rate, folder.path());
            text.push_str(&format!("| {load} | {} | {row} |\n", contender.name));
        }
    }
    match std::env::var_os("WATERTIGHT_PROGRAM") {
        Some(_) => println!("{text}"),
        None => common::publish("Live", &text),
    }
}

/// One contender under one load: the cells of its row.
fn measure(contender: &Contender, frames: &[Vec<u8>], rate: Option<u64>, folder: &std::path::Path) -> String {
    let said = folder.join("said");
    let ours = std::env::var("WATERTIGHT_PROGRAM").unwrap_or_else(|_| OURS.to_owned());
    let program = contender.line.replace("OURS", &ours);
    let line =
        format!("ip netns exec {NAME} timeout -s INT {LISTENS} {program} > /dev/null 2> {}", said.display());
    let listening = std::thread::spawn(move || process::run(&line));
    sleep(Duration::from_millis(1_500));
    let sent = send(frames, rate);
    let usage: Usage = listening.join().expect("an account");
    let text = std::fs::read_to_string(&said).expect("what it said");
    let Some(counted) = (contender.counted)(&text) else {
        return format!("did not count: {} | | | | | ", text.lines().next().unwrap_or_default());
    };
    let gigabits = sent.bytes as f64 * 8.0 / 1e9 * counted.taken as f64 / sent.packets.max(1) as f64;
    let seen = counted.taken + counted.lost;
    format!(
        "{:.0} | {} | {:.2} | {:.2} | {:.2} | {}",
        sent.packets as f64 / sent.seconds,
        counted.lost,
        100.0 * counted.lost as f64 / seen.max(1) as f64,
        usage.processor * 1e6 / counted.taken.max(1) as f64,
        usage.processor / gigabits.max(1e-9),
        usage.memory >> 20
    )
}

struct Sent {
    packets: u64,
    bytes: u64,
    seconds: f64,
}

/// Sends frames at a rate, again and again, until the load is over.
fn send(frames: &[Vec<u8>], rate: Option<u64>) -> Sent {
    let device = format!("{NAME}a");
    let mut out = pcap::Capture::from_device(device.as_str()).and_then(|d| d.open()).expect("the cable");
    let begin = Instant::now();
    let mut sent = Sent { packets: 0, bytes: 0, seconds: 0.0 };
    for frame in frames.iter().cycle() {
        if sent.packets.is_multiple_of(64) {
            if begin.elapsed() >= LOAD {
                break;
            }
            // Bursts of 64, as a network card hands them over.
            while rate.is_some_and(|rate| begin.elapsed().as_secs_f64() * (rate as f64) < sent.packets as f64)
            {
                std::hint::spin_loop();
            }
        }
        if out.sendpacket(frame.as_slice()).is_ok() {
            sent.packets += 1;
            sent.bytes += frame.len() as u64;
        }
    }
    sent.seconds = begin.elapsed().as_secs_f64();
    sent
}

/// The frames of a little-endian pcap.
fn frames(file: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = &file[24..];
    while let Some((head, more)) = rest.split_first_chunk::<16>() {
        let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        // A frame that does not fit into the cable is none.
        if length <= 1_514 {
            frames.push(more[..length].to_vec());
        }
        rest = &more[length..];
    }
    frames
}

/// `N packets received, M dropped by the kernel, K by the interface`.
fn ours(text: &str) -> Option<Counted> {
    let line = text.lines().find(|line| line.contains("packets received"))?;
    let [received, dropped, interface] = numbers(line)[..] else { return None };
    Some(Counted { taken: received - dropped, lost: dropped + interface })
}

/// Lines such as `N packets captured`.
fn tcpdump(text: &str) -> Option<Counted> {
    let line = |what: &str| {
        text.lines().find(|line| line.contains(what)).and_then(|line| numbers(line).first().copied())
    };
    Some(Counted {
        taken: line("packets captured")?,
        lost: line("dropped by kernel")? + line("dropped by interface").unwrap_or(0),
    })
}

/// `Packets received/dropped on interface 'x': N/M (…)`.
fn dumpcap(text: &str) -> Option<Counted> {
    let line = text.lines().find(|line| line.contains("received/dropped"))?;
    let (_, counts) = line.rsplit_once("': ")?;
    let [received, dropped, ..] = numbers(counts)[..] else { return None };
    Some(Counted { taken: received, lost: dropped })
}

fn numbers(line: &str) -> Vec<u64> {
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

/// Two ends of a cable, the second in a namespace of its own.
struct Cable;

impl Cable {
    fn new() -> Option<Cable> {
        let made = ip(&format!("netns add {NAME}"));
        let cable = made.then_some(Cable)?;
        let up = ip(&format!("link add {NAME}a type veth peer name {NAME}b netns {NAME}"))
            && ip(&format!("link set {NAME}a up"))
            && ip(&format!("-n {NAME} link set {NAME}b up"));
        up.then_some(cable)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        ip(&format!("link del {NAME}a"));
        ip(&format!("netns del {NAME}"));
    }
}

fn ip(line: &str) -> bool {
    let run = Command::new("ip").args(line.split_whitespace()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}
