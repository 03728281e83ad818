//! Cilium policies → tiers: what is denied stands in a tier of its own before the one of
//! NetworkPolicy, what is allowed stands beside NetworkPolicy.
//!
//! A rule isolates its subjects in a direction as soon as it has an entry there, denying ones too,
//! unless `enableDefaultDeny` says otherwise.

use super::super::{
    Action, Isolation, Layer, Lowered, Namespaces, Peer, Peers, Policy, PolicyOrder, Population, Rule,
    Selection, Tier, TierRank, TrafficMatch, one_of,
};
use super::facts::{Facts, Relation, has_requires, relation};
use super::labels::{Filter, Scope, Terms};
use super::peers::{self, Family};
use super::ports::{self, Handshake, narrowing};
use super::settings::{self, CONFIG_MAP};
use super::wire::{self, Effect, Entry, Spec};
use crate::model::{Bend, Condition, Document, Gap, Origin, Problem, Selector, fact};
use crate::policy::kubernetes::wire::refusal;
use crate::policy::{Dataplane, Direction, fields};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The rank of denying entries: before the tier of NetworkPolicy, after admin tiers.
const DENY: f64 = TierRank::DEFAULT - 1.0;

/// The version since which the agent refuses a rule without entries, and with it the whole object.
const ENTRY_NEEDED: (u32, u32) = (1, 17);

/// What the parts of one object need to know, and what they leave unsaid.
pub struct Context<'a> {
    /// The object.
    pub origin: Origin,
    /// What enforces.
    pub dataplane: &'a Dataplane,
    /// What the other objects say.
    pub facts: &'a Facts,
    /// Where the policy stands.
    pub scope: Scope,
    /// Whether DNS answers of the subjects of the rule become known.
    pub learning: Learning,
    /// Whether the rule is about nodes.
    pub is_host_policy: bool,
    /// Whether a clusterwide rule speaks of pods whose labels are not known yet: these have no
    /// namespace, so none is asked of peers.
    pub is_about_init: bool,
    /// Whether the agent refuses the object in a setting that is not known: then nothing is closed by it.
    pub may_be_refused: bool,
    gaps: Vec<Gap>,
}

/// Whether the agent learns addresses behind names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    /// A rule sends the DNS answers of all the subjects through the proxy.
    Certain,
    /// A rule does so for some of them, perhaps.
    Possible,
    /// None does.
    Nothing,
}

/// Lowers all Cilium policies among the documents.
pub fn lower(documents: &[Document], dataplane: &Dataplane) -> Lowered {
    let is_policy = |d: &&Document| {
        fields::kind_of(super::KINDS, d).is_some_and(|kind| super::POLICIES.contains(&kind.name))
    };
    let policies: Vec<&Document> = documents.iter().filter(is_policy).collect();
    let (facts, problems) = Facts::collect(documents, &policies, dataplane);
    let mut lowered = Lowered { problems, ..Lowered::default() };
    let parsed: Vec<_> = policies.par_iter().map(|document| object(document, dataplane, &facts)).collect();
    let mut tiers: BTreeMap<(Direction, Effect), Vec<Policy>> = BTreeMap::new();
    for (result, gaps) in parsed {
        lowered.gaps.extend(gaps);
        match result {
            Ok(pieces) => {
                pieces.into_iter().for_each(|piece| tiers.entry(piece.place).or_default().push(piece.policy));
            }
            Err(problem) => lowered.problems.push(problem),
        }
    }
    for direction in Direction::BOTH {
        let always = always(documents, dataplane);
        tiers.entry((direction, Effect::Allows)).or_default().extend(always);
    }
    lowered.gaps.extend(of_settings(documents, dataplane));
    if !settings::is_cilium(dataplane.kind) {
        // Who enforces nothing of this leaves nothing open about it.
        lowered.gaps.clear();
    }
    lowered.tiers =
        tiers.into_iter().map(|((direction, effect), policies)| tier(direction, effect, policies)).collect();
    lowered
}

fn tier(direction: Direction, effect: Effect, policies: Vec<Policy>) -> Tier {
    let (rank, unmatched) = match effect {
        Effect::Denies => (TierRank::declared(DENY, "cilium deny"), Action::Pass),
        Effect::Allows => (TierRank::default_tier(), Action::Deny),
    };
    Tier { layer: Layer::Network, direction, rank, unmatched, policies: Policy::shared(policies) }
}

