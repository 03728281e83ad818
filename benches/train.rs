//! What the program is asked to do before a release is built: a build that counts how often each way
//! is taken does it, and the next one is laid out by the counts (`.ci/guided`). It measures nothing.
//!
//! `WATERTIGHT_BENCH_BYTES` is the size of each capture, 60 MB where it is not set.

#![expect(clippy::disallowed_methods, reason = "it writes files of its own")]

mod clusters;
#[path = "capture/corpus.rs"]
mod corpus;
#[path = "capture/sources.rs"]
mod sources;

use std::path::Path;
use std::process::{Command, Stdio};

const OURS: &str = env!("CARGO_BIN_EXE_watertight");

/// Name, and the manifests.
type Shape = (&'static str, fn() -> String);

/// Clusters of a size that suits a build that counts, which takes several times as long.
const CLUSTERS: &[Shape] = &[
    ("real", clusters::profile),
    ("namespaces", || clusters::small_namespaces(500)),
    ("replicas", || clusters::replicas(100, 10)),
    ("one", || clusters::one_namespace(500)),
    ("each", || clusters::policy_for_each_pod(500)),
    ("teams", || clusters::teams(40)),
    ("sidecars", || clusters::mesh(8, false)),
    ("waypoints", || clusters::mesh(4, true)),
    ("scoped", || clusters::cluster_scoped(100, 20, 500)),
];

/// What is asked of a cluster, with its file last.
const OF_CLUSTERS: &[&[&str]] = &[
    &["check"],
    &["check", "-f", "json"],
    &["graph", "-f", "json"],
    &["graph", "-f", "dot"],
    &["check", "-f", "sarif"],
];

/// What is asked of a capture, with its file last.
const OF_CAPTURES: &[&[&str]] = &[
    &["flows", "-f", "json", "--threads", "1"],
    &["flows", "-f", "json", "--threads", "2"],
    &["flows"],
    &["check", "fixtures/shop/manifests", "-f", "json", "--capture"],
];

fn main() {
    let size = std::env::var("WATERTIGHT_BENCH_BYTES").ok().and_then(|text| text.parse().ok());
    let size: u64 = size.unwrap_or(60_000_000);
    let temporary = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mix = temporary.path().join("mix.pcap");
    corpus::mix(&sources::sources(root), &mix, size).expect("written");
    let pods = temporary.path().join("pods.pcap");
    corpus::pods(&pods, (size / 6_400) as u32, 12).expect("written");
    for capture in [&mix, &pods] {
        OF_CAPTURES.iter().for_each(|words| ask(root, words, &[capture]));
    }
    for (name, manifests) in CLUSTERS {
        let file = temporary.path().join(name).with_extension("yaml");
        std::fs::write(&file, manifests()).expect("written");
        OF_CLUSTERS.iter().for_each(|words| ask(root, words, &[&file]));
        ask(root, &["diff"], &[&root.join("fixtures/shop/manifests"), &file]);
    }
}

/// Lets the program answer, whatever it finds.
fn ask(root: &Path, words: &[&str], files: &[&Path]) {
    println!("watertight {} {}", words.join(" "), files[files.len() - 1].display());
    let mut asked = Command::new(OURS);
    asked.current_dir(root).args(words).args(files).arg("--quiet");
    let status = asked.stdout(Stdio::null()).status().expect("it runs");
    assert!(matches!(status.code(), Some(0 | 1)), "{status}");
}
