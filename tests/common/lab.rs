//! Two ends of a cable, one of them in a network namespace of its own, and captures of it.

#![allow(dead_code, clippy::disallowed_methods, reason = "every test file uses its own part")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Two ends of a cable: this side, and a namespace that serves HTTP in the clear on port 8080.
pub struct Lab {
    pub name: String,
    server: Option<Child>,
}

/// Runs a line of `ip`; whether it succeeded.
pub fn ip(line: &str) -> bool {
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
    pub fn new(tag: &str, octet: u8) -> Option<Lab> {
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
    pub fn vxlan(&self, octet: u8) -> bool {
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

    pub fn capture(&self, more: &[&str]) -> Child {
        self.capture_as(more, &[])
    }

    /// The same with variables of the environment.
    pub fn capture_as(&self, more: &[&str], environment: &[(&str, &str)]) -> Child {
        let interface = format!("{}a", self.name);
        // Who runs the tests may have turned hang-ups off, which programs inherit.
        let child = Command::new("env")
            .args(["--default-signal=HUP", env!("CARGO_BIN_EXE_watertight")])
            .args(["capture", "-i", &interface, "-f", "json", "--fail-on", "never"])
            .args(more)
            .env_remove("SUDO_UID")
            .envs(environment.iter().copied())
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
        // Also what a test laid beside it and did not come to take away.
        for end in ["x", "r", "a"] {
            ip(&format!("link del {}{end}", self.name));
        }
        ip(&format!("netns del {}", self.name));
    }
}

pub fn get(address: &str) {
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

pub fn interrupt(child: Child, signal: &str) -> Output {
    sleep(Duration::from_millis(300));
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    child.wait_with_output().expect("it ends")
}
