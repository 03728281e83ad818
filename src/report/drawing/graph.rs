//! The graph as a drawing: a cluster for each namespace, colour by protection, dashes where nothing
//! governs. Large graphs are folded to namespaces, and the drawing says so.

use super::{BLUE, Dashes, Drawing, GREEN, GREY, ORANGE, PALE, Stroke};
use crate::analysis::{Analysis, evidence};
use crate::check::Denials;
use crate::exposure::{Access, Tls};
use crate::graph::{self, End};
use crate::model::{Protection, TrafficSet};
use crate::observed::Party;
use crate::report::names::traffic_text;
use crate::report::outside::Outside;
use crate::report::{By, GraphOptions, What, exposure};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// More nodes or edges than this are folded to namespaces.
const MOST_NODES: usize = 60;
const MOST_EDGES: usize = 400;

const LEGEND: &[(&str, &str, Dashes)] = &[
    ("allowed by a rule", BLUE, Dashes::Solid),
    ("allowed, nothing governs it", BLUE, Dashes::Dashed),
    ("seen encrypted", GREEN, Dashes::Solid),
    ("seen in plaintext", ORANGE, Dashes::Solid),
    ("seen, protection unknown", GREY, Dashes::Solid),
];

/// The drawing of a graph.
pub(super) fn of(analysis: &Analysis, options: &GraphOptions) -> Drawing {
    let workloads = analysis.inventory.workloads.len();
    let may_fold = options.by == By::Automatic && options.focus.is_none();
    // Of many workloads there may be a million edges, which nobody wants to see.
    let mut folded = format!("{workloads} workloads");
    if !may_fold || workloads <= MOST_NODES {
        let sketch = Sketch::with(analysis, options, options.by);
        let edges = sketch.edges.len();
        if !may_fold || edges <= MOST_EDGES {
            return sketch.drawn(String::new());
        }
        let _ = write!(folded, " and {edges} edges");
    }
    folded.push_str(" were folded to namespaces; --by workload shows them all");
    Sketch::with(analysis, options, By::Namespace).drawn(folded)
}

/// Nodes and edges while they are gathered.
#[derive(Default)]
struct Sketch {
    /// The nodes of workloads that are there.
    ids: HashMap<usize, String>,
    /// Label of each node by its id, for each cluster; the cluster of outside nodes is empty.
    clusters: BTreeMap<String, BTreeMap<String, String>>,
    edges: BTreeMap<(String, String), Line>,
    /// On addresses that are shown together.
    note: Option<String>,
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
    fn stroke(self, from: String, to: String) -> Stroke {
        let part = self.in_part().map(|part| format!("{} in part", traffic_text(&part)));
        let mut labels: Vec<String> = self.labels.into_iter().collect();
        if labels.is_empty() {
            labels.extend(self.traffic.as_ref().map(traffic_text));
            labels.extend(part);
        }
        let color = if self.color.is_empty() { BLUE } else { self.color };
        let dashes = if self.dashed && self.rank == 0 { Dashes::Dashed } else { Dashes::Solid };
        Stroke { from, to, label: labels.join("\n"), color, dashes }
    }

    /// The part of the traffic of which only some passes.
    fn in_part(&self) -> Option<TrafficSet> {
        let part = self.traffic.as_ref()?.difference(self.whole.as_ref()?);
        (!part.is_empty()).then_some(part)
    }
}

impl Sketch {
    fn with(analysis: &Analysis, options: &GraphOptions, by: By) -> Sketch {
        let mut sketch = Sketch::default();
        match options.what {
            What::Allowed => sketch.add_allowed(analysis, options, by),
            What::Observed => sketch.add_observed(analysis, options, by),
            What::Overlay => {
                sketch.add_allowed(analysis, options, by);
                sketch.add_observed(analysis, options, by);
            }
            What::Exposure => sketch.add_exposures(analysis, options, by),
        }
        sketch
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
            line.color = if options.what == What::Overlay { PALE } else { BLUE };
        }
    }

    fn add_observed(&mut self, analysis: &Analysis, options: &GraphOptions, by: By) {
        let outside = Outside::of(analysis, options);
        self.note = outside.note();
        let evidence = evidence(analysis);
        let denials = (options.what == What::Overlay).then(|| Denials::of(&evidence));
        for seen in analysis.observed.flows.iter().filter(|seen| options.shows_flow(analysis, seen)) {
            let flow = &seen.flow;
            if [&seen.initiator, &seen.responder].contains(&&Party::Group) {
                continue;
            }
            let ends = [(&seen.initiator, flow.initiator.ip), (&seen.responder, flow.responder.ip)];
            let [from, to] = ends.map(|(party, address)| match party.workloads().as_slice() {
                [workload] => self.node(analysis, *workload, by),
                _ => self.outside(&outside.name(analysis, party, address)),
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
            let label = format!("{} {}", seen.detection.protocol, flow.responder.port);
            let denied = denials.as_ref().is_some_and(|denials| denials.hold(seen.clone()));
            line.labels.insert(if denied { format!("{label} (denied)") } else { label });
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
            let label = format!("{}\n{}/{}", exposure.kind.words(), entry.namespace, entry.name);
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
        if let Some(id) = self.ids.get(&index) {
            return id.clone();
        }
        let name = &analysis.inventory.workloads[index].name;
        let class = || {
            let classes = analysis.graph.classes_of(index);
            let first = classes.first().and_then(|c| analysis.graph.class(*c));
            let members = first.map_or(1, |class| class.members.len());
            let leader = first.and_then(|class| class.members.first()).map_or(index, |m| m.workload as usize);
            let leader = &analysis.inventory.workloads[leader].name;
            match members {
                1 => (leader.to_string(), format!("{}\n{}", leader.name, leader.kind)),
                n => (leader.to_string(), format!("{}\nand {} alike", leader.name, n - 1)),
            }
        };
        let (id, label) = match by {
            By::Namespace => (name.namespace.clone(), name.namespace.clone()),
            By::Class => class(),
            By::Workload | By::Automatic | By::Segment => {
                (name.to_string(), format!("{}\n{}", name.name, name.kind))
            }
        };
        let label = if by == By::Segment { format!("{}\n{label}", name.namespace) } else { label };
        self.clusters.entry(cluster(analysis, index, by)).or_default().insert(id.clone(), label);
        self.ids.insert(index, id.clone());
        id
    }

    fn outside(&mut self, label: &str) -> String {
        let id = format!("outside {label}");
        self.clusters.entry(String::new()).or_default().insert(id.clone(), label.to_owned());
        id
    }

    /// The drawing, with what stands above it.
    fn drawn(self, title: String) -> Drawing {
        let parts = [Some(title).filter(|title| !title.is_empty()), self.note];
        let title = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let strokes = self.edges.into_iter().map(|((from, to), line)| line.stroke(from, to)).collect();
        Drawing { title, clusters: self.clusters, strokes, legend: LEGEND }
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
    let tail = if more > 0 { format!("\nand {more} more") } else { String::new() };
    format!("{}{tail}", shown.join("\n"))
}
