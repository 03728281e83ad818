//! Series of snapshots: an address belongs to the pod that had it when the packet was seen.

#![expect(clippy::disallowed_methods, reason = "the test writes its input and runs the program")]

#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test takes plain segments")]
mod frames;

use frames::{Ip, tcp};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Seconds since 1970 of 2026-11-25T16:00:00Z.
const BASE: u32 = 1_795_622_400;

/// A head `minutes` after the hour.
fn head(minutes: u32) -> String {
    format!(
        "apiVersion: watertight.dev/v1\nkind: Snapshot\ntakenAt: 2026-11-25T16:{minutes:02}:00Z\ncluster: test\n"
    )
}

/// A pod that began so many minutes after the hour.
fn pod(app: &str, address: &str, begun: u32) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{namespace: shop, name: {app}, uid: {app}-{begun}, labels: {{app: {app}}}}}\n\
         spec: {{containers: [{{name: c}}]}}\n\
         status: {{phase: Running, podIP: {address}, startTime: \"2026-11-25T16:{begun:02}:00Z\"}}\n"
    )
}

/// `allowed` alone may call `api`.
fn policy(allowed: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{namespace: shop, name: api}}\n\
         spec:\n  podSelector: {{matchLabels: {{app: api}}}}\n  policyTypes: [Ingress]\n  ingress:\n  \
         - from: [{{podSelector: {{matchLabels: {{app: {allowed}}}}}}}]\n"
    )
}

/// Connections from 10.1.0.7 to 10.1.0.9:80 by the minute, each with an answer, in the clear.
fn capture(minutes: &[u32]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    let mut add = |seconds: u32, micros: u32, packet: Vec<u8>| {
        let length = packet.len() as u32;
        [seconds, micros, length, length].iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(packet);
    };
    for minute in minutes {
        let at = BASE + minute * 60;
        let port = 40_000 + *minute as u16;
        let (web, api) = ([10, 1, 0, 7], [10, 1, 0, 9]);
        let ip = |source, target, body: &[u8]| Ip { id: 1, hops: 64, source, target }.whole(6, body);
        let request: &[u8] = b"GET /items HTTP/1.1\r\nHost: api\r\n\r\n";
        let answer: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        let (ahead, back) = ((port, 80), (80, port));
        add(at, 0, ip(web, api, &tcp(ahead, 1, 0, 2, b"")));
        add(at, 1, ip(api, web, &tcp(back, 1, 2, 0x12, b"")));
        add(at, 2, ip(web, api, &tcp(ahead, 2, 2, 0x18, request)));
        add(at, 3, ip(api, web, &tcp(back, 2, 2 + request.len() as u32, 0x18, answer)));
    }
    file
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("written");
    path
}

fn run(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_watertight")).args(arguments).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// Two snapshots, at ten and at thirty past: 10.1.0.7 is `web`, then `batch`, which began at twenty past.
fn series(folder: &Path) -> PathBuf {
    let series = folder.join("series");
    std::fs::create_dir(&series).expect("a folder");
    let api = pod("api", "10.1.0.9", 1);
    // The names of files say nothing of their order.
    write(&series, "a-second.yaml", head(30) + &pod("batch", "10.1.0.7", 20) + &api + &policy("web"));
    write(&series, "b-first.yaml", head(10) + &pod("web", "10.1.0.7", 5) + &api + &policy("web"));
    series
}

#[test]
fn an_address_that_changes_hands_belongs_to_whom_it_had_when_the_packet_was_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let series = series(folder.path());
    let capture = write(folder.path(), "node.pcap", capture(&[3, 7, 10, 15, 20, 40]));
    let (series, capture) = (series.display().to_string(), capture.display().to_string());
    let (flows, errors, code) = run(&["flows", &capture, "--snapshot", &series, "-f", "json"]);
    assert_eq!(code, Some(0), "{errors}");
    let mut table = String::new();
    for line in flows.lines() {
        let flow: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let minute = flow["initiator"]["port"].as_u64().expect("a port") - 40_000;
        let word = |field: &str| flow["initiator"][field].as_str().unwrap_or("-").to_owned();
        writeln!(table, "{minute} {} / {}", word("name"), word("unsettled")).expect("text");
    }
    assert_eq!(
        table,
        "3 - / seen before the first snapshot, and a pod held it only later\n\
         7 shop/Pod/web / -\n\
         10 shop/Pod/web / -\n\
         15 - / seen between two snapshots with different holders\n\
         20 shop/Pod/batch / -\n\
         40 shop/Pod/batch / -\n"
    );
}

