//! The shape of a flow record, `watertight/flow/v1`: a line of JSON for each flow.

use super::names::{observed_name, time_text, transport_name};
use crate::analysis::Analysis;
use crate::observed::{FlowEnd, ObservedFlow, Party};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// One flow.
#[derive(Serialize)]
struct FlowShape<'a> {
    schema: &'static str,
    initiator: FlowEndShape,
    responder: FlowEndShape,
    transport: String,
    protocol: &'static str,
    protection: &'static str,
    why: &'a str,
    facts: BTreeMap<&'static str, &'a str>,
    packets: [u64; 2],
    bytes: [u64; 2],
    first: String,
    last: String,
    via: &'a [String],
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<[String; 2]>,
    #[serde(skip_serializing_if = "is_zero")]
    copies: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    places: Vec<PlaceShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    joined: Vec<LegShape>,
}

/// Where a flow was met, where it was met at several places.
#[derive(Serialize)]
struct PlaceShape<'a> {
    capture: &'a str,
    interface: u32,
    via: &'a [String],
}

/// One face of a connection that address translation shows several times.
#[derive(Serialize)]
struct LegShape {
    initiator: String,
    responder: String,
}

#[derive(Serialize)]
struct FlowEndShape {
    ip: String,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What the name of an outside address rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    named_by: Option<&'static str>,
}

/// Writes a line for each flow, by way of one buffer.
pub(super) fn write(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    let mut line = Vec::with_capacity(1_024);
    for seen in &analysis.observed.flows {
        line.clear();
        serde_json::to_writer(&mut line, &shape(analysis, seen))?;
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

fn shape<'a>(analysis: &'a Analysis, seen: &'a ObservedFlow) -> FlowShape<'a> {
    let flow = &seen.flow;
    let end = |end: FlowEnd, party: &Party| {
        let ip = end.ip.to_string();
        if let Some((name, by)) = observed_name(analysis, party, end.ip) {
            return FlowEndShape {
                name: Some(name.to_owned()),
                named_by: Some(by.word()),
                ip,
                port: end.port,
            };
        }
        // Most ends of most captures have no name, and need not be asked for one.
        let nameless = matches!(party, Party::Outside | Party::Unknown | Party::Group)
            && analysis.contract.networks.is_empty();
        let name = (!nameless).then(|| super::party_name(analysis, party, end.ip));
        FlowEndShape { name: name.filter(|name| *name != ip), named_by: None, ip, port: end.port }
    };
    let missing = flow.start.cut || flow.start.holes || flow.start.late || flow.evicted;
    FlowShape {
        schema: "watertight/flow/v1",
        initiator: end(flow.initiator, &seen.initiator),
        responder: end(flow.responder, &seen.responder),
        transport: transport_name(flow),
        protocol: seen.detection.protocol,
        protection: seen.detection.protection.word(),
        why: &seen.detection.why,
        facts: seen.detection.facts.iter().map(|(name, value)| (*name, value.as_str())).collect(),
        packets: [flow.forward.packets, flow.backward.packets],
        bytes: [flow.forward.bytes, flow.backward.bytes],
        first: time_text(flow.first),
        last: time_text(flow.last),
        via: &flow.via,
        complete: !missing,
        tunnel: flow.seen.tunnel().map(|(low, high)| [low.to_string(), high.to_string()]),
        copies: flow.seen.copies(),
        places: flow.seen.places().iter().map(|place| place_shape(analysis, place)).collect(),
        joined: flow.seen.legs().iter().map(leg_shape).collect(),
    }
}

fn place_shape<'a>(analysis: &'a Analysis, place: &'a crate::observed::Place) -> PlaceShape<'a> {
    let capture = analysis.observed.captures.get(place.input).map_or("", String::as_str);
    PlaceShape { capture, interface: place.interface, via: &place.via }
}

fn leg_shape(leg: &crate::observed::Leg) -> LegShape {
    let end = |end: FlowEnd| std::net::SocketAddr::new(end.ip, end.port).to_string();
    LegShape { initiator: end(leg.initiator), responder: end(leg.responder) }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
