//! Addresses outside get names from what was on the wire, in every format, with the evidence.

mod common;

use watertight::analysis::{self, Analysis};
use watertight::observed::NamedBy;
use watertight::policy::Dataplane;
use watertight::report::{FORMATS, GraphOptions, View, ViewKind, flow_line};

/// A capture of raw IP packets, a second apart.
fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    for (second, packet) in (1_u32..).zip(packets) {
        let length = (packet.len() as u32).to_le_bytes();
        file.extend([second.to_le_bytes(), [0; 4], length, length].concat());
        file.extend(packet);
    }
    file
}

fn ip(protocol: u8, from: [u8; 4], to: [u8; 4], body: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + body.len() as u16).to_be_bytes();
    [&[0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0][..], &from, &to, body].concat()
}

fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len() as u16).to_be_bytes();
    let body = [&from.1.to_be_bytes()[..], &to.1.to_be_bytes(), &length, &[0, 0], payload].concat();
    ip(17, from.0, to.0, &body)
}

fn tcp(from: ([u8; 4], u16), to: ([u8; 4], u16), sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let ports = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
    let rest = [0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0];
    let body = [&ports[..], &sequence.to_be_bytes(), &rest, payload].concat();
    ip(6, from.0, to.0, &body)
}

const POD: ([u8; 4], u16) = ([10, 0, 0, 5], 40_000);
const RESOLVER: ([u8; 4], u16) = ([10, 96, 0, 10], 53);

fn observed() -> Analysis {
    reviewed(analysis::declared(&[], Dataplane::kubernetes()))
}

/// The flows of an analysis in a format.
fn flows_as(analysis: &Analysis, wanted: &str) -> String {
    let format = FORMATS.iter().find(|format| format.name() == wanted).expect("a format");
    let mut out = Vec::new();
    format.write(&View::Flows(analysis), &mut out).expect("a report");
    String::from_utf8(out).expect("text")
}

