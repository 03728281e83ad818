//! Watching: what appears and goes is said once, whatever happens to the connection.

use crate::api_server::{ApiServer, wait};
use crate::definitions::definition;
use crate::tool::{NEWER_AND_ODD, apply_role, bind_tenant, command, json, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

const SHOP: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web, image: web, ports: [{containerPort: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";

/// A policy that lets everybody in.
fn wide(name: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: web}}}}
  policyTypes: [Ingress]
  ingress: [{{}}]
"
    )
}

/// A program that watches, and everything that it has said.
struct Watch {
    child: Child,
    said: Arc<Mutex<Vec<Value>>>,
    metrics: String,
}

impl Watch {
    fn start(server: &ApiServer, more: &[&str]) -> Watch {
        let mut arguments = vec!["watch", "-f", "json", "--listen", "127.0.0.1:0"];
        arguments.extend(more);
        let mut child = command(server, &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let said = Arc::new(Mutex::new(Vec::new()));
        let (lines, heard) = (BufReader::new(child.stdout.take().expect("output")), said.clone());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("an event");
                heard.lock().expect("the events").push(event);
            }
        });
        let mut errors = BufReader::new(child.stderr.take().expect("errors"));
        let mut first = String::new();
        errors.read_line(&mut first).expect("a line");
        let metrics = first.trim().rsplit_once("http://").expect("an address").1.to_owned();
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        Watch { child, said, metrics }
    }

    fn events(&self) -> Vec<Value> {
        self.said.lock().expect("the events").clone()
    }

    /// Waits until something was said.
    fn hears(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        wait(what, || self.events().iter().any(&fits));
        self.events().into_iter().find(fits).expect("an event")
    }

    /// Waits until a finding of a check about a subject stands, or no longer does.
    fn waits(&self, check: &str, subject: &str, stands: bool) {
        let what = format!("{check} {subject} to {}", if stands { "appear" } else { "go" });
        wait(&what, || self.standing().iter().any(|(c, s, _)| c == check && s == subject) == stands);
    }

    /// What stands by what was said: check, subject and fingerprint. Nothing may be said twice.
    fn standing(&self) -> BTreeSet<(String, String, String)> {
        let mut standing = BTreeSet::new();
        for event in self.events() {
            let Some(finding) = event.get("finding") else { continue };
            let text = |field: &str| finding[field].as_str().expect("a text").to_owned();
            let key = (text("check"), text("subject"), text("fingerprint"));
            let fresh = match event["event"].as_str() {
                Some("appeared") => standing.insert(key.clone()),
                Some("disappeared") => standing.remove(&key),
                _ => standing.contains(&key),
            };
            assert!(fresh, "said twice, or never before: {event}");
        }
        standing
    }

    /// What stands is what a review finds.
    fn agrees_with_a_review(&self, server: &ApiServer) {
        let review = json(&run(server, &["check", "--cluster", "--context", "harness", "-f", "json"]));
        let findings = review["findings"].as_array().expect("findings");
        let found: BTreeSet<&str> = findings.iter().filter_map(|f| f["fingerprint"].as_str()).collect();
        let standing = self.standing();
        let said: BTreeSet<&str> = standing.iter().map(|(.., fingerprint)| fingerprint.as_str()).collect();
        assert_eq!(said, found);
    }

    fn get(&self, path: &str) -> String {
        let address = self.metrics.split('/').next().expect("an address");
        let mut stream = TcpStream::connect(address).expect("the server of the metrics");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "a signal");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_watch_misses_nothing_and_repeats_nothing() {
    let Some(mut server) = ApiServer::start() else { return };
    server.apply(SHOP);
    let mut watch = Watch::start(&server, &[]);
    watch.hears("the beginning", |event| event["event"] == "started");
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/wide", false);
    changes_are_said_as_they_come(&server, &watch);
    metrics_say_the_same(&watch);
    a_server_that_starts_again_is_followed_again(&mut server, &watch);
    what_happened_while_nobody_listened_is_said(&mut server, &watch);
    new_credentials_are_taken_up(&mut server, &watch);
    watch.agrees_with_a_review(&server);
    watch.signal("TERM");
    assert_eq!(watch.child.wait().expect("an end").code(), Some(1), "findings stand");
}

fn changes_are_said_as_they_come(server: &ApiServer, watch: &Watch) {
    server.apply(&wide("wide"));
    let begun = Instant::now();
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/wide", true);
    println!("a policy was judged {:.0} ms after it was written", begun.elapsed().as_secs_f64() * 1_000.0);
    let event = watch.hears("the finding", |event| event["finding"]["subject"] == "shop/NetworkPolicy/wide");
    assert_eq!(event["schema"], "watertight/event/v1");
    assert_eq!(event["finding"]["because"][0]["file"], "cluster:admin");
    server.delete(&wide("wide"));
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/wide", false);
}

