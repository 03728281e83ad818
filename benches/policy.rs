//! Graph building and checks against parsing, on clusters of different shapes, and the difference
//! after one rule of one policy changed.
//!
//! `cargo bench --bench policy -- profile one` runs the shapes whose names begin so and writes no page.

#![expect(clippy::disallowed_methods, reason = "benchmarks read the clock and write their page")]

mod clusters;
mod common;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;
use watertight::{analysis, observed::Observed, policy::Dataplane, source};

/// Name, and the manifests.
type Shape = (&'static str, fn() -> String);

const SHAPES: &[Shape] = &[
    ("small namespaces, 1,000 pods", || clusters::small_namespaces(250)),
    ("small namespaces, 10,000 pods", || clusters::small_namespaces(2_500)),
    ("small namespaces, 100,000 pods", || clusters::small_namespaces(25_000)),
    ("profile of a real cluster", clusters::profile),
    ("one namespace, all select all", || clusters::one_namespace(10_000)),
    ("a policy for each pod", || clusters::policy_for_each_pod(10_000)),
    ("cluster-scoped rules", || clusters::cluster_scoped(1_000, 100, 10_000)),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.starts_with(word.as_str()));
    let mut table =
        "| cluster | pods | policies | MB | parse s | graph s | graph / parse | checks s | diff s |\n\
                     |---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
            .to_owned();
    for (name, manifests) in SHAPES.iter().filter(|(name, _)| chosen(name)) {
        let row = row(name, &manifests());
        print!("{row}");
        table += &row;
    }
    if wanted.is_empty() {
        common::publish("Policy", &table);
    }
}

fn row(name: &str, text: &str) -> String {
    let file: Arc<str> = Arc::from("bench.yaml");
    let parse = median(|| drop(std::hint::black_box(source::parse(&file, text))));
    let documents = source::parse(&file, text).documents;
    let declared = || analysis::declared(&documents, Dataplane::kubernetes());
    let build = median(|| drop(std::hint::black_box(declared())));
    let whole = median(|| {
        drop(std::hint::black_box(analysis::reviewed(declared(), Observed::default())));
    });
    let diff = diff(&file, text);
    let count = |kinds: &[&str]| documents.iter().filter(|d| kinds.contains(&&*d.origin.kind)).count();
    let (pods, policies) = (count(&["Pod"]), count(&["NetworkPolicy", "ClusterNetworkPolicy"]));
    let mut row = String::new();
    let _ = writeln!(
        row,
        "| {name} | {pods} | {policies} | {:.1} | {parse:.3} | {build:.3} | {:.2} | {:.3} | {diff:.3} |",
        text.len() as f64 / 1e6,
        build / parse,
        (whole - build).max(0.0)
    );
    row
}

/// The time that comparing takes after one port of one rule changed; both graphs are built before.
fn diff(file: &Arc<str>, text: &str) -> f64 {
    let changed = text.replacen("port: 8080}", "port: 8081}", 1);
    assert_ne!(text, changed, "a rule to change");
    let [old, new] = [text, &changed]
        .map(|text| analysis::declared(&source::parse(file, text).documents, Dataplane::kubernetes()));
    median(|| drop(std::hint::black_box(analysis::compared(&old, &new, &Observed::default()))))
}

/// The median time of five runs after one that is not counted, in seconds.
fn median(mut work: impl FnMut()) -> f64 {
    work();
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[2]
}
