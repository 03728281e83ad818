//! Who talked to whom: packets as they are met, the flows that they make, and what is found in them
//! beside what the configuration allows. Captures are made by hand, packet by packet.

mod common;
#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test takes plain segments and datagrams")]
mod frames;

use frames::{Ip, tcp, udp};
use watertight::analysis::{self, Analysis};
use watertight::observed::ObservedFlow;

const WEB: End = ([10, 1, 0, 7], 45_000);
const API: [u8; 4] = [10, 1, 0, 9];
const NODE: [u8; 4] = [192, 168, 1, 10];

type End = ([u8; 4], u16);

/// Packets with their times in microseconds.
#[derive(Default)]
struct Tape(Vec<(u32, Vec<u8>)>);

impl Tape {
    fn packet(&mut self, at: u32, id: u16, protocol: u8, (from, to): (End, End), body: &[u8]) {
        self.0.push((at, Ip { id, hops: 64, source: from.0, target: to.0 }.whole(protocol, body)));
    }

    /// A request in the clear and its answer, from their handshake on.
    fn call(mut self, at: u32, client: End, server: End) -> Tape {
        // Connections that begin with the same numbers are legs of one.
        let base = u32::from(client.1) << 16;
        self.segment(at, client, server, (base + 100, 0), 2, b"");
        self.segment(at + 1, server, client, (500, base + 101), 0x12, b"");
        self.segment(at + 2, client, server, (base + 101, 501), 0x18, b"GET / HTTP/1.1\r\nHost: api\r\n\r\n");
        self.answer(at + 3, client, server)
    }

    /// The answer alone.
    fn answer(mut self, at: u32, client: End, server: End) -> Tape {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        self.segment(at, server, client, (501, 129), 0x18, answer);
        self
    }

    fn segment(
        &mut self,
        at: u32,
        from: End,
        to: End,
        (sequence, known): (u32, u32),
        flags: u8,
        said: &[u8],
    ) {
        let id = self.0.len() as u16 + 1;
        self.packet(at, id, 6, (from, to), &tcp((from.1, to.1), sequence, known, flags, said));
    }

    /// A question and an answer in datagrams with an IP identification, or none.
    fn ask(mut self, at: u32, id: u16, client: End, server: End) -> Tape {
        let question = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03api\0\0\x01\0\x01";
        let mut answer = question.to_vec();
        answer[2] = 0x81;
        self.packet(at, id, 17, (client, server), &udp(client.1, server.1, question));
        self.packet(at + 50, id, 17, (server, client), &udp(server.1, client.1, &answer));
        self
    }

    fn file(mut self) -> Vec<u8> {
        self.0.sort_by_key(|(at, _)| *at);
        let mut file =
            vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
        for (at, packet) in &self.0 {
            let length = packet.len() as u32;
            [1_700_000_000, *at, length, length].iter().for_each(|word| file.extend(word.to_le_bytes()));
            file.extend(packet);
        }
        file
    }
}

/// Flows by the names of their ends, and findings of the checks that are asked about.
fn seen(manifests: &str, contract: &str, tape: Tape, checks: &[&str]) -> (Vec<String>, Vec<String>) {
    let (analysis, problems) = common::analyse_under(contract, manifests, None);
    assert!(problems.is_empty(), "{problems:?}");
    let file = tape.file();
    let captures = vec![("hand".to_owned(), Box::new(file.as_slice()) as Box<dyn std::io::Read + Send>)];
    let (observed, errors) = analysis::observe(captures, &analysis.inventory, 1);
    assert!(errors.is_empty(), "{errors:?}");
    let analysis = analysis::reviewed(analysis, observed);
    let flows = analysis.observed.flows.iter().map(|seen| words(&analysis, &seen)).collect();
    let findings = analysis.findings.iter().filter(|finding| checks.contains(&finding.check));
    (flows, findings.map(|finding| format!("{} {}", finding.check, finding.subject)).collect())
}

