//! Label selectors of Cilium: where labels come from, which are derived from namespace, service
//! account and cluster, and which count for an identity at all.

use super::super::{Dataplane, Namespaces, Peer, Peers, Population, Selection, Tier};
use crate::model::names::{is_label_key, is_label_value};
use crate::model::{Requirement, Selector, fact};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use regex_lite::Regex;
use std::sync::Arc;

/// The label that every pod's identity has for its namespace.
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// What begins the keys of the labels of the namespace.
const NAMESPACE_LABELS: &str = "io.cilium.k8s.namespace.labels.";
/// The label of the service account.
const SERVICE_ACCOUNT: &str = "io.cilium.k8s.policy.serviceaccount";
/// The label of the cluster.
const CLUSTER: &str = "io.cilium.k8s.policy.cluster";

/// What a selector asks, term by term; all of them must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    source: Source,
    key: String,
    test: Test,
    place: Place,
}

/// What stands before the colon of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Nothing, or `any:`: whatever source has the label.
    Any,
    /// `k8s:`.
    Kubernetes,
    /// `reserved:`: identities that are no pods.
    Reserved,
    /// `node:`: labels of nodes.
    Node,
    /// `container:`, `cidr:` and others: no pod has a label of these.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    MatchLabels,
    MatchExpressions,
}

/// Where a policy stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace: it speaks of the pods there unless it says otherwise.
    Namespace(String),
    /// In none.
    Cluster,
}

