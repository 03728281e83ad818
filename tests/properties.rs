//! Laws: the class-based evaluator equals a naive one, packet by packet, on random clusters.
//!
//! The naive evaluator below is written from the prose of the API alone: it knows no tiers, no
//! classes and no traffic sets, and it is as slow as it looks.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use watertight::analysis;
use watertight::model::{AddressRange, AddressSet, IpProtocols, PortSet, Protocol, TrafficSet};
use watertight::policy::Dataplane;
use watertight::source;

type Labels = BTreeMap<String, String>;

#[derive(Clone, Debug)]
struct Pod {
    namespace: usize,
    labels: Labels,
    ip: IpAddr,
    ports: Vec<(String, u16, Protocol)>,
}

#[derive(Clone, Debug)]
struct Term {
    key: String,
    operator: &'static str,
    values: Vec<String>,
}

#[derive(Clone, Debug)]
enum Peer {
    Pods { namespaces: Option<Vec<Term>>, pods: Option<Vec<Term>> },
    Block { cidr: String, except: Option<String> },
}

#[derive(Clone, Debug)]
enum Port {
    Any(Protocol),
    Number(Protocol, u16, Option<u16>),
    Named(Protocol, String),
}

#[derive(Clone, Debug)]
struct Rule {
    peers: Vec<Peer>,
    ports: Vec<Port>,
}

#[derive(Clone, Debug)]
struct Policy {
    namespace: usize,
    subjects: Vec<Term>,
    types: Option<Vec<&'static str>>,
    ingress: Vec<Rule>,
    egress: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Cluster {
    namespaces: Vec<Labels>,
    pods: Vec<Pod>,
    policies: Vec<Policy>,
}

const NAMESPACES: usize = 3;
const PORTS: [u16; 4] = [80, 81, 443, 5432];

// ------------------------------------------------------------------ the naive evaluator

fn term_matches(term: &Term, labels: &Labels) -> bool {
    let value = labels.get(&term.key);
    match term.operator {
        "In" => value.is_some_and(|v| term.values.contains(v)),
        "NotIn" => value.is_none_or(|v| !term.values.contains(v)),
        "Exists" => value.is_some(),
        _ => value.is_none(),
    }
}

fn matches(terms: &[Term], labels: &Labels) -> bool {
    terms.iter().all(|term| term_matches(term, labels))
}

fn in_cidr(cidr: &str, ip: IpAddr) -> bool {
    cidr.parse::<ipnet::IpNet>().expect("a CIDR").contains(&ip)
}

fn peer_matches(cluster: &Cluster, policy: &Policy, peer: &Peer, other: Option<&Pod>, ip: IpAddr) -> bool {
    match peer {
        Peer::Block { cidr, except } => in_cidr(cidr, ip) && !except.as_ref().is_some_and(|e| in_cidr(e, ip)),
        Peer::Pods { namespaces, pods } => {
            let Some(other) = other else { return false };
            let namespace = match namespaces {
                Some(terms) => matches(terms, &cluster.namespaces[other.namespace]),
                None => other.namespace == policy.namespace,
            };
            namespace && pods.as_ref().is_none_or(|terms| matches(terms, &other.labels))
        }
    }
}

fn port_matches(port: &Port, target: Option<&Pod>, protocol: Protocol, number: u16) -> bool {
    match port {
        Port::Any(p) => *p == protocol,
        Port::Number(p, first, last) => *p == protocol && (*first..=last.unwrap_or(*first)).contains(&number),
        Port::Named(p, name) => {
            let fits =
                |(n, port, q): &(String, u16, Protocol)| n == name && *port == number && *q == protocol;
            *p == protocol && target.is_some_and(|pod| pod.ports.iter().any(fits))
        }
    }
}

/// One side's verdict: `subject` is governed by its policies, `other` is the far end.
fn side_allows(
    cluster: &Cluster,
    subject: &Pod,
    other: Option<&Pod>,
    other_ip: IpAddr,
    ingress: bool,
    protocol: Protocol,
    number: u16,
) -> bool {
    let mut isolated = false;
    for policy in &cluster.policies {
        if policy.namespace != subject.namespace || !matches(&policy.subjects, &subject.labels) {
            continue;
        }
        let counts = match &policy.types {
            Some(types) => types.contains(if ingress { &"Ingress" } else { &"Egress" }),
            None => ingress || !policy.egress.is_empty(),
        };
        if !counts {
            continue;
        }
        isolated = true;
        let target = if ingress { Some(subject) } else { other };
        for rule in if ingress { &policy.ingress } else { &policy.egress } {
            let peer = rule.peers.is_empty()
                || rule.peers.iter().any(|p| peer_matches(cluster, policy, p, other, other_ip));
            let port =
                rule.ports.is_empty() || rule.ports.iter().any(|p| port_matches(p, target, protocol, number));
            if peer && port {
                return true;
            }
        }
    }
    !isolated
}

fn naive(cluster: &Cluster, from: &Pod, to: &Pod, protocol: Protocol, port: u16) -> bool {
    side_allows(cluster, from, Some(to), to.ip, false, protocol, port)
        && side_allows(cluster, to, Some(from), from.ip, true, protocol, port)
}

// ------------------------------------------------------------------ as manifests

fn terms_yaml(terms: &[Term]) -> String {
    let one = |t: &Term| match t.values.is_empty() {
        true => format!("{{key: {}, operator: {}}}", t.key, t.operator),
        false => format!("{{key: {}, operator: {}, values: [{}]}}", t.key, t.operator, t.values.join(", ")),
    };
    format!("{{matchExpressions: [{}]}}", terms.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn peer_yaml(peer: &Peer) -> String {
    match peer {
        Peer::Block { cidr, except: None } => format!("{{ipBlock: {{cidr: \"{cidr}\"}}}}"),
        Peer::Block { cidr, except: Some(e) } => {
            format!("{{ipBlock: {{cidr: \"{cidr}\", except: [\"{e}\"]}}}}")
        }
        Peer::Pods { namespaces, pods } => {
            let mut parts = Vec::new();
            parts.extend(namespaces.as_ref().map(|t| format!("namespaceSelector: {}", terms_yaml(t))));
            parts.extend(pods.as_ref().map(|t| format!("podSelector: {}", terms_yaml(t))));
            format!("{{{}}}", parts.join(", "))
        }
    }
}

fn port_yaml(port: &Port) -> String {
    match port {
        Port::Any(p) => format!("{{protocol: {p}}}"),
        Port::Number(p, first, None) => format!("{{protocol: {p}, port: {first}}}"),
        Port::Number(p, first, Some(last)) => format!("{{protocol: {p}, port: {first}, endPort: {last}}}"),
        Port::Named(p, name) => format!("{{protocol: {p}, port: {name}}}"),
    }
}

fn rules_yaml(rules: &[Rule], peers: &str) -> String {
    let list = |items: Vec<String>| items.join(", ");
    let one = |rule: &Rule| {
        format!(
            "{{{peers}: [{}], ports: [{}]}}",
            list(rule.peers.iter().map(peer_yaml).collect()),
            list(rule.ports.iter().map(port_yaml).collect())
        )
    };
    list(rules.iter().map(one).collect())
}

fn manifests(cluster: &Cluster) -> Vec<String> {
    let mut all = Vec::new();
    let labels = |l: &Labels| l.iter().map(|(k, v)| format!("{k}: {v}")).collect::<Vec<_>>().join(", ");
    for (number, namespace) in cluster.namespaces.iter().enumerate() {
        let labels = labels(namespace);
        all.push(format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: n{number}, labels: {{{labels}}}}}\n"
        ));
    }
    for (number, pod) in cluster.pods.iter().enumerate() {
        let mut ports = String::new();
        for (name, port, protocol) in &pod.ports {
            let _ = write!(ports, "{{name: {name}, containerPort: {port}, protocol: {protocol}}}, ");
        }
        all.push(format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, namespace: n{}, labels: {{{}}}}}\n\
             spec: {{containers: [{{name: c, ports: [{ports}]}}]}}\nstatus: {{podIP: \"{}\"}}\n",
            pod.namespace,
            labels(&pod.labels),
            pod.ip
        ));
    }
    for (number, policy) in cluster.policies.iter().enumerate() {
        let types = match &policy.types {
            Some(types) => format!("policyTypes: [{}], ", types.join(", ")),
            None => String::new(),
        };
        all.push(format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
             metadata: {{name: np{number}, namespace: n{}}}\n\
             spec: {{podSelector: {}, {types}ingress: [{}], egress: [{}]}}\n",
            policy.namespace,
            terms_yaml(&policy.subjects),
            rules_yaml(&policy.ingress, "from"),
            rules_yaml(&policy.egress, "to")
        ));
    }
    all
}

