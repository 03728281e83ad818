//! Consul → what proxies send and accept, and one tier of mesh authorization: intentions by their
//! precedence, each deciding alone, then the default policy.

use super::super::shapes;
use super::super::{
    Action, Dataplane, Direction, Isolation, Layer, Lowered, Peer, Peers, Policy, PolicyOrder, Rule,
    Selection, Tier, TierRank, TrafficMatch, fields,
};
use super::KINDS;
use super::carriage::{self, Ground, Permissive};
use super::defaults::Defaults;
use super::gateways;
use super::intentions::{self, Intention, Verdict};
use super::membership::{self, Members, pods_of};
use super::said;
use super::services::Names;
use super::settings::{DefaultPolicy, Settings, Switch};
use crate::model::{Bend, Document, Gap, Narrowing, Origin, PortSet, Protocol, Selector, TrafficSet};

/// What takes plaintext comes before every intention; the default after all of them.
const UNPROTECTED: f64 = 0.0;
const LAST: f64 = 100.0;

/// Lowers all objects of the engine, and the annotations of pods.
pub fn lower(documents: &[Document], dataplane: &Dataplane) -> Lowered {
    let mut lowered = Lowered::default();
    let shapes = shapes::shapes(documents);
    let settings = Settings::read(documents, &shapes, dataplane);
    let Some(members) = membership::read(documents, &shapes, &settings) else { return lowered };
    let names = Names::read(documents, &shapes);
    let ground = Ground { documents, shapes: &shapes, members: &members, names: &names };
    let defaults = Defaults::read(documents);
    let mut list: Vec<Intention> = Vec::new();
    for document in documents {
        let Some(kind) = fields::kind_of(KINDS, document) else { continue };
        lowered.gaps.extend(fields::doubts(kind, document));
        if kind.name == "ServiceIntentions" {
            match intentions::read(document, &mut lowered.gaps) {
                Ok(read) => list.extend(read),
                Err(problem) => lowered.problems.push(problem),
            }
        }
    }
    lowered.gaps.extend(said::of_the_mesh(documents, &shapes, &settings, &members));
    let permissive = permissive(&ground, &defaults);
    let mut policies: Vec<Policy> = permissive.iter().map(|one| unprotected(one, &members)).collect();
    let mut asked: Vec<(Option<String>, Policy)> = Vec::new();
    for intention in &list {
        let policy = lowered_intention(intention, &ground, &settings, &defaults, &mut lowered.gaps);
        asked.push((intention.destination.clone(), policy));
    }
    asked.push((None, by_default(&settings, &members)));
    policies.extend(asked.iter().map(|(_, policy)| policy.clone()));
    lowered.transport = carriage::lower(&ground, &permissive, defaults.direct(), &mut lowered.gaps);
    if members.gateways == Switch::On {
        let linked = gateways::linked(documents);
        gateways::lower(&members.transparent, &linked, &asked, &mut lowered.transport);
        let held = |(_, policy): (Option<String>, Policy)| Policy {
            subjects: linked.iter().map(gateways::Linked::pods).collect(),
            ..policy
        };
        if !linked.is_empty() {
            lowered.tiers.push(tier(Layer::Relay, asked.into_iter().map(held).collect()));
        }
    }
    lowered.tiers.push(tier(Layer::Mesh, policies));
    lowered
}

fn tier(layer: Layer, policies: Vec<Policy>) -> Tier {
    let rank = TierRank::declared(0.0, "consul");
    Tier {
        layer,
        direction: Direction::Ingress,
        rank,
        unmatched: Action::Deny,
        policies: Policy::shared(policies),
    }
}

/// Pods that take plaintext beside mTLS, where intentions say nothing of it.
fn permissive(ground: &Ground<'_>, defaults: &Defaults) -> Vec<Permissive> {
    let mut list = Vec::new();
    for name in ground.names.all() {
        let Some(origin) = defaults.permissive(name) else { continue };
        list.push(Permissive {
            subjects: ground.names.pods(name, &ground.members.transparent),
            ports: ground.names.ports(name),
            why: format!("the service {name} still takes plaintext (mutualTLSMode permissive)"),
            origin: Some(origin.clone()),
        });
    }
    list.push(carriage::unprotected(ground));
    list
}

