//! Runs the pages under `docs/semantics`: each heading with a `yaml` block and what must follow.
//!
//! A `connections` block lists every allowed connection between workloads (with `# external` as
//! its first line also those with the outside); an `error` block holds a part of the message.
//! An `edges` block says of single connections (`from -> to PORT: word`) what becomes of them; where
//! somebody is in between, each way stands for itself (`word + word via SOMEBODY`).
//! A `why` block (`from -> to PORT: reason`) says what part of the reason for its protection must be.
//! An `in-part` block says (`from -> to PORT: yes` or `no`) whether conditions above packets decide on
//! what passes of a connection.
//! A `protection` block lists how each allowed connection is expected to be protected, a `parts`
//! block says of single ports of one how they stand and how they are protected.
//! A `networks` block lists the connections on networks beside that of the cluster: `name: line`.
//! A `gaps` block holds lines each of which must be part of a gap. A `dataplane` block names the
//! dataplane of the cases under its heading; without one it is the page's, where the page is
//! named after a dataplane, or the one that the manifests show.
//! An `exposures` block lists what leads in from outside, and what should but leads nowhere.
//! `UPDATE_EXPECT=1` rewrites `connections` and `exposures` blocks.

#![expect(clippy::disallowed_methods, reason = "tests read pages and reference data")]

mod common;

use std::fmt::Write as _;
use std::path::Path;
use watertight::policy::{Dataplane, DataplaneKind};

/// A fenced block: its language and its lines.
struct Block {
    language: String,
    text: String,
    first: usize,
    last: usize,
}

fn blocks(page: &str) -> Vec<(String, Block)> {
    let (mut found, mut heading, mut open) = (Vec::new(), String::new(), None::<Block>);
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) if !language.is_empty() => {
                let language = language.trim().to_owned();
                open = Some(Block { language, text: String::new(), first: number + 1, last: number + 1 });
            }
            (Some(_), Some(_)) => {
                let mut block = open.take().expect("an open block");
                block.last = number;
                found.push((heading.clone(), block));
            }
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, _) => {
                if let Some(title) = line.strip_prefix("## ") {
                    heading = title.to_owned();
                }
            }
        }
    }
    found
}

fn wanted(block: &Block) -> (bool, Vec<String>) {
    let external = block.text.lines().next().is_some_and(|line| line.trim() == "# external");
    let content = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    let mut lines: Vec<String> = block.text.lines().filter(content).map(|l| l.trim().to_owned()).collect();
    lines.sort();
    (external, lines)
}

