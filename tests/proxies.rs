//! Real Envoys: what their configuration says, what their clients were told, and what was on the
//! wire agree on every flow, in the recorded world and in one that is made afresh.

#![expect(clippy::disallowed_methods, reason = "the test reads fixtures and runs their recording")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use watertight::analysis::{self, Analysis};
use watertight::model::{Encryption, Protection, WhyUnknown};
use watertight::observed::{Answer, ObservedFlow, Party, Stretch};
use watertight::{policy, source};

/// What the bootstrap files of a pair of pods say: the protection or who stops it, and what HTTP
/// clients are told, one for each attempt in their order.
type Row = (&'static str, &'static str, &'static str, &'static [&'static str]);

const CONFIGURED: &[Row] = &[
    ("shop/Pod/web", "shop/Pod/orders", "mtls-strict", &["200"]),
    // HTTP RBAC lets this identity read, and nothing else.
    ("shop/Pod/web", "shop/Pod/payments", "mtls-strict", &["200", "403"]),
    ("shop/Pod/web", "shop/Pod/catalog", "mtls-permissive", &["200"]),
    ("shop/Pod/web", "shop/Pod/reviews", "mtls-permissive", &["200"]),
    ("shop/Pod/web", "shop/Pod/metrics", "plaintext", &["200"]),
    ("shop/Pod/web", "shop/Pod/front", "tls", &["200"]),
    ("shop/Pod/job", "shop/Pod/orders", "unauthorized", &["000"]),
    ("shop/Pod/job", "shop/Pod/payments", "unauthorized", &["403"]),
    ("shop/Pod/job", "shop/Pod/catalog", "plaintext", &["200"]),
    ("shop/Pod/job", "shop/Pod/metrics", "refused", &["000"]),
    ("partner/Pod/agent", "shop/Pod/orders", "unauthorized", &["000"]),
    ("partner/Pod/agent", "shop/Pod/catalog", "mtls-permissive", &["200"]),
    ("legacy/Pod/cron", "shop/Pod/orders", "refused", &["000", "000"]),
    ("legacy/Pod/cron", "shop/Pod/payments", "refused", &["000"]),
    ("legacy/Pod/cron", "shop/Pod/catalog", "plaintext", &["200"]),
    ("legacy/Pod/cron", "shop/Pod/metrics", "unauthorized", &["000"]),
    ("legacy/Pod/cron", "shop/Pod/front", "refused", &["000"]),
];

/// What configuration leaves to the application behind a proxy: the proxy passes TLS on, or ends TLS
/// that applications may speak themselves. Whether they do, only the wire shows; here they do not.
const LEFT_TO_APPLICATIONS: &[(&str, &str, &str)] =
    &[("shop/Pod/job", "shop/Pod/metrics", "tls"), ("legacy/Pod/cron", "shop/Pod/front", "app-tls")];

fn world() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/proxies")
}

fn declared() -> Analysis {
    let folder = world().join("manifests");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("manifests").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut documents = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a manifest");
        let reading = source::parse(&Arc::from(file.to_string_lossy().as_ref()), &text);
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        documents.extend(reading.documents);
    }
    let dataplane = policy::detect(&documents);
    let analysis = analysis::declared(&documents, dataplane);
    assert!(analysis.problems.is_empty(), "{:?}", analysis.problems);
    analysis
}

fn reviewed(capture: &Path) -> Analysis {
    let analysis = declared();
    let file = std::fs::File::open(capture).expect("a capture");
    let inputs: Vec<analysis::NamedCapture<'_>> = vec![("capture".to_owned(), Box::new(file))];
    let (observed, errors) = analysis::observe(inputs, &analysis.inventory, 1);
    assert!(errors.is_empty(), "{errors:?}");
    analysis::reviewed(analysis, observed)
}

