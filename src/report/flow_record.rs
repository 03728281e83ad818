//! The shape of a flow record, `watertight/flow/v1`: a line of JSON for each flow.
//!
//! What flows share, verdicts and what is around them, is put into words once and copied.

use super::in_turns;
use super::line::Line;
use super::names::{caller_name, observed_name};
use crate::analysis::Analysis;
use crate::observed::{
    Around, Brief, Call, Detection, FlowEnd, Kept, Leg, NamedBy, ObservedFlow, Party, Place, SharedNumber,
    Stored, Transport,
};
use std::borrow::Cow;
use std::io::{self, Write};
use std::net::IpAddr;

/// Records that are put together before they are written: some 100 KB.
const ENOUGH: usize = 256;
/// Verdicts and surroundings whose words are kept.
const REMEMBERED: usize = 1_024;

/// Writes a line for each flow, put together on all processors.
pub(super) fn write(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    let flows = &analysis.observed.flows;
    let speaker = || {
        let mut said = Said::default();
        move |number: usize, lines: &mut Line| {
            let from = number * ENOUGH;
            for stored in flows.stored_among(from..from + ENOUGH) {
                match stored {
                    Stored::Whole(seen) => whole(lines, analysis, &seen),
                    Stored::Shared(kept) => shared(lines, analysis, &kept, &mut said),
                }
            }
        }
    };
    in_turns::write(flows.len().div_ceil(ENOUGH), rayon::current_num_threads(), speaker, out)
}

/// Room for the record of a flow, which the next one takes over.
#[derive(Debug, Default)]
pub struct Record {
    line: Line,
}

impl Record {
    /// The record of one flow, a line of JSON.
    pub fn of(&mut self, analysis: &Analysis, seen: &ObservedFlow) -> &[u8] {
        self.line.clear();
        whole(&mut self.line, analysis, seen);
        self.line.bytes()
    }
}

/// Words for what was met lately, each in the slot that its number has.
#[derive(Default)]
struct Said {
    verdicts: Words<Line>,
    surroundings: Words<Surroundings>,
}

/// Words, each with the number of what they are for.
struct Words<T>(Vec<(Option<SharedNumber>, T)>);

impl<T: Default> Default for Words<T> {
    fn default() -> Self {
        Words((0..REMEMBERED).map(|_| (None, T::default())).collect())
    }
}

impl<T> Words<T> {
    /// The words for a number, which are made anew where others were in their slot.
    fn of(&mut self, number: SharedNumber, say: impl FnOnce(&mut T)) -> &T {
        let (known, words) = &mut self.0[number.slot(REMEMBERED)];
        if *known != Some(number) {
            say(words);
            *known = Some(number);
        }
        words
    }
}

/// The parts of a record that tell what was around a flow.
#[derive(Default)]
struct Surroundings {
    via: Line,
    tunnel: Line,
    places: Line,
}

impl Surroundings {
    fn say(&mut self, analysis: &Analysis, around: &Around) {
        [&mut self.via, &mut self.tunnel, &mut self.places].into_iter().for_each(Line::clear);
        texts(&mut self.via, &around.via);
        tunnel(&mut self.tunnel, around.tunnel.map(|tunnel| tunnel.ends));
        places(&mut self.places, analysis, &around.places);
    }
}

/// The record of a flow that shares its verdict with others.
fn shared(line: &mut Line, analysis: &Analysis, kept: &Kept<'_>, said: &mut Said) {
    ends(line, analysis, &kept.flow, kept.detection, [kept.initiator, kept.responder]);
    let words = said.verdicts.of(kept.verdict, |words| {
        words.clear();
        verdict(words, kept.detection);
    });
    line.put_bytes(words.bytes());
    counts(line, &kept.flow);
    let Some(around) = kept.around else {
        complete(line, &kept.flow);
        copies(line, kept.flow.copies);
        return line.put(b"}\n");
    };
    let words = said.surroundings.of(kept.surroundings, |words| words.say(analysis, around));
    line.put_bytes(words.via.bytes());
    complete(line, &kept.flow);
    line.put_bytes(words.tunnel.bytes());
    copies(line, kept.flow.copies);
    line.put_bytes(words.places.bytes());
    line.put(b"}\n");
}

/// The record of a flow that stands by itself.
fn whole(line: &mut Line, analysis: &Analysis, seen: &ObservedFlow) {
    let flow = &seen.flow;
    let brief = Brief::of(flow);
    ends(line, analysis, &brief, &seen.detection, [&seen.initiator, &seen.responder]);
    verdict(line, &seen.detection);
    counts(line, &brief);
    texts(line, &flow.via);
    complete(line, &brief);
    // Few flows have a tunnel, several places, or several faces.
    tunnel(line, flow.seen.tunnel());
    copies(line, flow.seen.copies());
    places(line, analysis, flow.seen.places());
    legs(line, flow.seen.legs());
    line.put(b"}\n");
}

