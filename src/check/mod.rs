//! Evidence → findings: one file for each check, and a table of them.
//!
//! A check reads the inventory, the graph and the observed flows; sentences for people are made
//! here because a finding is one, everything else about the form is left to `report`.

use crate::graph::AllowedGraph;
use crate::inventory::Inventory;
use crate::model::Origin;
use crate::observed::Observed;

/// What a check looks at.
pub struct Evidence<'a> {
    /// Who exists.
    pub inventory: &'a Inventory,
    /// Who may talk to whom.
    pub graph: &'a AllowedGraph,
    /// Who does; empty where no capture was given.
    pub observed: &'a Observed,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth a change.
    Medium,
    /// A hole.
    High,
    /// A hole through which something is leaking.
    Critical,
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Name of the check.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: `namespace/Kind/name`, a namespace, or `initiator -> responder`.
    pub subject: String,
    /// One or two sentences, with a witness where there is one.
    pub message: String,
    /// The lines that it rests on; the first is the one to open.
    pub because: Vec<Origin>,
    /// What to do.
    pub fix: String,
    /// What tells it from others of the same check and subject (a direction, a port); part of the
    /// fingerprint, never a line number.
    pub detail: String,
}

/// One check.
pub trait Check: Sync {
    /// Kebab-case, named after the bad thing.
    fn name(&self) -> &'static str;
    /// How bad its findings are.
    fn severity(&self) -> Severity;
    /// One sentence.
    fn summary(&self) -> &'static str;
    /// Ids of the controls that it serves.
    fn controls(&self) -> &'static [&'static str];
    /// Its page, in Markdown.
    fn page(&self) -> &'static str;
    /// Looks.
    fn run(&self, evidence: &Evidence<'_>) -> Vec<Finding>;
}

/// All checks, in the order of the pages: paths, policies, exposure, flows.
pub const CHECKS: &[&dyn Check] = &[];

impl Severity {
    /// Lower-case word.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// Runs every check; worst first, then by check, subject and detail.
pub fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check.run(evidence)).collect();
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (std::cmp::Reverse(f.severity), f.check, f.subject.clone(), f.detail.clone());
        key(a).cmp(&key(b))
    });
    findings
}
