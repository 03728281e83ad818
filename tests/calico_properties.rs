//! Law: on random clusters the graph equals a naive evaluator of Calico, packet by packet.
//!
//! The naive evaluator walks tiers, policies and rules as the prose of the page says; it knows no
//! classes, no traffic sets and no lowered rules, and reads its own structures, never the YAML.

use proptest::prelude::*;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use watertight::analysis;
use watertight::model::Protocol;
use watertight::policy::{Dataplane, DataplaneKind};
use watertight::source;

#[derive(Clone, Debug)]
struct Pod {
    namespace: usize,
    app: usize,
    tier: Option<usize>,
    account: usize,
    ip: Ipv4Addr,
}

/// A selector, as text and as a closure would be: one term, maybe negated, maybe with another.
#[derive(Clone, Debug)]
enum Term {
    All,
    App(usize),
    NotApp(usize),
    HasTier,
    NoTier,
    TierIs(usize),
    Either(usize, usize),
    BothOf(Box<Term>, Box<Term>),
    OneOf(Box<Term>, Box<Term>),
    Not(Box<Term>),
}

#[derive(Clone, Debug)]
struct Entity {
    selector: Option<Term>,
    not_selector: Option<Term>,
    namespaces: Option<usize>,
    account: Option<usize>,
    net: Option<(u8, bool)>,
}

#[derive(Clone, Debug)]
struct Rule {
    action: &'static str,
    protocol: Option<Protocol>,
    ports: Option<(u16, u16)>,
    not_ports: bool,
    source: Entity,
    destination: Entity,
}

#[derive(Clone, Debug)]
struct Policy {
    namespace: Option<usize>,
    of_namespaces: Option<usize>,
    tier: usize,
    order: Option<i32>,
    selector: Term,
    types: u8,
    ingress: Vec<Rule>,
    egress: Vec<Rule>,
}

/// Name, order, whether it passes at its end; the last one does not exist.
const TIERS: &[(&str, f64, bool)] = &[
    ("early", 10.0, false),
    ("passing", 20.0, true),
    ("default", 1_000_000.0, false),
    ("late", 2_000_000.0, false),
    ("ghost", f64::INFINITY, false),
];

fn term() -> impl Strategy<Value = Term> {
    let leaf = prop_oneof![
        Just(Term::All),
        (0..3_usize).prop_map(Term::App),
        (0..3_usize).prop_map(Term::NotApp),
        Just(Term::HasTier),
        Just(Term::NoTier),
        (0..2_usize).prop_map(Term::TierIs),
        (0..3_usize, 0..3_usize).prop_map(|(a, b)| Term::Either(a, b)),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Term::BothOf(Box::new(a), Box::new(b))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Term::OneOf(Box::new(a), Box::new(b))),
            inner.prop_map(|a| Term::Not(Box::new(a))),
        ]
    })
}

fn entity() -> impl Strategy<Value = Entity> {
    (
        proptest::option::weighted(0.4, term()),
        proptest::option::weighted(0.15, term()),
        proptest::option::weighted(0.2, 0..2_usize),
        proptest::option::weighted(0.15, 0..2_usize),
        proptest::option::weighted(0.2, (0..4_u8, any::<bool>())),
    )
        .prop_map(|(selector, not_selector, namespaces, account, net)| Entity {
            selector,
            not_selector,
            namespaces,
            account,
            net,
        })
}

fn rule() -> impl Strategy<Value = Rule> {
    (
        prop_oneof![Just("Allow"), Just("Allow"), Just("Deny"), Just("Pass"), Just("Log")],
        proptest::option::of(prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)]),
        proptest::option::of((78..82_u16, 0..3_u16)),
        any::<bool>(),
        entity(),
        entity(),
    )
        .prop_map(|(action, protocol, ports, not_ports, source, destination)| Rule {
            action,
            protocol,
            ports: ports.filter(|_| protocol.is_some()).map(|(first, more)| (first, first + more)),
            not_ports,
            source,
            destination,
        })
}

