//! What several formats say of exposures: one line, the chain behind it, and dead ends.

use super::names::traffic_text;
use super::{GraphOptions, names};
use crate::analysis::Analysis;
use crate::exposure::{Access, DeadEnd, Exposure};
use crate::model::names::one_line;
use std::io::{self, Write};

/// Exposures inside the chosen part of the graph.
pub(super) fn shown<'a>(
    analysis: &'a Analysis,
    options: &'a GraphOptions,
) -> impl Iterator<Item = &'a Exposure> {
    analysis.exposures.all.iter().filter(move |exposure| {
        let name = &analysis.inventory.workloads[exposure.workload].name;
        options.focus.is_none_or(|focus| focus == exposure.workload)
            && options.namespace.as_ref().is_none_or(|namespace| *namespace == name.namespace)
    })
}

/// `entry -> workload: PORTS via CONTROLLER tls=… hosts=… open`: a line for people and tests.
pub fn exposure_line(analysis: &Analysis, exposure: &Exposure) -> String {
    let workload = &analysis.inventory.workloads[exposure.workload].name;
    let through: Vec<String> =
        exposure.controllers.iter().map(|w| analysis.inventory.workloads[*w].name.to_string()).collect();
    let through = match through.is_empty() {
        true => exposure.controller.clone(),
        false => format!("{} ({})", exposure.controller, through.join(", ")),
    };
    let list = |word: &str, items: &std::collections::BTreeSet<String>| match items.is_empty() {
        true => String::new(),
        false => format!(" {word}={}", items.iter().map(String::as_str).collect::<Vec<_>>().join(",")),
    };
    let some = !exposure.sources.is_empty() && !exposure.is_open_to_everyone();
    let sources = if some { format!(" from={}", exposure.sources) } else { String::new() };
    let asked = exposure.asked_for().map_or_else(String::new, |asked| format!(" asked={asked}"));
    let line = format!(
        "{} -> {workload}: {} via {through} tls={}{}{}{sources}{asked} {}",
        exposure.entry,
        traffic_text(&exposure.ports),
        exposure.tls.word(),
        list("hosts", &exposure.hosts),
        list("paths", &exposure.paths),
        exposure.access.word(),
    );
    one_line(&line).into_owned()
}

/// `entry leads nowhere: REASON`.
pub fn dead_end_line(dead: &DeadEnd) -> String {
    one_line(&format!("{} leads nowhere: {} {}", dead.name, dead.why.words(), dead.what)).into_owned()
}

/// The whole list, with reasons and chains.
pub(super) fn list(analysis: &Analysis, options: &GraphOptions, out: &mut dyn Write) -> io::Result<()> {
    for exposure in shown(analysis, options) {
        writeln!(out, "{}", exposure_line(analysis, exposure))?;
        writeln!(out, "    {}", exposure.access.why())?;
        for origin in &exposure.because {
            writeln!(out, "    because: {}", names::origin_text(origin))?;
        }
    }
    for dead in &analysis.exposures.dead_ends {
        writeln!(out, "{}", dead_end_line(dead))?;
        writeln!(out, "    because: {}", names::origin_text(&dead.origin))?;
    }
    Ok(())
}

/// A section of the review: what is not closed, a line each.
pub(super) fn section(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    let all = &analysis.exposures.all;
    let (closed, rest): (Vec<_>, Vec<_>) = all.iter().partition(|e| matches!(e.access, Access::Closed(_)));
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nREACHABLE FROM OUTSIDE ({})\n", rest.len())?;
    for exposure in rest {
        writeln!(out, "  {}", exposure_line(analysis, exposure))?;
    }
    match closed.len() {
        0 => Ok(()),
        n => writeln!(
            out,
            "  {n} more that policies keep closed; `watertight graph --what exposure` lists them"
        ),
    }
}