/// A pod asks for a name, calls the address behind it, and another one that nobody named.
fn reviewed(analysis: Analysis) -> Analysis {
    let name = b"\x03api\x07example\x03com\0\0\x01\0\x01";
    let question = [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0", &name[..]].concat();
    let record = [b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04", &[93, 184, 216, 34][..]].concat();
    let answer = [b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0", &name[..], &record].concat();
    let (named, asked) = (([93, 184, 216, 34], 5_432), ([198, 51, 100, 7], 80));
    let request = b"GET / HTTP/1.1\r\nHost: shop.example:80\r\n\r\n";
    let file = capture(&[
        udp(POD, RESOLVER, &question),
        udp(RESOLVER, POD, &answer),
        tcp(POD, named, 1, 2, b""),
        tcp((POD.0, 40_001), asked, 1, 2, b""),
        tcp((POD.0, 40_001), asked, 2, 16, request),
    ]);
    let captures: Vec<analysis::NamedCapture<'_>> = vec![("test".to_owned(), Box::new(file.as_slice()))];
    let (observed, errors) = analysis::observe(captures, &analysis.inventory, 1);
    assert!(errors.is_empty(), "{errors:?}");
    analysis::reviewed(analysis, observed)
}

#[test]
fn dns_answers_and_hosts_name_the_addresses_of_later_flows() {
    let analysis = observed();
    let names = &analysis.observed.names;
    assert_eq!(names.best([93, 184, 216, 34].into()), Some(("api.example.com", NamedBy::DnsAnswer)));
    assert_eq!(names.best([198, 51, 100, 7].into()), Some(("shop.example", NamedBy::HttpHost)));
    let lines: Vec<String> = analysis.observed.flows.iter().map(|seen| flow_line(&analysis, &seen)).collect();
    assert!(
        lines.iter().any(|line| line.contains("-> api.example.com (93.184.216.34) TCP/5432")),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|line| line.contains("-> shop.example (198.51.100.7) TCP/80 http")),
        "{lines:?}"
    );
}

#[test]
fn a_name_that_a_flow_said_or_its_client_was_told_is_its_own_and_nodes_have_all() {
    let name = |at: &str| format!("\x03{at}\x07example\x03com\0").into_bytes();
    let address = [203, 0, 113, 9];
    let told = |client: [u8; 4], at: &str| {
        let question = [&name(at)[..], &[0, 1, 0, 1]].concat();
        let record = [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4][..], &address].concat();
        let asked = [&[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &question].concat();
        let answer = [&[0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0][..], &question, &record].concat();
        let port = 30_000 + u16::from(at.as_bytes()[2]);
        [udp((client, port), RESOLVER, &asked), udp(RESOLVER, (client, port), &answer)]
    };
    let called = |client: [u8; 4], port: u16, host: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let (from, to) = ((client, port), (address, 80));
        let opened = tcp(from, to, 1, 2, b"");
        if host.is_empty() { vec![opened] } else { vec![opened, tcp(from, to, 2, 16, request.as_bytes())] }
    };
    let (one, two, three) = ([10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3]);
    let packets = [
        told(one, "aaa").to_vec(),
        called(one, 41_001, ""),
        told(one, "bbb").to_vec(),
        told(two, "ccc").to_vec(),
        called(one, 41_002, ""),
        called(two, 41_003, ""),
        called(two, 41_004, "ddd.example.com"),
        called(three, 41_005, ""),
    ]
    .concat();
    let analysis = analysis::declared(&[], Dataplane::kubernetes());
    let file = capture(&packets);
    for workers in [1, 3] {
        let captures: Vec<analysis::NamedCapture<'_>> =
            vec![("test".to_owned(), Box::new(std::io::Cursor::new(file.clone())))];
        let (observed, errors) = analysis::observe(captures, &analysis.inventory, workers);
        assert!(errors.is_empty(), "{errors:?}");
        let analysis = analysis::reviewed(analysis::declared(&[], Dataplane::kubernetes()), observed);
        let written = |format: &str| flows_as(&analysis, format);
        let records = written("json");
        for (port, name, by) in [
            (41_001, "aaa", "dns-answer"),
            (41_002, "bbb", "dns-answer"),
            (41_003, "ccc", "dns-answer"),
            (41_004, "ddd", "http-host"),
            // Nobody told this client anything: the best name that the address has.
            (41_005, "ddd", "http-host"),
        ] {
            let record = records.lines().find(|line| line.contains(&format!("\"port\":{port}")));
            let named = format!(r#""port":80,"name":"{name}.example.com","named_by":"{by}""#);
            assert!(record.is_some_and(|line| line.contains(&named)), "{named}: {record:?}");
        }
        assert!(written("csv").contains("41001,aaa.example.com (203.0.113.9),203.0.113.9,80"));
        assert!(written("dot").contains("aaa.example.com, bbb.example.com and 2 more (203.0.113.9)"));
    }
}

#[test]
fn a_format_can_write_what_its_table_says_and_nothing_else() {
    let analysis = observed();
    let options = GraphOptions::default();
    let views = [
        (ViewKind::Review, View::Review(&analysis)),
        (ViewKind::Graph, View::Graph(&analysis, &options)),
        (ViewKind::Flows, View::Flows(&analysis)),
        (ViewKind::Potential, View::Potential(&analysis, &options)),
    ];
    for format in FORMATS {
        for (kind, view) in &views {
            let written = format.write(view, &mut Vec::new());
            assert_eq!(written.is_ok(), format.writes().contains(kind), "{} {kind:?}", format.name());
        }
    }
}

#[test]
fn records_and_drawings_show_the_name_and_what_it_rests_on() {
    let analysis = observed();
    let written = |format: &str| flows_as(&analysis, format);
    let json = written("json");
    assert!(json.contains(r#""name":"api.example.com","named_by":"dns-answer""#), "{json}");
    assert!(json.contains(r#""name":"shop.example","named_by":"http-host""#), "{json}");
    assert!(written("dot").contains("shop.example (198.51.100.7)"));
    assert!(written("csv").contains("api.example.com (93.184.216.34)"));
}

#[test]
fn a_rule_for_a_name_covers_the_address_that_dns_gave_it() {
    let denied = |name: &str| {
        let manifests = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: shop, labels: {{app: web}}}}\n\
             spec: {{containers: [{{name: c}}]}}\nstatus: {{podIP: 10.0.0.5}}\n---\n\
             apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: out, namespace: shop}}\n\
             spec:\n  endpointSelector: {{}}\n  egress:\n  - toCIDR: [10.96.0.0/12]\n    toPorts:\n    \
             - ports: [{{port: '53'}}]\n      rules: {{dns: [{{matchPattern: '*'}}]}}\n  - toFQDNs: [{{matchName: {name}}}]\n"
        );
        let (analysis, problems) = common::analyse(&manifests);
        assert!(problems.is_empty(), "{problems:?}");
        let reviewed = reviewed(analysis);
        let denied = reviewed.findings.iter().filter(|finding| finding.check == "observed-but-denied");
        denied.map(|finding| finding.detail.clone()).collect::<Vec<_>>()
    };
    // The second address was called without a name that DNS gave it.
    assert_eq!(denied("api.example.com"), ["TCP/80"]);
    assert_eq!(denied("other.example.com"), ["TCP/80", "TCP/5432"]);
}
