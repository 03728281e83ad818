//! What nodes send to pods of other nodes: a node's own pods let it in whatever policies say, those of
//! another one only where a policy does.

#![expect(clippy::disallowed_methods, reason = "tests write the files that they try")]

mod common;
#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test takes plain segments")]
mod frames;

use frames::{Ip, tcp};
use std::process::Command;

const FIRST: [u8; 4] = [192, 168, 1, 10];
const SECOND: [u8; 4] = [192, 168, 1, 20];

/// Two nodes, and a pod on the second that nobody may call.
const CLUSTER: &str = "\
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 192.168.1.10}]}
---
apiVersion: v1
kind: Node
metadata: {name: n2}
status: {addresses: [{type: InternalIP, address: 192.168.1.20}]}
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop, labels: {app: api}}
spec: {nodeName: n2, containers: [{name: c, ports: [{containerPort: 8080}]}]}
status: {podIP: 10.1.2.9}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {clusterIP: 10.96.0.9, selector: {app: api}, ports: [{port: 80, targetPort: 8080}]}
";

/// A pod of one DaemonSet on the network of each node.
const AGENTS: &str = "\
---
apiVersion: v1
kind: Pod
metadata: {name: agent-1, namespace: kube-system, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: agent, controller: true, uid: a}]}
spec: {nodeName: n1, hostNetwork: true, containers: [{name: c}]}
status: {podIP: 192.168.1.10}
---
apiVersion: v1
kind: Pod
metadata: {name: agent-2, namespace: kube-system, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: agent, controller: true, uid: a}]}
spec: {nodeName: n2, hostNetwork: true, containers: [{name: c}]}
status: {podIP: 192.168.1.20}
";

fn policy(peers: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: api, namespace: shop}}\n\
         spec: {{podSelector: {{}}, policyTypes: [Ingress]{peers}}}\n"
    )
}

/// A connection that is answered, as a capture has it.
fn call(from: [u8; 4], to: [u8; 4], port: u16) -> Vec<u8> {
    translated(&[(from, to, port)])
}

/// The same before and after its addresses were translated.
fn translated(legs: &[([u8; 4], [u8; 4], u16)]) -> Vec<u8> {
    let segment = |(source, target): ([u8; 4], [u8; 4]), ports, number, known, flags, said: &[u8]| {
        Ip { id: 1, hops: 64, source, target }.whole(6, &tcp(ports, number, known, flags, said))
    };
    let whole = |&(from, to, port): &([u8; 4], [u8; 4], u16)| {
        let (there, back) = (((from, to), (40_000, port)), ((to, from), (port, 40_000)));
        [
            segment(there.0, there.1, 7_100_123, 0, 2, b""),
            segment(back.0, back.1, 9_500_321, 7_100_124, 0x12, b""),
            segment(there.0, there.1, 7_100_124, 9_500_322, 0x18, b"GET / HTTP/1.1\r\nHost: api\r\n\r\n"),
            segment(
                back.0,
                back.1,
                9_500_322,
                7_100_152,
                0x18,
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            ),
        ]
    };
    let packets: Vec<Vec<u8>> = legs.iter().flat_map(whole).collect();
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    for (at, packet) in (0u32..).zip(&packets) {
        let length = packet.len() as u32;
        [1_700_000_000, at, length, length].iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(packet);
    }
    file
}

/// The tool's answer as JSON, to files of these names.
fn asked(words: &[&str], files: &[(&str, &[u8])]) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("a file");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .current_dir(folder.path())
        .args(words)
        .args(["-f", "json", "--fail-on", "never"])
        .output()
        .expect("the tool runs");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// What was seen and is denied.
fn denied(manifests: &str, engine: &str, (from, to, port): ([u8; 4], [u8; 4], u16)) -> Vec<String> {
    denied_in(manifests, engine, &call(from, to, port))
}

fn denied_in(manifests: &str, engine: &str, capture: &[u8]) -> Vec<String> {
    let files = [("m.yaml", manifests.as_bytes()), ("c.pcap", capture)];
    let report = asked(&["check", "m.yaml", "--capture", "c.pcap", "--engine", engine], &files);
    let findings = report["findings"].as_array().expect("findings").iter();
    let denied = findings.filter(|finding| finding["check"] == "observed-but-denied");
    denied.map(|finding| finding["subject"].as_str().expect("a subject").to_owned()).collect()
}

const API: [u8; 4] = [10, 1, 2, 9];
const SERVICE: [u8; 4] = [10, 96, 0, 9];

