//! NetworkPolicy → tiers: one for each direction, in which isolation is `unmatched: Deny`.
//!
//! Every field is named; a field that a newer API adds breaks the build here instead of being lost.

use super::super::TrafficMatch;
use super::super::{
    Action, Dataplane, Direction, Isolation, Layer, Lowered, Namespaces, Peer, Peers, Policy, PolicyOrder,
    PortName, Rule, Selection, Tier, TierRank,
};
use super::wire::{self, refusal};
use crate::model::{AddressRange, AddressSet, Document, Node, Origin, PortSet, Problem, Protocol};
use crate::model::{Requirement, Selector, TrafficSet, names};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use rayon::prelude::*;

/// Lowers all NetworkPolicies among the documents.
pub fn lower(documents: &[Document], dataplane: &Dataplane) -> Lowered {
    let policies: Vec<&Document> = documents.iter().filter(|d| is_policy(d)).collect();
    let parsed: Vec<_> = policies.par_iter().map(|d| (policy(d, dataplane), wire::doubts(d))).collect();
    let mut lowered = Lowered::default();
    let (mut ingress, mut egress) = (Vec::new(), Vec::new());
    for (result, gaps) in parsed {
        lowered.gaps.extend(gaps);
        match result {
            Ok((into, out)) => {
                ingress.extend(into);
                egress.extend(out);
            }
            Err(problem) => lowered.problems.push(problem),
        }
    }
    lowered.problems.sort();
    lowered.problems.dedup();
    for (direction, policies) in [(Direction::Ingress, ingress), (Direction::Egress, egress)] {
        lowered.tiers.push(Tier {
            layer: Layer::Network,
            direction,
            rank: TierRank::default_tier(),
            unmatched: Action::Deny,
            policies: Policy::shared(policies),
        });
    }
    lowered
}

pub(super) fn is_policy(document: &Document) -> bool {
    super::super::fields::kind_of(super::KINDS, document).is_some()
}

/// What an object isolates for ingress, and what for egress.
pub type PolicyPair = (Option<Policy>, Option<Policy>);

/// What the parts of one object need to know: its origin, namespace and source lines.
struct Context<'a> {
    origin: Origin,
    body: &'a Node,
}

/// Lowers one object.
///
/// # Errors
/// What the API server would refuse, with its line.
pub fn policy(document: &Document, dataplane: &Dataplane) -> Result<PolicyPair, Problem> {
    let context = Context { origin: document.origin.at_home(), body: &document.body };
    context.check_names()?;
    let NetworkPolicySpec { pod_selector, policy_types, ingress, egress } = wire::spec(document)?;
    let types = policy_types.unwrap_or_default();
    let ingress = ingress.unwrap_or_default();
    let egress = egress.unwrap_or_default();
    let (mut into, mut out) = context.directions(&types, !egress.is_empty())?;
    if dataplane.rules_count_unlisted {
        (into, out) = (into || !ingress.is_empty(), out || !egress.is_empty());
    }
    let endpoints = context.selector(pod_selector.unwrap_or_default(), &["spec", "podSelector"])?;
    let namespaces = Namespaces::Named(context.origin.namespace.to_string());
    let subjects = vec![Selection::pods(namespaces, endpoints)];
    let mut into_rules = Vec::with_capacity(ingress.len());
    for (index, rule) in ingress.into_iter().enumerate() {
        let NetworkPolicyIngressRule { from, ports } = rule;
        into_rules.push(context.rule("ingress", "from", index, from, ports)?);
    }
    let mut out_rules = Vec::with_capacity(egress.len());
    for (index, rule) in egress.into_iter().enumerate() {
        let NetworkPolicyEgressRule { to, ports } = rule;
        out_rules.push(context.rule("egress", "to", index, to, ports)?);
    }
    let tie = format!("{}/{}", context.origin.name, context.origin.namespace);
    let make = |rules| Policy {
        subjects: subjects.clone(),
        isolation: Isolation::Isolates,
        order: PolicyOrder::new(PolicyOrder::NETWORK_POLICY, format!("{tie}/NetworkPolicy")),
        rules,
        origin: context.origin.clone(),
    };
    Ok((into.then(|| make(into_rules)), out.then(|| make(out_rules))))
}

