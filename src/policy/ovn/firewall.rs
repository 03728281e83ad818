//! EgressFirewall as users write it, with the checks that the API server makes.

use super::super::kubernetes::{label_selector, refusal};
use super::super::{Action, Peer, Selection};
use super::{FIREWALL, OLD_FIREWALL};
use crate::model::TrafficSet;
use crate::model::{AddressRange, Document, DomainPattern, Node, Origin, PortSet, Problem, Protocol};

/// One rule, in the order of the object.
#[derive(Debug)]
pub struct FirewallRule {
    /// Line on which it begins.
    pub line: u32,
    /// `type`.
    pub action: Action,
    /// `to`.
    pub peer: Peer,
    /// `ports`.
    pub traffic: TrafficSet,
    /// Why it is not known to match.
    pub doubt: Option<&'static str>,
}

/// OVN takes no such network (`lex_parse_mask` in `lib/lex.c`), and leaves the rule out.
pub const BITS_BEHIND_PREFIX: &str = "OVN takes a network with bits behind its prefix";
/// A name with a star is an error where names are not resolved by the DNS of the cluster, and with an
/// error in a rule no rule of the object is applied (`ValidateAndGetEgressFirewallDNSDestination`,
/// `buildEgressFirewallConstruct`).
pub const STARS_RESOLVED: &str = "names with a star are resolved (enable-dns-name-resolver), without which \
                                  the firewall is not applied";
/// Rules that have a priority of their own (`EgressFirewallStartPriority`).
const MOST_RULES: usize = 8001;

/// Reads the rules of an object; `stars_resolved` says whether names with a star are known to count.
///
/// # Errors
/// What the API server would refuse, with its line.
pub fn read(document: &Document, stars_resolved: bool) -> Result<Vec<FirewallRule>, Problem> {
    let origin = &document.origin;
    if &*origin.kind == FIREWALL && &*origin.name != "default" {
        let place = document.body.path(&["metadata", "name"]).unwrap_or(&document.body);
        let message = format!("an EgressFirewall must be named default, not {:?}", origin.name);
        return Err(refusal(origin, place.line, message, "a namespace has one such object: name it default"));
    }
    let Some(rules) = document.body.path(&["spec", "egress"]) else {
        let hint = "list the rules under spec.egress";
        return Err(refusal(origin, document.body.line, "spec.egress is missing", hint));
    };
    if let Some(one_too_many) = rules.items().get(MOST_RULES) {
        let message = format!("there are more than {MOST_RULES} rules, so that none of them is applied");
        return Err(refusal(origin, one_too_many.line, message, "put networks together"));
    }
    let mut rules =
        rules.items().iter().map(|node| rule(origin, node)).collect::<Result<Vec<FirewallRule>, _>>()?;
    let has_star =
        |rule: &FirewallRule| matches!(&rule.peer, Peer::Domains(names) if names.iter().any(is_pattern));
    if !stars_resolved && &*origin.kind == FIREWALL && rules.iter().any(has_star) {
        rules.iter_mut().for_each(|rule| rule.doubt = Some(STARS_RESOLVED));
    }
    Ok(rules)
}

fn is_pattern(name: &DomainPattern) -> bool {
    !matches!(name, DomainPattern::Exact(_))
}

fn rule(origin: &Origin, node: &Node) -> Result<FirewallRule, Problem> {
    let action = match node.text_of("type") {
        Some("Allow") => Action::Allow,
        Some("Deny") => Action::Deny,
        other => {
            let message = format!("type {:?} is not known", other.unwrap_or_default());
            return Err(refusal(origin, node.line, message, "write Allow or Deny"));
        }
    };
    let Some(to) = node.get("to").filter(|to| !to.is_null()) else {
        return Err(refusal(
            origin,
            node.line,
            "to is missing",
            "write to: {cidrSelector: 0.0.0.0/0} for all",
        ));
    };
    let (peer, traffic) = (peer(origin, to, action)?, traffic(origin, node)?);
    let doubt = to.text_of("cidrSelector").filter(|text| has_bits_behind(text)).map(|_| BITS_BEHIND_PREFIX);
    Ok(FirewallRule { line: node.line, action, peer, traffic, doubt })
}

fn peer(origin: &Origin, to: &Node, action: Action) -> Result<Peer, Problem> {
    let mut known = vec!["cidrSelector", "dnsName", "nodeSelector"];
    known.retain(|field| &*origin.kind != OLD_FIREWALL || *field != "nodeSelector");
    let given = known.iter().filter_map(|field| Some((*field, to.get(field).filter(|n| !n.is_null())?)));
    let given: Vec<(&str, &Node)> = given.collect();
    let [(field, value)] = given.as_slice() else {
        let message = format!("exactly one of {} is needed here", known.join(", "));
        return Err(refusal(origin, to.line, message, "write each destination as a rule of its own"));
    };
    let text = value.text().unwrap_or_default();
    match *field {
        "cidrSelector" => match AddressRange::from_cidr(text) {
            Some(range) => Ok(leaving(Peer::Addresses([range].into_iter().collect()))),
            None => {
                let hint = "write an address and a prefix length: 10.0.0.0/8";
                Err(refusal(origin, value.line, format!("{text:?} is not a CIDR"), hint))
            }
        },
        "dnsName" if text.is_empty() => {
            Err(refusal(origin, value.line, "dnsName is empty", "write a name, or *.name"))
        }
        // The star of `*.example.com` stands for one label (DNSNameResolver, `spec.name`).
        "dnsName" if text.starts_with("*.") => Ok(Peer::Domains(vec![DomainPattern::within_labels(text)])),
        "dnsName" => Ok(Peer::Domains(vec![DomainPattern::exact(text)])),
        _ => {
            let hint = "a selector has matchLabels and matchExpressions";
            let selector =
                value.read().map_err(|misfit| refusal(origin, misfit.line, misfit.message, hint))?;
            let selector = label_selector(origin, selector, value.line)?;
            // What is denied is denied for addresses of interfaces alone (`GetNodeHostAddrs`).
            Ok(if action == Action::Deny { Peer::Interfaces(selector) } else { Peer::Nodes(selector) })
        }
    }
}

fn has_bits_behind(network: &str) -> bool {
    let written = network.split('/').next().and_then(|base| base.trim().parse().ok());
    AddressRange::from_cidr(network).is_some_and(|range| written != Some(range.first))
}

/// The firewall looks at what leaves the network of the pods: pods are never matched by their addresses.
fn leaving(addresses: Peer) -> Peer {
    Peer::All(vec![addresses, Peer::Not(Box::new(Peer::Endpoints(Selection::all_pods())))])
}

fn traffic(origin: &Origin, rule: &Node) -> Result<TrafficSet, Problem> {
    let items = rule.items_of("ports");
    if items.is_empty() {
        return Ok(TrafficSet::all());
    }
    let one = |item: &Node| {
        let protocol = item.text_of("protocol").and_then(Protocol::from_name);
        let port = item.get("port").and_then(Node::int).and_then(|n| u16::try_from(n).ok());
        match (protocol, port.filter(|port| *port > 0)) {
            (Some(protocol), Some(port)) => Ok(TrafficSet::of(protocol, PortSet::range(port, port))),
            (None, _) => Err(refusal(origin, item.line, "a port has no known protocol", "TCP, UDP or SCTP")),
            (_, None) => Err(refusal(origin, item.line, "a port has no number", "ports run from 1 to 65535")),
        }
    };
    items.iter().map(one).try_fold(TrafficSet::none(), |all, ports| Ok(all.union(&ports?)))
}
