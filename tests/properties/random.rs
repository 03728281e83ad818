//! Random clusters, small enough that everything meets everything.

use super::cluster::{
    Action, AdminPeer, AdminPolicy, AdminPort, AdminRule, Cluster, Generation, Labels, NAMESPACES, PORTS,
    Peer, Pod, Policy, Port, Rule, Stage, Term,
};
use proptest::prelude::*;
use watertight::model::Protocol;

fn labels() -> impl Strategy<Value = Labels> {
    prop::collection::btree_map("[ab]", "[xy]", 0..=2)
}

fn term() -> impl Strategy<Value = Term> {
    let operators = prop::sample::select(vec!["In", "NotIn", "Exists", "DoesNotExist"]);
    ("[ab]", operators, prop::collection::btree_set("[xyz]", 1..=2)).prop_map(|(key, operator, values)| {
        let values = if operator.ends_with("In") { values.into_iter().collect() } else { Vec::new() };
        Term { key, operator, values }
    })
}

fn terms() -> impl Strategy<Value = Vec<Term>> {
    prop::collection::vec(term(), 0..=2)
}

pub fn protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(Protocol::ALL.to_vec())
}

fn number() -> impl Strategy<Value = u16> {
    prop::sample::select(PORTS.to_vec())
}

fn peer() -> impl Strategy<Value = Peer> {
    let blocks = vec![
        ("10.0.0.0/29", None),
        ("10.0.0.0/28", Some("10.0.0.4/30")),
        ("0.0.0.0/0", Some("10.0.0.2/31")),
        ("fd00::/120", Some("fd00::4/126")),
        ("10.0.0.3/32", None),
    ];
    let block = prop::sample::select(blocks)
        .prop_map(|(cidr, except)| Peer::Block { cidr: cidr.into(), except: except.map(str::to_owned) });
    let some = |t: Vec<Term>| Some(t);
    prop_oneof![
        block,
        terms().prop_map(move |t| Peer::Pods { namespaces: None, pods: some(t) }),
        terms().prop_map(move |t| Peer::Pods { namespaces: some(t), pods: None }),
        (terms(), terms()).prop_map(move |(n, p)| Peer::Pods { namespaces: some(n), pods: some(p) }),
    ]
}