/// `enable-policy: always`: every endpoint is isolated, whether a policy selects it or not.
fn always(documents: &[Document], dataplane: &Dataplane) -> Option<Policy> {
    if !settings::is_cilium(dataplane.kind) || dataplane.setting("enable-policy", "default") != "always" {
        return None;
    }
    let named = || Origin {
        file: CONFIG_MAP.into(),
        document: 1,
        line: 0,
        column: 0,
        kind: "ConfigMap".into(),
        namespace: "kube-system".into(),
        name: CONFIG_MAP.into(),
        rule: "enable-policy".into(),
    };
    let origin = settings::config_map(documents).map_or_else(named, |document| {
        let line = document.body.path(&["data", "enable-policy"]).map_or(document.origin.line, |n| n.line);
        document.origin.at("enable-policy", line)
    });
    Some(Policy {
        subjects: vec![Selection::all_pods()],
        isolation: Isolation::Isolates,
        order: PolicyOrder::new(PolicyOrder::NETWORK_POLICY, CONFIG_MAP),
        rules: Vec::new(),
        origin,
    })
}

/// What the settings leave open.
fn of_settings(documents: &[Document], dataplane: &Dataplane) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let origin = settings::config_map(documents).map(|document| document.origin.clone());
    for pattern in Filter::read(dataplane.setting("labels", "")).1 {
        let Some(origin) = origin.clone() else { continue };
        let what = format!("labels holds {pattern:?}, which is no regular expression: it was left out");
        gaps.push(Gap { what, origin, bends: Bend::MayAllowMore });
    }
    for document in documents.iter().filter(|d| &*d.origin.kind == "CiliumNodeConfig") {
        let defaults = document.body.path(&["spec", "defaults"]).map_or(&[][..], |node| node.fields());
        for (key, node) in defaults.iter().filter(|(key, _)| settings::ABOUT_POLICIES.contains(&&**key)) {
            let what = format!("{key} is set for some nodes alone, and was not taken into account");
            let origin = document.origin.at(&format!("spec.defaults.{key}"), node.line);
            gaps.push(Gap { what, origin, bends: Bend::MayAllowMore });
        }
    }
    gaps
}

/// A policy with the tier that it belongs to.
struct Piece {
    place: (Direction, Effect),
    policy: Policy,
}

type Read = (Result<Vec<Piece>, Problem>, Vec<Gap>);

/// One object; where any part of it is refused, all of it has no effect.
fn object(document: &Document, dataplane: &Dataplane, facts: &Facts) -> Read {
    let mut context = Context::new(document, dataplane, facts);
    let result = context.object(document);
    let mut gaps = match &result {
        Ok(_) => std::mem::take(&mut context.gaps),
        Err(_) => Vec::new(),
    };
    if let Some(kind) = fields::kind_of(super::KINDS, document) {
        gaps.extend(fields::doubts(kind, document));
    }
    (result, gaps)
}

