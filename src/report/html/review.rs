//! The review for a browser: findings with what they rest on, and below them the pages of the checks
//! that found something.

use super::rendered::{self, rendered};
use crate::analysis::Analysis;
use crate::check::{CHECKS, Finding, Severity};
use crate::report::json::fingerprint_of;
use crate::report::markup::escape;
use crate::report::names::{bend_word, justification, named_addresses, origin_text, segment_lines};
use crate::report::{exposure, folded, protection, text};
use std::collections::BTreeSet;
use std::io::{self, Write};

const WORST_FIRST: [Severity; 4] = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low];

pub(super) fn write(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<h1>watertight: {}</h1>", escape(&text::headline(analysis)))?;
    rendered::write(|markdown| protection::markdown(analysis, markdown), out)?;
    not_read(analysis, out)?;
    findings(analysis, out)?;
    excepted(analysis, out)?;
    ways_in(analysis, out)?;
    not_known(analysis, out)?;
    segments(analysis, out)?;
    checks(analysis, out)?;
    writeln!(out, "<footer>{}</footer>", escape(&text::read(analysis)))
}

fn findings(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    if analysis.findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Findings</h2>\n<nav>")?;
    for severity in WORST_FIRST {
        let count = analysis.findings.iter().filter(|finding| finding.severity == severity).count();
        if count > 0 {
            let word = severity.word();
            writeln!(
                out,
                "<label><input type=\"checkbox\" id=\"show-{word}\" checked=\"checked\"/> {count} {word}</label>"
            )?;
        }
    }
    writeln!(out, "</nav>")?;
    folded::findings(analysis).iter().try_for_each(|finding| one(analysis, finding, out))
}

fn one(analysis: &Analysis, finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let (word, check) = (finding.severity.word(), finding.check);
    writeln!(out, "<article class=\"{word}\" id=\"{}\">", fingerprint_of(finding))?;
    writeln!(
        out,
        "<h3><span class=\"tag\">{word}</span> <a href=\"#check-{check}\">{check}</a> <code>{}</code></h3>",
        escape(&finding.subject)
    )?;
    writeln!(out, "<p>{}</p>", escape(&finding.message))?;
    for named in named_addresses(analysis, &finding.subject) {
        writeln!(out, "<p class=\"because\">{}</p>", escape(&named))?;
    }
    if !finding.because.is_empty() {
        let line = |origin| format!("<li><code>{}</code></li>", escape(&origin_text(origin)));
        let lines: Vec<String> = finding.because.iter().map(line).collect();
        writeln!(out, "<ul class=\"because\">{}</ul>", lines.join(""))?;
    }
    writeln!(out, "<p><strong>Fix:</strong> {}</p>\n</article>", escape(&finding.fix))
}

/// What somebody answers for, and what the contract keeps from being shown.
fn excepted(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    if !analysis.excepted.is_empty() || !analysis.off.is_empty() {
        writeln!(out, "<h2>Excepted</h2>")?;
    }
    for one in &analysis.excepted {
        let exception = &analysis.contract.exceptions[one.exception];
        let (check, subject) = (one.finding.check, escape(&one.finding.subject));
        writeln!(out, "<details><summary>{check} <code>{subject}</code></summary>")?;
        writeln!(out, "<p>{}</p>", escape(&one.finding.message))?;
        writeln!(out, "<p><strong>Why it stays:</strong> {}</p>", escape(&justification(exception)))?;
        writeln!(out, "<p class=\"because\"><code>{}</code></p>", escape(&origin_text(&exception.origin)))?;
        writeln!(out, "</details>")?;
    }
    for (check, count) in &analysis.off {
        writeln!(out, "<p>Turned off by the contract: <code>{check}</code> ({count}).</p>")?;
    }
    Ok(())
}

fn not_read(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    if !analysis.problems.is_empty() {
        writeln!(out, "<h2>Not read ({})</h2>", analysis.problems.len())?;
    }
    for problem in &analysis.problems {
        writeln!(out, "<article class=\"broken\"><p>{}</p>", escape(&problem.to_string()))?;
        if !problem.hint.is_empty() {
            writeln!(out, "<p class=\"hint\">Hint: {}</p>", escape(&problem.hint))?;
        }
        writeln!(out, "</article>")?;
    }
    Ok(())
}

/// What can be reached from outside, as text has it.
fn ways_in(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    let mut lines = Vec::new();
    exposure::section(analysis, &mut lines)?;
    let lines = String::from_utf8_lossy(&lines);
    let Some((title, rest)) = lines.trim().split_once('\n') else { return Ok(()) };
    writeln!(out, "<h2>{}</h2>\n<pre>{}</pre>", escape(title), escape(rest.trim_matches('\n')))
}

fn not_known(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    if !analysis.gaps.is_empty() {
        writeln!(out, "<h2>Not known ({})</h2>", analysis.gaps.len())?;
    }
    for gap in &analysis.gaps {
        let (what, bend) = (escape(&gap.what), bend_word(gap.bends));
        writeln!(out, "<article class=\"unknown\"><p>{what} <span class=\"tag\">{bend}</span></p>")?;
        writeln!(
            out,
            "<p class=\"because\"><code>{}</code></p></article>",
            escape(&origin_text(&gap.origin))
        )?;
    }
    Ok(())
}

fn segments(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    if analysis.contract.file.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Segments</h2>\n<ul>")?;
    segment_lines(analysis).iter().try_for_each(|line| writeln!(out, "<li>{}</li>", escape(line)))?;
    writeln!(out, "</ul>")
}

/// The pages of the checks that found something.
fn checks(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    let found: BTreeSet<&str> = analysis.findings.iter().map(|finding| finding.check).collect();
    if !found.is_empty() {
        writeln!(out, "<h2>The checks that found something</h2>")?;
    }
    for check in CHECKS.iter().filter(|check| found.contains(check.name())) {
        let (name, summary) = (check.name(), escape(check.summary()));
        writeln!(out, "<details id=\"check-{name}\"><summary><code>{name}</code> {summary}</summary>")?;
        writeln!(out, "{}</details>", rendered(check.page()))?;
    }
    Ok(())
}
