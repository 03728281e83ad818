//! Reading: discovery, pages, permissions, credentials, versions and fields that nobody knows.

use crate::api_server::ApiServer;
use crate::definitions::definition;
use crate::tool::{NEWER_AND_ODD, apply_role, bind_tenant, code, json, run, said};
use serde_json::{Value, json};

const SHOP: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  containers:
  - {name: web, image: web, env: [{name: PASSWORD, value: s3cr3t-value}], args: [--password=s3cr3t-value]}
status: {podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}], phase: Running}
---
apiVersion: v1
kind: Pod
metadata:
  name: db
  namespace: shop
  labels: {app: db}
  annotations: {kubectl.kubernetes.io/last-applied-configuration: s3cr3t-value, token: s3cr3t-value}
spec:
  containers: [{name: db, image: db, ports: [{containerPort: 5432}]}]
  volumes: [{name: data, emptyDir: {}}]
---
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: shop}
stringData: {password: s3cr3t-value}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: db, namespace: shop}
data: {password: s3cr3t-value}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]
";

#[test]
fn a_cluster_is_read_with_what_it_serves_and_what_it_permits() {
    let Some(mut server) = ApiServer::start() else { return };
    server.apply(SHOP);
    a_review_names_the_cluster_instead_of_files(&server);
    a_snapshot_holds_no_secret_and_is_the_same_twice(&server);
    credentials_that_are_not_accepted_end_the_reading(&server);
    what_may_not_be_read_is_a_gap_and_hides_nothing_else(&server);
    the_printed_role_is_enough(&server);
    who_may_read_one_namespace_reads_that_one(&server);
    thousands_of_objects_come_in_pages(&server);
    a_definition_of_another_version_and_an_unknown_field_are_gaps(&server);
    a_server_that_is_not_there_is_said_and_one_that_is_back_is_read(&mut server);
}

fn a_review_names_the_cluster_instead_of_files(server: &ApiServer) {
    let explained = run(server, &["explain", "shop/web", "shop/db", "tcp/5432", "--cluster"]);
    assert_eq!(code(&explained), 0, "{}", said(&explained));
    assert!(said(&explained).contains("cluster:admin NetworkPolicy shop/db"), "{}", said(&explained));
    let denied = run(server, &["explain", "shop/db", "shop/web", "tcp/80", "--cluster"]);
    assert_eq!(code(&denied), 0, "nothing isolates web: {}", said(&denied));
    let reach = run(server, &["reach", "shop/web", "--cluster", "--fail-on", "never"]);
    assert!(said(&reach).contains("shop/Pod/db"), "{}", said(&reach));
    let both = run(server, &["check", ".", "--cluster"]);
    assert_eq!(code(&both), 2);
    assert!(said(&both).contains("drift"), "{}", said(&both));
    let sarif = run(server, &["check", "--cluster", "-f", "sarif", "--fail-on", "never"]);
    assert_eq!(code(&sarif), 0, "{}", said(&sarif));
    let results = json(&sarif)["runs"][0]["results"].as_array().cloned().expect("results");
    let place =
        |result: &Value| result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone();
    assert!(results.iter().any(|r| place(r) == "cluster/admin/shop/Pod/web"), "{results:?}");
}

fn a_snapshot_holds_no_secret_and_is_the_same_twice(server: &ApiServer) {
    let [first, second] = [0, 1].map(|_| run(server, &["snapshot"]));
    assert_eq!(code(&first), 0, "{}", said(&first));
    let texts = [first, second].map(|output| String::from_utf8(output.stdout).expect("text"));
    let without_time =
        texts.each_ref().map(|t| t.lines().filter(|l| !l.starts_with("takenAt")).collect::<Vec<_>>());
    assert_eq!(without_time[0], without_time[1], "the same objects give the same file");
    for word in ["s3cr3t", "managedFields", "resourceVersion", "last-applied", "kind: \"Secret\""] {
        assert!(!texts[0].contains(word), "{word} is in the snapshot");
    }
    assert!(texts[0].contains("PASSWORD"), "names of variables are kept");
    let json_form = run(server, &["snapshot", "-f", "json"]);
    let list = json(&json_form);
    assert_eq!(list[0]["kind"], "Snapshot");
    assert!(list.as_array().expect("a list").len() > 5);
}

