//! Consul service mesh on Kubernetes: who has a proxy, what it takes, and which intentions decide.
//!
//! The exact meaning, case by case, is on the page `docs/semantics/consul.md`.

mod carriage;
mod defaults;
mod gateways;
mod intentions;
mod kinds;
mod lower;
mod membership;
mod said;
mod services;
mod settings;

use super::{Dataplane, Engine, Kind, Lowered};
use crate::model::Document;
use kinds::KINDS;

/// Consul.
pub struct Consul;

impl Engine for Consul {
    fn name(&self) -> &'static str {
        "consul"
    }

    fn summary(&self) -> &'static str {
        "Consul: injection and its annotations, ServiceIntentions with their precedence, ServiceDefaults, \
         ProxyDefaults and Mesh (consul.hashicorp.com)"
    }

    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    /// Proxies enforce whatever the network below is; the default comes from objects of other kinds.
    fn enforces(&self, _kind: &str, _dataplane: &Dataplane) -> bool {
        true
    }

    fn lower(&self, documents: &[Document], dataplane: &Dataplane) -> Lowered {
        lower::lower(&super::homes::written_out(documents), dataplane)
    }
}
