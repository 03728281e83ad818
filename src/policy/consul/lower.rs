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
use super::intentions::{self, Intention, Standing, Verdict};
use super::membership::{self, Members, pods_of};
use super::said;
use super::services::Names;
use super::settings::{DefaultPolicy, Settings, Switch};
use crate::model::{
    Bend, Condition, Document, Gap, INTENTION_DEFAULT, Narrowing, Node, Origin, PortSet, Protocol, Selector,
    TrafficSet,
};

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
                Ok(read) => list.extend(standing(read, &defaults, document, &mut lowered.gaps)),
                Err(problem) => lowered.problems.push(problem),
            }
        }
    }
    lowered.gaps.extend(said::of_the_mesh(documents, &shapes, &settings, &members));
    let permissive = permissive(&ground, &defaults);
    let mut policies: Vec<Policy> = permissive.iter().map(|one| unprotected(one, &members)).collect();
    let mut asked: Vec<(Option<String>, Policy)> = Vec::new();
    let scene = Scene { ground: &ground, settings: &settings, defaults: &defaults, list: &list };
    for intention in &list {
        let policies = lowered_intention(intention, &scene);
        asked.extend(policies.into_iter().map(|policy| (intention.destination.clone(), policy)));
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

/// What the intentions are lowered with.
struct Scene<'a> {
    ground: &'a Ground<'a>,
    settings: &'a Settings,
    defaults: &'a Defaults,
    list: &'a [Intention],
}

impl Scene<'_> {
    fn default(&self) -> Action {
        match self.settings.default {
            DefaultPolicy::Allow => Action::Allow,
            DefaultPolicy::Deny => Action::Deny,
        }
    }

    /// Where what an intention lets in comes before those that are less exact about the source;
    /// `None` where it is in its place already, or where proxies get a list of those who are kept out.
    fn before_all(&self, precedence: u8) -> Option<f64> {
        let may_deny = self.settings.default == DefaultPolicy::Deny || self.settings.known == Switch::Off;
        let about_all = precedence <= 6;
        match precedence % 3 {
            0 if may_deny && about_all => Some(1.5),
            2 if may_deny && about_all && self.list.iter().any(|other| other.precedence == 7) => Some(2.5),
            _ => None,
        }
    }
}