fn credentials_that_are_not_accepted_end_the_reading(server: &ApiServer) {
    let expired = run(server, &["check", "--cluster", "--context", "expired"]);
    assert_eq!(code(&expired), 2);
    assert!(said(&expired).contains("renew the token"), "{}", said(&expired));
    let plugin = run(server, &["snapshot", "--context", "plugin"]);
    assert_eq!(code(&plugin), 0, "a plugin gives the token: {}", said(&plugin));
    let nobody = run(server, &["check", "--cluster", "--context", "nobody"]);
    assert_eq!(code(&nobody), 2);
    assert!(said(&nobody).contains("permission to list"), "{}", said(&nobody));
    let unknown = run(server, &["check", "--cluster", "--context", "elsewhere"]);
    assert!(said(&unknown).contains("one of harness, admin, reader"), "{}", said(&unknown));
}

/// Binds a role to the user `reader`.
fn permit(server: &ApiServer, role: &str) {
    server.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {role}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}}]
"
    ));
}

fn what_may_not_be_read_is_a_gap_and_hides_nothing_else(server: &ApiServer) {
    server.apply(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: pods-only}
rules: [{apiGroups: [''], resources: [pods, namespaces], verbs: [list]}]
",
    );
    permit(server, "pods-only");
    let partly = run(server, &["graph", "--cluster", "--context", "reader", "-f", "json"]);
    let graph = json(&partly);
    assert_eq!(graph["endpoints"].as_array().map(|e| e.iter().any(|e| e["id"] == "shop/Pod/db")), Some(true));
    let gap = |graph: &Value, part: &str| {
        let gaps = graph["gaps"].as_array().expect("gaps").clone();
        gaps.into_iter().find(|gap| gap["what"].as_str().is_some_and(|what| what.contains(part)))
    };
    let policies = gap(&graph, "networkpolicies of the API group networking.k8s.io").expect("a gap");
    assert!(policies["what"].as_str().is_some_and(|w| w.contains("permission to list")), "{policies}");
    assert_eq!(policies["bends"], "may-allow-less");
    let services = gap(&graph, "services of the core API").expect("a gap");
    assert_eq!(services["bends"], "may-allow-more");
    // A snapshot remembers what it could not see.
    let file = server.folder().join("partly.yaml").display().to_string();
    let taken = run(server, &["snapshot", "--context", "reader", "-o", &file]);
    assert!(said(&taken).contains("networkpolicies"), "{}", said(&taken));
    let again = json(&run(server, &["graph", &file, "-f", "json"]));
    assert!(gap(&again, "networkpolicies").is_some(), "the gap is in the snapshot");
}

fn the_printed_role_is_enough(server: &ApiServer) {
    apply_role(server);
    permit(server, "watertight");
    let whole = json(&run(server, &["snapshot", "--context", "reader", "-f", "json"]));
    assert_eq!(whole[0]["forbidden"], json!([]), "the role permits everything that is read");
    let all = json(&run(server, &["snapshot", "-f", "json"]));
    assert_eq!(whole[0]["objects"], all[0]["objects"]);
}

fn who_may_read_one_namespace_reads_that_one(server: &ApiServer) {
    bind_tenant(server);
    let without = run(server, &["graph", "--cluster", "--context", "tenant", "-f", "json"]);
    assert_eq!(code(&without), 2);
    assert!(said(&without).contains("--allowed-namespace"), "{}", said(&without));
    let arguments =
        ["--context", "tenant", "--allowed-namespace", "shop", "--allowed-namespace", "elsewhere"];
    let graph = json(&run(server, &[&["graph", "--cluster", "-f", "json"], &arguments[..]].concat()));
    let endpoints = graph["endpoints"].as_array().expect("endpoints");
    assert!(endpoints.iter().any(|endpoint| endpoint["id"] == "shop/Pod/db"), "{graph}");
    let gaps = graph["gaps"].as_array().expect("gaps");
    let said_of = |part: &str| gaps.iter().any(|gap| gap["what"].as_str().is_some_and(|w| w.contains(part)));
    assert!(said_of("of pods of the core API only those in shop were read"), "{graph}");
    assert!(said_of("nodes of the core API may not be read"), "{graph}");
    // The policy of the namespace counts.
    let words = [&["explain", "shop/web", "shop/db", "tcp/80", "--cluster"], &arguments[..]].concat();
    assert_eq!(code(&run(server, &words)), 1, "{}", said(&run(server, &words)));
}

