//! Formats that other programs read, read back: JUnit and HTML by an XML parser, drawings by what
//! they must have alike, and the observed graph in each of them.

#![expect(clippy::disallowed_methods, reason = "tests write and read files")]

use roxmltree::{Document, Node, ParsingOptions};
use std::io::Write;
use std::process::{Command, Output, Stdio};

const SHOP: [&str; 4] =
    ["fixtures/shop/manifests", "--capture", "fixtures/shop/capture.pcap", "--fail-on=never"];

/// A label that would be markup anywhere else, which is none, and a document that is broken.
const HOSTILE: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x, labels: {app: a}}\n\
    spec: {containers: [{name: c}]}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
    metadata: {name: p, namespace: x}\nspec: {podSelector: {matchLabels: {\"<script>alert(1)</script>\": \"&\\\"'|\"}}}\n\
    ---\nkind: [\n";

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool runs");
    // Who refuses its arguments does not read.
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn say(arguments: &[&str], input: &str) -> String {
    String::from_utf8(run(arguments, input).stdout).expect("text")
}

fn shop(command: &str, rest: &[&str]) -> String {
    say(&[&[command], &SHOP[..], rest].concat(), "")
}

fn with_xml<T>(text: &str, read: impl FnOnce(Node<'_, '_>) -> T) -> T {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).unwrap_or_else(|e| panic!("{e}: {text}"));
    read(document.root_element())
}

fn all<'a>(node: Node<'a, 'a>, name: &'static str) -> Vec<Node<'a, 'a>> {
    node.descendants().filter(|node| node.has_tag_name(name)).collect()
}

#[test]
fn each_finding_is_a_failed_case_of_junit_at_its_line() {
    let json: serde_json::Value = serde_json::from_str(&shop("check", &["-f", "json"])).expect("JSON");
    let findings = json["findings"].as_array().expect("findings");
    assert!(findings.len() > 20);
    let junit = shop("check", &["-f", "junit"]);
    let options = ParsingOptions::default();
    let document = Document::parse_with_options(&junit, options).expect("XML");
    let root = document.root_element();
    let cases = all(root, "testcase");
    let count = |attribute: &str| root.attribute(attribute).and_then(|count| count.parse().ok());
    assert_eq!(count("tests"), Some(cases.len()));
    assert_eq!(count("failures"), Some(findings.len()));
    let suites = all(root, "testsuite");
    let in_suites = suites.iter().filter_map(|suite| suite.attribute("failures")?.parse::<usize>().ok());
    assert_eq!(in_suites.sum::<usize>(), findings.len());
    let names = cases.iter().map(|case| (case.attribute("classname"), case.attribute("name")));
    let distinct: std::collections::BTreeSet<_> = names.collect();
    assert_eq!(distinct.len(), cases.len(), "viewers take cases of one name for one");
    for finding in findings {
        let text = |key: &str| finding[key].as_str().expect("a text");
        let (file, line) = (&finding["because"][0]["file"], finding["because"][0]["line"].to_string());
        let fits = |case: &&Node<'_, '_>| {
            let failure = all(**case, "failure");
            case.attribute("classname") == Some(text("check"))
                && case.attribute("name").is_some_and(|name| name.starts_with(text("subject")))
                && case.attribute("file") == file.as_str()
                && case.attribute("line") == Some(&line)
                && failure.iter().any(|f| {
                    f.attribute("type") == Some(text("severity"))
                        && f.attribute("message") == Some(text("message"))
                })
        };
        assert!(cases.iter().any(|case| fits(&case)), "{finding}");
    }
}

#[test]
fn what_is_not_known_is_skipped_and_what_is_broken_is_an_error_in_junit() {
    let junit = say(&["check", "-", "-f", "junit"], HOSTILE);
    with_xml(&junit, |root| {
        let broken = all(root, "error");
        assert_eq!(root.attribute("errors"), Some(broken.len().to_string().as_str()));
        let told =
            |what: &str| broken.iter().any(|e| e.attribute("message").is_some_and(|m| m.contains(what)));
        assert!(told(":12") && told("<script>alert(1)</script>"), "{junit}");
    });
    let unknown = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x}\nspec: {containers: [{name: c}]}\n---\n\
        apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: x}\n\
        spec: {podSelector: {}, policyTypes: [Ingress, Egress], peers: []}\n";
    with_xml(&say(&["check", "-", "-f", "junit"], unknown), |root| {
        let suites = all(root, "testsuite");
        let gaps = suites.iter().find(|suite| suite.attribute("name") == Some("not known")).expect("gaps");
        assert_eq!(gaps.attribute("tests"), gaps.attribute("skipped"));
        assert!(!all(*gaps, "skipped").is_empty());
    });
}

#[test]
fn exceptions_are_skipped_with_who_answers_for_them() {
    let contract = ["--config", "fixtures/shop/watertight.yaml", "--today", "2027-03-01"];
    let json: serde_json::Value =
        serde_json::from_str(&shop("check", &[&["-f", "json"], &contract[..]].concat())).expect("JSON");
    let excepted = json["excepted"].as_array().expect("exceptions").len();
    assert!(excepted > 0);
    with_xml(&shop("check", &[&["-f", "junit"], &contract[..]].concat()), |root| {
        let skipped = all(root, "skipped");
        let told = |node: &&Node<'_, '_>| {
            node.attribute("message")
                .is_some_and(|m| m.starts_with("excepted: ") && m.contains("approved by"))
        };
        assert_eq!(skipped.iter().filter(told).count(), excepted);
    });
}

