//! `weak-certificate-key`: a certificate whose key is too short.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{by_subject, fact, is_ours};
use super::{Evidence, Finding, check};

check! {
    WeakCertificateKey, "weak-certificate-key", High, "A certificate whose key is too short.",
    ["NIST-800-131A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let bad = |seen: &crate::observed::ObservedFlow| is_ours(seen) && fact(seen, WEAK_KEY).is_some();
    by_subject(evidence, evidence.observed.flows.iter().filter(bad), |seen, subject, because| {
        let port = seen.flow.responder.port;
        let whose = fact(seen, "certificate_subject").unwrap_or("the server");
        let key = fact(seen, WEAK_KEY).unwrap_or_default();
        let message = format!("The certificate of {whose} on port {port} has the key {key}.");
        let fix = "Issue it again with RSA 2048 or more, or with an elliptic curve of 256 bits.";
        let mut finding = WeakCertificateKey.finding(subject, message, because, fix);
        finding.detail = format!("{whose} {port}");
        finding
    })
}

const WEAK_KEY: &str = "certificate_weak_key";