/// Why a selector is refused: what is wrong, and a hint.
pub type Refusal = (String, &'static str);

impl Terms {
    /// Reads a selector.
    ///
    /// # Errors
    /// An operator, key or value that the API server or the agent refuses.
    pub fn read(selector: LabelSelector) -> Result<Terms, Refusal> {
        let LabelSelector { match_expressions, match_labels } = selector;
        let mut terms = Vec::new();
        for (key, value) in match_labels.unwrap_or_default() {
            terms.push(Term::new(&key, Test::In(vec![value]), Place::MatchLabels)?);
        }
        for expression in match_expressions.unwrap_or_default() {
            let LabelSelectorRequirement { key, operator, values } = expression;
            let mut values = values.unwrap_or_default();
            values.sort();
            let test = match (operator.as_str(), values.is_empty()) {
                ("In", false) => Test::In(values),
                ("NotIn", false) => Test::NotIn(values),
                ("Exists", true) => Test::Exists,
                ("DoesNotExist", true) => Test::DoesNotExist,
                ("In" | "NotIn", true) => {
                    return Err((format!("{operator} needs values"), "list the values of the label"));
                }
                ("Exists" | "DoesNotExist", false) => {
                    return Err((format!("{operator} must not have values"), "remove the values"));
                }
                _ => {
                    let hint = "In, NotIn, Exists or DoesNotExist, spelt exactly so";
                    return Err((format!("operator {operator:?} is not known"), hint));
                }
            };
            terms.push(Term::new(&key, test, Place::MatchExpressions)?);
        }
        Ok(Terms(terms))
    }

    fn speaks_of_namespace(&self) -> bool {
        self.0.iter().any(|term| term.is_of_pods() && term.key == POD_NAMESPACE)
    }

    fn speaks_of_namespace_labels(&self) -> bool {
        self.0.iter().any(|term| term.is_of_pods() && term.key.starts_with(NAMESPACE_LABELS))
    }

    fn speaks_of_reserved(&self) -> bool {
        self.0.iter().any(|term| term.source == Source::Reserved)
    }

    /// Whether the label of pods whose own labels are not known yet is asked.
    pub fn speaks_of_init(&self) -> bool {
        self.0.iter().any(|term| term.source == Source::Reserved && term.key == "init")
    }

    /// The pods that a policy is about. The namespace of the policy replaces one that
    /// `matchLabels` names with the source `k8s:`; one that is named otherwise is asked too.
    pub fn subjects(&self, scope: &Scope, cluster: &str) -> Selection {
        let Scope::Namespace(namespace) = scope else { return self.pods(Namespaces::any(), cluster) };
        let replaced = |term: &&Term| {
            let named = term.source == Source::Kubernetes && term.place == Place::MatchLabels;
            !(named && term.key == POD_NAMESPACE)
        };
        let kept = Terms(self.0.iter().filter(replaced).cloned().collect());
        kept.pods(Namespaces::Named(namespace.clone()), cluster)
    }

    /// The pods that a rule means, and whether it may mean identities that are no pods.
    pub fn peers(&self, scope: &Scope, cluster: &str) -> (Selection, Reserved) {
        if self.speaks_of_reserved() {
            return (self.named_pods(cluster), Reserved::ByLabels);
        }
        let reserved = match self.0.iter().any(|term| term.is_of_pods() && term.key == CLUSTER) {
            true => Reserved::ByLabels,
            false => Reserved::OfAnyCluster,
        };
        if self.speaks_of_namespace() {
            return (self.named_pods(cluster), reserved);
        }
        match scope {
            Scope::Namespace(own) if !self.speaks_of_namespace_labels() => {
                (self.pods(Namespaces::Named(own.clone()), cluster), Reserved::None)
            }
            Scope::Namespace(_) => (self.named_pods(cluster), reserved),
            // A label for the namespace must exist.
            Scope::Cluster => (self.named_pods(cluster), Reserved::None),
        }
    }

    /// Pods of the one namespace that the selector names, or of all.
    fn named_pods(&self, cluster: &str) -> Selection {
        let mut named = self.0.iter().filter_map(|term| match &term.test {
            Test::In(values) if term.is_of_pods() && term.key == POD_NAMESPACE && values.len() == 1 => {
                Some(Namespaces::Named(values[0].clone()))
            }
            _ => None,
        });
        self.pods(named.next().unwrap_or_else(Namespaces::any), cluster)
    }

    fn pods(&self, mut namespaces: Namespaces, cluster: &str) -> Selection {
        let (mut own, mut of_namespace) = (Vec::new(), Vec::new());
        for term in &self.0 {
            let known = matches!(&namespaces, Namespaces::Named(name)
                if term.is_of_pods() && term.key == POD_NAMESPACE && term.test.holds(Some(name)));
            if known {
                continue;
            }
            match term.key.strip_prefix(NAMESPACE_LABELS).filter(|_| term.is_of_pods()) {
                Some(label) if !matches!(namespaces, Namespaces::Named(_)) => {
                    of_namespace.push(term.test.on(label.to_owned()));
                }
                _ => own.extend(term.on_pods(cluster)),
            }
        }
        of_namespace.sort();
        own.sort();
        own.dedup();
        if !of_namespace.is_empty() {
            namespaces = Namespaces::Matching(Selector { requirements: of_namespace });
        }
        Selection { population: Population::Pods, namespaces, endpoints: Selector { requirements: own } }
    }

    /// Whether an identity that is no pod is meant: it has one reserved label, and what it has of
    /// other sources is not known.
    pub fn fits_reserved(&self, identity: &str, unsaid: bool) -> bool {
        let is = |term: &Term| matches!(term.source, Source::Reserved | Source::Any) && term.key == identity;
        self.0.iter().all(|term| match term.source {
            Source::Other if unsaid => true,
            Source::Other => term.test.holds(None),
            _ => term.test.holds(is(term).then_some("")),
        })
    }

    /// Nodes by their labels; sources are left away, as nodes have one alone.
    pub fn nodes(&self) -> Selector {
        let mut requirements: Vec<Requirement> =
            self.0.iter().map(|term| term.test.on(term.key.clone())).collect();
        requirements.sort();
        Selector { requirements }
    }
}

/// Whether a selector of peers may mean identities that are no pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Those that fit.
    ByLabels,
    /// Those that fit, unless a selector that names no cluster means the own one.
    OfAnyCluster,
    /// Never: a namespace is asked, and they have none.
    None,
}

impl Term {
    fn new(key: &str, test: Test, place: Place) -> Result<Term, Refusal> {
        let (source, name) = match key.split_once(':') {
            Some((source, name)) => (source, name),
            None => ("any", key),
        };
        let source = match source {
            "any" => Source::Any,
            "k8s" => Source::Kubernetes,
            "reserved" => Source::Reserved,
            "node" => Source::Node,
            _ => Source::Other,
        };
        if source != Source::Other && !is_label_key(name) {
            let hint = "a label key is a name of at most 63 characters, with an optional DNS prefix and /, \
                        and an optional source: k8s:app";
            return Err((format!("{key:?} is no label key"), hint));
        }
        if let Test::In(values) | Test::NotIn(values) = &test
            && let Some(value) = values.iter().find(|value| !is_label_value(value))
        {
            let hint = "a label value has at most 63 characters A-Z a-z 0-9 - _ . and \
                        begins and ends with a letter or digit";
            return Err((format!("{value:?} is no label value"), hint));
        }
        Ok(Term { source, key: name.to_owned(), test, place })
    }

    fn is_of_pods(&self) -> bool {
        matches!(self.source, Source::Any | Source::Kubernetes)
    }

