//! Reports do not depend on the order of the input, in what they name and how often.

#![expect(clippy::disallowed_methods, reason = "tests write the files that they try")]

use std::process::Command;

/// Findings as check, subject and fingerprint, in order.
fn findings(documents: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.yaml");
    std::fs::write(&path, documents.join("\n---\n")).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(["check", "-f", "json", "--fail-on", "never"])
        .arg(&path)
        .output()
        .expect("the tool runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all = report["findings"].as_array().expect("findings").iter();
    let words = ["check", "subject", "message", "fingerprint"];
    all.map(|finding| words.map(|word| text(finding, word)).join(" ")).collect()
}

const PODS: &str = r#"apiVersion: v1
kind: Pod
metadata: {name: web, namespace: m, labels: {app: web}, annotations: {consul.hashicorp.com/connect-inject: "true"}}
spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: m}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}"#;
const CONFIG: &str = r#"apiVersion: v1
kind: ConfigMap
metadata: {name: consul-server-config, namespace: consul}
data: {a.json: '{"acl": {"enabled": true, "default_policy": "deny"}}'}"#;
const OKTA: &str = "apiVersion: consul.hashicorp.com/v1alpha1\nkind: JWTProvider\nmetadata: {name: okta, namespace: m}\n\
                    spec: {issuer: okta, jsonWebKeySet: {local: {jwks: eyJrZXlzIjpbXX0=}}}";
const OTHER: &str = "apiVersion: consul.hashicorp.com/v1alpha1\nkind: JWTProvider\nmetadata: {name: auth0, namespace: m}\n\
                     spec: {issuer: auth0, jsonWebKeySet: {local: {jwks: eyJrZXlzIjpbXX0=}}}";
const INTENTIONS: &str = "apiVersion: consul.hashicorp.com/v1alpha1\nkind: ServiceIntentions\nmetadata: {name: all, namespace: m}\n\
     spec: {destination: {name: \"*\"}, sources: [{name: \"*\", action: deny}], \
     jwt: {providers: [{name: okta, verifyClaims: [{path: [role], value: admin}]}]}}";

#[test]
fn what_stands_for_a_mesh_is_the_same_in_every_order() {
    let orders: [&[&str]; 4] = [
        &[PODS, CONFIG, OKTA, OTHER, INTENTIONS],
        &[INTENTIONS, OTHER, OKTA, PODS, CONFIG],
        &[OTHER, PODS, CONFIG, INTENTIONS, OKTA],
        &[OKTA, CONFIG, OTHER, INTENTIONS, PODS],
    ];
    let [first, others @ ..] = orders.map(findings);
    others.iter().for_each(|other| assert_eq!(*other, first));
    assert!(
        !first.iter().any(|finding| finding.starts_with("ineffective-mesh-policy m/JWTProvider")),
        "{first:?}"
    );
}

#[test]
fn parts_of_one_rule_do_not_shadow_each_other() {
    let all = findings(&[PODS, OKTA, INTENTIONS]);
    let shadowed: Vec<&String> = all.iter().filter(|finding| finding.starts_with("shadowed-rule")).collect();
    assert_eq!(shadowed, [] as [&String; 0]);
    let mut once = all.clone();
    once.dedup();
    assert_eq!(all, once);
}

/// Each finding has its own fingerprint, so that one that goes hides no other.
#[test]
fn findings_that_differ_have_fingerprints_that_differ() {
    let server = "apiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: {name: s, namespace: m}\n\
                  spec: {podSelector: {}, port: 8080, proxyProtocol: HTTP/2, accessPolicy: all-unauthenticated}";
    let pods = PODS.replace("consul.hashicorp.com/connect-inject: \"true\"", "linkerd.io/inject: enabled");
    let policy = "apiVersion: policy.linkerd.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: m}\n\
                  spec: {targetRef: {group: policy.linkerd.io, kind: Server, name: s}, \
                  requiredAuthenticationRefs: [{group: policy.linkerd.io, kind: MeshTLSAuthentication, name: a}]}";
    let anybody = "apiVersion: policy.linkerd.io/v1alpha1\nkind: MeshTLSAuthentication\nmetadata: {name: a, namespace: m}\n\
                   spec: {identities: [\"*\"]}";
    let named = |name: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: n, namespace: m}}\n\
             spec: {{podSelector: {{}}, ingress: [{{ports: [{{port: {name}}}, {{port: {name}}}]}}]}}"
        )
    };
    let all = findings(&[&pods, server, policy, anybody, &named("ghost")]);
    let fingerprint = |finding: &String| finding.rsplit(' ').next().map(str::to_owned);
    let mut prints: Vec<_> = all.iter().map(fingerprint).collect();
    prints.sort();
    let count = prints.len();
    prints.dedup();
    assert_eq!(prints.len(), count, "{all:#?}");
    let anybody: Vec<&String> =
        all.iter().filter(|finding| finding.starts_with("allow-any-identity")).collect();
    assert_eq!(anybody.len(), 2, "{all:#?}");
}
