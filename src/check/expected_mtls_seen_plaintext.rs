//! `expected-mtls-seen-plaintext`: readable bytes to a server that takes mutual TLS alone.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_seen::met;
use super::shared::by_met;
use super::{Evidence, Finding, check};

check! {
    ExpectedMtlsSeenPlaintext, "expected-mtls-seen-plaintext", High,
    "Readable bytes to a server that takes mutual TLS alone.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let broken = met(evidence).filter(|one| {
        one.outlook.is_strict()
            && one.seen.in_the_clear()
            && !one.seen.turned_away()
            && one.infrastructure().is_none()
    });
    by_met(evidence, broken, |one, subject, mut because| {
        let acceptance = one.outlook.accepts;
        because.splice(0..0, acceptance.and_then(|acceptance| acceptance.origin.clone()));
        let why = acceptance.map_or("", |acceptance| acceptance.why.as_str());
        let detection = &one.seen.detection;
        let mut finding = ExpectedMtlsSeenPlaintext.finding(
            subject,
            format!(
                "{} on port {} is in the clear on the wire, where the server takes nothing in the clear ({why}).",
                detection.protocol, one.port
            ),
            because,
            "Find out whether the proxy runs and has its configuration: `istioctl proxy-status`, \
             `linkerd check --proxy`, or the config_dump of the Envoy; then whether the capture is older.",
        );
        finding.detail = format!("{} {}", detection.protocol, one.port);
        finding
    })
}
