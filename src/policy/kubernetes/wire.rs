//! NetworkPolicy as users write it: typed reading, and the checks that the API server makes.
//!
//! The shapes themselves are those of `k8s-openapi`; here is what the server adds to them.

use crate::model::{Document, Gap, Origin, Problem};
use crate::policy::fields;
use k8s_openapi::api::networking::v1::NetworkPolicySpec;

/// Reads the typed spec of a policy.
///
/// # Errors
/// The value that does not fit its field, with its line.
pub fn spec(document: &Document) -> Result<NetworkPolicySpec, Problem> {
    let node = document.body.get("spec").filter(|node| !node.is_null());
    let Some(node) = node else { return Ok(NetworkPolicySpec::default()) };
    node.read().map_err(|misfit| {
        let hint = "quote label values that look like numbers or truth values";
        refusal(&document.origin, misfit.line, misfit.message, hint)
    })
}

/// What is doubtful about a policy that can be used: fields that NetworkPolicy does not have, typing
/// errors mostly.
pub fn doubts(document: &Document) -> Vec<Gap> {
    fields::kind_of(super::KINDS, document).map_or_else(Vec::new, |kind| fields::doubts(kind, document))
}

/// A refusal with the line that is at fault.
pub fn refusal(origin: &Origin, line: u32, message: impl Into<String>, hint: &str) -> Problem {
    Problem::at(origin, line, message, hint)
}
