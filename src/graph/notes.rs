//! What is known beside the graph: fields that nobody reads, policies that nobody enforces, and what
//! other dataplanes would make of the same manifests.

use super::AllowedGraph;
use crate::inventory::Inventory;
use crate::policy::{self, Dataplane, RuleSet, TlsFloor, UnknownField};

/// What checks ask beside the graph.
#[derive(Debug, Default)]
pub struct Notes {
    /// Fields that objects have and their kinds have not.
    pub unknown_fields: Vec<UnknownField>,
    /// The least that proxies ask of TLS.
    pub tls_floors: Vec<TlsFloor>,
    /// The graph as it would be if the policies counted that this dataplane does not enforce;
    /// `None` where there are no such policies.
    pub if_enforced: Option<AllowedGraph>,
    /// The graphs that other dataplanes would make, where that was asked for.
    pub elsewhere: Vec<AllowedGraph>,
}

impl Notes {
    /// Takes what the graph itself does not need out of a rule set.
    pub fn of(rules: &mut RuleSet, inventory: &Inventory, dataplane: &Dataplane) -> Notes {
        let unenforced = std::mem::take(&mut rules.unenforced);
        let if_enforced = (!unenforced.is_empty()).then(|| {
            let all = policy::joined(rules.tiers.iter().cloned().chain(unenforced).collect());
            AllowedGraph::build(inventory, all, dataplane.clone())
        });
        Notes {
            unknown_fields: std::mem::take(&mut rules.unknown_fields),
            tls_floors: std::mem::take(&mut rules.tls_floors),
            if_enforced,
            elsewhere: Vec::new(),
        }
    }
}
