//! Tunnels between pods: whether policies let them have the tunnel itself, whatever is in it.

mod common;
#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test takes datagrams in tunnels")]
mod frames;

use frames::{Ip, ethernet, udp};
use watertight::analysis;

const WEB: [u8; 4] = [10, 1, 0, 7];
const API: [u8; 4] = [10, 1, 0, 9];
const FAR: [u8; 4] = [10, 99, 0, 4];

fn pod(name: &str, address: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}}}\n\
         spec: {{nodeName: n1, containers: [{{name: c}}]}}\nstatus: {{podIP: {address}}}\n"
    )
}

/// Two pods, of which one may be called by the other on some ports.
fn cluster(ports: &str) -> String {
    let node = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n\
                status: {addresses: [{type: InternalIP, address: 192.168.1.10}]}\n";
    let policy = format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: api, namespace: shop}}\n\
         spec:\n  podSelector: {{matchLabels: {{app: api}}}}\n  policyTypes: [Ingress]\n  \
         ingress: [{{from: [{{podSelector: {{matchLabels: {{app: web}}}}}}], ports: [{ports}]}}]\n"
    );
    // Else the other one may have opened it.
    let closed = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}\n\
                  spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}\n";
    node.to_owned() + &pod("web", "10.1.0.7") + &pod("api", "10.1.0.9") + &policy + closed
}

/// What is in all tunnels: a datagram of ends that nobody knows.
fn inner(ahead: bool) -> Vec<u8> {
    let (one, other) = ([172, 20, 0, 1], [172, 20, 0, 2]);
    let (source, target) = if ahead { (one, other) } else { (other, one) };
    let ports = if ahead { (5_000, 6_000) } else { (6_000, 5_000) };
    Ip { id: 7, hops: 64, source, target }.whole(17, &udp(ports.0, ports.1, b"a datagram of some length"))
}

fn between(ends: ([u8; 4], [u8; 4]), protocol: u8, body: &[u8]) -> Vec<u8> {
    Ip { id: 9, hops: 64, source: ends.0, target: ends.1 }.whole(protocol, body)
}

/// IP in IP, both ways.
fn ipip(one: [u8; 4], other: [u8; 4]) -> Vec<Vec<u8>> {
    vec![between((one, other), 4, &inner(true)), between((other, one), 4, &inner(false))]
}

/// GRE, both ways.
fn gre(one: [u8; 4], other: [u8; 4]) -> Vec<Vec<u8>> {
    let whole = |ends, ahead| between(ends, 47, &[&[0, 0, 8, 0][..], &inner(ahead)].concat());
    vec![whole((one, other), true), whole((other, one), false)]
}

/// VXLAN on a port, both ways.
fn vxlan(one: [u8; 4], other: [u8; 4], port: u16) -> Vec<Vec<u8>> {
    let whole = |ends, ahead| {
        let frame = [&[8, 0, 0, 0, 0, 0, 5, 0][..], &ethernet(0x0800, &inner(ahead))].concat();
        between(ends, 17, &udp(40_000, port, &frame))
    };
    vec![whole((one, other), true), whole((other, one), false)]
}

/// Findings of checks that hold flows against policies, and gaps on tunnels.
fn found(manifests: &str, packets: &[Vec<u8>]) -> (Vec<String>, Vec<String>) {
    let (findings, gaps) = found_under("", manifests, packets);
    let checks = ["observed-but-denied", "allowed-but-unused"];
    (findings.into_iter().filter(|words| checks.iter().any(|check| words.starts_with(check))).collect(), gaps)
}

/// All findings under a contract, and those gaps.
fn found_under(contract: &str, manifests: &str, packets: &[Vec<u8>]) -> (Vec<String>, Vec<String>) {
    let (analysis, problems) = common::analyse_under(contract, manifests, None);
    assert!(problems.is_empty(), "{problems:?}");
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    for (at, packet) in packets.iter().enumerate() {
        let length = packet.len() as u32;
        let words = [1_700_000_000, at as u32 * 100, length, length];
        words.iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(packet);
    }
    let captures = vec![("hand".to_owned(), Box::new(file.as_slice()) as Box<dyn std::io::Read + Send>)];
    let (observed, errors) = analysis::observe(captures, &analysis.inventory, 1);
    assert!(errors.is_empty(), "{errors:?}");
    let analysis = analysis::reviewed(analysis, observed);
    let words = analysis.findings.iter().map(|f| format!("{} {} {}", f.check, f.subject, f.detail)).collect();
    let gaps =
        analysis.gaps.iter().map(|gap| gap.what.clone()).filter(|what| what.contains("tunnels of pods"));
    (words, gaps.collect())
}