impl<'a> Context<'a> {
    /// Of an object.
    pub fn new(document: &Document, dataplane: &'a Dataplane, facts: &'a Facts) -> Context<'a> {
        let mut origin = document.origin.clone();
        let scope = match &*origin.kind {
            "CiliumClusterwideNetworkPolicy" => {
                origin.namespace = "".into();
                Scope::Cluster
            }
            _ => {
                origin = origin.at_home();
                Scope::Namespace(origin.namespace.to_string())
            }
        };
        let (learning, is_host_policy, gaps) = (Learning::Nothing, false, Vec::new());
        let (is_about_init, may_be_refused) = (false, false);
        Context {
            origin,
            dataplane,
            facts,
            scope,
            learning,
            is_host_policy,
            is_about_init,
            may_be_refused,
            gaps,
        }
    }

    /// The name of the cluster.
    pub fn cluster(&self) -> &'a str {
        self.dataplane.setting("cluster-name", "default")
    }

    /// A refusal of the whole object.
    pub fn refuse(&self, line: u32, message: impl Into<String>, hint: &str) -> Problem {
        refusal(&self.origin, line, message, hint)
    }

    /// Says what is not known.
    pub fn gap(&mut self, place: &str, line: u32, what: impl Into<String>, bends: Bend) {
        self.gaps.push(Gap { what: what.into(), origin: self.origin.at(place, line), bends });
    }

    /// Reads a selector.
    ///
    /// # Errors
    /// One that the API server or the agent refuses.
    pub fn terms(&self, selector: LabelSelector, line: u32) -> Result<Terms, Problem> {
        Terms::read(selector).map_err(|(message, hint)| self.refuse(line, message, hint))
    }

    /// The pods that a rule is about.
    ///
    /// # Errors
    /// A selector that is refused.
    pub fn subject(&self, selector: LabelSelector, line: u32) -> Result<Selection, Problem> {
        Ok(self.terms(selector, line)?.subjects(&self.scope, self.cluster()))
    }

    fn object(&mut self, document: &Document) -> Result<Vec<Piece>, Problem> {
        if self.origin.name.is_empty() {
            return Err(self.refuse(0, "the object has no name", "add metadata.name"));
        }
        let mut pieces = Vec::new();
        for spec in wire::specs(document, &self.origin)? {
            pieces.extend(self.spec(&spec)?);
        }
        if self.may_be_refused {
            pieces.retain(|piece| piece.place.1 == Effect::Allows);
            pieces.iter_mut().for_each(|piece| piece.policy.isolation = Isolation::Leaves);
        }
        Ok(pieces)
    }

    fn spec(&mut self, spec: &Spec<'_>) -> Result<Vec<Piece>, Problem> {
        if spec.entries.is_empty() && self.dataplane.version.is_none_or(|version| version >= ENTRY_NEEDED) {
            let hint = "write an entry under ingress, ingressDeny, egress or egressDeny: \
                        `ingress: [{}]` isolates and lets nobody in";
            return Err(self.refuse(spec.node.line, "the rule has no entry in any direction", hint));
        }
        let line_of = |name: &str| spec.node.get(name).map_or(spec.node.line, |node| node.line);
        let line = line_of("endpointSelector").max(line_of("nodeSelector"));
        let subject = match (&spec.endpoints, &spec.nodes) {
            (Some(selector), None) => Some(self.subject(selector.clone(), line)?),
            (None, Some(selector)) => self.hosts(spec, selector, line)?,
            (Some(_), Some(_)) => {
                let hint = "split it: one rule is about pods or about nodes";
                return Err(self.refuse(line, "endpointSelector stands beside nodeSelector", hint));
            }
            (None, None) => {
                let hint = "write endpointSelector: {} to select every endpoint";
                return Err(self.refuse(spec.node.line, "the rule has no endpointSelector", hint));
            }
        };
        self.is_host_policy = spec.nodes.is_some();
        self.is_about_init = match (&spec.endpoints, &self.scope) {
            (Some(selector), Scope::Cluster) => self.terms(selector.clone(), line)?.speaks_of_init(),
            _ => false,
        };
        self.learning = subject.as_ref().map_or(Learning::Nothing, |subject| self.facts.learning(subject));
        let mut rules: BTreeMap<(Direction, Effect), Vec<Rule>> = BTreeMap::new();
        for entry in &spec.entries {
            let own = self.entry(entry, subject.as_ref())?;
            rules.entry((entry.direction, entry.effect)).or_default().extend(own);
        }
        let Some(subject) = subject else { return Ok(Vec::new()) };
        let mut pieces = Vec::new();
        for (direction, said) in
            [(Direction::Ingress, spec.default_deny.ingress), (Direction::Egress, spec.default_deny.egress)]
        {
            let (allowing, denying) =
                (rules.remove(&(direction, Effect::Allows)), rules.remove(&(direction, Effect::Denies)));
            if allowing.is_none() && denying.is_none() {
                continue;
            }
            let heard = settings::is_on(self.dataplane, "enable-non-default-deny-policies", "true");
            let isolation = match said.filter(|_| heard) {
                Some(false) => Isolation::Leaves,
                _ => Isolation::Isolates,
            };
            if let Some(rules) = denying {
                pieces.push(self.piece((direction, Effect::Denies), &subject, Isolation::Leaves, rules));
            }
            if allowing.is_some() || isolation == Isolation::Isolates {
                let rules = allowing.unwrap_or_default();
                pieces.push(self.piece((direction, Effect::Allows), &subject, isolation, rules));
            }
        }
        Ok(pieces)
    }

    fn piece(
        &self,
        place: (Direction, Effect),
        subject: &Selection,
        isolation: Isolation,
        rules: Vec<Rule>,
    ) -> Piece {
        let Origin { kind, namespace, name, .. } = &self.origin;
        let order = PolicyOrder::new(PolicyOrder::NETWORK_POLICY, format!("{name}/{namespace}/{kind}"));
        let subjects = vec![subject.clone()];
        Piece { place, policy: Policy { subjects, isolation, order, rules, origin: self.origin.clone() } }
    }

    /// What runs on the network of selected nodes; `None` while the host firewall is off.
    fn hosts(
        &mut self,
        spec: &Spec<'_>,
        selector: &LabelSelector,
        line: u32,
    ) -> Result<Option<Selection>, Problem> {
        let place = format!("{}nodeSelector", spec.place);
        let selector = self.terms(selector.clone(), line)?.nodes();
        if self.scope != Scope::Cluster {
            let hint = "only a CiliumClusterwideNetworkPolicy may select nodes";
            return Err(self.refuse(line, "nodeSelector stands in a namespaced policy", hint));
        }
        if !settings::is_on(self.dataplane, "enable-host-firewall", "false") {
            let what = match settings::are_known(self.dataplane) {
                true => "nodeSelector has no effect while enable-host-firewall is not true",
                false => {
                    "nodeSelector was taken for without effect: whether the host firewall is on is not known"
                }
            };
            self.gap(&place, line, what, Bend::MayAllowLess);
            return Ok(None);
        }
        let what = "host policies were applied to what runs on the host network; nodes themselves are not in the graph";
        self.gap(&place, line, what, Bend::MayAllowLess);
        let endpoints = match selector.is_everything() {
            true => Selector::everything(),
            false => {
                let fits = self.facts.nodes.iter().filter(|(_, labels)| selector.matches(labels));
                one_of(fact::NODE, fits.map(|(name, _)| name.clone()).collect())
            }
        };
        Ok(Some(Selection { population: Population::HostNetwork, namespaces: Namespaces::any(), endpoints }))
    }

    /// The rules of an entry: one for each set of peers and each set of ports.
    fn entry(&mut self, entry: &Entry<'_>, subject: Option<&Selection>) -> Result<Vec<Rule>, Problem> {
        let demands = format!("{}Requires", entry.word());
        if !has_requires(self.dataplane) && !entry.node.items_of(&demands).is_empty() {
            let hint =
                "the API server refuses it since 1.19; write what it asks into every selector of peers";
            return Err(self.refuse(entry.line_of(&demands), format!("{demands} was removed"), hint));
        }
        let peers = peers::parts(self, entry)?;
        let ports = ports::parts(self, entry)?;
        let handshake = ports::handshake(self, entry)?;
        let whole = |peers| vec![peers::Part { peers, condition: None, family: Family::Other }];
        let peers = match (peers, &ports, &handshake) {
            (_, _, Handshake::AlwaysFails) => whole(Peers::nobody()),
            (Some(peers), _, _) => peers,
            (None, Some(_), _) => whole(Peers::Everyone),
            // An entry that asks nothing matches nothing.
            (None, None, _) => whole(Peers::nobody()),
        };
        let all = || vec![ports::Part { traffic: TrafficMatch::all(), conditions: Vec::new() }];
        let ports = ports.unwrap_or_else(all);
        let action = match entry.effect {
            Effect::Allows => Action::Allow,
            Effect::Denies => Action::Deny,
        };
        let authenticated = match handshake {
            Handshake::Required => Some(Condition::MutualAuthentication),
            Handshake::NotAsked | Handshake::AlwaysFails => None,
        };
        let origin = self.origin.at(&entry.place, entry.node.line);
        let mut rules = Vec::new();
        for whom in &peers {
            for what in &ports {
                let asked = whom.condition.iter().chain(&what.conditions).chain(&authenticated).cloned();
                let rule = Rule {
                    narrowed: narrowing(asked),
                    ..Rule::new(action, whom.peers.clone(), what.traffic.clone(), origin.clone())
                };
                match (whom.family, subject) {
                    (Family::Endpoints, Some(subject)) => rules.extend(self.demanded(entry, subject, rule)),
                    _ => rules.push(rule),
                }
            }
        }
        Ok(rules)
    }

    /// A rule with what `fromRequires` and `toRequires` of rules for the same subjects ask of its peers.
    fn demanded(&self, entry: &Entry<'_>, subject: &Selection, rule: Rule) -> Vec<Rule> {
        let mut rules = vec![rule];
        let same = |direction, effect| (direction, effect) == (entry.direction, entry.effect);
        for demand in self.facts.demands.iter().filter(|demand| same(demand.direction, demand.effect)) {
            let related = relation(&demand.subject, subject);
            if related == Relation::Disjoint {
                continue;
            }
            let about = Peer::Endpoints(demand.subject.clone());
            let asked = Peer::Endpoints(demand.peer.clone());
            rules = rules
                .into_iter()
                .flat_map(|rule| {
                    let both = |peer: &Peer| Peer::All(vec![peer.clone(), asked.clone()]);
                    let peers = Peers::Among(rule.peers.named().iter().map(both).collect());
                    if related == Relation::Covers {
                        return vec![Rule { peers, ..rule }];
                    }
                    let narrower = Rule { peers, own: and(&rule.own, about.clone()), ..rule.clone() };
                    vec![narrower, Rule { own: and(&rule.own, Peer::Not(Box::new(about.clone()))), ..rule }]
                })
                .collect();
        }
        rules
    }
}

/// Both conditions on the subject.
fn and(own: &Peers, more: Peer) -> Peers {
    match own {
        Peers::Everyone => Peers::Among(vec![more]),
        Peers::Among(peers) => {
            let both = |peer: &Peer| Peer::All(vec![peer.clone(), more.clone()]);
            Peers::Among(peers.iter().map(both).collect())
        }
    }
}
