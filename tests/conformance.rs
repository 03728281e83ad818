//! Real cases with known answers: the graph must agree with each, or the case is listed with the
//! reason why its answer is held to be wrong. `docs/conformance.md` is generated here.

#![expect(clippy::disallowed_methods, reason = "tests read pages and reference data")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Suites that hold workloads and policies.
const SUITES: &[&str] = &[
    "netpol-analyzer",
    "netpol-analyzer-exposure",
    // Both folders of a case are analysed, and what was added, removed and changed is compared.
    "netpol-analyzer-diff",
    "nca-k8s",
    "nca-calico",
    "netpol-analyzer-bad",
    "nca-k8s-bad",
    "nca-calico-bad",
];

/// A case that uses one of these kinds belongs to a language that is not read yet.
const OTHER_LANGUAGES: &[&str] =
    &["AuthorizationPolicy", "VirtualService", "ServiceEntry", "Sidecar", "PeerAuthentication"];

/// Host endpoints keep their failsafe ports open.
const FAILSAFE: &str = "Host endpoints keep their failsafe ports open before all policies (FelixConfiguration \
    `failsafeInboundHostPorts` and `failsafeOutboundHostPorts`, whose defaults hold there: TCP 22, 179, 2379 and others); \
    with both lists empty the case agrees.";

/// Two host endpoints have the same addresses.
const ONE_ADDRESS: &str = "Both host endpoints list the same `expectedIPs`, and Calico matches peers by address \
    (HostEndpoint `spec.expectedIPs`), so a rule for one of them matches the other; failsafe ports stay open besides.";

/// Cases whose expected answer is held to be wrong, and why.
const HELD_WRONG: &[(&str, &str)] = &[
    (
        "nca-k8s/services1__ip",
        "Pods of the Jobs are finished (`phase: Succeeded`); a finished pod has no network and is no endpoint, \
         so its connections are not listed.",
    ),
    (
        "netpol-analyzer/anp_test_named_ports_multiple_peers",
        "A rule has a `namedPort` beside a `networks` peer; the validation of AdminNetworkPolicyEgressRule \
         (`apis/v1alpha1`: networks and nodes have no named ports) refuses such an object, so it has no effect.",
    ),
    (
        "netpol-analyzer/nad_test_12",
        "Its UserDefinedNetworks are of `nmstate.io/v1`, an API without that kind; OVN-Kubernetes reads those of \
         `k8s.ovn.org/v1`, so nothing is isolated, which is said as a gap.",
    ),
    ("netpol-analyzer/nad_test_13", "Its UserDefinedNetworks are of `nmstate.io/v1`, as in nad_test_12."),
    (
        "netpol-analyzer/ipblockstest_3",
        "Policies select pods on the host network there; most dataplanes apply no policy to those, \
         so they stay reachable from 10.0.0.0/8.",
    ),
    ("nca-calico/testcase20__Eran_gnps", FAILSAFE),
    ("nca-calico/testcase20__np_1_globalEmpty_with_profiles", FAILSAFE),
    ("nca-calico/testcase20__np_3_outbound_hep_to_wep", FAILSAFE),
    ("nca-calico/testcase23__np-gan", FAILSAFE),
    ("nca-calico/testcase23__np-gnws", FAILSAFE),
    ("nca-calico/testcase23__np1", FAILSAFE),
    ("nca-calico/testcase24-new__np_b", FAILSAFE),
    ("nca-calico/testcase24-new__np_c", FAILSAFE),
    ("nca-calico/testcase24__np_b", FAILSAFE),
    ("nca-calico/testscase18-new__np-pod-based-policies", ONE_ADDRESS),
    ("nca-calico/testscase18-new__np-ports-based", ONE_ADDRESS),
];

#[test]
fn the_graph_agrees_with_every_case_or_says_why_not() {
    let Some(root) = common::shared("data/conformance") else { return };
    let Some(tools) = common::shared("tools") else { return };
    let mut verdicts: BTreeMap<String, Result<(), String>> = BTreeMap::new();
    let mut other = BTreeSet::new();
    for suite in SUITES {
        for case in cases(&root.join(suite)) {
            let name = format!("{suite}/{}", case.file_name().expect("a name").to_string_lossy());
            if uses_other_language(&case) {
                other.insert(name);
            }
        }
        for (name, verdict) in score(&tools, &root.join(suite)) {
            verdicts.insert(name, verdict);
        }
    }
    verdicts.retain(|name, _| !other.contains(name));
    let held: BTreeMap<&str, &str> = HELD_WRONG.iter().copied().collect();
    let failed: BTreeMap<&String, &String> =
        verdicts.iter().filter_map(|(name, v)| Some((name, v.as_ref().err()?))).collect();
    println!(
        "{} cases agree, {} are held wrong, {} are of other languages",
        verdicts.len() - failed.len(),
        held.len(),
        other.len()
    );
    let surprising: Vec<_> = failed.iter().filter(|(name, _)| !held.contains_key(name.as_str())).collect();
    assert!(surprising.is_empty(), "unexplained: {surprising:#?}");
    let mended: Vec<_> = held.keys().filter(|name| !failed.contains_key(&name.to_string())).collect();
    assert!(mended.is_empty(), "listed as wrong, but they agree: {mended:?}");
    assert!(verdicts.len() > 120, "only {} cases were found", verdicts.len());
    check_page(&page(&verdicts, &other));
}

