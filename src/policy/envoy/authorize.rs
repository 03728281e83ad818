//! The filters of chains → tiers of mesh authorization.
//!
//! Connections that prove who calls and those that do not may meet different chains; for each of the
//! two, and for each place that they come from, the filters of the chain are asked in turn. Denying
//! filters come first, then one tier for each allowing filter: what it lets through passes on to the
//! next, the last one decides. Where connections that nobody here can tell apart may meet several
//! chains, what one of them lets through is let through, and what not all deny is denied in part.

use super::super::{
    Action, Direction, Isolation, Layer, Peer, Peers, Policy, PolicyOrder, Rule, Tier, TierRank, TrafficMatch,
};
use super::carriage::Served;
use super::filters::Stack;
use super::listener::Listener;
use super::rbac::{self, Filter};
use super::view::View;
use super::who::{self, Known, Who};
use crate::model::{AddressSet, Condition, Narrowing, Origin, PortSet, Protocol, TrafficSet};

/// Tiers of proxies come before those of meshes: what a proxy was told counts.
const FIRST: f64 = -1_000.0;
/// More allowing filters behind each other than this are read as these.
const MOST_FILTERS: usize = 8;

/// The policies of all proxies, sorted by the tier that they belong to.
#[derive(Debug, Default)]
pub struct Authorization {
    deny: Vec<Policy>,
    allow: Vec<Vec<Policy>>,
}

/// What is asked on one port of one listener.
pub struct Ground<'g, 'a> {
    /// The proxy.
    pub view: &'g View<'a>,
    /// The listener.
    pub listener: &'g Listener<'a>,
    /// What its chains do, in their order.
    pub stacks: &'g [Stack<'a>],
    /// The ports, and who meets which chain there.
    pub served: &'g Served,
    /// Proxies whose certificates may be asked for.
    pub known: &'g [Known],
}

/// Connections that the chains tell apart no further.
struct Part {
    chains: Vec<usize>,
    who: Peer,
}

impl Authorization {
    /// Adds what is asked on one port.
    pub fn add(&mut self, ground: &Ground<'_, '_>) {
        for part in parts(ground) {
            self.add_part(ground, &part);
        }
        self.add_sources(ground);
    }

    /// Where chains name the sources that they are for, connections from elsewhere are closed.
    fn add_sources(&mut self, ground: &Ground<'_, '_>) {
        let all = ground.served.plain.iter().chain(&ground.served.tls);
        let taken = all.fold(AddressSet::none(), |taken, (_, from)| taken.union(from));
        let rest = AddressSet::all().difference(&taken);
        if taken.is_empty() || rest.is_empty() {
            return;
        }
        let origin = ground.view.at(&ground.listener.path, ground.listener.node);
        let who = Peers::Among(vec![Peer::Addresses(rest)]);
        let closed = Rule::new(Action::Deny, who, traffic(&ground.served.ports), origin.clone());
        self.deny.push(policy(ground, vec![closed], origin));
    }

