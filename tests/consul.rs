//! What the page `docs/semantics/consul.md` cannot show in a word: narrowed connections.

mod common;

use watertight::model::Protocol;

const PERMISSIONS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: m, labels: {app: web}, annotations: {consul.hashicorp.com/connect-inject: 'true'}}
spec: {containers: [{name: web}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: m, labels: {app: db}, annotations: {consul.hashicorp.com/connect-inject: 'true'}}
spec: {containers: [{name: db, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: m}
spec: {selector: {app: db}, ports: [{port: 8080}]}
---
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceDefaults
metadata: {name: db, namespace: m}
spec: {protocol: http}
---
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceIntentions
metadata: {name: db, namespace: m}
spec:
  destination: {name: db}
  sources: [{name: web, permissions: [{action: ACTION, http: {pathPrefix: /api, methods: [GET]}}]}]
";

fn narrowed(action: &str) -> (bool, Vec<String>) {
    narrowed_of(&PERMISSIONS.replace("ACTION", action))
}

fn narrowed_of(manifests: &str) -> (bool, Vec<String>) {
    let (analysis, problems) = common::analyse(manifests);
    assert!(problems.is_empty(), "{problems:?}");
    let class = |name: &str| {
        let index =
            analysis.inventory.workloads.iter().position(|w| w.name.name == name).expect("a workload");
        analysis.graph.class_of(index, 0)
    };
    let edge = analysis.graph.edge(class("web"), class("db"));
    let decision = edge.mesh.expect("a mesh").decision;
    let words = decision.because.iter().filter_map(|rule| {
        analysis.graph.rules[*rule as usize].rule.narrowed.as_ref().map(ToString::to_string)
    });
    (decision.narrowed.contains(Protocol::Tcp, 8080), words.collect())
}

#[test]
fn permissions_narrow_and_the_default_policy_decides_the_rest() {
    // The default is to allow, so what a denying permission leaves passes, and an allowing one lets in nothing more.
    assert_eq!(narrowed("deny"), (true, vec![]));
    assert_eq!(narrowed("allow"), (false, vec![]));
}

fn with_token(default: &str, action: &str) -> (bool, Vec<String>) {
    let allowed =
        format!("{{action: {action}, http: {{pathPrefix: /api}}, jwt: {{providers: [{{name: okta}}]}}}}");
    let written = "{action: ACTION, http: {pathPrefix: /api, methods: [GET]}}";
    let servers = format!(
        "
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: consul-server-config, namespace: consul}}
data: {{acl.json: '{{\"acl\": {{\"enabled\": true, \"default_policy\": \"{default}\"}}}}'}}
"
    );
    narrowed_of(&(PERMISSIONS.replace(written, &allowed) + &servers))
}

#[test]
fn a_token_is_asked_for_where_something_else_happens_than_by_default() {
    assert_eq!(with_token("deny", "allow"), (true, vec!["paths /api*, a valid JWT".to_owned()]));
    assert_eq!(with_token("allow", "allow"), (false, vec![]));
    assert_eq!(with_token("allow", "deny"), (true, vec![]));
}
