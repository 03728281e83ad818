//! Flows and verdicts of large captures, against reading the file (`cat`) and against every peer
//! that is installed, each as a process of its own, in one run.
//!
//! `WATERTIGHT_BENCH_BYTES` is the size of the captures, 1.3 GB where it is not set;
//! `WATERTIGHT_BENCH_FOLDER` keeps them for the next run; `WATERTIGHT_BENCH_PEERS=none` measures
//! this program and the floor alone; `WATERTIGHT_BENCH_RELEASE` is the program of `make release`,
//! which is measured too.

#![expect(clippy::disallowed_methods, reason = "benchmarks read the clock and files of their own")]

mod common;
#[path = "capture/corpus.rs"]
mod corpus;
#[path = "capture/process.rs"]
mod process;
#[path = "capture/sources.rs"]
mod sources;

use corpus::Corpus;
use process::{End, Usage};
use std::path::Path;

/// A program that goes over a capture.
struct Contender {
    name: &'static str,
    /// The program, which must be installed.
    program: &'static str,
    /// A shell line; `FILE` is the capture, `OUT` a folder to write to.
    line: &'static str,
    cores: &'static str,
}

const OURS: &str = env!("CARGO_BIN_EXE_watertight");

/// Peers in the order of how much they do.
const PEERS: &[Contender] = &[
    Contender { name: "`cat`, the floor", program: "cat", line: "cat FILE > /dev/null", cores: "1" },
    Contender { name: "capinfos", program: "capinfos", line: "capinfos -c FILE > /dev/null", cores: "1" },
    Contender {
        name: "tcpdump -w",
        program: "tcpdump",
        line: "tcpdump -r FILE -w /dev/null 2> /dev/null",
        cores: "1",
    },
    Contender {
        name: "softflowd",
        program: "softflowd",
        line: "softflowd -r FILE -n 127.0.0.1:9 -d -m 1000000 > /dev/null 2>&1 || true",
        cores: "1",
    },
    Contender {
        name: "nfpcapd",
        program: "nfpcapd",
        line: "nfpcapd -r FILE -l OUT > /dev/null 2>&1",
        cores: "1",
    },
    Contender {
        name: "argus",
        program: "argus",
        // It dies of frames that are not IP.
        line: "argus -r FILE -w /dev/null - ip > /dev/null 2>&1",
        cores: "1",
    },
    Contender {
        name: "ndpiReader",
        program: "ndpiReader",
        line: "ndpiReader -i FILE -q > /dev/null 2>&1",
        cores: "1",
    },
    Contender {
        name: "Suricata with EVE",
        program: "suricata",
        line: "suricata -r FILE -l OUT --runmode single > /dev/null 2>&1",
        cores: "1",
    },
    Contender {
        name: "tshark -z conv,tcp",
        program: "tshark",
        line: "tshark -n -q -r FILE -z conv,tcp > /dev/null 2>&1",
        cores: "1",
    },
];

fn main() {
    let size = std::env::var("WATERTIGHT_BENCH_BYTES").ok().and_then(|text| text.parse().ok());
    let size: u64 = size.unwrap_or(1_300_000_000);
    let kept = std::env::var_os("WATERTIGHT_BENCH_FOLDER");
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = kept.as_ref().map_or(temporary.path(), Path::new);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources::sources(root);
    let mix = folder.join("mix.pcap");
    let pods = folder.join("pods.pcap");
    let made = [
        ("real captures, replicated", &mix, corpus::mix(&sources, &mix, size).expect("written")),
        (
            "pod traffic, half of it in VXLAN",
            &pods,
            corpus::pods(&pods, (size / 6_400) as u32, 12).expect("written"),
        ),
    ];
    let mut text = String::new();
    for (name, file, corpus) in made {
        text.push_str(&table(name, file, corpus, folder));
    }
    common::publish("Capture", &text);
}

/// One table: a row for each contender.
fn table(name: &str, file: &Path, corpus: Corpus, folder: &Path) -> String {
    let path = file.display().to_string();
    let millions = corpus.packets as f64 / 1e6;
    let runs = if millions > 1.0 { 3 } else { 5 };
    let ours = |program: &str, workers: usize| {
        // The processors are told, so that one worker does not wander.
        let cores = (0..workers).map(|core| core.to_string()).collect::<Vec<_>>().join(",");
        let line = format!(
            "taskset -c {cores} {program} flows FILE -f json --no-progress --threads {workers} > /dev/null"
        );
        measure(&line, &path, folder, runs)
    };
    let one = ours(OURS, 1);
    let mut rows = vec![
        ("**watertight flows -f json**", "1", one),
        ("**watertight flows -f json**", "2", ours(OURS, 2)),
    ];
    let release = std::env::var("WATERTIGHT_BENCH_RELEASE").unwrap_or_default();
    if !release.is_empty() {
        rows.push(("**the same, by `make release`**", "1", ours(&release, 1)));
        rows.push(("**the same, by `make release`**", "2", ours(&release, 2)));
    }
    let alone = std::env::var_os("WATERTIGHT_BENCH_PEERS").is_some_and(|peers| peers == "none");
    let wanted = |peer: &&Contender| (!alone || peer.program == "cat") && process::is_installed(peer.program);
    for peer in PEERS.iter().filter(wanted) {
        // Peers that need a minute are run once: they are not the ones that are close.
        let first = measure(peer.line, &path, folder, 1);
        let usage = if first.wall < 20.0 { measure(peer.line, &path, folder, runs) } else { first };
        rows.push((peer.name, peer.cores, usage));
    }
    let mut text = format!(
        "{name}: {:.2} million packets, {:.2} GB.\n\n\
         | program | cores | seconds | processor seconds | Mpkt/s | MB | processor time against ours on one core |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
        millions,
        corpus.bytes as f64 / 1e9
    );
    for (name, cores, usage) in rows {
        if let End::Failed(why) = usage.end {
            text.push_str(&format!("| {name} | {cores} | did not come to its end: {why} | | | | |\n"));
            continue;
        }
        text.push_str(&format!(
            "| {name} | {cores} | {:.2} | {:.2} | {:.2} | {} | {:.2} |\n",
            usage.wall,
            usage.processor,
            millions / usage.wall,
            usage.memory >> 20,
            usage.processor / one.processor
        ));
    }
    text.push('\n');
    text
}

/// The median run of a shell line.
fn measure(line: &str, file: &str, folder: &Path, runs: usize) -> Usage {
    let line = line.replace("FILE", file).replace("OUT", &folder.display().to_string());
    let mut all: Vec<Usage> = (0..runs).map(|_| process::run(&line)).collect();
    all.sort_by(|a, b| a.processor.total_cmp(&b.processor));
    all[all.len() / 2]
}
