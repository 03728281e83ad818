//! Where a capture was taken, and what meshes make of it: packets as they are met inside of pods, on
//! nodes and in tunnels, with the findings that they must give and those that they must not. Numbers
//! are those of the corner cases on captures of meshes.

mod common;
#[path = "common/streams.rs"]
mod streams;

use std::io::Read;
use streams::Case;
use watertight::analysis::{self, Analysis};
use watertight::observed::{ObservedFlow, Stretch};

const WEB: [u8; 4] = [10, 9, 0, 1];
const DB: [u8; 4] = [10, 9, 0, 2];
const CRON: [u8; 4] = [10, 9, 0, 3];
const DNS: [u8; 4] = [10, 9, 0, 4];

/// Link layers of a capture.
#[derive(Clone, Copy, PartialEq)]
enum Link {
    /// Ethernet with addresses.
    Ethernet,
    /// Linux cooked, version 1, on a loopback interface.
    CookedLoopback,
    /// Linux cooked, version 2: interface and kind of hardware.
    Cooked2(u32, u16),
    /// IP and nothing else.
    Raw,
}

impl Link {
    fn number(self) -> u32 {
        match self {
            Link::Ethernet => 1,
            Link::CookedLoopback => 113,
            Link::Cooked2(..) => 276,
            Link::Raw => 101,
        }
    }

    fn frame(self, ip: &[u8]) -> Vec<u8> {
        match self {
            Link::Ethernet => [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], ip].concat(),
            Link::CookedLoopback => [&[0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0][..], ip].concat(),
            Link::Cooked2(interface, hardware) => {
                let (index, kind) = (interface.to_be_bytes(), hardware.to_be_bytes());
                [&[8, 0, 0, 0][..], &index, &kind, &[0, 6, 0, 0, 0, 0, 0, 0, 0, 0], ip].concat()
            }
            Link::Raw => ip.to_vec(),
        }
    }
}

/// How a conversation ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Open,
    /// The responder resets it.
    Reset,
}

/// A capture in the making; each conversation begins a millisecond after the one before.
struct Tape {
    link: Link,
    packets: Vec<Vec<u8>>,
}

impl Tape {
    fn new(link: Link) -> Tape {
        Tape { link, packets: Vec::new() }
    }

    fn ip(&mut self, protocol: u8, from: [u8; 4], to: [u8; 4], body: &[u8]) {
        let (length, id) =
            ((body.len() as u16 + 20).to_be_bytes(), (self.packets.len() as u16).to_be_bytes());
        let head = [0x45, 0, length[0], length[1], id[0], id[1], 0x40, 0, 64, protocol, 0, 0];
        let ip = [&head[..], &from, &to, body].concat();
        self.packets.push(self.link.frame(&ip));
    }

    fn tcp(
        &mut self,
        from: ([u8; 4], u16),
        to: ([u8; 4], u16),
        numbers: (u32, u32),
        flags: u8,
        payload: &[u8],
    ) {
        let (sequence, acknowledged) = (numbers.0.to_be_bytes(), numbers.1.to_be_bytes());
        let ports = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
        let head = [&ports[..], &sequence, &acknowledged, &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]].concat();
        self.ip(6, from.0, to.0, &[head.as_slice(), payload].concat());
    }

    /// A whole conversation.
    fn talk(mut self, from: [u8; 4], to: ([u8; 4], u16), client: &[u8], server: &[u8], end: End) -> Tape {
        let from = (from, 40_000 + self.packets.len() as u16);
        // Connections that begin with the same numbers would be taken for legs of one.
        let base = self.packets.len() as u32 * 65_536;
        self.tcp(from, to, (base + 100, 0), 2, &[]);
        self.tcp(to, from, (base + 500, base + 101), 0x12, &[]);
        let (mut ahead, mut back) = (base + 101, base + 501);
        for part in client.chunks(1_400) {
            self.tcp(from, to, (ahead, back), 0x18, part);
            ahead += part.len() as u32;
        }
        for part in server.chunks(1_400) {
            self.tcp(to, from, (back, ahead), 0x18, part);
            back += part.len() as u32;
        }
        if end == End::Reset {
            self.tcp(to, from, (back, ahead), 0x14, &[]);
        }
        self
    }

    fn http(self, from: [u8; 4], to: ([u8; 4], u16)) -> Tape {
        self.talk(from, to, b"GET / HTTP/1.1\r\nHost: db\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", End::Open)
    }

    fn case(self, from: [u8; 4], to: ([u8; 4], u16), case: &Case) -> Tape {
        self.talk(from, to, &case.start.forward, &case.start.backward, End::Open)
    }

    fn file(&self) -> Vec<u8> {
        let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
        file.extend(self.link.number().to_le_bytes());
        for (number, bytes) in self.packets.iter().enumerate() {
            let length = bytes.len() as u32;
            let words = [1_700_000_000, number as u32 * 1_000, length, length];
            words.iter().for_each(|word| file.extend(word.to_le_bytes()));
            file.extend(bytes);
        }
        file
    }
}

