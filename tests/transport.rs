//! What clients send meets what servers accept: the graph on transport rules written by hand, so
//! that no mesh's language is in the way.

mod common;

use watertight::graph::AllowedGraph;
use watertight::inventory::{self, Inventory};
use watertight::model::{Document, ExpectedProtection, PortSet, Protocol, Selector, TrafficSet};
use watertight::policy::{
    Acceptance, Accepts, Action, Admission, Dataplane, Dialect, Direction, Holds, Isolation, Layer,
    Membership, MeshMode, Namespaces, Peer, Peers, Policy, PolicyOrder, Relay, Rule, Selection, Sending,
    Sends, ServiceChoice, Services, Target, Tier, TierRank, TrafficMatch, Transport,
};

const WORLD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: n}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: n, labels: {mesh: 'yes'}}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: n, labels: {mesh: 'yes', app: server}}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: n}
spec: {selector: {app: server}, ports: [{port: 80, targetPort: 8080}]}
";

fn meshed() -> Selection {
    Selection::pods(Namespaces::any(), Selector::equals("mesh", "yes"))
}

/// A mesh whose servers take plaintext or not, and whose clients send mesh TLS through services.
fn transport(plaintext: Admission, dialect: Dialect) -> Transport {
    let accepts = Accepts {
        plaintext,
        terminates: Some(dialect),
        advertises: Some(dialect),
        proxied: Admission::Admitted,
    };
    let (ports, why, origin) = (PortSet::all(), String::new(), None);
    let services = watertight::policy::Services {
        namespace: None,
        chosen: watertight::policy::ServiceChoice::Labelled(Selector::everything()),
    };
    Transport {
        members: vec![Membership {
            subjects: vec![meshed()],
            mode: MeshMode::IstioSidecar,
            why: why.clone(),
            origin: None,
        }],
        accepts: vec![Acceptance {
            holds: Holds::Surely,
            subjects: vec![meshed()],
            ports: ports.clone(),
            accepts,
            why: why.clone(),
            origin: None,
        }],
        sends: vec![Sending {
            subjects: vec![meshed()],
            to: Target::Service(services, None),
            ports,
            sends: Sends::IfAdvertised(dialect),
            why,
            origin,
        }],
        relays: Vec::new(),
        by_address: Vec::new(),
    }
}

fn world() -> (Inventory, Vec<Document>) {
    let documents = common::documents(WORLD);
    (inventory::read(&documents).0, documents)
}

/// The protection of one port between two pods, `None` where nothing passes.
fn protection(
    graph: &AllowedGraph,
    inventory: &Inventory,
    from: &str,
    port: u16,
) -> Option<ExpectedProtection> {
    let class = |name: &str| {
        let index = inventory.workloads.iter().position(|w| w.name.name == name).expect("a pod");
        graph.class_of(index, 0)
    };
    let edge = graph.edge(class(from), class("server"));
    if !edge.traffic.contains(Protocol::Tcp, port) {
        return None;
    }
    let mesh = edge.mesh.expect("a mesh speaks of the server");
    mesh.legs.iter().find(|leg| leg.traffic.contains(Protocol::Tcp, port)).map(|leg| leg.protection)
}

#[test]
fn each_client_gets_the_protection_that_it_can_have() {
    let (inventory, _) = world();
    let build = |plaintext| {
        let transport = transport(plaintext, Dialect::IstioMtls);
        AllowedGraph::build_with(&inventory, Vec::new(), transport, Dataplane::kubernetes())
    };
    let permissive = build(Admission::Admitted);
    let of = |from, port| protection(&permissive, &inventory, from, port);
    assert_eq!(of("client", 8080), Some(ExpectedProtection::MtlsPermissive));
    assert_eq!(of("bare", 8080), Some(ExpectedProtection::Plaintext));
    assert_eq!(of("client", 9999), Some(ExpectedProtection::Plaintext), "no service leads there");
    let strict = build(Admission::Refused);
    let of = |from, port| protection(&strict, &inventory, from, port);
    assert_eq!(of("client", 8080), Some(ExpectedProtection::MtlsStrict));
    assert_eq!(of("bare", 8080), None);
    assert_eq!(of("client", 9999), None);
}

