//! NetworkPolicy as users write it: typed reading, and the checks that the API server makes.
//!
//! The shapes themselves are those of `k8s-openapi`; here is what the server adds to them.

use crate::model::{Bend, Document, Gap, Origin, Problem};
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

/// What is doubtful about a policy that can be used: a name that the server would refuse, and
/// fields that NetworkPolicy does not have, typing errors mostly.
pub fn doubts(document: &Document) -> Vec<Gap> {
    let mut gaps = Vec::new();
    if !is_subdomain(&document.origin.name) {
        gaps.push(Gap {
            what: "the API server would refuse this name; the policy was counted as if it existed".to_owned(),
            origin: document.origin.clone(),
            bends: Bend::MayAllowMore,
        });
    }
    if let Some(kind) = fields::kind_of(super::KINDS, document) {
        gaps.extend(fields::doubts(kind, document));
    }
    gaps
}

/// A refusal with the line that is at fault.
pub fn refusal(origin: &Origin, line: u32, message: impl Into<String>, hint: &str) -> Problem {
    let line = if line == 0 { origin.line } else { line };
    Problem { origin: Origin { line, ..origin.clone() }, message: message.into(), hint: hint.to_owned() }
}

/// Whether text is a label key: an optional DNS prefix, then a name of at most 63 characters
/// (`IsQualifiedName`).
pub fn is_label_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(is_subdomain)
}

/// Whether text is a label value: empty, or at most 63 of `A-Z a-z 0-9 - _ .` with an
/// alphanumeric character at both ends (`IsValidLabelValue`).
pub fn is_label_value(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    value.len() <= 63 && value.bytes().all(inner) && ends_are(value, |b| b.is_ascii_alphanumeric())
}

/// Whether text is a DNS subdomain of at most 253 characters (`IsDNS1123Subdomain`).
pub fn is_subdomain(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| letter(b) || b == b'-') && ends_are(part, letter)
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn ends_are(text: &str, fits: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_none_or(|b| fits(*b)) && bytes.last().is_none_or(|b| fits(*b))
}
