//! Real pairs of versions with known differences: `diff` must agree with each, by meaning.
//!
//! A case that needs a language that no engine reads yet is left out; it counts as soon as one does.

#![expect(clippy::disallowed_methods, reason = "tests read reference data")]

mod common;

use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use watertight::analysis::{self, Analysis};
use watertight::graph::diff::{ChangedEnd, Diff};
use watertight::model::{AddressRange, AddressSet, PortSet, Protocol, TrafficSet};
use watertight::observed::Observed;
use watertight::policy::{self, ENGINES};
use watertight::source;

/// Languages that some engine may read, by a part of their API group.
const LANGUAGES: &[&str] =
    &["policy.networking.k8s.io", "k8s.ovn.org", "k8s.cni.cncf.io", "projectcalico.org", "cilium.io"];

/// One end in both lists: a workload, or addresses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Workload(String),
    Outside(AddressSet),
}

type Change = (End, End, TrafficSet, TrafficSet);

fn analysed(folder: &Path) -> (Analysis, bool) {
    let reading = source::read_manifests(&[folder.to_owned()]);
    let foreign = reading.documents.iter().any(|document| {
        let group = LANGUAGES.iter().any(|group| document.api_version.contains(group));
        let known = ENGINES
            .iter()
            .any(|engine| engine.kinds().iter().any(|kind| kind.name == &*document.origin.kind));
        group && !known
    });
    let dataplane = policy::detect(&reading.documents);
    (analysis::declared(&reading.documents, dataplane), foreign)
}

fn traffic(value: &Value) -> TrafficSet {
    let Some(list) = value.as_array() else { return TrafficSet::all().with_ports_only() };
    let ranges = list.iter().flat_map(|item| {
        let protocol =
            Protocol::from_name(item["protocol"].as_str().expect("a protocol")).expect("a protocol");
        let number = |value: &Value| u16::try_from(value.as_u64().expect("a port")).expect("a port");
        let ports = item["ports"].as_array().expect("ports").clone();
        ports
            .into_iter()
            .map(move |range| TrafficSet::of(protocol, PortSet::range(number(&range[0]), number(&range[1]))))
    });
    ranges.fold(TrafficSet::none(), |all, range| all.union(&range))
}

fn addresses(text: &str) -> AddressSet {
    let one = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        AddressRange { first: first.parse().expect("an address"), last: last.parse().expect("an address") }
    };
    text.split(',').map(one).collect()
}

fn wanted_end(text: &str) -> End {
    match text.strip_prefix("ip:") {
        Some(ranges) => End::Outside(addresses(ranges)),
        None => End::Workload(text.to_owned()),
    }
}

fn wanted(expected: &Value) -> Vec<Change> {
    let lists =
        ["added", "removed", "changed"].map(|list| expected[list].as_array().expect("a list").clone());
    let one = |entry: Value| {
        let end = |side: &str| wanted_end(entry[side].as_str().expect("an end"));
        (end("from"), end("to"), traffic(&entry["old"]), traffic(&entry["new"]))
    };
    lists.into_iter().flatten().map(one).collect()
}

/// Pairs of single workloads and addresses whose traffic over TCP, UDP and SCTP differs.
fn got(diff: &Diff) -> Vec<Change> {
    let ends = |end: &ChangedEnd| match end {
        ChangedEnd::Workloads(names) => names.iter().map(|name| End::Workload(name.to_string())).collect(),
        ChangedEnd::External(set) => vec![End::Outside(set.clone())],
        ChangedEnd::Domain(_) => Vec::new(),
    };
    let mut all = Vec::new();
    for pair in &diff.pairs {
        let (old, new) = (pair.old.with_ports_only(), pair.new.with_ports_only());
        for from in ends(&pair.from).iter().filter(|_| old != new) {
            for to in ends(&pair.to).iter().filter(|to| *to != from) {
                all.push((from.clone(), to.clone(), old.clone(), new.clone()));
            }
        }
    }
    all
}

