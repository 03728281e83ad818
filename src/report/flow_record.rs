//! The shape of a flow record, `watertight/flow/v1`: a line of JSON for each flow.

use super::line::Line;
use super::names::{observed_name, put_time, transport_name};
use crate::analysis::Analysis;
use crate::observed::{FlowEnd, ObservedFlow, Party};
use std::io::{self, Write};

/// Writes a line for each flow, by way of one buffer.
pub(super) fn write(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    let mut line = Line::default();
    for seen in analysis.observed.flows.iter() {
        line.clear();
        record(&mut line, analysis, &seen);
        out.write_all(line.bytes())?;
    }
    Ok(())
}

/// Writes the line of one flow.
pub(super) fn write_one(analysis: &Analysis, seen: &ObservedFlow, out: &mut dyn Write) -> io::Result<()> {
    let mut line = Line::default();
    record(&mut line, analysis, seen);
    out.write_all(line.bytes())
}

/// All fields in their order; those at the end only where there is something to say.
fn record(line: &mut Line, analysis: &Analysis, seen: &ObservedFlow) {
    let flow = &seen.flow;
    line.put("{\"schema\":\"watertight/flow/v1\",\"initiator\":{\"ip\":\"");
    end(line, analysis, flow.initiator, &seen.initiator);
    line.put("},\"responder\":{\"ip\":\"");
    end(line, analysis, flow.responder, &seen.responder);
    line.put("},\"transport\":\"");
    line.put(&transport_name(flow));
    line.put("\",\"protocol\":\"");
    line.put(seen.detection.protocol);
    line.put("\",\"protection\":\"");
    line.put(seen.detection.protection.word());
    line.put("\",\"why\":");
    line.text(&seen.detection.why);
    line.put(",\"facts\":{");
    facts(line, &seen.detection.facts);
    line.put("},\"packets\":[");
    pair(line, flow.forward.packets, flow.backward.packets);
    line.put("],\"bytes\":[");
    pair(line, flow.forward.bytes, flow.backward.bytes);
    line.put("],\"first\":\"");
    put_time(line, flow.first);
    line.put("\",\"last\":\"");
    put_time(line, flow.last);
    line.put("\",\"via\":[");
    texts(line, &flow.via);
    let missing = flow.start.cut || flow.start.holes || flow.start.late || flow.evicted;
    line.put(if missing { "],\"complete\":false" } else { "],\"complete\":true" });
    if flow.seen.more.is_some() {
        more(line, analysis, &flow.seen);
    }
    line.put("}\n");
}

/// What few flows have: a tunnel, several places, several faces.
fn more(line: &mut Line, analysis: &Analysis, seen: &crate::observed::Seen) {
    if let Some((low, high)) = seen.tunnel() {
        line.put(",\"tunnel\":[\"");
        line.address(low);
        line.put("\",\"");
        line.address(high);
        line.put("\"]");
    }
    if seen.copies() > 0 {
        line.put(",\"copies\":");
        line.number(seen.copies());
    }
    let mut before = ",\"places\":[";
    for place in seen.places() {
        line.put(before);
        line.put("{\"capture\":");
        line.text(analysis.observed.captures.get(place.input).map_or("", String::as_str));
        line.put(",\"interface\":");
        line.number(u64::from(place.interface));
        line.put(",\"via\":[");
        texts(line, &place.via);
        line.put("]}");
        before = ",";
    }
    line.put(if seen.places().is_empty() { "" } else { "]" });
    before = ",\"joined\":[";
    for leg in seen.legs() {
        line.put(before);
        line.put("{\"initiator\":\"");
        socket(line, leg.initiator);
        line.put("\",\"responder\":\"");
        socket(line, leg.responder);
        line.put("\"}");
        before = ",";
    }
    line.put(if seen.legs().is_empty() { "" } else { "]" });
}

/// An end from its address on: the port, and who that is, where anybody said.
fn end(line: &mut Line, analysis: &Analysis, end: FlowEnd, party: &Party) {
    line.address(end.ip);
    line.put("\",\"port\":");
    line.number(u64::from(end.port));
    if let Some((name, by)) = observed_name(analysis, party, end.ip) {
        line.put(",\"name\":");
        line.text(name);
        line.put(",\"named_by\":\"");
        line.put(by.word());
        line.put("\"");
        return;
    }
    if let Party::Unsettled(why) = party {
        line.put(",\"unsettled\":");
        line.text(why.why());
        return;
    }
    // Most ends of most captures have no name, and need not be asked for one.
    let nameless = matches!(party, Party::Outside | Party::Unknown | Party::Group)
        && analysis.contract.networks.is_empty();
    if nameless {
        return;
    }
    let name = super::party_name(analysis, party, end.ip);
    if name != end.ip.to_string() {
        line.put(",\"name\":");
        line.text(&name);
    }
}

/// `address:port`, an IPv6 address in brackets.
fn socket(line: &mut Line, end: FlowEnd) {
    let (open, close) = if end.ip.is_ipv6() { ("[", "]:") } else { ("", ":") };
    line.put(open);
    line.address(end.ip);
    line.put(close);
    line.number(u64::from(end.port));
}

/// Facts sorted by their names; of those that have one name, the last.
fn facts(line: &mut Line, facts: &[(&'static str, String)]) {
    // A witness keeps them in order; whoever else made them pays for the sorting.
    let mut sorted = Vec::new();
    let mut all = facts;
    if !all.is_sorted_by_key(|(name, _)| *name) {
        sorted.extend_from_slice(all);
        sorted.sort_by_key(|(name, _)| *name);
        all = &sorted;
    }
    let mut before = "\"";
    for (at, (name, value)) in all.iter().enumerate() {
        if all.get(at + 1).is_some_and(|(next, _)| next == name) {
            continue;
        }
        line.put(before);
        line.put(name);
        line.put("\":");
        line.text(value);
        before = ",\"";
    }
}

fn pair(line: &mut Line, ahead: u64, back: u64) {
    line.number(ahead);
    line.put(",");
    line.number(back);
}

fn texts(line: &mut Line, all: &[String]) {
    for (number, text) in all.iter().enumerate() {
        line.put(if number == 0 { "" } else { "," });
        line.text(text);
    }
}