/// From the beginning of a record to its transport.
fn ends(
    line: &mut Line,
    analysis: &Analysis,
    flow: &Brief,
    detection: &Detection,
    [initiator, responder]: [&Party; 2],
) {
    line.put(b"{\"schema\":\"watertight/flow/v1\",\"initiator\":{\"ip\":\"");
    let name = caller_name(analysis, initiator, flow.initiator.ip);
    end(line, analysis, flow.initiator, initiator, name);
    line.put(b"},\"responder\":{\"ip\":\"");
    let name = observed_name(analysis, responder, detection, Call::from(flow));
    end(line, analysis, flow.responder, responder, name);
    line.put(b"},\"transport\":\"");
    match flow.transport {
        Transport::Tcp => line.put(b"TCP"),
        Transport::Udp => line.put(b"UDP"),
        Transport::Sctp => line.put(b"SCTP"),
        Transport::Icmp => line.put(b"ICMP"),
        Transport::Other(number) => {
            line.put(b"IP");
            line.number(u64::from(number));
        }
    }
}

/// What is spoken, from the end of the transport to the facts.
fn verdict(line: &mut Line, detection: &Detection) {
    line.put(b"\",\"protocol\":\"");
    line.word(detection.protocol);
    line.put(b"\",\"protection\":\"");
    line.word(detection.protection.word());
    line.put(b"\",\"why\":");
    line.text(&detection.why);
    line.put(b",\"facts\":{");
    facts(line, &detection.facts);
}

/// From behind the facts to the beginning of the encapsulations.
fn counts(line: &mut Line, flow: &Brief) {
    line.put(b"},\"packets\":[");
    pair(line, flow.forward.packets, flow.backward.packets);
    line.put(b"],\"bytes\":[");
    pair(line, flow.forward.bytes, flow.backward.bytes);
    line.put(b"],\"first\":\"");
    line.time(flow.first);
    line.put(b"\",\"last\":\"");
    line.time(flow.last);
    line.put(b"\",\"via\":[");
}

fn complete(line: &mut Line, flow: &Brief) {
    match flow.is_complete() {
        true => line.put(b"],\"complete\":true"),
        false => line.put(b"],\"complete\":false"),
    }
}

fn tunnel(line: &mut Line, tunnel: Option<(IpAddr, IpAddr)>) {
    let Some((low, high)) = tunnel else { return };
    line.put(b",\"tunnel\":[\"");
    line.address(low);
    line.put(b"\",\"");
    line.address(high);
    line.put(b"\"]");
}

fn copies(line: &mut Line, copies: u64) {
    if copies > 0 {
        line.put(b",\"copies\":");
        line.number(copies);
    }
}

fn places(line: &mut Line, analysis: &Analysis, places: &[Place]) {
    let mut before = ",\"places\":[";
    for place in places {
        line.word(before);
        line.put(b"{\"capture\":");
        line.text(analysis.observed.captures.get(place.input).map_or("", |capture| capture.name.as_str()));
        line.put(b",\"interface\":");
        line.number(u64::from(place.interface));
        line.put(b",\"via\":[");
        texts(line, &place.via);
        line.put(b"]}");
        before = ",";
    }
    line.word(if places.is_empty() { "" } else { "]" });
}

fn legs(line: &mut Line, legs: &[Leg]) {
    let mut before = ",\"joined\":[";
    for leg in legs {
        line.word(before);
        line.put(b"{\"initiator\":\"");
        socket(line, leg.initiator);
        line.put(b"\",\"responder\":\"");
        socket(line, leg.responder);
        line.put(b"\"}");
        before = ",";
    }
    line.word(if legs.is_empty() { "" } else { "]" });
}

/// An end from its address on: the port, and who that is, where anybody said.
fn end(
    line: &mut Line,
    analysis: &Analysis,
    end: FlowEnd,
    party: &Party,
    observed: Option<(Cow<'_, str>, NamedBy)>,
) {
    line.address(end.ip);
    line.put(b"\",\"port\":");
    line.number(u64::from(end.port));
    if let Some((name, by)) = observed {
        line.put(b",\"name\":");
        line.text(&name);
        line.put(b",\"named_by\":\"");
        line.word(by.word());
        line.put(b"\"");
        return;
    }
    if let Party::Unsettled(why) = party {
        line.put(b",\"unsettled\":");
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
        line.put(b",\"name\":");
        line.text(&name);
    }
}

/// `address:port`, an IPv6 address in brackets.
fn socket(line: &mut Line, end: FlowEnd) {
    let (open, close) = if end.ip.is_ipv6() { ("[", "]:") } else { ("", ":") };
    line.word(open);
    line.address(end.ip);
    line.word(close);
    line.number(u64::from(end.port));
}

/// Facts sorted by their names; of those that have one name, the last.
fn facts(line: &mut Line, facts: &[(&'static str, Cow<'static, str>)]) {
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
        line.word(before);
        line.word(name);
        line.put(b"\":");
        line.text(value);
        before = ",\"";
    }
}

fn pair(line: &mut Line, ahead: u64, back: u64) {
    line.number(ahead);
    line.put(b",");
    line.number(back);
}

fn texts(line: &mut Line, all: &[String]) {
    for (number, text) in all.iter().enumerate() {
        line.word(if number == 0 { "" } else { "," });
        line.text(text);
    }
}