fn words(analysis: &Analysis, seen: &ObservedFlow) -> String {
    let name = |party: &watertight::observed::Party, ip| party.name(&analysis.inventory, ip);
    let (from, to) = (seen.flow.initiator, seen.flow.responder);
    let (caller, called) = (name(&seen.initiator, from.ip), name(&seen.responder, to.ip));
    let clear = if seen.in_the_clear() { " in the clear" } else { "" };
    format!("{caller} -> {called} {}{clear}", to.port)
}

fn pod(namespace: &str, name: &str, address: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}\n\
         spec: {{nodeName: n1, {more}}}\nstatus: {{podIP: {address}}}\n"
    )
}

fn service(name: &str, address: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{clusterIP: {address}, {more}}}\n"
    )
}

/// Nobody may call what has this label.
fn closed(app: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {app}, namespace: shop}}\n\
         spec: {{podSelector: {{matchLabels: {{app: {app}}}}}, policyTypes: [Ingress]}}\n"
    )
}

/// A node with something on its network, and two pods, of which one declares its port.
fn cluster() -> String {
    let node = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n\
                status: {addresses: [{type: InternalIP, address: 192.168.1.10}]}\n";
    node.to_owned()
        + &pod("shop", "web", "10.1.0.7", "containers: [{name: c}]")
        + &pod("shop", "api", "10.1.0.9", "containers: [{name: c, ports: [{containerPort: 50051}]}]")
        + &pod("kube-system", "proxy", "192.168.1.10", "hostNetwork: true, containers: [{name: c}]")
}

const DENIED: &[&str] = &["observed-but-denied", "unsegmented-flow"];

#[test]
fn a_call_through_a_node_port_is_one_of_its_client_also_where_its_legs_have_no_order() {
    let client = ([203, 0, 113, 5], 40_000);
    let through = |apart: u32| {
        let outer = Tape::default().call(1_000, client, (NODE, 30_080));
        outer.call(1_000 + apart - 500, (NODE, 40_000), (API, 8_080))
    };
    for apart in [500, 0, 900] {
        let (flows, findings) = seen(&cluster(), "", through(apart), &["plaintext-flow"]);
        assert_eq!(flows, ["203.0.113.5 -> shop/Pod/api 8080 in the clear"], "{apart}");
        assert_eq!(findings, ["plaintext-flow 203.0.113.5 -> shop/Pod/api"], "{apart}");
    }
}

#[test]
fn a_port_of_nodes_is_the_service_behind_it_and_not_what_runs_on_their_network() {
    let manifests = cluster()
        + &service(
            "api",
            "10.96.0.9",
            "type: NodePort, selector: {app: api}, ports: [{port: 80, targetPort: 50051, nodePort: 30080}]",
        )
        + &pod(
            "shop",
            "in",
            "10.1.0.20",
            "containers: [{name: c, ports: [{containerPort: 443, hostPort: 443}]}]",
        )
        + &closed("api");
    let from = |port: u16| (WEB.0, port);
    let tape = || {
        let service = Tape::default().call(0, from(45_000), (NODE, 30_080));
        service.call(1_000, from(45_001), (NODE, 443)).call(2_000, from(45_002), (NODE, 10_250))
    };
    let (flows, findings) = seen(&manifests, "", tape(), &["observed-but-denied"]);
    let wanted =
        ["Service/api 30080", "Pod/in 443"].map(|to| format!("shop/Pod/web -> shop/{to} in the clear"));
    assert_eq!(flows[..2], wanted);
    assert_eq!(flows[2], "shop/Pod/web -> kube-system/Pod/proxy 10250 in the clear");
    assert_eq!(findings, ["observed-but-denied shop/Pod/web -> shop/Service/api"]);
    // Where the pod takes what comes from nodes, it may have seen one.
    let opened = manifests.replace(
        "policyTypes: [Ingress]",
        "policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 192.168.1.0/24}}]}]",
    );
    assert_eq!(seen(&opened, "", tape(), &["observed-but-denied"]).1, [] as [&str; 0]);
}

