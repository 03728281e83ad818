//! What rules name, in words: selections, peers, conditions.

use crate::graph::{Action, Namespaces, Peer, Peers, Population, Rule, Selection, ServiceChoice, Services};
use crate::model::{AddressSet, Requirement, Selector, TrafficSet, names};

/// `pods with app=web in namespace shop`.
pub(super) fn selection_text(selection: &Selection) -> String {
    let who = match selection.population {
        Population::Pods => "pods",
        Population::HostEndpoints => "host endpoints",
        Population::HostNetwork => "pods on the host network",
        Population::Standalone => "proxies that are no pods",
        Population::Meshable => "pods",
    };
    let with = match selection.endpoints.is_everything() {
        true => format!("all {who}"),
        false => format!("{who} with {}", selection.endpoints),
    };
    match &selection.namespaces {
        Namespaces::Named(name) => format!("{with} in namespace {name}"),
        Namespaces::Matching(selector) if selector.is_everything() => with,
        Namespaces::Matching(selector) => match namespace_name(selector) {
            Some(name) => format!("{with} in namespace {name}"),
            None => format!("{with} in namespaces with {selector}"),
        },
    }
}

/// The name that a namespace selector asks for, where that is all it asks.
fn namespace_name(selector: &Selector) -> Option<&str> {
    match selector.requirements.as_slice() {
        [Requirement::In(key, values)] if key == "kubernetes.io/metadata.name" => match values.as_slice() {
            [name] => Some(name),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn peer_text(peer: &Peer) -> String {
    let list = |parts: &[Peer]| parts.iter().map(peer_text).collect::<Vec<_>>().join(" and ");
    match peer {
        Peer::Endpoints(selection) => selection_text(selection),
        Peer::Addresses(set) => format!("addresses {}", short(set)),
        Peer::Nodes(selector) | Peer::Interfaces(selector) if selector.is_everything() => {
            "all nodes".to_owned()
        }
        Peer::Nodes(selector) | Peer::Interfaces(selector) => format!("nodes with {selector}"),
        Peer::Outside => "everything outside of the cluster".to_owned(),
        Peer::Domains(names) => {
            format!("names {}", names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
        Peer::Backends(services) => format!("what stands behind {}", services_text(services)),
        Peer::Authenticated => "whoever proves an identity of the mesh".to_owned(),
        Peer::All(parts) if parts.is_empty() => "everyone".to_owned(),
        Peer::All(parts) => list(parts),
        Peer::Not(part) => format!("not {}", peer_text(part)),
    }
}

fn services_text(services: &Services) -> String {
    let place = services.namespace.as_ref().map_or(String::new(), |name| format!(" in namespace {name}"));
    match &services.chosen {
        ServiceChoice::Named(name) => format!("service {name}{place}"),
        ServiceChoice::Entry(name) => format!("service entry {name}{place}"),
        ServiceChoice::Labelled(selector) => format!("services with {selector}{place}"),
        ServiceChoice::Besides(others) => {
            let others: Vec<String> = others.iter().map(services_text).collect();
            format!("services{place} besides {}", others.join(", "))
        }
    }
}

pub(super) fn peers_text(peers: &Peers) -> String {
    match peers {
        Peers::Everyone => "everyone".to_owned(),
        Peers::Among(peers) if peers.is_empty() => "nobody".to_owned(),
        Peers::Among(peers) => peers.iter().map(peer_text).collect::<Vec<_>>().join(", or "),
    }
}

/// The traffic of a rule, names as they were written.
pub(super) fn rule_traffic_text(rule: &Rule) -> String {
    let fixed = &rule.traffic.fixed;
    let mut parts: Vec<String> = Vec::new();
    if !fixed.is_empty() {
        parts.push(asked_text(fixed));
    }
    parts.extend(rule.traffic.named.iter().map(port_name));
    let but: Vec<String> = rule.traffic.except.iter().map(port_name).collect();
    let tail = if but.is_empty() { String::new() } else { format!(" but {}", but.join(", ")) };
    match parts.is_empty() {
        true => format!("no traffic{tail}"),
        false => format!("{}{tail}", parts.join(", ")),
    }
}

pub(super) fn port_name(name: &crate::graph::PortName) -> String {
    match name {
        crate::graph::PortName::Container(Some(protocol), name) => format!("{protocol} port {name:?}"),
        crate::graph::PortName::Container(None, name) => format!("port {name:?}"),
        crate::graph::PortName::Spoken(speech) => format!("the ports declared as {}", speech.word()),
        crate::graph::PortName::Backend(services) => format!("the ports of {}", services_text(services)),
    }
}

/// Traffic as a question names it: `anything`, or protocols with ports.
pub(super) fn asked_text(traffic: &TrafficSet) -> String {
    match traffic.is_all() {
        true => "anything".to_owned(),
        false => traffic.to_string(),
    }
}

pub(super) fn action_word(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
        Action::Pass => "pass",
    }
}

/// `1 packet`, `3 packets`: a count with the word for one and for more.
pub(super) fn counted(count: u64, words: [&str; 2]) -> String {
    names::counted(usize::try_from(count).unwrap_or(usize::MAX), words)
}

/// `1 flow`, `3 flows`.
pub(super) fn flows(count: usize) -> String {
    counted(count as u64, ["flow", "flows"])
}

/// `1 packet, 56 bytes`.
pub(super) fn packets_and_bytes(packets: u64, bytes: u64) -> String {
    format!("{}, {}", counted(packets, ["packet", "packets"]), counted(bytes, ["byte", "bytes"]))
}

/// The first ranges of a set.
pub(super) fn short(set: &AddressSet) -> String {
    let ranges: Vec<String> = set.ranges().iter().take(4).map(ToString::to_string).collect();
    let more = set.ranges().len().saturating_sub(4);
    let tail = if more > 0 { format!(" and {more} more ranges") } else { String::new() };
    format!("{}{tail}", ranges.join(", "))
}

/// Addresses outside, for people: everything has a word.
pub(super) fn outside_text(set: &AddressSet) -> String {
    match *set == AddressSet::all() {
        true => "everything outside".to_owned(),
        false => format!("ip:{}", short(set)),
    }
}
