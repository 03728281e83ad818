//! How live captures end: nothing that was seen is lost, whatever else goes wrong.
//!
//! Needs root and `ip`; elsewhere it says that it was left out.

#![expect(
    clippy::disallowed_methods,
    reason = "the test is a client of its own server, and reads what was written"
)]

#[path = "common/lab.rs"]
mod lab;

use lab::{Lab, get, interrupt, ip};
use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

macro_rules! lab {
    ($tag:literal, $octet:literal) => {
        match Lab::new($tag, $octet) {
            Some(lab) => lab,
            None => {
                println!("left out: this machine gives no network namespaces");
                return;
            }
        }
    };
}

/// Sends so many datagrams of one flow to a port of the other end.
fn send(octet: u8, count: usize) {
    let socket = socket();
    (0..count).for_each(|_| send_through(&socket, octet));
}

/// Sends one datagram of each of so many flows: no socket is closed before the last one has sent,
/// because the system gives the port of a closed one out again.
fn send_flows(octet: u8, count: usize) {
    let sockets: Vec<UdpSocket> = (0..count).map(|_| socket()).collect();
    sockets.iter().for_each(|socket| send_through(socket, octet));
}

fn socket() -> UdpSocket {
    UdpSocket::bind("0.0.0.0:0").expect("a socket")
}

fn send_through(socket: &UdpSocket, octet: u8) {
    socket.send_to(b"hello", format!("10.199.{octet}.2:9")).expect("sent");
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watertight"))
        .arg("capture")
        .args(args)
        .output()
        .expect("watertight runs")
}

#[test]
fn what_came_just_before_the_end_is_told() {
    let lab = lab!("e", 21);
    for _ in 0..4 {
        let child = lab.capture(&["--filter", "udp port 9"]);
        send(21, 50);
        signal(&child, "-INT");
        let output = child.wait_with_output().expect("it ends");
        assert!(text(&output.stdout).contains("\"packets\":[50,0]"), "{}", text(&output.stdout));
    }
}

#[test]
fn a_packet_that_several_interfaces_show_counts_once() {
    let lab = lab!("k", 22);
    let name = &lab.name;
    let bridged = ip(&format!("link add {name}r type bridge"))
        && ip(&format!("addr del 10.199.22.1/24 dev {name}a"))
        && ip(&format!("link set {name}a master {name}r"))
        && ip(&format!("addr add 10.199.22.1/24 dev {name}r"))
        && ip(&format!("link set {name}r up"));
    if !bridged {
        println!("left out: this kernel has no bridges");
        return;
    }
    let bridge = format!("{name}r");
    // A bridge waits for its port, and the server for its port.
    get("10.199.22.2:8080");
    for more in [["-i", &bridge], ["-i", "any"]] {
        let child = lab.capture(&[&more[..], &["--filter", "tcp port 8080"]].concat());
        get("10.199.22.2:8080");
        let output = interrupt(child, "-TERM");
        let flows = text(&output.stdout);
        assert_eq!(flows.lines().count(), 1, "{more:?}: {flows}{}", text(&output.stderr));
        let flow: serde_json::Value = serde_json::from_str(&flows).expect("JSON");
        let (packets, copies) = (&flow["packets"], flow["copies"].as_u64().expect("copies"));
        let counted = packets[0].as_u64().expect("a number") + packets[1].as_u64().expect("a number");
        // With `any` beside the interface itself, each packet is seen at three places.
        let more_places = if more[1] == "any" { 2 } else { 1 };
        assert_eq!(copies, counted * more_places, "{more:?}: {flow}");
    }
}

#[test]
fn who_closes_standard_error_loses_nothing() {
    let lab = lab!("q", 23);
    let mut child = lab.capture(&["--filter", "tcp port 8080"]);
    drop(child.stderr.take());
    get("10.199.23.2:8080");
    let output = interrupt(child, "-INT");
    assert!(output.status.success(), "{:?}", output.status);
    assert!(text(&output.stdout).contains("\"http\""), "{}", text(&output.stdout));
}

