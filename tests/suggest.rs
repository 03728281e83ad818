//! Policies for what was observed: they allow it, nothing more, and say what they leave out.

#![expect(clippy::disallowed_methods, reason = "tests write and read files")]

#[path = "common/files.rs"]
#[expect(dead_code, reason = "other tests write pcapng")]
mod files;

use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watertight"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .output()
        .expect("the tool runs")
}

fn json(arguments: &[&str]) -> serde_json::Value {
    let output = run(arguments);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"))
}

/// Manifests and capture of a world, the manifests with what is suggested among them.
fn applied(world: &str) -> (tempfile::TempDir, String, String, Output) {
    let (manifests, capture) =
        (format!("fixtures/{world}/manifests"), format!("fixtures/{world}/capture.pcap"));
    let output = run(&["suggest", &manifests, "--capture", &capture]);
    let folder = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&manifests)).expect("manifests")
    {
        let path = entry.expect("a file").path();
        std::fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("a copy");
    }
    std::fs::write(folder.path().join("zz-observed.yaml"), &output.stdout).expect("a file");
    (folder, manifests, capture, output)
}

#[test]
fn what_is_applied_breaks_nothing_that_was_seen_and_opens_nothing() {
    for world in ["shop", "proxies", "tls-everywhere"] {
        let (folder, manifests, capture, output) = applied(world);
        assert_eq!(output.status.code(), Some(0), "{world}: {}", String::from_utf8_lossy(&output.stderr));
        let new = folder.path().display().to_string();
        let diff =
            json(&["diff", &manifests, &new, "--capture", &capture, "-f", "json", "--fail-on", "never"]);
        assert_eq!(diff["flows"]["breaks"], serde_json::json!([]), "{world}");
        assert_eq!(diff["problems"], serde_json::json!({"old": [], "new": []}), "{world}");
        for kind in ["opens", "widens", "shifts", "ungoverned", "loses-conditions"] {
            assert_eq!(diff["summary"][kind], 0, "{world} {kind}");
        }
    }
}

#[test]
fn what_is_applied_closes_what_was_not_seen_and_what_policies_deny_stays_denied() {
    let (folder, _, _, output) = applied("shop");
    let (new, said) = (folder.path().display().to_string(), String::from_utf8(output.stdout).expect("text"));
    let explained = |from: &str, to: &str, port: &str| {
        String::from_utf8(run(&["explain", from, to, port, &new]).stdout).expect("text")
    };
    assert!(explained("shop/api", "data/cache", "tcp/6379").starts_with("ALLOWED"));
    assert!(explained("shop/api", "data/cache", "tcp/6380").starts_with("DENIED"));
    assert!(explained("shop/report", "data/cache", "tcp/6379").starts_with("DENIED"));
    assert!(explained("shop/report", "data/db", "tcp/5432").starts_with("DENIED"));
    let left = "#   shop/Deployment/report -> data/StatefulSet/db TCP/5432, 1 flow: the policies deny it\n";
    assert!(said.contains(left), "{said}");
    assert!(said.contains("#   22 paths are closed, 3 let less through\n"), "{said}");
    assert!(said.contains("#   shop/Deployment/report: nothing that it needs was seen\n"), "{said}");
}

#[test]
fn a_world_with_what_was_suggested_asks_for_the_same_once_more() {
    let (folder, _, capture, _) = applied("shop");
    let again = json(&["suggest", &folder.path().display().to_string(), "--capture", &capture, "-f", "json"]);
    assert_eq!(again["proof"]["holds"], true);
    assert_eq!((&again["proof"]["closes"], &again["proof"]["narrows"]), (&0.into(), &0.into()));
    let names: Vec<&str> =
        again["policies"].as_array().expect("policies").iter().filter_map(|p| p["name"].as_str()).collect();
    assert!(names.contains(&"data/NetworkPolicy/observed-deployment-cache"), "not a taken name: {names:?}");
}

#[test]
fn pings_have_no_words_and_the_proof_says_so() {
    let output =
        run(&["suggest", "fixtures/dual-stack/manifests", "--capture", "fixtures/dual-stack/capture.pcap"]);
    let said = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("#   WOULD BREAK: legacy/Deployment/app -> ops/Deployment/bastion ICMP"), "{said}");
    assert!(said.contains("ICMP, 1 flow: NetworkPolicy has no words for it"), "{said}");
}

fn ip(protocol: u8, from: [u8; 4], to: [u8; 4], body: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + body.len() as u16).to_be_bytes();
    [&[0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0][..], &from, &to, body].concat()
}

fn tcp(from: ([u8; 4], u16), to: ([u8; 4], u16), numbers: [u32; 2], flags: u8, payload: &[u8]) -> Vec<u8> {
    let ports = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
    let rest = [0x50, flags, 0xff, 0xff, 0, 0, 0, 0];
    let body = [&ports[..], &numbers[0].to_be_bytes(), &numbers[1].to_be_bytes(), &rest, payload].concat();
    ip(6, from.0, to.0, &body)
}

