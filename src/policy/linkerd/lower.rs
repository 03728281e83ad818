//! Linkerd → what proxies send and accept, and one tier of mesh authorization: Servers first, each
//! an allow list for its port, then the default policy for every other port.

use super::super::kubernetes::refusal;
use super::super::shapes::{self, Carrier, Choice, all};
use super::super::{
    Action, Admission, Dataplane, Direction, Isolation, Layer, Lowered, Namespaces, Peer, Peers, Policy,
    PolicyOrder, Rule, Selection, Tier, TierRank, TrafficMatch, fields,
};
use super::access::{self, Access, BlocksMatch, Grant};
use super::authorization::{self, Authentications, Authorization};
use super::carriage::{self, Guarded};
use super::membership::{self, Members, pods_of};
use super::routes::{self, Route};
use super::server::{self, Asked, Server};
use super::settings::Settings;
use super::{KINDS, said};
use crate::model::{
    Bend, Condition, Document, Gap, INBOUND_DEFAULT, Narrowing, Origin, PortSet, Protocol, TrafficSet,
};

/// Places of policies in the tier: the first that decides on a port decides alone.
const SERVERS: f64 = 10.0;
const UNSURE: f64 = 11.0;
const AUDITED: f64 = 15.0;
const NEEDING_IDENTITY: f64 = 20.0;
const DEFAULTS: f64 = 30.0;

/// Lowers all objects of the engine, and the annotations of pods and namespaces.
pub fn lower(documents: &[Document], dataplane: &Dataplane) -> Lowered {
    let mut lowered = Lowered::default();
    let shapes = shapes::shapes(documents);
    let settings = Settings::read(documents, &shapes, dataplane);
    let Some(members) = membership::read(documents, &shapes, &settings) else { return lowered };
    let objects = Objects::read(documents, &settings, &mut lowered);
    let ground = carriage::Ground { documents, shapes: &shapes, settings: &settings, members: &members };
    let blocks = if dataplane.ipblock_matches_pods { BlocksMatch::Pods } else { BlocksMatch::NoPods };
    let access = access::Ground { settings: &settings, blocks };
    let (doubts, unsure) = server::ambiguous(&objects.servers, &shapes);
    lowered.gaps.extend(doubts);
    lowered.gaps.extend(said::of_the_mesh(documents, &shapes, &settings, &members));

    let mut policies = Vec::new();
    let mut guarded = Vec::new();
    for (number, server) in objects.servers.iter().enumerate() {
        let grants = objects.grants(server);
        let served = (!grants.is_empty()) && !grants.iter().any(Grant::admits_plaintext);
        let selection =
            Selection::pods(Namespaces::Named(server.origin.namespace.to_string()), server.pods.clone());
        let sure = !unsure.contains(&number);
        guarded.push(Guarded {
            subjects: selection.clone(),
            ports: server.numbers(&shapes),
            plaintext: if served && sure { Admission::Refused } else { Admission::Admitted },
            why: match served && sure {
                true => {
                    format!("whoever is authorized for the Server {} has an identity", server.origin.name)
                }
                false => format!("the Server {} asks nobody for TLS", server.origin.name),
            },
            origin: server.origin.clone(),
        });
        let mut rules: Vec<Rule> =
            grants.iter().flat_map(|grant| grant.rules(&server.traffic(), access)).collect();
        let rest = Rule::new(Action::Deny, Peers::Everyone, server.traffic(), server.origin.clone());
        let mut subjects = selection;
        subjects.endpoints = all([subjects.endpoints, members.meshed.clone()]);
        let policy = |place, rules| Policy {
            subjects: vec![subjects.clone()],
            isolation: Isolation::Leaves,
            order: PolicyOrder::new(place, format!("{number:08}")),
            rules,
            origin: server.origin.clone(),
        };
        // Where another one may count in its place, whoever that one lets in comes first.
        if sure {
            rules.push(rest);
        } else {
            policies.push(policy(UNSURE, vec![rest]));
        }
        policies.push(policy(SERVERS, rules));
    }
    let defaults = defaults(&ground, &mut lowered.gaps);
    let needing = ground
        .port_choices(
            "config.linkerd.io/proxy-require-identity-inbound-ports",
            &PortSet::none(),
            &mut lowered.gaps,
        )
        .into_iter()
        .filter(|(_, ports)| !ports.is_empty())
        .collect::<Vec<_>>();
    policies.extend(needing.iter().map(|(choice, ports)| needing_identity(choice, ports, &members)));
    for (choice, policy) in &defaults {
        policies.push(by_default(choice, *policy, &members, &settings, access));
    }
    lowered.transport = carriage::lower(&ground, &guarded, &defaults, &needing, &mut lowered.gaps);
    lowered.tiers.push(Tier {
        layer: Layer::Mesh,
        direction: Direction::Ingress,
        rank: TierRank::declared(0.0, "linkerd"),
        unmatched: Action::Deny,
        policies: Policy::shared(policies),
    });
    lowered
}