fn policy() -> impl Strategy<Value = Policy> {
    (
        proptest::option::of(0..2_usize),
        proptest::option::weighted(0.3, 0..2_usize),
        0..TIERS.len(),
        proptest::option::of(-2..3_i32),
        term(),
        1..4_u8,
        proptest::collection::vec(rule(), 0..4),
        proptest::collection::vec(rule(), 0..4),
    )
        .prop_map(|(namespace, of_namespaces, tier, order, selector, types, ingress, egress)| Policy {
            namespace,
            of_namespaces: of_namespaces.filter(|_| namespace.is_none()),
            tier,
            order,
            selector,
            types,
            ingress,
            egress,
        })
}

fn pod() -> impl Strategy<Value = Pod> {
    (0..2_usize, 0..3_usize, proptest::option::of(0..2_usize), 0..2_usize, any::<[u8; 2]>()).prop_map(
        |(namespace, app, tier, account, [a, b])| Pod {
            namespace,
            app,
            tier,
            account,
            ip: Ipv4Addr::new(10, a % 4, b, 1),
        },
    )
}

impl Term {
    fn text(&self) -> String {
        match self {
            Term::All => "all()".to_owned(),
            Term::App(app) => format!("app == 'a{app}'"),
            Term::NotApp(app) => format!("app != \"a{app}\""),
            Term::HasTier => "has(tier)".to_owned(),
            Term::NoTier => "!has( tier )".to_owned(),
            Term::TierIs(tier) => format!("tier ends with '{tier}'"),
            Term::Either(a, b) => format!("app in {{'a{a}', 'a{b}'}}"),
            Term::BothOf(a, b) => format!("({}) && ({})", a.text(), b.text()),
            Term::OneOf(a, b) => format!("({}) || ({})", a.text(), b.text()),
            Term::Not(inner) => format!("!({})", inner.text()),
        }
    }

    fn fits(&self, pod: &Pod) -> bool {
        match self {
            Term::All => true,
            Term::App(app) => pod.app == *app,
            Term::NotApp(app) => pod.app != *app,
            Term::HasTier => pod.tier.is_some(),
            Term::NoTier => pod.tier.is_none(),
            Term::TierIs(tier) => pod.tier == Some(*tier),
            Term::Either(a, b) => pod.app == *a || pod.app == *b,
            Term::BothOf(a, b) => a.fits(pod) && b.fits(pod),
            Term::OneOf(a, b) => a.fits(pod) || b.fits(pod),
            Term::Not(inner) => !inner.fits(pod),
        }
    }
}

/// One end of a packet: a pod, or an address outside.
#[derive(Clone, Copy)]
enum End<'a> {
    Pod(&'a Pod),
    Outside(Ipv4Addr),
}

