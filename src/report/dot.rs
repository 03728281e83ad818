//! Graphviz: a cluster for each namespace, colour by protection, dashes where nothing governs.
//!
//! Colours are those of Okabe and Ito, which colour-blind readers can tell apart. Large graphs are
//! folded to namespaces, and the drawing says so.

use super::names::traffic_text;
use super::{By, Format, GraphOptions, View, ViewKind, What, exposure, party_name, unsupported};
use crate::analysis::Analysis;
use crate::exposure::{Access, Tls};
use crate::graph::{self, End};
use crate::model::{Protection, TrafficSet};
use crate::observed::{Party, Stretch};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// For drawings.
pub struct Dot;

/// More nodes or edges than this are folded to namespaces.
const MOST_NODES: usize = 60;
const MOST_EDGES: usize = 400;

const GREEN: &str = "#009E73";
const ORANGE: &str = "#D55E00";
const GREY: &str = "#7F7F7F";
const BLUE: &str = "#0072B2";

impl Format for Dot {
    fn name(&self) -> &'static str {
        "dot"
    }

    fn summary(&self) -> &'static str {
        "Graphviz, for drawings (svg where Graphviz is installed)"
    }

    fn writes(&self) -> &'static [ViewKind] {
        &[ViewKind::Graph, ViewKind::Flows, ViewKind::Diff]
    }

    fn write(&self, view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
        match view {
            View::Graph(analysis, options) => Drawing::of(analysis, options).write(out),
            View::Flows(analysis) => {
                let options = GraphOptions { what: What::Observed, ..GraphOptions::default() };
                Drawing::of(analysis, &options).write(out)
            }
            View::Diff(comparison) => super::diff::write_dot(comparison, out),
            other => Err(unsupported(self.name(), other.kind())),
        }
    }
}

/// Nodes and edges of a drawing, ready to be written.
#[derive(Default)]
struct Drawing {
    /// Label of each node by its id, for each cluster; the cluster of outside nodes is empty.
    clusters: BTreeMap<String, BTreeMap<String, String>>,
    edges: BTreeMap<(String, String), Line>,
    notes: Vec<String>,
}

#[derive(Default)]
struct Line {
    labels: BTreeSet<String>,
    traffic: Option<TrafficSet>,
    /// What passes whatever is asked above packets.
    whole: Option<TrafficSet>,
    color: &'static str,
    dashed: bool,
    rank: u8,
}

impl Line {
    /// The part of the traffic of which only some passes.
    fn in_part(&self) -> Option<TrafficSet> {
        let part = self.traffic.as_ref()?.difference(self.whole.as_ref()?);
        (!part.is_empty()).then_some(part)
    }
}

impl Drawing {
    fn of(analysis: &Analysis, options: &GraphOptions) -> Drawing {
        let workloads = analysis.inventory.workloads.len();
        let mut drawing = Drawing::with(analysis, options, options.by);
        let large = workloads > MOST_NODES || drawing.edges.len() > MOST_EDGES;
        if options.by == By::Automatic && large && options.focus.is_none() {
            let edges = drawing.edges.len();
            drawing = Drawing::with(analysis, options, By::Namespace);
            drawing.notes.push(format!(
                "{workloads} workloads and {edges} edges were folded to namespaces; --by workload shows them all"
            ));
        }
        drawing
    }

    fn with(analysis: &Analysis, options: &GraphOptions, by: By) -> Drawing {
        let mut drawing = Drawing::default();
        match options.what {
            What::Allowed => drawing.add_allowed(analysis, options, by),
            What::Observed => drawing.add_observed(analysis, options, by),
            What::Overlay => {
                drawing.add_allowed(analysis, options, by);
                drawing.add_observed(analysis, options, by);
            }
            What::Exposure => drawing.add_exposures(analysis, options, by),
        }
        drawing
    }

    fn add_allowed(&mut self, analysis: &Analysis, options: &GraphOptions, by: By) {
        for index in 0..analysis.inventory.workloads.len() {
            let name = &analysis.inventory.workloads[index].name;
            let chosen = options.namespace.as_ref().is_none_or(|n| *n == name.namespace);
            if chosen && options.focus.is_none_or(|focus| focus == index) {
                self.node(analysis, index, by);
            }
        }
        for connection in graph::connections(&analysis.graph, &analysis.inventory) {
            if !options.shows(analysis, &connection) {
                continue;
            }
            let ends = [&connection.from, &connection.to].map(|end| match end {
                End::Workload(index) => self.node(analysis, *index, by),
                End::External(addresses) => self.outside(&outside_label(analysis, addresses)),
                End::Domain(domain) => self.outside(&domain.to_string()),
            });
            let [from, to] = ends;
            if from == to {
                continue;
            }
            let line = self.edges.entry((from, to)).or_default();
            line.traffic = Some(match &line.traffic {
                Some(traffic) => traffic.union(&connection.traffic),
                None => connection.traffic.clone(),
            });
            let whole = connection.traffic.difference(&connection.narrowed);
            line.whole = Some(line.whole.as_ref().map_or(whole.clone(), |known| known.union(&whole)));
            line.dashed |= !connection.unsegmented.is_empty();
            line.color = if options.what == What::Overlay { "#BBBBBB" } else { BLUE };
        }
    }