/// The default policies: the pod's annotation, its namespace's, or the control plane's.
fn defaults(ground: &carriage::Ground<'_>, gaps: &mut Vec<Gap>) -> Vec<(Choice, Access)> {
    const KEY: &str = "config.linkerd.io/default-inbound-policy";
    let choices = shapes::choices(ground.documents, ground.shapes, KEY, Carrier::PodOrNamespace);
    let mut found = Vec::new();
    for choice in choices {
        let policy = choice.value.as_deref().map(Access::parse);
        let place = choice.origin.as_ref().unwrap_or(&ground.members.origin);
        let mut say = |what: String| {
            gaps.push(Gap { what, origin: place.clone(), bends: Bend::MayAllowMore });
        };
        if policy == Some(None) {
            let value = choice.value.as_deref().unwrap_or_default();
            say(format!("{value:?} is no inbound policy: the default of the cluster holds"));
        }
        let policy = policy.flatten().unwrap_or(ground.settings.default_policy);
        if policy == Access::Audit {
            say("the inbound policy audit lets everybody in and writes a line: it segments nothing"
                .to_owned());
        }
        found.push((choice, policy));
    }
    found
}

fn tcp(ports: &PortSet) -> TrafficMatch {
    TrafficMatch::fixed(TrafficSet::of(Protocol::Tcp, ports.clone()))
}

fn place<'a>(choice: &'a Choice, members: &'a Members) -> &'a Origin {
    choice.origin.as_ref().unwrap_or(&members.origin)
}

fn needing_identity(choice: &Choice, ports: &PortSet, members: &Members) -> Policy {
    let origin = place(choice, members);
    let unknown = Peers::Among(vec![Peer::Not(Box::new(Peer::Authenticated))]);
    Policy {
        subjects: vec![pods_of(all([members.meshed.clone(), choice.pods.clone()]))],
        isolation: Isolation::Leaves,
        order: PolicyOrder::new(NEEDING_IDENTITY, choice.value.clone().unwrap_or_default()),
        rules: vec![Rule::new(Action::Deny, unknown, tcp(ports), origin.clone())],
        origin: origin.clone(),
    }
}

fn by_default(
    choice: &Choice,
    policy: Access,
    members: &Members,
    settings: &Settings,
    ground: access::Ground<'_>,
) -> Policy {
    let said = choice.origin.as_ref().or(settings.origin.as_ref());
    let origin = said.cloned().unwrap_or_else(|| members.origin.of_default(INBOUND_DEFAULT, policy.name()));
    let rules = policy.grant(&origin).map(|grant| grant.rules(&tcp(&PortSet::all()), ground));
    Policy {
        subjects: vec![pods_of(all([members.meshed.clone(), choice.pods.clone()]))],
        isolation: Isolation::Isolates,
        order: PolicyOrder::new(if policy == Access::Audit { AUDITED } else { DEFAULTS }, policy.name()),
        rules: rules.unwrap_or_default(),
        origin,
    }
}