#[test]
fn services_that_share_an_address_are_told_by_the_port() {
    let shared = "externalIPs: [192.168.9.9]";
    let manifests = cluster()
        + &service(
            "api",
            "10.96.0.9",
            &format!("{shared}, selector: {{app: api}}, ports: [{{port: 80, targetPort: 50051}}]"),
        )
        + &service("web", "10.96.0.8", &format!("{shared}, selector: {{app: web}}, ports: [{{port: 443}}]"))
        + &closed("api");
    let tape = Tape::default().call(0, WEB, ([192, 168, 9, 9], 80));
    let (flows, findings) = seen(&manifests, "", tape, DENIED);
    assert_eq!(flows, ["shop/Pod/web -> shop/Service/api 80 in the clear"]);
    assert_eq!(findings, ["observed-but-denied shop/Pod/web -> shop/Service/api"]);
}

#[test]
fn a_service_that_leads_out_of_the_cluster_is_judged_where_it_leads() {
    let manifests = |egress: &str| {
        cluster()
            + &service("kubernetes", "10.96.0.1", "ports: [{name: https, port: 443, targetPort: 6443}]")
            + "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: kubernetes, namespace: shop}\n\
               subsets: [{addresses: [{ip: 192.168.1.99}], ports: [{name: https, port: 6443}]}]\n"
            + "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: out, namespace: shop}\n"
            + &format!("spec: {{podSelector: {{}}, policyTypes: [Egress], egress: [{egress}]}}\n")
    };
    let found = |egress: &str| {
        let tape = Tape::default().call(0, WEB, ([10, 96, 0, 1], 443));
        seen(&manifests(egress), "", tape, DENIED).1.len()
    };
    assert_eq!(found(""), 1);
    assert_eq!(found("{to: [{ipBlock: {cidr: 192.168.1.99/32}}], ports: [{port: 6443}]}"), 0);
    assert_eq!(found("{to: [{ipBlock: {cidr: 192.168.1.99/32}}], ports: [{port: 443}]}"), 1);
    // Some firewalls look before the address is translated.
    assert_eq!(found("{to: [{ipBlock: {cidr: 10.96.0.1/32}}], ports: [{port: 443}]}"), 0);
}

#[test]
fn a_flow_that_was_joined_late_goes_to_the_end_that_is_declared() {
    let answer = || Tape::default().answer(0, WEB, (API, 50_051));
    let late = |closed_one: &str| seen(&(cluster() + &closed(closed_one)), "", answer(), DENIED);
    assert_eq!(late("web"), (vec!["shop/Pod/web -> shop/Pod/api 50051 in the clear".to_owned()], vec![]));
    assert_eq!(late("api").1, ["observed-but-denied shop/Pod/web -> shop/Pod/api"]);
    // A service says where its pods listen, too.
    let leads = service("api", "10.96.0.9", "selector: {app: api}, ports: [{port: 80, targetPort: 50052}]");
    let tape = Tape::default().answer(0, WEB, (API, 50_052));
    let (flows, _) = seen(&(cluster() + &leads), "", tape, DENIED);
    assert_eq!(flows, ["shop/Pod/web -> shop/Pod/api 50052 in the clear"]);
}

#[test]
fn nobody_is_accused_by_the_order_of_packets_alone() {
    // Neither port says anything: the one that was heard first is taken for who called.
    let tape = || Tape::default().answer(0, WEB, (API, 60_000));
    let (flows, findings) = seen(&(cluster() + &closed("web")), "", tape(), DENIED);
    assert_eq!(flows, ["shop/Pod/api -> shop/Pod/web 45000 in the clear"]);
    assert_eq!(findings, [] as [&str; 0]);
    // Denied either way, it is denied.
    let both = cluster() + &closed("web") + &closed("api");
    assert_eq!(seen(&both, "", tape(), DENIED).1, ["observed-but-denied shop/Pod/api -> shop/Pod/web"]);
}