/// Attempts of each pair in their order, as the clients were told.
fn outcomes(folder: &Path) -> BTreeMap<(String, String), Vec<String>> {
    let text = std::fs::read_to_string(folder.join("outcomes.tsv")).expect("outcomes");
    let mut all: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        all.entry((cells[0].to_owned(), cells[1].to_owned())).or_default().push(cells[2].to_owned());
    }
    all
}

/// What the bytes of a flow show.
fn shown(seen: &ObservedFlow) -> &'static str {
    let certificate = seen.detection.facts.iter().find(|(name, _)| *name == "client_certificate");
    let certificate = certificate.map(|(_, value)| value.as_ref());
    match (seen.detection.protection, seen.flow.seen.answer, certificate) {
        (Protection::Encrypted(Encryption::MutualTls), ..) => "mutual",
        (Protection::Encrypted(Encryption::Tls), _, Some("not-shown")) => "one-way",
        // A resumed session shows no certificate again.
        (Protection::Encrypted(Encryption::Tls), _, Some("unknown")) => "resumed",
        (Protection::Plaintext(_), Answer::Payload, _) => "plaintext",
        (Protection::Plaintext(_), Answer::Refusal, _) => "turned-away",
        (Protection::Unknown(WhyUnknown::HandshakeIncomplete), ..) => "turned-away",
        _ => "something else",
    }
}

/// Whether a promise, what the client was told, and the wire can be true together.
fn agree(promise: &str, told: &str, shown: &str) -> bool {
    match promise {
        "mtls-strict" | "mtls-permissive" => {
            matches!(shown, "mutual" | "resumed") && matches!(told, "200" | "403")
        }
        "tls" => shown == "one-way" && told == "200",
        "plaintext" => shown == "plaintext" && told == "200",
        "refused" => shown == "turned-away" && told == "000",
        // By the proxy itself before or behind the handshake, or by an HTTP answer inside of it.
        "unauthorized" => {
            (shown == "turned-away" && told == "000") || (shown == "mutual" && matches!(told, "000" | "403"))
        }
        other => panic!("no such promise: {other}"),
    }
}

/// Flows to applications between the pods of a pair, in their order.
fn flows(analysis: &Analysis, from: &str, to: &str) -> Vec<ObservedFlow> {
    let name = |party: &Party| match party {
        Party::Endpoint { workload, .. } => analysis.inventory.workloads[*workload].name.to_string(),
        _ => String::new(),
    };
    let between = |seen: &ObservedFlow| name(&seen.initiator) == from && name(&seen.responder) == to;
    analysis.observed.flows.iter().filter(between).collect()
}

/// Everything on which the rows, the outcomes and the capture of a folder do not agree.
fn disagreements(folder: &Path, rows: &[Row]) -> Vec<String> {
    let analysis = reviewed(&folder.join("capture.pcap"));
    let outcomes = outcomes(folder);
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for (from, to, promise, told) in rows {
        let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
        let got = outcomes.get(&(short(from), short(to))).map_or(&[][..], Vec::as_slice);
        let flows = flows(&analysis, from, to);
        if got != *told || flows.len() != told.len() {
            wrong.push(format!("{from} -> {to}: {told:?}, but {got:?} in {} flows", flows.len()));
        }
        for (seen, told) in flows.iter().zip(got) {
            judged += 1;
            let shown = shown(seen);
            if !agree(promise, told, shown) {
                wrong
                    .push(format!("{from} -> {to}: {promise}, but {shown} ({told}): {}", seen.detection.why));
            }
        }
    }
    if judged != analysis.observed.flows.len() {
        wrong.push(format!("{judged} of {} flows have a row", analysis.observed.flows.len()));
    }
    wrong
}

#[test]
fn configuration_clients_and_wire_agree_on_every_flow_of_the_recorded_world() {
    assert_eq!(disagreements(&world(), CONFIGURED), Vec::<String>::new());
}