#[test]
fn network_policy_is_asked_for_the_port_on_the_wire() {
    let (inventory, _) = world();
    let rule = |port| {
        let traffic = TrafficMatch::fixed(TrafficSet::port(Protocol::Tcp, port));
        let origin = inventory.workloads[0].origin.clone();
        let rule = Rule::new(Action::Allow, Peers::Everyone, traffic, origin.clone());
        Tier {
            layer: Layer::Network,
            direction: Direction::Ingress,
            rank: TierRank::default_tier(),
            unmatched: Action::Deny,
            policies: Policy::shared([Policy {
                subjects: vec![Selection::all_pods()],
                isolation: Isolation::Isolates,
                order: PolicyOrder::new(0.0, ""),
                rules: vec![rule],
                origin,
            }]),
        }
    };
    let build = |port| {
        let transport = transport(Admission::Admitted, Dialect::Hbone);
        AllowedGraph::build_with(&inventory, vec![rule(port)], transport, Dataplane::kubernetes())
    };
    let app_port = build(8080);
    assert_eq!(protection(&app_port, &inventory, "client", 8080), None, "the tunnel is on another port");
    assert_eq!(protection(&app_port, &inventory, "bare", 8080), Some(ExpectedProtection::Plaintext));
    let tunnel_port = build(15_008);
    assert_eq!(
        protection(&tunnel_port, &inventory, "client", 8080),
        Some(ExpectedProtection::MtlsPermissive)
    );
    assert_eq!(protection(&tunnel_port, &inventory, "bare", 8080), None);
}

#[test]
fn authorization_by_identity_needs_one_that_is_proven() {
    let (inventory, _) = world();
    let origin = inventory.workloads[0].origin.clone();
    let someone = Peer::All(vec![Peer::Endpoints(Selection::all_pods()), Peer::Authenticated]);
    let policy = |action, peers| Policy {
        subjects: vec![meshed()],
        isolation: Isolation::Isolates,
        order: PolicyOrder::new(0.0, ""),
        rules: vec![Rule::new(action, peers, TrafficMatch::all(), origin.clone())],
        origin: origin.clone(),
    };
    let tier = |name: &str, order, unmatched, policies: Vec<Policy>| Tier {
        layer: Layer::Mesh,
        direction: Direction::Ingress,
        rank: TierRank::declared(order, name),
        unmatched,
        policies: Policy::shared(policies),
    };
    let build = |tiers| {
        let transport = transport(Admission::Admitted, Dialect::IstioMtls);
        AllowedGraph::build_with(&inventory, tiers, transport, Dataplane::kubernetes())
    };
    let allow = policy(Action::Allow, Peers::Among(vec![someone.clone()]));
    let graph = build(vec![tier("allow", 2.0, Action::Deny, vec![allow])]);
    assert!(protection(&graph, &inventory, "client", 8080).is_some());
    assert_eq!(protection(&graph, &inventory, "bare", 8080), None, "plaintext has no identity");
    // The opposite matches whoever proves nothing.
    let deny = policy(Action::Deny, Peers::Among(vec![Peer::Not(Box::new(someone))]));
    let graph = build(vec![tier("deny", 1.0, Action::Pass, vec![deny])]);
    assert!(protection(&graph, &inventory, "client", 8080).is_some());
    assert_eq!(protection(&graph, &inventory, "bare", 8080), None);
}

