//! Potential peers: whom rules name that does not exist today, and what policies allow to them.
//!
//! Only what is certain counts: a rule allows a potential peer where its selector holds for every
//! pod that the peer may turn out to be, and a policy governs it where it selects all of those.
//! What may deny some of them denies nothing here, so more is shown rather than less.

use super::build::AllowedGraph;
use super::classes::{ClassId, NamedPort};
use super::rows::Rows;
use crate::inventory::Inventory;
use crate::model::{AddressSet, Requirement, Selector, TrafficSet};
use crate::policy::{Decision, Direction, Namespaces, Peer, Peers, Population, PortName, Selection, decide};
use std::collections::{BTreeMap, BTreeSet};

/// Somebody whom rules name and who does not exist.
#[derive(Clone, Debug)]
pub struct Potential {
    /// What the rules ask of it.
    pub selection: Selection,
    /// Numbers of the rules that name it.
    pub named_by: Vec<u32>,
    /// What it could reach, and be reached by.
    pub links: Vec<Link>,
}

/// A connection with a potential peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Seen from the class that exists: ingress where the potential peer opens the connection.
    pub direction: Direction,
    /// The class at the other end.
    pub class: ClassId,
    /// What may travel.
    pub traffic: TrafficSet,
    /// Ports that the potential peer would have to name, in addition.
    pub named: Vec<PortName>,
    /// Numbers of the rules that allow it.
    pub because: Vec<u32>,
}

/// All potential peers, in the order of their selections.
pub fn potentials(graph: &AllowedGraph, inventory: &Inventory) -> Vec<Potential> {
    let mut named: BTreeMap<Selection, Vec<u32>> = BTreeMap::new();
    for (number, info) in (0..).zip(&graph.rules) {
        for peer in info.rule.peers.named() {
            for selection in positive(peer) {
                let real = !graph.selected(selection).is_empty();
                if !real && selection.population == Population::Pods && can_exist(&selection.endpoints) {
                    named.entry(selection.clone()).or_default().push(number);
                }
            }
        }
    }
    let question = |(selection, mut named_by): (Selection, Vec<u32>)| {
        named_by.dedup();
        let links = links(graph, inventory, &selection, &named_by);
        Potential { selection, named_by, links }
    };
    named.into_iter().map(question).collect()
}

/// The selections of a peer that are not turned round.
fn positive(peer: &Peer) -> Vec<&Selection> {
    match peer {
        Peer::Endpoints(selection) => vec![selection],
        Peer::All(parts) => parts.iter().flat_map(positive).collect(),
        _ => Vec::new(),
    }
}

/// No pod fits a list of choices that is empty.
fn can_exist(selector: &Selector) -> bool {
    !selector.requirements.iter().any(|r| matches!(r, Requirement::AnyOf(choices) if choices.is_empty()))
}

fn links(graph: &AllowedGraph, inventory: &Inventory, who: &Selection, named_by: &[u32]) -> Vec<Link> {
    let subjects = named_by.iter().flat_map(|rule| {
        let policy = &graph.policies[graph.rules[*rule as usize].policy as usize];
        policy.selected.iter().map(|class| (policy.direction, *class))
    });
    let subjects: BTreeSet<(Direction, ClassId)> = subjects.collect();
    let side = Side { graph, inventory, who };
    subjects.into_iter().filter_map(|(direction, class)| side.link(direction, class)).collect()
}

struct Side<'a> {
    graph: &'a AllowedGraph,
    inventory: &'a Inventory,
    who: &'a Selection,
}

