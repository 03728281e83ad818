//! `expired-certificate`: a certificate that was shown outside of its time.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{by_subject, fact, is_ours};
use super::{Evidence, Finding, check};

check! {
    ExpiredCertificate, "expired-certificate", High, "A certificate that was shown outside of its time.",
    ["NIST-800-52-4.1", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let bad = |seen: &crate::observed::ObservedFlow| {
        is_ours(seen) && (fact(seen, EXPIRED).is_some() || fact(seen, EARLY).is_some())
    };
    by_subject(evidence, evidence.observed.flows.iter().filter(bad), |seen, subject, because| {
        let port = seen.flow.responder.port;
        let whose = fact(seen, "certificate_subject").unwrap_or("the server");
        let when = match (fact(seen, EXPIRED), fact(seen, EARLY)) {
            (Some(day), _) => format!("expired on {day}"),
            (None, day) => format!("is not valid before {}", day.unwrap_or_default()),
        };
        let message =
            format!("The certificate of {whose} on port {port} {when}, and the connection was used.");
        let fix = "Renew the certificate, and let a controller renew it from now on.";
        let mut finding = ExpiredCertificate.finding(subject, message, because, fix);
        finding.detail = format!("{whose} {port}");
        finding
    })
}

const EXPIRED: &str = "certificate_expired";
const EARLY: &str = "certificate_not_yet_valid";