#[test]
fn a_rule_counts_as_used_whoever_was_heard_first() {
    let allows = closed("api").replace(
        "policyTypes: [Ingress]",
        "policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 60000}]}]",
    );
    let unused = |tape| seen(&(cluster() + &allows), "", tape, &["allowed-but-unused"]).1;
    assert_eq!(unused(Tape::default().answer(0, WEB, (API, 60_000))), [] as [&str; 0]);
    let other = Tape::default().call(0, WEB, (API, 50_051));
    assert_eq!(unused(other), ["allowed-but-unused shop/NetworkPolicy/api"]);
}

#[test]
fn a_mesh_promises_nothing_for_who_was_heard_first() {
    let strict = "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
                  metadata: {name: default, namespace: shop}\nspec: {mtls: {mode: STRICT}}\n";
    let meshed = cluster()
        .replace("labels: {app: api}", "labels: {app: api}, annotations: {sidecar.istio.io/status: \"{}\"}");
    // Both ends are declared, so that the ports do not say who called.
    let both = meshed
        + strict
        + &service("api", "10.96.0.9", "selector: {app: api}, ports: [{port: 80, targetPort: 60000}]")
        + &service("web", "10.96.0.8", "selector: {app: web}, ports: [{port: 80, targetPort: 45000}]");
    let found = |tape| seen(&both, "", tape, &["expected-mtls-seen-plaintext"]).1;
    let expected = ["expected-mtls-seen-plaintext shop/Pod/web -> shop/Pod/api"];
    assert_eq!(found(Tape::default().call(0, WEB, (API, 60_000))), expected);
    assert_eq!(found(Tape::default().answer(0, WEB, (API, 60_000))), [] as [&str; 0]);
}

#[test]
fn an_address_that_the_contract_names_is_outside_and_known() {
    let manifests = cluster() + &closed("api");
    let checks = ["observed-but-denied", "unattributed-endpoint"];
    let found = |contract: &str| {
        let tape = Tape::default().call(0, ([10, 50, 0, 8], 40_000), (API, 8_080));
        seen(&manifests, contract, tape, &checks).1
    };
    assert_eq!(found(""), ["unattributed-endpoint 10.50.0.8"]);
    assert_eq!(found("networks: {office: 10.50.0.0/16}"), ["observed-but-denied 10.50.0.8 -> shop/Pod/api"]);
}

#[test]
fn one_question_to_two_name_servers_is_two_flows() {
    let manifests =
        cluster() + &service("dns", "10.96.0.10", "selector: {app: api}, ports: [{port: 53, protocol: UDP}]");
    let (service, pod, public) = (([10, 96, 0, 10], 53), (API, 53), ([8, 8, 8, 8], 53));
    let flows = |id: u16, ends: [End; 2]| {
        let tape =
            ends.into_iter().fold(Tape::default(), |tape, end| tape.ask(u32::from(end.0[0]), id, WEB, end));
        seen(&manifests, "", tape, DENIED).0
    };
    let to = |name: &str| format!("shop/Pod/web -> {name} 53 in the clear");
    assert_eq!(flows(0, [service, public]), [to("8.8.8.8"), to("shop/Service/dns")]);
    assert_eq!(flows(0, [service, pod]), [to("shop/Pod/api")]);
    // With an identification it is the same packet, whoever the ends are.
    assert_eq!(flows(7, [service, public]).len(), 1);
}

#[test]
fn two_pods_of_one_workload_are_two_ends() {
    let owned = |name: &str, address: &str| {
        let owner = "ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, controller: true}]";
        pod("shop", name, address, "containers: [{name: c}]")
            .replace("labels:", &format!("{owner}, labels:"))
            .replace(&format!("app: {name}"), "app: db")
    };
    let manifests = owned("db-0", "10.1.0.7") + &owned("db-1", "10.1.0.9");
    let tape = Tape::default().call(0, WEB, (API, 2_380)).call(1_000, (WEB.0, 45_001), (WEB.0, 2_380));
    let (flows, findings) = seen(&manifests, "", tape, &["plaintext-flow"]);
    assert_eq!(flows.len(), 2, "{flows:?}");
    // What a pod says to itself is heard by nobody.
    assert_eq!(findings, ["plaintext-flow shop/StatefulSet/db -> shop/StatefulSet/db"]);
}

