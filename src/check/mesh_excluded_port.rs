//! `mesh-excluded-port`: a port of a workload in the mesh that its proxy does not see.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_ground::{is_member, per_workload};
use super::{Evidence, Finding, check};
use crate::graph::{Acceptance, Admission, ClassId, Member, MeshMode};
use crate::model::{PortSet, Protocol};

check! {
    MeshExcludedPort, "mesh-excluded-port", Medium, "A port of a workload in the mesh that its proxy does not see.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let excluded = |class| {
        graph
            .acceptances(class)
            .filter(|_| is_member(graph, class))
            .filter(|acceptance| acceptance.accepts.proxied == Admission::Refused)
            .find(|acceptance| {
                names_others(evidence, class, acceptance) || serves(evidence, class, acceptance)
            })
    };
    per_workload(evidence, excluded, |subject, acceptance, origin| {
        let ports = match acceptance.ports.is_all() {
            true => "All its ports are".to_owned(),
            false => format!("TCP {} is", acceptance.ports),
        };
        MeshExcludedPort.finding(
            subject,
            format!(
                "{ports} open to everybody in the clear, and no authorization applies: {}.",
                acceptance.why
            ),
            vec![acceptance.origin.clone().unwrap_or(origin)],
            "Take the port out of the annotation, or guard it with a NetworkPolicy.",
        )
    })
}

/// The ports that a mesh leaves alone wherever it runs: those of its proxies, and by default those of
/// clusters of MySQL (`proxyInit.ignoreInboundPorts` of Linkerd's chart; Consul's exposed paths).
const LEFT_ALONE: &[(MeshMode, &[(u16, u16)])] = &[
    (MeshMode::Linkerd, &[(4_190, 4_191), (4_567, 4_568)]),
    (MeshMode::Consul, &[(20_300, 20_600), (21_000, 21_000)]),
];

/// Whether other ports are among them than those that the mesh leaves alone everywhere.
fn names_others(evidence: &Evidence<'_>, class: ClassId, acceptance: &Acceptance) -> bool {
    let mode = evidence.graph.membership(class).map(|member| member.mode);
    let own = LEFT_ALONE.iter().filter(|(of, _)| mode == Some(*of)).flat_map(|(_, ports)| *ports);
    let left = own.fold(PortSet::none(), |all, (first, last)| all.union(&PortSet::range(*first, *last)));
    !acceptance.ports.difference(&left).is_empty()
}

/// Whether a workload declares one of the ports, or a service leads there.
fn serves(evidence: &Evidence<'_>, class: ClassId, acceptance: &Acceptance) -> bool {
    let ports = &acceptance.ports;
    let Some(class) = evidence.graph.class(class) else { return false };
    let declares = |member: &Member| {
        let variant =
            &evidence.inventory.workloads[member.workload as usize].variants[member.variant as usize];
        variant.ports.iter().any(|port| port.protocol == Protocol::Tcp && ports.contains(port.port))
    };
    class.backs.iter().any(|backing| ports.contains(backing.target)) || class.members.iter().any(declares)
}