/// The objects of the mesh, read.
#[derive(Default)]
struct Objects {
    servers: Vec<Server>,
    authorizations: Vec<Authorization>,
    routes: Vec<Route>,
}

impl Objects {
    /// Authentications first, since authorizations refer to them.
    fn read(documents: &[Document], settings: &Settings, lowered: &mut Lowered) -> Objects {
        let (mut objects, mut known) = (Objects::default(), Authentications::default());
        let mut later = Vec::new();
        for document in documents {
            let Some(kind) = fields::kind_of(KINDS, document) else { continue };
            let key = (document.origin.namespace.to_string(), document.origin.name.to_string());
            let is_gateway_api = document.api_version.starts_with("gateway.networking.k8s.io/");
            if !is_gateway_api {
                lowered.gaps.extend(fields::doubts(kind, document));
            }
            match kind.name {
                "MeshTLSAuthentication" => {
                    let who = authorization::mesh_tls(document, settings, &mut lowered.gaps);
                    known.mesh.insert(key, who);
                }
                "NetworkAuthentication" => {
                    let blocks = document.body.get("spec").map_or(&[][..], |spec| spec.items_of("networks"));
                    let origin = &document.origin;
                    let read = match blocks {
                        [] => {
                            let hint = "list the blocks that clients may call from";
                            Err(refusal(origin, document.body.line, "spec.networks is empty", hint))
                        }
                        blocks => authorization::networks(origin, blocks),
                    };
                    match read {
                        Ok(set) => drop(known.networks.insert(key, set)),
                        Err(problem) => lowered.problems.push(problem),
                    }
                }
                "Server" => match server::read(document) {
                    Ok(server) => objects.servers.extend(server),
                    Err(problem) => lowered.problems.push(problem),
                },
                "HTTPRoute" | "GRPCRoute" => objects.routes.extend(routes::read(document)),
                "ServerAuthorization" | "AuthorizationPolicy" => later.push((kind.name, document)),
                _ => {}
            }
        }
        for (kind, document) in later {
            let read = match kind {
                "ServerAuthorization" => {
                    authorization::server_authorization(document, settings, &mut lowered.gaps)
                }
                _ => authorization::authorization_policy(document, &known, &mut lowered.gaps),
            };
            match read {
                Ok(one) => objects.authorizations.extend(one),
                Err(problem) => lowered.problems.push(problem),
            }
        }
        server::sort(&mut objects.servers);
        objects
    }

    /// Everybody who is let in at a Server: a pure allow list.
    fn grants(&self, server: &Server) -> Vec<Grant> {
        let whole = self.authorizations.iter().filter(|one| one.covers(server)).map(|one| one.grant.clone());
        let whole: Vec<Grant> = whole.chain(server.access.grant(&server.origin)).collect();
        let attached: Vec<&Route> = self.routes.iter().filter(|route| route.is_attached(server)).collect();
        if attached.is_empty() {
            return whole;
        }
        let narrow = |grant: &Grant, route: &Route| -> Vec<Grant> {
            match &route.narrowed[..] {
                [] => vec![grant.clone()],
                some => {
                    some.iter().map(|one| Grant { narrowed: Some(one.clone()), ..grant.clone() }).collect()
                }
            }
        };
        let mut grants: Vec<Grant> =
            attached.iter().flat_map(|route| whole.iter().flat_map(|grant| narrow(grant, route))).collect();
        if server.asked == Asked::Anything {
            let no_http = || {
                Narrowing::on(Condition::Other("what is no HTTP, which no route is asked about".to_owned()))
            };
            grants.extend(whole.iter().map(|grant| Grant { narrowed: Some(no_http()), ..grant.clone() }));
        }
        for route in &attached {
            let of_route = self.authorizations.iter().filter(|one| one.is_about(route));
            grants.extend(of_route.flat_map(|one| narrow(&one.grant, route)));
        }
        grants
    }
}
