//! What the page `docs/semantics/linkerd.md` cannot show in a word: narrowed connections, and the
//! words of the reasons.

mod common;

use watertight::model::Protocol;

const ROUTE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: m, annotations: {linkerd.io/inject: enabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: m}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: m, labels: {app: server}}
spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}
---
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: web, namespace: m}
spec: {podSelector: {matchLabels: {app: server}}, port: 8080, accessPolicy: all-unauthenticated, proxyProtocol: PROTOCOL}
---
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata: {name: ok, namespace: m}
spec: {parentRefs: [{group: policy.linkerd.io, kind: Server, name: web}], rules: RULES}
";

fn narrowed(rules: &str, port: u16) -> (bool, Vec<String>) {
    narrowed_as("HTTP/1", rules, port)
}

fn narrowed_as(protocol: &str, rules: &str, port: u16) -> (bool, Vec<String>) {
    narrowed_of(&ROUTE.replace("RULES", rules).replace("PROTOCOL", protocol), port)
}

fn narrowed_of(manifests: &str, port: u16) -> (bool, Vec<String>) {
    let (analysis, problems) = common::analyse(manifests);
    assert!(problems.is_empty(), "{problems:?}");
    let class = |name: &str| {
        let index =
            analysis.inventory.workloads.iter().position(|w| w.name.name == name).expect("a workload");
        analysis.graph.class_of(index, 0)
    };
    let edge = analysis.graph.edge(class("client"), class("server"));
    let decision = edge.mesh.expect("a mesh").decision;
    let words = decision.because.iter().filter_map(|rule| {
        analysis.graph.rules[*rule as usize].rule.narrowed.as_ref().map(ToString::to_string)
    });
    (decision.narrowed.contains(Protocol::Tcp, port), words.collect())
}

#[test]
fn a_route_narrows_what_its_server_lets_in_and_nothing_else() {
    let rules = "[{matches: [{path: {type: Exact, value: /ok}, method: GET}]}]";
    assert_eq!(narrowed(rules, 8080), (true, vec!["methods GET, paths /ok".to_owned()]));
    assert!(!narrowed(rules, 9090).0);
    let everything = "[{matches: [{path: {value: /a}}, {method: GET}]}, {}]";
    assert_eq!(narrowed(everything, 8080), (false, vec![]), "its last rule matches every request");
    let either = "[{matches: [{path: {value: /a}}, {method: GET}]}]";
    assert_eq!(narrowed(either, 8080), (true, vec!["paths /a/*".to_owned(), "methods GET".to_owned()]));
    assert_eq!(
        narrowed("[{matches: [{path: {value: /}}]}]", 8080),
        (false, vec![]),
        "every path begins with it"
    );
}

#[test]
fn a_route_is_asked_about_requests_of_its_protocol_alone() {
    let rules = "[{matches: [{path: {type: Exact, value: /ok}}]}]";
    let bytes = "what is no HTTP, which no route is asked about".to_owned();
    assert_eq!(narrowed_as("unknown", rules, 8080), (true, vec!["paths /ok".to_owned(), bytes]));
    assert_eq!(narrowed_as("HTTP/2", rules, 8080), (true, vec!["paths /ok".to_owned()]));
    for protocol in ["gRPC", "opaque", "TLS"] {
        assert_eq!(narrowed_as(protocol, rules, 8080), (false, vec![]), "{protocol}");
    }
}

#[test]
fn what_bypasses_the_proxy_is_not_narrowed() {
    let rules = "[{matches: [{path: {type: Exact, value: /ok}}]}]";
    let bypassing = "labels: {app: server}, annotations: {config.linkerd.io/skip-inbound-ports: '8080'}";
    let manifests = ROUTE.replace("RULES", rules).replace("PROTOCOL", "HTTP/1");
    assert!(narrowed_of(&manifests, 8080).0);
    assert!(!narrowed_of(&manifests.replace("labels: {app: server}", bypassing), 8080).0);
}

/// The default of the control plane is assumed where its settings were not read: it stands under a
/// name of its own, and no check blames the first object of the mesh for it.
#[test]
fn an_assumed_default_is_not_the_rule_of_the_first_server() {
    let world = ROUTE.replace("RULES", "[]").replace("PROTOCOL", "HTTP/1");
    let world = world.replace("accessPolicy: all-unauthenticated, ", "");
    let mut documents: Vec<&str> = world.split("\n---\n").collect();
    documents.reverse();
    let (analysis, problems) = common::analyse(&documents.join("\n---\n"));
    assert!(problems.is_empty(), "{problems:?}");
    let wrong = ["allow-any-identity", "ineffective-mesh-policy"];
    let blamed: Vec<String> = analysis
        .findings
        .iter()
        .filter(|finding| wrong.contains(&finding.check))
        .map(|finding| format!("{} {}", finding.check, finding.subject))
        .collect();
    assert_eq!(blamed, Vec::<String>::new());
    let named = analysis.graph.policies.iter().any(|policy| &*policy.origin.kind == "default inbound policy");
    assert!(named, "{:?}", analysis.graph.policies);
}

/// What a check finds, with what it says to do.
fn advice(text: &str, check: &str) -> Vec<String> {
    let (analysis, _) = common::analyse(text);
    let found = watertight::analysis::reviewed(analysis, watertight::observed::Observed::default());
    let told = found.findings.iter().filter(|finding| finding.check == check);
    told.map(|finding| format!("{}: {} {}", finding.subject, finding.message, finding.fix)).collect()
}

#[test]
fn advice_is_in_the_words_of_the_mesh() {
    let pods = ROUTE.split("---\n").take(3).collect::<Vec<_>>().join("---\n");
    let permissive = advice(&pods, "permissive-mtls");
    assert!(
        !permissive.is_empty() && permissive.iter().all(|one| one.contains("default-inbound-policy")),
        "{permissive:?}"
    );
    assert_eq!(common::analyse(&pods).0.policy_count(), 0);
    // What nobody wrote is told of the workloads, and ports of others are none of theirs.
    assert_eq!(advice(&pods, "authorization-without-identity"), [""; 0]);
    assert_eq!(advice(&pods, "mesh-excluded-port"), [""; 0]);
    let mysql = pods.replace("containerPort: 8080", "containerPort: 4567");
    assert_eq!(advice(&mysql, "mesh-excluded-port").len(), 1);
    let open = ROUTE.replace("PROTOCOL", "HTTP/1").replace("RULES", "[]");
    let anybody = advice(&open, "authorization-without-identity");
    assert!(
        anybody.iter().any(|one| one.contains("It lets in") && one.contains("MeshTLSAuthentication")),
        "{anybody:?}"
    );
}