    fn add_part(&mut self, ground: &Ground<'_, '_>, part: &Part) {
        let stacks: Vec<&Stack<'_>> = part.chains.iter().map(|index| &ground.stacks[*index]).collect();
        let allows = |stack: &Stack<'_>| -> Vec<Vec<rbac::Policy>> {
            let all = stack.filters.iter().filter(|filter| filter.action == rbac::Action::Allow);
            all.map(|filter| filter.policies.clone()).take(MOST_FILTERS).collect()
        };
        let origin_of = |stack: &Stack<'_>| stack.filters.first().map(|filter| at(ground.view, filter));
        let Some(origin) = stacks.iter().find_map(|stack| origin_of(stack)) else {
            return self.add_names(ground, part);
        };
        for (index, stack) in part.chains.iter().zip(&stacks) {
            let shared = |filter: &Filter<'_>| {
                stacks.iter().all(|other| other.filters.iter().any(|one| same(one, filter)))
            };
            for filter in stack.filters.iter().filter(|filter| filter.action == rbac::Action::Deny) {
                let only = (!shared(filter)).then(|| {
                    Condition::Other(format!("on filter chain {}", ground.listener.chains[*index].name()))
                });
                let rules = filter.policies.iter().flat_map(|policy| {
                    rules(ground, part, policy, Action::Deny, only.clone(), &at(ground.view, filter))
                });
                let rules: Vec<Rule> = rules.collect();
                if !rules.is_empty() {
                    self.deny.push(policy(ground, rules, at(ground.view, filter)));
                }
            }
        }
        // One chain: all of its filters, each a step. Several: what the first filter of one lets through.
        let each: Vec<Vec<Vec<rbac::Policy>>> = stacks.iter().map(|stack| allows(stack)).collect();
        let steps: Vec<Vec<rbac::Policy>> = match each.as_slice() {
            [only] => only.clone(),
            several if several.iter().any(Vec::is_empty) => Vec::new(),
            several if several.windows(2).all(|pair| pair[0] == pair[1]) => several[0].clone(),
            several => vec![several.iter().filter_map(|steps| steps.first()).flatten().cloned().collect()],
        };
        let count = steps.len();
        for (step, policies) in steps.into_iter().enumerate() {
            let action = if step + 1 == count { Action::Allow } else { Action::Pass };
            let mut own: Vec<Rule> =
                policies.iter().flat_map(|one| rules(ground, part, one, action, None, &origin)).collect();
            own.push(keep_out(ground, part, &origin));
            self.step(step).push(policy(ground, own, origin.clone()));
        }
        self.add_names(ground, part);
    }

    /// A validation context may ask for more than the authority: for one of these names.
    fn add_names(&mut self, ground: &Ground<'_, '_>, part: &Part) {
        let names: Option<Vec<&Vec<_>>> =
            part.chains.iter().map(|index| ground.listener.chains[*index].server.names.as_ref()).collect();
        let proves = part.chains.iter().any(|index| ground.listener.chains[*index].server.asks.takes_proof());
        let Some(names) = names.filter(|names| !names.is_empty() && proves) else { return };
        let asked = names.into_iter().flatten().map(|text| who::named(text, ground.known));
        let shown = asked.fold(Who::nobody(), Who::or);
        // Who shows no certificate is not asked for its name.
        let without = Who::exactly(vec![Peer::Not(Box::new(Peer::Authenticated))]);
        let chain = &ground.listener.chains[part.chains[0]];
        let origin = ground.view.at(&format!("{}.transport_socket", chain.path), chain.node);
        let other = rbac::Policy {
            name: "names of the validation context".to_owned(),
            ports: PortSet::all(),
            possible_ports: PortSet::all(),
            conditions: Vec::new(),
            who: shown.or(without).negated(),
            line: origin.line,
        };
        let rules = rules(ground, part, &other, Action::Deny, None, &origin);
        if !rules.is_empty() {
            self.deny.push(policy(ground, rules, origin));
        }
    }

    fn step(&mut self, step: usize) -> &mut Vec<Policy> {
        while self.allow.len() <= step {
            self.allow.push(Vec::new());
        }
        &mut self.allow[step]
    }

    /// The tiers, in their order.
    pub fn tiers(self) -> Vec<Tier> {
        let tier = |place: f64, name: &str, policies: Vec<Policy>| Tier {
            layer: Layer::Mesh,
            direction: Direction::Ingress,
            rank: TierRank::declared(FIRST + place, name),
            unmatched: Action::Pass,
            policies: Policy::shared(policies),
        };
        let deny = tier(0.0, "envoy deny", self.deny);
        let allow =
            self.allow.into_iter().enumerate().map(|(step, policies)| {
                tier(1.0 + step as f64, &format!("envoy allow {}", step + 1), policies)
            });
        [deny].into_iter().chain(allow).collect()
    }
}

fn at(view: &View<'_>, filter: &Filter<'_>) -> Origin {
    view.at(&filter.path, filter.node)
}

/// Filters of the same content, wherever they stand.
fn same(one: &Filter<'_>, other: &Filter<'_>) -> bool {
    let plain = |filter: &Filter<'_>| -> Vec<rbac::Policy> {
        filter.policies.iter().map(|policy| rbac::Policy { line: 0, ..policy.clone() }).collect()
    };
    one.action == other.action && plain(one) == plain(other)
}

