//! What checks on meshes ask: who is in, what a server is set to, the edges that lead to it.

use super::shared::alike;
use super::{Evidence, Finding};
use crate::graph::{Acceptance, AllowedGraph, ClassId, Edge, MeshMode};
use crate::model::Origin;

/// Clients that are looked at for one server; beyond them a check may miss some.
const CLIENTS: usize = 256;

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

/// The edges from other endpoints of the cluster to one.
pub(super) fn edges_to<'a>(
    evidence: &Evidence<'a>,
    server: ClassId,
) -> impl Iterator<Item = (ClassId, Edge<'a>)> {
    let graph = evidence.graph;
    let count = graph.classes().len() as ClassId;
    let speaks = graph.acceptances(server).next().is_some() || graph.membership(server).is_some();
    let clients = (0..count).filter(move |client| speaks && *client != server).take(CLIENTS);
    let there = clients.filter(move |client| !graph.classes()[*client as usize].members.is_empty());
    there.map(move |client| (client, graph.edge(client, server)))
}
