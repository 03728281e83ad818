//! Names and small phrases that several formats share.

use super::line::Line;
use super::words::{counted, packets_and_bytes};
use crate::analysis::Analysis;
use crate::contract::{Exception, Kind, SegmentInfo};
use crate::graph::{Connection, Dataplane, DataplaneKind, End, Found};
use crate::model::{AddressRange, AddressSet, Bend, Origin, TrafficSet};
use crate::observed::{Call, Detection, NamedBy, ObservedFlow, Party};
use crate::observed::{Flow, Transport};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The name of an end of a connection: `ns/Kind/name` or `ip:first-last`.
pub(super) fn end_name(analysis: &Analysis, end: &End) -> String {
    match end {
        End::Workload(index) => analysis.inventory.workloads[*index].name.to_string(),
        End::External(addresses) => format!("ip:{addresses}"),
        End::Domain(domain) => format!("dns:{domain}"),
    }
}

/// The name of who stands behind an address; outside addresses are named by themselves, in front of
/// them the network that the contract declares, or else the names that flows gave them.
pub fn party_name(analysis: &Analysis, party: &Party, address: IpAddr) -> String {
    let observed = || is_nameless(analysis, party, address).then(|| all_names(analysis, address)).flatten();
    with_name(analysis, party, address, observed)
}

/// The name of whom a flow calls: as [`party_name`], with the one name that belongs to this flow.
pub fn called_name(analysis: &Analysis, seen: &ObservedFlow) -> String {
    let (party, call) = (&seen.responder, Call::from(&seen.flow));
    let observed =
        || observed_name(analysis, party, &seen.detection, call).map(|(name, _)| name.into_owned());
    with_name(analysis, party, call.server, observed)
}

fn with_name(
    analysis: &Analysis,
    party: &Party,
    address: IpAddr,
    observed: impl FnOnce() -> Option<String>,
) -> String {
    let name = party.name(&analysis.inventory, address);
    let known = match party {
        Party::Outside | Party::Unknown | Party::Unsettled(_) => network_name(analysis, address),
        _ => None,
    };
    let name = match party {
        Party::Unsettled(why) => format!("{name} ({})", why.why()),
        _ => name,
    };
    match known.map(str::to_owned).or_else(observed) {
        Some(known) => format!("{known} ({name})"),
        None => name,
    }
}

/// Names of one address that are written out; the others are counted.
const WRITTEN_OUT: usize = 2;

/// All names of an address in one phrase, sorted: `a.example, b.example and 3 more`.
fn all_names(analysis: &Analysis, address: IpAddr) -> Option<String> {
    let known = &analysis.observed.names;
    let names: BTreeSet<&str> = known.of(address).map(|(_, name)| name).collect();
    let first: Vec<&str> = names.iter().take(WRITTEN_OUT).copied().collect();
    let at_least = if known.is_crowded(address) { "at least " } else { "" };
    match names.len() - first.len() {
        _ if first.is_empty() => None,
        0 => Some(first.join(", ")),
        others => Some(format!("{} and {at_least}{others} more", first.join(", "))),
    }
}

/// The network that the contract declares around an address.
pub(super) fn network_name(analysis: &Analysis, address: IpAddr) -> Option<&str> {
    if analysis.contract.networks.is_empty() {
        return None;
    }
    let single: AddressSet = [AddressRange::single(address)].into_iter().collect();
    analysis.contract.network_of(&single)
}

/// The name by which a flow called an address outside, and what it rests on.
pub(super) fn observed_name<'a>(
    analysis: &'a Analysis,
    party: &Party,
    detection: &'a Detection,
    call: Call,
) -> Option<(Cow<'a, str>, NamedBy)> {
    let nameless = is_nameless(analysis, party, call.server);
    nameless.then(|| analysis.observed.names.of_flow(detection, call)).flatten()
}

/// The name of an address outside that opened a flow, and what it rests on.
pub(super) fn caller_name<'a>(
    analysis: &'a Analysis,
    party: &Party,
    address: IpAddr,
) -> Option<(Cow<'a, str>, NamedBy)> {
    let nameless = is_nameless(analysis, party, address);
    let best = nameless.then(|| analysis.observed.names.best(address)).flatten();
    best.map(|(name, by)| (name.into(), by))
}

/// Whether nobody declared who an address is: that goes before what somebody said on the wire.
fn is_nameless(analysis: &Analysis, party: &Party, address: IpAddr) -> bool {
    matches!(party, Party::Outside | Party::Unknown) && network_name(analysis, address).is_none()
}

/// What is known of the addresses that a subject names, a sentence each.
pub(super) fn named_addresses(analysis: &Analysis, subject: &str) -> Vec<String> {
    let addresses = subject.split(' ').filter_map(|word| word.parse::<IpAddr>().ok());
    let named = addresses.filter_map(|address| {
        let kinds: BTreeSet<NamedBy> = analysis.observed.names.of(address).map(|(by, _)| by).collect();
        let kinds: Vec<&str> = kinds.into_iter().map(evidence).collect();
        Some(format!("{address} is {}, by {}", all_names(analysis, address)?, kinds.join(" and ")))
    });
    named.collect()
}