fn run_page(path: &Path) -> (usize, Vec<String>) {
    let page = std::fs::read_to_string(path).expect("a page");
    let (mut cases, mut failures, mut manifests) = (0, Vec::new(), String::new());
    let mut rewrites: Vec<(usize, usize, String)> = Vec::new();
    let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let of_page = DataplaneKind::from_name(&stem).map(Dataplane::new);
    let (mut dataplane, mut last_heading) = (of_page.clone(), String::new());
    for (heading, block) in blocks(&page) {
        if heading != last_heading {
            (dataplane, last_heading) = (of_page.clone(), heading.clone());
        }
        match block.language.as_str() {
            "dataplane" => dataplane = Some(common::dataplane(&block.text)),
            "edges" => {
                let (analysis, problems) = common::analyse_on(&manifests, dataplane.clone());
                if !problems.is_empty() {
                    failures.push(format!("{heading}: problems: {problems:?}"));
                }
                for line in wanted(&block).1 {
                    cases += 1;
                    let (pair, want) = line.rsplit_once(": ").expect("from -> to PORT: word");
                    let (from, rest) = pair.split_once(" -> ").expect("from -> to");
                    let (to, port) = rest.rsplit_once(' ').expect("to PORT");
                    let got = common::edge_word(&analysis, from, to, port.parse().expect("a port"));
                    if got != want {
                        failures.push(format!("{heading}: {pair} is {got}, not {want}"));
                    }
                }
            }
            "why" => {
                let (analysis, _) = common::analyse_on(&manifests, dataplane.clone());
                for line in wanted(&block).1 {
                    cases += 1;
                    let (pair, want) = line.split_once(": ").expect("from -> to PORT: reason");
                    let (from, rest) = pair.split_once(" -> ").expect("from -> to");
                    let (to, port) = rest.rsplit_once(' ').expect("to PORT");
                    let got = common::edge_reasons(&analysis, from, to, port.parse().expect("a port"));
                    if got.is_empty() || !got.iter().all(|reason| reason.contains(want)) {
                        failures.push(format!("{heading}: {pair} is so because of {got:?}, not {want}"));
                    }
                }
            }
            "in-part" => {
                let (analysis, _) = common::analyse_on(&manifests, dataplane.clone());
                for line in wanted(&block).1 {
                    cases += 1;
                    let (pair, want) = line.rsplit_once(": ").expect("from -> to PORT: yes or no");
                    let (from, rest) = pair.split_once(" -> ").expect("from -> to");
                    let (to, port) = rest.rsplit_once(' ').expect("to PORT");
                    let got = common::passes_in_part(&analysis, from, to, port.parse().expect("a port"));
                    if got != (want == "yes") {
                        failures.push(format!("{heading}: {pair} in part is {got}, not {want}"));
                    }
                }
            }
            "networks" => {
                cases += 1;
                let (analysis, problems) = common::analyse_on(&manifests, dataplane.clone());
                let (got, (_, want)) = (common::network_lines(&analysis), wanted(&block));
                if got != want || !problems.is_empty() {
                    failures.push(format!("{heading}: expected {want:#?}, got {got:#?}, {problems:?}"));
                }
            }
            "protection" => {
                cases += 1;
                let (analysis, _) = common::analyse_on(&manifests, dataplane.clone());
                let (got, (_, want)) = (common::protection_lines(&analysis), wanted(&block));
                if got != want {
                    failures.push(format!("{heading}: expected {want:#?}, got {got:#?}"));
                }
            }
            "parts" => {
                let (analysis, _) = common::analyse_on(&manifests, dataplane.clone());
                for line in wanted(&block).1 {
                    cases += 1;
                    let (part, want) = line.rsplit_once(": ").expect("from -> to PROTO/PORT: ports word");
                    let got = common::part_words(&analysis, part);
                    if got != want {
                        failures.push(format!("{heading}: {part} is {got}, not {want}"));
                    }
                }
            }
            "gaps" => {
                cases += 1;
                let (analysis, _) = common::analyse_on(&manifests, dataplane.clone());
                for part in block.text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                    if !analysis.gaps.iter().any(|gap| gap.what.contains(part)) {
                        let said: Vec<&str> = analysis.gaps.iter().map(|gap| gap.what.as_str()).collect();
                        failures.push(format!("{heading}: no gap says {part:?}: {said:#?}"));
                    }
                }
            }
            "yaml" => {
                manifests = block.text;
                let (analysis, _) = common::analyse_on(&manifests, dataplane.clone());
                let (listed, open) = (common::pairs_listed(&analysis), common::pairs_open(&analysis));
                if listed != open {
                    failures.push(format!("{heading}: the pairs {open:?} are open, {listed:?} are listed"));
                }
                let wrong = common::told_wrongly_alike(&analysis);
                failures
                    .extend(wrong.into_iter().map(|edge| format!("{heading}: one client for all: {edge}")));
            }
            language @ ("connections" | "exposures") => {
                cases += 1;
                let (external, want) = wanted(&block);
                let (analysis, problems) = common::analyse_on(&manifests, dataplane.clone());
                let got = match language {
                    "exposures" => common::exposure_lines(&analysis),
                    _ => common::connection_lines(&analysis, external),
                };
                if !problems.is_empty() {
                    failures.push(format!("{heading}: problems: {problems:?}"));
                } else if got != want {
                    let mut text = String::new();
                    for line in want.iter().filter(|line| !got.contains(line)) {
                        let _ = writeln!(text, "    - {line}");
                    }
                    for line in got.iter().filter(|line| !want.contains(line)) {
                        let _ = writeln!(text, "    + {line}");
                    }
                    failures.push(format!("{heading}\n{text}"));
                    let head = if external { "# external\n" } else { "" };
                    rewrites.push((block.first, block.last, format!("{head}{}", got.join("\n"))));
                }
            }
            "error" => {
                cases += 1;
                let (_, problems) = common::analyse_on(&manifests, dataplane.clone());
                let said: String = problems.iter().map(|p| format!("{p}\n")).collect();
                let part = block.text.trim();
                if !said.contains(part) {
                    failures.push(format!("{heading}: expected an error with {part:?}, got {said:?}"));
                }
                if problems.iter().any(|p| p.origin.line == 0) {
                    failures.push(format!("{heading}: an error without a line: {said}"));
                }
            }
            _ => {}
        }
    }
    if std::env::var("UPDATE_EXPECT").is_ok() {
        rewrite(path, &page, rewrites);
    }
    (cases, failures)
}

fn rewrite(path: &Path, page: &str, rewrites: Vec<(usize, usize, String)>) {
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    for (first, last, text) in rewrites.into_iter().rev() {
        lines.splice(first..last, text.lines().map(str::to_owned));
    }
    std::fs::write(path, lines.join("\n") + "\n").expect("the page can be written");
}

#[test]
fn every_page_says_what_the_evaluator_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/semantics");
    let mut cases = 0;
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder of pages") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "md") {
            let (count, failed) = run_page(&path);
            cases += count;
            failures.extend(failed.into_iter().map(|f| format!("{}: {f}", path.display())));
        }
    }
    println!("{cases} cases on the pages");
    assert!(cases >= 50, "only {cases} cases were found");
    assert!(failures.is_empty(), "{} of {cases} fail:\n{}", failures.len(), failures.join("\n"));
}
