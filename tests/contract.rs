//! Runs `docs/reference/contract.md`: each contract is read; where manifests follow, the findings,
//! the connections and the ways in that the page lists must follow too, and where errors follow,
//! those and no others.

#![expect(clippy::disallowed_methods, reason = "tests read pages")]

mod common;

use std::path::Path;
use watertight::analysis::{self, Analysis};
use watertight::contract::KEYS;
use watertight::model::Problem;
use watertight::observed::Observed;

/// The blocks under one heading.
#[derive(Default)]
struct Section {
    heading: String,
    contract: Option<String>,
    manifests: Option<String>,
    findings: Option<String>,
    excepted: Option<String>,
    exposures: Option<String>,
    connections: Option<String>,
    error: Option<String>,
    gaps: Option<String>,
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/contract.md");
    std::fs::read_to_string(path).expect("the page")
}

fn sections(page: &str) -> Vec<Section> {
    let mut all = vec![Section::default()];
    let mut parts = page.split("```");
    while let Some(prose) = parts.next() {
        for line in prose.lines().filter_map(|line| line.strip_prefix("## ")) {
            all.push(Section { heading: line.to_owned(), ..Section::default() });
        }
        let Some((language, text)) = parts.next().and_then(|block| block.split_once('\n')) else { continue };
        let section = all.last_mut().expect("a section");
        let place = match language {
            "yaml contract" => &mut section.contract,
            "yaml" => &mut section.manifests,
            "findings" => &mut section.findings,
            "excepted" => &mut section.excepted,
            "exposures" => &mut section.exposures,
            "connections" => &mut section.connections,
            "error" => &mut section.error,
            "gaps" => &mut section.gaps,
            other => panic!("a block of {other:?} under {}", section.heading),
        };
        assert!(place.is_none(), "two blocks of a kind under {}", section.heading);
        *place = Some(text.to_owned());
    }
    all
}

fn reviewed(contract: &str, manifests: &str) -> (Analysis, Vec<Problem>) {
    let (analysis, problems) = common::analyse_under(contract, manifests, None);
    (analysis::reviewed(analysis, Observed::default()), problems)
}

/// Findings of the checks that the block speaks of and of those that only a contract makes.
fn lines(analysis: &Analysis, wanted: &str) -> Vec<String> {
    let spoken =
        |check: &str| wanted.contains(check) || check.contains("segment-") || check.contains("exception");
    let shown = analysis.findings.iter().filter(|f| spoken(f.check));
    let mut lines: Vec<String> =
        shown.map(|f| format!("{} {} {}", f.severity.word(), f.check, f.subject)).collect();
    lines.retain(|line| !line.contains(" unsegmented-") || wanted.contains("unsegmented-"));
    lines.sort();
    lines
}

#[test]
fn every_contract_on_the_page_says_what_the_page_says() {
    let (mut failures, mut cases) = (Vec::new(), 0);
    for section in sections(&page()) {
        let Some(contract) = &section.contract else { continue };
        cases += 1;
        let manifests = section.manifests.as_deref().unwrap_or("");
        let (analysis, problems) = match (&section.manifests, &section.error) {
            (None, None) => {
                let (_, problems) = common::contract(contract);
                (None, problems)
            }
            _ => {
                let (analysis, problems) = reviewed(contract, manifests);
                (Some(analysis), problems)
            }
        };
        let said: Vec<String> = problems.iter().map(|p| format!("{p}\n{}", p.hint)).collect();
        match &section.error {
            None if !said.is_empty() => failures.push(format!("{}: {said:#?}", section.heading)),
            None => {}
            Some(error) => {
                let whole = said.join("\n");
                let missing: Vec<&str> = error.lines().filter(|line| !whole.contains(*line)).collect();
                let wanted = error.lines().filter(|line| line.starts_with("watertight.yaml")).count();
                if !missing.is_empty() || wanted != said.len() {
                    failures.push(format!("{}: not said {missing:#?} in {said:#?}", section.heading));
                }
            }
        }
        if let (Some(analysis), Some(gaps)) = (&analysis, &section.gaps) {
            let of_contract = analysis.gaps.iter().filter(|gap| &*gap.origin.kind == "Contract");
            let mut got: Vec<String> =
                of_contract.map(|gap| format!("{}: {}", gap.origin.line, gap.what)).collect();
            got.sort();
            if got != gaps.lines().collect::<Vec<_>>() {
                failures.push(format!("{}: gaps {got:#?}", section.heading));
            }
        }
        type Lines = fn(&Analysis) -> Vec<String>;
        let graphs: [(&Option<String>, Lines); 2] = [
            (&section.exposures, common::exposure_lines),
            (&section.connections, |analysis| common::connection_lines(analysis, false)),
        ];
        for (wanted, of) in graphs {
            let (Some(analysis), Some(wanted)) = (&analysis, wanted) else { continue };
            let (got, want) = (of(analysis), wanted.lines().collect::<Vec<_>>());
            if got != want {
                failures.push(format!("{}: want {want:#?}, got {got:#?}", section.heading));
            }
        }
        if let (Some(analysis), Some(findings)) = (&analysis, &section.findings) {
            let (got, want) = (lines(analysis, findings), findings.lines().collect::<Vec<_>>());
            if got != want {
                failures.push(format!("{}: want {want:#?}, got {got:#?}", section.heading));
            }
            let excepted =
                analysis.excepted.iter().map(|e| format!("{} {}", e.finding.check, e.finding.subject));
            let (got, want) = (excepted.collect::<Vec<_>>(), section.excepted.as_deref().unwrap_or(""));
            if got != want.lines().collect::<Vec<_>>() {
                failures.push(format!("{}: excepted {got:#?}", section.heading));
            }
        }
    }
    assert!(cases >= 20, "only {cases} contracts were found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_key_stands_on_the_page() {
    let page = page();
    for (place, keys) in KEYS {
        for key in *keys {
            let told = match place.is_empty() {
                true => page.contains(&format!("\n## {key}\n")),
                false => page.contains(&format!("`{key}`")),
            };
            assert!(told, "{place}: {key} is not explained");
        }
    }
}

#[test]
fn every_problem_of_a_contract_has_a_line() {
    for section in sections(&page()) {
        if let (Some(contract), Some(_)) = (&section.contract, &section.error) {
            let (_, problems) = reviewed(contract, "");
            assert!(problems.iter().all(|p| p.origin.line > 0), "{}: {problems:?}", section.heading);
        }
    }
}

#[test]
fn a_contract_that_is_cut_anywhere_or_mangled_does_no_harm() {
    for section in sections(&page()) {
        let Some(contract) = &section.contract else { continue };
        let manifests = section.manifests.as_deref().unwrap_or("");
        let cuts = (0..contract.len()).filter(|at| contract.is_char_boundary(*at));
        for at in cuts.step_by(3) {
            let (_, problems) = reviewed(&contract[..at], manifests);
            assert!(problems.iter().all(|p| !p.message.is_empty()), "{}", section.heading);
        }
        for (from, to) in
            [(":", " "), ("[", "{"), ("{", "["), (",", ":"), ("\n", "\n- "), ("a", "é"), ("  ", "\t")]
        {
            let (_, problems) = reviewed(&contract.replace(from, to), manifests);
            assert!(problems.iter().all(|p| p.origin.line > 0), "{}: {problems:?}", section.heading);
        }
    }
}