    /// What it asks of a pod; `None` where that always holds.
    fn on_pods(&self, cluster: &str) -> Option<Requirement> {
        let constant = |holds: bool| (!holds).then(|| Requirement::AnyOf(Vec::new()));
        if !self.is_of_pods() {
            return constant(self.test.holds(None));
        }
        match self.key.as_str() {
            CLUSTER => constant(self.test.holds(Some(cluster))),
            POD_NAMESPACE => Some(self.test.on(fact::NAMESPACE.to_owned())),
            SERVICE_ACCOUNT => Some(self.test.on(fact::SERVICE_ACCOUNT.to_owned())),
            key => Some(self.test.on(match key.strip_prefix(NAMESPACE_LABELS) {
                Some(label) => format!("{}{label}", fact::NAMESPACE_LABEL),
                None => key.to_owned(),
            })),
        }
    }
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|value| values.iter().any(|v| v == value));
        match self {
            Test::In(values) => among(values),
            Test::NotIn(values) => !among(values),
            Test::Exists => value.is_some(),
            Test::DoesNotExist => value.is_none(),
        }
    }

    fn on(&self, key: String) -> Requirement {
        match self {
            Test::In(values) => Requirement::In(key, values.clone()),
            Test::NotIn(values) => Requirement::NotIn(key, values.clone()),
            Test::Exists => Requirement::Exists(key),
            Test::DoesNotExist => Requirement::DoesNotExist(key),
        }
    }
}

/// Labels that count for an identity (the agent's option `labels`); others can never be selected.
#[derive(Debug)]
pub struct Filter {
    patterns: Vec<Pattern>,
    listing: Listing,
}

#[derive(Debug)]
struct Pattern {
    effect: Effect,
    expression: Regex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Includes,
    Excludes,
}

/// What becomes of a label that no pattern speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    Counts,
    /// A pattern that includes was configured.
    MustBeIncluded,
}

/// What the agent does with nothing configured; `!` excludes.
const BUILT_IN: &[&str] = &[
    r"io\.kubernetes\.pod\.namespace",
    r"io\.cilium\.k8s\.namespace\.labels",
    r"io\.cilium\.k8s\.policy\.cluster",
    r"io\.cilium\.k8s\.policy\.serviceaccount",
    r"app\.kubernetes\.io",
    r"!io\.kubernetes",
    r"!kubernetes\.io",
    r"!statefulset\.kubernetes\.io/pod-name",
    r"!apps\.kubernetes\.io/pod-index",
    r"!batch\.kubernetes\.io/job-completion-index",
    r"!batch\.kubernetes\.io/controller-uid",
    r"!.*beta\.kubernetes\.io",
    r"!k8s\.io",
    r"!pod-template-generation",
    r"!pod-template-hash",
    r"!controller-revision-hash",
    r"!annotation.*",
    r"!controller-uid",
    r"!etcd_node",
];

impl Filter {
    /// Of the value of `labels`: patterns with blanks between them, each with an optional source;
    /// those that are no regular expressions are left out and listed.
    pub fn read(setting: &str) -> (Filter, Vec<String>) {
        let (mut patterns, mut broken, mut listing) = (Vec::new(), Vec::new(), Listing::Counts);
        patterns.extend(BUILT_IN.iter().filter_map(|text| Pattern::read(text)));
        for written in setting.split_whitespace() {
            let (source, text) = match written.split_once(':') {
                Some((source, text)) => (source, text),
                None => ("k8s", written),
            };
            let Some(pattern) = Pattern::read(text) else {
                broken.push(written.to_owned());
                continue;
            };
            if pattern.effect == Effect::Includes {
                listing = Listing::MustBeIncluded;
            }
            // Labels of pods have the source `k8s`; patterns for others say nothing of them.
            if ["k8s", "any", ""].contains(&source) {
                patterns.push(pattern);
            }
        }
        (Filter { patterns, listing }, broken)
    }

    /// Whether a label of a pod is part of its identity: the longest inclusion against the
    /// shortest exclusion, by the length of what they match.
    pub fn counts(&self, key: &str) -> bool {
        let lengths = |effect: Effect| {
            let of = self.patterns.iter().filter(move |pattern| pattern.effect == effect);
            of.filter_map(|pattern| pattern.expression.find(key).map(|found| found.len()))
        };
        let included = lengths(Effect::Includes).max().unwrap_or(0);
        let excluded = lengths(Effect::Excludes).min().unwrap_or(0);
        (self.listing == Listing::Counts && excluded == 0) || included > excluded
    }

