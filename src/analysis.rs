//! The pipeline on one screen, one line a stage. Same input, same answer; it cannot fail.

use crate::check::{self, Evidence, Finding};
use crate::graph::AllowedGraph;
use crate::inventory::{self, Inventory};
use crate::model::{Document, Gap, Problem};
use crate::observed::Observed;
use crate::policy::{Dataplane, ENGINES, Lowered};

/// Everything that is known after a run.
#[derive(Debug)]
pub struct Analysis {
    /// Who exists.
    pub inventory: Inventory,
    /// Who may talk to whom.
    pub graph: AllowedGraph,
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
    let mut rules = Lowered::default();
    for lowered in ENGINES.iter().map(|engine| engine.lower(documents)) {
        rules.tiers.extend(lowered.tiers);
        rules.gaps.extend(lowered.gaps);
        rules.problems.extend(lowered.problems);
    }
    problems.append(&mut rules.problems);
    let graph = AllowedGraph::build(&inventory, rules.tiers, dataplane);
    let mut gaps = rules.gaps;
    gaps.extend(graph.gaps.iter().cloned());
    gaps.sort();
    problems.sort();
    Analysis { inventory, graph, observed: Observed::default(), findings: Vec::new(), gaps, problems }
}

/// Adds what was observed, and looks for leaks.
pub fn reviewed(mut analysis: Analysis, observed: Observed) -> Analysis {
    let Analysis { inventory, graph, .. } = &analysis;
    let findings = check::run(&Evidence { inventory, graph, observed: &observed });
    analysis.findings = findings;
    analysis.observed = observed;
    analysis
}