#[test]
fn a_diff_fails_where_something_opens_and_passes_where_something_closes() {
    let pods = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x}\nspec: {containers: [{name: c}]}\n---\n\
        apiVersion: v1\nkind: Pod\nmetadata: {name: b, namespace: y}\nspec: {containers: [{name: c}]}\n";
    let shut = format!(
        "{pods}---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: shut, namespace: y}}\n\
         spec: {{podSelector: {{}}}}\n"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let [open, shut] = [("open.yaml", pods.to_owned()), ("shut.yaml", shut)].map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    });
    with_xml(&say(&["diff", &shut, &open, "-f", "junit"], ""), |root| {
        let names: Vec<_> =
            all(root, "failure").iter().filter_map(|f| f.parent()?.attribute("classname")).collect();
        assert!(names.contains(&"diff-opens") && names.contains(&"diff-loses-isolation"), "{names:?}");
    });
    with_xml(&say(&["diff", &open, &shut, "-f", "junit"], ""), |root| {
        assert_eq!(root.attribute("failures"), Some("0"));
        assert!(all(root, "testcase").iter().any(|case| case.attribute("classname") == Some("diff-closes")));
    });
    let page = say(&["diff", &shut, &open, "-f", "html"], "");
    with_xml(&page, |root| {
        let cells: Vec<_> =
            all(root, "td").iter().filter_map(|cell| cell.text().map(str::to_owned)).collect();
        assert!(cells.iter().any(|cell| cell == "opens"), "{cells:?}");
    });
    let drawn = say(&["diff", &shut, &open, "-f", "mermaid"], "");
    assert!(drawn.contains("|\"opens anything\"|") && drawn.contains("#D55E00"), "{drawn}");
}

#[test]
fn the_page_for_browsers_holds_every_finding_and_loads_nothing() {
    let json: serde_json::Value = serde_json::from_str(&shop("check", &["-f", "json"])).expect("JSON");
    let page = shop("check", &["-f", "html"]);
    with_xml(&page, |root| {
        let articles = all(root, "article");
        for finding in json["findings"].as_array().expect("findings") {
            let id = finding["fingerprint"].as_str();
            let article = articles.iter().find(|article| article.attribute("id") == id).expect("its article");
            let inside: String = article.descendants().filter_map(|node| node.text()).collect();
            for key in ["subject", "message", "fix", "check"] {
                assert!(inside.contains(finding[key].as_str().expect("a text")), "{key}: {inside}");
            }
        }
        let links: Vec<_> = all(root, "a").iter().filter_map(|a| a.attribute("href")).collect();
        let ids: Vec<_> = root.descendants().filter_map(|node| node.attribute("id")).collect();
        let leads = |link: &&str| link.starts_with("https://") || ids.contains(&link.trim_start_matches('#'));
        assert!(links.iter().all(leads), "{links:?}");
        for name in ["script", "img", "link", "iframe", "object"] {
            assert!(!root.descendants().any(|node| node.has_tag_name(name)), "{name}");
        }
        let loads =
            |node: Node<'_, '_>| node.attributes().any(|a| a.name() == "src" || a.name().starts_with("on"));
        assert!(!root.descendants().any(loads));
    });
}

#[test]
fn names_that_look_like_markup_are_text_on_the_page() {
    with_xml(&say(&["check", "-", "-f", "html"], HOSTILE), |root| {
        assert!(all(root, "script").is_empty());
        let text: String = root.descendants().filter_map(|node| node.text()).collect();
        assert!(text.contains("<script>alert(1)</script>"), "{text}");
        assert!(text.contains("Not read (2)"), "{text}");
    });
}

/// Lines between nodes, those of the legend left out.
fn strokes(dot: &str) -> usize {
    dot.lines().filter(|line| line.contains(" -> ") && !line.contains("legend_")).count()
}

#[test]
fn mermaid_draws_what_graphviz_draws() {
    for what in ["allowed", "observed", "overlay", "exposure"] {
        let [dot, mermaid] = ["dot", "mermaid"].map(|format| shop("graph", &["--what", what, "-f", format]));
        let lines: Vec<&str> = mermaid.lines().map(str::trim).collect();
        assert_eq!(lines.first(), Some(&"flowchart LR"));
        let drawn = lines
            .iter()
            .filter(|line| line.starts_with('n') && (line.contains("-->") || line.contains("-.->")));
        assert_eq!(drawn.count(), strokes(&dot), "{what}");
        let colored: usize = lines
            .iter()
            .filter_map(|line| line.strip_prefix("linkStyle "))
            .filter_map(|line| line.split(' ').next())
            .map(|numbers| numbers.split(',').count())
            .sum();
        assert_eq!(colored, strokes(&dot) + 5, "every line has a colour, and those of the legend: {what}");
        let opened = lines.iter().filter(|line| line.starts_with("subgraph")).count();
        assert_eq!(opened, lines.iter().filter(|line| **line == "end").count());
    }
}