    /// The same selector as the agent sees it: a label that does not count is missing everywhere.
    fn seen(&self, selector: &mut Selector) {
        let hidden = |key: &str| !key.starts_with('@') && !self.counts(key);
        for requirement in &mut selector.requirements {
            let missing = match requirement {
                Requirement::AnyOf(choices) => {
                    choices.iter_mut().for_each(|choice| self.seen(choice));
                    continue;
                }
                Requirement::Not(inner) => {
                    self.seen(inner);
                    continue;
                }
                Requirement::In(key, _) | Requirement::Fits(key, _) | Requirement::Exists(key) => {
                    hidden(key).then(|| Requirement::AnyOf(Vec::new()))
                }
                Requirement::NotIn(key, _) | Requirement::DoesNotExist(key) => {
                    hidden(key).then(|| Requirement::AnyOf(vec![Selector::everything()]))
                }
            };
            if let Some(constant) = missing {
                *requirement = constant;
            }
        }
        let always = Requirement::AnyOf(vec![Selector::everything()]);
        selector.requirements.retain(|requirement| *requirement != always);
    }
}

impl Pattern {
    fn read(text: &str) -> Option<Pattern> {
        let (effect, text) = match text.strip_prefix('!') {
            Some(text) => (Effect::Excludes, text),
            None => (Effect::Includes, text),
        };
        let expression = Regex::new(&format!("^(?:{text})")).ok().filter(|_| !text.is_empty())?;
        Some(Pattern { effect, expression })
    }
}

/// Makes the selectors of a tier see what the agent sees, whichever language they are written in.
pub fn hide_labels(tier: &mut Tier, dataplane: &Dataplane) {
    let (filter, _) = Filter::read(dataplane.setting("labels", ""));
    for policy in &mut tier.policies {
        let policy = Arc::make_mut(policy);
        policy.subjects.iter_mut().for_each(|selection| filter.seen(&mut selection.endpoints));
        for rule in &mut policy.rules {
            for peers in [&mut rule.peers, &mut rule.own] {
                if let Peers::Among(peers) = peers {
                    peers.iter_mut().for_each(|peer| hide_in(peer, &filter));
                }
            }
        }
    }
}

fn hide_in(peer: &mut Peer, filter: &Filter) {
    match peer {
        Peer::Endpoints(selection) => filter.seen(&mut selection.endpoints),
        Peer::All(parts) => parts.iter_mut().for_each(|part| hide_in(part, filter)),
        Peer::Not(part) => hide_in(part, filter),
        Peer::Addresses(_)
        | Peer::Nodes(_)
        | Peer::Interfaces(_)
        | Peer::Outside
        | Peer::Domains(_)
        | Peer::Backends(_)
        | Peer::Authenticated => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(setting: &str, key: &str) -> bool {
        Filter::read(setting).0.counts(key)
    }

    #[test]
    fn built_in_exclusions_are_prefixes_with_longer_inclusions() {
        assert!(counts("", "app") && counts("", "app.kubernetes.io/name"));
        assert!(counts("", "topology.kubernetes.io/zone"));
        assert!(!counts("", "pod-template-hash") && !counts("", "kubernetes.io/arch"));
        assert!(!counts("", "io.kubernetes.container") && counts("", "io.kubernetes.pod.namespace"));
        assert!(!counts("", "node.beta.kubernetes.io/x"));
    }

    #[test]
    fn one_inclusion_leaves_out_what_is_not_included() {
        assert!(counts("k8s:app", "app") && counts("k8s:app", "app-team"));
        assert!(!counts("k8s:app", "team") && counts("k8s:app", "app.kubernetes.io/name"));
    }

    #[test]
    fn exclusions_alone_add_to_the_built_in_ones() {
        assert!(counts("k8s:!team", "app") && !counts("k8s:!team", "team"));
        assert!(!counts("k8s:!team", "pod-template-hash"));
        assert_eq!(Filter::read("k8s:a( !b").1, ["k8s:a("]);
    }

    #[test]
    fn a_hidden_label_is_missing_for_every_operator() {
        let (filter, _) = Filter::read("");
        let hash = || "pod-template-hash".to_owned();
        let mut positive = Selector { requirements: vec![Requirement::Exists(hash())] };
        filter.seen(&mut positive);
        assert_eq!(positive, Selector::nothing());
        let mut negative = Selector { requirements: vec![Requirement::NotIn(hash(), vec!["x".into()])] };
        filter.seen(&mut negative);
        assert!(negative.is_everything());
    }
}
