//! The naive evaluator, written from the prose of the APIs alone: packet by packet, it knows no
//! classes and no traffic sets, and it is as slow as it looks.

use super::cluster::{
    Action, AdminPeer, AdminPolicy, AdminPort, Cluster, Labels, Peer, Pod, Policy, Port, Stage, Term,
};
use std::net::IpAddr;
use watertight::model::Protocol;

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
pub fn side_allows(
    cluster: &Cluster,
    subject: &Pod,
    other: Option<&Pod>,
    other_ip: IpAddr,
    ingress: bool,
    protocol: Protocol,
    number: u16,
) -> bool {
    let packet = Packet { cluster, subject, other, other_ip, ingress, protocol, number };
    administrators(&packet, Stage::Admin)
        .or_else(|| network_policies(&packet))
        .or_else(|| administrators(&packet, Stage::Baseline))
        .unwrap_or(true)
}

/// One packet as one side sees it.
struct Packet<'a> {
    cluster: &'a Cluster,
    subject: &'a Pod,
    other: Option<&'a Pod>,
    other_ip: IpAddr,
    ingress: bool,
    protocol: Protocol,
    number: u16,
}

/// What the policies of administrators of one stage decide; nothing where no rule matches, and
/// nothing where the first that does says Pass.
fn administrators(packet: &Packet<'_>, stage: Stage) -> Option<bool> {
    let mut policies: Vec<&AdminPolicy> = packet.cluster.admin.iter().filter(|p| p.stage == stage).collect();
    policies.sort_by_key(|policy| (policy.priority, policy.name.clone()));
    for policy in policies {
        if !admin_peer_matches(packet.cluster, &policy.subjects, Some(packet.subject), packet.subject.ip) {
            continue;
        }
        for rule in if packet.ingress { &policy.ingress } else { &policy.egress } {
            let by = |peer| admin_peer_matches(packet.cluster, peer, packet.other, packet.other_ip);
            let target = if packet.ingress { Some(packet.subject) } else { packet.other };
            let to = |port| admin_port_matches(port, target, packet.protocol, packet.number);
            if rule.peers.iter().any(by) && (rule.ports.is_empty() || rule.ports.iter().any(to)) {
                return match rule.action {
                    Action::Allow => Some(true),
                    Action::Deny => Some(false),
                    Action::Pass => None,
                };
            }
        }
    }
    None
}

fn admin_peer_matches(cluster: &Cluster, peer: &AdminPeer, pod: Option<&Pod>, ip: IpAddr) -> bool {
    let in_namespaces = |terms: &[Term], pod: &Pod| matches(terms, &cluster.namespaces[pod.namespace]);
    match peer {
        AdminPeer::Namespaces(terms) => pod.is_some_and(|pod| in_namespaces(terms, pod)),
        AdminPeer::Pods(namespaces, pods) => {
            pod.is_some_and(|pod| in_namespaces(namespaces, pod) && matches(pods, &pod.labels))
        }
        AdminPeer::Networks(cidrs) => cidrs.iter().any(|cidr| in_cidr(cidr, ip)),
    }
}

fn admin_port_matches(port: &AdminPort, target: Option<&Pod>, protocol: Protocol, number: u16) -> bool {
    match port {
        AdminPort::Number(p, n) => *p == protocol && *n == number,
        AdminPort::Range(p, first, last) => *p == protocol && (*first..=*last).contains(&number),
        // A name has no protocol of its own: whatever the pod declares under it.
        AdminPort::Named(name) => target.is_some_and(|pod| {
            pod.ports.iter().any(|(n, port, p)| n == name && *port == number && *p == protocol)
        }),
    }
}

/// What NetworkPolicies decide; nothing where none isolates the pod in this direction.
fn network_policies(packet: &Packet<'_>) -> Option<bool> {
    let Packet { cluster, subject, other, other_ip, ingress, protocol, number } = *packet;
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
                return Some(true);
            }
        }
    }
    isolated.then_some(false)
}

pub fn naive(cluster: &Cluster, from: &Pod, to: &Pod, protocol: Protocol, port: u16) -> bool {
    side_allows(cluster, from, Some(to), to.ip, false, protocol, port)
        && side_allows(cluster, to, Some(from), from.ip, true, protocol, port)
}
