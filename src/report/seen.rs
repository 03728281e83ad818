//! The observed graph as a list: flows of the same ends, port, protocol and protection are one line.

use super::names::transport_name;
use super::outside::Outside;
use super::words::{counted, packets_and_bytes};
use super::{GraphOptions, What};
use crate::analysis::{Analysis, evidence};
use crate::check::Denials;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What was seen from one end to another. The order of its fields is that of the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Edge {
    /// Who opened the flows: a workload, or an address with its name where it has one.
    pub from: String,
    /// Who was called.
    pub to: String,
    /// The protocol above IP.
    pub transport: Cow<'static, str>,
    /// The port that was called; 0 where there are none.
    pub port: u16,
    /// What they spoke.
    pub protocol: &'static str,
    /// Whether it could be read.
    pub protection: &'static str,
    /// Whether the policies deny it; where it is laid over what they permit.
    #[serde(skip_serializing_if = "is_permitted")]
    pub denied: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_permitted(denied: &bool) -> bool {
    !denied
}

impl Edge {
    /// `TCP 5432`, or the transport alone where there are no ports.
    pub fn traffic(&self) -> String {
        match self.port {
            0 => self.transport.clone().into_owned(),
            port => format!("{} {port}", self.transport),
        }
    }
}

/// How much was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Amount {
    pub flows: u64,
    /// Packets in both directions.
    pub packets: u64,
    /// Bytes of IP packets in both directions.
    pub bytes: u64,
}

/// An edge as programs read it.
#[derive(Serialize)]
pub(super) struct Shape {
    #[serde(flatten)]
    edge: Edge,
    #[serde(flatten)]
    amount: Amount,
}

/// All edges of the chosen part of the graph, by name.
pub(super) fn edges(analysis: &Analysis, options: &GraphOptions) -> BTreeMap<Edge, Amount> {
    named_edges(analysis, options, &Outside::default())
}

fn named_edges(analysis: &Analysis, options: &GraphOptions, outside: &Outside) -> BTreeMap<Edge, Amount> {
    let mut all: BTreeMap<Edge, Amount> = BTreeMap::new();
    let evidence = evidence(analysis);
    let denials = (options.what == What::Overlay).then(|| Denials::of(&evidence));
    for seen in analysis.observed.flows.iter().filter(|seen| options.shows_flow(analysis, seen)) {
        let flow = &seen.flow;
        let edge = Edge {
            from: outside.name(analysis, &seen.initiator, flow.initiator.ip),
            to: outside.name(analysis, &seen.responder, flow.responder.ip),
            transport: transport_name(flow),
            port: flow.responder.port,
            protocol: seen.detection.protocol,
            protection: seen.detection.protection.word(),
            denied: denials.as_ref().is_some_and(|denials| denials.hold(seen.clone())),
        };
        let amount = all.entry(edge).or_default();
        amount.flows += 1;
        amount.packets += flow.forward.packets + flow.backward.packets;
        amount.bytes += flow.forward.bytes + flow.backward.bytes;
    }
    all
}

/// For programs.
pub(super) fn shapes(analysis: &Analysis, options: &GraphOptions) -> Vec<Shape> {
    edges(analysis, options).into_iter().map(|(edge, amount)| Shape { edge, amount }).collect()
}

/// `from -> to: TCP 5432 postgresql plaintext, seen in 3 flows, 24 packets, 1830 bytes`, a line each.
pub(super) fn write_text(analysis: &Analysis, options: &GraphOptions, out: &mut dyn Write) -> io::Result<()> {
    let outside = Outside::of(analysis, options);
    for (edge, amount) in named_edges(analysis, options, &outside) {
        let (traffic, Edge { from, to, protocol, protection, denied, .. }) = (edge.traffic(), edge);
        let Amount { flows, packets, bytes } = amount;
        writeln!(
            out,
            "{from} -> {to}: {traffic} {protocol} {protection}, seen in {}, {}{}",
            counted(flows, ["flow", "flows"]),
            packets_and_bytes(packets, bytes),
            if denied { ", though policies deny it" } else { "" }
        )?;
    }
    if let Some(note) = outside.note() {
        writeln!(out, "# {note}")?;
    }
    Ok(())
}