impl Context<'_> {
    fn check_names(&self) -> Result<(), Problem> {
        match self.body.path(&["metadata", "namespace"]) {
            Some(node) if !node.is_null() && node.text().is_none() => {
                let message = "metadata.namespace is not a string";
                Err(refusal(&self.origin, node.line, message, "put it in quotes"))
            }
            _ if self.origin.name.is_empty() => {
                let hint = "every object has metadata.name; a name that is a number stands in quotes";
                let message = "metadata.name \"\" is no object name".to_owned();
                Err(self.refuse(&["metadata", "name"], message, hint))
            }
            _ => Ok(()),
        }
    }

    /// Which directions the policy isolates (`spec.policyTypes` and its defaulting).
    fn directions(&self, types: &[String], has_egress: bool) -> Result<(bool, bool), Problem> {
        if types.is_empty() {
            return Ok((true, has_egress));
        }
        let known = |name: &String| name == "Ingress" || name == "Egress";
        if types.len() > 2 || !types.iter().all(known) {
            let hint = "policyTypes holds Ingress, Egress or both, spelt with capitals";
            let message = format!("policyTypes is {types:?}");
            return Err(self.refuse(&["spec", "policyTypes"], message, hint));
        }
        Ok((types.iter().any(|t| t == "Ingress"), types.iter().any(|t| t == "Egress")))
    }

    fn rule(
        &self,
        list: &str,
        peers_field: &str,
        index: usize,
        peers: Option<Vec<NetworkPolicyPeer>>,
        ports: Option<Vec<NetworkPolicyPort>>,
    ) -> Result<Rule, Problem> {
        let node = self.body.path(&["spec", list]).and_then(|rules| rules.items().get(index));
        let line = node.map_or(0, |node| node.line);
        let origin = self.origin.at(&format!("{list}[{index}]"), line);
        let at = |field: &str, item: usize| {
            node.and_then(|n| n.items_of(field).get(item)).map_or(line, |n| n.line)
        };
        let peers = match peers.unwrap_or_default() {
            none if none.is_empty() => Peers::Everyone,
            some => Peers::Among(
                some.into_iter()
                    .enumerate()
                    .map(|(item, peer)| self.peer(peer, at(peers_field, item)))
                    .collect::<Result<_, _>>()?,
            ),
        };
        let mut traffic = TrafficMatch::default();
        let ports = ports.unwrap_or_default();
        if ports.is_empty() {
            traffic = TrafficMatch::all();
        }
        for (item, port) in ports.into_iter().enumerate() {
            self.port(port, at("ports", item), &mut traffic)?;
        }
        Ok(Rule::new(Action::Allow, peers, traffic, origin))
    }

    fn peer(&self, peer: NetworkPolicyPeer, line: u32) -> Result<Peer, Problem> {
        let NetworkPolicyPeer { ip_block, namespace_selector, pod_selector } = peer;
        match (ip_block, namespace_selector, pod_selector) {
            (None, None, None) => {
                let hint = "an empty peer selects nothing that the API server accepts; \
                            leave the list out to allow everyone, or write podSelector: {}";
                Err(refusal(&self.origin, line, "a peer must have a selector or an ipBlock", hint))
            }
            (Some(block), None, None) => self.block(block, line).map(Peer::Addresses),
            (Some(_), _, _) => {
                let hint = "write the ipBlock as a list item of its own";
                Err(refusal(&self.origin, line, "ipBlock stands beside a selector in one peer", hint))
            }
            (None, namespaces, pods) => {
                let namespaces = match namespaces {
                    Some(selector) => Namespaces::Matching(self.selector_at(selector, line)?),
                    None => Namespaces::Named(self.origin.namespace.to_string()),
                };
                let endpoints = self.selector_at(pods.unwrap_or_default(), line)?;
                Ok(Peer::Endpoints(Selection::pods(namespaces, endpoints)))
            }
        }
    }

    fn block(&self, block: IPBlock, line: u32) -> Result<AddressSet, Problem> {
        let IPBlock { cidr, except } = block;
        let range = |text: &str| {
            AddressRange::from_cidr(text).ok_or_else(|| {
                let hint = "write an address and a prefix length: 10.0.0.0/8 or 2001:db8::/32";
                refusal(&self.origin, line, format!("{text:?} is not a CIDR"), hint)
            })
        };
        let whole = range(&cidr)?;
        let mut set: AddressSet = [whole].into_iter().collect();
        for text in except.unwrap_or_default() {
            let hole = range(&text)?;
            if hole == whole || !whole.contains(hole.first) || !whole.contains(hole.last) {
                let message = format!("except {text} must be strictly inside {cidr}");
                return Err(refusal(
                    &self.origin,
                    line,
                    message,
                    "an except has a longer prefix than its cidr",
                ));
            }
            set = set.difference(&[hole].into_iter().collect());
        }
        Ok(set)
    }

    fn port(&self, port: NetworkPolicyPort, line: u32, traffic: &mut TrafficMatch) -> Result<(), Problem> {
        let NetworkPolicyPort { end_port, port, protocol } = port;
        let name = protocol.unwrap_or_else(|| "TCP".to_owned());
        let protocol = Protocol::from_name(&name).ok_or_else(|| {
            refusal(
                &self.origin,
                line,
                format!("protocol {name:?} is not known"),
                "TCP, UDP or SCTP, in capitals",
            )
        })?;
        let number = |value: i32, field: &str| {
            u16::try_from(value).ok().filter(|port| *port > 0).ok_or_else(|| {
                refusal(
                    &self.origin,
                    line,
                    format!("{field} {value} is out of range"),
                    "ports run from 1 to 65535",
                )
            })
        };
        let ports = match (port, end_port) {
            (None, None) => PortSet::all(),
            (Some(IntOrString::Int(first)), None) => {
                let first = number(first, "port")?;
                PortSet::range(first, first)
            }
            (Some(IntOrString::Int(first)), Some(last)) => {
                let (first, last) = (number(first, "port")?, number(last, "endPort")?);
                if last < first {
                    let message = format!("endPort {last} is below port {first}");
                    return Err(refusal(
                        &self.origin,
                        line,
                        message,
                        "endPort is the last port of the range",
                    ));
                }
                PortSet::range(first, last)
            }
            (Some(IntOrString::String(name)), None) => {
                if !names::is_port_name(&name) {
                    let hint = "at most 15 characters a-z, 0-9 and -, with one letter at least; \
                                a port number is written without quotes";
                    return Err(refusal(&self.origin, line, format!("{name:?} is no port name"), hint));
                }
                traffic.named.push(PortName::Container(Some(protocol), name));
                return Ok(());
            }
            (Some(IntOrString::String(_)) | None, Some(_)) => {
                let hint = "ranges are written with numbers: port: 8000, endPort: 8010";
                return Err(refusal(&self.origin, line, "endPort needs a numeric port", hint));
            }
        };
        traffic.fixed = traffic.fixed.union(&TrafficSet::of(protocol, ports));
        Ok(())
    }

    fn selector(&self, selector: LabelSelector, path: &[&str]) -> Result<Selector, Problem> {
        self.selector_at(selector, self.body.path(path).map_or(0, |node| node.line))
    }

    fn selector_at(&self, selector: LabelSelector, line: u32) -> Result<Selector, Problem> {
        label_selector(&self.origin, selector, line)
    }

    fn refuse(&self, path: &[&str], message: String, hint: &str) -> Problem {
        refusal(&self.origin, self.body.path(path).map_or(0, |node| node.line), message, hint)
    }
}

