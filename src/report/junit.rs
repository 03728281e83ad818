//! JUnit XML for CI servers: a suite for each check that found something, a failed case for each
//! finding. What is excepted or not known is skipped and never passed, what could not be read is an
//! error. A check without findings has no suite: whether it had anything to look at is not told here.

use super::diff::{Comparison, results};
use super::drift::{Drift, Effect};
use super::markup::escape;
use super::names::{bend_word, justification, origin_text};
use super::{Format, View, ViewKind, text, unsupported};
use crate::analysis::Analysis;
use crate::check::{Finding, Severity};
use crate::model::{Origin, Problem};
use std::io::{self, Write};

/// For CI servers.
pub struct Junit;

impl Format for Junit {
    fn name(&self) -> &'static str {
        "junit"
    }

    fn summary(&self) -> &'static str {
        "JUnit XML, for the test views of CI servers"
    }

    fn writes(&self) -> &'static [ViewKind] {
        &[ViewKind::Review, ViewKind::Diff, ViewKind::Drift]
    }

    fn write(&self, view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
        match view {
            View::Review(analysis) => write(review(analysis), &text::read(analysis), out),
            View::Diff(comparison) => write(changes(comparison), "No change.", out),
            View::Drift(drift) => write(drifted(drift), "No drift.", out),
            other => Err(unsupported(self.name(), other.kind())),
        }
    }
}

/// One case of a suite.
struct Case {
    suite: String,
    name: String,
    place: Option<Origin>,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    /// With the severity, a sentence, and the whole.
    Failed(Severity, String, String),
    /// With why.
    Skipped(String),
    /// With what is broken.
    Broken(String),
}

fn review(analysis: &Analysis) -> Vec<Case> {
    let finding = |finding: &Finding| Case {
        suite: finding.check.to_owned(),
        name: named(finding),
        place: finding.because.first().cloned(),
        outcome: Outcome::Failed(finding.severity, finding.message.clone(), whole(finding)),
    };
    let mut all: Vec<Case> = analysis.findings.iter().map(finding).collect();
    all.extend(analysis.excepted.iter().map(|one| {
        let why = justification(&analysis.contract.exceptions[one.exception]);
        Case { outcome: Outcome::Skipped(format!("excepted: {why}")), ..finding(&one.finding) }
    }));
    all.extend(analysis.off.iter().map(|(check, count)| Case {
        suite: (*check).to_owned(),
        name: "turned off by the contract".to_owned(),
        place: None,
        outcome: Outcome::Skipped(format!("turned off by the contract, with {count} in it")),
    }));
    all.sort_by(|a, b| a.suite.cmp(&b.suite));
    all.extend(analysis.problems.iter().map(broken));
    all.extend(analysis.gaps.iter().map(|gap| Case {
        suite: "not known".to_owned(),
        name: gap.what.clone(),
        place: Some(gap.origin.clone()),
        outcome: Outcome::Skipped(format!("{} ({})", gap.what, bend_word(gap.bends))),
    }));
    all
}

/// Viewers take cases of the same name for one: what tells findings apart stands in it.
fn named(finding: &Finding) -> String {
    match finding.detail.is_empty() {
        true => finding.subject.clone(),
        false => format!("{} ({})", finding.subject, finding.detail),
    }
}

/// What could not be read.
fn broken(problem: &Problem) -> Case {
    let hint = if problem.hint.is_empty() { String::new() } else { format!("\nhint: {}", problem.hint) };
    Case {
        suite: "not read".to_owned(),
        name: origin_text(&problem.origin),
        place: Some(problem.origin.clone()),
        outcome: Outcome::Broken(format!("{problem}{hint}")),
    }
}

/// A finding with its reasons and what to do.
fn whole(finding: &Finding) -> String {
    let because = finding.because.iter().map(|origin| format!("because: {}", origin_text(origin)));
    let lines: Vec<String> = std::iter::once(finding.message.clone()).chain(because).collect();
    format!("{}\nfix: {}", lines.join("\n"), finding.fix)
}