fn evidence(by: NamedBy) -> &'static str {
    match by {
        NamedBy::ServerName => "the server name in TLS",
        NamedBy::HttpHost => "the host of an HTTP request",
        NamedBy::DnsAnswer => "a DNS answer",
    }
}

/// One line on a flow, for people.
pub fn flow_line(analysis: &Analysis, seen: &ObservedFlow) -> String {
    let flow = &seen.flow;
    let from = party_name(analysis, &seen.initiator, flow.initiator.ip);
    let to = called_name(analysis, seen);
    let detection = &seen.detection;
    format!(
        "{from} -> {to} {}/{} {} {} ({}), {}",
        transport_name(flow),
        flow.responder.port,
        detection.protocol,
        detection.protection.word(),
        detection.why,
        packets_and_bytes(
            flow.forward.packets + flow.backward.packets,
            flow.forward.bytes + flow.backward.bytes
        ),
    )
}

pub(super) fn transport_name(flow: &Flow) -> Cow<'static, str> {
    match flow.transport {
        Transport::Tcp => "TCP".into(),
        Transport::Udp => "UDP".into(),
        Transport::Sctp => "SCTP".into(),
        Transport::Icmp => "ICMP".into(),
        Transport::Other(number) => format!("IP{number}").into(),
    }
}

/// Traffic for people and drawings: `all` where nothing is left out, also of what has no ports.
pub(super) fn traffic_text(traffic: &TrafficSet) -> String {
    traffic.to_string()
}

/// The part of a connection of which only some passes, with what its rules ask: `TCP 80 only where
/// methods GET`; `None` where all of it passes.
pub(super) fn narrowed_text(analysis: &Analysis, connection: &Connection) -> Option<String> {
    /// More conditions than these are counted.
    const MOST: usize = 3;
    if connection.narrowed.is_empty() {
        return None;
    }
    let all: Vec<String> = conditions(analysis, connection).into_iter().collect();
    let more = all.len().saturating_sub(MOST);
    let tail = if more > 0 { format!(", or {more} more") } else { String::new() };
    let shown = all.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", or ");
    Some(format!("{} only where {shown}{tail}", traffic_text(&connection.narrowed)))
}

/// What each of the rules behind a connection asks beyond addresses and ports.
pub(super) fn conditions(analysis: &Analysis, connection: &Connection) -> BTreeSet<String> {
    let rules = connection.because.iter().map(|rule| &analysis.graph.rules[*rule as usize].rule);
    rules.filter_map(|rule| rule.narrowed.as_ref()).map(ToString::to_string).collect()
}

/// `none`, `ICMP`, `other protocols but ICMP`: said where `all` does not mean all of it, and where a
/// list of ports is not all that travels.
pub(super) fn other_protocols(traffic: &TrafficSet) -> Option<String> {
    let portless = &traffic.portless;
    let misleads = match is_all_ports(traffic) {
        true => !portless.is_all(),
        false => !portless.is_empty() && !traffic.with_ports_only().is_empty(),
    };
    let word = || if portless.is_empty() { "none".to_owned() } else { portless.to_string() };
    misleads.then(word)
}

/// Whether every port of TCP, UDP and SCTP is in it.
pub(super) fn is_all_ports(traffic: &TrafficSet) -> bool {
    traffic.has_all_ports()
}

/// `file:line`; what comes from a live cluster has no line.
pub(super) fn place_text(origin: &Origin) -> String {
    match origin.line {
        0 => origin.file.to_string(),
        line => format!("{}:{line}", origin.file),
    }
}

/// `file:line` with the object and the rule.
pub(super) fn origin_text(origin: &Origin) -> String {
    let rule = if origin.rule.is_empty() { String::new() } else { format!(" {}", origin.rule) };
    let place = place_text(origin);
    if origin.kind.is_empty() {
        return format!("{place}{rule}");
    }
    match origin.namespace.is_empty() {
        true => format!("{place} {} {}{rule}", origin.kind, origin.name),
        false => format!("{place} {} {}/{}{rule}", origin.kind, origin.namespace, origin.name),
    }
}

/// Which dataplane enforces, and how that is known.
pub(super) fn dataplane_text(dataplane: &Dataplane) -> String {
    let name = match dataplane.version {
        Some((major, minor)) => format!("{} {major}.{minor}", dataplane.kind.name()),
        None => dataplane.kind.name().to_owned(),
    };
    let nothing = match dataplane.kind {
        DataplaneKind::None => ", which enforces no policy at all",
        _ => "",
    };
    match &dataplane.found {
        Found::Chosen => format!("{name}, as was asked for{nothing}"),
        Found::Running(origin) => format!("{name}{nothing}, found at {}", origin_text(origin)),
        Found::Suggested(origin) => {
            format!("{name}, only suggested by {}; --engine says it for certain", origin_text(origin))
        }
        Found::Assumed => {
            format!("{name}, assumed, since nothing tells which one enforces; --engine says it")
        }
    }
}