impl Side<'_> {
    fn link(&self, direction: Direction, class: ClassId) -> Option<Link> {
        let graph = self.graph;
        let rows = Rows::of(graph);
        let policies = &graph.row(class, direction).policies;
        let names = |rule: &u32| {
            rows.is_about(*rule, class) && self.is_named(&graph.rules[*rule as usize].rule.peers)
        };
        let rules: Vec<u32> = rows.rules_of(policies).filter(names).collect();
        // Whose ports count is the target, and nobody knows those of a potential one.
        let ports = self.ports(direction == Direction::Ingress, class);
        let own = self.decide(policies, &rules, ports);
        let other = self.potential_side(direction, class);
        let traffic = own.allowed.intersection(&other.allowed);
        let by_name = |rule: &&u32| !graph.rules[**rule as usize].rule.traffic.named.is_empty();
        let mut named: Vec<PortName> = match direction {
            Direction::Ingress => Vec::new(),
            Direction::Egress => {
                let rules = rules.iter().filter(by_name);
                rules.flat_map(|rule| graph.rules[*rule as usize].rule.traffic.named.clone()).collect()
            }
        };
        named.sort();
        named.dedup();
        let mut because = own.because;
        because.extend(rules.iter().filter(by_name).filter(|_| !named.is_empty()));
        because.extend(other.because);
        because.sort_unstable();
        because.dedup();
        let something = !traffic.is_empty() || !named.is_empty();
        something.then_some(Link { direction, class, traffic, named, because })
    }

    /// What the policies say that select the potential peer whatever it turns out to be.
    fn potential_side(&self, direction: Direction, class: ClassId) -> Decision {
        let graph = self.graph;
        let here = match direction {
            Direction::Ingress => Direction::Egress,
            Direction::Egress => Direction::Ingress,
        };
        let selects = |number: &u32| {
            let policy = &graph.policies[*number as usize];
            let certain = |subject: &Selection| self.holds(subject) == Certainty::Yes;
            policy.direction == here && policy.subjects.iter().any(certain)
        };
        let policies: Vec<u32> = (0..graph.policies.len() as u32).filter(selects).collect();
        let rows = Rows::of(graph);
        let names = |rule: &u32| {
            let info = &graph.rules[*rule as usize];
            let about = info.rule.own == Peers::Everyone;
            about && info.matches.as_ref().is_none_or(|peers| peers.binary_search(&class).is_ok())
        };
        let rules: Vec<u32> = rows.rules_of(&policies).filter(names).collect();
        self.decide(&policies, &rules, self.ports(here == Direction::Egress, class))
    }

    /// The ports of the class, where it is the target.
    fn ports(&self, is_target: bool, class: ClassId) -> &[NamedPort] {
        if is_target { self.graph.ports_of(class) } else { &[] }
    }

    fn decide(&self, policies: &[u32], rules: &[u32], ports: &[NamedPort]) -> Decision {
        let rows = Rows::of(self.graph);
        rows.decide_layers(&rows.tiers_of(policies), rules, ports, &mut |_, steps| decide(steps))
    }

    fn is_named(&self, peers: &Peers) -> bool {
        match peers {
            Peers::Everyone => true,
            Peers::Among(peers) => peers.iter().any(|peer| self.fits(peer) == Certainty::Yes),
        }
    }

    /// Whether a peer of a rule stands for whatever the potential peer may turn out to be.
    fn fits(&self, peer: &Peer) -> Certainty {
        let families = AddressSet::all();
        match peer {
            Peer::Endpoints(selection) => self.holds(selection),
            Peer::Addresses(_) if !self.graph.dataplane.ipblock_matches_pods => Certainty::No,
            Peer::Addresses(set) if *set == families => Certainty::Yes,
            Peer::Addresses(_) | Peer::Backends(_) | Peer::Authenticated => Certainty::Maybe,
            Peer::Nodes(_) | Peer::Interfaces(_) | Peer::Outside | Peer::Domains(_) => Certainty::No,
            Peer::All(parts) => parts.iter().map(|part| self.fits(part)).fold(Certainty::Yes, Certainty::and),
            Peer::Not(part) => self.fits(part).not(),
        }
    }

    /// Whether a selection holds for every pod that the potential peer may be.
    fn holds(&self, selection: &Selection) -> Certainty {
        if selection.population != self.who.population {
            return Certainty::No;
        }
        let namespaces = match (&self.who.namespaces, &selection.namespaces) {
            (Namespaces::Named(a), Namespaces::Named(b)) => Certainty::from(a == b),
            (Namespaces::Named(name), Namespaces::Matching(selector)) => {
                match self.inventory.namespaces.get(name) {
                    _ if selector.is_everything() => Certainty::Yes,
                    Some(known) if known.origin.is_some() => Certainty::from(selector.matches(&known.labels)),
                    _ => Certainty::Maybe,
                }
            }
            (Namespaces::Matching(ours), Namespaces::Matching(theirs)) => implied(ours, theirs),
            (Namespaces::Matching(ours), Namespaces::Named(name)) => {
                let by_name = Requirement::In(crate::inventory::NAME_LABEL.to_owned(), vec![name.clone()]);
                implied(ours, &Selector { requirements: vec![by_name] })
            }
        };
        namespaces.and(implied(&self.who.endpoints, &selection.endpoints))
    }
}

