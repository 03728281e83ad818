//! Drift: declared against live, by effect and not by text.

use crate::api_server::ApiServer;
use crate::tool::{code, json, run, said};
use std::path::{Path, PathBuf};

const DECLARED: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: shop}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: db, ports: [{containerPort: 5432}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: blocks, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]
";

/// What controllers and the network make of the deployment: a replica set, and a pod with an address.
const MADE: &str = "\
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web-5d8
  namespace: shop
  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: a, controller: true}]
spec:
  selector: {matchLabels: {app: web, pod-template-hash: 5d8}}
  template:
    metadata: {labels: {app: web, pod-template-hash: 5d8}}
    spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-5d8-x
  namespace: shop
  labels: {app: web, pod-template-hash: 5d8}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-5d8, uid: b, controller: true}]
spec:
  containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]
status: {podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}], phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: elsewhere, labels: {app: agent}}
spec:
  containers: [{name: agent, image: agent}]
";

/// The policy of the database, with another rule.
fn policy(rule: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: db, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: db}}}}
  policyTypes: [Ingress]
  ingress: [{rule}]
"
    )
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

#[test]
fn drift_is_what_differs_in_effect() {
    let Some(server) = ApiServer::start() else { return };
    let declared = file(server.folder(), "declared.yaml", DECLARED).display().to_string();
    server.apply(DECLARED);
    server.apply(MADE);
    let drift = |more: &[&str]| {
        let mut arguments = vec!["drift", declared.as_str(), "--cluster"];
        arguments.extend(more);
        run(&server, &arguments)
    };

    let none = drift(&["--fail-on", "low"]);
    assert_eq!(code(&none), 0, "{}", said(&none));
    assert!(said(&none).contains("No drift"), "{}", said(&none));
    assert!(said(&none).contains("Nothing is declared of default, elsewhere"), "{}", said(&none));

    // Other words with the same effect.
    let web = "from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [web]}]}}]";
    server.apply(&policy(&format!("{{{web}, ports: [{{port: 5432, protocol: TCP}}]}}")));
    let same = drift(&["--fail-on", "low"]);
    assert!(said(&same).contains("No drift"), "{}", said(&same));

    server.apply(&policy(&format!("{{{web}, ports: [{{port: 5432}}, {{port: 22}}]}}")));
    let wider = drift(&["-f", "json"]);
    assert_eq!(code(&wider), 1, "{}", said(&wider));
    let report = json(&wider);
    assert_eq!(report["schema"], "watertight/drift/v1");
    assert_eq!(report["policies"][0]["state"], "different", "{report}");
    assert_eq!(report["policies"][0]["name"], "db");
    assert_eq!(report["policies"][0]["has_effect"], true);
    assert_eq!(report["policies"].as_array().map(Vec::len), Some(1));
    assert!(report["changes"]["changes"].to_string().contains("widens"), "{report}");

    server.delete(&policy(""));
    server.apply(
        "apiVersion: v1
kind: Pod
metadata: {name: debug, namespace: shop, labels: {app: debug}}
spec:
  containers: [{name: debug, image: debug}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody, namespace: shop}
spec: {podSelector: {matchLabels: {app: nobody}}}
",
    );
    let open = drift(&[]);
    assert_eq!(code(&open), 1);
    let text = said(&open);
    for part in [
        "1 policy missing, 1 policy extra, 1 workload not declared",
        "declared and not live: ",
        "live and not declared: cluster:admin NetworkPolicy shop/nobody, without effect",
        "shop/Pod/debug",
        "no longer isolated",
        "declared.yaml:",
    ] {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
    let markdown = drift(&["-f", "markdown"]);
    assert!(said(&markdown).contains("declared and not live: `"), "{}", said(&markdown));
    let sarif = json(&drift(&["-f", "sarif"]));
    let rules: Vec<&str> = sarif["runs"][0]["results"]
        .as_array()
        .expect("results")
        .iter()
        .filter_map(|result| result["ruleId"].as_str())
        .collect();
    assert!(rules.contains(&"drift-missing") && rules.contains(&"drift-extra"), "{rules:?}");

    // A snapshot in the place of the cluster gives the same answer.
    let snapshot = server.folder().join("live.json.zst").display().to_string();
    run(&server, &["snapshot", "-o", &snapshot]);
    let kept = json(&run(&server, &["drift", &declared, "--snapshot", &snapshot, "-f", "json"]));
    let live = json(&drift(&["-f", "json"]));
    assert_eq!(kept["workloads"], live["workloads"]);
    let states = |report: &serde_json::Value| {
        let policies = report["policies"].as_array().expect("policies").clone();
        policies
            .iter()
            .map(|p| format!("{} {} {}", p["state"], p["name"], p["has_effect"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(states(&kept), states(&live));
    let neither = run(&server, &["drift", &declared]);
    assert_eq!(code(&neither), 2);
    assert!(said(&neither).contains("--snapshot FILE"), "{}", said(&neither));
}