#[test]
fn what_nodes_encrypt_on_its_way_is_told_from_what_nobody_encrypts() {
    let node = |name: &str, address: &str| {
        format!(
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\n\
             status: {{addresses: [{{type: InternalIP, address: {address}}}]}}\n"
        )
    };
    let on_other = |text: String| text.replace("nodeName: n1", "nodeName: n2");
    let manifests = "apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: default}\n\
                     spec: {wireguardEnabled: true}\n"
        .to_owned()
        + &node("n1", "192.168.1.10")
        + &node("n2", "192.168.1.11")
        + &pod("shop", "web", "10.1.0.7", "containers: [{name: c}]")
        + &on_other(pod("shop", "api", "10.1.0.9", "containers: [{name: c}]"));
    let severities = |tape: Tape, manifests: &str| {
        let (analysis, _) = common::analyse_under("", manifests, None);
        let file = tape.file();
        let captures = vec![("hand".to_owned(), Box::new(file.as_slice()) as Box<dyn std::io::Read + Send>)];
        let (observed, _) = analysis::observe(captures, &analysis.inventory, 1);
        let analysis = analysis::reviewed(analysis, observed);
        let found = analysis.findings.iter().filter(|finding| finding.check == "plaintext-flow");
        found
            .map(|finding| (finding.severity.word(), finding.message.contains("WireGuard")))
            .collect::<Vec<_>>()
    };
    let wireguard = |mut tape: Tape, peer: [u8; 4]| {
        // Spread as cipher text is.
        let spread = |length: u8| -> Vec<u8> { (0..length).map(|n| n.wrapping_mul(167)).collect() };
        let mut hello = spread(148);
        hello[..4].copy_from_slice(&[1, 0, 0, 0]);
        tape.packet(500, 3, 17, ((NODE, 51_820), (peer, 51_820)), &udp(51_820, 51_820, &hello));
        let mut answer = spread(92);
        answer[..4].copy_from_slice(&[2, 0, 0, 0]);
        answer[8..12].copy_from_slice(&hello[4..8]);
        tape.packet(600, 4, 17, ((peer, 51_820), (NODE, 51_820)), &udp(51_820, 51_820, &answer));
        tape
    };
    let call = || Tape::default().call(0, WEB, (API, 8_080));
    assert_eq!(severities(call(), &manifests), [("high", true)]);
    assert_eq!(severities(wireguard(call(), [192, 168, 1, 11]), &manifests), [("low", true)]);
    // A tunnel to another node says nothing of this way, and on one node nothing is encrypted.
    assert_eq!(severities(wireguard(call(), [192, 168, 1, 12]), &manifests), [("high", true)]);
    let together = manifests.replace("nodeName: n2", "nodeName: n1");
    assert_eq!(severities(wireguard(call(), [192, 168, 1, 11]), &together), [("high", false)]);
}

/// An echo that is asked for and, where an address is given, answered.
fn ping(mut tape: Tape, at: u32, from: [u8; 4], to: [u8; 4], answered: bool) -> Tape {
    let message = |kind: u8| [&[kind, 0, 0xf7, 0xff, 0, 1, 0, 1][..], &[7; 48]].concat();
    tape.packet(at, 1, 1, ((from, 0), (to, 0)), &message(8));
    if answered {
        tape.packet(at + 1, 2, 1, ((to, 0), (from, 0)), &message(0));
    }
    tape
}