fn http() -> (&'static [u8], &'static [u8]) {
    (b"GET / HTTP/1.1\r\nHost: db\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
}

/// A conversation of `fixtures/streams` by the beginning of its title.
fn stream(file: &str, title: &str) -> Case {
    let found = streams::cases(file).into_iter().find(|case| case.title.starts_with(title));
    found.unwrap_or_else(|| panic!("no stream of {file} is called {title}"))
}

fn tunnel() -> Case {
    stream("hbone", "HTTP/2 in mutual TLS")
}

/// The first record of the client: its hello.
fn hello(case: &Case) -> &[u8] {
    let bytes = &case.start.forward;
    &bytes[..5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]))]
}

fn mesh(label: &str, more: &str) -> String {
    // Pods that run are in the mesh when it says so on them.
    let member = match label.contains("ambient") {
        true => "ambient.istio.io/redirection: enabled",
        false => "sidecar.istio.io/status: '{}'",
    };
    let pod = |name: &str, namespace: &str, [a, b, c, d]: [u8; 4]| {
        let own = if namespace == "shop" { member } else { "" };
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}, \
             annotations: {{{own}}}}}\n\
             spec: {{containers: [{{name: c, ports: [{{containerPort: 8080}}]}}]}}\nstatus: {{podIP: {a}.{b}.{c}.{d}}}\n"
        )
    };
    let namespace = |name: &str, labels: &str| {
        format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n")
    };
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\n\
                   spec: {clusterIP: 10.96.0.9, selector: {app: db}, ports: [{port: 80, targetPort: 8080}]}\n";
    [
        namespace("shop", label),
        namespace("legacy", ""),
        pod("web", "shop", WEB),
        pod("db", "shop", DB),
        pod("cron", "legacy", CRON),
        pod("dns", "legacy", DNS),
        service.to_owned(),
        more.to_owned(),
    ]
    .concat()
}

fn ambient(more: &str) -> String {
    mesh("istio.io/dataplane-mode: ambient", more)
}

fn sidecars(more: &str) -> String {
    mesh("istio-injection: enabled", more)
}

fn mode(mode: &str) -> String {
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: db, namespace: shop}}\n\
         spec: {{selector: {{matchLabels: {{app: db}}}}, mtls: {{mode: {mode}}}}}\n"
    )
}

fn review(manifests: &str, tape: &Tape) -> Analysis {
    let (analysis, problems) = common::analyse(manifests);
    assert!(problems.is_empty(), "{problems:?}");
    let input: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(tape.file()));
    let (observed, errors) = analysis::observe(vec![("tape".to_owned(), input)], &analysis.inventory, 1);
    assert!(errors.is_empty() && !observed.flows.is_empty());
    analysis::reviewed(analysis, observed)
}

/// Checks on flows alone, each with its severity and subject.
fn found(analysis: &Analysis) -> Vec<String> {
    const ON_FLOWS: &[&str] = &[
        "observed-but-denied",
        "unsegmented-flow",
        "plaintext-flow",
        "expected-mtls-seen-plaintext",
        "mesh-bypass",
        "refused-handshake",
        "foreign-trust-domain",
        "permissive-in-use",
        "strict-ready",
        "unattributed-endpoint",
    ];
    let own = analysis.findings.iter().filter(|f| ON_FLOWS.contains(&f.check));
    own.map(|f| format!("{} {} {}", f.severity.word(), f.check, f.subject)).collect()
}

fn has(analysis: &Analysis, check: &str) -> bool {
    analysis.findings.iter().any(|finding| finding.check == check)
}

