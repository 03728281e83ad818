//! The command line: exit codes, standard input, hints, and input that is broken in every way.

#![expect(clippy::disallowed_methods, reason = "tests write the files that they try")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const OPEN: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x, labels: {app: a}}\n\
                    ---\napiVersion: v1\nkind: Pod\nmetadata: {name: b, namespace: y, labels: {app: b}}\n";

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watertight")).args(arguments).output().expect("the tool runs")
}

fn run_with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool runs");
    // A tool that refuses its flags may be gone before it reads.
    drop(child.stdin.take().expect("a pipe").write_all(input.as_bytes()));
    child.wait_with_output().expect("the tool ends")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("a file");
    }
    folder
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn findings_make_the_exit_code_one_unless_never() {
    assert_eq!(run_with_input(&["check", "-"], OPEN).status.code(), Some(1));
    assert_eq!(run_with_input(&["check", "-", "--fail-on", "never"], OPEN).status.code(), Some(0));
    assert_eq!(run_with_input(&["check", "-", "--fail-on", "critical"], OPEN).status.code(), Some(0));
}

#[test]
fn without_paths_there_is_a_hint_and_exit_code_two() {
    let output = run(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("hint: "), "{}", said(&output));
}

#[test]
fn the_help_of_a_command_lists_the_formats_that_it_takes() {
    for (command, rest) in [
        ("check", &["-"][..]),
        ("graph", &["-"]),
        ("suggest", &["-", "--capture", "fixtures/shop/capture.pcap"]),
        ("reach", &["x/a", "-"]),
        ("rules", &[]),
    ] {
        let help = String::from_utf8_lossy(&run(&[command, "--help"]).stdout).into_owned();
        let (_, after) = help.split_once("--format <NAME>").expect("it is listed");
        let listed = after.trim_start().lines().next().expect("a line").replace(" (which is YAML)", "");
        for format in ["text", "markdown", "html", "json", "sarif", "junit", "dot", "mermaid", "csv"] {
            let output = run_with_input(&[&[command, "-f", format], rest].concat(), OPEN);
            let refused = said(&output).contains(&format!("the format {format} has no"));
            let is_listed = listed.split([',', ' ']).any(|word| word == format);
            assert_eq!(refused, !is_listed, "{command} -f {format}: {}", said(&output));
        }
    }
}

#[test]
fn a_format_without_such_a_report_is_refused_before_anything_is_read() {
    // Nothing of this exists: whoever read first would say so.
    let commands: [(&[&str], &str, &str); 8] = [
        (&["flows", "nowhere.pcap", "-f", "markdown"], "markdown", "text, json, dot, mermaid, csv, svg"),
        (&["flows", "nowhere.pcap", "--report", "sarif=x"], "sarif", "text, json, dot, mermaid, csv, svg"),
        (&["capture", "-i", "nowhere", "-f", "markdown"], "markdown", "text, json, dot, mermaid, csv, svg"),
        (&["capture", "-i", "nowhere", "--report", "sarif=x"], "sarif", "text, json, dot, mermaid, csv, svg"),
        (&["check", "nowhere", "-f", "dot"], "dot", "text, markdown, html, json, sarif, junit, csv"),
        (&["graph", "nowhere", "-f", "sarif"], "sarif", "text, json, dot, mermaid, csv, svg"),
        (&["explain", "a/b", "c/d", "nowhere", "-f", "csv"], "csv", "text, json"),
        (
            &["diff", "nowhere", "nowhere", "-f", "csv"],
            "csv",
            "text, markdown, html, json, sarif, junit, dot, mermaid, svg",
        ),
    ];
    for (arguments, format, possible) in commands {
        let output = run(arguments);
        let errors = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(errors.starts_with(&format!("error: the format {format} has no ")), "{errors}");
        assert!(errors.ends_with(&format!("hint: one of {possible}\n")), "{errors}");
        assert!(output.stdout.is_empty());
    }
    let output = run(&["check", "nowhere", "-f", "svg"]);
    assert!(said(&output).contains("the format svg has no review report"), "{}", said(&output));
}

