//! `self-signed-certificate`: a server that vouches for itself.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{by_subject, fact, is_ours};
use super::{Evidence, Finding, check};

check! {
    SelfSignedCertificate, "self-signed-certificate", Medium, "A server that vouches for itself.",
    ["NIST-800-52-4.1", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let bad = |seen: &crate::observed::ObservedFlow| is_ours(seen) && fact(seen, SELF_SIGNED).is_some();
    by_subject(evidence, evidence.observed.flows.iter().filter(bad), |seen, subject, because| {
        let port = seen.flow.responder.port;
        let whose = fact(seen, SELF_SIGNED).unwrap_or_default();
        let message = format!("The certificate of {whose} on port {port} is signed by its own key.");
        let fix = "Let an authority that clients know sign the certificate, and let clients verify it.";
        let mut finding = SelfSignedCertificate.finding(subject, message, because, fix);
        finding.detail = format!("{whose} {port}");
        finding
    })
}

const SELF_SIGNED: &str = "certificate_self_signed";
