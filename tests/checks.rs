//! Runs the example on the page of every check: manifests, a contract and flows where the check
//! reads them, and the findings that it must give, no more and no fewer.

mod common;

use std::collections::BTreeMap;
use watertight::capture::{Answer, Counters, Flow, FlowEnd, Handshake, Seen, StreamStart, Transport};
use watertight::check::{self, CHECKS, Evidence};
use watertight::model::{Encryption, Proof, Protection, WhyUnknown};
use watertight::observed::{CaptureRead, Directory, Observed, ObservedFlow, attribute};
use watertight::protocol::Detection;

fn blocks(page: &str) -> BTreeMap<&str, &str> {
    let mut parts = page.split("```");
    let mut found = BTreeMap::new();
    while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
        if let Some((language, text)) = block.split_once('\n') {
            found.insert(language, text);
        }
    }
    found
}

fn end(text: &str) -> FlowEnd {
    let (ip, port) = text.rsplit_once(':').expect("an address and a port");
    FlowEnd { ip: ip.parse().expect("an address"), port: port.parse().expect("a port") }
}

/// Facts that pages may state.
const FACTS: [&str; 12] = [
    "client_certificate",
    "client_spiffe",
    "certificate_spiffe",
    "mesh",
    "credentials",
    "version",
    "cipher",
    "weak_cipher",
    "certificate_subject",
    "certificate_expired",
    "certificate_self_signed",
    "certificate_weak_key",
];

/// `10.0.0.5:40000 -> 10.0.1.9:5432 TCP postgresql plaintext credentials=postgresql-password`; the word
/// `refused` where the responder ended the connection without a byte of payload
fn flow(line: &str) -> (Flow, Detection) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let some = Counters { packets: 5, bytes: 500 };
    let flow = Flow {
        initiator: end(words[0]),
        responder: end(words[2]),
        transport: if words[3] == "TCP" { Transport::Tcp } else { Transport::Udp },
        handshake: Handshake::Seen,
        forward: some,
        backward: some,
        first: 0,
        last: 1,
        start: StreamStart::default(),
        via: Vec::new(),
        evicted: false,
        seen: Seen {
            answer: if words.contains(&"refused") { Answer::Refusal } else { Answer::Unknown },
            ..Seen::default()
        },
    };
    let protection = match words[5] {
        "plaintext" => Protection::Plaintext(Proof::Grammar),
        "plaintext-by-cipher" => Protection::Plaintext(Proof::NullCipher),
        "mutual" => Protection::Encrypted(Encryption::MutualTls),
        "failed" => Protection::Unknown(WhyUnknown::HandshakeIncomplete),
        "encrypted" => Protection::Encrypted(Encryption::Tls),
        _ => Protection::Unknown(WhyUnknown::NoMatch),
    };
    let known = |name: &str| FACTS.into_iter().find(|k| *k == name).expect("a known fact");
    let fact = |word: &&str| word.split_once('=').map(|(name, value)| (known(name), value.to_owned().into()));
    let facts = words[6..].iter().filter_map(fact).collect();
    let protocol: &'static str = Box::leak(words[4].to_owned().into_boxed_str());
    let why = "as the page says".into();
    (flow, Detection { protocol, protection, why, facts, names: Vec::new() })
}

#[test]
fn every_page_shows_what_its_check_finds() {
    let mut failures = Vec::new();
    for check in CHECKS {
        let page = check.page();
        let blocks = blocks(page);
        let dataplane = blocks.get("dataplane").map(|block| common::dataplane(block));
        let contract = blocks.get("yaml contract").copied().unwrap_or("");
        let (analysis, problems) = common::analyse_under(contract, blocks["yaml"], dataplane);
        assert!(problems.is_empty(), "{}: {problems:?}", check.name());
        let others = blocks.get("portability").map_or(Vec::new(), |block| {
            let documents = common::documents(blocks["yaml"]);
            let all = watertight::analysis::elsewhere(&analysis, &documents);
            all.into_iter().filter(|graph| block.contains(graph.dataplane.kind.name())).collect()
        });
        let mut analysis = analysis;
        analysis.notes.elsewhere = others;
        let directory = Directory::new(&analysis.inventory);
        let mut observed = Observed {
            captures: vec![CaptureRead { name: "page".to_owned(), packets: 1, ..CaptureRead::default() }],
            ..Observed::default()
        };
        for line in blocks.get("flows").unwrap_or(&"").lines().filter(|line| !line.is_empty()) {
            let (flow, detection) = flow(line);
            let (initiator, responder) = attribute(&directory, &flow);
            observed.flows.push(ObservedFlow { initiator, responder, ..(flow, detection.into()).into() });
        }
        let evidence = Evidence {
            inventory: &analysis.inventory,
            graph: &analysis.graph,
            observed: &observed,
            notes: &analysis.notes,
            exposures: &analysis.exposures,
            contract: &analysis.contract,
            segments: &analysis.segments,
            today: analysis.today,
        };
        // What the whole review says of this check, so that exceptions and severities count.
        let outcome = check::run(&evidence);
        let mut findings = outcome.findings;
        findings.retain(|finding| finding.check == check.name());
        let line =
            |f: &watertight::check::Finding| format!("{} {} {}", f.severity.word(), f.check, f.subject);
        let mut got: Vec<String> = findings.iter().map(line).collect();
        got.sort();
        let want: Vec<&str> = blocks["findings"].lines().collect();
        if got != want {
            failures.push(format!("{}:\n  want {want:?}\n  got  {got:?}", check.name()));
        }
        let explained = findings.iter().all(|f| !f.message.is_empty() && !f.fix.is_empty());
        assert!(explained && !findings.is_empty(), "{} explains itself and shows something", check.name());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
