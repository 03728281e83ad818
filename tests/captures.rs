//! Every capture of the corpora goes through the reader and the detectors without a panic, and
//! protections are scored against the labels, for each protocol. A plaintext flow called encrypted
//! counts most.

#![expect(clippy::disallowed_methods, reason = "tests read pages and reference data")]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::Path;
use watertight::capture::{self, Flow, FlowEnd, FlowLimits, Transport};
use watertight::protocol;

type Ends = (FlowEnd, FlowEnd);

/// One row of the labels.
struct Label {
    file: String,
    transport: Transport,
    ends: Ends,
    label: String,
    layers: String,
}

/// Labels held to be wrong: file, one port, our verdict, and the evidence for it.
const HELD_WRONG: &[(&str, u16, &str, &str)] = &[
    (
        "zeek/globus-url-copy.pcap",
        35_391,
        "plaintext",
        "the ServerHello agrees on 0x0002, which does not encrypt",
    ),
    ("zeek/globus-url-copy-bad-encoding.pcap", 35_391, "plaintext", "the same session, agreed on 0x0002"),
    ("zeek/http/http-single-conn-22.pcap", 22, "plaintext", "GET and HTTP/1.1 200 on port 22; no SSH in it"),
    (
        "zeek/http/http-to-ssh.pcap",
        22,
        "plaintext",
        "an HTTP request in the clear; the server closed after its banner",
    ),
    (
        "zeek/rdp/rdp-no-cookie-mstshash.pcap",
        50_204,
        "encrypted",
        "TLS 1.2 handshake and records follow the negotiation",
    ),
    ("zeek/rdp/rdp-to-ssl.pcap", 49_206, "encrypted", "TLS 1.0 handshake and records follow the negotiation"),
    ("zeek/rdp/rdp-to-ssl.pcap", 49_207, "encrypted", "TLS 1.0 handshake and records follow the negotiation"),
    ("zeek/ssh/ssh-on-port-80.pcap", 80, "encrypted", "SSH-2.0 identification of both sides on port 80"),
];

/// Labelled flows that are not there: file, how many, and why.
const NOT_FOUND: &[(&str, usize, &str)] = &[
    (
        "zeek/erspan.pcap",
        2,
        "the label has the inner ports at the outer addresses; both flows are there over IPv6",
    ),
    ("zeek/ipv4/fragmented-1.pcap", 1, "the fragments contradict each other: nothing was ever whole"),
    (
        "zeek/pbb-recursive-frames.pcapng",
        1,
        "48 provider backbones around each other; 12 layers are followed",
    ),
    ("zeek/tunnels/gtp/gtp8_teredo.pcap", 9, "the label names the datagram of Teredo, ours what is inside"),
    ("zeek/tunnels/gtp/gtp_control_prime.pcap", 1, "the label has the outer port at the inner addresses"),
    ("zeek/tunnels/gtp/pdp_ctx_messages.pcapng", 1, "the label has the outer port at the inner addresses"),
    (
        "zeek/tunnels/vxlan-encapsulated-igmp-v2.pcap",
        3,
        "the label has the outer port at the inner addresses",
    ),
];

/// What a Kubernetes cluster speaks, by the names that the labels use. What is not here (games,
/// messengers, industrial buses, media) is scored as `other` and is not held to the figures.
const RELEVANT: &[&str] = &[
    "tls",
    "dtls",
    "quic",
    "gquic",
    "http3",
    "ssh",
    "wg",
    "openvpn",
    "http",
    "http2",
    "grpc",
    "websocket",
    "dns",
    "mdns",
    "llmnr",
    "dhcp",
    "dhcpv6",
    "ntp",
    "snmp",
    "syslog",
    "tftp",
    "ftp",
    "ftp-data",
    "telnet",
    "smtp",
    "imap",
    "pop",
    "irc",
    "xmpp",
    "ldap",
    "kerberos",
    "radius",
    "smb",
    "smb2",
    "nfs",
    "rpc",
    "portmap",
    "mount",
    "resp",
    "memcache",
    "pgsql",
    "mysql",
    "tds",
    "tns",
    "mongo",
    "cql",
    "kafka",
    "amqp",
    "mqtt",
    "nats",
    "stomp",
    "zookeeper",
    "sip",
    "rtsp",
    "bgp",
    "coap",
    "vnc",
    "rdp",
    "x11",
    "rsync",
    "git",
    "socks",
    "thrift",
    "ajp13",
    "fcgi",
    "diameter",
    "elasticsearch",
    "nbns",
];

fn ordered(a: FlowEnd, b: FlowEnd) -> Ends {
    if a <= b { (a, b) } else { (b, a) }
}

fn labels(root: &Path) -> Vec<Label> {
    let text = std::fs::read_to_string(root.join("labels.tsv")).expect("the labels");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let end =
            |ip: &str, port: &str| Some(FlowEnd { ip: ip.parse::<IpAddr>().ok()?, port: port.parse().ok()? });
        let transport = match *cells.get(1)? {
            "TCP" => Transport::Tcp,
            "UDP" => Transport::Udp,
            "SCTP" => Transport::Sctp,
            _ => return None,
        };
        let ends = ordered(end(cells.get(2)?, cells.get(3)?)?, end(cells.get(4)?, cells.get(5)?)?);
        let (file, label) = (cells[0].to_owned(), (*cells.get(6)?).to_owned());
        Some(Label { file, transport, ends, label, layers: (*cells.get(7)?).to_owned() })
    };
    text.lines().skip(1).filter_map(row).collect()
}