/// What opens is failed; what closes is passed.
fn changes(comparison: &Comparison<'_>) -> Vec<Case> {
    let case = |told: results::Told| Case {
        suite: format!("diff-{}", told.id),
        name: told.subject,
        place: told.places.into_iter().next(),
        outcome: match (told.id, told.severity) {
            ("new-gap", _) => Outcome::Skipped(told.text),
            (_, Severity::Low) => Outcome::Passed,
            (_, severity) => Outcome::Failed(severity, told.text.clone(), told.text),
        },
    };
    let mut all: Vec<Case> = results::results(comparison).into_iter().map(case).collect();
    all.sort_by(|a, b| a.suite.cmp(&b.suite));
    all.extend(comparison.problems().into_iter().map(broken));
    all
}

/// Policies that are not the same on both sides, then what comes of it.
fn drifted(drift: &Drift<'_>) -> Vec<Case> {
    let policies = drift.policies().into_iter().filter_map(|policy| {
        let origin = policy.declared.or(policy.live)?;
        let outcome = match policy.effect {
            Effect::None => Outcome::Passed,
            Effect::Some => {
                let text = format!("{} is {}.", origin_text(origin), policy.state.words());
                Outcome::Failed(Severity::Medium, text.clone(), text)
            }
        };
        Some(Case {
            suite: format!("drift-{}", policy.state.word()),
            name: origin.subject(),
            place: Some(origin.clone()),
            outcome,
        })
    });
    policies.chain(changes(&drift.comparison)).collect()
}

/// Writes suites; `nothing` is what the only case says where there is none.
fn write(mut cases: Vec<Case>, nothing: &str, out: &mut dyn Write) -> io::Result<()> {
    if cases.is_empty() {
        let (suite, name) = ("watertight".to_owned(), nothing.to_owned());
        cases.push(Case { suite, name, place: None, outcome: Outcome::Passed });
    }
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"watertight\" {}>", counts(&cases))?;
    for suite in cases.chunk_by(|a, b| a.suite == b.suite) {
        let name = suite.first().map_or("", |case| case.suite.as_str());
        writeln!(out, "  <testsuite name=\"{}\" {}>", escape(name), counts(suite))?;
        suite.iter().try_for_each(|case| write_case(case, out))?;
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn counts(cases: &[Case]) -> String {
    let count = |fits: fn(&Outcome) -> bool| cases.iter().filter(|case| fits(&case.outcome)).count();
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
        cases.len(),
        count(|outcome| matches!(outcome, Outcome::Failed(..))),
        count(|outcome| matches!(outcome, Outcome::Broken(_))),
        count(|outcome| matches!(outcome, Outcome::Skipped(_))),
    )
}

fn write_case(case: &Case, out: &mut dyn Write) -> io::Result<()> {
    let place = case.place.as_ref().filter(|origin| !origin.file.is_empty());
    let place = place.map_or(String::new(), |origin| match origin.line {
        0 => format!(" file=\"{}\"", escape(&origin.file)),
        line => format!(" file=\"{}\" line=\"{line}\"", escape(&origin.file)),
    });
    let (suite, name) = (escape(&case.suite), escape(&case.name));
    write!(out, "    <testcase classname=\"{suite}\" name=\"{name}\"{place}")?;
    match &case.outcome {
        Outcome::Passed => return writeln!(out, "/>"),
        Outcome::Failed(severity, message, whole) => {
            let (kind, message, whole) = (severity.word(), escape(message), escape(whole));
            write!(out, ">\n      <failure type=\"{kind}\" message=\"{message}\">{whole}</failure>")?;
        }
        Outcome::Skipped(why) => write!(out, ">\n      <skipped message=\"{}\"/>", escape(why))?,
        Outcome::Broken(what) => {
            write!(out, ">\n      <error type=\"not read\" message=\"{}\"/>", escape(what))?;
        }
    }
    writeln!(out, "\n    </testcase>")
}