/// The world with somebody who carries on what clients of the mesh send to the service.
fn relayed(around: Admission) -> (Inventory, Transport) {
    let world = format!(
        "{WORLD}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: between, namespace: n, labels: {{app: between}}}}\n\
         spec: {{containers: [{{name: c}}]}}\n"
    );
    let inventory = inventory::read(&common::documents(&world)).0;
    let mut transport = transport(Admission::Admitted, Dialect::Hbone);
    let between = Selection::pods(Namespaces::any(), Selector::equals("app", "between"));
    let why = "by hand".to_owned();
    let server = Services { namespace: None, chosen: ServiceChoice::Named("server".to_owned()) };
    let accepts = Accepts {
        plaintext: Admission::Refused,
        terminates: Some(Dialect::Hbone),
        advertises: Some(Dialect::Hbone),
        proxied: Admission::Admitted,
    };
    let subjects = vec![between.clone()];
    transport.members.push(Membership {
        subjects: subjects.clone(),
        mode: MeshMode::IstioGateway,
        why: why.clone(),
        origin: None,
    });
    let ports = PortSet::all();
    transport.accepts.push(Acceptance {
        holds: Holds::Surely,
        subjects: subjects.clone(),
        ports: ports.clone(),
        accepts,
        why: why.clone(),
        origin: None,
    });
    let sends = Sends::IfAdvertised(Dialect::Hbone);
    for (subjects, to) in [
        (vec![meshed()], Target::Address(Peer::Endpoints(between.clone()))),
        (subjects.clone(), Target::Anything),
    ] {
        let (ports, why) = (ports.clone(), why.clone());
        transport.sends.push(Sending { subjects, to, ports, sends, why, origin: None });
    }
    transport.relays.push(Relay {
        subjects: vec![meshed()],
        to: Target::Service(server, None),
        by: subjects,
        around,
        guards: Vec::new(),
        why,
        origin: None,
    });
    (inventory, transport)
}

#[test]
fn somebody_in_between_carries_calls_through_the_service_and_clients_may_go_around() {
    for around in [Admission::Admitted, Admission::Refused] {
        let (inventory, transport) = relayed(around);
        let graph = AllowedGraph::build_with(&inventory, Vec::new(), transport, Dataplane::kubernetes());
        let class = |name: &str| {
            graph.class_of(inventory.workloads.iter().position(|w| w.name.name == name).expect("a pod"), 0)
        };
        let edge = graph.edge(class("client"), class("server"));
        let mesh = edge.mesh.expect("a mesh speaks of the server");
        let at = |port| mesh.legs.iter().filter(move |leg| leg.traffic.contains(Protocol::Tcp, port));
        let through: Vec<_> = at(8080).filter_map(|leg| leg.via).collect();
        let strict = ExpectedProtection::MtlsStrict;
        assert_eq!(through.len(), 1, "the call through the service is carried on");
        assert_eq!(through[0].by, class("between"));
        assert_eq!(through[0].stretches, [strict, ExpectedProtection::MtlsPermissive]);
        let straight = at(8080).any(|leg| leg.via.is_none());
        assert_eq!(straight, around == Admission::Admitted, "by address, where that is possible");
        assert!(at(9999).all(|leg| leg.via.is_none()), "no service leads there");
        assert!(graph.is_intermediary(class("between")) && !graph.is_intermediary(class("server")));
    }
}

#[test]
fn what_the_way_through_denies_may_go_around() {
    let (inventory, mut transport) = relayed(Admission::Admitted);
    let origin = inventory.workloads[0].origin.clone();
    transport.relays[0].guards.push(origin.clone());
    let guard = |layer| Tier {
        layer,
        direction: Direction::Ingress,
        rank: TierRank::declared(0.0, "guard"),
        unmatched: Action::Deny,
        policies: Policy::shared([Policy {
            subjects: vec![Selection::pods(Namespaces::any(), Selector::equals("app", "between"))],
            isolation: Isolation::Isolates,
            order: PolicyOrder::new(0.0, ""),
            rules: Vec::new(),
            origin: origin.clone(),
        }]),
    };
    let build = |transport: &Transport| {
        let tiers = vec![guard(Layer::Relay)];
        AllowedGraph::build_with(&inventory, tiers, transport.clone(), Dataplane::kubernetes())
    };
    let allowed = |graph: &AllowedGraph, port| {
        let class = |name: &str| {
            graph.class_of(inventory.workloads.iter().position(|w| w.name.name == name).expect("a pod"), 0)
        };
        graph.edge(class("client"), class("server")).traffic.contains(Protocol::Tcp, port)
    };
    assert!(allowed(&build(&transport), 8080), "the guard is not asked on the way around");
    transport.relays[0].around = Admission::Refused;
    let graph = build(&transport);
    assert!(!allowed(&graph, 8080) && allowed(&graph, 9999));
}
