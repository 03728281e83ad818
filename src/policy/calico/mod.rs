//! Calico: `projectcalico.org/v3`, also as it is stored (`crd.projectcalico.org/v1`).
//!
//! The exact meaning, case by case, is on the page `docs/semantics/calico.md`. The newest version
//! is modelled where none is known; who exists is left to `inventory`.

mod entity;
mod families;
mod forms;
mod host;
mod kinds;
mod known;
mod lower;
mod place;
mod policies;
mod profiles;
mod refused;
mod rule;
mod scope;
mod selector;
mod settings;
mod staged;
mod tiers;
mod traffic;
mod wire;

pub(super) use forms::say_the_same;
pub use settings::{SETTINGS, settings, version};
pub(super) use staged::tier_and_name;

use super::fields::kind_of;
use super::{Dataplane, Engine, Kind, Lowered, is_network_policy, is_pod};
use crate::model::{AddressSet, Document, Selector};
use kinds::KINDS;
use known::KnownAddresses;

/// Addresses with labels, for languages that Calico reads as its own.
pub(super) struct LabelledAddresses(KnownAddresses);

impl LabelledAddresses {
    /// Reads network sets and host endpoints; what is wrong with them is told elsewhere.
    pub fn read(documents: &[Document]) -> LabelledAddresses {
        let ours: Vec<&Document> = documents.iter().filter(|d| kind_of(KINDS, d).is_some()).collect();
        LabelledAddresses(KnownAddresses::read(&ours, documents).0)
    }

    /// The addresses that a rule means beside pods where it has a selector of namespaces alone: those of
    /// network sets there. One that only forbids labels means what is in no namespace, too.
    pub fn in_namespaces(&self, namespaces: &Selector) -> AddressSet {
        self.0.matching(&scope::of_namespaces(namespaces))
    }
}

/// Calico's own policies, with everything that they rest on.
pub struct Calico;

impl Engine for Calico {
    fn name(&self) -> &'static str {
        "calico"
    }

    fn summary(&self) -> &'static str {
        "NetworkPolicy, GlobalNetworkPolicy, tiers, sets, host endpoints and profiles (projectcalico.org/v3)"
    }

    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    fn lower(&self, documents: &[Document], dataplane: &Dataplane) -> Lowered {
        lower::lower(documents, dataplane)
    }

    fn reads(&self, document: &Document) -> bool {
        !is_network_policy(document) && !is_pod(document)
    }

    fn committed(&self, documents: Vec<Document>) -> Vec<Document> {
        staged::committed(&documents)
    }
}