    fn add_observed(&mut self, analysis: &Analysis, _options: &GraphOptions, by: By) {
        for seen in analysis.observed.flows.iter() {
            let flow = &seen.flow;
            let inside = matches!(seen.stretch, Stretch::Inside(_));
            if inside || [&seen.initiator, &seen.responder].contains(&&Party::Group) {
                continue;
            }
            let ends = [(&seen.initiator, flow.initiator.ip), (&seen.responder, flow.responder.ip)];
            let [from, to] = ends.map(|(party, address)| match party.workloads().as_slice() {
                [workload] => self.node(analysis, *workload, by),
                _ => self.outside(&party_name(analysis, party, address)),
            });
            if from == to {
                continue;
            }
            let line = self.edges.entry((from, to)).or_default();
            let (rank, color) = match seen.detection.protection {
                Protection::Plaintext(_) => (3, ORANGE),
                Protection::Unknown(_) => (1, GREY),
                Protection::Encrypted(_) => (2, GREEN),
            };
            if rank >= line.rank {
                (line.rank, line.color) = (rank, color);
            }
            line.labels.insert(format!("{} {}", seen.detection.protocol, flow.responder.port));
        }
    }

    /// Each way in that is not closed, from the object that leads in; dashed where it is not known.
    fn add_exposures(&mut self, analysis: &Analysis, options: &GraphOptions, by: By) {
        for exposure in exposure::shown(analysis, options) {
            let unsure = match exposure.access {
                Access::Open(_) => false,
                Access::Unknown(_) => true,
                Access::Closed(_) => continue,
            };
            let entry = &exposure.entry;
            let label = format!("{}\\n{}/{}", exposure.kind.words(), entry.namespace, entry.name);
            let (from, to) = (self.outside(&label), self.node(analysis, exposure.workload, by));
            let line = self.edges.entry((from, to)).or_default();
            line.labels.insert(traffic_text(&exposure.ports));
            line.dashed |= unsure;
            line.color = match exposure.tls {
                Tls::None | Tls::Optional => ORANGE,
                Tls::Unknown => GREY,
                Tls::Edge | Tls::Reencrypt | Tls::Passthrough => GREEN,
            };
        }
    }

    /// The node that stands for a workload; adds it where it is missing.
    fn node(&mut self, analysis: &Analysis, index: usize, by: By) -> String {
        let name = &analysis.inventory.workloads[index].name;
        let class = || {
            let classes = analysis.graph.classes_of(index);
            let first = classes.first().and_then(|c| analysis.graph.class(*c));
            let members = first.map_or(1, |class| class.members.len());
            let leader = first.and_then(|class| class.members.first()).map_or(index, |m| m.workload as usize);
            let leader = &analysis.inventory.workloads[leader].name;
            match members {
                1 => (leader.to_string(), format!("{}\\n{}", leader.name, leader.kind)),
                n => (leader.to_string(), format!("{}\\nand {} alike", leader.name, n - 1)),
            }
        };
        let (id, label) = match by {
            By::Namespace => (name.namespace.clone(), name.namespace.clone()),
            By::Class => class(),
            By::Workload | By::Automatic | By::Segment => {
                (name.to_string(), format!("{}\\n{}", name.name, name.kind))
            }
        };
        let label = if by == By::Segment { format!("{}\\n{label}", name.namespace) } else { label };
        self.clusters.entry(cluster(analysis, index, by)).or_default().insert(id.clone(), label);
        id
    }

