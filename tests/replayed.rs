//! What a change of policies does to flows that were seen: those without ports, and those that came
//! by the port of a node.

mod common;
#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test takes plain segments and messages")]
mod frames;

use frames::{Ip, tcp};
use watertight::analysis;

const WEB: [u8; 4] = [10, 1, 0, 7];
const API: [u8; 4] = [10, 1, 0, 9];
const NODE: [u8; 4] = [192, 168, 1, 10];

const CLUSTER: &str = "\
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 192.168.1.10}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: c}]}
status: {podIP: 10.1.0.7}
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop, labels: {app: api}}
spec: {nodeName: n1, containers: [{name: c, ports: [{containerPort: 80, hostPort: 8080}]}]}
status: {podIP: 10.1.0.9}
";

/// A policy by which web may call a port of api.
fn opened(port: u16) -> String {
    format!(
        "{CLUSTER}---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: api, namespace: shop}}\n\
         spec: {{podSelector: {{matchLabels: {{app: api}}}}, policyTypes: [Ingress], ingress: [{{from: [{{podSelector: \
         {{matchLabels: {{app: web}}}}}}], ports: [{{port: {port}}}]}}]}}\n"
    )
}

/// From, to, protocol, and what stands behind the header of IP.
type Packet = ([u8; 4], [u8; 4], u8, Vec<u8>);

/// Which of some packets, a millisecond apart, a change would break.
fn broken(old: &str, new: &str, packets: &[Packet]) -> Vec<String> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    for (number, (source, target, protocol, body)) in packets.iter().enumerate() {
        let ip = Ip { id: number as u16 + 1, hops: 64, source: *source, target: *target };
        let packet = ip.whole(*protocol, body);
        let length = packet.len() as u32;
        let words = [1_700_000_000, number as u32 * 1_000, length, length];
        words.iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(packet);
    }
    let [old, new] = [old, new].map(|text| common::analyse_under("", text, None).0);
    let captures = vec![("hand".to_owned(), Box::new(file.as_slice()) as Box<dyn std::io::Read + Send>)];
    let (observed, errors) = analysis::observe(captures, &old.inventory, 1);
    assert!(errors.is_empty(), "{errors:?}");
    let (_, replay) = analysis::compared(&old, &new, &observed);
    replay.breaks.iter().map(|flow| format!("{} -> {} {}", flow.from, flow.to, flow.traffic)).collect()
}

fn message(kind: u8) -> Vec<u8> {
    [&[kind, 0, 0xf7, 0xff, 0, 1, 0, 1][..], &[7; 48]].concat()
}

#[test]
fn a_ping_breaks_by_who_asked_and_an_error_never_does() {
    let new = opened(80);
    let ping = [(WEB, API, 1, message(8)), (API, WEB, 1, message(0))];
    assert_eq!(broken(CLUSTER, &new, &ping), ["shop/Pod/web -> shop/Pod/api ICMP"]);
    // Heard from the answer on.
    let late = [(API, WEB, 1, message(0)), (WEB, API, 1, message(8)), (API, WEB, 1, message(0))];
    assert_eq!(broken(CLUSTER, &new, &late), ["shop/Pod/web -> shop/Pod/api ICMP"]);
    // Who is let in by a policy gets the errors that belong to what it let in.
    let error = [(WEB, API, 1, message(3))];
    assert_eq!(broken(CLUSTER, &new, &error), [] as [&str; 0]);
}

#[test]
fn a_call_by_a_host_port_breaks_by_the_port_of_the_container() {
    let call = [
        (WEB, NODE, 6, tcp((40_000, 8_080), 70_000, 0, 2, b"")),
        (NODE, WEB, 6, tcp((8_080, 40_000), 90_000, 70_001, 0x12, b"")),
        (WEB, NODE, 6, tcp((40_000, 8_080), 70_001, 90_001, 0x18, b"GET / HTTP/1.1\r\n\r\n")),
    ];
    assert_eq!(broken(CLUSTER, &opened(80), &call), [] as [&str; 0]);
    assert_eq!(broken(CLUSTER, &opened(8_080), &call), ["shop/Pod/web -> shop/Pod/api TCP/8080"]);
}
