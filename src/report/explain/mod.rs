//! Answers of `explain`: what is told of a walk, and what would flip it, in text and JSON.

mod json;
mod text;

use super::words::peer_text;
use super::{names::origin_text, snippet};
use crate::analysis::Analysis;
use crate::graph::{
    Change, Declared, Direction, Expected, Explanation, Leg, MeshEdge, Remedy, Spot, Via, expected,
};
use crate::model::{Protocol, TrafficSet};
use std::net::IpAddr;

pub(super) use json::write as write_json;
pub(super) use text::write as write_text;

/// A question with its answers, one for each pair of variants and address ranges.
pub struct Answer {
    /// Names as the user will read them.
    pub names: [String; 2],
    /// What was asked for.
    pub asked: TrafficSet,
    /// What else is to be said of the ends.
    pub notes: Vec<String>,
    /// The answers.
    pub cases: Vec<Case>,
}

/// One answer.
pub struct Case {
    /// The walk.
    pub walk: Explanation,
    /// What would flip it.
    pub remedies: Vec<Remedy>,
}

/// Whether what was asked for is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it, for every variant.
    Allowed,
    /// None of it.
    Denied,
    /// Some ports, or some variants.
    Partly,
}

impl Answer {
    /// The verdict over all cases.
    pub fn verdict(&self) -> Verdict {
        let all = self.cases.iter().all(|case| case.walk.denied.is_empty());
        match (all, self.cases.iter().any(|case| !case.walk.passing.is_empty())) {
            (true, _) => Verdict::Allowed,
            (false, true) => Verdict::Partly,
            (false, false) => Verdict::Denied,
        }
    }

    /// Whether anything at all may arrive, by policies or because a node's own traffic is exempt.
    pub fn passes(&self) -> bool {
        self.cases.iter().any(|case| case.walk.passes())
    }
}

/// What is expected to protect what passes, and what that rests on: the weakest over all cases.
fn protection(analysis: &Analysis, answer: &Answer) -> Option<Expected> {
    answer.cases.iter().map(|case| case_protection(analysis, &case.walk)).reduce(Expected::and)
}

fn case_protection(analysis: &Analysis, walk: &Explanation) -> Expected {
    let workload = |spot: &Spot| match spot {
        Spot::Variant(member) => analysis.inventory.workloads.get(member.workload as usize),
        Spot::Outside(_) | Spot::Domain(_) => None,
    };
    let below = expected(&analysis.graph.dataplane, workload(&walk.from), workload(&walk.to));
    let legs = |legs: fn(&MeshEdge) -> &Vec<Leg>| -> Vec<(TrafficSet, Expected)> {
        let all = walk.mesh.iter().flat_map(legs);
        let part = |leg: &Leg| (leg.traffic.intersection(&walk.asked), leg.expected().over(below));
        all.map(part).filter(|(part, _)| !part.is_empty()).collect()
    };
    let (carried, refused) = (legs(|mesh| &mesh.legs), legs(|mesh| &mesh.refusals));
    let declared = match &walk.to {
        Spot::Variant(member) => analysis.graph.declared_by(member.workload as usize),
        Spot::Outside(_) | Spot::Domain(_) => Declared::default(),
    };
    fn parts(list: &[(TrafficSet, Expected)]) -> impl Iterator<Item = (&TrafficSet, Expected)> + Clone {
        list.iter().map(|(part, expected)| (part, *expected))
    }
    declared.word(parts(&carried), parts(&refused)).unwrap_or(below)
}

/// The name of who is in between.
fn between_name(analysis: &Analysis, via: Via) -> String {
    let members = &analysis.graph.classes()[via.by as usize].members;
    let workload = members.first().map(|member| &analysis.inventory.workloads[member.workload as usize]);
    workload.map_or_else(String::new, |workload| workload.name.to_string())
}

/// A packet that shows the answer; what is not known is named.
struct Packet {
    source: String,
    target: String,
    protocol: String,
}

