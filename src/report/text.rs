//! Text for people, and the default: what leaks, why, and what to do.

use super::names::{
    bend_word, dataplane_text, end_name, justification, named_addresses, narrowed_text, origin_text,
    segment_lines, traffic_text,
};
use super::words::{self, counted, outside_text};
use super::{Format, GraphOptions, View, ViewKind, What, exposure, flow_line, folded, protection, seen};
use crate::analysis::{Analysis, SecondaryNetwork};
use crate::check::{Finding, Severity};
use crate::graph;
use crate::model::names::one_line;
use crate::model::{AddressSet, Gap, Problem};
use crate::observed::Stretch;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// For people.
pub struct Text;

impl Format for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn summary(&self) -> &'static str {
        "for people, the default"
    }

    fn writes(&self) -> &'static [ViewKind] {
        ViewKind::ALL
    }

    fn write(&self, view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
        match view {
            View::Review(analysis) => review(analysis, out),
            View::Graph(analysis, options) if options.what == What::Exposure => {
                exposure::list(analysis, options, out)?;
                not_read(&analysis.problems, out)?;
                gaps(analysis, out)
            }
            View::Graph(analysis, options) => {
                if options.what.has_allowed() {
                    connections(analysis, options, out)?;
                }
                if options.what.has_observed() {
                    seen::write_text(analysis, options, out)?;
                }
                not_read(&analysis.problems, out)?;
                gaps(analysis, out)
            }
            View::Flows(analysis) => flows(analysis, out),
            View::Potential(analysis, options) => super::potential::write_text(analysis, options, out),
            View::Diff(comparison) => super::diff::write_text(comparison, out),
            View::Drift(drift) => super::drift::write_text(drift, out),
            View::Explain(analysis, answer) => super::explain::write_text(analysis, answer, out),
        }
    }
}

fn review(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", headline(analysis))?;
    protection::text(analysis, out)?;
    let shown = folded::findings(analysis);
    for severity in [Severity::Critical, Severity::High, Severity::Medium, Severity::Low] {
        let count = analysis.findings.iter().filter(|f| f.severity == severity).count();
        if count > 0 {
            writeln!(out, "\n{} ({count})", severity.word().to_uppercase())?;
        }
        let of = shown.iter().filter(|finding| finding.severity == severity);
        of.into_iter().try_for_each(|finding| one(analysis, finding, out))?;
    }
    excepted(analysis, out)?;
    exposure::section(analysis, out)?;
    not_read(&analysis.problems, out)?;
    gaps(analysis, out)?;
    segments(analysis, out)?;
    writeln!(out, "\n{}", read(analysis))
}

/// What somebody answers for, and what the contract keeps from being shown.
fn excepted(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    if !analysis.excepted.is_empty() {
        writeln!(out, "\nEXCEPTED ({})", analysis.excepted.len())?;
    }
    for one in &analysis.excepted {
        let exception = &analysis.contract.exceptions[one.exception];
        writeln!(out, "\n  {}  {}", one.finding.check, one.finding.subject)?;
        writeln!(out, "    {}", one.finding.message)?;
        writeln!(out, "    excepted: {}", justification(exception))?;
        writeln!(out, "    because: {}", origin_text(&exception.origin))?;
    }
    for (check, count) in &analysis.off {
        let word = if *count == 1 { "finding" } else { "findings" };
        writeln!(out, "\nTurned off by the contract: {check}, {count} {word}.")?;
    }
    Ok(())
}

/// What is broken, for whoever reads the report and not what the command said beside it.
///
/// # Errors
/// Those of the writer.
pub(super) fn not_read<'a>(
    problems: impl IntoIterator<Item = &'a Problem, IntoIter: ExactSizeIterator>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let problems = problems.into_iter();
    if problems.len() > 0 {
        writeln!(out, "\nNOT READ ({})\n", problems.len())?;
    }
    for problem in problems {
        writeln!(out, "  {problem}")?;
        if !problem.hint.is_empty() {
            writeln!(out, "    hint: {}", problem.hint)?;
        }
    }
    Ok(())
}

/// The segments of a contract, with how many workloads are in each.
fn segments(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    if analysis.contract.file.is_empty() {
        return Ok(());
    }
    let lines = segment_lines(analysis);
    writeln!(out, "\nSEGMENTS ({}, by {})\n", lines.len(), analysis.contract.file)?;
    lines.iter().try_for_each(|line| writeln!(out, "  {line}"))
}

/// `3 findings: 1 critical, 2 high`, or that nothing was found.
pub fn headline(analysis: &Analysis) -> String {
    let mut counts: BTreeMap<std::cmp::Reverse<Severity>, usize> = BTreeMap::new();
    for finding in &analysis.findings {
        *counts.entry(std::cmp::Reverse(finding.severity)).or_default() += 1;
    }
    if counts.is_empty() {
        let said = match (analysis.problems.is_empty(), analysis.gaps.is_empty()) {
            (true, true) => "No findings.",
            (true, false) => "No findings in what is known.",
            (false, _) => "No findings in what could be read.",
        };
        return said.to_owned();
    }
    let parts: Vec<String> =
        counts.iter().map(|(severity, n)| format!("{n} {}", severity.0.word())).collect();
    let word = if analysis.findings.len() == 1 { "finding" } else { "findings" };
    format!("{} {word}: {}", analysis.findings.len(), parts.join(", "))
}

