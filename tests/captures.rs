//! Every capture of the corpora goes through the reader and the detectors without a panic, and
//! protections are scored against the labels. A plaintext flow called encrypted counts most.

#![expect(clippy::disallowed_methods, reason = "tests read pages and reference data")]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use watertight::capture::{self, Flow, FlowEnd, FlowLimits, Transport};
use watertight::protocol;

type Ends = (FlowEnd, FlowEnd);
type Label = (String, Transport, Ends, String, String);

/// Flows whose label is held to be wrong, by file, with the evidence.
const HELD_WRONG: &[(&str, &str)] = &[(
    "zeek/ssh/ssh-on-port-80.pcap",
    "both sides identify themselves as SSH-2.0; the label follows the port",
)];

fn open(path: &Path) -> Box<dyn Read> {
    let file = File::open(path).expect("a capture");
    match path.extension().is_some_and(|ending| ending == "gz") {
        true => Box::new(flate2::read::MultiGzDecoder::new(file)),
        false => Box::new(file),
    }
}

fn ordered(a: FlowEnd, b: FlowEnd) -> Ends {
    if a <= b { (a, b) } else { (b, a) }
}

fn labels(root: &Path) -> Vec<Label> {
    let text = std::fs::read_to_string(root.join("labels.tsv")).expect("the labels");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let end =
            |ip: &str, port: &str| Some(FlowEnd { ip: ip.parse::<IpAddr>().ok()?, port: port.parse().ok()? });
        let transport = match *cells.get(1)? {
            "TCP" => Transport::Tcp,
            "UDP" => Transport::Udp,
            "SCTP" => Transport::Sctp,
            _ => return None,
        };
        let ends = ordered(end(cells.get(2)?, cells.get(3)?)?, end(cells.get(4)?, cells.get(5)?)?);
        Some((cells[0].to_owned(), transport, ends, (*cells.get(6)?).to_owned(), (*cells.get(7)?).to_owned()))
    };
    text.lines().skip(1).filter_map(row).collect()
}

/// The flows of a capture; what is no capture gives none.
fn flows(path: &Path) -> Vec<Flow> {
    let mut all = Vec::new();
    drop(capture::read_capture(&mut open(path), FlowLimits::default(), &mut |flow| all.push(flow)));
    all
}

#[test]
fn protections_agree_with_the_labels_and_plaintext_is_never_called_encrypted() {
    let Some(root) = common::shared("data/captures") else { return };
    let mut files: HashMap<String, Vec<Flow>> = HashMap::new();
    let (mut packets, mut count) = (0, 0);
    let entries = walkdir::WalkDir::new(&root).sort_by_file_name().into_iter().filter_map(Result::ok);
    for entry in entries.filter(|entry| entry.file_type().is_file()) {
        let flows = flows(entry.path());
        packets += flows.iter().map(|f| f.forward.packets + f.backward.packets).sum::<u64>();
        count += flows.len();
        let name = entry.path().strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
        files.insert(name, flows);
    }
    println!("{} captures, {count} flows, {packets} packets", files.len());
    let mut score: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
    let (mut unsafe_verdicts, mut missing, mut unknown) = (Vec::new(), 0, BTreeMap::<String, usize>::new());
    for (file, transport, ends, label, layers) in labels(&root) {
        let of_flow = |f: &&Flow| f.transport == transport && ordered(f.initiator, f.responder) == ends;
        let Some(flow) = files.get(&file).and_then(|flows| {
            flows.iter().filter(of_flow).max_by_key(|f| f.forward.packets + f.backward.packets)
        }) else {
            if std::env::var("SHOW").is_ok() {
                println!("MISSING\t{file}\t{ends:?}\t{label}\t{layers}");
            }
            missing += 1;
            continue;
        };
        let detection = protocol::detect(flow);
        let word = detection.protection.word();
        *score.entry((label.clone(), word)).or_default() += 1;
        if word != label && std::env::var("SHOW").is_ok() {
            let s = &flow.start;
            println!(
                "DIFF\t{label}\t{word}\t{layers}\t{}\t{}\t{file}\t{}>{}\tlate={} cut={} holes={} hs={:?}\t{:02x?}|{}\t{:02x?}|{}",
                detection.protocol,
                detection.why,
                flow.initiator.port,
                flow.responder.port,
                s.late,
                s.cut,
                s.holes,
                flow.handshake,
                &s.forward[..s.forward.len().min(24)],
                s.forward.len(),
                &s.backward[..s.backward.len().min(24)],
                s.backward.len()
            );
        }
        if word == "unknown" {
            *unknown.entry(format!("{label} {layers}")).or_default() += 1;
        }
        if label == "plaintext" && word == "encrypted" && !HELD_WRONG.iter().any(|(held, _)| *held == file) {
            unsafe_verdicts
                .push(format!("{file} {ends:?} {layers}: {} {}", detection.protocol, detection.why));
        }
    }
    println!("{missing} labelled flows were not found");
    for ((label, verdict), count) in &score {
        println!("{label:>10} called {verdict:<10} {count}");
    }
    let mut rows: Vec<_> = unknown.into_iter().collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    rows.iter().take(25).for_each(|(layers, count)| println!("  unknown {count:>5} {layers}"));
    let of = |label: &str, verdict| score.get(&(label.to_owned(), verdict)).copied().unwrap_or(0);
    let (right, wrong) = (
        of("plaintext", "plaintext") + of("encrypted", "encrypted"),
        of("plaintext", "encrypted") + of("encrypted", "plaintext"),
    );
    let silent = of("plaintext", "unknown") + of("encrypted", "unknown");
    println!(
        "right {right}, wrong {wrong}, unknown {silent}: accuracy {:.2} %, coverage {:.1} %",
        100.0 * right as f64 / (right + wrong).max(1) as f64,
        100.0 * (right + wrong) as f64 / (right + wrong + silent).max(1) as f64
    );
    assert!(unsafe_verdicts.is_empty(), "plaintext called encrypted:\n{}", unsafe_verdicts.join("\n"));
    assert!(
        right > 1_000 && right >= 95 * (right + wrong) / 100,
        "accuracy fell: {right} right, {wrong} wrong"
    );
}