fn thousands_of_objects_come_in_pages(server: &ApiServer) {
    const COUNT: usize = 3_210;
    let account = |number: usize| {
        let body = json!({"metadata": {"name": format!("account-{number}")}});
        ("/api/v1/namespaces/default/serviceaccounts".to_owned(), body)
    };
    server.send_all("POST", (0..COUNT).map(account));
    let named = |number: usize| {
        let body = json!({"metadata": {"labels": {"team": "a"}}});
        (format!("/api/v1/namespaces/default/serviceaccounts/account-{number}"), body)
    };
    server.patch_all((COUNT - 10..COUNT).map(named));
    let list = json(&run(server, &["snapshot", "-f", "json"]));
    let reads = list[0]["objects"].as_array().expect("counts");
    let accounts = reads.iter().find(|read| read["kind"] == "ServiceAccount").expect("a read");
    assert_eq!(accounts["count"], COUNT + 1, "those, and the one of the role");
    let here = list.as_array().expect("a list").iter().filter(|o| o["kind"] == "ServiceAccount").count();
    assert_eq!(here, COUNT + 1);
    let labelled = |o: &&Value| o["metadata"]["labels"]["team"] == "a";
    assert_eq!(list.as_array().map(|all| all.iter().filter(labelled).count()), Some(10), "the last page too");
}

fn a_definition_of_another_version_and_an_unknown_field_are_gaps(server: &ApiServer) {
    let newer = definition("cilium.io", "CiliumNetworkPolicy", &["v9"]);
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    server.send("POST", path, "application/json", &newer).expect("a definition");
    let calico = definition("projectcalico.org", "NetworkPolicy", &["v3"]);
    server.send("POST", path, "application/json", &calico).expect("a definition");
    let stored = definition("crd.projectcalico.org", "NetworkPolicy", &["v1"]);
    server.send("POST", path, "application/json", &stored).expect("a definition");
    let served = || {
        ["cilium.io/v9", "projectcalico.org/v3", "crd.projectcalico.org/v1"].iter().all(|group| {
            server.get(&format!("/apis/{group}")).is_ok_and(|text| text.contains("networkpolicies"))
        })
    };
    crate::api_server::wait("the definitions", served);
    server.apply(NEWER_AND_ODD);
    server.apply(
        "apiVersion: crd.projectcalico.org/v1
kind: NetworkPolicy
metadata: {name: default.odd, namespace: shop}
spec: {selector: all(), types: [Ingress]}
",
    );
    let graph = json(&run(server, &["graph", "--cluster", "-f", "json", "--engine", "calico"]));
    let gaps = graph["gaps"].to_string();
    assert!(gaps.contains("cilium.io/v9"), "{gaps}");
    assert!(gaps.contains("frobnicate"), "{gaps}");
    let snapshot = json(&run(server, &["snapshot", "-f", "json"]));
    let stored = |o: &&Value| o["apiVersion"] == "crd.projectcalico.org/v1";
    assert_eq!(snapshot.as_array().map(|all| all.iter().filter(stored).count()), Some(0), "read once");
}

fn a_server_that_is_not_there_is_said_and_one_that_is_back_is_read(server: &mut ApiServer) {
    server.stop();
    let away = run(server, &["check", "--cluster"]);
    assert_eq!(code(&away), 2);
    assert!(said(&away).contains("reachable"), "{}", said(&away));
    server.start_again();
    server.compact();
    let back = run(server, &["graph", "--cluster", "-f", "json", "--fail-on", "never"]);
    assert!(json(&back)["endpoints"].as_array().is_some_and(|all| all.len() >= 2), "{}", said(&back));
}
