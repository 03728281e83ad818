//! What other people's tool says of Ingress and Route on real manifests: which workload is reached
//! by the controller, on which ports.

#![expect(clippy::disallowed_methods, reason = "tests read reference data")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use watertight::exposure::{Access, EntryKind};
use watertight::model::TrafficSet;
use watertight::{analysis, source};

/// Ports by workload that `{ingress-controller}` reaches, as `expected.json` has them.
fn expected(folder: &Path) -> Option<BTreeMap<String, BTreeSet<u64>>> {
    let text = std::fs::read_to_string(folder.join("expected.json")).ok()?;
    let json: serde_json::Value = serde_json::from_str(&text).ok()?;
    let mut wanted: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for entry in json["ignore"].as_array()?.iter().filter(|entry| entry["from"] == "{ingress-controller}") {
        let ports = wanted.entry(entry["to"].as_str()?.to_owned()).or_default();
        for range in
            entry["traffic"].as_array()?.iter().flat_map(|t| t["ports"].as_array().into_iter().flatten())
        {
            ports.insert(range[0].as_u64()?);
        }
    }
    (!wanted.is_empty()).then_some(wanted)
}

/// ReplicaSets of a Deployment are counted as that.
fn by_owner(name: &str) -> String {
    match name.split_once("/ReplicaSet/").and_then(|(ns, rest)| Some((ns, rest.rsplit_once('-')?.0))) {
        Some((namespace, deployment)) => format!("{namespace}/Deployment/{deployment}"),
        None => name.to_owned(),
    }
}

#[test]
fn the_controller_reaches_what_another_tool_says_that_it_reaches() {
    let Some(root) = common::shared("data/conformance") else { return };
    let (mut cases, mut different) = (0, Vec::new());
    for entry in walkdir::WalkDir::new(root).min_depth(2).max_depth(2).sort_by_file_name() {
        let folder = entry.expect("an entry").into_path();
        let Some(mut wanted) = expected(&folder) else { continue };
        let reading = source::read_manifests(&[folder.join("manifests")]);
        let found = analysis::declared(&reading.documents, common::dataplane("kubernetes"));
        let name = |index: usize| found.inventory.workloads[index].name.to_string();
        wanted = wanted.into_iter().map(|(to, ports)| (by_owner(&to), ports)).collect();
        // Virtual machines and the like are not workloads yet.
        wanted.retain(|to, _| (0..found.inventory.workloads.len()).any(|index| name(index) == *to));
        let mut got: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for exposure in &found.exposures.all {
            let routed = matches!(exposure.kind, EntryKind::Ingress | EntryKind::Route);
            if routed && !matches!(exposure.access, Access::Closed(_)) {
                let TrafficSet { tcp, .. } = &exposure.ports;
                let ports = tcp.intervals().iter().flat_map(|(first, last)| *first..=*last).map(u64::from);
                got.entry(name(exposure.workload)).or_default().extend(ports);
            }
        }
        cases += 1;
        if got != wanted {
            different.push(format!("{}: want {wanted:?}, got {got:?}", folder.display()));
        }
    }
    println!("{cases} cases with an ingress controller");
    assert!(cases >= 5, "only {cases} cases were found");
    assert!(different.is_empty(), "{}", different.join("\n"));
}
