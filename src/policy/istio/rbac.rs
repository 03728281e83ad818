//! Authorization lowered twice: as Envoy beside a pod evaluates it, and as ztunnel does.
//!
//! The two differ in what they make of fields that they cannot see. Envoy on a TCP port drops an
//! ALLOW rule that has one and widens a DENY rule by it (`authz/model/model.go`); ztunnel removes an
//! ALLOW rule too, and a DENY rule that has nothing else left never matches (`ambient/authorization.go`).

use super::super::{Action, Isolation, Peer, Peers, Policy, PolicyOrder, PortName, Rule, Selection};
use super::super::{Speech, TrafficMatch};
use super::authorization::{self, Asked, Attribute, AuthRule, Authorization, Field};
use super::identity;
use super::mesh_config::MeshConfig;
use super::trust_domain;
use crate::model::{
    AddressRange, AddressSet, Bend, Condition, Gap, Narrowing, PortSet, Protocol, TrafficSet,
};

/// Who evaluates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluator {
    /// Envoy beside the pod, or as a gateway.
    Envoy,
    /// The same where a Sidecar may list its listeners: what services declare of a port is not what it
    /// does there.
    EnvoyOfListeners,
    /// Envoy as a waypoint: as above, but what is called is the address of a service.
    Waypoint,
    /// The proxy of the node.
    Ztunnel,
}

/// The policy as one evaluator sees it; `None` where it has no effect there.
pub fn policy(
    object: &Authorization,
    evaluator: Evaluator,
    subjects: Vec<Selection>,
    config: &MeshConfig,
    gaps: &mut Vec<Gap>,
) -> Option<Policy> {
    let action = match &object.action {
        authorization::Action::Allow => Action::Allow,
        authorization::Action::Deny => Action::Deny,
        authorization::Action::Custom(_) if evaluator != Evaluator::Ztunnel => Action::Deny,
        authorization::Action::Custom(_) | authorization::Action::Audit => return None,
    };
    if object.dry_run {
        return None;
    }
    let rules = object.rules.iter().flat_map(|rule| match evaluator {
        Evaluator::Envoy => at_envoy(object, rule, action, config, gaps),
        Evaluator::EnvoyOfListeners => {
            let rules = at_envoy(object, rule, action, config, gaps);
            rules.into_iter().filter_map(of_listeners).collect()
        }
        Evaluator::Waypoint => at_envoy(object, &on_the_way(rule), action, config, gaps),
        Evaluator::Ztunnel => at_ztunnel(object, rule, action, config, gaps),
    });
    Some(Policy {
        rules: rules.collect(),
        subjects,
        isolation: Isolation::Isolates,
        order: PolicyOrder::new(0.0, ""),
        origin: object.origin.clone(),
    })
}

/// A rule with what a waypoint sees: the address that it compares is that of a service, which is
/// kept as a condition.
fn on_the_way(rule: &AuthRule) -> AuthRule {
    let mut rule = rule.clone();
    for field in rule.clauses.iter_mut().flatten().flatten() {
        if field.of == Attribute::DestinationIp {
            field.of = Attribute::Filter("the address that is called is".to_owned());
        }
    }
    rule
}

/// A rule where nobody knows which ports are read as requests: what asks about requests may be asked
/// at each of them, and denies none as a whole.
fn of_listeners(mut rule: Rule) -> Option<Rule> {
    let bytes = PortName::Spoken(Speech::Bytes);
    if rule.traffic.named.contains(&bytes) {
        return None;
    }
    if rule.action == Action::Allow {
        rule.traffic.except.retain(|name| *name != bytes);
    }
    Some(rule)
}