#[test]
fn what_has_no_ports_is_held_against_policies_too() {
    let found = |more: &str, tape: Tape| {
        let (analysis, _) = common::analyse_under("", &(cluster() + more), None);
        let file = tape.file();
        let captures = vec![("hand".to_owned(), Box::new(file.as_slice()) as Box<dyn std::io::Read + Send>)];
        let (observed, _) = analysis::observe(captures, &analysis.inventory, 1);
        let analysis = analysis::reviewed(analysis, observed);
        let found = analysis.findings.iter().filter(|finding| finding.check == "observed-but-denied");
        let words = |finding: &watertight::check::Finding| {
            let answered = finding.message.contains("was answered");
            format!("{} {} {} {answered}", finding.severity.word(), finding.subject, finding.detail)
        };
        found.map(words).collect::<Vec<_>>()
    };
    let of = |protocol: u8, from: [u8; 4], to: [u8; 4]| {
        let mut tape = Tape::default();
        tape.packet(0, 1, protocol, ((from, 0), (to, 0)), &[0x22; 64]);
        tape.packet(9, 2, protocol, ((to, 0), (from, 0)), &[0x22; 65]);
        tape
    };
    // The API speaks of ports alone, so that what becomes of a ping is up to the dataplane.
    let ping_of = |from, to, answered| ping(Tape::default(), 0, from, to, answered);
    assert_eq!(
        found(&closed("api"), ping_of(WEB.0, API, true)),
        ["medium shop/Pod/web -> shop/Pod/api ICMP true"]
    );
    assert_eq!(
        found(&closed("api"), ping_of(WEB.0, API, false)),
        ["medium shop/Pod/web -> shop/Pod/api ICMP false"]
    );
    assert_eq!(found(&closed("api"), ping_of(API, WEB.0, true)), [] as [&str; 0]);
    // Heard from the answer on, it was asked for all the same.
    let mut late = Tape::default();
    late.packet(0, 2, 1, ((API, 0), (WEB.0, 0)), &[&[0, 0, 0xf7, 0xff, 0, 1, 0, 1][..], &[7; 48]].concat());
    let late = ping(late, 10, WEB.0, API, true);
    assert_eq!(found(&closed("api"), late), ["medium shop/Pod/web -> shop/Pod/api ICMP true"]);
    // An error belongs to another flow, which was allowed.
    let mut error = Tape::default();
    error.packet(0, 1, 1, ((WEB.0, 0), (API, 0)), &[&[3, 3, 0, 0, 0, 0, 0, 0][..], &[0x45; 28]].concat());
    assert_eq!(found(&closed("api"), error), [] as [&str; 0]);
    // Who began with the others is not known: both ways are denied, or nothing is said.
    assert_eq!(found(&closed("api"), of(47, WEB.0, API)), [] as [&str; 0]);
    let both = closed("api") + &closed("web");
    assert_eq!(found(&both, of(47, WEB.0, API)), ["medium shop/Pod/web -> shop/Pod/api IP47 true"]);
    assert_eq!(found(&both, of(50, WEB.0, API)), ["medium shop/Pod/web -> shop/Pod/api IP50 true"]);
    // Calico and its kin mean all protocols.
    let calico = "---\napiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\n\
                  spec: {selector: app == 'api', types: [Ingress], ingress: [{action: Deny, protocol: ICMP}, {action: Allow}]}\n";
    assert_eq!(found(calico, ping_of(WEB.0, API, true)), ["high shop/Pod/web -> shop/Pod/api ICMP true"]);
    assert_eq!(found(calico, Tape::default().call(0, WEB, (API, 8_080))), [] as [&str; 0]);
}

