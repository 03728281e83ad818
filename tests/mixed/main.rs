//! Law: where policies of several languages meet, the graph equals a naive walk through the tiers
//! of the dataplane, packet by packet: Calico, Cilium and OVN-Kubernetes with all that each enforces.

#[path = "../common/mod.rs"]
mod common;
mod law;
mod naive;
mod random;
mod words;

use law::{Cluster, Far, Sent};
use naive::{Seen, passes};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use watertight::model::{IpProtocols, Protocol, TrafficSet};
use watertight::policy::{Dataplane, DataplaneKind};

const SENT: &[Sent] = &[
    Sent::Port(Protocol::Tcp, 79),
    Sent::Port(Protocol::Tcp, 80),
    Sent::Port(Protocol::Tcp, 443),
    Sent::Port(Protocol::Udp, 80),
    Sent::Port(Protocol::Sctp, 80),
    Sent::Ping,
];

const OUTSIDE: &[Ipv4Addr] = &[
    Ipv4Addr::new(10, 0, 0, 0),
    Ipv4Addr::new(10, 0, 9, 9),
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(8, 8, 8, 8),
];

fn holds(traffic: &TrafficSet, sent: Sent) -> bool {
    match sent {
        Sent::Port(protocol, port) => traffic.contains(protocol, port),
        Sent::Ping => traffic.portless.contains(IpProtocols::ICMP),
    }
}

/// Compares all packets of a cluster.
fn agrees(cluster: &Cluster) -> Result<(), TestCaseError> {
    let text = words::manifests(cluster);
    let settings = match cluster.dataplane {
        DataplaneKind::Cilium => vec![("enable-k8s-cluster-network-policy".to_owned(), "true".to_owned())],
        _ => Vec::new(),
    };
    let dataplane = Dataplane::new(cluster.dataplane).with_settings(settings.into_iter().collect());
    let (analysis, problems) = common::analyse_on(&text, Some(dataplane));
    prop_assert!(problems.is_empty(), "{problems:?}\n{text}");
    let graph = &analysis.graph;
    let class = |number: usize| {
        let name = format!("w{number}");
        let index = analysis.inventory.workloads.iter().position(|w| w.name.name == name);
        graph.class_of(index.expect("the pod"), 0)
    };
    let side = |subject: usize, far: Far<'_>, ingress: bool, sent: Sent| {
        passes(&Seen { cluster, subject: &cluster.pods[subject], far, ingress, sent })
    };
    for &sent in SENT {
        for from in 0..cluster.pods.len() {
            for to in (0..cluster.pods.len()).filter(|to| *to != from) {
                let naive = side(from, Far::Pod(&cluster.pods[to]), false, sent)
                    && side(to, Far::Pod(&cluster.pods[from]), true, sent);
                let edge = graph.edge(class(from), class(to));
                prop_assert_eq!(
                    holds(&edge.traffic, sent),
                    naive,
                    "w{} -> w{} {:?}\n{}",
                    from,
                    to,
                    sent,
                    text
                );
            }
            for &ip in OUTSIDE {
                let (own, atom) = (class(from), graph.atom_of(ip.into()));
                let (out, into) = (graph.edge(own, atom), graph.edge(atom, own));
                let far = Far::Outside(ip);
                prop_assert_eq!(
                    holds(&out.traffic, sent),
                    side(from, far, false, sent),
                    "w{} -> {} {:?}\n{}",
                    from,
                    ip,
                    sent,
                    text
                );
                prop_assert_eq!(
                    holds(&into.traffic, sent),
                    side(from, far, true, sent),
                    "{} -> w{} {:?}\n{}",
                    ip,
                    from,
                    sent,
                    text
                );
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calico_tiers_kubernetes_policies_and_those_of_administrators(cluster in random::cluster(DataplaneKind::Calico)) {
        agrees(&cluster)?;
    }

    #[test]
    fn cilium_policies_beside_those_of_kubernetes(cluster in random::cluster(DataplaneKind::Cilium)) {
        agrees(&cluster)?;
    }

    #[test]
    fn ovn_kubernetes_with_administrators_and_firewalls(cluster in random::cluster(DataplaneKind::OvnKubernetes)) {
        agrees(&cluster)?;
    }
}