/// Both lists on single addresses: the first address of each range that either list cuts.
fn pointwise(lists: [&[Change]; 2]) -> [BTreeMap<(String, String), (TrafficSet, TrafficSet)>; 2] {
    let outside = lists.iter().flat_map(|list| list.iter()).flat_map(|(from, to, ..)| [from, to]);
    let mut cuts: Vec<IpAddr> = vec![Ipv4Addr::UNSPECIFIED.into()];
    for end in outside {
        let End::Outside(set) = end else { continue };
        for range in set.ranges().iter().filter(|range| range.first.is_ipv4()) {
            cuts.push(range.first);
            if let IpAddr::V4(last) = range.last {
                cuts.extend(u32::from(last).checked_add(1).map(|next| IpAddr::from(Ipv4Addr::from(next))));
            }
        }
    }
    cuts.sort_unstable();
    cuts.dedup();
    let points = |end: &End| match end {
        End::Workload(name) => vec![name.clone()],
        End::Outside(set) => cuts.iter().filter(|cut| set.contains(**cut)).map(ToString::to_string).collect(),
    };
    lists.map(|list| {
        let mut all = BTreeMap::new();
        for (from, to, old, new) in list {
            for a in points(from) {
                for b in points(to) {
                    all.insert((a.clone(), b), (old.clone(), new.clone()));
                }
            }
        }
        all
    })
}

fn contested(expected: &Value, pair: &(String, String)) -> bool {
    let holds = |end: &str, point: &str| match (wanted_end(end), point.parse::<IpAddr>()) {
        (End::Outside(set), Ok(address)) => set.contains(address),
        (End::Workload(name), _) => name == point,
        _ => false,
    };
    let list = expected["contested"].as_array().cloned().unwrap_or_default();
    list.iter().any(|entry| {
        let end = |side: &str| entry[side].as_str().expect("an end").to_owned();
        entry["accept"] == "any" && holds(&end("from"), &pair.0) && holds(&end("to"), &pair.1)
    })
}

/// `None` where a language is missing; otherwise what differs from the known answer.
fn score(case: &Path) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(case.join("expected.json")).expect("the answer");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    let (old, foreign_old) = analysed(&case.join("manifests-old"));
    let (new, foreign_new) = analysed(&case.join("manifests-new"));
    if foreign_old || foreign_new {
        return None;
    }
    let (diff, _) = analysis::compared(&old, &new, &Observed::default());
    let [want, have] = pointwise([&wanted(&expected), &got(&diff)]);
    let mut wrong = Vec::new();
    for pair in want.keys().chain(have.keys()) {
        let (a, b) = (want.get(pair), have.get(pair));
        if a != b && !contested(&expected, pair) {
            let show = |change: Option<&(TrafficSet, TrafficSet)>| {
                change.map_or("no change".to_owned(), |(old, new)| format!("{old} -> {new}"))
            };
            wrong.push(format!("{} => {}: expected {}, got {}", pair.0, pair.1, show(a), show(b)));
        }
    }
    wrong.sort();
    wrong.dedup();
    Some(wrong)
}

#[test]
fn diff_agrees_with_every_known_pair_of_versions() {
    let Some(root) = common::shared("data/conformance/netpol-analyzer-diff") else { return };
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(root).expect("cases").filter_map(|entry| Some(entry.ok()?.path())).collect();
    cases.sort();
    let (mut agree, mut left_out, mut wrong) = (0, Vec::new(), BTreeMap::new());
    for case in &cases {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        match score(case) {
            None => left_out.push(name),
            Some(list) if list.is_empty() => agree += 1,
            Some(list) => drop(wrong.insert(name, list)),
        }
    }
    println!(
        "{agree} of {} cases agree, {} need a language that is not read: {left_out:?}",
        cases.len(),
        left_out.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(agree >= 16, "only {agree} cases were compared");
}