/// A connection that is opened and answered with a request in between.
fn talk(from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<Vec<u8>> {
    vec![
        tcp(from, to, [1_000, 0], 0x02, &[]),
        tcp(to, from, [9_000, 1_001], 0x12, &[]),
        tcp(from, to, [1_001, 9_001], 0x18, b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"),
        tcp(to, from, [9_001, 1_030], 0x18, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ]
}

const CLUSTER: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: x, labels: {app: web}}
spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}
status: {podIP: 10.0.0.5}
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: x, labels: {app: api, tier: back}}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.6}
---
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: x, labels: {tier: back}}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.7}
---
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: y}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.8}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: x}
spec: {clusterIP: 10.96.0.6, selector: {app: api}, ports: [{port: 80, targetPort: 9000}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: x}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
";

#[test]
fn services_ways_in_scans_and_pods_without_labels_are_each_told_apart() {
    const WEB: ([u8; 4], u16) = ([10, 0, 0, 5], 40_000);
    let outside = |last: u8| ([198, 51, 100, last], 50_000);
    let listens = |port: u16| ([10, 0, 0, 5], port);
    let mut packets = talk(WEB, ([10, 96, 0, 6], 80));
    packets.extend(talk(outside(7), listens(8080)));
    packets.extend(talk((WEB.0, 40_001), ([203, 0, 113, 9], 443)));
    packets.extend(talk(([10, 0, 0, 7], 40_002), listens(8080)));
    packets.extend(talk(([10, 0, 0, 8], 40_003), listens(8080)));
    // A scan: nobody answers on one port, and the other refuses.
    packets.push(tcp(outside(8), listens(22), [5, 0], 0x02, &[]));
    packets.push(tcp(outside(8), listens(23), [6, 0], 0x02, &[]));
    packets.push(tcp(listens(23), outside(8), [0, 7], 0x14, &[]));
    let timed: Vec<(u64, Vec<u8>)> =
        packets.into_iter().zip(1_u64..).map(|(packet, second)| (second * 1_000_000, packet)).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(place("all.yaml"), CLUSTER).expect("a file");
    std::fs::write(place("node.pcap"), files::pcap(101, &timed)).expect("a file");
    let told = json(&["suggest", &place("all.yaml"), "--capture", &place("node.pcap"), "-f", "json"]);
    assert_eq!(told["proof"]["holds"], true, "{told}");
    let policies = told["policies"].as_array().expect("policies");
    let yaml = |name: &str| {
        let policy = policies.iter().find(|policy| policy["name"] == format!("x/NetworkPolicy/{name}"));
        policy.map(|policy| policy["yaml"].as_str().expect("YAML").to_owned()).unwrap_or_default()
    };
    let web = yaml("observed-web");
    let [ingress, egress] = ["  ingress:", "  egress:"].map(|word| web.find(word).expect("a direction"));
    let (entering, leaving) = (&web[ingress..egress], &web[egress..]);
    // The service is its pods and their port; the way in is open to everybody on purpose.
    assert!(leaving.contains("podSelector: {matchLabels: {app: api, tier: back}}"), "{web}");
    assert!(leaving.contains("{protocol: TCP, port: 9000}") && !leaving.contains("port: 80}"), "{web}");
    assert!(leaving.contains("- ipBlock: {cidr: \"203.0.113.9/32\"}"), "{web}");
    assert!(entering.contains("cidr: \"0.0.0.0/0\""), "{web}");
    assert!(entering.contains("# allows x/Pod/api too, whose labels x/Pod/old shares"), "{web}");
    assert_eq!(told["proof"]["shut"], 2, "scans break nothing");
    assert!(!web.contains("port: 22") && !web.contains("port: 23"), "{web}");
    assert!(yaml("observed-api").contains("podSelector: {matchLabels: {app: web}}"));
    let listed = |key: &str, subject: &str| -> Vec<String> {
        let all = told[key].as_array().expect("a list").iter();
        let named = all.filter(|one| one.to_string().contains(subject));
        named.filter_map(|one| one["why"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(listed("left_out", "198.51.100.8"), ["it was not answered, or refused"; 2], "{told}");
    assert_eq!(
        listed("without", "x/Pod/old"),
        ["its labels select pods of x/Pod/api too; give it one of its own"]
    );
    assert_eq!(listed("without", "y/Pod/bare"), ["its pods have no labels to select them by"]);
}

#[test]
fn without_a_capture_there_is_nothing_to_suggest() {
    for arguments in [&["suggest", "fixtures/shop/manifests"][..], &["suggest", "--capture", "x.pcap"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("hint: "), "{arguments:?}");
    }
}