fn nth(analysis: &Analysis, number: usize) -> ObservedFlow {
    analysis.observed.flows.iter().nth(number).expect("a flow")
}

fn stretches(analysis: &Analysis) -> Vec<Stretch> {
    analysis.observed.flows.iter().map(|seen| seen.stretch).collect()
}

#[test]
fn case_173_what_a_sidecar_passes_on_inside_its_pod_is_counted_and_not_judged() {
    let lo = Link::Cooked2(1, 772);
    let tape = Tape::new(lo).http([127, 0, 0, 6], (DB, 8_080)).http([127, 0, 0, 1], ([127, 0, 0, 1], 8_080));
    let analysis = review(&sidecars(&mode("STRICT")), &tape);
    assert_eq!(found(&analysis), Vec::<String>::new());
    assert!(stretches(&analysis).iter().all(|stretch| matches!(stretch, Stretch::Inside(_))));
    let mut text = Vec::new();
    let format = watertight::report::FORMATS.iter().find(|format| format.name() == "text").expect("text");
    let view = watertight::report::View::Review(&analysis);
    format.write(&view, &mut text).expect("written");
    assert!(String::from_utf8_lossy(&text).contains("2 of them never left a pod and are not judged"));
}

#[test]
fn case_174_the_leg_behind_a_tunnel_is_told_by_its_interface_and_else_left_open() {
    let tape = |link| Tape::new(link).case(WEB, (DB, 15_008), &tunnel()).http(WEB, (DB, 8_080));
    let manifests = ambient(&mode("STRICT"));
    // On a loopback interface, as a capture of all interfaces of the server's pod shows it.
    for link in [Link::CookedLoopback, Link::Cooked2(1, 772)] {
        let analysis = review(&manifests, &tape(link));
        assert!(!has(&analysis, "plaintext-flow") && !has(&analysis, "expected-mtls-seen-plaintext"));
    }
    // Nobody knows the interface.
    let analysis = review(&manifests, &tape(Link::Raw));
    assert_eq!(stretches(&analysis), [Stretch::Wire, Stretch::Ambiguous]);
    let leg = &nth(&analysis, 1).detection;
    assert!(leg.protection.word() == "unknown" && leg.why.contains("inside of a pod"), "{}", leg.why);
    assert!(!has(&analysis, "plaintext-flow"), "{:?}", found(&analysis));
    // The interface proves that it came from elsewhere, or no tunnel is there to explain it.
    let alone = Tape::new(Link::Raw).http(WEB, (DB, 8_080));
    for tape in [tape(Link::Ethernet), tape(Link::Cooked2(2, 1)), alone] {
        let analysis = review(&manifests, &tape);
        assert!(has(&analysis, "expected-mtls-seen-plaintext"), "{:?}", found(&analysis));
    }
}

