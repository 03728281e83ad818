//! Checks on meshes ask every client of a server, however many there are.

mod common;

use std::fmt::Write as _;
use watertight::analysis;
use watertight::observed::Observed;

/// A server in the mesh, so many clients there that policies tell apart, and behind them one that is not.
fn cluster(clients: usize) -> String {
    let mut text = "\
apiVersion: v1
kind: Namespace
metadata: {name: a, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: b, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: z}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: b}
spec: {containers: [{name: c, ports: [{containerPort: 8080}]}, {name: istio-proxy}]}
---
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: z}
spec: {containers: [{name: c}]}
"
    .to_owned();
    for number in 0..clients {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, namespace: a, labels: {{app: p{number}}}}}\n\
             spec: {{containers: [{{name: c}}, {{name: istio-proxy}}]}}\n\
             ---\napiVersion: v1\nkind: Service\nmetadata: {{name: p{number}, namespace: a}}\nspec: {{selector: {{app: p{number}}}, ports: [{{port: 80}}]}}\n\
             ---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{number}, namespace: a}}\n\
             spec: {{podSelector: {{matchLabels: {{app: p{number}}}}}, policyTypes: [Egress], egress: [{{to: [{{podSelector: {{}}, namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: a}}}}}}]}}]}}\n"
        );
    }
    text
}

#[test]
fn the_one_that_calls_in_the_clear_is_found_behind_hundreds_that_may_not_call() {
    let (analysis, problems) = common::analyse(&cluster(300));
    assert!(problems.is_empty(), "{problems:?}");
    let analysis = analysis::reviewed(analysis, Observed::default());
    let mut found = analysis.findings.iter().filter(|finding| finding.check == "plaintext-edge");
    let message = found.find(|finding| finding.subject.contains("b/Pod/server")).map(|f| f.message.as_str());
    assert!(message.is_some_and(|message| message.contains("z/Pod/bare")), "{message:?}");
}
