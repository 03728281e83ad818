//! Demo applications with mesh resources added: in one screen `check` tells which edges are
//! encrypted, which are not and what to change first; `diff` tells what a mesh-wide move from
//! permissive to strict would break, also of a large cluster.

#![expect(clippy::disallowed_methods, reason = "tests run the program and write scratch files")]

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use watertight::analysis::{self, Analysis};
use watertight::graph::diff::{ChangeKind, ChangedEnd, PairChange, What};
use watertight::model::ExpectedProtection;
use watertight::observed::Observed;

/// A namespace outside of the mesh with a client, and the namespace of the application in it.
const AROUND: &str = "apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: legacy}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: report, namespace: legacy}
spec:
  selector: {matchLabels: {app: report}}
  template:
    metadata: {labels: {app: report}}
    spec: {containers: [{name: c, image: report, ports: [{containerPort: 8000}]}]}
";

fn policy(kind: &str, name: &str, spec: &str) -> String {
    let group = if kind == "DestinationRule" { "networking.istio.io/v1" } else { "security.istio.io/v1" };
    format!(
        "---\napiVersion: {group}\nkind: {kind}\nmetadata: {{name: {name}, namespace: default}}\nspec: {spec}\n"
    )
}

fn scratch(name: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mesh_apps");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

fn check(paths: &[&Path], format: &str) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .arg("check")
        .args(paths)
        .args(["-f", format, "--fail-on", "never"])
        .output()
        .expect("the program runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("text")
}

/// The section at the head of the report.
fn table(report: &str) -> Vec<&str> {
    let lines = report.lines().skip_while(|line| !line.starts_with("PROTECTION ("));
    let table: Vec<&str> =
        lines.take_while(|line| !line.starts_with("HIGH") && !line.starts_with("MEDIUM")).collect();
    assert!((3..=24).contains(&table.len()), "one screen: {table:#?}");
    table
}

/// The line of a protection, with the two below it.
fn row<'a>(table: &[&'a str], word: &str) -> Vec<&'a str> {
    let at = table.iter().position(|line| line.trim_start().split(' ').next() == Some(word));
    let at = at.unwrap_or_else(|| panic!("no row {word} in {table:#?}"));
    table[at..].iter().take(3).copied().collect()
}

#[test]
fn the_boutique_tells_in_one_screen_what_is_encrypted_and_what_to_change_first() {
    let Some(apps) = common::shared("data/apps") else { return };
    let mesh = [
        AROUND.to_owned(),
        policy("PeerAuthentication", "default", "{mtls: {mode: PERMISSIVE}}"),
        policy(
            "PeerAuthentication",
            "cart",
            "{selector: {matchLabels: {app: cartservice}}, mtls: {mode: STRICT}}",
        ),
        policy("DestinationRule", "cart", "{host: cartservice, trafficPolicy: {tls: {mode: DISABLE}}}"),
        policy(
            "AuthorizationPolicy",
            "payment",
            "{selector: {matchLabels: {app: paymentservice}}, rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/checkoutservice]}}]}]}",
        ),
    ];
    let mesh = scratch("boutique.yaml", &mesh.concat());
    let manifests = apps.join("onlineboutique/kubernetes-manifests.yaml");
    let report = check(&[&manifests, &mesh], "text");
    let table = table(&report);
    // 13 workloads: pairs with those that declare ports, without those that authorization closes.
    let plain = row(&table, "plaintext");
    assert!(plain[0].contains("legacy/Deployment/report"), "{plain:#?}");
    assert!(
        plain[2].contains("change first") && plain[2].contains("give legacy/Deployment/report a proxy"),
        "{plain:#?}"
    );
    assert!(plain[2].contains("boutique.yaml:9 Deployment legacy/report"), "{plain:#?}");
    let refused = row(&table, "refused");
    assert!(refused[0].contains("cartservice: TCP 7070"), "{refused:#?}");
    assert!(refused[2].contains("no `tls`, or mode ISTIO_MUTUAL"), "{refused:#?}");
    assert!(refused[2].contains("DestinationRule default/cart"), "{refused:#?}");
    let permissive = row(&table, "mtls-permissive");
    assert!(permissive[2].contains("set mode STRICT"), "{permissive:#?}");
    assert!(permissive[2].contains("PeerAuthentication default/default"), "{permissive:#?}");
    assert!(table.iter().any(|line| line.contains("close every declared port")), "{table:#?}");

    let markdown = check(&[&manifests, &mesh], "markdown");
    assert!(markdown.contains("| protection | edges | such as | change first |"), "{markdown}");
    assert!(markdown.lines().any(|line| line.starts_with("| refused | 12 |")), "{markdown}");
    let json: serde_json::Value = serde_json::from_str(&check(&[&manifests, &mesh], "json")).expect("JSON");
    let rows = json["protection"]["edges"].as_array().expect("rows");
    let of = |word: &str| rows.iter().find(|row| row["protection"] == word).expect("the row");
    assert_eq!(of("refused")["edges"], 12);
    assert_eq!(of("refused")["first_change"]["line"], 28);
}

