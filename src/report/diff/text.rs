//! `diff` for people.

use super::{Comparison, by_kind, cause_text, end_text, headline, isolation_text, traffic_text};
use crate::check::replay::Replayed;
use crate::graph::diff::{Cause, Presence};
use crate::model::EndpointName;
use crate::report::names::{origin_text, place_text};
use std::io::{self, Write};

pub(in crate::report) fn write(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let diff = &comparison.diff;
    writeln!(out, "{}", headline(diff))?;
    if let (Some(severity), Some(text)) = (super::encryption_severity(diff), super::encryption_text(diff)) {
        writeln!(out, "\n{}: {text}", severity.word())?;
    }
    if !diff.isolation.is_empty() {
        writeln!(out, "\nISOLATION ({})", diff.isolation.len())?;
    }
    for change in &diff.isolation {
        writeln!(out, "\n  {}: {}", super::isolation_severity(change).word(), isolation_text(change))?;
        causes(&change.causes, out)?;
    }
    for (word, pairs) in by_kind(diff) {
        writeln!(out, "\n{} ({})", word.to_uppercase(), pairs.len())?;
        for pair in pairs {
            let (from, to) = (end_text(&pair.from), end_text(&pair.to));
            let mark = match (pair.unsegmented.is_empty(), pair.presence) {
                (false, Presence::Both | Presence::Appears) => "  (nothing governs it at the target)",
                _ => "",
            };
            writeln!(
                out,
                "\n  {}: {from} -> {to}: {}{mark}",
                comparison.severity(pair).word(),
                traffic_text(pair)
            )?;
            causes(&pair.causes, out)?;
        }
    }
    for other in comparison.other_conditions() {
        let ((old, before), (new, after)) = (&other.old, &other.new);
        writeln!(out, "\nmedium: {} passes under other conditions", origin_text(new))?;
        writeln!(out, "    only where: {after}, was {before} ({})", place_text(old))?;
    }
    for origin in comparison.without_effect() {
        writeln!(out, "\nchanged without effect on who may talk: {}", origin_text(origin))?;
    }
    names("workloads added", &diff.appeared, out)?;
    names("workloads removed", &diff.vanished, out)?;
    flows(comparison, out)?;
    gaps(comparison, out)
}

fn causes(causes: &[Cause], out: &mut dyn Write) -> io::Result<()> {
    causes.iter().try_for_each(|cause| writeln!(out, "    {}", cause_text(cause)))
}

fn names(what: &str, names: &[EndpointName], out: &mut dyn Write) -> io::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{what} ({}):", names.len())?;
    names.iter().try_for_each(|name| writeln!(out, "  {name}"))
}

fn flows(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Some(replay) = &comparison.replay else { return Ok(()) };
    let one = |flow: &Replayed, out: &mut dyn Write| {
        let Replayed { from, to, traffic, flows, in_clear } = flow;
        let clear = if *in_clear > 0 { format!(", {in_clear} of them in the clear") } else { String::new() };
        writeln!(out, "  {from} -> {to} {traffic}, seen in {flows} flows{clear}")
    };
    let sections = [
        ("OBSERVED FLOWS THAT WOULD BREAK", &replay.breaks),
        ("NEWLY OPEN AND IN USE ALREADY", &replay.opens),
    ];
    for (title, list) in sections {
        if !list.is_empty() {
            writeln!(out, "\n{title} ({})\n", list.len())?;
        }
        list.iter().try_for_each(|flow| one(flow, out))?;
    }
    writeln!(
        out,
        "\n{} observed flows were judged by both versions, {} could not be.",
        replay.judged, replay.unjudged
    )
}

fn gaps(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    match (comparison.old.gaps.len(), comparison.new.gaps.len()) {
        (0, 0) => Ok(()),
        (old, new) => writeln!(
            out,
            "\nGaps may bend this answer: {old} in the old version, {new} in the new one; `watertight check` lists them."
        ),
    }
}
