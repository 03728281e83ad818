//! Results do not depend on the number of workers, on generated mixes of real captures and of pod
//! traffic: the flow records are the same, byte for byte, also where memory runs short.

#![expect(clippy::disallowed_methods, reason = "tests read captures")]

mod common;
#[path = "../benches/capture/corpus.rs"]
mod corpus;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use watertight::analysis::{self, Analysis};
use watertight::inventory::Inventory;
use watertight::policy::Dataplane;
use watertight::report::{Format, View, json::Json};

/// The flow records of a capture, and what was odd in it.
fn records(capture: &Path, workers: usize) -> (Vec<u8>, Analysis) {
    let input: Box<dyn Read + Send> = Box::new(File::open(capture).expect("a capture"));
    let inputs = vec![("mix.pcap".to_owned(), input)];
    let (observed, errors) = analysis::observe(inputs, &Inventory::default(), workers);
    assert!(errors.is_empty(), "{errors:?}");
    let nobody = analysis::declared(&[], Dataplane::kubernetes());
    let analysis = Analysis { observed, ..nobody };
    let mut lines = Vec::new();
    Json.write(&View::Flows(&analysis), &mut lines).expect("written");
    (lines, analysis)
}

/// The same lines for one, two and three workers; what one worker saw is returned.
fn same_for_all(capture: &Path) -> Analysis {
    let (one, analysis) = records(capture, 1);
    for workers in [2, 3] {
        let (several, others) = records(capture, workers);
        let pairs = one.split(|b| *b == b'\n').zip(several.split(|b| *b == b'\n'));
        let text = String::from_utf8_lossy;
        for (line, other) in pairs {
            assert_eq!(text(line), text(other), "{workers} workers");
        }
        assert_eq!(one.len(), several.len(), "{workers} workers");
        assert_eq!(analysis.observed.oddities, others.observed.oddities, "{workers} workers");
        assert_eq!(analysis.observed.copies, others.observed.copies, "{workers} workers");
    }
    analysis
}

#[test]
fn a_mix_of_real_captures_gives_the_same_records_for_any_number_of_workers() {
    let folder = tempfile::tempdir().expect("a folder");
    let mix = folder.path().join("mix.pcap");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = common::shared("data/captures").unwrap_or_else(|| root.join("fixtures"));
    let made = corpus::mix(&sources, &mix, 8_000_000).expect("written");
    let analysis = same_for_all(&mix);
    let flows = analysis.observed.flows.len();
    assert!(made.packets > 1_000 && flows > 100, "{flows} flows of {made:?}");
}

#[test]
fn where_first_bytes_do_not_fit_into_memory_the_records_are_the_same_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let pods = folder.path().join("pods.pcap");
    corpus::pods(&pods, 5_000, 22).expect("written");
    // Of answers that nobody knows, all is kept.
    let mut bytes = fs::read(&pods).expect("a capture");
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, b"HTTP/1.1 200").collect();
    places.iter().for_each(|at| bytes[*at] = b'?');
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, b"+OK\r\n").collect();
    places.iter().for_each(|at| bytes[*at] = b'?');
    fs::write(&pods, bytes).expect("written");
    let analysis = same_for_all(&pods);
    assert_eq!(analysis.observed.flows.len(), 5_000);
    let short = |what: &String| what.contains("to bound memory");
    assert!(analysis.observed.oddities.keys().any(short), "{:?}", analysis.observed.oddities);
}
