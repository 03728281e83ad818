//! Thousands of addresses outside: people see what is known of them, programs see each.

#![expect(clippy::disallowed_methods, reason = "tests write the files that they try")]

#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test takes plain segments")]
mod frames;

use frames::{Ip, tcp};
use std::path::Path;
use std::process::Command;

const PODS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop, labels: {app: api}}
spec: {containers: [{name: c}]}
status: {podIP: 10.1.0.9}
";

/// A request in the clear from each of some addresses, sixteen in a network.
fn capture(addresses: u16) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    let client = |number: u16| [20, 0, (number / 16) as u8, (number % 16) as u8 + 1];
    let said = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    for number in 0..addresses {
        let ip = Ip { id: number, hops: 64, source: client(number), target: [10, 1, 0, 9] };
        for (at, flags, text) in [(0, 2, &b""[..]), (1, 0x18, said)] {
            let ports = (30_000 + number, 80);
            let packet = ip.whole(6, &tcp(ports, 70_000 * u32::from(number) + at, 9, flags, text));
            let length = packet.len() as u32;
            let words = [1_700_000_000, u32::from(number) * 100 + at, length, length];
            words.iter().for_each(|word| file.extend(word.to_le_bytes()));
            file.extend(packet);
        }
    }
    file
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(arguments)
        .arg("--capture")
        .arg(folder.join("a.pcap"))
        .arg("--")
        .arg(folder.join("a.yaml"))
        .output()
        .expect("the tool runs");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn people_see_what_is_known_of_many_addresses_and_programs_see_each() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.yaml"), PODS).expect("a file");
    let lines = |text: &str, word: &str| text.lines().filter(|line| line.contains(word)).count();
    let observed = ["graph", "--what", "observed", "-f"];
    let graph = |format: &str| run(folder.path(), &[&observed[..], &[format]].concat());
    let check = |format: &str| run(folder.path(), &["check", "-f", format]);
    let findings = |text: &str| -> usize {
        let report: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let all = report["findings"].as_array().expect("a list");
        all.iter().filter(|finding| finding["check"] == "plaintext-flow").count()
    };
    // Few stand each for itself.
    std::fs::write(folder.path().join("a.pcap"), capture(96)).expect("a file");
    assert_eq!(lines(&graph("text"), "shop/Pod/api: TCP 80 http plaintext, seen in 1 flow"), 96);
    assert_eq!(lines(&check("text"), "plaintext-flow"), 96);
    // Many are told by their networks.
    std::fs::write(folder.path().join("a.pcap"), capture(400)).expect("a file");
    let text = graph("text");
    assert_eq!(lines(&text, "plaintext, seen in 16 flows"), 25);
    assert_eq!(lines(&text, "20.0.3.0/24 (16 addresses) -> shop/Pod/api: TCP 80 http"), 1);
    assert_eq!(lines(&text, "# 400 addresses outside are shown as 25; json and csv have each"), 1);
    assert_eq!(lines(&graph("mermaid"), "(16 addresses)"), 25);
    assert_eq!(graph("json").matches("\"from\":\"20.0.").count(), 400);
    assert_eq!(lines(&graph("csv"), "20.0."), 400);
    let text = check("text");
    assert_eq!(lines(&text, "HIGH (400)"), 1);
    assert_eq!(lines(&text, "plaintext-flow  400 addresses -> shop/Pod/api"), 1);
    assert_eq!(lines(&text, "20.0.0.0/24 (16 addresses)"), 1);
    assert_eq!(lines(&check("markdown"), "`plaintext-flow`"), 1);
    assert_eq!(findings(&check("json")), 400);
    // Of too many networks none is told.
    std::fs::write(folder.path().join("a.pcap"), capture(3_600)).expect("a file");
    assert_eq!(lines(&graph("text"), "others outside (3600 addresses) -> shop/Pod/api"), 1);
}
