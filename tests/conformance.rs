//! Real cases with known answers: the graph must agree with each, or the case is listed with the
//! reason why its answer is held to be wrong. `docs/conformance.md` is generated here.

#![expect(clippy::disallowed_methods, reason = "tests read pages and reference data")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Suites that hold workloads and policies.
const SUITES: &[&str] = &[
    "netpol-analyzer",
    "netpol-analyzer-exposure",
    // Both folders of a case are analysed, and what was added, removed and changed is compared.
    "netpol-analyzer-diff",
    "nca-k8s",
    "nca-calico",
    "nca-istio",
    "netpol-analyzer-bad",
    "nca-k8s-bad",
    "nca-calico-bad",
    "nca-istio-bad",
];

/// What Istio's Sidecar scopes is advice here.
const SIDECAR: &str = "Sidecar limits which services clients know of; the case takes that for enforcement. Applications can go \
    around their proxy, so here it is advice and closes nothing ([Sidecar](semantics/istio-sidecar.md)).";

/// Who calls a pod by its address proves nothing.
const BY_ADDRESS: &str = "No service leads to those ports, and a sidecar passes calls by address on as they are, in plaintext: \
    the client proves no identity, so a rule that names its principal does not let it in. The case takes identities for given.";

/// The root namespace is another one.
const ROOT: &str = "A policy of `istio-config` is taken there for one of the root namespace; the default of MeshConfig is \
    `istio-system`, and nothing says otherwise.";

/// Host endpoints keep their failsafe ports open.
const FAILSAFE: &str = "Host endpoints keep their failsafe ports open before all policies (FelixConfiguration \
    `failsafeInboundHostPorts` and `failsafeOutboundHostPorts`, whose defaults hold there: TCP 22, 179, 2379 and others); \
    with both lists empty the case agrees.";

/// Two host endpoints have the same addresses.
const REFUSED: &str = "Its policies name `255.0.0.0` and `255.0.0.0/2`, which the API server of Calico refuses (`validateRule`); what \
     such a policy denies is not relied on.";
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
    ("nca-calico/testcase17__np_only_deny_containment", REFUSED),
    ("nca-calico/testcase17__np_various-containment2", REFUSED),
    ("nca-calico/testscase18-new__np-pod-based-policies", ONE_ADDRESS),
    ("nca-calico/testscase18-new__np-ports-based", ONE_ADDRESS),
    ("nca-calico/testcase26-multi-layer-connectivity__testcase26-config-1-k8s-calico-istio-2", BY_ADDRESS),
    ("nca-calico/testcase26-multi-layer-forbids__testcase26-config-1-istio", BY_ADDRESS),
    ("nca-calico/testcase26-multi-layer-disjointness__testcase26-config-2-k8s-istio-ingress", ROOT),
    ("nca-calico/testcase26-multi-layer-disjointness__testcase26-config-3-k8s-istio-ingress-calico", ROOT),
    ("nca-calico/testcase26-multi-layer-vacuity__allow-all-istio-config-1", FAILSAFE),
    ("nca-calico/testcase26-multi-layer-vacuity__allow-all-istio-config-2", FAILSAFE),
    (
        "nca-istio-bad/parse-error-from-is-empty",
        "`from: []` is no error: an empty list is none once istiod has read the object, also in its webhook, whose check \
         of empty lists never sees one.",
    ),
    (
        "nca-istio/testcase1-istio__istio1",
        "A rule has `namespaces: []` beside `notNamespaces`; an empty list of a repeated field is the same as none, and the \
         case takes it for a list that nothing matches.",
    ),
    (
        "nca-istio/testcase1-istio__istio2",
        "`notNamespaces` holds for whoever proves no namespace (`authn` principals of Envoy are false without TLS), so \
         addresses outside are let in.",
    ),
    (
        "nca-istio/testcase2-istio__istio7",
        "A rule denies `ipBlocks: [0.0.0.0/0]`; the address of a pod is in it, and the case lets address blocks match no pod.",
    ),
];

#[test]
fn the_graph_agrees_with_every_case_or_says_why_not() {
    let Some(root) = common::shared("data/conformance") else { return };
    let Some(tools) = common::shared("tools") else { return };
    let mut verdicts: BTreeMap<String, Result<(), String>> = BTreeMap::new();
    for suite in SUITES {
        for (name, verdict) in score(&tools, &root.join(suite)) {
            verdicts.insert(name, verdict);
        }
    }
    let mut held: BTreeMap<&str, &str> = HELD_WRONG.iter().copied().collect();
    let failed: BTreeMap<&String, &String> =
        verdicts.iter().filter_map(|(name, v)| Some((name, v.as_ref().err()?))).collect();
    for name in failed.keys().filter(|name| has_feature(&root.join(name), "sidecar")) {
        held.entry(name).or_insert(SIDECAR);
    }
    println!("{} cases agree, {} are held wrong", verdicts.len() - failed.len(), held.len(),);
    let surprising: Vec<_> = failed.iter().filter(|(name, _)| !held.contains_key(name.as_str())).collect();
    assert!(surprising.is_empty(), "unexplained: {surprising:#?}");
    let mended: Vec<_> = held.keys().filter(|name| !failed.contains_key(&name.to_string())).collect();
    assert!(mended.is_empty(), "listed as wrong, but they agree: {mended:?}");
    assert!(verdicts.len() > 120, "only {} cases were found", verdicts.len());
    check_page(&page(&verdicts, &held));
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

/// Whether a case is about a feature, by its own word.
fn has_feature(case: &Path, feature: &str) -> bool {
    let text = std::fs::read_to_string(case.join("expected.json")).unwrap_or_default();
    let line = text.lines().find(|line| line.trim_start().starts_with("\"features\""));
    line.is_some_and(|line| line.contains(&format!("\"{feature}\"")))
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

fn page(verdicts: &BTreeMap<String, Result<(), String>>, held: &BTreeMap<&str, &str>) -> String {
    let mut page = String::from(
        "# Conformance\n\nThis page is generated by `tests/conformance.rs`.\n\
         The cases are real manifests with answers that other people's tools or tests give; they are compared by meaning.\n\
         They are those of np-guard's netpol-analyzer and network-config-analyzer (`nca`), which are not part of this \
         repository: where they are not beside it, the test says that it skips.\n\n\
         | suite | cases | agree | held wrong |\n|---|---:|---:|---:|\n",
    );
    for suite in SUITES {
        let prefix = format!("{suite}/");
        let of: Vec<_> = verdicts.iter().filter(|(name, _)| name.starts_with(&prefix)).collect();
        let agree = of.iter().filter(|(_, verdict)| verdict.is_ok()).count();
        let _ = writeln!(page, "| {suite} | {} | {agree} | {} |", of.len(), of.len() - agree);
    }
    page.push_str("\n## Cases whose answer is held to be wrong\n\n");
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, reason) in held {
        reasons.entry(reason).or_default().push(format!("`{name}`"));
    }
    let mut reasons: Vec<(&str, Vec<String>)> = reasons.into_iter().collect();
    reasons.sort_by(|(_, left), (_, right)| left.cmp(right));
    for (reason, names) in reasons {
        let _ = writeln!(page, "- {}: {reason}", names.join(", "));
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
