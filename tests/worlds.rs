//! Every world under `fixtures` through every format, against `graphs/<world>`.
//! `UPDATE_EXPECT=1` rewrites what the tool says.

#![expect(clippy::disallowed_methods, reason = "tests read fixtures")]

use std::path::Path;
use std::process::Command;

/// What is kept of each world: the file, and the arguments behind it.
const KEPT: &[(&str, &[&str])] = &[
    ("report.txt", &["check", "-f", "text"]),
    ("report.json", &["check", "-f", "json"]),
    ("report.sarif", &["check", "-f", "sarif"]),
    ("report.md", &["check", "-f", "markdown"]),
    ("report.html", &["check", "-f", "html"]),
    ("report.junit.xml", &["check", "-f", "junit"]),
    ("findings.csv", &["check", "-f", "csv"]),
    ("allowed.dot", &["graph", "--what", "allowed", "-f", "dot"]),
    ("observed.dot", &["graph", "--what", "observed", "-f", "dot"]),
    ("overlay.dot", &["graph", "--what", "overlay", "-f", "dot"]),
    ("overlay.mmd", &["graph", "--what", "overlay", "-f", "mermaid"]),
    ("observed.txt", &["graph", "--what", "observed", "-f", "text"]),
    ("allowed.json", &["graph", "-f", "json"]),
];

/// What is kept of a world that has a contract.
const KEPT_UNDER_CONTRACT: &[(&str, &[&str])] = &[
    ("contract.txt", &["check", "-f", "text"]),
    ("contract.json", &["check", "-f", "json"]),
    ("contract.sarif", &["check", "-f", "sarif"]),
    ("contract.md", &["check", "-f", "markdown"]),
    ("segments.dot", &["graph", "--by", "segment", "-f", "dot"]),
];

fn contract(world: &str) -> Option<String> {
    let file = format!("fixtures/{world}/watertight.yaml");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(&file).is_file().then_some(file)
}

/// Everything that is kept of a world, with its whole arguments.
fn kept(world: &str) -> Vec<(&'static str, Vec<String>)> {
    let plain =
        KEPT.iter().map(|(file, arguments)| (*file, arguments.iter().map(|a| (*a).to_owned()).collect()));
    let mut all: Vec<(&str, Vec<String>)> = plain.collect();
    if let Some(contract) = contract(world) {
        all.extend(KEPT_UNDER_CONTRACT.iter().map(|(file, arguments)| {
            let under = ["--config", &contract, "--today", "2027-03-01"];
            (*file, arguments.iter().chain(&under).map(|a| (*a).to_owned()).collect())
        }));
    }
    all
}

fn say(world: &str, arguments: &[impl AsRef<str> + std::fmt::Debug]) -> String {
    let (command, rest) = arguments.split_first().expect("a command");
    let output = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg(command.as_ref())
        .arg(format!("fixtures/{world}/manifests"))
        .args(["--capture", &format!("fixtures/{world}/capture.pcap"), "--fail-on", "never"])
        .args(rest.iter().map(AsRef::as_ref))
        .output()
        .expect("the tool runs");
    assert!(output.status.success(), "{world} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn worlds() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let entries = std::fs::read_dir(root).expect("fixtures").map(|entry| entry.expect("an entry").path());
    let mut names: Vec<String> = entries
        .filter(|path| path.join("manifests").is_dir())
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_said_of_each_world_is_what_was_kept() {
    let graphs = Path::new(env!("CARGO_MANIFEST_DIR")).join("graphs");
    let update = std::env::var("UPDATE_EXPECT").is_ok();
    let mut different = Vec::new();
    assert!(worlds().len() >= 3);
    for world in worlds() {
        for (file, arguments) in kept(&world) {
            let said = say(&world, &arguments);
            let path = graphs.join(&world).join(file);
            if update {
                std::fs::create_dir_all(graphs.join(&world)).expect("a folder");
                std::fs::write(&path, &said).expect("the file can be written");
            }
            if std::fs::read_to_string(&path).unwrap_or_default() != said {
                different.push(format!("graphs/{world}/{file}"));
            }
        }
    }
    assert!(different.is_empty(), "not as kept (UPDATE_EXPECT=1 rewrites): {different:?}");
}

#[test]
fn every_format_of_the_review_contains_every_finding() {
    for world in worlds() {
        let json: serde_json::Value =
            serde_json::from_str(&say(&world, &["check", "-f", "json"])).expect("JSON");
        let texts = ["text", "markdown", "csv", "sarif"].map(|format| say(&world, &["check", "-f", format]));
        for finding in json["findings"].as_array().expect("findings") {
            let subject = finding["subject"].as_str().expect("a subject");
            assert!(texts.iter().all(|text| text.contains(subject)), "{world}: {subject}");
        }
    }
}

#[test]
fn graphviz_draws_every_world_without_a_warning() {
    if Command::new("dot").arg("-V").output().is_err() {
        println!("skipped: Graphviz is not installed");
        return;
    }
    for world in worlds() {
        for file in ["allowed.dot", "observed.dot", "overlay.dot"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("graphs").join(&world).join(file);
            let drawn = Command::new("dot").arg("-Tsvg").arg(path).output().expect("Graphviz runs");
            let warned = String::from_utf8_lossy(&drawn.stderr).into_owned();
            assert!(drawn.status.success() && warned.is_empty(), "{world}/{file}: {warned}");
        }
    }
}

#[test]
fn no_secret_of_a_capture_reaches_a_report() {
    for world in worlds() {
        for (_, arguments) in kept(&world) {
            assert!(!say(&world, &arguments).contains("secret-of-a-test"), "{world} {arguments:?}");
        }
        let flows = say(&world, &["graph", "--what", "observed", "-f", "json"]);
        assert!(!flows.contains("c2VjcmV0LW9mLWEtdGVzd"), "{world}");
    }
}