#[test]
fn a_tunnel_between_pods_is_held_against_policies_by_itself() {
    let web_only = cluster("{port: 443}");
    let denied = |what: &str| {
        vec![
            "allowed-but-unused shop/NetworkPolicy/api ingress ingress[0]".to_owned(),
            format!("observed-but-denied shop/Pod/web -> shop/Pod/api {what}"),
        ]
    };
    let of = |packets: &[Vec<u8>]| {
        let (mut findings, gaps) = found(&web_only, packets);
        findings.sort();
        assert_eq!(gaps, [] as [&str; 0]);
        findings
    };
    let last = |findings: Vec<String>| findings.last().cloned().unwrap_or_default();
    assert_eq!(last(of(&ipip(WEB, API))), denied("IP4")[1]);
    // Nothing tells who opened it.
    assert_eq!(last(of(&ipip(API, WEB))), denied("IP4")[1]);
    assert_eq!(last(of(&gre(WEB, API))), denied("IP47")[1]);
    assert_eq!(of(&vxlan(WEB, API, 4_789)), denied("UDP/4789"));
    assert_eq!(of(&vxlan(WEB, API, 8_472)), denied("UDP/8472"));
    // The rule is for the tunnel: it was used, and nothing is denied.
    let allowed = cluster("{port: 4789, protocol: UDP}");
    assert_eq!(found(&allowed, &vxlan(WEB, API, 4_789)), (vec![], vec![]));
    assert_eq!(found(&allowed, &vxlan(API, WEB, 4_789)), (vec![], vec![]));
}

#[test]
fn tunnels_of_nodes_are_no_affair_of_policies_and_those_of_nobody_are_told() {
    let node = [192, 168, 1, 10];
    let (findings, gaps) = found(&cluster("{port: 443}"), &ipip(node, [192, 168, 1, 11]));
    assert_eq!((findings, gaps), (vec![], vec![]));
    // The other end is a private address that no object explains.
    let (_, gaps) = found(&cluster("{port: 443}"), &ipip(API, FAR));
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    // A port that is none of VXLAN's may be another one with each packet.
    let (_, gaps) = found(&cluster("{port: 443}"), &vxlan(WEB, API, 12_345));
    assert_eq!(gaps.len(), 1, "{gaps:?}");
}

#[test]
fn a_tunnel_between_segments_is_held_against_their_rules() {
    let segments = "segments:\n  web: {namespaces: [shop], podLabels: {app: web}}\n  \
                    api: {namespaces: [shop], podLabels: {app: api}}\n";
    let ahead = "rules:\n- {from: web, to: api, allow: [tcp/443]}\n";
    let back = "- {from: api, to: web, allow: never}\n";
    let broken = |rules: &str, packets: &[Vec<u8>]| {
        let contract = format!("{segments}{rules}");
        let (findings, _) = found_under(&contract, &cluster("{port: 443}"), packets);
        findings.into_iter().filter(|words| words.starts_with("segment-rule-broken")).count()
    };
    let both = format!("{ahead}{back}");
    for tunnel in [ipip(WEB, API), vxlan(WEB, API, 4_789), gre(API, WEB)] {
        assert_eq!(broken(&both, &tunnel), broken(&both, &[]) + 1);
        // The other end may have opened it, and nothing is said of that.
        assert_eq!(broken(ahead, &tunnel), broken(ahead, &[]));
    }
    let pods = pod("web", "10.1.0.7") + &pod("api", "10.1.0.9");
    let unsegmented = |packets: &[Vec<u8>]| {
        let (findings, _) = found_under(segments, &pods, packets);
        findings.into_iter().filter(|words| words.starts_with("unsegmented-flow")).collect::<Vec<_>>()
    };
    let told = ["unsegmented-flow shop/Pod/web -> shop/Pod/api UDP/4789"];
    assert_eq!(unsegmented(&vxlan(WEB, API, 4_789)), told);
    assert_eq!(unsegmented(&[]), [] as [&str; 0]);
}