impl Entity {
    /// The fields as a flow mapping, with further ones.
    fn text(&self, more: Option<String>) -> String {
        let quoted = |term: &Term| format!("'{}'", term.text().replace('\'', "''"));
        let net = |(net, positive): (u8, bool)| {
            format!("{}: [10.{net}.0.0/16, \"fd00::/8\"]", if positive { "nets" } else { "notNets" })
        };
        let parts = [
            self.selector.as_ref().map(|term| format!("selector: {}", quoted(term))),
            self.not_selector.as_ref().map(|term| format!("notSelector: {}", quoted(term))),
            self.namespaces.map(|namespace| format!("namespaceSelector: \"team == 't{namespace}'\"")),
            self.account.map(|account| format!("serviceAccounts: {{names: [s{account}]}}")),
            self.net.map(net),
            more,
        ];
        format!("{{{}}}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }

    fn fits(&self, end: End<'_>, own: Option<usize>) -> bool {
        let ip = match end {
            End::Pod(pod) => pod.ip,
            End::Outside(ip) => ip,
        };
        if let Some((net, positive)) = self.net {
            let [first, second, ..] = ip.octets();
            if (first == 10 && second == net) != positive {
                return false;
            }
        }
        let Entity { selector, not_selector, namespaces, account, net: _ } = self;
        let positive = selector.is_some() || account.is_some() || namespaces.is_some();
        let bound = own.filter(|_| positive || not_selector.is_some()).filter(|_| namespaces.is_none());
        let pod = match end {
            End::Outside(_) => return !positive && bound.is_none(),
            End::Pod(pod) => pod,
        };
        selector.as_ref().is_none_or(|term| term.fits(pod))
            && namespaces.is_none_or(|namespace| pod.namespace == namespace)
            && account.is_none_or(|account| pod.account == account)
            && bound.is_none_or(|namespace| pod.namespace == namespace)
            && not_selector.as_ref().is_none_or(|term| !term.fits(pod))
    }
}

impl Rule {
    fn text(&self) -> String {
        let field = if self.not_ports { "notPorts" } else { "ports" };
        let ports = self.ports.map(|(first, last)| format!("{field}: [\"{first}:{last}\"]"));
        let protocol = self.protocol.map_or_else(String::new, |protocol| format!(", protocol: {protocol}"));
        let (source, destination) = (self.source.text(None), self.destination.text(ports));
        format!("{{action: {}{protocol}, source: {source}, destination: {destination}}}", self.action)
    }

    fn fits(&self, packet: &Packet<'_>, own: Option<usize>) -> bool {
        let within = |(first, last): (u16, u16)| (first..=last).contains(&packet.port) != self.not_ports;
        self.protocol.is_none_or(|protocol| protocol == packet.protocol)
            && self.ports.is_none_or(within)
            && self.source.fits(packet.from, own)
            && self.destination.fits(packet.to, own)
    }
}

impl Policy {
    fn text(&self, number: usize) -> String {
        let Policy { namespace, of_namespaces, tier, order, selector, types, ingress, egress } = self;
        let mut text = String::from("---\napiVersion: crd.projectcalico.org/v1\n");
        let _ = match namespace {
            Some(name) => {
                write!(text, "kind: NetworkPolicy\nmetadata: {{name: p{number:02}, namespace: x{name}}}\n")
            }
            None => write!(text, "kind: GlobalNetworkPolicy\nmetadata: {{name: p{number:02}}}\n"),
        };
        let _ = write!(
            text,
            "spec:\n  tier: {}\n  selector: '{}'\n",
            TIERS[*tier].0,
            selector.text().replace('\'', "''")
        );
        if let Some(order) = order {
            let _ = writeln!(text, "  order: {order}");
        }
        if let Some(namespace) = of_namespaces {
            let _ = writeln!(text, "  namespaceSelector: \"team == 't{namespace}'\"");
        }
        let names = ["Ingress", "Egress"].into_iter().enumerate().filter(|(bit, _)| types >> bit & 1 == 1);
        let _ = writeln!(text, "  types: [{}]", names.map(|(_, name)| name).collect::<Vec<_>>().join(", "));
        for (field, rules) in [("ingress", ingress), ("egress", egress)] {
            let rules: Vec<String> = rules.iter().map(Rule::text).collect();
            let _ = writeln!(text, "  {field}: [{}]", rules.join(", "));
        }
        text
    }

    fn selects(&self, pod: &Pod) -> bool {
        self.selector.fits(pod)
            && self.namespace.is_none_or(|namespace| pod.namespace == namespace)
            && self.of_namespaces.is_none_or(|namespace| pod.namespace == namespace)
    }
}

/// A packet that opens a connection.
struct Packet<'a> {
    from: End<'a>,
    to: End<'a>,
    protocol: Protocol,
    port: u16,
}

/// Whether the policies of one end let a packet pass; 0 is ingress, 1 is egress.
fn passes(policies: &[Policy], subject: End<'_>, direction: u8, packet: &Packet<'_>) -> bool {
    let End::Pod(subject) = subject else { return true };
    'tiers: for (tier, (_, _, passes_at_end)) in TIERS.iter().enumerate() {
        let counts = |policy: &&Policy| {
            policy.tier == tier && policy.types >> direction & 1 == 1 && policy.selects(subject)
        };
        // Sorting is stable, and the names follow the numbers.
        let mut asked: Vec<&Policy> = policies.iter().filter(counts).collect();
        asked.sort_by_key(|policy| policy.order.unwrap_or(i32::MAX));
        if asked.is_empty() {
            continue;
        }
        for policy in asked {
            let rules = if direction == 0 { &policy.ingress } else { &policy.egress };
            for rule in rules.iter().filter(|rule| rule.fits(packet, policy.namespace)) {
                match rule.action {
                    "Allow" => return true,
                    "Deny" => return false,
                    "Pass" => continue 'tiers,
                    _ => {}
                }
            }
        }
        if !passes_at_end {
            return false;
        }
    }
    true
}