fn at_envoy(
    object: &Authorization,
    rule: &AuthRule,
    action: Action,
    config: &MeshConfig,
    gaps: &mut Vec<Gap>,
) -> Vec<Rule> {
    let mut clauses = rule.clauses.clone();
    clauses.iter_mut().flatten().flatten().for_each(|field| with_all_domains(field, config));
    let misnamed = |field: &Field| field.of == Attribute::Port && !unreadable(field).is_empty();
    let wrong: Vec<String> =
        clauses.iter().flatten().flatten().filter(|f| misnamed(f)).flat_map(unreadable).collect();
    if !wrong.is_empty() {
        gaps.push(Gap {
            what: match action {
                Action::Allow => format!("ports are numbers: {} drops the rule", wrong.join(", ")),
                _ => format!("ports are numbers: {} drops the condition on ports", wrong.join(", ")),
            },
            origin: rule.origin.clone(),
            bends: Bend::MayAllowMore,
        });
        if action == Action::Allow {
            return Vec::new();
        }
        clauses.iter_mut().flatten().for_each(|fields| fields.retain(|field| !misnamed(field)));
    }
    let http = clauses.iter().flatten().flatten().any(|field| field.of.is_http());
    let custom = match &object.action {
        authorization::Action::Custom(provider) => {
            Some(Condition::Other(format!("the external authorizer {provider:?} refuses")))
        }
        _ => None,
    };
    let mut rules = Vec::new();
    for fields in combinations(&clauses) {
        let Some(mut meant) = Meant::of(&fields, object, config) else { continue };
        if let (true, Action::Deny, None) = (http && meant.ports.is_all(), action, &custom) {
            // Where requests cannot be read, what asks about them is dropped and the rest denies.
            let without: Vec<Field> = fields.iter().filter(|field| !field.of.is_http()).cloned().collect();
            if let Some(wider) = Meant::of(&without, object, config) {
                let traffic = TrafficMatch {
                    fixed: TrafficSet::none(),
                    named: vec![PortName::Spoken(Speech::Bytes)],
                    except: Vec::new(),
                };
                rules.push(wider.rule(action, traffic, rule));
            }
        }
        meant.conditions.extend(custom.clone());
        let mut traffic = TrafficMatch::fixed(TrafficSet::of(Protocol::Tcp, meant.ports.clone()));
        if http {
            traffic.except.push(PortName::Spoken(Speech::Bytes));
        }
        rules.push(meant.rule(action, traffic, rule));
    }
    rules
}

/// Whom a field names, with each name of the trust domain.
fn with_all_domains(field: &mut Field, config: &MeshConfig) {
    let expanded = match field.of {
        Attribute::Principal => trust_domain::principals,
        Attribute::TrustDomain => trust_domain::domains,
        _ => return,
    };
    for values in [&mut field.values, &mut field.not_values] {
        *values = values.iter().flat_map(|value| expanded(value, &config.trust_domains)).collect();
    }
}

fn at_ztunnel(
    object: &Authorization,
    rule: &AuthRule,
    action: Action,
    config: &MeshConfig,
    gaps: &mut Vec<Gap>,
) -> Vec<Rule> {
    use Attribute::{DestinationIp, Namespace, Port, Principal, ServiceAccount, SourceIp, TrustDomain};
    // Of conditions it knows fewer keys than of sources fields.
    let seen = |field: &Field| match field.of {
        Principal | Namespace | SourceIp | Port | DestinationIp => true,
        ServiceAccount => field.asked == Asked::Directly,
        _ => false,
    };
    let ignored = |field: &Field| field.of == TrustDomain && field.asked == Asked::Directly;
    let unseen = rule.clauses.iter().flatten().flatten().any(|field| !seen(field) && !ignored(field));
    if unseen {
        gaps.push(Gap {
            what: match action {
                Action::Allow => {
                    "ztunnel cannot see requests: it drops this rule, which allows nothing in ambient"
                }
                _ => "ztunnel cannot see requests: what this rule asks of them is dropped in ambient",
            }
            .to_owned(),
            origin: rule.origin.clone(),
            bends: Bend::MayAllowLess,
        });
        if action == Action::Allow {
            return Vec::new();
        }
    }
    let mut clauses = rule.clauses.clone();
    for clause in &mut clauses {
        for fields in clause.iter_mut() {
            for field in fields.iter_mut().filter(|field| field.of == Port) {
                field.values.retain(|value| value.parse::<u16>().is_ok());
                field.not_values.retain(|value| value.parse::<u16>().is_ok());
            }
            fields.retain(|field| seen(field) && !(field.values.is_empty() && field.not_values.is_empty()));
        }
        clause.retain(|fields| !fields.is_empty());
    }
    for field in clauses.iter_mut().flatten().flatten().filter(|field| field.of == Namespace) {
        field.of = Attribute::NamespaceName;
    }
    if clauses.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    let meant = combinations(&clauses).into_iter().filter_map(|fields| Meant::of(&fields, object, config));
    meant
        .map(|meant| {
            let traffic = TrafficMatch::fixed(TrafficSet::of(Protocol::Tcp, meant.ports.clone()));
            meant.rule(action, traffic, rule)
        })
        .collect()
}

/// Ports that are no numbers.
fn unreadable(field: &Field) -> Vec<String> {
    let all = field.values.iter().chain(&field.not_values);
    all.filter(|value| value.parse::<u16>().is_err()).map(|value| format!("{value:?}")).collect()
}

