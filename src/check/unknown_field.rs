//! `unknown-field`: a field that its kind does not have.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::policy_name;
use super::{Evidence, Finding, check};

check! {
    UnknownField, "unknown-field", Medium, "A field that the kind does not have.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let finding = |field: &crate::graph::UnknownField| {
        let name = field.path.rsplit('.').next().unwrap_or(&field.path);
        let kind = &field.origin.kind;
        let message = format!(
            "{kind} has no field {}: the API server drops it or refuses the object, so what it should do is not done.",
            field.path
        );
        let fix = match &field.meant {
            Some(meant) => format!("Did you mean {meant}? Write {meant} for {name}, or remove it."),
            None => format!("Remove {name}, or write the field that was meant."),
        };
        let subject = policy_name(&field.origin);
        let mut finding = UnknownField.finding(subject, message, vec![field.origin.clone()], fix);
        finding.detail = field.path.clone();
        finding
    };
    let mut findings: Vec<Finding> = evidence.notes.unknown_fields.iter().map(finding).collect();
    findings.sort();
    findings.dedup_by(|a, b| (&a.subject, &a.detail) == (&b.subject, &b.detail));
    findings
}
