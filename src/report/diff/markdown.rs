//! `diff` for a comment on a pull request.

use super::{Comparison, by_kind, cause_text, end_text, headline, isolation_text, traffic_text, ways_in};
use crate::graph::diff::Cause;
use crate::report::markdown::not_read;
use crate::report::names::{bend_word, origin_text};
use std::io::{self, Write};

pub(in crate::report) fn write(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let diff = &comparison.diff;
    writeln!(out, "### watertight: {}", headline(comparison))?;
    let ways = comparison.ways_in();
    if !diff.pairs.is_empty() || !diff.isolation.is_empty() || !ways.is_empty() {
        writeln!(out, "\n| severity | change | from | to | traffic | why |\n|---|---|---|---|---|---|")?;
    }
    for change in &diff.isolation {
        let (word, why) = (super::isolation_severity(change).word(), why(&change.causes));
        writeln!(out, "| {word} | isolation | {} | | | {why} |", cell(&isolation_text(change)))?;
    }
    for (word, pairs) in by_kind(diff) {
        for pair in pairs {
            let (from, to) = (cell(&end_text(&pair.from)), cell(&end_text(&pair.to)));
            let (severity, traffic) = (comparison.severity(pair).word(), cell(&traffic_text(pair)));
            writeln!(out, "| {severity} | {word} | `{from}` | `{to}` | {traffic} | {} |", why(&pair.causes))?;
        }
    }
    for change in &ways {
        let (severity, word) = (ways_in::severity(comparison, change).word(), ways_in::word(change.how));
        let told = cell(&ways_in::lines(comparison, change).join("; "));
        let places: Vec<String> = ways_in::places(change).into_iter().map(origin_text).collect();
        let (workload, places) = (change.workload, cell(&places.join("; ")));
        writeln!(out, "| {severity} | {word} | outside | `{workload}` | {told} | {places} |")?;
    }
    for other in comparison.other_conditions() {
        let ((_, before), (new, after)) = (&other.old, &other.new);
        writeln!(out, "\n{} passes under other conditions: {after}, was {before}", origin_text(new))?;
    }
    if let Some(text) = super::encryption_text(diff) {
        writeln!(out, "\n{text}")?;
    }
    for (title, list) in [("Workloads added", &diff.appeared), ("Workloads removed", &diff.vanished)] {
        if !list.is_empty() {
            let names: Vec<String> = list.iter().map(|name| format!("`{name}`")).collect();
            writeln!(out, "\n{title}: {}", names.join(", "))?;
        }
    }
    if let Some(replay) = &comparison.replay {
        let lists = [
            ("Observed flows that would break", &replay.breaks),
            ("Newly open and in use already", &replay.opens),
        ];
        for (title, list) in lists {
            if !list.is_empty() {
                writeln!(out, "\n{title}:\n")?;
            }
            list.iter().try_for_each(|flow| {
                writeln!(
                    out,
                    "- `{}` to `{}`, {}, {} flows, {} in the clear",
                    flow.from, flow.to, flow.traffic, flow.flows, flow.in_clear
                )
            })?;
        }
        writeln!(
            out,
            "\n{} observed flows were judged by both versions, {} could not be.",
            replay.judged, replay.unjudged
        )?;
    }
    not_read(&comparison.problems(), out)?;
    let changed = comparison.gap_changes();
    for (title, gaps) in [("New gaps", &changed.new), ("Gaps that are gone", &changed.gone)] {
        if !gaps.is_empty() {
            writeln!(out, "\n{title}:\n")?;
        }
        for gap in gaps {
            writeln!(out, "- {} ({}): {}", gap.what, bend_word(gap.bends), origin_text(&gap.origin))?;
        }
    }
    let (old, new) = (comparison.old.gaps.len(), comparison.new.gaps.len());
    match old + new {
        0 => Ok(()),
        _ => writeln!(out, "\nGaps may bend this answer: {old} in the old version, {new} in the new one."),
    }
}

fn why(causes: &[Cause]) -> String {
    cell(&causes.iter().map(cause_text).collect::<Vec<_>>().join("; "))
}

/// Text that cannot leave its table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
