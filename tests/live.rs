//! Captures live in network namespaces that are joined by veth, plain and with VXLAN over it.
//!
//! Needs root and `ip`; elsewhere it says that it was left out.

#![expect(clippy::disallowed_methods, reason = "the test is a client of its own server")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Two ends of a cable: this side, and a namespace that serves HTTP in the clear on port 8080.
struct Lab {
    name: String,
    server: Option<Child>,
}

/// Runs a line of `ip`; whether it succeeded.
fn ip(line: &str) -> bool {
    let run = Command::new("ip").args(line.split_whitespace()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

const SERVER: &str = "\
import http.server
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header('Content-Length', '2'); self.end_headers(); self.wfile.write(b'hi')
http.server.HTTPServer(('0.0.0.0', 8080), Hello).serve_forever()
";

impl Lab {
    /// `None` where this machine does not allow it.
    fn new(tag: &str, octet: u8) -> Option<Lab> {
        let name = format!("wt{tag}{}", std::process::id() % 10_000);
        if !ip(&format!("netns add {name}")) {
            return None;
        }
        let mut lab = Lab { name: name.clone(), server: None };
        let made = ip(&format!("link add {name}a type veth peer name {name}b netns {name}"))
            && ip(&format!("addr add 10.199.{octet}.1/24 dev {name}a"))
            && ip(&format!("link set {name}a up"))
            && ip(&format!("-n {name} addr add 10.199.{octet}.2/24 dev {name}b"))
            && ip(&format!("-n {name} link set {name}b up"))
            && ip(&format!("-n {name} link set lo up"));
        if !made {
            return None;
        }
        let python = ["netns", "exec", &name, "python3", "-c", SERVER];
        lab.server = Command::new("ip").args(python).stderr(Stdio::null()).spawn().ok();
        Some(lab)
    }

    /// The same two ends in a VXLAN of their own; whether the kernel has it.
    fn vxlan(&self, octet: u8) -> bool {
        let Lab { name, .. } = self;
        let link = "type vxlan id 42 dstport 8472";
        ip(&format!("link add {name}x {link} local 10.199.{octet}.1 remote 10.199.{octet}.2 dev {name}a"))
            && ip(&format!("addr add 10.198.{octet}.1/24 dev {name}x"))
            && ip(&format!("link set {name}x up"))
            && ip(&format!(
                "-n {name} link add {name}x {link} local 10.199.{octet}.2 remote 10.199.{octet}.1 dev {name}b"
            ))
            && ip(&format!("-n {name} addr add 10.198.{octet}.2/24 dev {name}x"))
            && ip(&format!("-n {name} link set {name}x up"))
    }

    fn capture(&self, more: &[&str]) -> Child {
        let interface = format!("{}a", self.name);
        let child = Command::new(env!("CARGO_BIN_EXE_watertight"))
            .args(["capture", "-i", &interface, "-f", "json", "--fail-on", "never"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("watertight runs");
        // The first line on standard error says that it listens.
        let mut said = [0; 9];
        child.stderr.as_mut().expect("a pipe").read_exact(&mut said).expect("it listens");
        assert_eq!(&said, b"capturing");
        child
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            drop(server.kill());
            drop(server.wait());
        }
        ip(&format!("link del {}x", self.name));
        ip(&format!("link del {}a", self.name));
        ip(&format!("netns del {}", self.name));
    }
}

fn get(address: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < end, "{address}: {error}"),
        }
        sleep(Duration::from_millis(100));
    };
    stream.write_all(b"GET /items HTTP/1.0\r\nHost: shop\r\n\r\n").expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.ends_with("hi"), "{answer}");
}

fn interrupt(child: Child, signal: &str) -> Output {
    sleep(Duration::from_millis(300));
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    child.wait_with_output().expect("it ends")
}

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