/// The flows of a capture; what is no capture gives none.
fn flows(path: &Path) -> Vec<Flow> {
    let mut all = Vec::new();
    drop(capture::read_capture(&mut common::open_capture(path), FlowLimits::default(), &mut |flow| {
        all.push(flow)
    }));
    all
}

/// Every file of the suites, in their folders too, by its name in the labels.
fn files(root: &Path) -> HashMap<String, Vec<Flow>> {
    let suites = ["ndpi", "zeek", "tcpdump"];
    let entries = suites.iter().flat_map(|suite| walkdir::WalkDir::new(root.join(suite)).sort_by_file_name());
    let entries = entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let name =
        |path: &Path| path.strip_prefix(root).expect("a file of a suite").to_string_lossy().into_owned();
    entries.map(|entry| (name(entry.path()), flows(entry.path()))).collect()
}

/// Verdicts of one protocol or of all.
#[derive(Default)]
struct Score {
    right: usize,
    wrong: usize,
    unknown: usize,
}

impl Score {
    fn count(&mut self, label: &str, verdict: &str) {
        match verdict {
            "unknown" => self.unknown += 1,
            verdict if verdict == label => self.right += 1,
            _ => self.wrong += 1,
        }
    }

    /// Of those that were judged, how many are right, in percent.
    fn accuracy(&self) -> f64 {
        100.0 * self.right as f64 / (self.right + self.wrong).max(1) as f64
    }

    /// How many were judged, in percent.
    fn coverage(&self) -> f64 {
        100.0 * (self.right + self.wrong) as f64 / (self.right + self.wrong + self.unknown).max(1) as f64
    }

    fn line(&self, name: &str) -> String {
        let Score { right, wrong, unknown } = self;
        let (accuracy, coverage) = (self.accuracy(), self.coverage());
        format!(
            "{name:<14} {right:>5} right {wrong:>3} wrong {unknown:>4} unknown   accuracy {accuracy:6.2} %  coverage {coverage:5.1} %"
        )
    }
}

/// The protocol of a label: the relevant one among its layers.
fn family(layers: &str) -> Option<&str> {
    layers.split(',').find_map(|layer| RELEVANT.iter().copied().find(|known| *known == layer))
}

#[test]
fn protections_agree_with_the_labels_and_plaintext_is_never_called_encrypted() {
    let Some(root) = common::shared("data/captures") else { return };
    let files = files(&root);
    let (flow_count, packets) = files.values().flatten().fold((0, 0), |(flows, packets), flow| {
        (flows + 1, packets + flow.forward.packets + flow.backward.packets)
    });
    println!("{} captures, {flow_count} flows, {packets} packets", files.len());
    let mut by_family: BTreeMap<String, Score> = BTreeMap::new();
    let (mut relevant, mut all) = (Score::default(), Score::default());
    let (mut unsafe_verdicts, mut missing) = (Vec::new(), BTreeMap::<String, usize>::new());
    let (mut held, mut not_judged) = (0, BTreeMap::<String, BTreeSet<String>>::new());
    for Label { file, transport, ends, label, layers } in labels(&root) {
        let of_flow = |f: &&Flow| f.transport == transport && ordered(f.initiator, f.responder) == ends;
        let found = files.get(&file).and_then(|flows| {
            flows.iter().filter(of_flow).max_by_key(|f| f.forward.packets + f.backward.packets)
        });
        let Some(flow) = found else {
            *missing.entry(file).or_default() += 1;
            continue;
        };
        let detection = protocol::detect(flow);
        let verdict = detection.protection.word();
        let ours =
            |row: &&(&str, u16, &str, &str)| row.0 == file && [ends.0.port, ends.1.port].contains(&row.1);
        if let Some((_, _, wanted, evidence)) = HELD_WRONG.iter().find(ours) {
            assert_eq!(verdict, *wanted, "{file}: {evidence}");
            println!("label held wrong: {file} is {verdict}, not {label}: {evidence}");
            held += 1;
            continue;
        }
        if label == "plaintext" && verdict == "encrypted" {
            unsafe_verdicts
                .push(format!("{file} {ends:?} {layers}: {} {}", detection.protocol, detection.why));
        }
        let family = family(&layers);
        all.count(&label, verdict);
        by_family.entry(family.unwrap_or("other").to_owned()).or_default().count(&label, verdict);
        if let Some(family) = family {
            relevant.count(&label, verdict);
            if verdict == "unknown" {
                let flow = format!("{file} {}", ends.0.port.min(ends.1.port));
                not_judged.entry(format!("{family}: {}", detection.why)).or_default().insert(flow);
            }
        }
    }
    by_family.iter().for_each(|(name, score)| println!("{}", score.line(name)));
    println!("{}", all.line("all"));
    println!("{}", relevant.line("relevant"));
    for (why, flows) in &not_judged {
        println!("  not judged, {why}: {}", flows.iter().cloned().collect::<Vec<_>>().join(", "));
    }
    println!("{} labelled flows are not there:", missing.values().sum::<usize>());
    NOT_FOUND.iter().for_each(|(file, count, why)| println!("  not found {count:>3} {file}: {why}"));
    assert!(unsafe_verdicts.is_empty(), "plaintext called encrypted:\n{}", unsafe_verdicts.join("\n"));
    assert_eq!(held, HELD_WRONG.len(), "a label that is held to be wrong is gone");
    assert!(relevant.accuracy() >= 99.8 && relevant.coverage() >= 97.0, "{}", relevant.line("relevant"));
    let known: BTreeMap<String, usize> =
        NOT_FOUND.iter().map(|(file, count, _)| ((*file).to_owned(), *count)).collect();
    assert_eq!(missing, known, "each labelled flow is found, or stands in the table with its reason");
}
