//! Calls to hosts outside that a mesh knows by name, for the graph as JSON.

use super::json::{Because, because_shape};
use crate::analysis::Analysis;
use serde::Serialize;
use std::collections::BTreeSet;

/// One workload and one host.
#[derive(Serialize)]
pub(super) struct Call<'a> {
    from: String,
    hosts: Vec<String>,
    /// The port that is called, and the one that is on the wire.
    port: u16,
    wire_port: u16,
    protection: &'static str,
    protection_why: &'a str,
    because: Vec<Because<'a>>,
}

/// All calls that the network lets out, by workload.
pub(super) fn calls(analysis: &Analysis) -> Vec<Call<'_>> {
    let graph = &analysis.graph;
    let mut all = Vec::new();
    for call in graph.outbound() {
        let members = &graph.classes()[call.from as usize].members;
        let workloads: BTreeSet<usize> = members.iter().map(|member| member.workload as usize).collect();
        let sending = &graph.transport().sends[call.sending as usize];
        for workload in workloads {
            all.push(Call {
                from: analysis.inventory.workloads[workload].name.to_string(),
                hosts: call.to.hosts.clone(),
                port: call.to.port,
                wire_port: call.to.target,
                protection: call.protection.word(),
                protection_why: &sending.why,
                because: sending.origin.iter().map(because_shape).collect(),
            });
        }
    }
    all.sort_by(|a, b| {
        (&a.from, &a.hosts, a.port, a.protection).cmp(&(&b.from, &b.hosts, b.port, b.protection))
    });
    all
}
