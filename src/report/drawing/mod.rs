//! A drawing before anybody writes it: nodes in clusters, strokes between them, and what the colours
//! mean. Graphviz and Mermaid write the same one.
//!
//! Colours are those of Okabe and Ito, which colour-blind readers can tell apart.

mod graph;

use super::{GraphOptions, View, ViewKind, What, diff};
use std::collections::BTreeMap;

pub(super) const GREEN: &str = "#009E73";
pub(super) const ORANGE: &str = "#D55E00";
pub(super) const GREY: &str = "#7F7F7F";
pub(super) const BLUE: &str = "#0072B2";
pub(super) const PALE: &str = "#BBBBBB";

/// Nodes and strokes, ready to be written. Line breaks in texts are `\n`.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    /// What stands above it; may be empty.
    pub title: String,
    /// Label of each node by its id, for each cluster; the cluster of outside nodes is empty.
    pub clusters: BTreeMap<String, BTreeMap<String, String>>,
    /// Lines between nodes, in the order in which they are written.
    pub strokes: Vec<Stroke>,
    /// What colours and dashes mean.
    pub legend: &'static [(&'static str, &'static str, Dashes)],
}

/// A line from one node to another.
#[derive(Debug)]
pub(super) struct Stroke {
    /// Id of the node that calls.
    pub from: String,
    /// Id of the node that is called.
    pub to: String,
    /// What stands at the line.
    pub label: String,
    /// As `#RRGGBB`.
    pub color: &'static str,
    /// Whether it is dashed.
    pub dashes: Dashes,
}

/// Whether a line is dashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dashes {
    Solid,
    Dashed,
}

/// Reports that can be drawn.
pub(super) const DRAWN: &[ViewKind] = &[ViewKind::Graph, ViewKind::Flows, ViewKind::Diff];

/// The drawing of a report; `None` for what is no graph.
pub(super) fn of(view: &View<'_>) -> Option<Drawing> {
    match view {
        View::Graph(analysis, options) => Some(graph::of(analysis, options)),
        View::Flows(analysis) => {
            let options = GraphOptions { what: What::Observed, ..GraphOptions::default() };
            Some(graph::of(analysis, &options))
        }
        View::Diff(comparison) => Some(diff::drawing_of(comparison)),
        View::Review(_) | View::Explain(..) | View::Potential(..) | View::Drift(_) => None,
    }
}

impl Drawing {
    /// Adds a node to a cluster, unless it is there.
    pub fn node(&mut self, cluster: String, id: String, label: String) -> String {
        self.clusters.entry(cluster).or_default().insert(id.clone(), label);
        id
    }
}

/// What a cluster is called.
pub(super) fn cluster_title(cluster: &str) -> &str {
    if cluster.is_empty() { "outside" } else { cluster }
}