#[test]
fn a_host_port_leads_to_the_port_of_the_container() {
    let hosted = |container: u16| {
        let ports =
            format!("containers: [{{name: c, ports: [{{containerPort: {container}, hostPort: 8080}}]}}]");
        cluster() + &pod("shop", "in", "10.1.0.20", &ports)
    };
    let allows = |port: u16, peer: &str| {
        closed("in").replace(
            "policyTypes: [Ingress]",
            &format!("policyTypes: [Ingress], ingress: [{{from: [{peer}], ports: [{{port: {port}}}]}}]"),
        )
    };
    let (web, nodes) = ("podSelector: {matchLabels: {app: web}}", "ipBlock: {cidr: 192.168.1.0/24}");
    let (web, nodes) = (format!("{{{web}}}"), format!("{{{nodes}}}"));
    let found = |manifests: String| {
        seen(
            &manifests,
            "",
            Tape::default().call(0, WEB, (NODE, 8_080)),
            &["observed-but-denied", "allowed-but-unused"],
        )
    };
    let to = "shop/Pod/web -> shop/Pod/in 8080 in the clear";
    let denied = "observed-but-denied shop/Pod/web -> shop/Pod/in";
    for container in [80, 8_080] {
        assert_eq!(found(hosted(container)), (vec![to.to_owned()], vec![]), "{container}");
        assert_eq!(found(hosted(container) + &closed("in")).1, [denied], "{container}");
        assert_eq!(found(hosted(container) + &allows(container, &web)).1, [] as [&str; 0], "{container}");
        // The pod may have been shown the node.
        assert_eq!(found(hosted(container) + &allows(container, &nodes)).1, [] as [&str; 0], "{container}");
    }
    // Policies speak of the port of the container.
    let other = found(hosted(80) + &allows(8_080, &web)).1;
    assert_eq!(other, [denied, "allowed-but-unused shop/NetworkPolicy/in"]);
}

#[test]
fn a_host_port_leads_to_the_pod_that_has_the_address_of_the_node() {
    let second = [192, 168, 1, 99];
    let node = |cluster: String| {
        cluster.replace(
            "address: 192.168.1.10}]",
            "address: 192.168.1.10}, {type: ExternalIP, address: 192.168.1.99}]",
        )
    };
    let hosted = |name: &str, address: &str, at: &str| {
        let ports = format!(
            "containers: [{{name: c, ports: [{{containerPort: 80, hostPort: 8080, hostIP: {at}}}]}}]"
        );
        pod("shop", name, address, &ports)
    };
    let called = |manifests: &str, at: [u8; 4]| {
        let (flows, findings) = seen(
            &node(manifests.to_owned()),
            "",
            Tape::default().call(0, WEB, (at, 8_080)),
            &["observed-but-denied"],
        );
        (flows[0].replace(" in the clear", ""), findings)
    };
    // Two pods of one node, each at an address of its own (`ContainerPort.hostIP`).
    let both =
        cluster() + &hosted("one", "10.1.0.20", "192.168.1.10") + &hosted("two", "10.1.0.21", "192.168.1.99");
    assert_eq!(called(&both, NODE).0, "shop/Pod/web -> shop/Pod/one 8080");
    assert_eq!(called(&both, second).0, "shop/Pod/web -> shop/Pod/two 8080");
    // A policy of one is no answer for the other.
    let closed_two = both + &closed("two");
    assert_eq!(called(&closed_two, NODE).1, [] as [&str; 0]);
    assert_eq!(called(&closed_two, second).1, ["observed-but-denied shop/Pod/web -> shop/Pod/two"]);
    // At another address of the node there is no such pod, but what runs on the node.
    let one = cluster() + &hosted("one", "10.1.0.20", "192.168.1.10") + &closed("one");
    assert_eq!(called(&one, second).0, "shop/Pod/web -> kube-system/Pod/proxy 8080");
    assert_eq!(called(&one, NODE).1, ["observed-but-denied shop/Pod/web -> shop/Pod/one"]);
    for everywhere in ["0.0.0.0", "'::'"] {
        let any = cluster() + &hosted("any", "10.1.0.20", everywhere);
        assert_eq!(called(&any, second).0, "shop/Pod/web -> shop/Pod/any 8080");
        assert_eq!(called(&any, NODE).0, "shop/Pod/web -> shop/Pod/any 8080");
    }
}