/// The first packet of some traffic between two spots.
fn packet(analysis: &Analysis, walk: &Explanation, traffic: &TrafficSet) -> Packet {
    let (sources, targets) = (addresses(analysis, &walk.from), addresses(analysis, &walk.to));
    let pairs = sources.iter().flat_map(|a| targets.iter().map(move |b| (*a, *b)));
    let same = |(a, b): &(IpAddr, IpAddr)| a.is_ipv4() == b.is_ipv4();
    let (from, to) = match pairs.into_iter().find(same) {
        Some((from, to)) => (Some(from), Some(to)),
        None => (sources.first().copied(), targets.first().copied()),
    };
    let port = Protocol::ALL.into_iter().find_map(|protocol| {
        traffic.ports(protocol).intervals().first().map(|(first, _)| (protocol, *first))
    });
    let from = at(from, || spot_name(analysis, &walk.from), port.map(|_| EPHEMERAL));
    let to = at(to, || spot_name(analysis, &walk.to), port.map(|(_, port)| port));
    let protocol = match port {
        Some((protocol, _)) => protocol.to_string(),
        None => {
            let first = traffic.portless.numbers().next();
            first.map_or(String::new(), |n| crate::model::IpProtocols::of(n).to_string())
        }
    };
    Packet { source: from, target: to, protocol }
}

/// The first port that clients use by default (RFC 6335, section 6).
const EPHEMERAL: u16 = 49_152;

fn at(address: Option<IpAddr>, name: impl FnOnce() -> String, port: Option<u16>) -> String {
    let host = match (address, port) {
        (Some(IpAddr::V6(v6)), Some(_)) => format!("[{v6}]"),
        (Some(address), _) => address.to_string(),
        (None, _) => format!("<{}>", name()),
    };
    port.map_or(host.clone(), |port| format!("{host}:{port}"))
}

fn addresses(analysis: &Analysis, spot: &Spot) -> Vec<IpAddr> {
    match spot {
        Spot::Variant(member) => {
            let workload = &analysis.inventory.workloads[member.workload as usize];
            workload.variants[member.variant as usize].addresses.iter().copied().collect()
        }
        Spot::Outside(set) => set.ranges().iter().map(|range| range.first).collect(),
        Spot::Domain(_) => Vec::new(),
    }
}

/// The name of one end of a case.
fn spot_name(analysis: &Analysis, spot: &Spot) -> String {
    match spot {
        Spot::Variant(member) => analysis.inventory.workloads[member.workload as usize].name.to_string(),
        Spot::Outside(set) => format!("ip:{set}"),
        Spot::Domain(name) => format!("dns:{name}"),
    }
}

/// A change in words, and as YAML where it adds something that NetworkPolicy can say.
fn change_text(analysis: &Analysis, change: &Change, traffic: &TrafficSet) -> (String, Option<String>) {
    let what = super::words::asked_text(traffic);
    let graph = &analysis.graph;
    match change {
        Change::TakeOut { rule, peer } => {
            let origin = &graph.rules[*rule as usize].rule.origin;
            (format!("take {} out of {} for {what}", peer_text(peer), origin_text(origin)), None)
        }
        Change::AddRule { policy, peer } => {
            let info = &graph.policies[*policy as usize];
            let (word, place) = (info.direction.word(), origin_text(&info.origin));
            let yaml = match &*info.origin.kind {
                "NetworkPolicy" => snippet::rule(info.direction, peer, traffic),
                _ => None,
            };
            let yaml = yaml.map(|rule| format!("# under spec.{word}\n{rule}"));
            let first = if yaml.is_some() { "" } else { ", before its other rules" };
            let article = article(info.direction);
            let text = format!(
                "add {article} {word} rule that allows {} for {what} to {place}{first}",
                peer_text(peer)
            );
            (text, yaml)
        }
        Change::AddPolicy { direction, namespace, name, subject, peer } => {
            let yaml = snippet::policy(*direction, [namespace, name], subject, peer.as_ref(), traffic);
            let who = super::words::selection_text(subject);
            let word = direction.word();
            let text = match peer {
                Some(peer) => format!(
                    "add a NetworkPolicy in {namespace} with {} {word} rule that allows {} for {what}; it selects {who}",
                    article(*direction),
                    peer_text(peer)
                ),
                None => format!(
                    "add a NetworkPolicy in {namespace} that isolates {who} for {word}; \
                     whoever else is needed must be named in it"
                ),
            };
            (text, yaml)
        }
    }
}

fn article(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress | Direction::Egress => "an",
    }
}