#[test]
fn the_bookinfo_is_strict_once_the_rules_and_the_namespace_say_so() {
    let Some(apps) = common::shared("data/apps") else { return };
    let strict = policy("PeerAuthentication", "default", "{mtls: {mode: STRICT}}");
    let mesh = scratch("bookinfo.yaml", &[AROUND.to_owned(), strict].concat());
    let (app, rules) =
        (apps.join("bookinfo/bookinfo.yaml"), apps.join("bookinfo-istio/destination-rule-all-mtls.yaml"));
    let report = check(&[&app, &rules, &mesh], "text");
    let table = table(&report);
    // Six workloads in the mesh: 30 ordered pairs, and one client outside that is refused by all.
    let strict = row(&table, "mtls-strict");
    assert_eq!(strict[0].split_whitespace().nth(1), Some("30"), "{table:#?}");
    let refused = row(&table, "refused");
    assert_eq!(refused[0].split_whitespace().nth(1), Some("6"), "{table:#?}");
    assert!(refused[2].contains("give legacy/Deployment/report a proxy"), "{refused:#?}");
    assert!(!table.iter().any(|line| line.trim_start().starts_with("mtls-permissive")), "{table:#?}");
}

#[test]
fn without_a_mesh_there_is_no_table() {
    let file = scratch(
        "bare.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: n}\nspec: {containers: [{name: c}]}\n",
    );
    assert!(!check(&[&file], "text").contains("PROTECTION"));
}

/// `namespaces` × `each` deployments with services in the mesh, and one client outside of it.
fn cluster(namespaces: usize, each: usize, mode: &str) -> String {
    let mut text = String::from(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: istio-system}\n",
    );
    let _ = writeln!(text, "spec: {{mtls: {{mode: {mode}}}}}");
    text.push_str("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: legacy}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: old, namespace: legacy, labels: {app: old}}\nspec: {containers: [{name: c, ports: [{containerPort: 80}]}]}\nstatus: {phase: Running, podIP: 10.250.0.9, podIPs: [{ip: 10.250.0.9}]}\n");
    for n in 0..namespaces {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n{n}, labels: {{istio-injection: enabled}}}}\n"
        );
        for w in 0..each {
            let _ = write!(
                text,
                "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: w{w}, namespace: n{n}}}\nspec:\n  replicas: 10\n  selector: {{matchLabels: {{app: w{w}}}}}\n  template:\n    metadata: {{labels: {{app: w{w}}}}}\n    spec: {{serviceAccountName: w{w}, containers: [{{name: c, ports: [{{containerPort: 8080}}]}}]}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: w{w}, namespace: n{n}}}\nspec: {{selector: {{app: w{w}}}, ports: [{{port: 80, targetPort: 8080}}]}}\n"
            );
        }
    }
    text
}

fn analysed(text: &str) -> Analysis {
    let (analysis, problems) = common::analyse(text);
    assert!(problems.is_empty(), "{problems:?}");
    analysis
}

