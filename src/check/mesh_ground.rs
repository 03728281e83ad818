//! What checks on meshes ask: who is in, what a server is set to, the edges that lead to it.

use super::shared::alike;
use super::{Evidence, Finding};
use crate::graph::{Acceptance, AllowedGraph, Callers, ClassId, Edge, MeshMode};
use crate::model::Origin;

/// Whether an endpoint takes part in a mesh, as far as that is known for certain.
pub(super) fn takes_part(graph: &AllowedGraph, class: ClassId) -> bool {
    let within = |mode| !matches!(mode, MeshMode::Outside | MeshMode::Unclear);
    graph.membership(class).is_some_and(|member| within(member.mode))
}

/// Whether an endpoint has a proxy that carries its traffic, as far as that is known for certain.
pub(super) fn is_member(graph: &AllowedGraph, class: ClassId) -> bool {
    let is_gateway = |mode| matches!(mode, MeshMode::IstioGateway);
    takes_part(graph, class) && !graph.membership(class).is_some_and(|member| is_gateway(member.mode))
}

/// A finding for each workload for which `look` finds an acceptance.
pub(super) fn per_workload<'a>(
    evidence: &Evidence<'a>,
    look: impl Fn(ClassId) -> Option<&'a Acceptance>,
    tell: impl Fn(String, &Acceptance, Origin) -> Finding,
) -> Vec<Finding> {
    let classes = (0..).zip(evidence.graph.classes()).filter(|(_, class)| !class.members.is_empty());
    let found = classes.filter_map(|(number, class)| {
        let acceptance = look(number)?;
        let (subject, origin, _) = alike(evidence, &class.members);
        Some(tell(subject, acceptance, origin))
    });
    let mut findings: Vec<Finding> = found.collect();
    findings.sort();
    findings.dedup_by(|a, b| a.subject == b.subject);
    findings
}

/// The edges from other endpoints of the cluster to one, each with the clients that have it in common;
/// none where no mesh speaks of the server.
pub(super) fn edges_to<'a>(
    callers: &Callers<'a>,
    evidence: &Evidence<'a>,
    server: ClassId,
) -> Vec<Callings<'a>> {
    let graph = evidence.graph;
    match graph.acceptances(server).next().is_some() || graph.membership(server).is_some() {
        true => callers.groups(server),
        false => Vec::new(),
    }
}

/// Clients of one server, at least one, in order, and the edge that they have in common.
pub(super) type Callings<'a> = (Vec<ClassId>, Edge<'a>);