/// Who can be told apart: by proof, and by where they come from.
fn parts(ground: &Ground<'_, '_>) -> Vec<Part> {
    let chain = |index: usize| &ground.listener.chains[index].server.asks;
    let served = ground.served;
    let clear = served.plain.iter().filter(|(index, _)| !is_tls(chain(*index)));
    let strangers = served.tls.iter().filter(|(index, _)| chain(*index).takes_strangers());
    let unproven: Vec<(usize, AddressSet)> = clear.chain(strangers).cloned().collect();
    let proven = served.tls.iter().filter(|(index, _)| chain(*index).takes_proof()).cloned().collect();
    let proof = Peer::Authenticated;
    let mut all = split(unproven, Peer::Not(Box::new(proof.clone())));
    all.extend(split(proven, proof));
    all
}

fn is_tls(asks: &super::tls::Downstream) -> bool {
    use super::tls::Downstream::{OneWay, Optional, Plain, Quic, Required, Unknown};
    match asks {
        Plain | Unknown(_) => false,
        OneWay | Optional | Required | Quic => true,
    }
}

/// Cuts the address space so that each part meets the same chains.
fn split(met: Vec<(usize, AddressSet)>, who: Peer) -> Vec<Part> {
    let mut cut: Vec<(AddressSet, Vec<usize>)> = vec![(AddressSet::all(), Vec::new())];
    for (index, from) in met {
        let halves = cut.into_iter().flat_map(|(set, chains)| {
            let with = chains.iter().copied().filter(|known| *known != index).chain([index]).collect();
            [(set.intersection(&from), with), (set.difference(&from), chains)]
        });
        cut = halves.filter(|(set, _)| !set.is_empty()).collect();
    }
    let part = |(set, mut chains): (AddressSet, Vec<usize>)| {
        chains.sort_unstable();
        let who = match set == AddressSet::all() {
            true => who.clone(),
            false => Peer::All(vec![who.clone(), Peer::Addresses(set)]),
        };
        (!chains.is_empty()).then_some(Part { chains, who })
    };
    cut.into_iter().filter_map(part).collect()
}

fn policy(ground: &Ground<'_, '_>, rules: Vec<Rule>, origin: Origin) -> Policy {
    Policy {
        subjects: who::proxies([ground.view.proxy.key.as_str()]),
        isolation: Isolation::Leaves,
        order: PolicyOrder::new(0.0, format!("{:05}", origin.line)),
        rules,
        origin,
    }
}

fn traffic(ports: &PortSet) -> TrafficMatch {
    TrafficMatch::fixed(TrafficSet::of(Protocol::Tcp, ports.clone()))
}

/// Whom an allowing filter does not let through.
fn keep_out(ground: &Ground<'_, '_>, part: &Part, origin: &Origin) -> Rule {
    Rule::new(
        Action::Deny,
        Peers::Among(vec![part.who.clone()]),
        traffic(&ground.served.ports),
        origin.clone(),
    )
}

/// One policy of a filter for one part: a rule for whom it holds, and one for whom it may hold.
fn rules(
    ground: &Ground<'_, '_>,
    part: &Part,
    policy: &rbac::Policy,
    action: Action,
    only: Option<Condition>,
    origin: &Origin,
) -> Vec<Rule> {
    let origin = match policy.line {
        0 => origin.clone(),
        line => Origin { line, ..origin.at(&format!("{}.{}", origin.rule, policy.name), line) },
    };
    let rule = |who: &[Peer], ports: &PortSet, conditions: Vec<Condition>| {
        let who = Who::exactly(who.to_vec()).within(&part.who).sure;
        let ports = ports.intersection(&ground.served.ports);
        let mut conditions = conditions.into_iter();
        let first = conditions.next().map(Narrowing::on);
        let narrowed = first.map(|first| conditions.fold(first, Narrowing::and));
        let rule = Rule::new(action, Peers::Among(who), traffic(&ports), origin.clone());
        let empty = rule.peers == Peers::nobody() || ports.is_empty();
        (!empty).then_some(Rule { narrowed, ..rule })
    };
    let mut conditions: Vec<Condition> =
        policy.conditions.iter().chain(&policy.who.conditions).cloned().collect();
    let sure = rule(&policy.who.sure, &policy.ports, only.clone().into_iter().collect());
    let unsure = if conditions.is_empty() {
        None
    } else {
        conditions.extend(only);
        rule(&policy.who.possible, &policy.possible_ports, conditions)
    };
    sure.into_iter().chain(unsure).collect()
}
