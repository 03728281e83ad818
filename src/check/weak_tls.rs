//! `weak-tls`: TLS that is too old or does not encrypt.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{by_subject, fact, is_ours};
use super::{Evidence, Finding, check};
use crate::model::{Proof, Protection};
use crate::observed::ObservedFlow;

check! {
    WeakTls, "weak-tls", Medium, "TLS that is too old or does not encrypt.",
    ["PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let flows = evidence.observed.flows.iter().filter(|seen| is_ours(seen) && leaks(seen));
    by_subject(evidence, flows, |seen, subject, because| {
        let detection = &seen.detection;
        let mut finding = WeakTls.finding(
            subject,
            format!("{} on port {} used {}.", detection.protocol, seen.flow.responder.port, version(seen)),
            because,
            "Require TLS 1.2 or 1.3 at the server.",
        );
        finding.detail = format!("{} {}", seen.detection.protocol, seen.flow.responder.port);
        finding
    })
}

const OLD: [&str; 4] = ["SSL3", "TLS1.0", "TLS1.1", "DTLS1.0"];

fn leaks(seen: &ObservedFlow) -> bool {
    let old = |(name, value): &(&str, String)| *name == "version" && OLD.contains(&value.as_str());
    let failed = matches!(seen.detection.protection, Protection::Unknown(_));
    seen.detection.protection == Protection::Plaintext(Proof::NullCipher)
        || (!failed && (seen.detection.facts.iter().any(old) || fact(seen, "weak_cipher").is_some()))
}

fn version(seen: &ObservedFlow) -> String {
    match (seen.detection.protection, fact(seen, "weak_cipher"), fact(seen, "version")) {
        (Protection::Plaintext(_), _, _) => "a cipher that does not encrypt".to_owned(),
        (_, Some(cipher), Some(version)) => format!("{version} with a cipher of the kind {cipher}"),
        (_, Some(cipher), None) => format!("a cipher of the kind {cipher}"),
        (_, None, version) => version.unwrap_or("an old version").to_owned(),
    }
}
