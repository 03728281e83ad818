//! What several tests need: reading an example, writing connections in the words of the pages,
//! and finding the shared reference data.

#![allow(dead_code, clippy::disallowed_methods, reason = "every test file uses its own part, CI among it")]

use std::path::PathBuf;
use std::sync::Arc;
use watertight::analysis::{self, Analysis};
use watertight::graph::{self, End};
use watertight::model::{Problem, Protocol, TrafficSet};
use watertight::policy::Dataplane;
use watertight::source;

/// Analyses manifests given as text; problems of reading come first.
pub fn analyse(text: &str) -> (Analysis, Vec<Problem>) {
    let reading = source::parse(&Arc::from("example.yaml"), text);
    let mut analysis = analysis::declared(&reading.documents, Dataplane::KUBERNETES);
    let mut problems = reading.problems;
    problems.append(&mut analysis.problems);
    (analysis, problems)
}

/// `from -> to: TRAFFIC`, a line a connection, sorted.
pub fn connection_lines(analysis: &Analysis, with_external: bool) -> Vec<String> {
    let name = |end: &End| match end {
        End::Workload(index) => analysis.inventory.workloads[*index].name.to_string(),
        End::External(addresses) => addresses.to_string(),
    };
    let external = |end: &End| matches!(end, End::External(_));
    let mut lines: Vec<String> = graph::connections(&analysis.graph, &analysis.inventory)
        .iter()
        .filter(|c| with_external || !(external(&c.from) || external(&c.to)))
        .map(|c| format!("{} -> {}: {}", name(&c.from), name(&c.to), traffic(&c.traffic)))
        .collect();
    lines.sort();
    lines
}

/// Traffic in the words of the pages; protocols without ports are left out unless all is allowed.
pub fn traffic(set: &TrafficSet) -> String {
    if Protocol::ALL.iter().all(|protocol| set.ports(*protocol).is_all()) {
        return "all".to_owned();
    }
    TrafficSet { portless: false, ..set.clone() }.to_string()
}

/// A folder of the shared reference data; `None`, with a printed line, where it is absent. In CI
/// absence is a failure.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing in CI", path.display());
    println!("skipped: the reference data {folder} is not here");
    None
}