fn named(end: &ChangedEnd) -> Vec<String> {
    match end {
        ChangedEnd::Workloads(names) => names.iter().map(ToString::to_string).collect(),
        ChangedEnd::External(set) => vec![format!("ip:{set}")],
        ChangedEnd::Domain(name) => vec![format!("dns:{name}")],
    }
}

/// The change of a kind that is about one pair.
fn find<'a>(pairs: &'a [PairChange], kind: ChangeKind, from: &str, to: &str) -> &'a PairChange {
    let fits = |change: &&PairChange| {
        change.kind == kind
            && named(&change.from).iter().any(|n| n == from)
            && named(&change.to).iter().any(|n| n == to)
    };
    pairs.iter().find(fits).unwrap_or_else(|| panic!("no {kind:?} {from} -> {to}: {pairs:#?}"))
}

#[test]
fn from_permissive_to_strict_says_who_gains_and_who_is_cut_off() {
    let (old, new) = (analysed(&cluster(2, 2, "PERMISSIVE")), analysed(&cluster(2, 2, "STRICT")));
    let (diff, _) = analysis::compared(&old, &new, &Observed::default());
    let gains = find(&diff.pairs, ChangeKind::Narrows, "n0/Deployment/w0", "n1/Deployment/w1");
    // What calls by address is sent in the clear, and a strict server refuses it: the rest is strict.
    assert_eq!(gains.protection, [ExpectedProtection::MtlsPermissive, ExpectedProtection::MtlsStrict]);
    assert!(gains.new.tcp.contains(8080) && !gains.new.tcp.contains(8081), "{gains:#?}");
    assert!(gains.causes.iter().all(|cause| cause.what == What::MeshChanged), "{gains:#?}");
    assert!(gains.causes.iter().any(|cause| cause.new.is_some()), "{gains:#?}");
    // All clients and servers that become strict alike are one change.
    assert_eq!((named(&gains.from).len(), named(&gains.to).len()), (4, 4), "{gains:#?}");
    let cut = find(&diff.pairs, ChangeKind::Narrows, "legacy/Pod/old", "n0/Deployment/w0");
    assert_eq!(cut.protection, [ExpectedProtection::Plaintext, ExpectedProtection::Refused]);
    assert_eq!(named(&cut.to).len(), 4, "{cut:#?}");
    assert!(cut.new.tcp.is_empty() && !cut.old.tcp.is_empty());
    assert!(diff.pairs.len() <= 6, "changes alike are told once: {:#?}", diff.pairs);
}

#[test]
fn a_server_that_goes_the_other_way_is_told_apart() {
    let exception = "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: w0, namespace: n0}\nspec: {selector: {matchLabels: {app: w0}}, mtls: {mode: DISABLE}}\n";
    let old = analysed(&cluster(2, 2, "PERMISSIVE"));
    let new = analysed(&format!("{}{exception}", cluster(2, 2, "STRICT")));
    let (diff, _) = analysis::compared(&old, &new, &Observed::default());
    let lost = find(&diff.pairs, ChangeKind::LosesProtection, "n1/Deployment/w1", "n0/Deployment/w0");
    assert_eq!(lost.protection, [ExpectedProtection::MtlsPermissive, ExpectedProtection::Plaintext]);
    let gained = find(&diff.pairs, ChangeKind::Narrows, "n1/Deployment/w1", "n0/Deployment/w1");
    assert!(!named(&gained.to).contains(&"n0/Deployment/w0".to_owned()), "{gained:#?}");
}

#[test]
fn ten_thousand_pods_are_compared_in_seconds() {
    let (old, new) = (analysed(&cluster(50, 20, "PERMISSIVE")), analysed(&cluster(50, 20, "STRICT")));
    let start = Instant::now();
    let (diff, _) = analysis::compared(&old, &new, &Observed::default());
    let taken = start.elapsed();
    println!("1,001 workloads (10,001 pods): compared in {taken:?}, {} changes", diff.pairs.len());
    assert!(diff.pairs.len() <= 6, "{}", diff.pairs.len());
    find(&diff.pairs, ChangeKind::Narrows, "n0/Deployment/w0", "n49/Deployment/w19");
    // Wide, since machines are shared; it keeps a pair by pair comparison out.
    assert!(taken < Duration::from_secs(60), "{taken:?}");
}