/// Packets of so few bytes hold nothing, and so few packets are none.
#[test]
fn a_capture_of_nothing_is_refused_before_anything_is_opened() {
    let commands: [[&str; 2]; 5] =
        [["--snaplen", "10"], ["--buffer", "0"], ["--buffer", "4096"], ["--count", "0"], ["--keep", "0"]];
    for [option, value] in commands {
        let output = run(&["capture", "-i", "nowhere", option, value]);
        assert_eq!(output.status.code(), Some(2), "{option}");
        let told = format!("invalid value '{value}' for '{option}");
        assert!(
            said(&output).contains(&told) && !said(&output).contains("No such device"),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn a_broken_document_is_named_with_its_line_and_the_rest_is_reviewed() {
    let broken = format!("{OPEN}---\nkind: [\n");
    let folder = folder(&[("all.yaml", broken.as_bytes())]);
    let output = run(&["check", &text(folder.path())]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("all.yaml:10"), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("unsegmented-path"));
}

#[test]
fn an_empty_folder_and_a_binary_file_are_said_clearly() {
    let empty = folder(&[]);
    let output = run(&["check", &text(empty.path())]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("no manifests here"));
    let binary = folder(&[("a.yaml", &[0x7f, 0, 1, 0xff]), ("b.yaml", OPEN.as_bytes())]);
    let output = run(&["check", &text(binary.path())]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("a.yaml: not a text file"), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("unsegmented-path"));
}

#[test]
fn a_truncated_capture_keeps_its_flows_and_says_so() {
    let whole = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/shop/capture.pcap"))
        .expect("a capture");
    let folder = folder(&[("cut.pcap", &whole[..whole.len() - 7]), ("odd.pcap", &[1, 2, 3, 4, 5])]);
    let output = run(&["flows", &text(&folder.path().join("cut.pcap"))]);
    let flows = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(flows.contains("postgresql") && output.status.success(), "{flows}");
    assert!(said(&output).contains("cut.pcap: 1 x the file ends inside a record"), "{}", said(&output));
    let output = run(&["flows", &text(&folder.path().join("odd.pcap"))]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("not a capture"), "{}", said(&output));
}

#[test]
fn packets_that_could_not_be_read_are_a_note_beside_json() {
    // One packet of a token ring.
    let header = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 6, 0, 0, 0];
    let record = [[0; 8], [4, 0, 0, 0, 4, 0, 0, 0]].concat();
    let folder = folder(&[("ring.pcap", &[&header[..], &record, b"ring"].concat())]);
    let output = run(&["flows", "-f", "json", &text(&folder.path().join("ring.pcap"))]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", said(&output));
    assert!(
        said(&output).contains("note: 1 x packets of link type 6, which is not read"),
        "{}",
        said(&output)
    );
}

#[test]
fn what_captures_do_not_show_is_not_known() {
    let whole = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/shop/capture.pcap"))
        .expect("a capture");
    let files =
        [("cut.pcap", &whole[..whole.len() - 7]), ("empty.pcap", &whole[..24]), ("good.pcap", &whole)];
    let folder = folder(&files);
    let [cut, empty, good] = files.map(|(name, _)| text(&folder.path().join(name)));
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/shop");
    let output = run(&["check", "-f", "json", manifests, "--capture", &cut, &empty, &good]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let gaps = report["gaps"].as_array().expect("gaps");
    let of = |file: &str| gaps.iter().filter(|gap| gap["file"] == file).collect::<Vec<_>>();
    assert_eq!((of(&cut).len(), of(&empty).len(), of(&good).len()), (1, 1, 0), "{gaps:?}");
    assert_eq!(
        (&of(&cut)[0]["bends"], &of(&empty)[0]["bends"]),
        (&"may-miss-traffic".into(), &"may-miss-traffic".into())
    );
    assert_eq!(of(&empty)[0]["what"], "no packet is in this capture");
    // Who puts manifests behind captures is told what became of them.
    let output = run(&["check", "--capture", &good, manifests]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("before it"), "{}", said(&output));
}

#[test]
fn a_link_type_that_is_not_read_is_counted() {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 195, 0, 0, 0];
    file.extend([0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4]);
    let folder = folder(&[("wifi.pcap", &file)]);
    let output = run(&["flows", &text(&folder.path().join("wifi.pcap"))]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 x packets of link type 195"));
}

#[test]
fn gzip_is_unpacked() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = std::fs::File::create(folder.path().join("all.yaml.gz")).expect("a file");
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    packed.write_all(OPEN.as_bytes()).expect("packed");
    packed.finish().expect("packed");
    assert_eq!(run(&["check", &text(folder.path())]).status.code(), Some(1));
}

#[test]
fn explain_names_the_verdict_the_reason_and_the_change() {
    let policy = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: shut, namespace: y}\n\
                  spec: {podSelector: {}}\n";
    let output = run_with_input(&["explain", "x/a", "y/b", "tcp/80", "-"], &format!("{OPEN}{policy}"));
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(answer.starts_with("DENIED: TCP/80 from x/Pod/a to y/Pod/b"), "{answer}");
    assert!(answer.contains("NetworkPolicy y/shut") && answer.contains("add an ingress rule"), "{answer}");
    assert_eq!(output.status.code(), Some(1), "denied");
    assert_eq!(run_with_input(&["explain", "x/a", "y/b", "-"], OPEN).status.code(), Some(0), "allowed");
    let unknown = run_with_input(&["explain", "x/aa", "y/b", "-"], OPEN);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn reach_tells_step_by_step_what_a_workload_reaches_and_where_to_cut() {
    let pod = |name: &str, namespace: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}\n"
        )
    };
    let policy = |name: &str, namespace: &str, from: &str| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{podSelector: {{}}, policyTypes: [Ingress, Egress], egress: [{{to: [{{namespaceSelector: {{}}}}]}}], \
             ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {from}}}}}}}], ports: [{{port: 8080}}]}}]}}\n"
        )
    };
    let input = [
        pod("web", "x"),
        pod("api", "y"),
        pod("db", "z"),
        pod("idle", "w"),
        policy("x", "x", "nobody"),
        policy("y", "y", "x"),
        policy("z", "z", "y"),
        policy("w", "w", "nobody"),
    ]
    .concat();
    let output = run_with_input(&["reach", "x/web", "-"], &input);
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        answer.starts_with("x/Pod/web reaches 2 workloads in 2 namespaces; 1 it does not reach."),
        "{answer}"
    );
    assert!(answer.contains("in 1 step:\n  y/Pod/api [y] from x/Pod/web (TCP 8080)"), "{answer}");
    assert!(answer.contains("in 2 steps:\n  z/Pod/db [z] from y/Pod/api (TCP 8080)"), "{answer}");
    assert!(answer.contains("outside of the cluster: not at all"), "{answer}");
    assert!(answer.contains("y/Pod/api: 1 workload behind it"), "{answer}");
    let json = run_with_input(&["reach", "x/web", "-", "-f", "json"], &input);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["steps"][1]["workload"], "z/Pod/db");
    assert_eq!(json["choke_points"][0]["guards"], 1);
    assert_eq!(run_with_input(&["reach", "x/nobody", "-"], &input).status.code(), Some(2));
}

