//! Captures live in network namespaces that are joined by veth, plain and with VXLAN over it.
//!
//! Needs root and `ip`; elsewhere it says that it was left out.

#![expect(
    clippy::disallowed_methods,
    reason = "the test is a client of its own server, and reads what was written"
)]

#[path = "common/lab.rs"]
mod lab;

use lab::{Lab, get, interrupt};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

#[test]
fn a_live_capture_ends_on_a_signal_with_every_flow_judged() {
    let Some(lab) = Lab::new("s", 11) else {
        println!("left out: this machine gives no network namespaces");
        return;
    };
    let child = lab.capture(&["--filter", "tcp port 8080"]);
    get("10.199.11.2:8080");
    let output = interrupt(child, "-INT");
    let flows = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let one = flows.lines().find(|line| line.contains("\"protocol\":\"http\"")).expect("the flow");
    assert!(one.contains("\"protection\":\"plaintext\"") && one.contains("10.199.11.2"), "{one}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("0 dropped by the kernel"), "{said}");

    if lab.vxlan(11) {
        let child = lab.capture(&[]);
        get("10.198.11.2:8080");
        let output = interrupt(child, "-TERM");
        let flows = String::from_utf8_lossy(&output.stdout).into_owned();
        let one = flows
            .lines()
            .find(|line| line.contains("10.198.11.2") && line.contains("http"))
            .expect("the flow");
        assert!(one.contains("\"via\":[\"vxlan:42\"]") && one.contains("10.199.11.1"), "{one}");
    } else {
        println!("left out: this kernel has no VXLAN");
    }
}

#[test]
fn a_live_capture_ends_by_itself_also_where_nothing_comes() {
    let Some(lab) = Lab::new("d", 12) else {
        println!("left out: this machine gives no network namespaces");
        return;
    };
    let begun = Instant::now();
    let output =
        lab.capture(&["--duration", "1s", "--filter", "udp port 9"]).wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let refused = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(["capture", "-i", "no-such-interface", "--duration", "1s"])
        .output()
        .expect("watertight runs");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("hint:"), "{said}");
}

/// A line of `/proc/PID/status`, without its name.
fn status(child: &Child, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn privileges_are_given_up_before_the_first_packet() {
    let Some(lab) = Lab::new("p", 13) else {
        println!("left out: this machine gives no network namespaces");
        return;
    };
    // Flags, variables, and the user that is left.
    type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let rows: [Row<'_>; 3] = [
        (&[], &[], "0 0 0 0"),
        (&["--user", "65534"], &[], "65534 65534 65534 65534"),
        (&[], &[("SUDO_UID", "4711"), ("SUDO_GID", "4712")], "4711 4711 4711 4711"),
    ];
    for (more, environment, user) in rows {
        let child = lab.capture_as(&[&["--filter", "tcp port 8080"], more].concat(), environment);
        assert_eq!(status(&child, "Uid:"), user);
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(status(&child, set), "0000000000000000", "{set} as {user}");
        }
        assert_eq!(status(&child, "NoNewPrivs:"), "1");
        let group = status(&child, "Gid:");
        let own = if user.starts_with("4711") { "4712" } else { user.split(' ').next().expect("a user") };
        assert!(
            group.split(' ').all(|gid| gid == own || (own == "65534" && gid.parse::<u32>().is_ok())),
            "{group}"
        );
        get("10.199.13.2:8080");
        let output = interrupt(child, "-INT");
        let flows = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            flows.contains("\"protocol\":\"http\""),
            "{flows}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let wrong = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(["capture", "-i", "lo", "--user", "nobody-of-this-name", "--duration", "1s"])
        .output()
        .expect("watertight runs");
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(wrong.status.code() == Some(2) && said.contains("no user"), "{said}");
}

#[test]
fn several_interfaces_are_captured_at_once() {
    let (Some(one), Some(other)) = (Lab::new("m", 14), Lab::new("n", 15)) else {
        println!("left out: this machine gives no network namespaces");
        return;
    };
    let second = format!("{}a", other.name);
    let child = one.capture(&["-i", &second, "--filter", "tcp port 8080"]);
    get("10.199.14.2:8080");
    get("10.199.15.2:8080");
    let output = interrupt(child, "-TERM");
    let flows = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for server in ["10.199.14.2", "10.199.15.2"] {
        // A try before the server listened carried nothing.
        let carries = |line: &&str| line.contains(server) && !line.contains("no payload was seen");
        let of: Vec<&str> = flows.lines().filter(carries).collect();
        assert!(!of.is_empty() && of.iter().all(|line| line.contains("\"http\"")), "{server}: {flows}{said}");
    }
    assert!(
        said.contains(&format!("{}a, {second}", one.name)) && said.contains("0 dropped by the kernel"),
        "{said}"
    );
}

#[test]
fn records_go_into_files_that_are_rotated_and_the_newest_are_kept() {
    let Some(lab) = Lab::new("r", 16) else {
        println!("left out: this machine gives no network namespaces");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let records = folder.path().join("records").display().to_string();
    let child = lab.capture(&["--write-records", &records, "--rotate", "1KB", "--keep", "2"]);
    for _ in 0..12 {
        get("10.199.16.2:8080");
    }
    let output = interrupt(child, "-TERM");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut files: Vec<_> =
        std::fs::read_dir(&records).expect("records").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).expect("text")).collect();
    assert!(texts[0].len() <= 1_000, "{}", texts[0].len());
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in texts.concat().lines() {
        let flow: serde_json::Value = serde_json::from_str(line).expect("a whole line");
        assert_eq!(flow["schema"], "watertight/flow/v1");
        assert!(told.lines().any(|other| other == line), "on standard output too: {line}");
    }
    assert!(told.lines().filter(|line| line.contains("\"http\"")).count() >= 12, "{told}");
}