fn metrics_say_the_same(watch: &Watch) {
    let metrics = watch.get("/metrics");
    for line in [
        "watertight_connected 1",
        "watertight_workloads 1",
        "watertight_policies 1",
        "watertight_findings{check=\"unrestricted-ingress\",severity=\"medium\"} 0",
        "# TYPE watertight_events_total counter",
    ] {
        assert!(metrics.contains(line), "{line:?} is missing: {metrics}");
    }
    let standing = watch.standing().len();
    let counted: usize = metrics
        .lines()
        .filter(|line| line.starts_with("watertight_findings{"))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok())
        .sum();
    assert_eq!(counted, standing);
    assert!(watch.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(watch.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(watch.get("/elsewhere").starts_with("HTTP/1.1 404"));
}

fn a_server_that_starts_again_is_followed_again(server: &mut ApiServer, watch: &Watch) {
    let before = watch.standing();
    server.stop();
    watch.hears("the loss", |event| event["event"] == "lost");
    wait("the metric", || watch.get("/metrics").contains("watertight_connected 0"));
    assert_eq!(watch.standing(), before, "what is known stands");
    server.start_again();
    watch.hears("the return", |event| event["event"] == "back");
    server.apply(&wide("after"));
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/after", true);
    server.delete(&wide("after"));
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/after", false);
    assert_eq!(watch.standing(), before);
}

/// The program sleeps while objects come and go, etcd forgets, and the server starts again.
fn what_happened_while_nobody_listened_is_said(server: &mut ApiServer, watch: &Watch) {
    server.apply(&wide("gone-meanwhile"));
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/gone-meanwhile", true);
    watch.signal("STOP");
    server.delete(&wide("gone-meanwhile"));
    server.apply(&wide("came-and-went"));
    server.delete(&wide("came-and-went"));
    server.apply(&wide("new-meanwhile"));
    server.stop();
    server.compact();
    server.start_again();
    server.compact();
    watch.signal("CONT");
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/new-meanwhile", true);
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/gone-meanwhile", false);
    let came = |event: &Value| event["finding"]["subject"] == "shop/NetworkPolicy/came-and-went";
    assert!(!watch.events().iter().any(came), "nobody saw it");
}

fn new_credentials_are_taken_up(server: &mut ApiServer, watch: &Watch) {
    let told = watch.events().len();
    server.stop();
    server.give_out_tokens("renewed");
    server.start_again();
    // The first loss was that of the connection; then the token is refused until the file has the new one.
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(
        watch.events()[told..].iter().all(|event| event["event"] != "back"),
        "the old token is not accepted"
    );
    server.write_kubeconfig("renewed");
    wait("the new token", || watch.events()[told..].iter().any(|event| event["event"] == "back"));
    server.apply(&wide("renewed"));
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/renewed", true);
}

#[test]
fn a_kind_that_may_not_be_read_hides_nothing_else() {
    let Some(server) = ApiServer::start() else { return };
    server.apply(SHOP);
    server.apply(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: some}
rules:
- {apiGroups: ['', networking.k8s.io], resources: [pods, namespaces, networkpolicies], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: some}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: some}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}]
",
    );
    let watch = Watch::start(&server, &["--context", "reader"]);
    let gap = watch.hears("the gap", |event| event["gap"]["what"].to_string().contains("deployments"));
    assert!(gap["gap"]["what"].to_string().contains("permission to list"), "{gap}");
    server.apply(&wide("wide"));
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/wide", true);
    let expired = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(["watch", "--context", "expired"])
        .env("KUBECONFIG", server.kubeconfig())
        .output()
        .expect("the program runs");
    assert_eq!(expired.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&expired.stderr).contains("renew the token"));
}

#[test]
fn an_object_that_nobody_understands_hides_nothing_else() {
    let Some(server) = ApiServer::start() else { return };
    server.apply(SHOP);
    let watch = Watch::start(&server, &["--engine", "calico"]);
    watch.hears("the beginning", |event| event["event"] == "started");
    // Both kinds are defined while the watch goes on.
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    for (group, kind, version) in
        [("cilium.io", "CiliumNetworkPolicy", "v9"), ("projectcalico.org", "NetworkPolicy", "v3")]
    {
        server
            .send("POST", path, "application/json", &definition(group, kind, &[version]))
            .expect("a definition");
        let served = format!("/apis/{group}/{version}");
        wait(&served, || server.get(&served).is_ok_and(|text| text.contains("networkpolicies")));
    }
    server.apply(NEWER_AND_ODD);
    let gap = |part: &'static str| move |event: &Value| event["gap"]["what"].to_string().contains(part);
    watch.hears("a version that is too new", gap("cilium.io/v9"));
    watch.hears("a field that nobody knows", gap("frobnicate"));
    server.apply(&wide("wide"));
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/wide", true);
    server.delete(&wide("wide"));
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/wide", false);
}

#[test]
fn who_may_read_one_namespace_follows_that_one() {
    let Some(server) = ApiServer::start() else { return };
    server.apply(SHOP);
    server.apply(&wide("wide").replace("namespace: shop", "namespace: elsewhere"));
    apply_role(&server);
    bind_tenant(&server);
    let watch = Watch::start(&server, &["--context", "tenant", "--allowed-namespace", "shop"]);
    let only = "of networkpolicies of the API group networking.k8s.io only those in shop were read";
    watch.hears("the gap", |event| event["gap"]["what"].to_string().contains(only));
    server.apply(&wide("wide"));
    watch.waits("unrestricted-ingress", "shop/NetworkPolicy/wide", true);
    watch.waits("unrestricted-ingress", "elsewhere/NetworkPolicy/wide", false);
    let gone =
        |event: &Value| event["event"] == "disappeared" && event["gap"]["what"].to_string().contains(only);
    assert!(!watch.events().iter().any(gone), "what may not be read stays a gap");
}