/// Reads a label selector that stands at a line, as every Kubernetes API has them.
///
/// # Errors
/// An operator, a key or values that the API server would refuse.
pub fn label_selector(origin: &Origin, selector: LabelSelector, line: u32) -> Result<Selector, Problem> {
    let LabelSelector { match_expressions, match_labels } = selector;
    let equal = |(key, value): (String, String)| Requirement::In(key, vec![value]);
    let mut requirements: Vec<Requirement> =
        match_labels.unwrap_or_default().into_iter().map(equal).collect();
    for expression in match_expressions.unwrap_or_default() {
        requirements.push(requirement(origin, expression, line)?);
    }
    requirements.sort();
    requirements.dedup();
    for requirement in &requirements {
        check_labels(origin, requirement, line)?;
    }
    Ok(Selector { requirements })
}

fn requirement(
    origin: &Origin,
    expression: LabelSelectorRequirement,
    line: u32,
) -> Result<Requirement, Problem> {
    let LabelSelectorRequirement { key, operator, values } = expression;
    let mut values = values.unwrap_or_default();
    values.sort();
    let refuse = |message: String, hint: &str| Err(refusal(origin, line, message, hint));
    match (operator.as_str(), values.is_empty()) {
        ("In", false) => Ok(Requirement::In(key, values)),
        ("NotIn", false) => Ok(Requirement::NotIn(key, values)),
        ("Exists", true) => Ok(Requirement::Exists(key)),
        ("DoesNotExist", true) => Ok(Requirement::DoesNotExist(key)),
        ("In" | "NotIn", true) => refuse(format!("{operator} needs values"), "list the values of the label"),
        ("Exists" | "DoesNotExist", false) => {
            refuse(format!("{operator} must not have values"), "remove the values")
        }
        _ => refuse(
            format!("operator {operator:?} is not known"),
            "In, NotIn, Exists or DoesNotExist, spelt exactly so",
        ),
    }
}

/// Keys and values must be such as labels can have; others match nothing and are refused.
fn check_labels(origin: &Origin, requirement: &Requirement, line: u32) -> Result<(), Problem> {
    let Some(key) = requirement.key() else { return Ok(()) };
    if !names::is_label_key(key) {
        let hint = "a label key is a name of at most 63 characters, with an optional DNS prefix and /";
        return Err(refusal(origin, line, format!("{key:?} is no label key"), hint));
    }
    let (Requirement::In(_, values) | Requirement::NotIn(_, values)) = requirement else { return Ok(()) };
    match values.iter().find(|value| !names::is_label_value(value)) {
        None => Ok(()),
        Some(value) => {
            let hint = "a label value has at most 63 characters A-Z a-z 0-9 - _ . and \
                        begins and ends with a letter or digit";
            Err(refusal(origin, line, format!("{value:?} is no label value"), hint))
        }
    }
}