#[test]
fn what_cannot_be_read_or_written_is_said_before_anything_is_captured() {
    let rows: [(&[&str], &str); 5] = [
        (&["--check", "no-such-folder"], "no-such-folder"),
        (&["--manifests", "no-such-folder"], "no-such-folder"),
        (&["--snapshot", "no-such-file.yaml"], "no-such-file.yaml"),
        (&["--config", "no-such-file.yaml"], "no-such-file.yaml"),
        (&["--report", "json=/no-such-folder/report.json"], "/no-such-folder/report.json"),
    ];
    for (more, named) in rows {
        let output = run(&[&["-i", "lo", "--duration", "20s"], more].concat());
        let said = text(&output.stderr);
        if said.contains("CAP_NET_RAW") {
            println!("left out: captures are not permitted");
            return;
        }
        assert_eq!(output.status.code(), Some(2), "{more:?}: {said}");
        assert!(said.contains(named) && said.contains("hint:"), "{more:?}: {said}");
        assert!(!said.contains("capturing on"), "{more:?}: {said}");
    }
}

#[test]
fn a_time_that_no_clock_counts_never_comes() {
    let lab = lab!("o", 24);
    let child = lab.capture(&["--duration", "18446744073709551615"]);
    let output = interrupt(child, "-INT");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// The lines of all files of a folder, in their order.
fn records(folder: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder).expect("records").map(|entry| entry.expect("a file").path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).expect("text"));
    texts.collect::<String>().split_inclusive('\n').map(str::to_owned).collect()
}

#[test]
fn a_disk_that_is_full_takes_nothing_from_the_rest() {
    let lab = lab!("w", 25);
    let folder = tempfile::tempdir().expect("a folder");
    let disk = folder.path().display().to_string();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k", "watertight", &disk]).status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("left out: nothing may be mounted here");
        return;
    }
    let child = lab.capture(&["--write-records", &disk, "--filter", "udp port 9"]);
    send_flows(25, 100);
    let output = interrupt(child, "-TERM");
    let (told, said) = (text(&output.stdout), text(&output.stderr));
    let written = records(&disk);
    let unmounted = Command::new("umount").arg(&disk).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    assert_eq!(told.lines().count(), 100, "{said}");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("No space left")
            && said.contains("hint:")
            && said.contains("records could not be written"),
        "{said}"
    );
    assert!(
        written.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{written:?}"
    );
}

#[test]
fn records_go_on_where_nobody_reads_standard_output() {
    let lab = lab!("z", 26);
    let folder = tempfile::tempdir().expect("a folder");
    let named = folder.path().display().to_string();
    let mut child = lab.capture(&["--write-records", &named, "--filter", "udp port 9"]);
    drop(child.stdout.take());
    send_flows(26, 40);
    let output = interrupt(child, "-TERM");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(records(&named).len(), 40);
}

#[test]
fn an_interface_that_goes_away_is_said_and_what_it_showed_is_told() {
    let lab = lab!("g", 27);
    let child = lab.capture(&["--duration", "60s", "--filter", "udp port 9"]);
    send(27, 3);
    sleep(Duration::from_millis(400));
    assert!(ip(&format!("link del {}a", lab.name)));
    let output = child.wait_with_output().expect("it ends");
    let said = text(&output.stderr);
    assert!(text(&output.stdout).contains("\"packets\":[3,0]"), "{said}");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("went away") && said.contains("hint:"), "{said}");
}

#[test]
fn an_interface_that_is_down_for_a_while_goes_on() {
    let lab = lab!("u", 28);
    let name = &lab.name;
    let child = lab.capture(&["--filter", "udp port 9"]);
    send(28, 1);
    assert!(ip(&format!("link set {name}a down")));
    sleep(Duration::from_millis(300));
    assert!(ip(&format!("link set {name}a up")));
    sleep(Duration::from_millis(300));
    send(28, 1);
    let output = interrupt(child, "-INT");
    assert_eq!(text(&output.stdout).lines().count(), 2, "{}", text(&output.stderr));
    assert!(output.status.success());
    let down = ip(&format!("link set {name}a down"));
    let refused = run(&["-i", &format!("{name}a"), "--duration", "1s"]);
    assert!(down && text(&refused.stderr).contains("ip link set"), "{}", text(&refused.stderr));
}

