//! Changes that are alike are told once, however many workloads they hold for.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write;
use watertight::analysis::{self, Analysis};
use watertight::check::Severity;
use watertight::graph::diff::{ChangeKind, ChangedEnd, Crossing, Diff, PairChange, What};
use watertight::graph::{self, Connection, End};
use watertight::observed::Observed;
use watertight::report::diff::{Comparison, severity};
use watertight::report::{FORMATS, View};

/// Workloads of a namespace, each taken by a policy of its own that allows the next one.
fn ring(namespace: &str, count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let next = (number + 1) % count;
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: w{number}, namespace: {namespace}, labels: {{app: w{number}}}}}\n\
             ---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: w{number}, namespace: {namespace}}}\n\
             spec:\n  podSelector: {{matchLabels: {{app: w{number}}}}}\n  ingress:\n  - from: [{{podSelector: {{matchLabels: {{app: w{next}}}}}}}]\n    ports: [{{port: 8080}}]\n"
        );
    }
    text
}

/// All pods of a namespace take a port from everybody inside.
fn extra(namespace: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: extra, namespace: {namespace}}}\n\
         spec: {{podSelector: {{}}, ingress: [{{from: [{{namespaceSelector: {{}}}}], ports: [{{port: 9090}}]}}]}}\n"
    )
}

const CLOSED: &str = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed, namespace: shop}\nspec: {podSelector: {}}\n";

fn pods(namespace: &str, count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, namespace: {namespace}, labels: {{app: p{number}}}}}"
        );
        text
    })
}

/// Policies that tell each pod from the others.
fn told_apart(namespace: &str, count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(
            text,
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: own{number}, namespace: {namespace}}}\nspec: {{podSelector: {{matchLabels: {{app: p{number}}}}}}}"
        );
        text
    })
}

fn analysed(text: &str) -> Analysis {
    let (analysis, problems) = common::analyse(text);
    assert!(problems.is_empty(), "{problems:?}");
    analysis
}

fn compared(old: &str, new: &str) -> (Analysis, Analysis, Diff) {
    let (old, new) = (analysed(old), analysed(new));
    let (diff, _) = analysis::compared(&old, &new, &Observed::default());
    (old, new, diff)
}

fn names(end: &ChangedEnd) -> usize {
    match end {
        ChangedEnd::Workloads(names) => names.len(),
        ChangedEnd::External(_) | ChangedEnd::Domain(_) => 0,
    }
}

fn of(diff: &Diff, kind: ChangeKind) -> Vec<&PairChange> {
    diff.pairs.iter().filter(|pair| pair.kind == kind).collect()
}

#[test]
fn a_policy_for_all_is_one_change_of_each_with_each_other() {
    let closed = format!("{}{}{CLOSED}", pods("shop", 40), told_apart("shop", 40));
    let (_, _, diff) = compared(&closed, &format!("{closed}{}", extra("shop")));
    let [change] = diff.pairs.as_slice() else { panic!("{:#?}", diff.pairs) };
    assert_eq!((change.kind, names(&change.from), names(&change.to)), (ChangeKind::Opens, 40, 40));
    assert_eq!(change.paths(), 40 * 39);
    assert!(change.causes.iter().all(|cause| cause.what == What::PolicyAdded), "{:#?}", change.causes);
}

#[test]
fn who_already_had_something_is_told_apart() {
    let (old, new) = (ring("shop", 40), format!("{}{}", ring("shop", 40), extra("shop")));
    let (_, _, diff) = compared(&old, &new);
    let (opens, widens) = (of(&diff, ChangeKind::Opens), of(&diff, ChangeKind::Widens));
    assert!(opens.iter().all(|change| (names(&change.from), names(&change.to)) == (38, 1)));
    let paths = |changes: &[&PairChange]| changes.iter().map(|change| change.paths()).sum::<usize>();
    assert_eq!((opens.len(), paths(&opens), paths(&widens)), (40, 40 * 38, 40));
}