#[test]
fn flows_are_judged_as_those_of_their_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let series = series(folder.path()).display().to_string();
    let capture = write(folder.path(), "node.pcap", capture(&[3, 7, 15, 25])).display().to_string();
    let (report, errors, code) = run(&["check", "--snapshot", &series, "--capture", &capture, "-f", "json"]);
    assert_eq!(code, Some(1), "{errors}");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let findings: Vec<(&str, &str, &str)> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| {
            let text = |field: &str| finding[field].as_str().unwrap_or_default();
            (text("check"), text("subject"), text("message"))
        })
        .collect();
    let of = |check: &str| findings.iter().filter(|f| f.0 == check).map(|f| (f.1, f.2)).collect::<Vec<_>>();
    // `web` may call, `batch` may not; of the others nobody knows who they were.
    let denied = of("observed-but-denied");
    assert!(denied.len() == 1 && denied[0].0.contains("shop/Pod/batch"), "{denied:?}");
    let nobody = of("unattributed-endpoint");
    assert!(
        nobody.len() == 1 && nobody[0].0 == "10.1.0.7" && nobody[0].1.starts_with("2 flows"),
        "{nobody:?}"
    );
    assert!(
        nobody[0].1.contains("before the first snapshot") && nobody[0].1.contains("between two"),
        "{nobody:?}"
    );
    assert!(report["gaps"].as_array().is_some_and(Vec::is_empty), "{}", report["gaps"]);
}

#[test]
fn manifests_beside_snapshots_say_what_is_permitted_and_changes_are_gaps_without_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = write(folder.path(), "node.pcap", capture(&[7])).display().to_string();
    let pods = || pod("web", "10.1.0.7", 5) + &pod("api", "10.1.0.9", 1);
    let first = write(folder.path(), "1.yaml", head(10) + &pods() + &policy("web")).display().to_string();
    let second = write(folder.path(), "2.yaml", head(30) + &pods() + &policy("other")).display().to_string();
    let denied = |arguments: &[&str]| {
        let all = [&["check", "--capture", &capture, "-f", "json"], arguments].concat();
        let (report, errors, _) = run(&all);
        let report: serde_json::Value = serde_json::from_str(&report).expect(&errors);
        let checks = report["findings"].as_array().expect("findings").iter();
        let denied = checks.filter(|finding| finding["check"] == "observed-but-denied").count();
        (denied, report["gaps"].to_string())
    };
    let (count, gaps) = denied(&["--snapshot", &first, &second]);
    assert_eq!(count, 1, "the last snapshot decides");
    assert!(gaps.contains("changed in the course of the snapshots"), "{gaps}");
    let declared = write(folder.path(), "declared.yaml", policy("web")).display().to_string();
    let (count, gaps) = denied(&[&declared, "--snapshot", &first, &second]);
    assert_eq!((count, gaps.as_str()), (0, "[]"), "the manifests decide");
}

