//! Kubernetes NetworkPolicy, `networking.k8s.io/v1`.
//!
//! The exact meaning, case by case, is on the page `docs/semantics/kubernetes.md`.

mod lower;
mod wire;

use super::{Engine, Lowered};
use crate::model::Document;

/// NetworkPolicy v1.
pub struct Kubernetes;

impl Engine for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn summary(&self) -> &'static str {
        "NetworkPolicy (networking.k8s.io/v1)"
    }

    fn lower(&self, documents: &[Document]) -> Lowered {
        lower::lower(documents)
    }
}
