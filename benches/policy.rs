//! Graph building against parsing, on namespaces of four pods with a default deny and two policies,
//! and the difference after one rule of one policy changed.

#![expect(clippy::disallowed_methods, reason = "benchmarks read the clock and write their page")]

mod common;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;
use watertight::{analysis, observed::Observed, policy::Dataplane, source};

fn manifests(namespaces: usize) -> String {
    let mut text = String::new();
    for n in 0..namespaces {
        let _ = writeln!(
            text,
            "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: ns-{n}\n  labels: {{team: t{}}}",
            n % 50
        );
        for pod in 0..4 {
            let _ = writeln!(
                text,
                "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: pod-{pod}\n  namespace: ns-{n}\n  labels:\n    app: app-{pod}\n\
                 spec:\n  containers:\n  - name: main\n    image: example.invalid/app\n    ports:\n    - containerPort: 8080\n      name: http\n\
                 status:\n  phase: Running\n  podIP: 10.{}.{}.{}",
                n >> 14 & 255,
                n >> 6 & 255,
                (n & 63) * 4 + pod
            );
        }
        let policy = |name: &str, spec: &str| {
            format!(
                "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: {name}\n  namespace: ns-{n}\nspec:\n{spec}"
            )
        };
        text += &policy("deny", "  podSelector: {}\n  policyTypes: [Ingress, Egress]\n");
        text += &policy(
            "web",
            "  podSelector: {matchLabels: {app: app-0}}\n  ingress:\n  - from:\n    - podSelector: {matchLabels: {app: app-1}}\n    ports:\n    - port: 8080\n",
        );
        text += &policy(
            "out",
            "  podSelector: {matchLabels: {app: app-1}}\n  policyTypes: [Egress]\n  egress:\n  - to:\n    - podSelector: {matchLabels: {app: app-0}}\n    ports:\n    - port: http\n",
        );
    }
    text
}

fn main() {
    let mut table = "| pods | policies | MB | parse s | graph s | graph / parse | checks s | diff s |\n|---:|---:|---:|---:|---:|---:|---:|---:|\n".to_owned();
    for namespaces in [250, 2_500, 25_000] {
        let text = manifests(namespaces);
        let file: Arc<str> = Arc::from("bench.yaml");
        let parse = median(|| drop(std::hint::black_box(source::parse(&file, &text))));
        let documents = source::parse(&file, &text).documents;
        let build = median(|| {
            drop(std::hint::black_box(analysis::declared(&documents, Dataplane::kubernetes())));
        });
        let whole = median(|| {
            let declared = analysis::declared(&documents, Dataplane::kubernetes());
            drop(std::hint::black_box(analysis::reviewed(declared, Observed::default())));
        });
        let changed = text.replacen("{app: app-1}}\n    ports", "{app: app-2}}\n    ports", 1);
        let [old, new] = [&text, &changed]
            .map(|text| analysis::declared(&source::parse(&file, text).documents, Dataplane::kubernetes()));
        let diff = median(|| {
            drop(std::hint::black_box(analysis::compared(&old, &new, &Observed::default())));
        });
        let _ = writeln!(
            table,
            "| {} | {} | {:.1} | {parse:.3} | {build:.3} | {:.2} | {:.3} | {diff:.3} |",
            namespaces * 4,
            namespaces * 3,
            text.len() as f64 / 1e6,
            build / parse,
            (whole - build).max(0.0)
        );
    }
    common::publish("Policy", &table);
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