#[test]
fn a_change_breaks_the_flows_of_whom_an_address_had_at_the_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let series = series(folder.path()).display().to_string();
    // At seven past it is `web`, at forty past `batch`: the change shuts out one of them.
    let breaks = |minute: u32, snapshots: &[&str]| {
        let name = format!("{minute}.pcap");
        let capture = write(folder.path(), &name, capture(&[minute])).display().to_string();
        let old = write(folder.path(), "old.yaml", policy("web")).display().to_string();
        let new = write(folder.path(), "new.yaml", policy("batch")).display().to_string();
        let all = [&["diff", &old, &new, "--capture", &capture, "-f", "json"], snapshots].concat();
        let (diff, errors, _) = run(&all);
        let diff: serde_json::Value = serde_json::from_str(&diff).expect(&errors);
        let count = |list: &str| diff["flows"][list].as_array().map_or(0, Vec::len);
        (count("breaks"), count("opens"), diff["flows"]["judged"].as_u64())
    };
    assert_eq!(breaks(7, &["--snapshot", &series]), (1, 0, Some(1)));
    assert_eq!(breaks(40, &["--snapshot", &series]), (0, 1, Some(1)));
    assert_eq!(breaks(7, &[]), (0, 0, Some(0)), "nobody is known without them");
}

#[test]
fn a_file_that_is_no_snapshot_is_said_and_does_not_hide_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = write(folder.path(), "node.pcap", capture(&[7])).display().to_string();
    let plain = write(folder.path(), "plain.yaml", pod("web", "10.1.0.7", 5)).display().to_string();
    let real = write(folder.path(), "real.yaml", head(10) + &pod("web", "10.1.0.7", 5)).display().to_string();
    let (flows, errors, code) = run(&["flows", &capture, "--snapshot", &plain, &real, "-f", "json"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("plain.yaml") && errors.contains("hint:"), "{errors}");
    assert!(flows.contains("shop/Pod/web"), "{flows}");
}

#[test]
fn a_packet_from_before_a_pod_began_is_not_that_pod_s_without_a_series_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let objects = pod("web", "10.1.0.7", 20) + &pod("api", "10.1.0.9", 1) + &policy("other");
    let capture = write(folder.path(), "node.pcap", capture(&[15, 25])).display().to_string();
    for (name, text) in [("objects.yaml", objects[4..].to_owned()), ("one.yaml", head(30) + &objects)] {
        let manifests = write(folder.path(), name, text).display().to_string();
        let (flows, errors, code) = run(&["flows", &capture, "--manifests", &manifests, "-f", "json"]);
        assert_eq!(code, Some(0), "{errors}");
        let flows: Vec<serde_json::Value> =
            flows.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let word =
            |flow: usize, field: &str| flows[flow]["initiator"][field].as_str().unwrap_or("-").to_owned();
        assert_eq!(word(0, "name"), "-", "{name}");
        assert_eq!(
            word(0, "unsettled"),
            "seen before the pod that holds it in what was read began",
            "{name}"
        );
        assert_eq!(word(1, "name"), "shop/Pod/web", "{name}");
        let report = run(&["check", &manifests, "--capture", &capture, "-f", "json"]).0;
        let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
        let findings = report["findings"].as_array().expect("findings");
        let of = |check: &str| findings.iter().filter(|finding| finding["check"] == check).count();
        assert_eq!((of("observed-but-denied"), of("unattributed-endpoint")), (1, 1), "{name}");
    }
}

#[test]
fn labels_that_changed_between_snapshots_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let series = folder.path().join("series");
    std::fs::create_dir(&series).expect("a folder");
    let both = |web: &str| web.to_owned() + &pod("api", "10.1.0.9", 1) + &policy("web");
    let one = pod("batch", "10.1.0.7", 5);
    let other = one.replace("app: batch", "app: web, pod-template-hash: x1");
    let same = one.replace("app: batch", "app: batch, pod-template-hash: x1");
    let told = |later: &str| {
        write(&series, "first.yaml", head(10) + &both(&one));
        write(&series, "second.yaml", head(30) + &both(later));
        let capture = write(folder.path(), "node.pcap", capture(&[15])).display().to_string();
        let series = series.display().to_string();
        let report = run(&["check", "--snapshot", &series, "--capture", &capture, "-f", "json"]).0;
        let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
        let gaps = report["gaps"].as_array().expect("gaps").iter();
        let changed = gaps
            .filter(|gap| gap["what"].as_str().is_some_and(|what| what.starts_with("its labels changed")));
        changed.count()
    };
    assert_eq!(told(&other), 1);
    assert_eq!(told(&same), 0);
}