#[test]
fn the_observed_graph_is_what_was_seen_in_every_format() {
    let ask = |what: &str, format: &str, rest: &[&str]| {
        shop("graph", &[&["--what", what, "-f", format], rest].concat())
    };
    let seen =
        "shop/Deployment/report -> data/StatefulSet/db: TCP 5432 postgresql plaintext, seen in 1 flow, ";
    let text = ask("observed", "text", &[]);
    assert!(text.contains(seen) && !text.contains(": all"), "{text}");
    let overlay = ask("overlay", "text", &[]);
    assert!(overlay.contains(seen) && overlay.contains(": all"), "{overlay}");
    assert!(!ask("allowed", "text", &[]).contains("seen in"));
    let json =
        |what: &str| -> serde_json::Value { serde_json::from_str(&ask(what, "json", &[])).expect("JSON") };
    let (observed, overlay, allowed) = (json("observed"), json("overlay"), json("allowed"));
    let edges = observed["observed"].as_array().expect("edges");
    assert_eq!(edges.len(), text.lines().filter(|line| line.contains("seen in")).count());
    assert!(
        edges.iter().any(|edge| edge["to"] == "data/StatefulSet/db" && edge["protection"] == "plaintext")
    );
    assert_eq!((&observed["connections"], &observed["what"]), (&serde_json::json!([]), &"observed".into()));
    // Laid over what is allowed, it is told what the policies deny, and nothing else is another.
    let mut laid_over = overlay["observed"].clone();
    let denied = |edge: &mut serde_json::Value| edge.as_object_mut().and_then(|edge| edge.remove("denied"));
    let denied = laid_over.as_array_mut().expect("edges").iter_mut().filter_map(denied).count();
    assert_eq!((denied, &laid_over), (3, &observed["observed"]));
    assert_eq!(overlay["connections"], allowed["connections"]);
    assert!(allowed.get("observed").is_none() && allowed.get("what").is_none());
    let (csv, both) = (ask("observed", "csv", &[]), ask("overlay", "csv", &[]));
    assert_eq!(csv.lines().count(), edges.len() + 1);
    let rows = allowed["connections"].as_array().expect("connections").len();
    assert_eq!(both.lines().count(), edges.len() + rows + 1);
    let cells = both.lines().map(|line| line.split(',').count()).collect::<std::collections::BTreeSet<_>>();
    assert!(
        csv.contains("shop/Deployment/report,data/StatefulSet/db,TCP,5432,postgresql,plaintext,1,"),
        "{csv}"
    );
    assert!(cells.contains(&12), "{cells:?}");
}

#[test]
fn the_observed_graph_can_be_narrowed_to_a_workload_or_a_namespace() {
    for format in ["text", "csv", "dot", "mermaid"] {
        let ask = |rest: &[&str]| shop("graph", &[&["--what", "observed", "-f", format], rest].concat());
        let (whole, one) = (ask(&[]), ask(&["--focus", "data/db"]));
        assert!(whole.contains("coredns") && one.contains("postgresql"), "{format}");
        assert!(!one.contains("coredns"), "{format}: {one}");
        let other = ask(&["--namespace", "kube-system"]);
        assert!(other.contains("coredns") && !other.contains("postgresql"), "{format}: {other}");
    }
}

/// A comment on a pull request that says "nothing changes" while the new version is broken would be
/// the worst that a diff can say.
#[test]
fn what_could_not_be_read_stands_in_every_format_of_every_report() {
    let pod =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x}\nspec: {containers: [{name: c}]}\n";
    let broken = format!("{pod}---\nkind: [\n");
    let folder = tempfile::tempdir().expect("a folder");
    let [old, new] = [("old.yaml", pod), ("new.yaml", &broken)].map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    });
    for format in ["text", "markdown", "html", "json", "sarif", "junit"] {
        for arguments in [&["diff", &old, &new][..], &["check", &new]] {
            let output = run(&[arguments, &["-f", format]].concat(), "");
            let said = String::from_utf8(output.stdout).expect("text");
            assert!(
                said.contains("new.yaml") && said.contains("not valid YAML"),
                "{arguments:?} {format}: {said}"
            );
            assert!(!said.contains("Nothing changes in who may talk"), "{format}: {said}");
            assert_eq!(output.status.code(), Some(2));
        }
    }
    for format in ["text", "json"] {
        let graph = say(&["graph", &new, "-f", format], "");
        assert!(graph.contains("not valid YAML"), "{format}: {graph}");
    }
    let explained = |format: &str| say(&["explain", "x/a", "10.0.0.1", &new, "-f", format], "");
    assert!(explained("json").contains("not valid YAML"));
    assert!(explained("text").contains("1 thing that could not be read may bend this answer"));
    assert!(say(&["reach", "x/a", &new], "").contains("could not be read may bend this answer"));
    assert!(say(&["reach", "x/a", &new, "-f", "json"], "").contains("not valid YAML"));
}
