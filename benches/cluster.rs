//! A real API server with 10,000 pods and 2,000 policies: time to the first report, memory, and the
//! time from a change of a policy to the finding that it makes.
//!
//! Needs what `.ci/apiserver` builds, and says so where that is absent.

#![expect(clippy::disallowed_methods, reason = "benchmarks read the clock and write their page")]

#[path = "../tests/cluster/api_server.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod api_server;
#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/cluster/definitions.rs"]
mod definitions;
#[path = "common/mod.rs"]
mod page;

use api_server::ApiServer;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const NAMESPACES: usize = 500;
const PODS: usize = 20;
const POLICIES: usize = 4;
/// Applications of a namespace, each of as many pods.
const APPLICATIONS: usize = 4;

fn main() {
    let Some(server) = ApiServer::start() else { return };
    let begun = Instant::now();
    fill(&server);
    println!(
        "{} pods and {} policies were written in {:.0} s",
        NAMESPACES * PODS,
        NAMESPACES * POLICIES,
        begun.elapsed().as_secs_f64()
    );
    let mut text = format!(
        "A real API server on the same machine, {NAMESPACES} namespaces, {} pods with addresses, {} policies; medians of five.\n\n\
         | what | figure |\n|---|---:|\n",
        NAMESPACES * PODS,
        NAMESPACES * POLICIES
    );
    reports(&server, &mut text);
    watch(&server, &mut text);
    page::publish("Live clusters", &text);
}

/// Namespaces of applications that may call the next one.
fn fill(server: &ApiServer) {
    let namespaces = (0..NAMESPACES)
        .map(|n| ("/api/v1/namespaces".to_owned(), json!({"metadata": {"name": format!("n{n}")}})));
    server.send_all("POST", namespaces);
    let pods = || (0..NAMESPACES).flat_map(|n| (0..PODS).map(move |p| (n, p)));
    server.send_all("POST", pods().map(|(n, p)| (format!("/api/v1/namespaces/n{n}/pods"), pod(p))));
    let status = pods().map(|(n, p)| {
        let ip = format!("10.{}.{}.{}", n / 256, n % 256, p + 1);
        let body = json!({"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}});
        (format!("/api/v1/namespaces/n{n}/pods/p{p}/status"), body)
    });
    server.patch_all(status);
    let policies = (0..NAMESPACES).flat_map(|n| {
        let path = format!("/apis/networking.k8s.io/v1/namespaces/n{n}/networkpolicies");
        let deny = json!({"metadata": {"name": "deny"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}});
        let allow = (1..POLICIES).map(|a| policy(&format!("allow-{a}"), a, json!([{"podSelector": {"matchLabels": {"app": format!("a{}", a - 1)}}}])));
        std::iter::once(deny).chain(allow).map(move |body| (path.clone(), body)).collect::<Vec<_>>()
    });
    server.send_all("POST", policies);
}

fn pod(number: usize) -> Value {
    let ports = json!([{"name": "http", "containerPort": 8080}]);
    json!({
        "metadata": {"name": format!("p{number}"), "labels": {"app": format!("a{}", number % APPLICATIONS), "track": "stable"}},
        "spec": {"containers": [{"name": "main", "image": "main:1", "ports": ports, "env": [{"name": "LEVEL", "value": "1"}]}]},
    })
}

fn policy(name: &str, app: usize, from: Value) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": {"app": format!("a{app}")}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": from, "ports": [{"port": 8080}]}],
        },
    })
}

fn program(server: &ApiServer) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watertight"));
    command.env("KUBECONFIG", server.kubeconfig());
    command
}

