//! Graph building and checks against parsing, on clusters of different shapes, and the difference
//! after one rule of one policy changed; how cost grows, and how fast flows are judged.
//!
//! `cargo bench --bench policy -- profile one` runs the shapes whose names begin so and writes no page.

#![expect(clippy::disallowed_methods, reason = "benchmarks read the clock and write their page")]

mod clusters;
mod common;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;
use watertight::analysis::{self, Analysis};
use watertight::graph::connections;
use watertight::model::{Document, Protocol};
use watertight::{observed::Observed, policy::Dataplane, source};

/// The program's own allocator, without which the figures would be those of another program.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Name, and the manifests.
type Shape = (&'static str, fn() -> String);

const SHAPES: &[Shape] = &[
    ("small namespaces, 1,000 pods", || clusters::small_namespaces(250)),
    ("small namespaces, 10,000 pods", || clusters::small_namespaces(2_500)),
    ("small namespaces, 100,000 pods", || clusters::small_namespaces(25_000)),
    ("profile of a real cluster", clusters::profile),
    ("one namespace, all select all", || clusters::one_namespace(10_000)),
    ("a policy for each pod", || clusters::policy_for_each_pod(10_000)),
    ("teams across namespaces", || clusters::teams(300)),
    ("sidecars", || clusters::mesh(60, false)),
    ("waypoints", || clusters::mesh(30, true)),
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
    for (name, lines) in [("growth", growth as fn() -> String), ("listed", listed), ("verdicts", verdicts)] {
        if chosen(name) {
            let lines = lines();
            print!("\n{lines}");
            table = format!("{table}\n{lines}");
        }
    }
    if wanted.is_empty() {
        common::publish("Policy", &table);
    }
}

fn row(name: &str, text: &str) -> String {
    let file: Arc<str> = Arc::from("bench.yaml");
    let parse = median(|| drop(std::hint::black_box(source::parse(&file, text))));
    let documents = parsed(text);
    let build = median(|| drop(std::hint::black_box(declared(&documents))));
    let whole = median(|| {
        drop(std::hint::black_box(analysis::reviewed(declared(&documents), Observed::default())));
    });
    let diff = diff(text);
    let count = |kinds: &[&str]| documents.iter().filter(|d| kinds.contains(&&*d.origin.kind)).count();
    let (pods, policies) = (
        count(&["Pod", "Deployment"]),
        count(&["AuthorizationPolicy", "ClusterNetworkPolicy", "NetworkPolicy"]),
    );
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

/// Analysis without parsing: ten times the pods in the same classes, and ten times the namespaces.
fn growth() -> String {
    let whole = |text: &str| {
        let documents = parsed(text);
        let review = || analysis::reviewed(declared(&documents), Observed::default());
        median(|| drop(std::hint::black_box(review())))
    };
    let steps: [(&str, [String; 2], &str); 2] = [
        (
            "10,000 pods of replica sets to 100,000, in the same classes",
            [1, 10].map(|replicas| clusters::replicas(2_500, replicas)),
            "1.2",
        ),
        ("2,500 small namespaces to 25,000", [2_500, 25_000].map(clusters::small_namespaces), "11"),
    ];
    let mut lines =
        "| growth | before s | after s | times | at most |\n|---|---:|---:|---:|---:|\n".to_owned();
    for (name, texts, limit) in &steps {
        let [before, after] = [0, 1].map(|step: usize| whole(&texts[step]));
        let times = after / before;
        let _ = writeln!(lines, "| {name} | {before:.3} | {after:.3} | {times:.2} | {limit} |");
    }
    lines
}

/// What it takes to write out every connection, as `graph` does.
fn listed() -> String {
    let shapes: [(&str, String); 7] = [
        ("small namespaces, 10,000 pods", clusters::small_namespaces(2_500)),
        ("small namespaces, 100,000 pods", clusters::small_namespaces(25_000)),
        ("profile of a real cluster", clusters::profile()),
        ("a policy for each pod", clusters::policy_for_each_pod(10_000)),
        ("teams across namespaces", clusters::teams(300)),
        ("sidecars", clusters::mesh(60, false)),
        ("waypoints", clusters::mesh(30, true)),
    ];
    let mut lines = "| connections listed | pods | connections | s |\n|---|---:|---:|---:|\n".to_owned();
    for (name, text) in &shapes {
        let Analysis { graph, inventory, .. } = declared(&parsed(text));
        let count = || connections(&graph, &inventory).count();
        let (all, pods) = (count(), inventory.workloads.len());
        let seconds = median(|| {
            std::hint::black_box(count());
        });
        let _ = writeln!(lines, "| {name} | {pods} | {all} | {seconds:.3} |");
    }
    lines
}

/// How many connections a second one core judges, between random endpoints of 10,000 pods.
fn verdicts() -> String {
    const COUNT: usize = 10_000_000;
    let graph = declared(&parsed(&clusters::small_namespaces(2_500))).graph;
    let classes = graph.classes().len();
    let mut dice = clusters::Dice::new(3);
    let flows: Vec<(u32, u32, u16)> = (0..COUNT / 10)
        .map(|_| {
            let from = dice.below(classes);
            // Half of them stay in their namespace, where rules name each other's pods.
            let to = if dice.below(2) == 0 { from / 3 * 3 + dice.below(3) } else { dice.below(classes) };
            (from as u32, to as u32, [53, 80, 443, 8_080][dice.below(4)])
        })
        .collect();
    let judge = || {
        let passed = |(from, to, port): &&(u32, u32, u16)| graph.passes(*from, *to, Protocol::Tcp, *port);
        (0..10).map(|_| flows.iter().filter(passed).count()).sum::<usize>()
    };
    let passed = judge() as f64 / COUNT as f64 * 100.0;
    let seconds = median(|| {
        std::hint::black_box(judge());
    });
    let millions = COUNT as f64 / seconds / 1e6;
    format!(
        "Verdicts on flows: {millions:.1} million a second on one core, {passed:.0} % of them allowed; to reach: 10.\n"
    )
}

fn parsed(text: &str) -> Vec<Document> {
    source::parse(&Arc::from("bench.yaml"), text).documents
}

fn declared(documents: &[Document]) -> Analysis {
    analysis::declared(documents, Dataplane::kubernetes())
}

/// The time that comparing takes after one port of one rule changed; both graphs are built before.
fn diff(text: &str) -> f64 {
    let changed = text.replacen("port: 8080}", "port: 8081}", 1);
    assert_ne!(text, changed, "a rule to change");
    let [old, new] = [text, &changed].map(|text| declared(&parsed(text)));
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