#[test]
fn explain_takes_addresses_and_refuses_those_of_services() {
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: front, namespace: y}\n\
                   spec: {clusterIP: 10.96.0.1, selector: {app: b}, ports: [{port: 80}]}\n\
                   ---\napiVersion: v1\nkind: Pod\nmetadata: {name: c, namespace: y}\nstatus: {podIP: 10.0.0.3}\n";
    let input = format!("{OPEN}{service}");
    let ask = |to: &str| run_with_input(&["explain", "x/a", to, "443", "-", "-f", "json"], &input);
    let refused = ask("10.96.0.1");
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("is the service y/front"), "{}", said(&refused));
    let pod: serde_json::Value = serde_json::from_slice(&ask("10.0.0.3").stdout).expect("JSON");
    assert_eq!((&pod["schema"], &pod["to"]), (&"watertight/explain/v1".into(), &"y/Pod/c".into()));
    let block: serde_json::Value = serde_json::from_slice(&ask("192.0.2.0/24").stdout).expect("JSON");
    assert_eq!(
        (&block["verdict"], &block["cases"][0]["packets"][0]["target"]),
        (&"allowed".into(), &"192.0.2.0:443".into())
    );
    assert!(said(&ask("dns:example.com")).contains("no rule names"));
}

#[test]
fn explain_says_of_a_deny_that_holds_some_addresses_that_it_closes_nothing() {
    let policy = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: d, namespace: y}\n\
                  status: {podIP: 10.1.0.3, podIPs: [{ip: 10.1.0.3}, {ip: 'fd00::3'}]}\n\
                  ---\napiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: nets}\n\
                  spec: {types: [Egress], egress: [{action: Deny, destination: {nets: [10.1.0.0/16]}}, {action: Allow}]}\n";
    let input = format!("{OPEN}{policy}");
    let text =
        String::from_utf8(run_with_input(&["explain", "x/a", "y/d", "-"], &input).stdout).expect("UTF-8");
    let told = "closes nothing: it names some addresses of y/Pod/d and not all of them";
    assert!(text.contains(told) && !text.contains("it does not name y/Pod/d"), "{text}");
    let json = run_with_input(&["explain", "x/a", "y/d", "-", "-f", "json"], &input).stdout;
    assert!(String::from_utf8_lossy(&json).contains("\"outcome\":\"part-of-peer\""));
}

#[test]
fn diff_fails_where_something_opens_and_not_where_something_closes() {
    let policy = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: shut, namespace: y}\n\
                  spec: {podSelector: {}}\n";
    let shut = format!("{OPEN}{policy}");
    let folder = folder(&[("open.yaml", OPEN.as_bytes()), ("shut.yaml", shut.as_bytes())]);
    let [open, shut] = ["open.yaml", "shut.yaml"].map(|name| text(&folder.path().join(name)));
    let code = |arguments: &[&str]| run(&[&["diff"], arguments].concat()).status.code();
    assert_eq!(code(&[&shut, &open]), Some(1));
    assert_eq!(code(&[&open, &shut]), Some(0));
    assert_eq!(code(&[&open, &shut, "--fail-on", "low"]), Some(1));
    assert_eq!(code(&[&shut, &open, "--fail-on", "never"]), Some(0));
    assert_eq!(code(&[&shut, "nowhere.yaml"]), Some(2));
}

#[test]
fn every_format_of_a_diff_names_the_pair_and_the_policy_behind_it() {
    let policy = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: shut, namespace: y}\n\
                  spec: {podSelector: {}}\n";
    let shut = format!("{OPEN}{policy}");
    let folder = folder(&[("open.yaml", OPEN.as_bytes()), ("shut.yaml", shut.as_bytes())]);
    let [open, shut] = ["open.yaml", "shut.yaml"].map(|name| text(&folder.path().join(name)));
    for (format, cause) in [
        ("text", "shut.yaml:9"),
        ("markdown", "shut.yaml:9"),
        ("json", "policy-removed"),
        ("sarif", "shut.yaml"),
        ("dot", "opens"),
    ] {
        let output = run(&["diff", &shut, &open, "-f", format]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("y/Pod/b") && said.contains(cause), "{format}: {said}");
    }
    assert_eq!(run(&["diff", &shut, &open, "-f", "csv"]).status.code(), Some(2), "there is no such report");
}

#[test]
fn a_diff_with_a_capture_says_which_flows_would_break() {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/shop");
    let manifests = std::fs::read_dir(shop.join("manifests")).expect("manifests");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(entry.expect("a file").path()).expect("text")
    };
    let all = manifests.map(read).collect::<Vec<_>>().join("\n---\n");
    let shut = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: none, namespace: shop}\n\
                spec: {podSelector: {}, policyTypes: [Egress]}\n";
    let folder = folder(&[("old.yaml", all.as_bytes()), ("new.yaml", format!("{all}\n{shut}").as_bytes())]);
    let [old, new] = ["old.yaml", "new.yaml"].map(|name| text(&folder.path().join(name)));
    let output = run(&["diff", &old, &new, "--capture", &text(&shop.join("capture.pcap")), "-f", "json"]);
    assert_eq!(output.status.code(), Some(1), "flows that break count");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let breaks = json["flows"]["breaks"].as_array().expect("flows");
    assert!(breaks.iter().any(|flow| flow["from"] == "shop/Deployment/web"), "{breaks:?}");
}

#[test]
fn unknown_names_come_with_what_is_known() {
    assert!(said(&run(&["rules", "plaintext"])).contains("plaintext-flow"));
    assert!(said(&run_with_input(&["check", "-", "-f", "yaml"], OPEN)).contains("markdown"));
    assert!(said(&run_with_input(&["check", "-", "--engine", "calicoo"], OPEN)).contains("calico, cilium"));
}

const CONTRACT: &str = "rules:\n- {from: x, to: y, allow: never}\n- {from: \"*\", to: outside}\n- {from: outside, to: \"*\"}\n- {from: y, to: x}\n";