/// What can be said of everybody that a selector may select.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    Yes,
    No,
    Maybe,
}

impl Certainty {
    fn from(truth: bool) -> Certainty {
        if truth { Certainty::Yes } else { Certainty::No }
    }

    fn and(self, other: Certainty) -> Certainty {
        match (self, other) {
            (Certainty::No, _) | (_, Certainty::No) => Certainty::No,
            (Certainty::Yes, Certainty::Yes) => Certainty::Yes,
            _ => Certainty::Maybe,
        }
    }

    fn not(self) -> Certainty {
        match self {
            Certainty::Yes => Certainty::No,
            Certainty::No => Certainty::Yes,
            Certainty::Maybe => Certainty::Maybe,
        }
    }
}

/// Whether labels that satisfy `known` satisfy `asked` too.
fn implied(known: &Selector, asked: &Selector) -> Certainty {
    let one = |wanted: &Requirement| {
        let each = known.requirements.iter().map(|own| follows(own, wanted));
        each.fold(Certainty::Maybe, |so_far, next| if so_far == Certainty::Maybe { next } else { so_far })
    };
    asked.requirements.iter().map(one).fold(Certainty::Yes, Certainty::and)
}

/// What one requirement says of another.
fn follows(own: &Requirement, wanted: &Requirement) -> Certainty {
    use Requirement::{DoesNotExist, Exists, In, NotIn};
    if own == wanted {
        return Certainty::Yes;
    }
    if own.key().is_none() || own.key() != wanted.key() {
        return Certainty::Maybe;
    }
    let within = |a: &[String], b: &[String]| a.iter().all(|value| b.contains(value));
    let apart = |a: &[String], b: &[String]| !a.iter().any(|value| b.contains(value));
    match (own, wanted) {
        (In(_, a), In(_, b)) if within(a, b) => Certainty::Yes,
        (In(_, a), In(_, b)) if apart(a, b) => Certainty::No,
        (In(_, a), NotIn(_, b)) if apart(a, b) => Certainty::Yes,
        (In(_, a), NotIn(_, b)) if within(a, b) => Certainty::No,
        (In(..), Exists(_)) | (DoesNotExist(_), NotIn(..)) => Certainty::Yes,
        (NotIn(_, a), NotIn(_, b)) if within(b, a) => Certainty::Yes,
        (NotIn(_, a), In(_, b)) if within(b, a) => Certainty::No,
        (In(..) | Exists(_), DoesNotExist(_)) | (DoesNotExist(_), In(..) | Exists(_)) => Certainty::No,
        _ => Certainty::Maybe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(requirements: Vec<Requirement>) -> Selector {
        Selector { requirements }
    }

    #[test]
    fn a_requirement_follows_only_where_it_must_hold() {
        let web = selector(vec![Requirement::In("app".into(), vec!["web".into()])]);
        let any_app = selector(vec![Requirement::Exists("app".into())]);
        let not_web = selector(vec![Requirement::NotIn("app".into(), vec!["web".into()])]);
        let tier = selector(vec![Requirement::Exists("tier".into())]);
        assert_eq!(implied(&web, &any_app), Certainty::Yes);
        assert_eq!(implied(&any_app, &web), Certainty::Maybe);
        assert_eq!(implied(&web, &not_web), Certainty::No);
        assert_eq!(implied(&web, &tier), Certainty::Maybe);
        assert_eq!(implied(&web, &Selector::everything()), Certainty::Yes);
    }
}
