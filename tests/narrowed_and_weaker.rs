//! A change that takes something away and leaves the rest less protected is no change for the better.

#![expect(clippy::disallowed_methods, reason = "tests write the files that they try")]

use std::process::Command;

fn cluster(mode: &str, policy: &str) -> String {
    let pod = |name: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}, \
             annotations: {{sidecar.istio.io/status: \"{{}}\"}}}}\n\
             spec: {{containers: [{{name: c, ports: [{{containerPort: 8080}}, {{containerPort: 9090}}]}}]}}\n"
        )
    };
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{istio-injection: enabled}}}}\n{}{}\
         ---\napiVersion: v1\nkind: Service\nmetadata: {{name: db, namespace: shop}}\n\
         spec: {{selector: {{app: db}}, ports: [{{name: a, port: 80, targetPort: 8080}}, {{name: b, port: 81, targetPort: 9090}}]}}\n\
         ---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: default, namespace: shop}}\n\
         spec: {{mtls: {{mode: {mode}}}}}\n{policy}",
        pod("web"),
        pod("db")
    )
}

const ONE_PORT: &str = "\
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]}]
";

/// What the tool says of a change, and whether it lets it pass.
fn diff(old: &str, new: &str, format: &str) -> (String, Option<i32>) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("old.yaml", old), ("new.yaml", new)] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .current_dir(folder.path())
        .args(["diff", "old.yaml", "new.yaml", "-f", format])
        .output()
        .expect("the tool runs");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

#[test]
fn fewer_ports_do_not_hide_that_the_rest_goes_in_the_clear() {
    let (strict, open) = (cluster("STRICT", ""), cluster("DISABLE", ONE_PORT));
    let (json, code) = diff(&strict, &open, "json");
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let holds = |list: &serde_json::Value, name: &str| {
        list.as_array().expect("a list").iter().any(|one| one.as_str() == Some(name))
    };
    let changes = report["changes"].as_array().expect("changes");
    let between =
        changes.iter().find(|c| holds(&c["from"], "shop/Pod/web") && holds(&c["to"], "shop/Pod/db"));
    let change = between.expect("the pair changed");
    assert_eq!((&change["kind"], &change["severity"]), (&"shifts".into(), &"medium".into()), "{change}");
    assert_eq!(code, Some(1));
    let (text, _) = diff(&strict, &open, "text");
    let line = text.lines().find(|line| line.contains("shop/Pod/web -> shop/Pod/db")).expect("a line");
    assert!(line.contains("plaintext, was mtls-strict"), "{line}");
}

#[test]
fn fewer_ports_with_the_same_protection_only_narrow() {
    let (json, code) = diff(&cluster("STRICT", ""), &cluster("STRICT", ONE_PORT), "json");
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let kinds: Vec<&str> = report["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter_map(|change| change["kind"].as_str())
        .collect();
    assert!(
        !kinds.is_empty() && kinds.iter().all(|kind| ["narrows", "closes", "governed"].contains(kind)),
        "{kinds:?}"
    );
    assert_eq!(code, Some(0));
}
