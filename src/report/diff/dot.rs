//! `diff` as a drawing: what opens in orange, what closes in green.

use super::{Comparison, end_names, traffic_text, word};
use crate::check::Severity;
use crate::graph::diff::{ChangedEnd, PairChange};
use crate::report::words::outside_text;
use std::collections::BTreeMap;
use std::io::{self, Write};

const ORANGE: &str = "#D55E00";
const GREEN: &str = "#009E73";

/// More lines than this nobody reads; they are folded to namespaces.
const MOST: usize = 150;

pub(in crate::report) fn write(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let pairs = &comparison.diff.pairs;
    let fold = pairs.len() > MOST;
    let mut clusters: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut lines: BTreeMap<(String, String, &'static str), Vec<String>> = BTreeMap::new();
    for pair in pairs {
        let [from, to] = [&pair.from, &pair.to].map(|end| node(end, fold, &mut clusters));
        lines.entry((from, to, color(comparison, pair))).or_default().push(format!(
            "{} {}",
            word(pair.kind),
            traffic_text(pair)
        ));
    }
    writeln!(out, "digraph watertight {{\n  rankdir=LR; fontname=\"Helvetica\"; labelloc=t;")?;
    let note = if fold { " (folded to namespaces)" } else { "" };
    writeln!(out, "  label=\"{}{note}\";", escape(&super::headline(comparison)))?;
    writeln!(
        out,
        "  node [shape=box style=\"rounded,filled\" fillcolor=white fontname=\"Helvetica\" fontsize=11];"
    )?;
    writeln!(out, "  edge [fontname=\"Helvetica\" fontsize=9];")?;
    for (number, (namespace, nodes)) in clusters.iter().enumerate() {
        let title = if namespace.is_empty() { "outside" } else { namespace };
        writeln!(out, "  subgraph cluster_{number} {{\n    label=\"{}\"; color=\"#CCCCCC\";", escape(title))?;
        for (id, label) in nodes {
            writeln!(out, "    \"{}\" [label=\"{}\"];", escape(id), escape(label))?;
        }
        writeln!(out, "  }}")?;
    }
    for ((from, to, color), labels) in &lines {
        let label = match labels.as_slice() {
            [one] => one.clone(),
            several => format!("{} changes", several.len()),
        };
        writeln!(
            out,
            "  \"{}\" -> \"{}\" [label=\"{}\" color=\"{color}\" fontcolor=\"{color}\"];",
            escape(from),
            escape(to),
            escape(&label)
        )?;
    }
    writeln!(out, "}}")
}

fn color(comparison: &Comparison<'_>, pair: &PairChange) -> &'static str {
    if comparison.severity(pair) == Severity::Low { GREEN } else { ORANGE }
}

/// The node of an end; adds it where it is missing.
fn node(end: &ChangedEnd, fold: bool, clusters: &mut BTreeMap<String, BTreeMap<String, String>>) -> String {
    let names = end_names(end);
    let first = names.first().cloned().unwrap_or_default();
    let (cluster, id, label) = match end {
        ChangedEnd::Workloads(all) => {
            let namespace = all.first().map_or(String::new(), |name| name.namespace.clone());
            let more = if all.len() > 1 { format!(" and {} alike", all.len() - 1) } else { String::new() };
            let name = all.first().map_or(String::new(), |name| format!("{}{more}", name.name));
            match fold {
                true => (namespace.clone(), namespace.clone(), namespace),
                false => (namespace, first, name),
            }
        }
        ChangedEnd::External(set) => (String::new(), first, outside_text(set)),
        ChangedEnd::Domain(name) => (String::new(), first, name.to_string()),
    };
    clusters.entry(cluster).or_default().insert(id.clone(), label);
    id
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ")
}
