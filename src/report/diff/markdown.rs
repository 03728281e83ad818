//! `diff` for a comment on a pull request.

use super::{Comparison, by_kind, cause_texts, end_text, headline, isolation_text, traffic_text, ways_in};
use crate::check::Severity;
use crate::graph::diff::{Cause, PairChange};
use crate::report::markdown::not_read;
use crate::report::names::{bend_word, origin_text};
use crate::report::words;
use std::cmp::Reverse;
use std::io::{self, Write};

/// Rows that fit into a comment, which forges bound by some 65,000 characters.
const MOST_ROWS: usize = 200;

pub(in crate::report) fn write(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let diff = &comparison.diff;
    writeln!(out, "### watertight: {}", headline(comparison))?;
    digest(comparison, out)?;
    let ways = comparison.ways_in();
    if !diff.pairs.is_empty() || !diff.isolation.is_empty() || !ways.is_empty() {
        writeln!(out, "\n| severity | change | from | to | traffic | why |\n|---|---|---|---|---|---|")?;
    }
    for change in &diff.isolation {
        let (word, why) = (super::isolation_severity(change).word(), why(&change.causes));
        writeln!(out, "| {word} | isolation | {} | | | {why} |", cell(&isolation_text(change)))?;
    }
    let (rows, left_out) = rows(comparison);
    for (severity, word, pair) in rows {
        let (from, to) = (cell(&end_text(&pair.from)), cell(&end_text(&pair.to)));
        let (severity, traffic, why) = (severity.word(), cell(&traffic_text(pair)), why(&pair.causes));
        writeln!(out, "| {severity} | {word} | `{from}` | `{to}` | {traffic} | {why} |")?;
    }
    for change in &ways {
        let (severity, word) = (ways_in::severity(comparison, change).word(), ways_in::word(change.how));
        let told = cell(&ways_in::lines(comparison, change).join("; "));
        let places: Vec<String> = ways_in::places(change).into_iter().map(origin_text).collect();
        let (workload, places) = (change.workload, cell(&places.join("; ")));
        writeln!(out, "| {severity} | {word} | outside | `{workload}` | {told} | {places} |")?;
    }
    if left_out > 0 {
        writeln!(out, "\n{left_out} more changes, none of them worse, are left out of the table.")?;
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
                    "- `{}` to `{}`, {}, {}, {} in the clear",
                    flow.from,
                    flow.to,
                    flow.traffic,
                    words::flows(flow.flows),
                    flow.in_clear
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

fn digest(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (causes, more) = super::digest::of(comparison);
    if causes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nMostly because of:\n")?;
    causes.iter().try_for_each(|because| writeln!(out, "- {}: {}", because.cause, because.does))?;
    if more > 0 { writeln!(out, "- and {more} more") } else { Ok(()) }
}

/// The changed pairs of the table, and how many do not fit into a comment: the worst are shown.
fn rows<'a>(comparison: &'a Comparison<'_>) -> (Vec<(Severity, &'static str, &'a PairChange)>, usize) {
    let mut all: Vec<_> = by_kind(&comparison.diff)
        .flat_map(|(word, pairs)| pairs.into_iter().map(move |pair| (word, pair)))
        .map(|(word, pair)| (super::severity(pair), word, pair))
        .collect();
    let left_out = all.len().saturating_sub(MOST_ROWS);
    if left_out > 0 {
        all.sort_by_key(|(severity, ..)| Reverse(*severity));
        all.truncate(MOST_ROWS);
    }
    (all, left_out)
}

fn why(causes: &[Cause]) -> String {
    cell(&cause_texts(causes).join("; "))
}

/// Text that cannot leave its table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