/// The intentions of one object, with a word where the servers refuse it: permissions for a service
/// whose requests they cannot read (`C:agent/consul/state/config_entry.go`), or what is malformed.
fn standing(
    mut read: Vec<Intention>,
    defaults: &Defaults,
    document: &Document,
    gaps: &mut Vec<Gap>,
) -> Vec<Intention> {
    let sources = document.body.path(&["spec", "sources"]).map_or(&[][..], Node::items);
    let permissions = sources.iter().any(|source| !source.items_of("permissions").is_empty());
    let service = read.first().and_then(|one| one.destination.as_deref());
    if permissions && !defaults.takes_permissions(service) {
        let why = "permissions need a service whose protocol is http, http2 or grpc in its ServiceDefaults, or in \
                   ProxyDefaults where it has none; it is tcp where neither says anything";
        read.iter_mut().for_each(|one| one.standing = Standing::Refused(why));
    }
    if let Some(Standing::Refused(why)) = read.first().map(|one| &one.standing) {
        let what = format!(
            "Consul refuses the whole object ({why}): none of its intentions keeps anybody out, and who they \
             would let in is shown as open in part"
        );
        gaps.push(Gap { what, origin: document.origin.clone(), bends: Bend::MayAllowLess });
    }
    read
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

/// The default that a policy is, by name.
fn assumed(policy: &DefaultPolicy, members: &Members) -> Origin {
    let name = match policy {
        DefaultPolicy::Allow => "allow",
        DefaultPolicy::Deny => "deny",
    };
    members.origin.of_default(INTENTION_DEFAULT, name)
}

fn by_default(settings: &Settings, members: &Members) -> Policy {
    let origin = settings.default_origin.clone().unwrap_or_else(|| assumed(&settings.default, members));
    let allow = Rule::new(Action::Allow, Peers::Everyone, tcp(&PortSet::all()), origin.clone());
    Policy {
        subjects: vec![pods_of(members.meshed.clone())],
        isolation: Isolation::Isolates,
        order: PolicyOrder::new(LAST, "default"),
        rules: match settings.default {
            DefaultPolicy::Allow => vec![allow],
            DefaultPolicy::Deny => Vec::new(),
        },
        origin,
    }
}

/// The policies of one intention, each deciding alone where it matches.
///
/// Proxies get lists of sources, not an order (`C:agent/xds/rbac.go`, `removeSourcePrecedence`): from a
/// list of those who are let in, a source is taken out for an intention that comes first only where
/// that intention names its source more exactly. So what lets in a service by name stands, whatever
/// comes first for all services.
fn lowered_intention(intention: &Intention, scene: &Scene<'_>) -> Vec<Policy> {
    let Intention { destination, source, precedence, token, origin, .. } = intention;
    let (ground, meshed) = (scene.ground, &scene.ground.members.meshed);
    let speaks_http = |name: Option<&str>| scene.defaults.speaks_http(name);
    // A token is asked for by service, so an intention for all of them is not the same for each.
    let apart = token.is_some() && destination.is_none();
    let of_all = speaks_http(None);
    let pods = |name: &str| ground.names.pods(name, meshed);
    let (like_all, others): (Vec<&str>, Vec<&str>) =
        ground.names.all().partition(|name| speaks_http(Some(name)) == of_all);
    let others: Vec<&str> = others.into_iter().filter(|_| apart).collect();
    let early = if others.is_empty() { Vec::new() } else { like_all.into_iter().flat_map(pods).collect() };
    let whole = match destination {
        Some(name) => (pods(name), speaks_http(Some(name))),
        None => (vec![pods_of(meshed.clone())], of_all),
    };
    let other = (others.into_iter().flat_map(pods).collect::<Vec<_>>(), !of_all);
    let peers = match source {
        None => vec![Peer::Authenticated],
        Some(name) => proven(ground.names.pods(name, &Selector::everything())),
    };
    let mut policies = Vec::new();
    let parts = [(other, -0.01), (whole, 0.0)].into_iter().filter(|((subjects, _), _)| !subjects.is_empty());
    for ((subjects, http), before) in parts {
        let rules = steps(intention, scene, http).into_iter().map(|(action, narrowed, place)| Rule {
            narrowed,
            ..Rule::new(action, Peers::Among(peers.clone()), tcp(&PortSet::all()), place)
        });
        let rules: Vec<Rule> = rules.collect();
        let policy = |rank: f64, rules| Policy {
            subjects: subjects.clone(),
            isolation: Isolation::Leaves,
            order: PolicyOrder::new(
                rank + before,
                format!("{}/{}", source.as_deref().unwrap_or("*"), origin.name),
            ),
            rules,
            origin: origin.clone(),
        };
        if let Some(rank) = scene.before_all(*precedence) {
            let letting_in: Vec<Rule> = rules.iter().filter(|r| r.action == Action::Allow).cloned().collect();
            let mut first = policy(rank, letting_in);
            if http == of_all && !early.is_empty() {
                first.subjects.clone_from(&early);
            }
            policies.push(first);
        }
        policies.push(policy(10.0 - f64::from(*precedence), rules));
    }
    policies
}

/// What an intention does, step by step. A token is asked for only where something else happens
/// than by default, and only of requests.
fn steps(intention: &Intention, scene: &Scene<'_>, http: bool) -> Vec<(Action, Option<Narrowing>, Origin)> {
    let Intention { verdict, narrowed, token, standing, origin, .. } = intention;
    let default = scene.default();
    let under = |action: Action, conditions: Vec<Condition>, place: &Origin| {
        let all = narrowed.iter().flat_map(|narrowed| narrowed.conditions.clone()).chain(conditions);
        let all = all.fold(None, |sum: Option<Narrowing>, condition| match sum {
            Some(sum) => Some(sum.and(condition)),
            None => Some(Narrowing::on(condition)),
        });
        (action, all, place.clone())
    };
    let asked = |action: Action, tokens: &[&Option<Condition>]| -> Vec<Condition> {
        let tokens = tokens.iter().filter(|_| http && action != default);
        tokens.filter_map(|token| (*token).clone()).collect()
    };
    let mut steps: Vec<(Action, Option<Narrowing>, Origin)> = match verdict {
        Verdict::Whole(action) => vec![under(*action, asked(*action, &[token]), origin)],
        Verdict::ByRequest(permissions) => permissions
            .iter()
            .map(|p| {
                let tokens = asked(p.action, &[token, &p.token]);
                under(p.action, p.requests.conditions.iter().cloned().chain(tokens).collect(), &p.origin)
            })
            .collect(),
    };
    // What lets in some of what is let in anyway is no step of its own.
    steps.retain(|(action, narrowed, _)| {
        narrowed.is_none() || (*action, default) != (Action::Allow, Action::Allow)
    });
    if *standing != Standing::InForce {
        // Refused or not, nobody is kept out for certain, and who would be let in may be.
        steps.retain(|(action, ..)| *action == Action::Allow);
        let doubt = || Condition::Other("Consul takes the object".to_owned());
        return steps
            .into_iter()
            .map(|(action, narrowed, place)| {
                let narrowed =
                    narrowed.map_or_else(|| Narrowing::on(doubt()), |narrowed| narrowed.and(doubt()));
                (action, Some(narrowed), place)
            })
            .collect();
    }
    steps.push(under(default, Vec::new(), origin));
    steps
}

fn proven(pods: Vec<Selection>) -> Vec<Peer> {
    pods.into_iter().map(|pods| Peer::All(vec![Peer::Endpoints(pods), Peer::Authenticated])).collect()
}
