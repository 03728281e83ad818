//! What configuration permits: engines lower their objects to tiers, one evaluator decides.
//!
//! Who exists is left to `inventory`, the combination with it to `graph`.

pub mod dataplane;
pub mod evaluate;
pub mod kubernetes;
pub mod ruleset;

pub use dataplane::Dataplane;
pub use evaluate::{Decision, Matched, Step, decide};
pub use ruleset::{
    Action, Direction, Layer, Namespaces, Peer, Peers, Policy, Rule, Selection, Tier, TrafficMatch,
};

use crate::model::{Document, Gap, Problem};

/// A policy language.
pub trait Engine: Sync {
    /// Lower-case name, as `--engine` takes it.
    fn name(&self) -> &'static str;
    /// One line on what is read.
    fn summary(&self) -> &'static str;
    /// Translates its objects among the documents; never evaluates.
    fn lower(&self, documents: &[Document]) -> Lowered;
}

/// Every policy language that is understood, in the order in which reports name them.
pub const ENGINES: &[&dyn Engine] = &[&kubernetes::Kubernetes];

/// What an engine makes of its objects.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// Tiers, in the order in which connections meet them.
    pub tiers: Vec<Tier>,
    /// What was not understood.
    pub gaps: Vec<Gap>,
    /// Objects that the API server would refuse; they have no effect.
    pub problems: Vec<Problem>,
}