fn tcp(ports: &PortSet) -> TrafficMatch {
    TrafficMatch::fixed(TrafficSet::of(Protocol::Tcp, ports.clone()))
}

fn unprotected(one: &Permissive, members: &Members) -> Policy {
    let origin = one.origin.as_ref().unwrap_or(&members.origin);
    let without = Peers::Among(vec![Peer::Not(Box::new(Peer::Authenticated))]);
    Policy {
        subjects: one.subjects.clone(),
        isolation: Isolation::Leaves,
        order: PolicyOrder::new(UNPROTECTED, one.why.clone()),
        rules: vec![Rule::new(Action::Allow, without, tcp(&one.ports), origin.clone())],
        origin: origin.clone(),
    }
}

fn by_default(settings: &Settings, members: &Members) -> Policy {
    let origin = settings.default_origin.as_ref().unwrap_or(&members.origin);
    let allow = Rule::new(Action::Allow, Peers::Everyone, tcp(&PortSet::all()), origin.clone());
    Policy {
        subjects: vec![pods_of(members.meshed.clone())],
        isolation: Isolation::Isolates,
        order: PolicyOrder::new(LAST, "default"),
        rules: match settings.default {
            DefaultPolicy::Allow => vec![allow],
            DefaultPolicy::Deny => Vec::new(),
        },
        origin: origin.clone(),
    }
}

fn lowered_intention(
    intention: &Intention,
    ground: &Ground<'_>,
    settings: &Settings,
    defaults: &Defaults,
    gaps: &mut Vec<Gap>,
) -> Policy {
    let Intention { destination, source, precedence, verdict, narrowed, origin } = intention;
    let meshed = &ground.members.meshed;
    let subjects = match destination {
        Some(name) => ground.names.pods(name, meshed),
        None => vec![pods_of(meshed.clone())],
    };
    let peers = match source {
        None => vec![Peer::Authenticated],
        Some(name) => proven(ground.names.pods(name, &Selector::everything())),
    };
    let rule = |action, narrowed: Option<Narrowing>, place: &Origin| {
        let rule = Rule::new(action, Peers::Among(peers.clone()), tcp(&PortSet::all()), place.clone());
        Rule { narrowed, ..rule }
    };
    let both = |requests: &Narrowing| {
        let more = narrowed.iter().flat_map(|narrowed| narrowed.conditions.clone());
        more.fold(requests.clone(), Narrowing::and)
    };
    let rules = match verdict {
        Verdict::Whole(action) => vec![rule(*action, narrowed.clone(), origin)],
        Verdict::ByRequest(permissions) if defaults.speaks_http(destination.as_deref()) => {
            let each = permissions.iter().map(|p| rule(p.action, Some(both(&p.requests)), &p.origin));
            let rest = match settings.default {
                DefaultPolicy::Allow => Action::Allow,
                DefaultPolicy::Deny => Action::Deny,
            };
            each.chain([rule(rest, narrowed.clone(), origin)]).collect()
        }
        // Permissions on a service of another protocol deny the source (`C:agent/xds/rbac.go`).
        Verdict::ByRequest(_) => {
            let what = "permissions have no meaning where the protocol of the service is tcp, which it is unless \
                        ServiceDefaults or ProxyDefaults say http, http2 or grpc: the source is denied";
            gaps.push(Gap { what: what.to_owned(), origin: origin.clone(), bends: Bend::MayAllowMore });
            vec![rule(Action::Deny, narrowed.clone(), origin)]
        }
    };
    let rank = 10.0 - f64::from(*precedence);
    Policy {
        subjects,
        isolation: Isolation::Leaves,
        order: PolicyOrder::new(rank, format!("{}/{}", source.as_deref().unwrap_or("*"), origin.name)),
        rules,
        origin: origin.clone(),
    }
}

fn proven(pods: Vec<Selection>) -> Vec<Peer> {
    pods.into_iter().map(|pods| Peer::All(vec![Peer::Endpoints(pods), Peer::Authenticated])).collect()
}