/// One match of each clause, in every combination.
fn combinations(clauses: &[Vec<Vec<Field>>]) -> Vec<Vec<Field>> {
    clauses.iter().fold(vec![Vec::new()], |all, clause| {
        let extended = all.iter().flat_map(|fields: &Vec<Field>| {
            clause.iter().map(|more| fields.iter().chain(more).cloned().collect())
        });
        extended.collect()
    })
}

/// What fields ask, sorted by who answers.
struct Meant {
    peers: Vec<Peer>,
    own: Vec<Peer>,
    ports: PortSet,
    conditions: Vec<Condition>,
}

impl Meant {
    /// `None` where nothing can match.
    fn of(fields: &[Field], object: &Authorization, config: &MeshConfig) -> Option<Meant> {
        let mut meant =
            Meant { peers: Vec::new(), own: Vec::new(), ports: PortSet::all(), conditions: Vec::new() };
        for field in fields {
            meant.add(field, object, config);
        }
        (!meant.ports.is_empty()).then_some(meant)
    }

    fn add(&mut self, field: &Field, object: &Authorization, config: &MeshConfig) {
        let sides = [(&field.values, true), (&field.not_values, false)];
        for (values, positive) in sides.into_iter().filter(|(values, _)| !values.is_empty()) {
            let signed = |peer: Peer| if positive { peer } else { Peer::Not(Box::new(peer)) };
            let worded = |what: &str, of: fn(Vec<String>) -> Condition| match positive {
                true => of(values.clone()),
                false => Condition::Other(format!("{what} other than {}", values.join(" "))),
            };
            match &field.of {
                Attribute::Principal => self.peers.push(signed(identity::principals(values, config))),
                Attribute::Namespace => self.peers.push(signed(identity::namespaces(values))),
                Attribute::NamespaceName => self.peers.push(signed(identity::namespace_names(values))),
                Attribute::ServiceAccount => {
                    self.peers.push(signed(identity::accounts(values, &object.origin.namespace)));
                }
                Attribute::TrustDomain => self.peers.push(signed(identity::trust_domains(values, config))),
                Attribute::SourceIp => self.peers.push(signed(Peer::Addresses(blocks(values)))),
                Attribute::DestinationIp => self.own.push(signed(Peer::Addresses(blocks(values)))),
                Attribute::Port => {
                    let ports = ports(values);
                    let ports = if positive { ports } else { ports.complement() };
                    self.ports = self.ports.intersection(&ports);
                }
                Attribute::Host => self.conditions.push(worded("hosts", Condition::Hosts)),
                Attribute::Method => self.conditions.push(worded("methods", Condition::Methods)),
                Attribute::Path => self.conditions.push(worded("paths", Condition::Paths)),
                Attribute::ServerName => {
                    self.conditions.push(worded("TLS server names", Condition::ServerNames));
                }
                Attribute::RemoteIp => {
                    let word = if positive { "in" } else { "outside of" };
                    let text = format!("client address as proxies tell it {word} {}", values.join(" "));
                    self.conditions.push(Condition::Other(text));
                }
                Attribute::Request(what) | Attribute::Filter(what) => {
                    let word = if positive { "one of" } else { "none of" };
                    self.conditions.push(Condition::Other(format!("{what} {word} {}", values.join(" "))));
                }
            }
        }
    }

    fn rule(self, action: Action, traffic: TrafficMatch, rule: &AuthRule) -> Rule {
        let whole = |mut parts: Vec<Peer>| match parts.len() {
            0 => Peers::Everyone,
            1 => Peers::Among(parts),
            _ => Peers::Among(vec![Peer::All(std::mem::take(&mut parts))]),
        };
        let mut conditions = self.conditions;
        conditions.sort();
        conditions.dedup();
        Rule {
            action,
            own: whole(self.own),
            peers: whole(self.peers),
            traffic,
            narrowed: (!conditions.is_empty()).then_some(Narrowing { conditions }),
            origin: rule.origin.clone(),
        }
    }
}

fn blocks(values: &[String]) -> AddressSet {
    let one = |value: &String| {
        AddressRange::from_cidr(value).or_else(|| value.parse().ok().map(AddressRange::single))
    };
    values.iter().filter_map(one).collect()
}

fn ports(values: &[String]) -> PortSet {
    let one = |value: &String| value.parse().ok().map(|port| PortSet::range(port, port));
    values.iter().filter_map(one).fold(PortSet::none(), |all, port| all.union(&port))
}
