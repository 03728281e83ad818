//! Which part of a graph was asked for: whose connections, and which flows.

use super::GraphOptions;
use crate::analysis::Analysis;
use crate::graph::{Connection, End};
use crate::observed::{ObservedFlow, Party, Stretch};

/// The workloads that a party may be; a service is those behind it.
fn behind(analysis: &Analysis, party: &Party) -> Vec<usize> {
    let Party::Service(index) = party else { return party.workloads() };
    let service = &analysis.inventory.services[*index];
    analysis.inventory.backends(service).map(|(workload, _)| workload).collect()
}

impl GraphOptions {
    /// Whether a connection is inside the chosen part of the graph.
    pub(super) fn shows(&self, analysis: &Analysis, connection: &Connection) -> bool {
        let workload = |end: &End| match end {
            End::Workload(index) => Some(*index),
            End::External(_) | End::Domain(_) => None,
        };
        let ends = [&connection.from, &connection.to].into_iter().filter_map(workload);
        self.chooses(analysis, &ends.collect::<Vec<_>>())
    }

    /// Whether a flow is; what never left a pod is told by the flow that did.
    pub(super) fn shows_flow(&self, analysis: &Analysis, seen: &ObservedFlow) -> bool {
        if matches!(seen.stretch, Stretch::Inside(_)) {
            return false;
        }
        let ends = [&seen.initiator, &seen.responder].map(|party| behind(analysis, party)).concat();
        self.chooses(analysis, &ends)
            || (self.focus.is_none()
                && [&seen.initiator, &seen.responder].into_iter().any(|party| match party {
                    Party::Service(index) => {
                        self.namespace.as_ref() == Some(&analysis.inventory.services[*index].namespace)
                    }
                    _ => false,
                }))
    }

    /// Whether one of these workloads was asked for; all are where nobody asked.
    fn chooses(&self, analysis: &Analysis, ends: &[usize]) -> bool {
        let named = |namespace: &String| {
            ends.iter().any(|index| analysis.inventory.workloads[*index].name.namespace == *namespace)
        };
        self.focus.is_none_or(|focus| ends.contains(&focus)) && self.namespace.as_ref().is_none_or(named)
    }
}
