//! `diff` for people.

use super::{Comparison, by_kind, cause_texts, end_text, headline, isolation_text, traffic_text, ways_in};
use crate::check::replay::Replayed;
use crate::graph::diff::{Cause, Presence};
use crate::model::EndpointName;
use crate::report::names::{bend_word, origin_text, place_text};
use crate::report::{text, words};
use std::io::{self, Write};

/// More gaps than this are counted.
const MOST_GAPS: usize = 20;

pub(in crate::report) fn write(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let diff = &comparison.diff;
    writeln!(out, "{}", headline(comparison))?;
    if let (Some(severity), Some(text)) = (super::encryption_severity(diff), super::encryption_text(diff)) {
        writeln!(out, "\n{}: {text}", severity.word())?;
    }
    digest(comparison, out)?;
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
                super::severity(pair).word(),
                traffic_text(pair)
            )?;
            causes(&pair.causes, out)?;
        }
    }
    ways_in(comparison, out)?;
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
    text::not_read(comparison.problems(), out)?;
    gaps(comparison, out)
}

fn digest(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (causes, more) = super::digest::of(comparison);
    if !causes.is_empty() {
        writeln!(out, "\nMOSTLY BECAUSE OF\n")?;
    }
    causes.iter().try_for_each(|because| writeln!(out, "  {}: {}", because.cause, because.does))?;
    if more > 0 { writeln!(out, "  and {more} more") } else { Ok(()) }
}

fn causes(causes: &[Cause], out: &mut dyn Write) -> io::Result<()> {
    cause_texts(causes).iter().try_for_each(|cause| writeln!(out, "    {cause}"))
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
        writeln!(out, "  {from} -> {to} {traffic}, seen in {}{clear}", words::flows(*flows))
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

fn ways_in(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let all = comparison.ways_in();
    if !all.is_empty() {
        writeln!(out, "\nWAYS IN FROM OUTSIDE ({})", all.len())?;
    }
    for change in &all {
        let (severity, word) = (ways_in::severity(comparison, change).word(), ways_in::word(change.how));
        writeln!(out, "\n  {severity}: {word}: {}", ways_in::subject(change))?;
        for line in ways_in::lines(comparison, change) {
            writeln!(out, "    {line}")?;
        }
        for origin in ways_in::places(change) {
            writeln!(out, "    because: {}", origin_text(origin))?;
        }
    }
    Ok(())
}

fn gaps(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let changed = comparison.gap_changes();
    for (title, gaps) in [("NEW GAPS", &changed.new), ("GAPS THAT ARE GONE", &changed.gone)] {
        if !gaps.is_empty() {
            writeln!(out, "\n{title} ({})\n", gaps.len())?;
        }
        for gap in gaps.iter().take(MOST_GAPS) {
            writeln!(out, "  {} [{}]\n    {}", gap.what, bend_word(gap.bends), origin_text(&gap.origin))?;
        }
        if gaps.len() > MOST_GAPS {
            writeln!(out, "  and {} more; `watertight check` lists them", gaps.len() - MOST_GAPS)?;
        }
    }
    match (comparison.old.gaps.len(), comparison.new.gaps.len()) {
        (0, 0) => Ok(()),
        (old, new) => writeln!(
            out,
            "\nGaps may bend this answer: {old} in the old version, {new} in the new one; `watertight check` lists them."
        ),
    }
}
