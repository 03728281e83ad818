//! What the API server of Calico refuses and its dataplane would understand: policies of
//! `projectcalico.org/v3` that can be in a cluster only by another way.
//!
//! The rules are those of `libcalico-go/lib/validator/v3`; what neither understands is refused where
//! it is read. Objects in their stored form meet no such check.

use super::place::Place;
use super::policies::Placed;
use super::wire::{EntitySpec, HttpSpec, NumberOrName, PathSpec, PolicySpec, RuleSpec};
use crate::model::{AddressRange, Condition, Document, Problem};
use crate::policy::kubernetes::refusal;
use crate::policy::{Direction, Isolation};
use std::collections::BTreeSet;

/// The group whose objects the API server checks.
const CHECKED: &str = "projectcalico.org/v3";
/// Names of protocols (`protocolRegex`).
const PROTOCOLS: &[&str] = &["TCP", "UDP", "ICMP", "ICMPv6", "SCTP", "UDPLite"];

/// What its rules are about then.
pub const REFUSED: &str = "the policy is in the cluster although the API server of Calico refuses it";

/// A reason, and where it stands.
type Refusal<'a> = (Place<'a>, String, &'static str);

/// Why the API server refuses a policy that was read; `None` where it does not.
pub fn refused(document: &Document, spec: &PolicySpec) -> Option<Problem> {
    if document.api_version != CHECKED {
        return None;
    }
    let place = Place::spec(document);
    let lists = [(Direction::Ingress, &spec.ingress), (Direction::Egress, &spec.egress)];
    let of_rules = lists.into_iter().flat_map(|(direction, rules)| {
        let list = place.field(direction.word());
        rules.iter().flatten().enumerate().map(move |(index, rule)| (list.item(index), rule))
    });
    let found =
        types(&place, spec).or_else(|| of_rules.filter_map(|(place, rule)| of_rule(place, rule)).next());
    found.map(|(place, message, hint)| {
        let message = format!("the API server of Calico refuses it: {message}");
        let hint = format!("{hint}; what it denies is not relied on, what it allows is counted in part");
        refusal(place.origin, place.line, message, &hint)
    })
}

/// A policy of which nobody knows whether it is there: it keeps nothing back for certain, and what it
/// lets in may get in.
pub fn doubted(mut placed: Placed, why: &str) -> Placed {
    placed.policy.isolation = Isolation::Leaves;
    for rule in &mut placed.policy.rules {
        let narrowed = rule.narrowed.take().unwrap_or_default();
        rule.narrowed = Some(narrowed.and(Condition::Other(why.to_owned())));
    }
    placed
}

fn types<'a>(place: &Place<'a>, spec: &PolicySpec) -> Option<Refusal<'a>> {
    let types = spec.types.as_deref().unwrap_or_default();
    let distinct: BTreeSet<&String> = types.iter().collect();
    let twice = distinct.len() < types.len();
    twice.then(|| (place.field("types"), "a type stands twice".to_owned(), "write each type once"))
}

fn of_rule<'a>(place: Place<'a>, rule: &RuleSpec) -> Option<Refusal<'a>> {
    let protocols = [("protocol", &rule.protocol), ("notProtocol", &rule.not_protocol)];
    for (field, text) in protocols {
        let Some(NumberOrName(text)) = text else { continue };
        if text.parse::<u8>().is_err() && !PROTOCOLS.contains(&text.as_str()) {
            let hint = "TCP, UDP, ICMP, ICMPv6, SCTP or UDPLite, spelt exactly so, or a number";
            return Some((place.field(field), format!("{field} {text:?} is not known"), hint));
        }
    }
    if rule.icmp.is_some() && !rule.protocol.as_ref().is_some_and(|p| p.0 == "ICMP" || p.0 == "ICMPv6") {
        let hint = "add protocol: ICMP or ICMPv6 to the rule";
        return Some((place.field("icmp"), "icmp stands without protocol ICMP or ICMPv6".to_owned(), hint));
    }
    for (name, version) in [("ICMP", 4), ("ICMPv6", 6)] {
        let asked = protocols.iter().any(|(_, text)| text.as_ref().is_some_and(|text| text.0 == name));
        if asked && rule.ip_version.is_some_and(|own| own != version) {
            let message = format!("{name} is not of ipVersion {}", rule.ip_version.unwrap_or_default());
            return Some((place.field("ipVersion"), message, "write the version that the protocol has"));
        }
    }
    networks(&place, rule).or_else(|| http(&place, rule.http.as_ref()?))
}

/// Networks have a prefix length and no bits behind it, and are of one family in a whole rule.
fn networks<'a>(place: &Place<'a>, rule: &RuleSpec) -> Option<Refusal<'a>> {
    let sides = [("source", &rule.source), ("destination", &rule.destination)];
    let lists = sides.into_iter().filter_map(|(side, entity)| Some((place.field(side), entity.as_ref()?)));
    let lists = lists.flat_map(|(side, entity)| {
        let EntitySpec { nets, not_nets, .. } = entity;
        [("nets", nets), ("notNets", not_nets)].map(|(field, list)| (side.field(field), list))
    });
    let mut families = BTreeSet::from_iter(rule.ip_version.map(|version| version == 4));
    for (list, texts) in lists {
        for (index, text) in texts.iter().flatten().enumerate() {
            let Some(range) = AddressRange::from_cidr(text).filter(|_| text.contains('/')) else {
                let hint = "write a single address as a network too: 10.0.0.1/32 or fd00::1/128";
                return Some((list.item(index), format!("{text:?} has no prefix length"), hint));
            };
            let base = text.split('/').next().and_then(|base| base.parse().ok());
            if base != Some(range.first) {
                let hint = "write the first address of the network";
                return Some((list.item(index), format!("{text:?} has bits behind its prefix"), hint));
            }
            families.insert(range.first.is_ipv4());
            if families.len() > 1 {
                let hint = "write one rule for each address family";
                let message = "the rule is about IPv4 and about IPv6".to_owned();
                return Some((list.item(index), message, hint));
            }
        }
    }
    None
}

fn http<'a>(place: &Place<'a>, http: &HttpSpec) -> Option<Refusal<'a>> {
    let place = place.field("http");
    let methods = http.methods.as_deref().unwrap_or_default();
    if methods.iter().collect::<BTreeSet<_>>().len() < methods.len() {
        return Some((place, "a method stands twice".to_owned(), "write each method once"));
    }
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let wrong = |path: &&PathSpec| match (given(&path.exact), given(&path.prefix)) {
        (Some(text), None) | (None, Some(text)) => !text.starts_with('/') || text.contains(['?', ' ', '#']),
        _ => true,
    };
    let path = http.paths.as_deref().unwrap_or_default().iter().find(wrong);
    path.map(|_| {
        let hint = "a path has exact or prefix, begins with / and holds neither space nor ? or #";
        (place, "a path is written wrongly".to_owned(), hint)
    })
}