fn port() -> impl Strategy<Value = Port> {
    prop_oneof![
        protocol().prop_map(Port::Any),
        (protocol(), number()).prop_map(|(p, n)| Port::Number(p, n, None)),
        (protocol(), number(), 0_u16..400).prop_map(|(p, n, more)| Port::Number(p, n, Some(n + more))),
        (protocol(), prop::sample::select(vec!["web", "db"])).prop_map(|(p, n)| Port::Named(p, n.into())),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    (prop::collection::vec(peer(), 0..=2), prop::collection::vec(port(), 0..=2))
        .prop_map(|(peers, ports)| Rule { peers, ports })
}

fn policy() -> impl Strategy<Value = Policy> {
    let types = prop::sample::select(vec![
        None,
        Some(vec!["Ingress"]),
        Some(vec!["Egress"]),
        Some(vec!["Ingress", "Egress"]),
    ]);
    let rules = || prop::collection::vec(rule(), 0..=2);
    (0..NAMESPACES, terms(), types, rules(), rules()).prop_map(
        |(namespace, subjects, types, ingress, egress)| Policy {
            namespace,
            subjects,
            types,
            ingress,
            egress,
        },
    )
}

pub fn cluster() -> impl Strategy<Value = Cluster> {
    let ports = prop::collection::vec((prop::sample::select(vec!["web", "db"]), number(), protocol()), 0..=2);
    let pods = prop::collection::vec((0..NAMESPACES, labels(), any::<bool>(), ports), 2..=7);
    let namespaces = prop::collection::vec(labels(), NAMESPACES);
    let admin = (prop::collection::vec(admin_policy(), 0..=4), prop::option::of(baseline()));
    let policies = prop::collection::vec(policy(), 0..=5);
    (namespaces, pods, policies, admin).prop_map(|(namespaces, pods, policies, (mut admin, baseline))| {
        for (number, policy) in admin.iter_mut().enumerate() {
            policy.name = format!("{}{number}", policy.name);
        }
        admin.extend(baseline);
        let pods = pods.into_iter().enumerate().map(|(number, (namespace, labels, v4, ports))| Pod {
            namespace,
            labels,
            ip: match v4 {
                true => format!("10.0.0.{number}").parse().expect("an address"),
                false => format!("fd00::{number}").parse().expect("an address"),
            },
            ports: ports.into_iter().map(|(n, p, q)| (n.to_owned(), p, q)).collect(),
        });
        Cluster { pods: pods.collect(), namespaces, policies, admin }
    })
}

fn pod_peer() -> impl Strategy<Value = AdminPeer> {
    prop_oneof![
        terms().prop_map(AdminPeer::Namespaces),
        (terms(), terms()).prop_map(|(namespaces, pods)| AdminPeer::Pods(namespaces, pods)),
    ]
}

fn networks() -> impl Strategy<Value = AdminPeer> {
    let cidrs = vec!["10.0.0.0/29", "10.0.0.3/32", "0.0.0.0/0", "fd00::2/127", "::/0", "10.0.0.4/30"];
    prop::collection::btree_set(prop::sample::select(cidrs), 1..=2)
        .prop_map(|cidrs| AdminPeer::Networks(cidrs.into_iter().map(str::to_owned).collect()))
}

fn admin_port() -> impl Strategy<Value = AdminPort> {
    prop_oneof![
        (protocol(), number()).prop_map(|(p, n)| AdminPort::Number(p, n)),
        (protocol(), number(), 1_u16..400).prop_map(|(p, n, more)| AdminPort::Range(p, n, n + more)),
        prop::sample::select(vec!["web", "db"]).prop_map(|name| AdminPort::Named(name.to_owned())),
    ]
}

fn admin_rules(out: bool, actions: Vec<Action>) -> impl Strategy<Value = Vec<AdminRule>> {
    let peer = match out {
        true => prop_oneof![2 => pod_peer(), 1 => networks()].boxed(),
        false => pod_peer().boxed(),
    };
    let peers = prop::collection::vec(peer, 1..=2);
    let ports = prop::collection::vec(admin_port(), 0..=2);
    let rule = (prop::sample::select(actions), peers, ports).prop_map(|(action, peers, mut ports)| {
        // Networks have no named ports, and the object would be refused.
        if peers.iter().any(|peer| matches!(peer, AdminPeer::Networks(_))) {
            ports.retain(|port| !matches!(port, AdminPort::Named(_)));
        }
        AdminRule { action, peers, ports }
    });
    prop::collection::vec(rule, 0..=3)
}

const ALL_ACTIONS: [Action; 3] = [Action::Allow, Action::Deny, Action::Pass];

/// One of either generation; few priorities, so that some are equal and names decide.
fn admin_policy() -> impl Strategy<Value = AdminPolicy> {
    let kinds = vec![
        (Generation::First, Stage::Admin, "anp"),
        (Generation::Second, Stage::Admin, "cnp"),
        (Generation::Second, Stage::Baseline, "base"),
    ];
    let rules = |out| admin_rules(out, ALL_ACTIONS.to_vec());
    (prop::sample::select(kinds), 0..3_u16, pod_peer(), rules(false), rules(true)).prop_map(
        |((generation, stage, name), priority, subjects, ingress, egress)| AdminPolicy {
            stage,
            generation,
            name: name.to_owned(),
            priority,
            subjects,
            ingress,
            egress,
        },
    )
}

/// The one BaselineAdminNetworkPolicy, which has no priority and never passes.
fn baseline() -> impl Strategy<Value = AdminPolicy> {
    let rules = |out| admin_rules(out, vec![Action::Allow, Action::Deny]);
    (pod_peer(), rules(false), rules(true)).prop_map(|(subjects, ingress, egress)| AdminPolicy {
        stage: Stage::Baseline,
        generation: Generation::First,
        name: "default".to_owned(),
        priority: 0,
        subjects,
        ingress,
        egress,
    })
}