/// `check --cluster`, whole and by stage.
fn reports(server: &ApiServer, text: &mut String) {
    let mut runs: Vec<(f64, Value)> = (0..5)
        .map(|_| {
            let begun = Instant::now();
            let arguments = [
                "check",
                "--cluster",
                "-f",
                "json",
                "--fail-on",
                "never",
                "--timings=json",
                "-o",
                "/dev/null",
            ];
            let output = program(server).args(arguments).output().expect("the program runs");
            let whole = begun.elapsed().as_secs_f64();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            let line = errors.lines().find(|line| line.starts_with('{')).expect("timings");
            (whole, serde_json::from_str(line).expect("timings"))
        })
        .collect();
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (whole, timings) = &runs[2];
    let stage = |name: &str| {
        let stages = timings["stages"].as_array().into_iter().flatten();
        stages
            .filter(|stage| stage["name"] == name)
            .filter_map(|stage| stage["seconds"].as_f64())
            .sum::<f64>()
    };
    let _ = writeln!(text, "| `check --cluster`: time to the report | {whole:.2} s |");
    for (name, what) in [("read", "reading the API server"), ("analyse", "graph"), ("check", "checks")] {
        let _ = writeln!(text, "| of which {what} | {:.2} s |", stage(name));
    }
    let memory = timings["peak_memory_bytes"].as_f64().unwrap_or_default() / 1e6;
    let _ = writeln!(text, "| `check --cluster`: most memory | {memory:.0} MB |");
}

/// `watch`: from the start to the first findings, and from a change to what it makes.
fn watch(server: &ApiServer, text: &mut String) {
    let begun = Instant::now();
    let mut command = program(server);
    command.args(["watch", "-f", "json", "-v"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().expect("the program starts"));
    let child = &mut running.0;
    let (said, events) = channel();
    let lines = BufReader::new(child.stdout.take().expect("output")).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| said.send(line)));
    let (judged, times) = channel();
    let errors = BufReader::new(child.stderr.take().expect("errors")).lines();
    std::thread::spawn(move || errors.map_while(Result::ok).try_for_each(|line| judged.send(line)));
    until(&events, "\"appeared\"");
    let first = begun.elapsed().as_secs_f64();
    let path = "/apis/networking.k8s.io/v1/namespaces/n7/networkpolicies";
    let mut latencies: Vec<f64> = (0..5)
        .map(|number| {
            while events.recv_timeout(Duration::from_millis(1_500)).is_ok() {}
            let name = format!("wide-{number}");
            let body = policy(&name, 1, json!([]));
            let begun = Instant::now();
            server.send("POST", path, "application/json", &body).expect("a policy");
            until(&events, &format!("n7/NetworkPolicy/{name}"));
            begun.elapsed().as_secs_f64()
        })
        .collect();
    latencies.sort_by(f64::total_cmp);
    let mut labels: Vec<f64> = (0..5)
        .map(|number| {
            while events.recv_timeout(Duration::from_millis(1_500)).is_ok() {}
            // One that others may call becomes one that others may call.
            let path = format!("/api/v1/namespaces/n{}/pods/p1", 20 + number);
            let body = json!({"metadata": {"labels": {"app": "a2"}}});
            let begun = Instant::now();
            server.send("PATCH", &path, "application/merge-patch+json", &body).expect("a pod");
            until(&events, &format!("n{}/", 20 + number));
            begun.elapsed().as_secs_f64()
        })
        .collect();
    labels.sort_by(f64::total_cmp);
    let judging = times.try_iter().filter_map(|line| {
        let (_, rest) = line.split_once(" objects in ")?;
        rest.split_once(' ')?.0.parse::<f64>().ok()
    });
    let mut judging: Vec<f64> = judging.collect();
    judging.sort_by(f64::total_cmp);
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    let _ = writeln!(text, "| `watch`: time to the first findings | {first:.2} s |");
    let _ = writeln!(
        text,
        "| `watch`: from writing a policy to its finding | {:.0} ms |",
        latencies[2] * 1_000.0
    );
    let _ = writeln!(
        text,
        "| `watch`: from another label of a pod to what it changes | {:.0} ms |",
        labels[2] * 1_000.0
    );
    let _ = writeln!(
        text,
        "| of both, judging | {:.0} ms |",
        judging.get(judging.len() / 2).unwrap_or(&f64::NAN)
    );
    let _ = writeln!(text, "| `watch`: most memory | {:.0} MB |", peak.unwrap_or(f64::NAN) / 1e3);
}

/// A program that ends with the measurement, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(events: &Receiver<String>, part: &str) {
    while let Ok(line) = events.recv_timeout(Duration::from_secs(120)) {
        if line.contains(part) {
            return;
        }
    }
    panic!("nobody said {part}");
}