#[test]
fn case_175_a_tunnel_stands_for_what_its_ends_may_say_to_each_other() {
    let policy = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: shop}\n\
                  spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}], \
                  ports: [{port: 15008}, {port: 8080}]}]}\n\
                  ---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                  metadata: {name: db, namespace: shop}\nspec: {selector: {matchLabels: {app: db}}, rules: \
                  [{to: [{operation: {ports: [\"8080\"]}}]}]}\n";
    let tape = Tape::new(Link::Ethernet).case(WEB, (DB, 15_008), &tunnel());
    let analysis = review(&ambient(policy), &tape);
    assert_eq!(found(&analysis), ["low strict-ready shop/Pod/db"]);
    assert!(!has(&analysis, "allowed-but-unused"), "the tunnel may have carried it");
    let other =
        review(&ambient(policy), &Tape::new(Link::Ethernet).http(CRON, (DB, 9_999)).http(WEB, (DNS, 1)));
    assert!(has(&other, "allowed-but-unused"));
}

#[test]
fn case_176_a_hello_of_the_mesh_and_a_reset_are_a_refusal() {
    let case = stream("tls", "the TLS of an Istio sidecar");
    let tape = Tape::new(Link::Ethernet).talk(WEB, (CRON, 8_080), hello(&case), &[], End::Reset);
    let analysis = review(&sidecars(""), &tape);
    assert_eq!(nth(&analysis, 0).detection.protection.word(), "unknown");
    assert!(
        found(&analysis).contains(&"medium refused-handshake shop/Pod/web -> legacy/Pod/cron".to_owned()),
        "{:?}",
        found(&analysis)
    );
}

#[test]
fn case_177_the_name_of_the_mesh_tells_the_service_behind_a_gateway() {
    let case = stream("tls", "the TLS of an Istio sidecar");
    let tape = Tape::new(Link::Ethernet).case(WEB, (CRON, 15_443), &case);
    let analysis = review(&sidecars(""), &tape);
    let facts = &nth(&analysis, 0).detection.facts;
    let fact = |wanted| facts.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_ref());
    assert_eq!(fact("mesh"), Some("istio"));
    let service = fact("mesh_service").expect("the service");
    assert!(
        fact("sni").is_some_and(|name| name.starts_with("outbound_.")) && service.contains(':'),
        "{service}"
    );
}

#[test]
fn case_179_ports_of_proxies_are_in_the_clear_by_design() {
    let tape = [15_020, 15_021, 15_090]
        .iter()
        .fold(Tape::new(Link::Ethernet), |tape, port| tape.http(CRON, (DB, *port)));
    let analysis = review(&sidecars(&mode("STRICT")), &tape);
    let plain: Vec<String> = found(&analysis).into_iter().filter(|f| f.contains("plaintext")).collect();
    assert_eq!(plain, vec!["low plaintext-flow legacy/Pod/cron -> shop/Pod/db"; 3]);
    assert!(!has(&analysis, "mesh-bypass") && !has(&analysis, "permissive-in-use"));
    let linkerd = mesh("", "")
        .replace("sidecar.istio.io/status: '{}'", "linkerd.io/inject: enabled")
        .replace("spec: {containers: [", "spec: {containers: [{name: linkerd-proxy}, ");
    let analysis = review(&linkerd, &Tape::new(Link::Ethernet).http(CRON, (DB, 4_191)));
    assert!(found(&analysis).iter().any(|f| f.starts_with("low plaintext-flow")), "{:?}", found(&analysis));
}

#[test]
fn case_180_names_asked_by_members_are_not_a_leak_of_the_mesh() {
    let mut tape = Tape::new(Link::Ethernet);
    let question =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02db\x04shop\x03svc\x00\x00\x01\x00\x01";
    let length = (question.len() as u16 + 8).to_be_bytes();
    let udp = [&40_000u16.to_be_bytes()[..], &53u16.to_be_bytes(), &length, &[0, 0], question].concat();
    tape.ip(17, WEB, DNS, &udp);
    let analysis = review(&sidecars(&mode("STRICT")), &tape);
    assert_eq!(nth(&analysis, 0).detection.protocol, "dns");
    assert!(found(&analysis).iter().all(|f| f.contains("unsegmented-flow")), "{:?}", found(&analysis));
}

#[test]
fn case_181_a_flow_to_the_service_address_is_one_to_its_endpoints() {
    let tape = Tape::new(Link::Ethernet).http(CRON, ([10, 96, 0, 9], 80));
    let analysis = review(&sidecars(&mode("STRICT")), &tape);
    assert!(
        found(&analysis)
            .contains(&"high expected-mtls-seen-plaintext legacy/Pod/cron -> shop/Service/db".to_owned()),
        "{:?}",
        found(&analysis)
    );
}

#[test]
fn case_182_a_flow_met_twice_is_one_finding_with_one_flow() {
    let one = Tape::new(Link::Cooked2(2, 1)).http(CRON, (DB, 8_080));
    let other = Tape::new(Link::Cooked2(3, 1)).http(CRON, (DB, 8_080));
    let both: Vec<Vec<u8>> =
        one.packets.iter().zip(&other.packets).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    let tape = Tape { link: Link::Cooked2(2, 1), packets: both };
    let analysis = review(&sidecars(""), &tape);
    let finding = analysis.findings.iter().find(|f| f.check == "permissive-in-use").expect("a finding");
    assert!(finding.message.ends_with("in 1 flow."), "{}", finding.message);
}

#[test]
fn case_183_http2_with_prior_knowledge_is_in_the_clear() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    let tape = Tape::new(Link::Ethernet).talk(
        CRON,
        (DB, 8_080),
        preface,
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        End::Open,
    );
    let analysis = review(&sidecars(&mode("STRICT")), &tape);
    assert_eq!(nth(&analysis, 0).detection.protection.word(), "plaintext");
    assert!(has(&analysis, "expected-mtls-seen-plaintext"));
}

#[test]
fn case_184_connect_in_the_clear_is_no_tunnel() {
    let request = b"CONNECT 10.9.0.2:8080 HTTP/1.1\r\nHost: 10.9.0.2:8080\r\n\r\n";
    let tape =
        Tape::new(Link::Ethernet).talk(WEB, (DB, 15_008), request, b"HTTP/1.1 200 OK\r\n\r\n", End::Open);
    let analysis = review(&ambient(""), &tape);
    assert!(
        found(&analysis).contains(&"medium mesh-bypass shop/Pod/web -> shop/Pod/db".to_owned()),
        "{:?}",
        found(&analysis)
    );
}

#[test]
fn case_185_tls_to_a_port_without_it_is_the_mesh_misled_or_the_applications_own() {
    let manifests = sidecars(&mode("DISABLE"));
    let misled = stream("tls", "the TLS of an Istio sidecar");
    let (_, answer) = http();
    let tape = Tape::new(Link::Ethernet).talk(WEB, (DB, 8_080), hello(&misled), answer, End::Open);
    let analysis = review(&manifests, &tape);
    let finding = analysis.findings.iter().find(|f| f.check == "refused-handshake").expect("a finding");
    assert!(finding.message.contains("no proxy at the server ends it"), "{}", finding.message);
    let own = stream("tls", "TLS 1.3 with a server name");
    let analysis = review(&manifests, &Tape::new(Link::Ethernet).case(WEB, (DB, 8_080), &own));
    assert_eq!(found(&analysis), Vec::<String>::new());
}

#[test]
fn what_goes_past_a_waypoint_that_carries_everything_is_a_bypass() {
    let waypoint = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: w, namespace: shop, \
                    labels: {istio.io/waypoint-for: all}}\nspec: {gatewayClassName: istio-waypoint, listeners: \
                    [{name: mesh, port: 15008, protocol: HBONE}]}\n";
    let manifests = mesh("istio.io/dataplane-mode: ambient, istio.io/use-waypoint: w", waypoint);
    let analysis = review(&manifests, &Tape::new(Link::Ethernet).case(WEB, (DB, 15_008), &tunnel()));
    assert!(
        found(&analysis).contains(&"medium mesh-bypass shop/Pod/web -> shop/Pod/db".to_owned()),
        "{:?}",
        found(&analysis)
    );
}

#[test]
fn the_patch_of_strict_ready_makes_the_server_strict() {
    let case = stream("tls", "the TLS of an Istio sidecar");
    let tape = Tape::new(Link::Ethernet).case(WEB, (DB, 8_080), &case);
    let before = review(&sidecars(""), &tape);
    let finding = before.findings.iter().find(|f| f.check == "strict-ready").expect("it is ready");
    let patch = finding.fix.split('`').nth(1).expect("a patch");
    let after = review(&sidecars(&format!("---\n{patch}\n")), &tape);
    assert!(!has(&after, "strict-ready"));
    assert_eq!(common::edge_word(&before, "shop/Pod/web", "shop/Pod/db", 8_080), "mtls-permissive");
    assert_eq!(common::edge_word(&after, "shop/Pod/web", "shop/Pod/db", 8_080), "mtls-strict");
}

#[test]
fn a_move_to_strict_says_who_would_break_before_it_is_made() {
    let case = stream("tls", "the TLS of an Istio sidecar");
    let tape = Tape::new(Link::Ethernet).http(CRON, (DB, 8_080)).http(CRON, (DB, 15_021)).case(
        WEB,
        (DB, 8_080),
        &case,
    );
    let (old, new) = (review(&sidecars(""), &tape), review(&sidecars(&mode("STRICT")), &tape));
    let (_, replay) = analysis::compared(&old, &new, &old.observed);
    let breaks: Vec<String> =
        replay.breaks.iter().map(|b| format!("{} -> {} {}", b.from, b.to, b.traffic)).collect();
    assert_eq!(breaks, ["legacy/Pod/cron -> shop/Pod/db TCP/8080"]);
    assert_eq!(replay.judged, 3);
}
