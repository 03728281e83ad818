//! Laws: the class-based evaluator equals a naive one, packet by packet, on random clusters with
//! NetworkPolicies and policies of administrators; sets are algebras; order never matters.

mod answers;
mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod manifests;
mod naive;
mod pairs;
mod random;
mod standing;

use manifests::manifests;
use naive::{naive, side_allows};
use proptest::prelude::*;
use random::{cluster, protocol};
use std::net::IpAddr;
use std::sync::Arc;
use watertight::analysis;
use watertight::model::{AddressRange, AddressSet, IpProtocols, PortSet, Protocol, TrafficSet};
use watertight::policy::Dataplane;
use watertight::source;

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