#[test]
fn a_node_answers_to_the_policies_of_pods_on_other_nodes() {
    let bare = CLUSTER.to_owned() + &policy("");
    let manned = CLUSTER.to_owned() + AGENTS + &policy("");
    for (to, port) in [(API, 8_080), (SERVICE, 80)] {
        for engine in ["auto", "calico"] {
            let called = if to == API { "shop/Pod/api" } else { "shop/Service/api" };
            assert_eq!(denied(&bare, engine, (FIRST, to, port)), [format!("Node/n1 -> {called}")]);
            let agent = [format!("kube-system/DaemonSet/agent -> {called}")];
            assert_eq!(denied(&manned, engine, (FIRST, to, port)), agent);
            // Its own pods let it in, so that the kubelet can probe.
            assert_eq!(denied(&bare, engine, (SECOND, to, port)), [] as [&str; 0]);
            assert_eq!(denied(&manned, engine, (SECOND, to, port)), [] as [&str; 0]);
        }
        let block = policy(", ingress: [{from: [{ipBlock: {cidr: 192.168.1.0/24}}]}]");
        for manifests in [CLUSTER.to_owned() + &block, CLUSTER.to_owned() + AGENTS + &block] {
            assert_eq!(denied(&manifests, "auto", (FIRST, to, port)), [] as [&str; 0]);
        }
        // Where blocks never mean nodes, nothing is known of an address by itself.
        assert_eq!(denied(&bare, "cilium", (FIRST, to, port)), [] as [&str; 0]);
    }
}

#[test]
fn what_a_pod_sends_to_another_node_answers_to_its_policies() {
    let shut = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: out, namespace: shop}\n\
                spec: {podSelector: {}, policyTypes: [Egress]}\n";
    let to = |address| (API, address, 10_250);
    let manifests = CLUSTER.to_owned() + shut;
    assert_eq!(denied(&manifests, "auto", to(FIRST)), ["shop/Pod/api -> Node/n1"]);
    // What becomes of calls to its own node is left to the dataplane.
    assert_eq!(denied(&manifests, "auto", to(SECOND)), [] as [&str; 0]);
    assert_eq!(denied(CLUSTER, "auto", to(FIRST)), [] as [&str; 0]);
    assert_eq!(denied(&manifests, "cilium", to(FIRST)), [] as [&str; 0]);
}

#[test]
fn a_rule_for_a_service_that_leads_to_a_node_may_count_before_the_translation() {
    let kubernetes = "---\napiVersion: v1\nkind: Service\nmetadata: {name: kubernetes, namespace: default}\n\
                      spec: {clusterIP: 10.96.0.1, ports: [{port: 443, targetPort: 6443}]}\n\
                      ---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: kubernetes, namespace: default}\n\
                      subsets: [{addresses: [{ip: 192.168.1.10}], ports: [{port: 6443}]}]\n";
    let out = |block: &str| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: out, namespace: shop}}\n\
             spec: {{podSelector: {{}}, policyTypes: [Egress], egress: [{{to: [{{ipBlock: {{cidr: {block}}}}}]}}]}}\n"
        )
    };
    let both = translated(&[(API, [10, 96, 0, 1], 443), (API, FIRST, 6_443)]);
    let found =
        |block: &str| denied_in(&(CLUSTER.to_owned() + kubernetes + &out(block)), "auto", &both).len();
    assert_eq!((found("10.96.0.1/32"), found("192.168.1.10/32"), found("203.0.113.0/24")), (0, 0, 1));
}

#[test]
fn where_the_pods_run_is_not_known_nothing_is_said_to_be_denied() {
    let manifests =
        (CLUSTER.to_owned() + AGENTS + &policy("")).replace("nodeName: n2, containers", "containers");
    assert_eq!(denied(&manifests, "auto", (FIRST, API, 8_080)), [] as [&str; 0]);
}

#[test]
fn a_diff_tells_that_what_another_node_sends_would_break() {
    let (old, new) = (CLUSTER.to_owned() + AGENTS, CLUSTER.to_owned() + AGENTS + &policy(""));
    let breaks = |from| {
        let files =
            [("old.yaml", old.as_bytes()), ("new.yaml", new.as_bytes()), ("c.pcap", &call(from, API, 8_080))];
        let diff = asked(&["diff", "old.yaml", "new.yaml", "--capture", "c.pcap"], &files);
        diff["flows"]["breaks"].as_array().expect("flows").len()
    };
    assert_eq!((breaks(FIRST), breaks(SECOND)), (1, 0));
}

#[test]
fn the_overlay_tells_what_was_seen_though_it_is_denied() {
    let overlay = |manifests: &str, what: &str| {
        let files = [("m.yaml", manifests.as_bytes()), ("c.pcap", &call(FIRST, API, 8_080))];
        asked(&["graph", "m.yaml", "--capture", "c.pcap", "--what", what], &files)["observed"].clone()
    };
    let shut = CLUSTER.to_owned() + &policy("");
    assert_eq!(overlay(&shut, "overlay")[0]["denied"], true);
    assert!(overlay(CLUSTER, "overlay")[0].get("denied").is_none());
    // What was seen by itself is held against nothing.
    assert!(overlay(&shut, "observed")[0].get("denied").is_none());
}