#[test]
fn a_finding_is_told_when_it_first_appears_and_not_again() {
    let Some(lab) = Lab::new("f", 17) else {
        println!("left out: this machine gives no network namespaces");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let manifests = folder.path().join("pods.yaml");
    let pod = |name: &str, address: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{namespace: shop, name: {name}, labels: {{app: {name}}}}}\n\
             spec: {{containers: [{{name: c}}]}}\nstatus: {{podIP: {address}}}\n---\n"
        )
    };
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: shop, name: none}\n\
                  spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}\n";
    let text = pod("client", "10.199.17.1") + &pod("web", "10.199.17.2") + policy;
    std::fs::write(&manifests, text).expect("written");
    let manifests = manifests.display().to_string();
    let mut child = lab.capture(&["--check", &manifests, "--filter", "tcp port 8080"]);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut checks: Vec<(String, String)> = Vec::new();
    get("10.199.17.2:8080");
    // What the flow shows is told while the capture goes on.
    while !checks.iter().any(|(check, _)| check == "observed-but-denied") {
        let line = lines.next().expect("more findings").expect("text");
        let finding: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(finding["schema"], "watertight/finding/v1");
        let word = |field: &str| finding[field].as_str().expect("text").to_owned();
        checks.push((word("check"), word("fingerprint")));
    }
    let denied = checks.last().expect("a finding").clone();
    get("10.199.17.2:8080");
    sleep(Duration::from_millis(2_500));
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    for line in lines {
        let finding: serde_json::Value = serde_json::from_str(&line.expect("text")).expect("JSON");
        assert_eq!(finding["schema"], "watertight/finding/v1");
        let word = |field: &str| finding[field].as_str().expect("text").to_owned();
        checks.push((word("check"), word("fingerprint")));
    }
    assert!(child.wait().expect("it ends").success());
    assert_eq!(checks.iter().filter(|told| **told == denied).count(), 1, "{checks:?}");
    assert!(checks.iter().any(|(check, _)| check == "plaintext-flow"), "{checks:?}");
    let unique: std::collections::BTreeSet<&String> = checks.iter().map(|(_, print)| print).collect();
    assert_eq!(unique.len(), checks.len(), "{checks:?}");
}

#[test]
fn a_live_review_says_at_its_end_of_which_flows_nobody_can_tell() {
    let Some(lab) = Lab::new("u", 21) else {
        println!("left out: this machine gives no network namespaces");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let manifests = folder.path().join("pods.yaml");
    let pod = |name: &str, address: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{namespace: shop, name: {name}}}\n\
             spec: {{containers: [{{name: c}}]}}\nstatus: {{podIP: {address}}}\n---\n"
        )
    };
    std::fs::write(&manifests, pod("client", "10.199.21.1") + &pod("web", "10.199.21.2")).expect("written");
    let manifests = manifests.display().to_string();
    let child = lab.capture(&["--check", &manifests, "--filter", "udp port 7777"]);
    let socket = std::net::UdpSocket::bind("10.199.21.1:0").expect("a socket");
    for number in 0..4 {
        socket.send_to(&[0xf9, 1, 0, 2, 0, 0, 0, number], "10.199.21.2:7777").ok();
        sleep(Duration::from_millis(50));
    }
    let output = interrupt(child, "-TERM");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let gap = told.lines().find(|line| line.contains("whether they are protected")).expect(&told);
    assert!(
        gap.contains("watertight/gap/v1") && gap.contains("shop/Pod/client -> shop/Pod/web UDP/7777"),
        "{gap}"
    );
}

#[test]
fn a_terminal_shows_a_table_and_is_given_back() {
    let Some(lab) = Lab::new("t", 18) else {
        println!("left out: this machine gives no network namespaces");
        return;
    };
    let program = env!("CARGO_BIN_EXE_watertight");
    let line =
        format!("{program} capture -i {}a --filter 'tcp port 8080' --duration 4s --only 10.199.18", lab.name);
    let child = Command::new("script")
        .args(["-qefc", &line, "/dev/null"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(child) = child else {
        println!("left out: no program `script`, which gives a terminal");
        return;
    };
    sleep(Duration::from_millis(500));
    for _ in 0..3 {
        get("10.199.18.2:8080");
        sleep(Duration::from_millis(300));
    }
    let output = child.wait_with_output().expect("it ends");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}");
    let (begin, end) = (shown.find("\x1b[?1049h"), shown.rfind("\x1b[?1049l"));
    assert!(begin.is_some() && begin < end, "{shown}");
    assert!(shown.contains("8080/tcp") && shown.contains("\x1b[31mplaintext"), "{shown}");
    assert!(shown.contains("0 dropped") && shown.contains("by bytes"), "{shown}");
}