#[test]
fn a_contract_beside_the_input_is_read_and_one_above_is_not() {
    let shows = |output: &Output| String::from_utf8_lossy(&output.stdout).contains("segment-rule-broken");
    let folder = folder(&[("all.yaml", OPEN.as_bytes()), ("watertight.yaml", CONTRACT.as_bytes())]);
    assert!(shows(&run(&["check", &text(folder.path())])), "in the folder");
    assert!(shows(&run(&["check", &text(&folder.path().join("all.yaml"))])), "beside the file");
    let below = folder.path().join("below");
    std::fs::create_dir(&below).expect("a folder");
    std::fs::write(below.join("all.yaml"), OPEN).expect("a file");
    assert!(!shows(&run(&["check", &text(&below)])), "folders above are not searched");
    let named = text(&folder.path().join("watertight.yaml"));
    assert!(shows(&run_with_input(&["check", "-", "--config", &named], OPEN)), "named");
}

#[test]
fn a_mistake_in_a_contract_is_told_with_line_column_and_hint_and_hides_nothing() {
    let contract = format!("{CONTRACT}exceptons: []\nseverities: {{unsegmented-pth: low}}\n");
    let folder = folder(&[("all.yaml", OPEN.as_bytes()), ("watertight.yaml", contract.as_bytes())]);
    let output = run(&["check", &text(folder.path())]);
    let errors = said(&output);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("watertight.yaml:6:1: a contract has no key `exceptons`"), "{errors}");
    assert!(errors.contains("hint: did you mean `exceptions`?"), "{errors}");
    assert!(errors.contains("watertight.yaml:7:14: there is no check \"unsegmented-pth\""), "{errors}");
    assert!(errors.contains("hint: did you mean \"unsegmented-path\"?"), "{errors}");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(report.contains("segment-rule-broken") && report.contains("unsegmented-path"), "{report}");
}

#[test]
fn a_contract_that_cannot_be_read_is_said_once_and_a_manifest_of_its_name_is_a_manifest() {
    let broken = folder(&[("all.yaml", OPEN.as_bytes()), ("watertight.yaml", b"rules: [\n")]);
    let output = run(&["check", &text(broken.path())]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(said(&output).matches("error: ").count(), 1, "{}", said(&output));
    let manifest = folder(&[("watertight.yaml", OPEN.as_bytes())]);
    let output = run(&["check", &text(&manifest.path().join("watertight.yaml"))]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let missing = run(&["check", &text(manifest.path()), "--config", "no-such-file.yaml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(said(&missing).contains("no-such-file.yaml") && missing.stdout.is_empty(), "{}", said(&missing));
}

#[test]
fn today_decides_whether_an_exception_holds() {
    let exception = "exceptions:\n- check: unsegmented-path\n  subject: y/b\n  why: known\n  approvedBy: me\n  expires: 2027-01-31\n";
    let folder = folder(&[("all.yaml", OPEN.as_bytes()), ("watertight.yaml", exception.as_bytes())]);
    let on = |day: &str| {
        let output = run(&["check", "-f", "json", &text(folder.path()), "--today", day]);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let (before, after) = (on("2027-01-31"), on("2027-02-01"));
    assert_eq!(before["excepted"][0]["finding"]["subject"], "y/Pod/b");
    assert_eq!(before["excepted"][0]["approved_by"], "me");
    assert!(after["excepted"].is_null());
    let has = |report: &serde_json::Value, check: &str| {
        report["findings"].as_array().expect("findings").iter().any(|f| f["check"] == check)
    };
    assert!(has(&after, "expired-exception") && !has(&before, "expired-exception"));
    let wrong = run(&["check", &text(folder.path()), "--today", "soon"]);
    assert!(
        wrong.status.code() == Some(2) && said(&wrong).contains("--today 2027-06-30"),
        "{}",
        said(&wrong)
    );
}

#[test]
fn sarif_keeps_excepted_findings_as_suppressions() {
    let exception = "exceptions:\n- check: unsegmented-path\n  subject: y/b\n  why: known\n  approvedBy: me\n  expires: 2099-01-31\n";
    let folder = folder(&[("all.yaml", OPEN.as_bytes()), ("watertight.yaml", exception.as_bytes())]);
    let output = run(&["check", "-f", "sarif", &text(folder.path())]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let results = json["runs"][0]["results"].as_array().expect("results");
    let suppressed: Vec<_> = results.iter().filter(|r| !r["suppressions"].is_null()).collect();
    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0]["ruleId"], "unsegmented-path");
    assert_eq!(suppressed[0]["suppressions"][0]["justification"], "known (approved by me, until 2099-01-31)");
    assert_eq!(suppressed[0]["suppressions"][0]["status"], "accepted");
}

#[test]
fn the_order_of_files_changes_nothing() {
    let one = folder(&[("a.yaml", OPEN.as_bytes())]);
    let (first, second) = OPEN.split_once("---\n").expect("two documents");
    let two = folder(&[("z.yaml", first.as_bytes()), ("b.yaml", second.as_bytes())]);
    let names = |folder: &tempfile::TempDir| {
        let output = run(&["check", "-f", "json", &text(folder.path())]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let prints = json["findings"].as_array().expect("findings").iter().map(|f| f["fingerprint"].clone());
        prints.map(|p| p.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&one), names(&two));
}

#[test]
fn what_is_reachable_from_outside_is_listed_in_every_format_of_the_graph() {
    let input = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, labels: {app: web}}\n\
                 spec: {containers: [{name: c}]}\n---\napiVersion: v1\nkind: Service\n\
                 metadata: {name: web, namespace: shop}\n\
                 spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n---\n\
                 apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: in, namespace: shop}\n\
                 spec: {ingressClassName: nginx, rules: [{host: bare.example}], \
                 defaultBackend: {service: {name: web, port: {number: 80}}}}\n";
    let ask = |format| run_with_input(&["graph", "-", "--what", "exposure", "-f", format], input);
    let json: serde_json::Value = serde_json::from_slice(&ask("json").stdout).expect("JSON");
    let exposure = &json["exposures"][0];
    assert_eq!(exposure["entry"], "shop/Ingress/in");
    assert_eq!(exposure["workload"], "shop/Pod/web");
    assert_eq!(exposure["open"], true);
    assert_eq!(exposure["because"][0]["kind"], "Ingress");
    assert!(json["endpoints"].as_array().expect("a list").iter().any(|e| e["id"] == "entry:shop/Ingress/in"));
    for format in ["text", "dot", "csv"] {
        let output = ask(format);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("shop/in") | said.contains("shop/Ingress/in"),
            "{said}"
        );
    }
    let review = run_with_input(&["check", "-", "--fail-on", "never"], input);
    assert!(String::from_utf8_lossy(&review.stdout).contains("REACHABLE FROM OUTSIDE (1)"));
}

#[test]
fn other_dataplanes_are_compared_where_that_is_asked_for() {
    let policy = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: near, namespace: y}\n\
                  spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}\n";
    let pods = OPEN.replace("app: a}}\n", "app: a}}\nstatus: {podIP: 10.0.0.7}\n");
    let input = format!("{pods}{policy}");
    let ask = |arguments: &[&str]| {
        let output = run_with_input(arguments, &input);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let compared = ask(&["check", "-", "--portability"]);
    assert!(
        compared.contains("dataplane-dependent  cilium") && compared.contains("that here is not"),
        "{compared}"
    );
    assert!(!ask(&["check", "-"]).contains("dataplane-dependent"));
}

#[test]
fn an_error_names_file_line_and_column() {
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: bad, namespace: y}\n\
                  spec:\n  podSelector: {}\n  ingress:\n    - ports:\n        - port: 80\n          endPort: 79\n";
    let output = run_with_input(&["check", "-"], &format!("{OPEN}---\n{policy}"));
    assert_eq!(output.status.code(), Some(2));
    let line = format!("{OPEN}---\n").lines().count() + 8;
    assert!(said(&output).contains(&format!("-:{line}:9: NetworkPolicy y/bad")), "{}", said(&output));
}