#[test]
fn what_opens_within_a_segment_is_no_part_of_what_opens_between_segments() {
    let world = |policy: &str| {
        let namespaces = ["a", "b"].map(|name| format!("{}{}", pods(name, 6), told_apart(name, 6)));
        format!("{}{policy}", namespaces.concat())
    };
    let (_, _, diff) = compared(&world(""), &world(&extra("a")));
    let namespaces = |end: &ChangedEnd| match end {
        ChangedEnd::Workloads(names) => names.iter().map(|name| name.namespace.clone()).collect(),
        ChangedEnd::External(_) | ChangedEnd::Domain(_) => BTreeSet::new(),
    };
    let told: Vec<_> = diff
        .pairs
        .iter()
        .map(|pair| {
            (namespaces(&pair.from), namespaces(&pair.to), pair.crossing, severity(pair), pair.paths())
        })
        .collect();
    let only = |name: &str| BTreeSet::from([name.to_owned()]);
    let within = (only("a"), only("a"), Crossing::Within, Severity::Medium, 30);
    let between = (only("b"), only("a"), Crossing::Between, Severity::High, 36);
    assert_eq!(told, [within, between]);
}

#[test]
fn workloads_that_come_together_are_told_together_with_each_of_their_lines() {
    let old = format!("{}{}", pods("shop", 5), told_apart("shop", 5));
    let new = format!("{}{}", pods("shop", 12), told_apart("shop", 12));
    let (_, _, diff) = compared(&old, &format!("{new}{}", extra("shop")));
    let fresh: Vec<&PairChange> = diff.pairs.iter().filter(|pair| pair.causes.len() == 7).collect();
    assert!(!fresh.is_empty() && diff.pairs.len() <= 4, "{:#?}", diff.pairs);
    let lines = |change: &PairChange| {
        change
            .causes
            .iter()
            .filter(|cause| cause.what == What::WorkloadAppeared && cause.new.is_some())
            .count()
    };
    assert!(fresh.iter().all(|change| lines(change) == 7), "{fresh:#?}");
}

#[test]
fn the_outside_is_one_end_for_all_workloads_that_it_may_newly_call() {
    let (_, _, diff) = compared(&format!("{}{CLOSED}", pods("shop", 30)), &pods("shop", 30));
    assert_eq!(diff.pairs.len(), 2, "from inside and from outside: {:#?}", diff.pairs);
    assert!(diff.pairs.iter().all(|change| names(&change.to) == 30), "{:#?}", diff.pairs);
}

#[test]
fn many_changes_begin_with_what_they_rest_on_and_fit_into_a_comment() {
    let (old, new) = (ring("shop", 150), format!("{}{}", ring("shop", 150), extra("shop")));
    let (old, new, diff) = compared(&old, &new);
    let comparison = Comparison { old: &old, new: &new, diff, replay: None };
    let written = |name: &str| {
        let mut out = Vec::new();
        let format = FORMATS.iter().find(|format| format.name() == name).expect("a format");
        format.write(&View::Diff(&comparison), &mut out).expect("it is written");
        String::from_utf8(out).expect("text")
    };
    let text = written("text");
    let digest = text.split("OPENS").next().expect("what comes first");
    assert!(digest.contains("NetworkPolicy shop/extra: 150 opens, 150 widens"), "{digest}");
    let markdown = written("markdown");
    assert!(markdown.len() < 65_000, "{}", markdown.len());
    assert!(markdown.contains("100 more changes, none of them worse"), "{markdown}");
    assert_eq!(markdown.lines().filter(|line| line.starts_with("| medium")).count(), 200);
}

#[test]
fn a_graph_of_many_workloads_tells_each_pair_once_and_in_order() {
    const COUNT: usize = 300;
    let world = analysed(&pods("shop", COUNT));
    let all = || graph::connections(&world.graph, &world.inventory);
    let ends: Vec<(End, End)> = all().map(|connection| (connection.from, connection.to)).collect();
    assert_eq!(ends.len(), COUNT * (COUNT - 1) + 2 * COUNT, "each with each other, out and in");
    assert!(ends.is_sorted_by(|a, b| a < b), "in the order of their ends, each once");
    let is_outside = |end: &End| !matches!(end, End::Workload(_));
    let outward: Vec<Connection> =
        all().filter(|connection| is_outside(&connection.from) || is_outside(&connection.to)).collect();
    assert_eq!(graph::outside(&world.graph, &world.inventory), outward);
}
