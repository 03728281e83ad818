//! The pipeline on one screen, one line a stage. Same input, same answer; it cannot fail.

use crate::capture::{self, CaptureError, FlowLimits};
use crate::check::{self, Evidence, Finding};
use crate::graph::{AllowedGraph, Notes};
use crate::inventory;
pub use crate::inventory::{Inventory, Workload};
use crate::model::{Document, Gap, Problem};
use crate::observed::{Directory, Observed, ObservedFlow, attribute};
use crate::policy::{self, Dataplane, DataplaneKind};
use crate::protocol;
use std::io::Read;

/// Everything that is known after a run.
#[derive(Debug)]
pub struct Analysis {
    /// Who exists.
    pub inventory: Inventory,
    /// Who may talk to whom.
    pub graph: AllowedGraph,
    /// What is known beside the graph.
    pub notes: Notes,
    /// Who does.
    pub observed: Observed,
    /// What a person should look at, worst first.
    pub findings: Vec<Finding>,
    /// What was not understood.
    pub gaps: Vec<Gap>,
    /// Objects that could not be used.
    pub problems: Vec<Problem>,
}

/// Documents → who exists, and who may talk to whom.
pub fn declared(documents: &[Document], dataplane: Dataplane) -> Analysis {
    let (inventory, mut problems) = inventory::read(documents);
    let mut rules = policy::read(documents, &dataplane);
    let notes = Notes::of(&mut rules, &inventory, &dataplane);
    problems.extend(rules.problems);
    let graph = AllowedGraph::build_with(&inventory, rules.tiers, rules.transport, dataplane);
    let mut gaps = rules.gaps;
    gaps.extend(graph.gaps.iter().cloned());
    gaps.sort();
    problems.sort();
    let (observed, findings) = (Observed::default(), Vec::new());
    Analysis { inventory, graph, notes, observed, findings, gaps, problems }
}

/// The graphs that other dataplanes would make of the same documents.
pub fn elsewhere(analysis: &Analysis, documents: &[Document]) -> Vec<AllowedGraph> {
    let here = &analysis.graph.dataplane;
    let others = DataplaneKind::COMPARED.iter().filter(|kind| **kind != here.kind);
    let build = |kind: &DataplaneKind| {
        let dataplane = Dataplane::new(*kind);
        let rules = policy::read(documents, &dataplane);
        AllowedGraph::build(&analysis.inventory, rules.tiers, dataplane)
    };
    others.map(build).collect()
}

/// Adds what was observed, and looks for leaks.
pub fn reviewed(mut analysis: Analysis, observed: Observed) -> Analysis {
    let Analysis { inventory, graph, notes, .. } = &analysis;
    let findings = check::run(&Evidence { inventory, graph, observed: &observed, notes });
    analysis.findings = findings;
    analysis.observed = observed;
    analysis
}

/// One capture → its flows, named and judged, added to what was observed so far.
///
/// # Errors
/// The input is no capture.
pub fn observe(
    name: &str,
    input: &mut dyn Read,
    inventory: &Inventory,
    observed: &mut Observed,
) -> Result<(), CaptureError> {
    let directory = Directory::new(inventory);
    let summary = capture::read_capture(input, FlowLimits::default(), &mut |flow| {
        let detection = protocol::detect(&flow);
        let (initiator, responder) = attribute(&directory, &flow);
        // The first bytes were looked at; payload goes no further than this.
        let flow = flow.without_payload();
        observed.flows.push(ObservedFlow { flow, detection, initiator, responder });
    })?;
    observed.captures.push(name.to_owned());
    for (oddity, count) in summary.oddities {
        *observed.oddities.entry(oddity).or_default() += count;
    }
    let key = |seen: &ObservedFlow| {
        (seen.flow.first, seen.flow.initiator, seen.flow.responder, seen.flow.transport)
    };
    observed.flows.sort_by_key(key);
    Ok(())
}

impl Analysis {
    /// Policy objects that were read; one that counts for both directions counts once.
    pub fn policy_count(&self) -> usize {
        let objects: std::collections::BTreeSet<_> = self
            .graph
            .policies
            .iter()
            .map(|policy| (&policy.origin.namespace, &policy.origin.kind, &policy.origin.name))
            .collect();
        objects.len()
    }
}
