//! Markdown for a comment on a pull request.

use super::names::{bend_word, justification, origin_text, place_text, segment_lines};
use super::{Format, View, ViewKind, folded, protection, text, unsupported};
use crate::analysis::Analysis;
use crate::model::Problem;
use crate::model::names::one_line;
use std::io::{self, Write};

/// For pull requests.
pub struct Markdown;

impl Format for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn summary(&self) -> &'static str {
        "for a pull-request comment"
    }

    fn writes(&self) -> &'static [ViewKind] {
        &[ViewKind::Review, ViewKind::Diff, ViewKind::Drift]
    }

    fn write(&self, view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
        match view {
            View::Review(analysis) => review(analysis, out),
            View::Diff(comparison) => super::diff::write_markdown(comparison, out),
            View::Drift(drift) => super::drift::write_markdown(drift, out),
            other => Err(unsupported(self.name(), other.kind())),
        }
    }
}

fn review(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "### watertight: {}\n", text::headline(analysis))?;
    protection::markdown(analysis, out)?;
    if !analysis.findings.is_empty() {
        writeln!(out, "| severity | check | subject | why | where |\n|---|---|---|---|---|")?;
    }
    for finding in folded::findings(analysis) {
        let place = finding.because.first().map(|o| format!("`{}`", place_text(o))).unwrap_or_default();
        let (severity, check) = (finding.severity.word(), finding.check);
        let (subject, message) = (cell(&finding.subject), cell(&finding.message));
        writeln!(out, "| {severity} | `{check}` | `{subject}` | {message} | {} |", cell(&place))?;
    }
    excepted(analysis, out)?;
    not_read(&analysis.problems.iter().collect::<Vec<_>>(), out)?;
    if !analysis.gaps.is_empty() {
        writeln!(out, "\n<details><summary>Not known ({})</summary>\n", analysis.gaps.len())?;
        for gap in &analysis.gaps {
            writeln!(
                out,
                "- {} ({}, {})",
                one_line(&gap.what),
                bend_word(gap.bends),
                origin_text(&gap.origin)
            )?;
        }
        writeln!(out, "\n</details>")?;
    }
    writeln!(out, "\n{}", text::read(analysis))
}

/// What is broken, so that nobody takes silence for safety.
///
/// # Errors
/// Those of the writer.
pub(super) fn not_read(problems: &[&Problem], out: &mut dyn Write) -> io::Result<()> {
    if !problems.is_empty() {
        writeln!(out, "\n**Not read ({})**\n", problems.len())?;
    }
    problems.iter().try_for_each(|problem| writeln!(out, "- {}", cell(&problem.to_string())))
}

/// What somebody answers for, what is turned off, and the segments of a contract.
fn excepted(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    if !analysis.excepted.is_empty() {
        writeln!(out, "\n<details><summary>Excepted ({})</summary>\n", analysis.excepted.len())?;
        writeln!(out, "| check | subject | what | why it stays |\n|---|---|---|---|")?;
        for one in &analysis.excepted {
            let (check, subject) = (one.finding.check, cell(&one.finding.subject));
            let why = cell(&justification(&analysis.contract.exceptions[one.exception]));
            writeln!(out, "| `{check}` | `{subject}` | {} | {why} |", cell(&one.finding.message))?;
        }
        writeln!(out, "\n</details>")?;
    }
    for (check, count) in &analysis.off {
        writeln!(out, "\nTurned off by the contract: `{check}` ({count}).")?;
    }
    if !analysis.contract.file.is_empty() {
        writeln!(out, "\n<details><summary>Segments</summary>\n")?;
        segment_lines(analysis).iter().try_for_each(|line| writeln!(out, "- {line}"))?;
        writeln!(out, "\n</details>")?;
    }
    Ok(())
}

/// Text that cannot leave its table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
