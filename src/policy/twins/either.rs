//! What engines make of the same documents with one or the other of two objects → what holds whichever
//! it is: all that any of them lets in, and what each of them keeps back.

use super::super::transport::{
    Acceptance, Admission, Holds, Membership, MeshMode, Relay, Sending, Transport,
};
use super::super::{
    Action, Direction, Isolation, Layer, Lowered, Peers, Policy, Rule, Tier, TierRank, TrafficMatch,
};
use crate::model::{Condition, Narrowing, Origin, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a rule hangs on that not every one of the objects has.
const IF_IT_COUNTS: &str = "the cluster has the object as this document says, and not as another does";

/// An object, by which what is made of it is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    kind: Text,
    namespace: Text,
    name: Text,
}

impl Said {
    /// The object at an origin.
    pub fn of(origin: &Origin) -> Said {
        Said { kind: origin.kind.clone(), namespace: origin.home().into(), name: origin.name.clone() }
    }
}

/// Where a policy stands: policies of one place meet each other.
pub trait Place: Ord + Clone {
    /// What becomes there of what no rule matches.
    fn unmatched(&self) -> Action;
    /// Whether whom a policy selects there tells whom it is about.
    fn goes_by_subjects(&self) -> bool;
}

/// A tier.
type TierPlace = (Layer, Direction, TierRank, Action);

impl Place for TierPlace {
    fn unmatched(&self) -> Action {
        self.3
    }

    fn goes_by_subjects(&self) -> bool {
        // There it selects who is in between, and relays tell whose calls it is about.
        self.0 != Layer::Relay
    }
}

/// Policies at their places.
pub type Placed<P> = Vec<(P, Arc<Policy>)>;

/// A policy, and the clusters in which it stands like this.
struct Variant {
    policy: Arc<Policy>,
    worlds: BTreeSet<usize>,
}

/// Joins what each cluster gives, with the objects of which something is not certain.
pub fn joined(worlds: Vec<Lowered>, are_all: bool) -> (Lowered, BTreeSet<Said>) {
    let (mut lowered, mut transports, mut policies) = (Lowered::default(), Vec::new(), Vec::new());
    for Lowered { tiers, transport, gaps, problems } in worlds {
        policies.push(tiers.into_iter().flat_map(placed).collect());
        transports.push(transport);
        lowered.gaps.extend(gaps);
        lowered.problems.extend(problems);
    }
    let (policies, unsettled) = settled(policies, are_all);
    let mut tiers: BTreeMap<TierPlace, Vec<Arc<Policy>>> = BTreeMap::new();
    policies.into_iter().for_each(|(place, policy)| tiers.entry(place).or_default().push(policy));
    let tier = |((layer, direction, rank, unmatched), policies)| Tier {
        layer,
        direction,
        rank,
        unmatched,
        policies,
    };
    lowered.tiers = tiers.into_iter().map(tier).collect();
    lowered.transport = transport(transports);
    lowered.gaps.sort();
    lowered.gaps.dedup();
    lowered.problems.sort();
    lowered.problems.dedup();
    (lowered, unsettled)
}

fn placed(tier: Tier) -> impl Iterator<Item = (TierPlace, Arc<Policy>)> {
    let Tier { layer, direction, rank, unmatched, policies } = tier;
    policies.into_iter().map(move |policy| ((layer, direction, rank.clone(), unmatched), policy))
}

/// The policies that hold whichever of the clusters is the one, each at its place; the objects of which
/// something is not certain beside them. Where these are not all, what is not in each of them keeps nothing
/// back.
pub fn settled<P: Place>(worlds: Vec<Placed<P>>, are_all: bool) -> (Placed<P>, BTreeSet<Said>) {
    let count = worlds.len();
    let mut objects: BTreeMap<(P, Said), Vec<Variant>> = BTreeMap::new();
    for (world, policies) in worlds.into_iter().enumerate() {
        for (place, policy) in policies {
            let variants = objects.entry((place, Said::of(&policy.origin))).or_default();
            match variants.iter_mut().find(|known| mean_the_same(&known.policy, &policy)) {
                Some(known) => drop(known.worlds.insert(world)),
                None => variants.push(Variant { policy, worlds: BTreeSet::from([world]) }),
            }
        }
    }
    let (mut all, mut unsettled) = (Vec::new(), BTreeSet::new());
    for ((place, said), variants) in objects {
        for variant in &variants {
            let policy = match variant.worlds.len() == count {
                true => variant.policy.clone(),
                false => {
                    unsettled.insert(said.clone());
                    let all = are_all.then_some(count);
                    Arc::new(weakened(&variant.policy, &variants, all, &place))
                }
            };
            all.push((place.clone(), policy));
        }
    }
    (all, unsettled)
}

