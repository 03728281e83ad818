//! `diff` as a drawing: what opens in orange, what closes in green.

use super::{Comparison, end_names, severity, traffic_text, word};
use crate::check::Severity;
use crate::graph::diff::{ChangedEnd, PairChange};
use crate::model::EndpointName;
use crate::report::drawing::{Dashes, Drawing, GREEN, ORANGE, Stroke};
use crate::report::words::outside_text;
use std::collections::{BTreeMap, BTreeSet};

/// More lines than this nobody reads; they are folded to namespaces.
const MOST: usize = 150;

const LEGEND: &[(&str, &str, Dashes)] = &[
    ("opens, or is protected less", ORANGE, Dashes::Solid),
    ("closes, or is protected more", GREEN, Dashes::Solid),
];

pub(in crate::report) fn of(comparison: &Comparison<'_>) -> Drawing {
    let pairs = &comparison.diff.pairs;
    let companies = Companies::of(pairs);
    let nodes = |end: &ChangedEnd, fold: bool| match end {
        ChangedEnd::Workloads(names) => companies.nodes(names, fold),
        ChangedEnd::External(set) => [(end_names(end).concat(), String::new(), outside_text(set))].into(),
        ChangedEnd::Domain(name) => [(end_names(end).concat(), String::new(), name.to_string())].into(),
    };
    let count = |pair: &PairChange| nodes(&pair.from, false).len() * nodes(&pair.to, false).len();
    let fold = pairs.iter().map(count).sum::<usize>() > MOST;
    let note = if fold { " (folded to namespaces)" } else { "" };
    let title = format!("{}{note}", super::headline(comparison));
    let mut drawing = Drawing { title, legend: LEGEND, ..Drawing::default() };
    let ones = companies.ones();
    let mut lines: BTreeMap<(String, String, &'static str), Vec<String>> = BTreeMap::new();
    for pair in pairs {
        let [from, to] = [&pair.from, &pair.to].map(|end| nodes(end, fold));
        let [from, to] = [from, to].map(|nodes| {
            let drawn = nodes.into_iter().map(|(id, cluster, label)| drawing.node(cluster, id, label));
            drawn.collect::<Vec<String>>()
        });
        let (label, color) = (format!("{} {}", word(pair.kind), traffic_text(pair)), color(pair));
        for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
            // A workload has no connection with itself.
            if from != to || fold || !ones.contains(from) {
                lines.entry((from.clone(), to.clone(), color)).or_default().push(label.clone());
            }
        }
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

fn color(pair: &PairChange) -> &'static str {
    if severity(pair) == Severity::Low { GREEN } else { ORANGE }
}

/// A node: what tells it from others, the cluster around it, what it shows.
type Node = (String, String, String);

/// Workloads of one namespace that stand in the same changes, at the same ends: one node each.
struct Companies<'a> {
    of: BTreeMap<&'a EndpointName, usize>,
    all: Vec<Vec<&'a EndpointName>>,
}

impl<'a> Companies<'a> {
    fn of(pairs: &'a [PairChange]) -> Companies<'a> {
        let mut stands: BTreeMap<&EndpointName, Vec<usize>> = BTreeMap::new();
        for (number, end) in pairs.iter().flat_map(|pair| [&pair.from, &pair.to]).enumerate() {
            if let ChangedEnd::Workloads(names) = end {
                names.iter().for_each(|name| stands.entry(name).or_default().push(number));
            }
        }
        let mut numbers: BTreeMap<(&str, Vec<usize>), usize> = BTreeMap::new();
        let mut companies = Companies { of: BTreeMap::new(), all: Vec::new() };
        for (name, places) in stands {
            let fresh = numbers.len();
            let number = *numbers.entry((&name.namespace, places)).or_insert(fresh);
            companies.all.resize_with(numbers.len(), Vec::new);
            companies.all[number].push(name);
            companies.of.insert(name, number);
        }
        companies
    }

    /// The nodes of some workloads; folded, those of their namespaces.
    fn nodes(&self, names: &[EndpointName], fold: bool) -> BTreeSet<Node> {
        let node = |name: &EndpointName| {
            let namespace = name.namespace.clone();
            let company = match fold {
                true => return Some((namespace.clone(), namespace.clone(), namespace)),
                false => &self.all[*self.of.get(name)?],
            };
            let first = company.first()?;
            let more = match company.len() {
                0 | 1 => String::new(),
                several => format!(" and {} alike", several - 1),
            };
            Some((first.to_string(), namespace, format!("{}{more}", first.name)))
        };
        names.iter().filter_map(node).collect()
    }

    /// The nodes that are a single workload.
    fn ones(&self) -> BTreeSet<String> {
        let alone = self.all.iter().filter(|company| company.len() == 1);
        alone.flatten().map(ToString::to_string).collect()
    }
}