/// The reason that is given for these cases is the only one: without failsafe ports they agree.
#[test]
fn without_failsafe_ports_their_cases_agree() {
    let Some(root) = common::shared("data/conformance") else { return };
    let Some(tools) = common::shared("tools") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let closed = "apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: default}\n\
                  spec: {failsafeInboundHostPorts: [], failsafeOutboundHostPorts: []}\n";
    let cases: Vec<&str> =
        HELD_WRONG.iter().filter(|(_, reason)| *reason == FAILSAFE).map(|(case, _)| *case).collect();
    for case in &cases {
        let to = folder.path().join(case);
        std::fs::create_dir_all(to.join("manifests")).expect("a folder");
        std::fs::copy(root.join(case).join("expected.json"), to.join("expected.json")).expect("a copy");
        for entry in std::fs::read_dir(root.join(case).join("manifests")).expect("manifests") {
            let from = entry.expect("an entry");
            std::fs::copy(from.path(), to.join("manifests").join(from.file_name())).expect("a copy");
        }
        std::fs::write(to.join("manifests/felix.yaml"), closed).expect("a file");
    }
    let scored = score(&tools, folder.path());
    assert_eq!(scored.len(), cases.len());
    let failed: Vec<_> = scored.iter().filter(|(_, verdict)| verdict.is_err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Every folder with an `expected.json`.
fn cases(suite: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(suite).expect("a suite").map(|entry| entry.expect("an entry").path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.join("expected.json").is_file()).collect();
    cases.sort();
    cases
}

fn uses_other_language(case: &Path) -> bool {
    walkdir::WalkDir::new(case).into_iter().filter_map(Result::ok).filter(|e| e.file_type().is_file()).any(
        |entry| {
            let text = std::fs::read(entry.path())
                .map(|b| String::from_utf8_lossy(&b).into_owned())
                .unwrap_or_default();
            text.lines()
                .filter(|line| line.contains("kind"))
                .any(|line| OTHER_LANGUAGES.iter().any(|kind| line.contains(kind)))
        },
    )
}

/// Runs the scorer that came with the cases; it compares by meaning, not by text.
fn score(tools: &Path, suite: &Path) -> Vec<(String, Result<(), String>)> {
    let output = Command::new("python3")
        .arg(tools.join("score_connections.py"))
        .args(["--jobs", "2", "--tool", env!("CARGO_BIN_EXE_watertight")])
        .arg(suite)
        .output()
        .expect("python3 is needed to score the cases");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let verdict = |line: &str| {
        let (word, rest) = line.split_once(' ')?;
        let name = rest.split([':', ' ']).next()?.to_owned();
        match word {
            "PASS" => Some((name, Ok(()))),
            "FAIL" => Some((name, Err(rest.to_owned()))),
            _ => None,
        }
    };
    text.lines().filter_map(verdict).collect()
}

fn page(verdicts: &BTreeMap<String, Result<(), String>>, other: &BTreeSet<String>) -> String {
    let mut page = String::from(
        "# Conformance\n\nThis page is generated by `tests/conformance.rs`.\n\
         The cases are real manifests with answers that other people's tools or tests give; they are compared by meaning.\n\n\
         | suite | cases | agree | held wrong | of languages not read yet |\n|---|---:|---:|---:|---:|\n",
    );
    for suite in SUITES {
        let prefix = format!("{suite}/");
        let of: Vec<_> = verdicts.iter().filter(|(name, _)| name.starts_with(&prefix)).collect();
        let agree = of.iter().filter(|(_, verdict)| verdict.is_ok()).count();
        let others = other.iter().filter(|name| name.starts_with(&prefix)).count();
        let _ = writeln!(page, "| {suite} | {} | {agree} | {} | {others} |", of.len(), of.len() - agree);
    }
    page.push_str("\n## Cases whose answer is held to be wrong\n\n");
    for (name, reason) in HELD_WRONG {
        let _ = writeln!(page, "- `{name}`: {reason}");
    }
    page
}

fn check_page(text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md");
    if std::env::var("UPDATE_EXPECT").is_ok() {
        std::fs::write(&path, text).expect("the page can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "docs/conformance.md is out of date: run with UPDATE_EXPECT=1");
}
