//! Networks apart that use the same addresses: in VLANs, VXLANs, MPLS and the like that differ in their
//! number.
//!
//! At a time and with the same ports, what several connections said is one flow. Nobody tells then who
//! said what, and the end of one may hide what the other says in the clear, so that such a flow is never
//! called encrypted. With other ports they are flows of their own, and of one of the networks at most it
//! is right whose addresses they are taken for.

use super::{Flows, Observed, Place, Stored};
use crate::capture::{FlowEnd, telling_networks};
use crate::model::{Bend, Gap, Origin, Protection, WhyUnknown};
use crate::protocol::Detection;
use hashbrown::HashMap;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The fact of flows that several connections are in.
const FACT: (&str, &str) = ("connections", "several");

/// Notes in a verdict that it is about several connections.
pub(super) fn say(detection: &mut Detection) {
    detection.facts.push((FACT.0, FACT.1.into()));
    if matches!(detection.protection, Protection::Encrypted(_)) {
        detection.protection = Protection::Unknown(WhyUnknown::Contradicted);
        detection.why =
            format!("{}; packets of another connection between the same ends are among them", detection.why)
                .into();
    }
}

/// What is not known because networks apart use the same addresses.
pub fn networks_apart(observed: &Observed) -> Vec<Gap> {
    let mingled = Some(count(observed)).filter(|count| *count > 0).map(|count| {
        format!(
            "{count} x flows that came by several ways, with other packets by each: networks apart (VLANs, \
             VXLANs, MPLS) that use the same addresses are told as one"
        )
    });
    let (pairs, example) = pairs_apart(&observed.flows);
    let apart = example.map(|(one, other)| {
        format!(
            "{pairs} x pairs of addresses that talk in networks apart (VLANs, VXLANs, MPLS) at the same time, as \
             {one} and {other}: who they are is right in one of them at most"
        )
    });
    let files = super::losses::files(observed);
    let gap = |what| Gap { what, origin: Origin::of_file(&files), bends: Bend::MayMissTraffic };
    mingled.into_iter().chain(apart).map(gap).collect()
}

/// How many flows several connections are in.
fn count(observed: &Observed) -> usize {
    let is_fact = |(name, value): &(&'static str, _)| *name == FACT.0 && *value == FACT.1;
    observed.flows.numbers_with(|verdict| verdict.facts.iter().any(is_fact)).len()
}

/// The networks of a flow, by their names and numbers.
type Networks = BTreeSet<String>;

/// When a pair of addresses was in some networks: their number in a list, and from when to when.
type Times = Vec<(usize, u64, u64)>;

/// Pairs of addresses that talked to each other in networks apart at the same time, and one of them.
///
/// Both directions of a conversation count together, for they may have a number each.
fn pairs_apart(flows: &Flows) -> (usize, Option<(IpAddr, IpAddr)>) {
    let known: BTreeSet<Networks> = flows.arounds().map(|(via, places)| networks(via, places)).collect();
    let known: Vec<Networks> = known.into_iter().filter(|networks| !networks.is_empty()).collect();
    let are_apart = |one: &Networks, other: &Networks| one.is_disjoint(other) && kinds(one) == kinds(other);
    let some = &known[..known.len().min(FEW)];
    let may_be =
        some.iter().enumerate().any(|(at, one)| some[at + 1..].iter().any(|other| are_apart(one, other)));
    if !may_be && known.len() <= FEW {
        return (0, None);
    }
    let mut numbers = HashMap::new();
    let mut pairs: HashMap<(IpAddr, IpAddr), Times> = HashMap::new();
    for stored in flows.stored_among(0..flows.len()) {
        let number = |of: Networks| known.binary_search(&of).ok();
        let (flow, number) = match &stored {
            Stored::Shared(kept) => {
                let Some(around) = kept.around else { continue };
                let of = || number(networks(&around.via, &around.places));
                (kept.flow, *numbers.entry(kept.surroundings).or_insert_with(of))
            }
            Stored::Whole(seen) => {
                (super::Brief::of(&seen.flow), number(networks(&seen.flow.via, seen.flow.seen.places())))
            }
        };
        let Some(number) = number.filter(|_| flow.forward.packets > 0 && flow.backward.packets > 0) else {
            continue;
        };
        let (FlowEnd { ip: one, .. }, FlowEnd { ip: other, .. }) = (flow.initiator, flow.responder);
        let times = pairs.entry((one.min(other), one.max(other))).or_default();
        match times.iter().position(|(known, ..)| *known == number) {
            Some(at) => {
                let (_, first, last) = &mut times[at];
                (*first, *last) = ((*first).min(flow.first), (*last).max(flow.last));
            }
            None if times.len() < MOST => times.push((number, flow.first, flow.last)),
            None => {}
        }
    }
    let at_once = |(a, from, to): &(usize, u64, u64), (b, since, until): &(usize, u64, u64)| {
        from <= until && since <= to && are_apart(&known[*a], &known[*b])
    };
    let apart = pairs.iter().filter(|(_, times)| {
        times.iter().enumerate().any(|(at, one)| times[at + 1..].iter().any(|other| at_once(one, other)))
    });
    let apart: Vec<(IpAddr, IpAddr)> = apart.map(|(pair, _)| *pair).collect();
    (apart.len(), apart.into_iter().min())
}

/// Networks that are remembered of a pair.
const MOST: usize = 8;
/// So many are held against each other before anybody looks at flows.
const FEW: usize = 256;

/// The numbered networks that a flow was met in.
fn networks(via: &[String], places: &[Place]) -> Networks {
    places.iter().map(|place| place.via.as_slice()).chain([via]).flat_map(of_place).collect()
}

fn of_place(via: &[String]) -> impl Iterator<Item = String> {
    let chain =
        via.iter().map(|one| one.split_once(':').map_or((one.as_str(), false), |(name, _)| (name, true)));
    let telling = telling_networks(chain).into_iter().map(|place| &via[place]);
    telling.filter(|network| network.contains(':')).cloned()
}

/// What kinds of networks some are.
fn kinds(networks: &Networks) -> BTreeSet<&str> {
    networks.iter().filter_map(|network| network.split(':').next()).collect()
}