#[test]
fn an_address_of_two_owners_is_nobody_s_for_sure() {
    let service =
        |name: &str, more: &str| service(name, "10.96.0.9", &format!("selector: {{app: {name}}}, {more}"));
    let checks = ["observed-but-denied", "unattributed-endpoint"];
    let found = |more: String, to: End| {
        let (flows, findings) = seen(&(cluster() + &more), "", Tape::default().call(0, WEB, to), &checks);
        (flows[0].replace(" in the clear", ""), findings)
    };
    // Two workloads: either, and denied where both deny.
    let twice = pod("data", "db", "10.1.0.9", "containers: [{name: c}]");
    let (name, findings) = found(twice.clone() + &closed("api"), (API, 8_080));
    assert_eq!((name.as_str(), findings.len()), ("shop/Pod/web -> data/Pod/db|shop/Pod/api 8080", 0));
    let both = closed("api") + &closed("db").replace("namespace: shop", "namespace: data");
    assert_eq!(
        found(twice + &both, (API, 8_080)).1,
        ["observed-but-denied shop/Pod/web -> data/Pod/db|shop/Pod/api"]
    );
    // A pod and a service, a pod and a node, two services.
    let unknown = |more: String, to: [u8; 4]| {
        let (name, findings) = found(more + &closed("api") + &closed("other"), (to, 80));
        let address = std::net::Ipv4Addr::from(to).to_string();
        assert_eq!(name, format!("shop/Pod/web -> {address} 80"));
        assert_eq!(findings, [format!("unattributed-endpoint {address}")]);
    };
    unknown(
        service("other", "ports: [{port: 80}]")
            + &pod("shop", "api2", "10.96.0.9", "containers: [{name: c}]"),
        [10, 96, 0, 9],
    );
    unknown(pod("shop", "api2", "192.168.1.10", "containers: [{name: c}]"), NODE);
    unknown(service("other", "ports: [{port: 80}]") + &service("api", "ports: [{port: 80}]"), [10, 96, 0, 9]);
}

#[test]
fn a_name_server_behind_the_port_of_multicast_dns_is_called_once() {
    let dns = "selector: {app: api}, ports: [{port: 53, targetPort: 5353, protocol: UDP}]";
    let manifests = cluster() + &service("dns", "10.96.0.10", dns);
    let tape = Tape::default().ask(0, 7, WEB, ([10, 96, 0, 10], 53)).ask(10, 7, WEB, (API, 5_353));
    let (flows, _) = seen(&manifests, "", tape, &[]);
    assert_eq!(flows, ["shop/Pod/web -> shop/Pod/api 5353 in the clear"]);
}

#[test]
fn an_exception_covers_the_flows_that_it_names() {
    let web = "selector: {app: api}, ports: [{port: 80, targetPort: 8080}]";
    let manifests = cluster() + &service("api", "10.96.0.9", web);
    let found = |exception: &str, to: End| {
        let contract = format!(
            "segments: {{web: {{workloads: [shop/web]}}, api: {{workloads: [shop/api]}}}}\n\
             rules: [{{from: web, to: api, allow: never}}, {{from: [\"*\"], to: [outside, web, kube-system]}}, {{from: [outside, kube-system], to: \"*\"}}]\n\
             exceptions: [{{check: segment-rule-broken, {exception}, why: w, approvedBy: a, expires: 2999-01-01}}]\n"
        );
        let (_, findings) =
            seen(&manifests, &contract, Tape::default().call(0, WEB, to), &["segment-rule-broken"]);
        findings
    };
    // What is allowed besides breaks the rule still, and so does what was seen and is not named.
    let (rest, both) = (vec!["segment-rule-broken web -> api"], vec!["segment-rule-broken web -> api"; 2]);
    let ends = ["from: shop/web, to: shop/api", "from: shop/web, to: api", "from: web, to: api"];
    for ends in ends {
        for to in [(API, 8_080), ([10, 96, 0, 9], 80)] {
            if ends.contains("shop/api") && to.1 == 80 {
                continue;
            }
            assert_eq!(found(&format!("{ends}, ports: [tcp/8080]"), to), rest, "{ends} {to:?}");
            assert_eq!(found(&format!("{ends}, ports: [tcp/9999]"), to), both, "{ends} {to:?}");
        }
    }
    assert_eq!(found("from: kube-system/proxy, to: api, ports: [tcp/8080]", (API, 8_080)), both);
}
