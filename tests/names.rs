//! Addresses outside get names from what was on the wire, in every format, with the evidence.

mod common;

use watertight::analysis::{self, Analysis};
use watertight::observed::NamedBy;
use watertight::policy::Dataplane;
use watertight::report::flow_line;

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
fn records_and_drawings_show_the_name_and_what_it_rests_on() {
    use watertight::report::{FORMATS, View};
    let analysis = observed();
    let written = |wanted: &str| {
        let format = FORMATS.iter().find(|format| format.name() == wanted).expect("a format");
        let mut out = Vec::new();
        format.write(&View::Flows(&analysis), &mut out).expect("a report");
        String::from_utf8(out).expect("text")
    };
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
