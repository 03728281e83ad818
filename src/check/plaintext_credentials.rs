//! `plaintext-credentials`: credentials that can be read on the wire.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{by_subject, fact, is_ours};
use super::{Evidence, Finding, check};
use crate::model::{Protection, WhyUnknown};
use crate::observed::ObservedFlow;

check! {
    PlaintextCredentials, "plaintext-credentials", Critical, "Credentials that can be read on the wire.",
    ["PCI-DSS-4.0-8.3.2", "NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let flows = evidence.observed.flows.iter().filter(|seen| is_ours(seen) && leaks(seen));
    by_subject(evidence, flows, |seen, subject, because| {
        let detection = &seen.detection;
        let mut finding = PlaintextCredentials.finding(
            subject,
            format!(
                "{} travelled in the clear over {} on port {}.",
                kind(seen).unwrap_or_default(),
                detection.protocol,
                seen.flow.responder.port
            ),
            because,
            "Change the credentials, then encrypt the connection.",
        );
        finding.detail = format!("{} {}", seen.detection.protocol, seen.flow.responder.port);
        finding
    })
}

fn leaks(seen: &ObservedFlow) -> bool {
    // What went over to TLS may have said a password before it did (STARTTLS, the login of a proxy),
    // and inside of a pod it may have been meant to.
    kind(seen).is_some() && seen.detection.protection != Protection::Unknown(WhyUnknown::AmbiguousInPod)
}

/// What sort of secret was seen; the secret itself was never kept.
fn kind(seen: &ObservedFlow) -> Option<&str> {
    fact(seen, "credentials")
}