/// A policy that only stands in some clusters, as what it keeps back in all of them.
fn weakened(policy: &Policy, variants: &[Variant], count: Option<usize>, place: &impl Place) -> Policy {
    let everywhere = |test: &dyn Fn(&Policy) -> bool| {
        let fits = |one: &&Variant| one.policy.subjects == policy.subjects && test(&one.policy);
        let found: BTreeSet<usize> =
            variants.iter().filter(fits).flat_map(|one| &one.worlds).copied().collect();
        place.goes_by_subjects() && count == Some(found.len())
    };
    // What one of them allows may come before what another denies.
    let denies_alone =
        variants.iter().flat_map(|one| &one.policy.rules).all(|rule| rule.action == Action::Deny);
    let holds = |rule: &Rule| {
        let has_it = |other: &Policy| other.rules.iter().any(|own| are_alike(own, rule));
        match rule.action {
            Action::Allow => everywhere(&has_it),
            Action::Deny => denies_alone && everywhere(&|other| other.order == policy.order && has_it(other)),
            Action::Pass => false,
        }
    };
    let mut weaker = policy.clone();
    for rule in weaker.rules.iter_mut().filter(|rule| !holds(rule)) {
        let narrowed = rule.narrowed.take().unwrap_or_default();
        rule.narrowed = Some(narrowed.and(Condition::Other(IF_IT_COUNTS.to_owned())));
    }
    let isolates = |other: &Policy| other.isolation == Isolation::Isolates;
    if !isolates(policy) || everywhere(&isolates) {
        return weaker;
    }
    weaker.isolation = Isolation::Leaves;
    // Where a tier lets the unmatched in, being subject to it is what opens.
    if place.unmatched() == Action::Allow {
        let open = Rule::new(Action::Allow, Peers::Everyone, TrafficMatch::all(), policy.origin.clone());
        let narrowed = Some(Narrowing::on(Condition::Other(IF_IT_COUNTS.to_owned())));
        weaker.rules.push(Rule { narrowed, ..open });
    }
    weaker
}

/// Whether two policies mean the same, wherever they stand.
fn mean_the_same(one: &Policy, other: &Policy) -> bool {
    let Policy { subjects, isolation, order, rules, origin: _ } = one;
    (subjects, isolation, order.order, rules.len())
        == (&other.subjects, &other.isolation, other.order.order, other.rules.len())
        && rules.iter().zip(&other.rules).all(|(a, b)| are_alike(a, b))
}

fn are_alike(one: &Rule, other: &Rule) -> bool {
    let Rule { action, own, peers, traffic, narrowed, origin: _ } = one;
    (action, own, peers, traffic, narrowed)
        == (&other.action, &other.own, &other.peers, &other.traffic, &other.narrowed)
}

/// What is sent and taken: what all clusters have stands, and of the rest each may count.
fn transport(worlds: Vec<Transport>) -> Transport {
    let join = |all: Transport, other: Transport| {
        let Transport { members, accepts, sends, relays, mut by_address } = all;
        by_address
            .extend(other.by_address.into_iter().filter(|own| !by_address.contains(own)).collect::<Vec<_>>());
        Transport {
            members: interleaved(members, other.members),
            accepts: interleaved(accepts, other.accepts),
            sends: interleaved(sends, other.sends),
            relays: interleaved(relays, other.relays),
            by_address,
        }
    };
    worlds.into_iter().reduce(join).unwrap_or_default()
}