#[test]
fn a_hang_up_ends_it_cleanly_unless_it_was_turned_off() {
    let lab = lab!("h", 29);
    let child = lab.capture(&["--filter", "udp port 9"]);
    send(29, 1);
    let output = interrupt(child, "-HUP");
    assert!(output.status.success(), "{:?}", output.status);
    assert_eq!(text(&output.stdout).lines().count(), 1);

    // As under nohup.
    let program = env!("CARGO_BIN_EXE_watertight");
    let line = format!("trap '' HUP; exec {program} capture -i {}a -f json --filter 'udp port 9'", lab.name);
    let child = Command::new("sh").args(["-c", &line]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("a shell");
    let mut said = [0; 9];
    child.stderr.as_mut().expect("a pipe").read_exact(&mut said).expect("it listens");
    sleep(Duration::from_millis(100));
    signal(&child, "-HUP");
    sleep(Duration::from_millis(700));
    send(29, 1);
    let output = interrupt(child, "-INT");
    assert_eq!(text(&output.stdout).lines().count(), 1, "{:?}", output.status);
}

#[test]
fn a_second_signal_does_not_wait_for_who_does_not_read() {
    let lab = lab!("x", 30);
    let mut child = lab.capture(&["--filter", "udp port 9"]);
    let mut kept = BufReader::with_capacity(16, child.stdout.take().expect("a pipe"));
    // More than a pipe holds.
    send_flows(30, 400);
    sleep(Duration::from_millis(300));
    signal(&child, "-INT");
    sleep(Duration::from_millis(1_500));
    assert!(child.try_wait().expect("a process").is_none(), "it waits for its reader");
    signal(&child, "-INT");
    let end = Instant::now() + Duration::from_secs(5);
    let status = loop {
        if let Some(status) = child.try_wait().expect("a process") {
            break status;
        }
        assert!(Instant::now() < end, "it still waits");
        sleep(Duration::from_millis(20));
    };
    assert_eq!(status.signal(), Some(2), "{status:?}");
    let mut first = String::new();
    kept.read_line(&mut first).expect("a line");
    assert!(first.starts_with("{\"schema\""), "{first}");
}

#[test]
fn terminals_get_the_colours_and_the_table_that_they_can_have() {
    let lab = lab!("y", 31);
    // A server that is still starting would be all that three seconds show.
    get("10.199.31.2:8080");
    let program = env!("CARGO_BIN_EXE_watertight");
    let shown = |environment: &str| {
        let line = format!(
            "env {environment} {program} capture -i {}a --filter 'tcp port 8080' --duration 3s",
            lab.name
        );
        let child = Command::new("script")
            .args(["-qefc", &line, "/dev/null"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        sleep(Duration::from_millis(700));
        get("10.199.31.2:8080");
        let output = child.wait_with_output().expect("it ends");
        Some(text(&output.stdout))
    };
    let Some(coloured) = shown("TERM=xterm") else {
        println!("left out: no program `script`, which gives a terminal");
        return;
    };
    assert!(coloured.contains("\x1b[31mplaintext") && coloured.contains("\x1b[?1049h"), "{coloured}");
    let plain = shown("TERM=xterm NO_COLOR=1").expect("a terminal");
    assert!(
        !plain.contains("\x1b[31m") && plain.contains("\x1b[?1049h") && plain.contains("plaintext"),
        "{plain}"
    );
    let dumb = shown("TERM=dumb").expect("a terminal");
    assert!(!dumb.contains('\x1b') && dumb.contains("http plaintext"), "{dumb}");
}
