//! Envoy by itself: bootstrap files, and what a running proxy tells at `/config_dump`.
//!
//! What a listener accepts, what a cluster sends, and whom RBAC lets through is read as Envoy itself
//! reads it; the page `docs/semantics/envoy.md` says it case by case. Which endpoint a proxy is, or
//! stands beside, is settled in `inventory`.

mod authorize;
mod carriage;
mod cluster;
mod directory;
mod filters;
mod kinds;
mod listener;
mod lower;
mod rbac;
mod route;
mod said;
mod tls;
mod view;
mod who;
mod wire;

use super::{Dataplane, Engine, Kind, Lowered};
use crate::model::Document;
use kinds::KINDS;

/// Envoy.
pub struct Envoy;

impl Engine for Envoy {
    fn name(&self) -> &'static str {
        "envoy"
    }

    fn summary(&self) -> &'static str {
        "Envoy: bootstrap files and config_dump: listeners with their filter chains and TLS, RBAC of \
         connections and requests, clusters with their endpoints and TLS"
    }

    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    /// Proxies enforce whatever the network below is.
    fn enforces(&self, _kind: &str, _dataplane: &Dataplane) -> bool {
        true
    }

    fn lower(&self, documents: &[Document], _dataplane: &Dataplane) -> Lowered {
        lower::lower(documents)
    }
}