/// An entry of a list of which the first that fits counts.
trait Entry: Sized {
    /// Whether two are one, wherever they stand.
    fn is_like(&self, other: &Self) -> bool;
    /// As one that may count or not.
    fn loosened(self) -> Self;
}

impl Entry for Membership {
    fn is_like(&self, other: &Self) -> bool {
        (&self.subjects, self.mode) == (&other.subjects, other.mode)
    }

    fn loosened(self) -> Self {
        Membership { mode: MeshMode::Unclear, ..self }
    }
}

impl Entry for Acceptance {
    fn is_like(&self, other: &Self) -> bool {
        (&self.subjects, &self.ports, self.accepts, self.holds)
            == (&other.subjects, &other.ports, other.accepts, other.holds)
    }

    fn loosened(self) -> Self {
        Acceptance { holds: Holds::Perhaps, ..self }
    }
}

impl Entry for Sending {
    fn is_like(&self, other: &Self) -> bool {
        (&self.subjects, &self.to, &self.ports, self.sends)
            == (&other.subjects, &other.to, &other.ports, other.sends)
    }

    fn loosened(self) -> Self {
        Sending { to: self.to.for_some_calls(), ..self }
    }
}

impl Entry for Relay {
    fn is_like(&self, other: &Self) -> bool {
        (&self.subjects, &self.to, &self.by, self.around, &self.guards)
            == (&other.subjects, &other.to, &other.by, other.around, &other.guards)
    }

    fn loosened(self) -> Self {
        Relay { to: self.to.for_some_calls(), around: Admission::Admitted, ..self }
    }
}

/// Above as many comparisons, all that stands between the equal ends of two lists is taken to differ.
const MOST_COMPARED: usize = 1 << 22;

/// Two lists in one that keeps the order of both; what only one of them has may count or not.
fn interleaved<T: Entry>(one: Vec<T>, other: Vec<T>) -> Vec<T> {
    let same = |(a, b): &(&T, &T)| a.is_like(b);
    let head = one.iter().zip(&other).take_while(same).count();
    let rest = one.len().min(other.len()) - head;
    let tail = one.iter().rev().zip(other.iter().rev()).take(rest).take_while(same).count();
    let (rows, columns) = (one.len() - tail, other.len() - tail);
    let pairs = match (rows - head) * (columns - head) <= MOST_COMPARED {
        true => common(&one[head..rows], &other[head..columns]),
        false => Vec::new(),
    };
    let shared: BTreeSet<(usize, usize)> = (0..head)
        .map(|place| (place, place))
        .chain(pairs.into_iter().map(|(a, b)| (a + head, b + head)))
        .chain((0..tail).map(|place| (rows + place, columns + place)))
        .collect();
    let (mut one, mut other, mut taken) = (one.into_iter(), other.into_iter(), (0, 0));
    let mut all = Vec::new();
    for (own, theirs) in shared {
        all.extend(one.by_ref().take(own - taken.0).map(T::loosened));
        all.extend(other.by_ref().take(theirs - taken.1).map(T::loosened));
        all.extend(one.next());
        other.next();
        taken = (own + 1, theirs + 1);
    }
    all.extend(one.chain(other).map(T::loosened));
    all
}

/// The longest list of places at which two lists have the same in the same order.
fn common<T: Entry>(one: &[T], other: &[T]) -> Vec<(usize, usize)> {
    let width = other.len() + 1;
    let mut longest = vec![0_u32; (one.len() + 1) * width];
    for a in (0..one.len()).rev() {
        for b in (0..other.len()).rev() {
            longest[a * width + b] = match one[a].is_like(&other[b]) {
                true => longest[(a + 1) * width + b + 1] + 1,
                false => longest[(a + 1) * width + b].max(longest[a * width + b + 1]),
            };
        }
    }
    let (mut a, mut b, mut pairs) = (0, 0, Vec::new());
    while a < one.len() && b < other.len() {
        if one[a].is_like(&other[b]) {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if longest[(a + 1) * width + b] >= longest[a * width + b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}
