//! Linkerd: who has a proxy, which ports bypass it, and whom it lets in.
//!
//! The exact meaning, case by case, is on the page `docs/semantics/linkerd.md`.

mod access;
mod authorization;
mod carriage;
mod kinds;
mod lower;
mod membership;
mod routes;
mod said;
mod server;
mod settings;

use super::{Dataplane, Engine, Kind, Lowered};
use crate::model::Document;
use kinds::KINDS;

/// Linkerd.
pub struct Linkerd;

impl Engine for Linkerd {
    fn name(&self) -> &'static str {
        "linkerd"
    }

    fn summary(&self) -> &'static str {
        "Linkerd: injection and its annotations, Server, ServerAuthorization, AuthorizationPolicy, \
         MeshTLSAuthentication, NetworkAuthentication and routes of Servers (policy.linkerd.io)"
    }

    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    /// Proxies enforce whatever the network below is; defaults come from annotations of other kinds.
    fn enforces(&self, _kind: &str, _dataplane: &Dataplane) -> bool {
        true
    }

    fn lower(&self, documents: &[Document], dataplane: &Dataplane) -> Lowered {
        lower::lower(&super::homes::written_out(documents), dataplane)
    }
}
