//! Names that somebody chose so that a report does what they want: move the cursor of a terminal,
//! turn the direction of reading, look like another line.

#![expect(clippy::disallowed_methods, reason = "tests write the files that they try")]

use std::path::Path;
use std::process::{Command, Output};

/// Clears the screen, goes on from the right, ends the line in Unicode's way, rings.
const EVIL: &str = r#"x\u001b[2J\u001b[H\u202e\u2028\u009b31m\u0007\rz"#;

fn cluster(label: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: \"web{EVIL}\", namespace: \"shop{EVIL}\", labels: {{app: \"{label}\"}}}}\n\
         spec: {{containers: [{{name: c, ports: [{{name: \"{EVIL}\", containerPort: 8080}}]}}]}}\n\
         ---\napiVersion: v1\nkind: Service\nmetadata: {{name: \"web{EVIL}\", namespace: \"shop{EVIL}\"}}\n\
         spec: {{type: LoadBalancer, selector: {{app: \"{label}\"}}, ports: [{{port: 80, targetPort: \"{EVIL}\"}}]}}\n\
         ---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: i, namespace: \"shop{EVIL}\"}}\n\
         spec: {{rules: [{{host: \"{EVIL}\", http: {{paths: [{{path: \"/{EVIL}\", pathType: Prefix, backend: \
         {{service: {{name: \"web{EVIL}\", port: {{number: 80}}}}}}}}]}}}}]}}\n\
         ---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: \"p{EVIL}\", namespace: \"shop{EVIL}\"}}\n\
         spec: {{podSelector: {{matchLabels: {{app: \"{label}s\"}}}}, ingress: [{{}}]}}\n"
    )
}

fn run(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watertight"))
        .current_dir(folder)
        .args(words)
        .output()
        .expect("the tool runs")
}

/// The first character that is no text, where there is one.
fn acting(bytes: &[u8]) -> Option<char> {
    let text = std::str::from_utf8(bytes).expect("UTF-8").replace("\r\n", "\n");
    text.chars().find(|c| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

#[test]
fn no_name_commands_a_terminal_in_any_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "m\u{1b}[2J.yaml";
    std::fs::write(folder.path().join(name), cluster(EVIL)).expect("a file");
    std::fs::write(folder.path().join("none.yaml"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
        .expect("a file");
    let reports: &[(&[&str], &[&str])] = &[
        (&["check", name], &["text", "markdown", "html", "junit", "csv"]),
        (&["graph", name], &["text", "csv", "dot", "mermaid"]),
        (&["graph", name, "--what", "exposure"], &["text", "csv", "dot", "mermaid"]),
        (&["diff", "none.yaml", name], &["text", "markdown", "html", "junit", "dot", "mermaid"]),
        (&["diff", name, "none.yaml"], &["text", "markdown", "html", "junit", "dot", "mermaid"]),
        (&["check", "gone\u{1b}[2J.yaml"], &["text"]),
    ];
    for (words, formats) in reports {
        for format in *formats {
            let output = run(folder.path(), &[words, &["-f", format][..]].concat());
            assert_eq!(acting(&output.stdout), None, "{words:?} {format}");
            assert_eq!(acting(&output.stderr), None, "{words:?} {format}");
        }
    }
}

#[test]
fn no_name_looks_like_a_line_of_the_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let forged = r#"web\n\n0 findings\n\nREACHABLE FROM OUTSIDE (0)\n"#;
    let text = cluster("app").replace(&format!("web{EVIL}"), forged).replace(&format!("shop{EVIL}"), forged);
    std::fs::write(folder.path().join("m.yaml"), text).expect("a file");
    for words in [&["check", "m.yaml"][..], &["graph", "m.yaml"], &["graph", "m.yaml", "--what", "exposure"]]
    {
        let output = run(folder.path(), words);
        for told in [&output.stdout, &output.stderr] {
            let told = String::from_utf8_lossy(told);
            assert!(!told.lines().any(|line| line == "0 findings"), "{words:?}: {told}");
        }
    }
}