/// Why an exception holds, who said so and until when.
pub(super) fn justification(exception: &Exception) -> String {
    let ticket = if exception.ticket.is_empty() { String::new() } else { format!(", {}", exception.ticket) };
    let why = exception.why.trim_end().trim_end_matches('.');
    format!("{why} (approved by {}{ticket}, until {})", exception.approved_by, exception.expires)
}

/// For each segment with workloads, how many they are; in the order of the contract.
pub(super) fn segment_sizes(analysis: &Analysis) -> Vec<(&SegmentInfo, usize)> {
    let segments = &analysis.segments;
    let mut sizes = vec![0; segments.segments.len()];
    for index in 0..analysis.inventory.workloads.len() {
        let own: std::collections::BTreeSet<u32> = segments.of_workload(index).iter().copied().collect();
        own.into_iter().for_each(|segment| sizes[segment as usize] += 1);
    }
    let declared = |s: &SegmentInfo| matches!(s.kind, Kind::Declared | Kind::Network);
    let shown = segments.segments.iter().zip(sizes);
    shown.filter(|(segment, size)| *size > 0 || declared(segment)).collect()
}

/// `name (sensitivity): n workloads`, a line a segment.
pub(super) fn segment_lines(analysis: &Analysis) -> Vec<String> {
    let line = |(segment, size): (&SegmentInfo, usize)| {
        let sensitivity = segment.sensitivity.map(|s| format!(" ({})", s.word())).unwrap_or_default();
        let words = match (segment.kind, size) {
            (Kind::Network, _) => "outside network".to_owned(),
            (_, 1) => "1 workload".to_owned(),
            (_, n) => format!("{n} workloads"),
        };
        let namespace = if segment.kind == Kind::Namespace { ", by namespace" } else { "" };
        format!("{}{sensitivity}: {words}{namespace}", segment.name)
    };
    segment_sizes(analysis).into_iter().map(line).collect()
}

/// What stands in the way of a sure answer, in a sentence; `None` where nothing does.
pub(super) fn doubts(analysis: &Analysis) -> Option<String> {
    let [gaps, problems] = [analysis.gaps.len(), analysis.problems.len()];
    let gaps_text = counted(gaps as u64, ["gap", "gaps"]);
    let problems_text =
        counted(problems as u64, ["thing that could not be read", "things that could not be read"]);
    let what = match (gaps, problems) {
        (0, 0) => return None,
        (_, 0) => gaps_text,
        (0, _) => problems_text,
        _ => format!("{gaps_text}, and {problems_text},"),
    };
    Some(format!("{what} may bend this answer; `watertight check` lists them."))
}

pub(super) fn bend_word(bend: Bend) -> &'static str {
    match bend {
        Bend::MayAllowMore => "may-allow-more",
        Bend::MayAllowLess => "may-allow-less",
        Bend::MayMissTraffic => "may-miss-traffic",
    }
}

/// A moment, in nanoseconds since 1970, as RFC 3339 in UTC with microseconds.
pub fn time_text(nanos: u64) -> String {
    let mut line = Line::default();
    line.time(nanos);
    String::from_utf8_lossy(line.bytes()).into_owned()
}

/// FNV-1a over the names of a finding: stable across runs, never made of line numbers.
pub(super) fn fingerprint(parts: &[&str]) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    format!("{:016x}", bytes.fold(0xcbf2_9ce4_8422_2325, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_ports_is_told_where_nothing_else_is() {
        let icmp = TrafficSet::portless(crate::model::IpProtocols::of(1));
        let web = TrafficSet::port(crate::model::Protocol::Tcp, 80);
        assert_eq!(traffic_text(&icmp), "ICMP");
        assert_eq!(traffic_text(&icmp.union(&web)), "TCP 80 ICMP");
        assert_eq!(
            traffic_text(&TrafficSet::all().difference(&icmp)),
            "TCP UDP SCTP other protocols but ICMP"
        );
        assert_eq!(traffic_text(&TrafficSet::all()), "all");
        let beside = |traffic: &TrafficSet| other_protocols(traffic).unwrap_or_default();
        assert_eq!(beside(&icmp.union(&web)), "ICMP");
        assert_eq!(beside(&TrafficSet::all().difference(&icmp)), "other protocols but ICMP");
        assert_eq!(beside(&TrafficSet::all().with_ports_only()), "none");
        assert!([icmp, web, TrafficSet::all()].iter().all(|alone| other_protocols(alone).is_none()));
        assert_eq!(traffic_text(&TrafficSet::none()), "none");
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(time_text(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(time_text(1_709_210_096_123_456_789), "2024-02-29T12:34:56.123456Z");
    }
}
