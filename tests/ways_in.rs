//! What `diff` says of ways in from outside, kind by kind.

#![expect(clippy::disallowed_methods, reason = "tests write the files that they try")]

use std::process::Command;

/// A workload behind a service, and a controller that a load balancer leads to.
const CLUSTER: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, ports: [{containerPort: 8080}, {containerPort: 9090}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: a, port: 80, targetPort: 8080}, {name: b, port: 81, targetPort: 9090}]}
---
apiVersion: v1
kind: Pod
metadata: {name: controller, namespace: ingress-nginx, labels: {app.kubernetes.io/name: ingress-nginx}}
spec: {containers: [{name: c, ports: [{containerPort: 8443}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: controller, namespace: ingress-nginx}
spec: {type: LoadBalancer, selector: {app.kubernetes.io/name: ingress-nginx}, ports: [{port: 443, targetPort: 8443}]}
";

/// An Ingress with rules (`host path port`) and hosts with TLS.
fn ingress(rules: &[(&str, &str, u16)], tls: &[&str]) -> String {
    let rule = |(host, path, port): &(&str, &str, u16)| {
        format!(
            "{{host: {host:?}, http: {{paths: [{{path: {path}, pathType: Prefix, backend: {{service: {{name: web, \
             port: {{number: {port}}}}}}}}}]}}}}"
        )
    };
    let rules: Vec<String> = rules.iter().map(rule).collect();
    let tls =
        if tls.is_empty() { String::new() } else { format!(", tls: [{{hosts: {tls:?}, secretName: t}}]") };
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: web, namespace: shop}}\n\
         spec: {{ingressClassName: nginx, rules: [{}]{tls}}}\n",
        rules.join(", ")
    )
}

/// A load balancer without a controller, behind which a policy lets some addresses in.
fn balancer(block: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: direct, namespace: shop}}\n\
         spec: {{type: LoadBalancer, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}\n\
         ---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: web, namespace: shop}}\n\
         spec: {{podSelector: {{}}, ingress: [{{from: [{{ipBlock: {{cidr: {block}}}}}]}}]}}\n"
    )
}

/// The kinds of changed ways in to `shop/Pod/web`, with their severities.
fn changed(old: &str, new: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("old.yaml", old), ("new.yaml", new)] {
        std::fs::write(folder.path().join(name), format!("{CLUSTER}{text}")).expect("a file");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(["diff", "-f", "json"])
        .args([folder.path().join("old.yaml"), folder.path().join("new.yaml")])
        .output()
        .expect("the tool runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let ways = report["ways_in"].as_array().expect("a list");
    let word = |way: &serde_json::Value, key: &str| way[key].as_str().expect("a word").to_owned();
    ways.iter().map(|way| format!("{} {}", word(way, "kind"), word(way, "severity"))).collect()
}

#[test]
fn each_kind_of_changed_way_in_is_told() {
    let one = ingress(&[("a.example", "/x", 80)], &[]);
    let two = ingress(&[("a.example", "/x", 80), ("b.example", "/x", 80)], &[]);
    let both = ["a.example", "b.example"];
    let secure = ingress(&[("a.example", "/x", 80), ("b.example", "/x", 80)], &both);
    let half = ingress(&[("a.example", "/x", 80), ("b.example", "/x", 80)], &["b.example"]);
    let other_half = ingress(&[("a.example", "/x", 80), ("b.example", "/x", 80)], &["a.example"]);
    let reordered = ingress(&[("b.example", "/x", 80), ("a.example", "/x", 80)], &[]);
    let any_host = ingress(&[("", "/x", 80)], &[]);
    let wild = ingress(&[("*.example", "/x", 80)], &[]);
    let other_port = ingress(&[("a.example", "/x", 81)], &[]);
    let (near, far) = (balancer("203.0.113.0/25"), balancer("203.0.113.0/24"));
    // Ports of nodes know nothing of it, so it closes nothing; that it is gone is told.
    let asks =
        far.replace("type: LoadBalancer,", "type: LoadBalancer, loadBalancerSourceRanges: [203.0.113.0/24],");
    let noted = far.replace(
        "metadata: {name: direct,",
        "metadata: {annotations: {service.beta.kubernetes.io/load-balancer-source-ranges: \"203.0.113.0/24, 10.0.0.0/8\"}, name: direct,",
    );
    for (name, old, new, there, back) in [
        ("a new Ingress", "", one.as_str(), &["way-in-opens high"][..], &["way-in-closes low"][..]),
        ("a host more", &one, &two, &["way-in-widens high"], &["way-in-narrows low"]),
        ("any host", &one, &any_host, &["way-in-widens high"], &["way-in-narrows low"]),
        ("a host of a wildcard", &one, &wild, &["way-in-widens high"], &["way-in-narrows low"]),
        ("another port", &one, &other_port, &["way-in-widens high"], &["way-in-widens high"]),
        ("no TLS any more", &secure, &two, &["way-in-loses-tls high"], &["way-in-gains-tls low"]),
        ("no TLS for the second either", &half, &two, &["way-in-loses-tls high"], &["way-in-gains-tls low"]),
        (
            "TLS for the other host",
            &half,
            &other_half,
            &["way-in-loses-tls high"],
            &["way-in-loses-tls high"],
        ),
        ("more clients", &near, &far, &["way-in-widens high"], &["way-in-narrows low"]),
        ("whom the load balancer asks", &asks, &far, &["way-in-widens high"], &["way-in-narrows low"]),
        ("whom an annotation asks", &noted, &far, &["way-in-widens high"], &["way-in-narrows low"]),
        ("nothing", &two, &reordered, &[], &[]),
    ] {
        assert_eq!(changed(old, new), there, "{name}");
        assert_eq!(changed(new, old), back, "{name}, the other way");
    }
}