#[test]
fn what_the_contract_says_of_the_dataplane_counts_for_every_command() {
    let shut = format!(
        "{OPEN}---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: shut, namespace: y}}\n\
         spec: {{podSelector: {{}}, policyTypes: [Ingress, Egress]}}\n"
    );
    let idle = "dataplane:\n  engine: cilium\n  settings:\n    enable-policy: never\n";
    let manifests = folder(&[("shut.yaml", shut.as_bytes()), ("open.yaml", OPEN.as_bytes())]);
    let contracts = folder(&[("idle.yaml", idle.as_bytes()), ("empty.yaml", b"{}\n")]);
    let [shut, open] = ["shut.yaml", "open.yaml"].map(|name| text(&manifests.path().join(name)));
    let code = |contract: &str, arguments: &[&str]| {
        let config = text(&contracts.path().join(contract));
        let output = run(&[arguments, &["--config", &config]].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let explain = ["explain", "x/a", "y/b", &shut];
    assert_eq!(code("empty.yaml", &explain).0, Some(1));
    assert_eq!(code("idle.yaml", &explain).0, Some(0));
    let diff = ["diff", &shut, &open];
    assert_eq!(code("empty.yaml", &diff).0, Some(1));
    assert_eq!(code("idle.yaml", &diff).0, Some(0));
    let connections = |contract| {
        let json: serde_json::Value =
            serde_json::from_str(&code(contract, &["graph", "-f", "json", &shut]).1).expect("JSON");
        json["connections"].as_array().expect("a list").len()
    };
    assert!(connections("empty.yaml") < connections("idle.yaml"));
    let check = ["check", "-f", "json", &shut];
    assert!(!code("empty.yaml", &check).1.contains("unsegmented-path"));
    assert!(code("idle.yaml", &check).1.contains("unsegmented-path"));
}

#[test]
fn a_setting_that_the_dataplane_does_not_have_is_told_with_a_hint() {
    let contract = "dataplane:\n  engine: cilium\n  settings:\n    enable-polcy: never\n";
    let folder = folder(&[("a.yaml", OPEN.as_bytes()), ("watertight.yaml", contract.as_bytes())]);
    for command in ["check", "graph"] {
        let output = run(&[command, &text(folder.path())]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let said = said(&output);
        assert!(said.contains("watertight.yaml:4:5: no setting enable-polcy of cilium is read"), "{said}");
        assert!(said.contains("hint: did you mean `enable-policy`?"), "{said}");
    }
    let path = text(folder.path());
    let output = run(&["diff", &path, &path]);
    assert_eq!(said(&output).matches("enable-polcy").count(), 1, "{}", said(&output));
}

/// Each node of a cluster sees a part, rotation cuts it once more: together they are one capture.
#[test]
fn captures_of_several_nodes_in_folders_are_merged_on_time() {
    let whole = std::fs::read("fixtures/shop/capture.pcap").expect("a fixture");
    let (head, mut rest) = whole.split_at(24);
    let mut parts = [head.to_vec(), head.to_vec(), head.to_vec()];
    let mut number = 0_usize;
    while let Some((record, _)) = rest.split_first_chunk::<16>() {
        let length = 16 + u32::from_le_bytes([record[8], record[9], record[10], record[11]]) as usize;
        parts[number % 3].extend(&rest[..length]);
        (number, rest) = (number + 1, &rest[length..]);
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (name, part) in ["node-a/eth0.pcap", "node-b/eth0.pcap", "node-b/eth0.pcap1"].iter().zip(&parts) {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, part).expect("written");
    }
    let flows = |paths: &[&str]| {
        let output = run(&[&["flows", "-f", "json"], paths].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let fields =
            ["initiator", "responder", "protocol", "protection", "packets", "bytes", "first", "last"];
        lines.map(|flow| fields.map(|field| flow[field].to_string())).collect::<Vec<_>>()
    };
    let expected = flows(&["fixtures/shop/capture.pcap"]);
    assert!(number > 30 && !expected.is_empty(), "{number} packets");
    assert_eq!(flows(&[&text(folder.path())]), expected, "a folder");
    let (a, b) = (text(&folder.path().join("node-a")), text(&folder.path().join("node-b")));
    assert_eq!(flows(&[&b, &a]), expected, "a folder for each node, in any order");
    let file = text(&folder.path().join("node-a/eth0.pcap"));
    assert_eq!(flows(&[&b, &file, &a]), expected, "a file that is named and found counts once");
}

#[test]
fn a_reader_that_goes_away_does_not_change_the_exit_code() {
    let folder = folder(&[("open.yaml", OPEN.as_bytes())]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(["check", &text(folder.path())])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tool runs");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

#[test]
fn a_contract_that_nobody_would_read_is_told() {
    let contract = "# ours\nrules:\n- {from: x, to: y, allow: never}\n";
    for (name, content, said_of_it) in [
        ("watertight.yml", contract.to_owned(), "watertight.yml:2: this looks like a contract"),
        (".watertight.yaml", contract.to_owned(), ".watertight.yaml:2: this looks like a contract"),
        (
            "watertight.json",
            "{\n  \"rules\": []\n}\n".to_owned(),
            "watertight.json:2: this looks like a contract",
        ),
        ("watertight.yaml", format!("{OPEN}---\n{contract}"), "watertight.yaml:10: a contract begins here"),
    ] {
        let folder = folder(&[("a.yaml", OPEN.as_bytes()), (name, content.as_bytes())]);
        let output = run(&["check", &text(folder.path()), "--fail-on", "never"]);
        assert!(said(&output).contains(said_of_it), "{name}: {}", said(&output));
        assert_eq!(output.status.code(), Some(2), "{name}");
    }
    let outer = folder(&[("a.yaml", OPEN.as_bytes())]);
    let inner = outer.path().join("team");
    std::fs::create_dir(&inner).expect("a folder");
    std::fs::write(inner.join("watertight.yaml"), contract.as_bytes()).expect("a file");
    let ask = |paths: &[&Path]| {
        let paths: Vec<String> = paths.iter().map(|path| text(path)).collect();
        let output = run(&[
            &["check", "--fail-on", "never"][..],
            &paths.iter().map(String::as_str).collect::<Vec<_>>(),
        ]
        .concat());
        (output.status.code(), said(&output))
    };
    for paths in [&[outer.path()][..], &[&outer.path().join("a.yaml"), &inner]] {
        let (code, said) = ask(paths);
        assert!(
            said.contains("watertight.yaml:2: this looks like a contract") && said.contains("--config"),
            "{said}"
        );
        assert_eq!(code, Some(2));
    }
    assert_eq!(ask(&[&inner, outer.path()]).0, Some(0), "the first folder has it");
    let folder = folder(&[("watertight.yaml", OPEN.as_bytes()), ("watertight.yml", b"a: 1\n")]);
    assert_eq!(run(&["check", &text(folder.path()), "--fail-on", "never"]).status.code(), Some(0));
}

#[test]
fn explain_knows_ports_by_name_and_refuses_what_is_neither_traffic_nor_a_path() {
    let input = OPEN.replace(
        "labels: {app: b}}\n",
        "labels: {app: b}}\nspec: {containers: [{name: c, ports: [{name: pg, containerPort: 5432}]}]}\n",
    );
    let ask = |traffic: &str| run_with_input(&["explain", "x/a", "y/b", traffic, "-"], &input);
    let answer = ask("tcp/pg");
    assert_eq!(answer.status.code(), Some(0), "{}", said(&answer));
    assert!(String::from_utf8_lossy(&answer.stdout).contains("TCP/5432"), "{answer:?}");
    for (traffic, reason, hint) in [
        ("udp/pg", "no UDP port of y/Pod/b is called \"pg\"", "tcp/pg (5432)"),
        ("tcp/0", "\"tcp/0\" names no traffic", "1 to 65535"),
        ("tcp/70000", "\"tcp/70000\" names no traffic", "1 to 65535"),
        ("tcp/9-8", "\"tcp/9-8\" names no traffic", "tcp/8000-8100"),
        ("pg", "\"pg\" is neither traffic nor a file or folder", "tcp/NAME"),
    ] {
        let answer = ask(traffic);
        assert!(said(&answer).contains(reason) && said(&answer).contains(hint), "{}", said(&answer));
        assert_eq!((answer.status.code(), answer.stdout.len()), (Some(2), 0), "{traffic}");
    }
}

#[test]
fn a_graph_says_what_passes_in_part_and_what_travels_without_ports() {
    let pods = OPEN.split("---\n").map(|pod| format!("{pod}---\n")).collect::<String>();
    let rules = "\
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: b}
spec:
  selector: app == 'b'
  ingress:
  - {action: Deny, protocol: ICMP}
  - {action: Allow}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: a}
spec:
  selector: app == 'a'
  ingress:
  - {action: Allow, protocol: ICMP}
  - {action: Allow, protocol: TCP, destination: {ports: [80]}, http: {methods: [GET]}}
  - {action: Allow, protocol: TCP, destination: {ports: [81]}}
";
    let ask = |format: &str| {
        let output = run_with_input(&["graph", "-", "-f", format], &format!("{pods}{rules}"));
        String::from_utf8(output.stdout).expect("text")
    };
    let text = ask("text");
    assert!(text.contains("x/Pod/a -> y/Pod/b: TCP UDP SCTP other protocols but ICMP\n"), "{text}");
    let part = "y/Pod/b -> x/Pod/a: TCP 80-81 ICMP  (in part: TCP 80 only where methods GET)\n";
    assert!(text.contains(part), "{text}");
    let csv = ask("csv");
    assert!(csv.contains("y/Pod/b,x/Pod/a,TCP 80-81 ICMP,yes,TCP 80 only where methods GET"), "{csv}");
    let dot = ask("dot");
    assert!(dot.contains("[label=\"TCP 80-81 ICMP\\nTCP 80 in part\""), "{dot}");
    let json: serde_json::Value = serde_json::from_str(&ask("json")).expect("JSON");
    let beside = |from: &str, to: &str| {
        let all = json["connections"].as_array().expect("a list");
        let one = all.iter().find(|c| c["from"] == from && c["to"] == to).expect("a connection");
        one["other_protocols"].clone()
    };
    assert_eq!(beside("x/Pod/a", "y/Pod/b"), "other protocols but ICMP");
    assert_eq!(beside("y/Pod/b", "x/Pod/a"), "ICMP");
}

#[test]
fn ends_that_are_no_workloads_are_told_what_they_are() {
    let input = "\
apiVersion: v1
kind: Pod
metadata:
  {name: web-1, namespace: x, labels: {app: a}, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: web, uid: u, controller: true}]}
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: x}
spec: {selector: {app: a}, ports: [{port: 80}]}
";
    for (end, hint) in [
        ("x/web-1", "web-1 is a pod of x/StatefulSet/web"),
        ("x/Pod/web-1", "web-1 is a pod of x/StatefulSet/web"),
        ("x/front", "x/front is a service; ask for a workload behind it: x/StatefulSet/web"),
        ("x/service/front", "x/front is a service"),
        ("outside", "0.0.0.0/0"),
        ("10.0.0.300", "four numbers from 0 to 255"),
        ("x/wbe", "did you mean x/StatefulSet/web?"),
    ] {
        let output = run_with_input(&["explain", end, "x/web", "tcp/80", "-"], input);
        assert!(said(&output).contains(hint), "{end}: {}", said(&output));
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn completions_know_each_command_and_the_formats_that_it_takes() {
    for form in ["bash", "elvish", "fish", "powershell", "zsh", "man"] {
        let output = run(&["completions", form]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", said(&output));
        for known in ["suggest", "portability", "fail"] {
            assert!(text.contains(known) || form == "man" && known == "portability", "{form}: {known}");
        }
    }
    assert!(run(&["completions", "tcsh"]).status.code() == Some(2));
}

/// A second reader would find nothing left, and a diff would say that everything goes.
#[test]
fn standard_input_is_named_once() {
    for arguments in
        [&["diff", "-", "-"][..], &["check", "-", "--capture", "-"], &["drift", "-", "--snapshot", "-"]]
    {
        let output = run_with_input(arguments, OPEN);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            said(&output).starts_with("error: `-` is named more than once\n  hint: "),
            "{}",
            said(&output)
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_command_with_one_output_refuses_what_it_would_not_write() {
    let folder = folder(&[]);
    let file = text(&folder.path().join("more"));
    let further = format!("json={file}");
    for arguments in [
        &["rules", "-f", "json"][..],
        &["rules", "--report", &further],
        &["reach", "x/a", "-", "--report", &further],
        &["suggest", "-", "--capture", "nowhere", "--report", &further],
        &["snapshot", "--rbac", "-f", "html"],
        &["snapshot", "--rbac", "--report", &further],
        &["watch", "--report", &further],
    ] {
        let output = run_with_input(arguments, OPEN);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains("  hint: ") && output.stdout.is_empty(), "{}", said(&output));
    }
    let output = run(&["rules", "-o", &file]);
    let written = std::fs::read_to_string(&file).expect("it was written");
    assert!(output.status.success() && output.stdout.is_empty() && written.contains("permissive-mtls"));
}

#[test]
fn flags_of_a_cluster_are_refused_where_none_is_read() {
    for [flag, value] in [["--context", "prod"], ["--kubeconfig", "nowhere"], ["--allowed-namespace", "x"]] {
        let output = run_with_input(&["check", "-", flag, value], OPEN);
        assert_eq!(output.status.code(), Some(2), "{flag}");
        assert!(said(&output).starts_with(&format!("error: {flag} is about a cluster")), "{}", said(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_block_that_is_none_is_not_looked_for_among_workloads() {
    for wrong in ["10.0.0.0/33", "ip:10.0.0.9-10.0.0.1", "2001:db8::/129"] {
        let output = run_with_input(&["explain", "x/a", wrong, "-"], OPEN);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(said(&output).contains("is no address, no block and no range"), "{}", said(&output));
    }
}

#[test]
fn threads_are_as_many_as_a_machine_may_have() {
    for wrong in ["0", "100000", "many"] {
        let output = run(&["check", "nowhere", "--threads", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(
            said(&output).contains(&format!("invalid value '{wrong}' for '--threads")),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn an_empty_capture_and_objects_without_a_mark_between_them_are_said_as_such() {
    let folder = folder(&[("empty.pcap", b"")]);
    let output = run(&["flows", &text(&folder.path().join("empty.pcap"))]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("not a capture: it is empty"), "{}", said(&output));
    let output = run_with_input(&["check", "-"], &OPEN.replace("---\n", ""));
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("is the line `---` missing between two objects?"), "{}", said(&output));
}

#[test]
fn what_could_not_be_read_stands_in_the_report_itself() {
    let shut = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: n, namespace: NS}\n\
                spec: {podSelector: {}, policyTypes: [Ingress, Egress]}\n";
    let safe = format!("{OPEN}{}{}", shut.replace("NS", "x"), shut.replace("NS", "y"));
    let files = folder(&[("a.yaml", safe.as_bytes()), ("broken.yaml", b"a: [\n")]);
    let ask = |format: &str| {
        String::from_utf8(run(&["check", &text(files.path()), "-f", format]).stdout).expect("text")
    };
    let report = ask("text");
    assert!(
        report.starts_with("No findings in what could be read.") && report.contains("NOT READ (1)"),
        "{report}"
    );
    assert!(report.contains("broken.yaml:2: not valid YAML"), "{report}");
    let comment = ask("markdown");
    assert!(
        comment.contains("**Not read (1)**") && comment.contains("broken.yaml:2: not valid"),
        "{comment}"
    );
    let sarif: serde_json::Value = serde_json::from_str(&ask("sarif")).expect("JSON");
    let invocation = &sarif["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let note = &invocation["toolExecutionNotifications"][0];
    assert_eq!(
        (&note["level"], &note["locations"][0]["physicalLocation"]["region"]["startLine"]),
        (&"error".into(), &2.into())
    );
    let capture = ["check", &text(&files.path().join("a.yaml")), "--capture", "nowhere.pcap", "-f", "json"];
    let report: serde_json::Value = serde_json::from_slice(&run(&capture).stdout).expect("JSON");
    assert_eq!(report["problems"][0]["file"], "nowhere.pcap");
}

#[test]
fn nothing_read_is_no_clean_bill() {
    for input in ["", "# nothing\n", "replicas: 2\nimage: x\n", "plain"] {
        let output = run_with_input(&["check", "-"], input);
        assert!(said(&output).contains("-: no Kubernetes objects here"), "{input:?}: {}", said(&output));
        assert_eq!(output.status.code(), Some(2), "{input:?}");
    }
    let output =
        run_with_input(&["check", "-", "--strict"], "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n");
    assert!(String::from_utf8_lossy(&output.stdout).contains("no workloads were read"), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn networks_beside_that_of_the_cluster_are_judged_and_shown() {
    let pods: String = [("web", "shop"), ("db", "data")]
        .map(|(name, namespace)| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, \
                 annotations: {{k8s.v1.cni.cncf.io/networks: default/back}}}}\n\
                 ---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
                 metadata: {{name: shut, namespace: {namespace}}}\n\
                 spec: {{podSelector: {{}}, policyTypes: [Ingress, Egress]}}\n"
            )
        })
        .concat();
    let definition = "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\n\
                      metadata: {name: back, namespace: default}\n\
                      spec: {config: '{\"type\":\"macvlan\",\"name\":\"back\"}'}\n";
    let shut = "---\napiVersion: k8s.cni.cncf.io/v1beta1\nkind: MultiNetworkPolicy\n\
                metadata: {name: shut, namespace: data, annotations: {k8s.v1.cni.cncf.io/policy-for: default/back}}\n\
                spec: {podSelector: {}, policyTypes: [Ingress]}\n";
    let contract = "rules:\n- {from: shop, to: data, allow: never}\n- {from: \"*\", to: \"*\"}\n";
    let open = format!("{definition}{pods}");
    let files = folder(&[
        ("open.yaml", open.as_bytes()),
        ("shut.yaml", format!("{open}{shut}").as_bytes()),
        ("contract.yaml", contract.as_bytes()),
    ]);
    let at = |name: &str| text(&files.path().join(name));
    let stdout = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let ask = |file: &str| run(&["check", &at(file), "--config", &at("contract.yaml")]);
    let report = ask("open.yaml");
    assert_eq!(report.status.code(), Some(1), "{}", stdout(&report));
    for part in [
        "segment-rule-broken  shop -> data",
        "On the network back: By the contract nothing may travel here",
        "MultiNetworkPolicy",
    ] {
        assert!(stdout(&report).contains(part), "{part}: {}", stdout(&report));
    }
    assert!(!stdout(&ask("shut.yaml")).contains("shop -> data"), "{}", stdout(&ask("shut.yaml")));
    let graph = stdout(&run(&["graph", &at("open.yaml"), "--focus", "shop/web"]));
    assert!(graph.contains("network back: shop/Pod/web -> data/Pod/db: all"), "{graph}");
    let explained = run(&["explain", "shop/web", "data/db", "tcp/5432", &at("open.yaml")]);
    assert!(
        stdout(&explained).contains("on the network back, TCP 5432 may travel"),
        "{}",
        stdout(&explained)
    );
    assert_eq!(explained.status.code(), Some(0));
    let change = run(&["diff", &at("shut.yaml"), &at("open.yaml")]);
    let said = stdout(&change);
    assert!(
        said.contains("the network back, beside that of the cluster: 1 connections let more through"),
        "{said}"
    );
    assert!(said.contains("shop/Pod/web -> data/Pod/db"), "{said}");
    assert_eq!(change.status.code(), Some(1));
    assert_eq!(run(&["diff", &at("open.yaml"), &at("shut.yaml")]).status.code(), Some(0));
    let drift = run(&["drift", &at("shut.yaml"), "--snapshot", &at("open.yaml"), "-f", "json"]);
    assert!(stdout(&drift).contains("the network back, beside that of the cluster"), "{}", stdout(&drift));
    assert_eq!(drift.status.code(), Some(1));
    let reach = stdout(&run(&["reach", "shop/web", &at("open.yaml")]));
    assert!(reach.contains("1 gap may bend this answer"), "{reach}");
}