#[test]
fn what_the_engine_reads_from_the_bootstrap_files_is_what_they_say() {
    let analysis = declared();
    let wrong = CONFIGURED.iter().filter_map(|(from, to, promise, _)| {
        let word = common::edge_word(&analysis, from, to, 8_080);
        if *promise == "unauthorized" && word == "mtls-strict" {
            // Whom the client's certificate names stands in no file that was read: what RBAC lets
            // through is said to be a part, and never the whole.
            let in_part = common::passes_in_part(&analysis, from, to, 8_080);
            return (!in_part).then(|| format!("{from} -> {to}: read as {word}, without a condition"));
        }
        let left = LEFT_TO_APPLICATIONS.iter().find(|(one, other, _)| (one, other) == (from, to));
        let promise = left.map_or(promise, |(_, _, word)| word);
        (word != *promise).then(|| format!("{from} -> {to}: {promise}, but read as {word}"))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn a_promise_that_is_not_kept_is_noticed_in_every_row() {
    let family = |word: &str| match word {
        "mtls-strict" | "mtls-permissive" => "mtls",
        "refused" | "unauthorized" => "stopped",
        "tls" => "tls",
        _ => "plaintext",
    };
    for number in 0..CONFIGURED.len() {
        for other in ["mtls-strict", "tls", "plaintext", "refused"] {
            let mut rows = CONFIGURED.to_vec();
            // An HTTP refusal inside of mutual TLS looks like mutual TLS from outside.
            let inside = rows[number].2 == "unauthorized" && rows[number].3 == ["403"];
            if family(rows[number].2) == family(other) || (inside && family(other) == "mtls") {
                continue;
            }
            rows[number].2 = other;
            let (from, to, ..) = rows[number];
            assert!(!disagreements(&world(), &rows).is_empty(), "{from} -> {to} {other}");
        }
    }
}

#[test]
fn what_a_capture_inside_a_pod_adds_is_not_judged() {
    let analysis = reviewed(&world().join("inside.pcap"));
    let inside = |seen: &ObservedFlow| matches!(seen.stretch, Stretch::Inside(_));
    let legs = analysis.observed.flows.iter().filter(inside).count();
    let wire = analysis.observed.flows.len() - legs;
    // Each call of web went from curl to the proxy beside it, and from there over the wire.
    assert_eq!((legs, wire), (7, 7));
    let of_loopback = analysis.findings.iter().filter(|f| f.subject.contains("127.0.0.1"));
    assert_eq!(of_loopback.count(), 0);
    let plain = analysis.findings.iter().filter(|f| f.check == "plaintext-flow");
    assert_eq!(plain.map(|f| f.subject.as_str()).collect::<Vec<_>>(), ["shop/Pod/web -> shop/Pod/metrics"]);
}

/// Whether this machine lets us make namespaces; elsewhere the reason is printed, and in CI it fails.
fn left_out(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI the proxies must run: {why}");
    println!("left out: {why}");
}

#[test]
fn configuration_clients_and_wire_agree_with_proxies_that_are_started_now() {
    let lab = format!("wt{}", std::process::id() % 1_000);
    let ip = |line: &str| {
        let run = Command::new("ip").args(line.split_whitespace()).output();
        run.is_ok_and(|output| output.status.success())
    };
    if !ip(&format!("netns add {lab}-try")) {
        return left_out("this machine gives no network namespaces (root and iproute2 are needed)");
    }
    ip(&format!("netns del {lab}-try"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("proxies");
    std::fs::create_dir_all(&folder).expect("a folder");
    let script = world().join("../record.sh");
    let run = Command::new("bash").arg(script).arg("proxies").arg(&folder).env("LAB", &lab).output();
    let run = run.expect("bash runs");
    let said = [run.stdout, run.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if run.status.code() == Some(3) {
        return left_out(&said);
    }
    assert!(run.status.success(), "{said}");
    assert_eq!(disagreements(&folder, CONFIGURED), Vec::<String>::new(), "{said}");
}