    fn outside(&mut self, label: &str) -> String {
        let id = format!("outside {label}");
        self.clusters.entry(String::new()).or_default().insert(id.clone(), label.to_owned());
        id
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "digraph watertight {{")?;
        writeln!(out, "  rankdir=LR; fontname=\"Helvetica\"; labelloc=t;")?;
        if !self.notes.is_empty() {
            writeln!(out, "  label=\"{}\";", escape(&self.notes.join("; ")))?;
        }
        writeln!(
            out,
            "  node [shape=box style=\"rounded,filled\" fillcolor=white fontname=\"Helvetica\" fontsize=11];"
        )?;
        writeln!(out, "  edge [fontname=\"Helvetica\" fontsize=9];")?;
        for (number, (namespace, nodes)) in self.clusters.iter().enumerate() {
            self.write_cluster(number, namespace, nodes, out)?;
        }
        for ((from, to), line) in &self.edges {
            let mut labels: Vec<String> = line.labels.iter().cloned().collect();
            if labels.is_empty() {
                labels.extend(line.traffic.as_ref().map(traffic_text));
                labels.extend(line.in_part().map(|part| format!("{} in part", traffic_text(&part))));
            }
            let style = if line.dashed && line.rank == 0 { "dashed" } else { "solid" };
            writeln!(
                out,
                "  \"{}\" -> \"{}\" [label=\"{}\" color=\"{}\" style={style}];",
                escape(from),
                escape(to),
                escape(&labels.join("\\n")),
                if line.color.is_empty() { BLUE } else { line.color },
            )?;
        }
        write_legend(out)?;
        writeln!(out, "}}")
    }

    fn write_cluster(
        &self,
        number: usize,
        namespace: &str,
        nodes: &BTreeMap<String, String>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let title = if namespace.is_empty() { "outside" } else { namespace };
        let fill = if namespace.is_empty() { "#F7F7F7" } else { "#EEF4FA" };
        writeln!(out, "  subgraph cluster_{number} {{")?;
        writeln!(
            out,
            "    label=\"{}\"; style=filled; color=\"#CCCCCC\"; fillcolor=\"{fill}\";",
            escape(title)
        )?;
        for (id, label) in nodes {
            let shape = if namespace.is_empty() { " shape=ellipse" } else { "" };
            writeln!(out, "    \"{}\" [label=\"{}\"{shape}];", escape(id), escape(label))?;
        }
        writeln!(out, "  }}")
    }
}

/// The title of the cluster that a workload is drawn in.
fn cluster(analysis: &Analysis, index: usize, by: By) -> String {
    let namespace = &analysis.inventory.workloads[index].name.namespace;
    match (by, analysis.segments.of_workload(index)) {
        (By::Segment, [first, ..]) => {
            let segment = &analysis.segments.segments[*first as usize];
            let sensitivity = segment.sensitivity.map(|s| format!(" ({})", s.word()));
            format!("{}{}", segment.name, sensitivity.unwrap_or_default())
        }
        _ => namespace.clone(),
    }
}

fn write_legend(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  subgraph cluster_legend {{")?;
    writeln!(out, "    label=\"legend\"; style=dotted; color=\"#999999\"; fontsize=9;")?;
    writeln!(out, "    node [shape=plaintext style=\"\" fontsize=9];")?;
    let rows = [
        ("allowed by a rule", BLUE, "solid"),
        ("allowed, nothing governs it", BLUE, "dashed"),
        ("seen encrypted", GREEN, "solid"),
        ("seen in plaintext", ORANGE, "solid"),
        ("seen, protection unknown", GREY, "solid"),
    ];
    for (number, (text, color, style)) in rows.into_iter().enumerate() {
        writeln!(out, "    legend_{number}_a [label=\"\"]; legend_{number}_b [label=\"{text}\"];")?;
        writeln!(out, "    legend_{number}_a -> legend_{number}_b [color=\"{color}\" style={style}];")?;
    }
    writeln!(out, "  }}")
}

/// `the world` for all addresses, the name of a network that holds them, or the ranges, shortened.
fn outside_label(analysis: &Analysis, addresses: &crate::model::AddressSet) -> String {
    let ranges = addresses.ranges();
    let family = |all: &crate::model::AddressRange| ranges.contains(all);
    let everything = crate::model::AddressSet::all();
    if everything.ranges().iter().all(family) {
        return "the world".to_owned();
    }
    if let Some(network) = analysis.contract.network_of(addresses) {
        return network.to_owned();
    }
    let shown: Vec<String> = ranges.iter().take(3).map(ToString::to_string).collect();
    let more = ranges.len().saturating_sub(3);
    let tail = if more > 0 { format!("\\nand {more} more") } else { String::new() };
    format!("{}{tail}", shown.join("\\n"))
}

/// Text inside quotes; `\n` stays the line break of Graphviz.
fn escape(text: &str) -> String {
    text.replace('"', "\\\"").replace(['\n', '\r'], " ")
}
