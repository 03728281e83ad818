//! What holds on nodes whatever policies say: failsafe ports of host endpoints.

use super::super::{
    Action, Dataplane, Direction, Isolation, Namespaces, Order, Peer, Peers, Policy, PolicyOrder, Population,
    Rule, Selection, TrafficMatch,
};
use super::place::Place;
use super::policies::Placed;
use super::tiers::Tiers;
use super::traffic::{self, with_ports};
use super::wire::{self, FailsafeSpec, FelixSpec, NumberOrName};
use crate::model::{AddressRange, Document, Origin, Problem, Selector, TrafficSet};

/// The ports that stay open by default, in the notation of `FELIX_FAILSAFEINBOUNDHOSTPORTS`.
const INBOUND: &str = "tcp:22,udp:68,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667";
/// The same for connections from the node.
const OUTBOUND: &str = "udp:53,udp:67,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667";

/// Failsafe ports as policies before all others; none where there are no host endpoints.
///
/// # Errors
/// Ports in FelixConfiguration that cannot be read.
pub fn failsafe(documents: &[&Document], dataplane: &Dataplane) -> Result<Vec<Placed>, Problem> {
    let of_kind = |kind: &str| documents.iter().find(|document| &*document.origin.kind == kind);
    let Some(endpoint) = of_kind("HostEndpoint") else { return Ok(Vec::new()) };
    let felix = documents.iter().find(|document| {
        &*document.origin.kind == "FelixConfiguration" && &*document.origin.name == "default"
    });
    let mut policies = Vec::new();
    for (direction, field, default) in [
        (Direction::Ingress, "failsafeInboundHostPorts", INBOUND),
        (Direction::Egress, "failsafeOutboundHostPorts", OUTBOUND),
    ] {
        let origin = felix.unwrap_or(endpoint).origin.at(field, 0);
        let origin = Origin { line: felix.unwrap_or(endpoint).origin.line, ..origin };
        let configured = felix.map(|document| of_configuration(document, direction, field, &origin));
        // A setting of the dataplane is what the user says, who knows better.
        let rules = match (dataplane.settings.get(field), configured.transpose()?.flatten()) {
            (Some(said), _) => from_text(said, &origin),
            (None, Some(rules)) => rules,
            (None, None) => from_text(default, &origin),
        };
        policies.push(placed(direction, joined(rules), origin));
    }
    Ok(policies)
}

/// The ports that FelixConfiguration lists; `None` where it leaves the default.
fn of_configuration(
    document: &Document,
    direction: Direction,
    field: &str,
    origin: &Origin,
) -> Result<Option<Vec<Rule>>, Problem> {
    let FelixSpec { failsafe_inbound_host_ports, failsafe_outbound_host_ports } = wire::spec(document)?;
    let list = match direction {
        Direction::Ingress => failsafe_inbound_host_ports,
        Direction::Egress => failsafe_outbound_host_ports,
    };
    let Some(list) = list else { return Ok(None) };
    let place = Place::spec(document).field(field);
    let rules = list.iter().enumerate().map(|(index, port)| port_rule(&place.item(index), port, origin));
    rules.collect::<Result<_, _>>().map(Some)
}

fn placed(direction: Direction, rules: Vec<Rule>, origin: Origin) -> Placed {
    let subjects = vec![Selection {
        population: Population::HostEndpoints,
        namespaces: Namespaces::any(),
        endpoints: Selector::everything(),
    }];
    let order = PolicyOrder::new(Order::LAST, "failsafe");
    let policy = Policy { subjects, isolation: Isolation::Leaves, order, rules, origin };
    Placed { rank: Tiers::failsafe(), unmatched: Action::Pass, direction, policy }
}

/// Ports for everybody are one rule.
fn joined(rules: Vec<Rule>) -> Vec<Rule> {
    let mut joined: Vec<Rule> = Vec::new();
    for rule in rules {
        match joined.iter_mut().find(|known| known.peers == rule.peers) {
            Some(known) => known.traffic.fixed = known.traffic.fixed.union(&rule.traffic.fixed),
            None => joined.push(rule),
        }
    }
    joined
}

fn port_rule(place: &Place<'_>, port: &FailsafeSpec, origin: &Origin) -> Result<Rule, Problem> {
    let FailsafeSpec { protocol, port, net } = port;
    let name = NumberOrName(protocol.clone().unwrap_or_else(|| "tcp".to_owned()));
    let protocol = with_ports(traffic::protocol(&place.field("protocol"), &name)?);
    let number = port.and_then(|port| u16::try_from(port).ok());
    let (Some(protocol), Some(number)) = (protocol, number) else {
        let hint = "a failsafe port has a protocol with ports and a number";
        return Err(place.refuse("this is no failsafe port", hint));
    };
    let peers = match net {
        None => Peers::Everyone,
        Some(net) => {
            let networks = place.field("net").networks(std::slice::from_ref(net))?;
            Peers::Among(vec![Peer::Addresses(networks)])
        }
    };
    let traffic = TrafficMatch::fixed(TrafficSet::port(protocol, number));
    Ok(Rule::new(Action::Allow, peers, traffic, Origin { line: place.line, ..origin.clone() }))
}

/// The notation of environment variables: `tcp:22`, `udp:10.0.0.0/8:53`, `80`, joined by commas; or `none`.
fn from_text(text: &str, origin: &Origin) -> Vec<Rule> {
    let one = |item: &str| {
        let item = item.trim();
        let (protocol, rest) = item.split_once(':').unwrap_or(("tcp", item));
        let (net, port) = match rest.rsplit_once(':') {
            Some((net, port)) => (Some(AddressRange::from_cidr(net.trim_matches(['[', ']']))?), port),
            None => (None, rest),
        };
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "tcp" => crate::model::Protocol::Tcp,
            "udp" => crate::model::Protocol::Udp,
            "sctp" => crate::model::Protocol::Sctp,
            _ => return None,
        };
        let traffic = TrafficMatch::fixed(TrafficSet::port(protocol, port.parse().ok()?));
        let peers = net
            .map_or(Peers::Everyone, |net| Peers::Among(vec![Peer::Addresses([net].into_iter().collect())]));
        Some(Rule::new(Action::Allow, peers, traffic, origin.clone()))
    };
    text.split(',').filter_map(one).collect()
}