fn manifests(pods: &[Pod], policies: &[Policy]) -> String {
    let mut text = String::new();
    for namespace in 0..2 {
        let _ = write!(
            text,
            "---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: x{namespace}, labels: {{team: t{namespace}}}}}}}\n"
        );
    }
    for (name, order, passes_at_end) in TIERS.iter().filter(|tier| !["default", "ghost"].contains(&tier.0)) {
        let end = if *passes_at_end { "Pass" } else { "Deny" };
        let _ = write!(
            text,
            "---\n{{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {{name: {name}}}, spec: {{order: {order}, defaultAction: {end}}}}}\n"
        );
    }
    for (number, Pod { namespace, app, tier, account, ip }) in pods.iter().enumerate() {
        let tier = tier.map_or_else(String::new, |tier| format!(", tier: t{tier}"));
        let _ = write!(
            text,
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: w{number}, namespace: x{namespace}, labels: {{app: a{app}{tier}}}}}, \
             spec: {{serviceAccountName: s{account}, containers: [{{name: c}}]}}, status: {{podIP: {ip}}}}}\n"
        );
    }
    for (number, policy) in policies.iter().enumerate() {
        text.push_str(&policy.text(number));
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_graph_equals_the_naive_walk(
        pods in proptest::collection::vec(pod(), 2..6),
        policies in proptest::collection::vec(policy(), 0..7),
    ) {
        let text = manifests(&pods, &policies);
        let reading = source::parse(&Arc::from("random.yaml"), &text);
        prop_assert!(reading.problems.is_empty(), "{:?}\n{text}", reading.problems);
        let analysis = analysis::declared(&reading.documents, Dataplane::new(DataplaneKind::Calico));
        prop_assert!(analysis.problems.is_empty(), "{:?}\n{text}", analysis.problems);
        let graph = &analysis.graph;
        let peer_of = |end: &End<'_>| match end {
            End::Outside(ip) => graph.atom_of((*ip).into()),
            End::Pod(pod) => {
                let number = pods.iter().position(|other| std::ptr::eq(other, *pod)).expect("a pod");
                let name = format!("w{number}");
                let workload = analysis.inventory.workloads.iter().position(|w| w.name.name == name);
                graph.class_of(workload.expect("a workload"), 0)
            }
        };
        let outside = [[10, 0, 200, 200], [10, 3, 200, 200], [192, 0, 2, 1]].map(Ipv4Addr::from);
        let ends: Vec<End<'_>> =
            pods.iter().map(End::Pod).chain(outside.into_iter().map(End::Outside)).collect();
        for (from_number, from) in ends.iter().enumerate() {
            for (to_number, to) in ends.iter().enumerate() {
                if from_number == to_number || from_number.min(to_number) >= pods.len() {
                    continue;
                }
                let edge = graph.edge(peer_of(from), peer_of(to));
                for (protocol, port) in [(Protocol::Tcp, 77), (Protocol::Tcp, 80), (Protocol::Udp, 81), (Protocol::Sctp, 80)] {
                    let packet = Packet { from: *from, to: *to, protocol, port };
                    let naive = passes(&policies, *from, 1, &packet) && passes(&policies, *to, 0, &packet);
                    prop_assert_eq!(
                        edge.traffic.contains(protocol, port),
                        naive,
                        "{} -> {} {} {}\n{}", from_number, to_number, protocol, port, text
                    );
                }
            }
        }
    }
}