#[test]
fn a_way_that_the_mesh_refuses_is_no_way() {
    let policy = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: tcp, namespace: n0}\nspec: {podSelector: {}, ingress: [{ports: [{port: 8080}]}]}\n";
    let reached = |mode: &str| {
        let analysis = analysed(&format!("{}{policy}", cluster(1, 2, mode)));
        let index = analysis.inventory.workloads.iter().position(|w| w.name.namespace == "legacy");
        let reach = watertight::report::reach::of(&analysis, index.expect("the client outside"));
        reach.steps.into_iter().map(|step| step.workload).collect::<Vec<String>>()
    };
    assert_eq!(reached("PERMISSIVE"), ["n0/Deployment/w0", "n0/Deployment/w1"]);
    assert!(reached("STRICT").is_empty(), "{:?}", reached("STRICT"));
}

#[test]
fn what_was_seen_in_the_clear_breaks_where_the_server_becomes_strict() {
    use watertight::capture::{Counters, Flow, FlowEnd, Handshake, Seen, StreamStart, Transport};
    use watertight::model::{Encryption, Proof, Protection};
    use watertight::observed::{Directory, ObservedFlow, Stretch, attribute};
    use watertight::protocol::Detection;
    // Two pods of the mesh with addresses; the client's application goes around its proxy.
    let pod = |name: &str, ip: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: n0, labels: {{app: {name}}}}}\nspec: {{containers: [{{name: c, ports: [{{containerPort: 8080}}]}}, {{name: istio-proxy}}]}}\nstatus: {{phase: Running, podIP: {ip}, podIPs: [{{ip: {ip}}}]}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: n0}}\nspec: {{selector: {{app: {name}}}, ports: [{{port: 80, targetPort: 8080}}]}}\n"
        )
    };
    let text = |mode: &str| {
        format!("{}{}{}", cluster(1, 1, mode), pod("client", "10.0.0.5"), pod("server", "10.0.0.6"))
    };
    let (old, new) = (analysed(&text("PERMISSIVE")), analysed(&text("STRICT")));
    let end = |ip: &str, port| FlowEnd { ip: ip.parse().expect("an address"), port };
    let directory = Directory::new(&old.inventory);
    let seen = |protection: Protection| -> ObservedFlow {
        let some = Counters { packets: 5, bytes: 500 };
        let flow = Flow {
            initiator: end("10.0.0.5", 40_000),
            responder: end("10.0.0.6", 8080),
            transport: Transport::Tcp,
            handshake: Handshake::Seen,
            forward: some,
            backward: some,
            first: 0,
            last: 1,
            start: StreamStart::default(),
            via: Vec::new(),
            evicted: false,
            seen: Seen::default(),
        };
        let why = "written by hand".into();
        let detection = Detection { protocol: "http", protection, why, facts: Vec::new(), names: Vec::new() };
        let (initiator, responder) = attribute(&directory, &flow);
        ObservedFlow { flow, detection: detection.into(), initiator, responder, stretch: Stretch::Wire }
    };
    let replay = |flow: ObservedFlow| {
        let observed =
            Observed { flows: vec![flow].into(), captures: vec![Default::default()], ..Observed::default() };
        analysis::compared(&old, &new, &observed).1
    };
    let clear = replay(seen(Protection::Plaintext(Proof::Grammar)));
    assert_eq!(clear.breaks.len(), 1, "{clear:?}");
    assert_eq!((clear.breaks[0].flows, clear.breaks[0].in_clear), (1, 1));
    let mutual = replay(seen(Protection::Encrypted(Encryption::MutualTls)));
    assert!(mutual.breaks.is_empty() && mutual.judged == 1, "{mutual:?}");
}
