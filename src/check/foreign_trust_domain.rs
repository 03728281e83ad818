//! `foreign-trust-domain`: two ends whose certificates come from different trust domains.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{by_subject, fact, is_ours};
use super::{Evidence, Finding, check};
use crate::observed::ObservedFlow;

check! {
    ForeignTrustDomain, "foreign-trust-domain", Medium,
    "Two ends whose certificates come from different trust domains.",
    ["NIST-800-204A"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let flows = evidence.observed.flows.iter().filter(|seen| is_ours(seen) && domains(seen).is_some());
    by_subject(evidence, flows, |seen, subject, because| {
        let (client, server) = domains(seen).unwrap_or_default();
        let name = fact(seen, "client_spiffe").unwrap_or_default();
        let mut finding = ForeignTrustDomain.finding(
            subject,
            format!("The client shows {name}, the server belongs to the trust domain {server}."),
            because,
            format!(
                "If {client} is a mesh that you federate with, name its identities in the authorization of \
                 the server; if not, take its authority out of the server's trust bundle."
            ),
        );
        finding.detail = client.to_owned();
        finding
    })
}

/// The trust domains of client and server, where both show one and they differ.
fn domains(seen: &ObservedFlow) -> Option<(&str, &str)> {
    let domain = |name: &'static str| {
        let rest = fact(seen, name)?.strip_prefix("spiffe://")?;
        Some(rest.split('/').next().unwrap_or(rest))
    };
    let (client, server) = (domain("client_spiffe")?, domain("certificate_spiffe")?);
    (client != server).then_some((client, server))
}
