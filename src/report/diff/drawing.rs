//! `diff` as a drawing: what opens in orange, what closes in green.

use super::{Comparison, end_names, traffic_text, word};
use crate::check::Severity;
use crate::graph::diff::{ChangedEnd, PairChange};
use crate::report::drawing::{Dashes, Drawing, GREEN, ORANGE, Stroke};
use crate::report::words::outside_text;
use std::collections::BTreeMap;

/// More lines than this nobody reads; they are folded to namespaces.
const MOST: usize = 150;

const LEGEND: &[(&str, &str, Dashes)] = &[
    ("opens, or is protected less", ORANGE, Dashes::Solid),
    ("closes, or is protected more", GREEN, Dashes::Solid),
];

pub(in crate::report) fn of(comparison: &Comparison<'_>) -> Drawing {
    let pairs = &comparison.diff.pairs;
    let fold = pairs.len() > MOST;
    let note = if fold { " (folded to namespaces)" } else { "" };
    let title = format!("{}{note}", super::headline(comparison));
    let mut drawing = Drawing { title, legend: LEGEND, ..Drawing::default() };
    let mut lines: BTreeMap<(String, String, &'static str), Vec<String>> = BTreeMap::new();
    for pair in pairs {
        let [from, to] = [&pair.from, &pair.to].map(|end| node(end, fold, &mut drawing));
        let label = format!("{} {}", word(pair.kind), traffic_text(pair));
        lines.entry((from, to, color(comparison, pair))).or_default().push(label);
    }
    let stroke = |((from, to, color), labels): ((String, String, &'static str), Vec<String>)| {
        let label = match labels.as_slice() {
            [one] => one.clone(),
            several => format!("{} changes", several.len()),
        };
        Stroke { from, to, label, color, dashes: Dashes::Solid }
    };
    drawing.strokes = lines.into_iter().map(stroke).collect();
    drawing
}

fn color(comparison: &Comparison<'_>, pair: &PairChange) -> &'static str {
    if comparison.severity(pair) == Severity::Low { GREEN } else { ORANGE }
}

/// The node of an end; adds it where it is missing.
fn node(end: &ChangedEnd, fold: bool, drawing: &mut Drawing) -> String {
    let first = end_names(end).first().cloned().unwrap_or_default();
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
    drawing.node(cluster, id, label)
}