// ------------------------------------------------------------------ random clusters

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

fn protocol() -> impl Strategy<Value = Protocol> {
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

fn cluster() -> impl Strategy<Value = Cluster> {
    let ports = prop::collection::vec((prop::sample::select(vec!["web", "db"]), number(), protocol()), 0..=2);
    let pods = prop::collection::vec((0..NAMESPACES, labels(), any::<bool>(), ports), 2..=7);
    let namespaces = prop::collection::vec(labels(), NAMESPACES);
    (namespaces, pods, prop::collection::vec(policy(), 0..=5)).prop_map(|(namespaces, pods, policies)| {
        let pods = pods.into_iter().enumerate().map(|(number, (namespace, labels, v4, ports))| Pod {
            namespace,
            labels,
            ip: match v4 {
                true => format!("10.0.0.{number}").parse().expect("an address"),
                false => format!("fd00::{number}").parse().expect("an address"),
            },
            ports: ports.into_iter().map(|(n, p, q)| (n.to_owned(), p, q)).collect(),
        });
        Cluster { pods: pods.collect(), namespaces, policies }
    })
}

fn read(parts: &[String]) -> analysis::Analysis {
    let reading = source::parse(&Arc::from("random.yaml"), &parts.join("---\n"));
    assert!(reading.problems.is_empty(), "{:?}", reading.problems);
    let analysis = analysis::declared(&reading.documents, Dataplane::kubernetes());
    assert!(analysis.problems.is_empty(), "{:?}", analysis.problems);
    analysis
}

/// The graph's answer for two pods by number.
fn answer(a: &analysis::Analysis, from: usize, to: usize, protocol: Protocol, port: u16) -> bool {
    let class = |pod: usize| {
        let name = format!("p{pod}");
        let index = a.inventory.workloads.iter().position(|w| w.name.name == name).expect("the pod");
        a.graph.class_of(index, 0)
    };
    a.graph.edge(class(from), class(to)).traffic.contains(protocol, port)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn classes_decide_as_the_naive_evaluator_does(cluster in cluster()) {
        let analysis = read(&manifests(&cluster));
        for (i, from) in cluster.pods.iter().enumerate() {
            for (j, to) in cluster.pods.iter().enumerate().filter(|(j, _)| *j != i) {
                for protocol in Protocol::ALL {
                    for port in [80, 82, 443, 5432] {
                        let (want, got) =
                            (naive(&cluster, from, to, protocol, port), answer(&analysis, i, j, protocol, port));
                        prop_assert_eq!(want, got, "p{} -> p{} {} {}", i, j, protocol, port);
                    }
                }
            }
        }
    }

    #[test]
    fn outside_addresses_are_decided_as_naively(cluster in cluster(), last in 8_u8..32, v4 in any::<bool>()) {
        let analysis = read(&manifests(&cluster));
        let ip: IpAddr = match v4 {
            true => format!("10.0.0.{last}").parse().expect("an address"),
            false => format!("fd00::{last}").parse().expect("an address"),
        };
        let atom = analysis.graph.atom_of(ip);
        for pod in &cluster.pods {
            let index = analysis.inventory.workloads.iter()
                .position(|w| w.variants[0].addresses.contains(&pod.ip)).expect("the pod");
            let class = analysis.graph.class_of(index, 0);
            for protocol in Protocol::ALL {
                let into = side_allows(&cluster, pod, None, ip, true, protocol, 80);
                let out = side_allows(&cluster, pod, None, ip, false, protocol, 80);
                prop_assert_eq!(into, analysis.graph.edge(atom, class).traffic.contains(protocol, 80));
                prop_assert_eq!(out, analysis.graph.edge(class, atom).traffic.contains(protocol, 80));
            }
        }
    }

    #[test]
    fn the_order_of_documents_never_matters(cluster in cluster(), seed in any::<u64>()) {
        let mut parts = manifests(&cluster);
        let before = read(&parts);
        let count = parts.len();
        (0..count).for_each(|i| parts.swap(i, (seed as usize).wrapping_mul(i + 7) % count));
        let after = read(&parts);
        for i in 0..cluster.pods.len() {
            for j in (0..cluster.pods.len()).filter(|j| *j != i) {
                for protocol in Protocol::ALL {
                    prop_assert_eq!(answer(&before, i, j, protocol, 80), answer(&after, i, j, protocol, 80));
                }
            }
        }
    }

    #[test]
    fn traffic_sets_are_a_boolean_algebra(a in traffic_set(), b in traffic_set(), c in traffic_set()) {
        let not = |set: &TrafficSet| TrafficSet::all().difference(set);
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.intersection(&b.union(&c)), a.intersection(&b).union(&a.intersection(&c)));
        prop_assert_eq!(not(&a.union(&b)), not(&a).intersection(&not(&b)));
        prop_assert_eq!(a.difference(&b), a.intersection(&not(&b)));
        prop_assert_eq!(not(&not(&a)), a);
    }

    #[test]
    fn address_sets_are_a_boolean_algebra(a in address_set(), b in address_set(), ip in 0_u32..64) {
        let ip = IpAddr::from(std::net::Ipv4Addr::from(ip));
        prop_assert_eq!(a.union(&b).contains(ip), a.contains(ip) || b.contains(ip));
        prop_assert_eq!(a.intersection(&b).contains(ip), a.contains(ip) && b.contains(ip));
        prop_assert_eq!(a.difference(&b).contains(ip), a.contains(ip) && !b.contains(ip));
        prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a);
    }
}

fn traffic_set() -> impl Strategy<Value = TrafficSet> {
    let ranges = prop::collection::vec((protocol(), any::<u16>(), any::<u16>()), 0..4);
    (ranges, any::<bool>()).prop_map(|(ranges, portless)| {
        let portless = if portless { IpProtocols::all() } else { IpProtocols::of(IpProtocols::ICMP) };
        let none = TrafficSet::portless(portless);
        ranges.into_iter().fold(none, |set, (protocol, a, b)| {
            set.union(&TrafficSet::of(protocol, PortSet::range(a.min(b), a.max(b))))
        })
    })
}

fn address_set() -> impl Strategy<Value = AddressSet> {
    prop::collection::vec((0_u32..64, 0_u32..64), 0..4).prop_map(|ranges| {
        let ip = |n: u32| IpAddr::from(std::net::Ipv4Addr::from(n));
        ranges.into_iter().map(|(a, b)| AddressRange { first: ip(a.min(b)), last: ip(a.max(b)) }).collect()
    })
}
