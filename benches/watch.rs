//! One change in a cluster of 10,000 pods and 2,000 policies: what judging it costs.
//!
//! The same world as that of `cluster`, without an API server: this is the work of `watch` alone.

#![expect(clippy::disallowed_methods, reason = "benchmarks read the clock and write their page")]

mod common;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;
use watertight::analysis::{Contract, Standing};
use watertight::contract::Date;
use watertight::model::{Changes, Document, Node, ObjectKey, Value};
use watertight::policy::Dataplane;
use watertight::report::event::Said;
use watertight::source;

/// That of the program.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often each kind of change is made.
const TIMES: usize = 30;

fn main() {
    let mut watched = Watched {
        documents: world(),
        standing: Standing::new(Some(Dataplane::kubernetes()), Contract::default()),
        said: Said::default(),
    };
    let mut text = String::from(
        "One change among 10,000 pods and 2,000 policies in 500 namespaces, judged as `watch` does once it has waited for others: medians of 30.\n\n\
         | change | ms | processor ms |\n|---|---:|---:|\n",
    );
    let begun = watched.renew(&Changes::default());
    row(&mut text, "everything, from nothing", &mut [begun]);
    let spec = |name: usize, port: u16| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: new, namespace: n{name}}}\n\
             spec: {{podSelector: {{matchLabels: {{app: a1}}}}, ingress: [{{ports: [{{port: {port}}}]}}]}}"
        )
    };
    let mut times = |what: &str, change: &dyn Fn(&mut Watched, usize) -> Changes| {
        let mut all: Vec<Cost> = (0..TIMES)
            .map(|number| {
                let changes = change(&mut watched, number);
                watched.renew(&changes)
            })
            .collect();
        row(&mut text, what, &mut all);
    };
    times("a port of a policy", &|watched, n| watched.edit("NetworkPolicy", n, "allow-1", ("8080", "8081")));
    times("a label of a pod", &|watched, n| watched.edit("Pod", n, "p1", ("a1", "a2")));
    times("a policy that is new, with a finding", &|watched, n| watched.put(&spec(n, 8080)));
    times("a policy that is gone", &|watched, n| watched.remove(&spec(n, 8080)));
    common::publish("Watch", &text);
}

/// What one evaluation took: milliseconds on the clock, and on all processors together.
type Cost = (f64, f64);

fn row(text: &mut String, what: &str, costs: &mut [Cost]) {
    let median = |costs: &mut [Cost], of: fn(&Cost) -> f64| {
        costs.sort_by(|a, b| of(a).total_cmp(&of(b)));
        of(&costs[costs.len() / 2])
    };
    let (clock, processor) = (median(costs, |cost| cost.0), median(costs, |cost| cost.1));
    let _ = writeln!(text, "| {what} | {clock:.1} | {processor:.1} |");
}

/// A cluster that is followed.
struct Watched {
    documents: Vec<Document>,
    standing: Standing,
    said: Said,
}

impl Watched {
    fn renew(&mut self, changes: &Changes) -> Cost {
        let (clock, processor) = (Instant::now(), processor_ms());
        let analysis = self.standing.renew(&self.documents, changes, Vec::new(), Date::EPOCH);
        let events = self.said.renew(analysis);
        let cost = (clock.elapsed().as_secs_f64() * 1e3, processor_ms() - processor);
        drop(events);
        self.standing.tidy();
        cost
    }

    /// Another value in one object of a namespace.
    fn edit(&mut self, kind: &str, namespace: usize, name: &str, (from, to): (&str, &str)) -> Changes {
        let namespace = format!("n{}", 100 + namespace);
        let is = |d: &Document| {
            (&*d.origin.kind, &*d.origin.namespace, &*d.origin.name) == (kind, &*namespace, name)
        };
        let index = self.documents.iter().position(is).expect("an object");
        let before = self.documents[index].clone();
        put(&mut self.documents[index].body, from, to);
        assert_ne!(before.body, self.documents[index].body, "a value to change");
        Changes { before: vec![before], now: vec![self.documents[index].clone()] }
    }

    fn put(&mut self, manifest: &str) -> Changes {
        let new = source::parse(&Arc::from("cluster:bench"), manifest).documents;
        self.documents.extend(new.iter().cloned());
        Changes { before: Vec::new(), now: new }
    }

    fn remove(&mut self, manifest: &str) -> Changes {
        let gone = source::parse(&Arc::from("cluster:bench"), manifest).documents;
        let keys: Vec<ObjectKey> = gone.iter().map(ObjectKey::of).collect();
        self.documents.retain(|document| !keys.contains(&ObjectKey::of(document)));
        Changes { before: gone, now: Vec::new() }
    }
}

/// Milliseconds that all threads of this process together were on a processor
/// (`Documentation/scheduler/sched-stats.rst`: the first number).
fn processor_ms() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.filter_map(of).sum::<f64>() / 1e6
}

/// Puts one value for another wherever it stands.
fn put(node: &mut Node, from: &str, to: &str) {
    match &mut node.value {
        Value::Text(text) if &**text == from => *text = to.into(),
        Value::Int(number) if number.to_string() == from => *number = to.parse().expect("a number"),
        Value::List(items) => items.iter_mut().for_each(|item| put(item, from, to)),
        Value::Map(fields) => fields.iter_mut().for_each(|(_, item)| put(item, from, to)),
        _ => {}
    }
}

/// Namespaces of applications that may call the next one.
fn world() -> Vec<Document> {
    let mut text = String::new();
    for n in 0..500 {
        let _ = writeln!(text, "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n{n}}}");
        for p in 0..20 {
            let _ = writeln!(
                text,
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{p}, namespace: n{n}, labels: {{app: a{}, track: stable}}}}\n\
                 spec: {{containers: [{{name: main, image: 'main:1', ports: [{{name: http, containerPort: 8080}}]}}]}}\n\
                 status: {{phase: Running, podIP: 10.{}.{}.{}, podIPs: [{{ip: 10.{}.{}.{}}}]}}",
                p % 4,
                n / 256,
                n % 256,
                p + 1,
                n / 256,
                n % 256,
                p + 1
            );
        }
        let _ = writeln!(
            text,
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: deny, namespace: n{n}}}\n\
             spec: {{podSelector: {{}}, policyTypes: [Ingress, Egress]}}"
        );
        for a in 1..4 {
            let _ = writeln!(
                text,
                "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: allow-{a}, namespace: n{n}}}\n\
                 spec:\n  podSelector: {{matchLabels: {{app: a{a}}}}}\n  policyTypes: [Ingress]\n  ingress:\n  \
                 - from: [{{podSelector: {{matchLabels: {{app: a{}}}}}}}]\n    ports: [{{port: 8080}}]",
                a - 1
            );
        }
    }
    source::parse(&Arc::from("cluster:bench"), &text).documents
}