/// A finding with its severity, as it is told when it first appears.
///
/// # Errors
/// Those of the writer.
pub fn finding(analysis: &Analysis, finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "\n{}", finding.severity.word().to_uppercase())?;
    one(analysis, finding, out)
}

fn one(analysis: &Analysis, finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n  {}  {}", finding.check, finding.subject)?;
    writeln!(out, "    {}", finding.message)?;
    for named in named_addresses(analysis, &finding.subject) {
        writeln!(out, "    name: {named}")?;
    }
    for origin in &finding.because {
        writeln!(out, "    because: {}", origin_text(origin))?;
    }
    writeln!(out, "    fix: {}", finding.fix)
}

fn gaps(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    not_known(&analysis.gaps, out)
}

/// The section on what is not known; nothing where everything is.
///
/// # Errors
/// Those of the writer.
pub fn not_known(gaps: &[Gap], out: &mut dyn Write) -> io::Result<()> {
    if gaps.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nNOT KNOWN ({})\n", gaps.len())?;
    for gap in gaps {
        writeln!(
            out,
            "  {} [{}]\n    {}",
            one_line(&gap.what),
            bend_word(gap.bends),
            origin_text(&gap.origin)
        )?;
    }
    Ok(())
}

/// What was read, so that nobody takes silence for safety.
pub(super) fn read(analysis: &Analysis) -> String {
    let declared = format!(
        "Read {} in {} and {}.\nDataplane: {}.",
        counted(analysis.inventory.workloads.len() as u64, ["workload", "workloads"]),
        counted(analysis.inventory.namespaces.len() as u64, ["namespace", "namespaces"]),
        counted(analysis.policy_count() as u64, ["policy", "policies"]),
        dataplane_text(&analysis.graph.dataplane),
    );
    match analysis.observed.captures.len() {
        0 => format!("{declared}\nNo capture was given: nothing is said about what is on the wire."),
        n => {
            let packets: u64 = analysis.observed.captures.iter().map(|capture| capture.packets).sum();
            let mut lines = format!(
                "{declared}\nRead {} with {}, {}.",
                counted(n as u64, ["capture", "captures"]),
                counted(packets, ["packet", "packets"]),
                words::flows(analysis.observed.flows.len())
            );
            for (oddity, count) in &analysis.observed.oddities {
                lines.push_str(&format!("\n  {count} x {oddity}"));
            }
            lines.extend(inside(analysis));
            lines
        }
    }
}

/// What was met inside of pods, so that nobody misses it among the findings.
fn inside(analysis: &Analysis) -> Option<String> {
    let count = |fits: fn(&Stretch) -> bool| {
        analysis.observed.flows.iter().filter(|seen| fits(&seen.stretch)).count()
    };
    let legs = count(|stretch| matches!(stretch, Stretch::Inside(_)));
    let open = count(|stretch| *stretch == Stretch::Ambiguous);
    let words = match (legs, open) {
        (0, 0) => return None,
        (_, 0) => format!("{legs} of them never left a pod and are not judged."),
        (0, _) => {
            format!("{open} of them may be legs inside a pod: whether they are in the clear is unknown.")
        }
        _ => format!(
            "{legs} of them never left a pod and are not judged; {open} may be such legs: whether they are in the clear is unknown."
        ),
    };
    Some(format!("\n{words}"))
}

fn connections(analysis: &Analysis, options: &GraphOptions, out: &mut dyn Write) -> io::Result<()> {
    for connection in graph::connections(&analysis.graph, &analysis.inventory) {
        if !options.shows(analysis, &connection) {
            continue;
        }
        let (from, to) = (end(analysis, &connection.from), end(analysis, &connection.to));
        let mark =
            if connection.unsegmented.is_empty() { "" } else { "  (nothing governs it at the target)" };
        let part =
            narrowed_text(analysis, &connection).map_or(String::new(), |part| format!("  (in part: {part})"));
        writeln!(out, "{from} -> {to}: {}{mark}{part}", traffic_text(&connection.traffic))?;
    }
    analysis.networks.iter().try_for_each(|network| beside(analysis, network, options, out))
}

/// The name of an end; all addresses have a word, which `diff` has too.
fn end(analysis: &Analysis, end: &graph::End) -> String {
    match end {
        graph::End::External(all) if *all == AddressSet::all() => outside_text(all),
        end => end_name(analysis, end),
    }
}

/// The connections of a network beside that of the cluster, each with its name.
fn beside(
    analysis: &Analysis,
    network: &SecondaryNetwork,
    options: &GraphOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let SecondaryNetwork { name, analysis: own } = network;
    // Workloads have other numbers there.
    let number = |index: usize| {
        let wanted = &analysis.inventory.workloads[index].name;
        own.inventory.workloads.iter().position(|workload| workload.name == *wanted)
    };
    let focus = match options.focus.map(number) {
        Some(None) => return Ok(()),
        found => found.flatten(),
    };
    let options = GraphOptions { focus, namespace: options.namespace.clone(), ..*options };
    for connection in graph::connections(&own.graph, &own.inventory) {
        if options.shows(own, &connection) {
            let (from, to) = (end(own, &connection.from), end(own, &connection.to));
            writeln!(out, "network {name}: {from} -> {to}: {}", traffic_text(&connection.traffic))?;
        }
    }
    Ok(())
}

fn flows(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    for flow in analysis.observed.flows.iter() {
        writeln!(out, "{}", flow_line(analysis, &flow))?;
    }
    for (oddity, count) in &analysis.observed.oddities {
        writeln!(out, "# {count} x {oddity}")?;
    }
    Ok(())
}
