//! `weak-tls`: TLS that is too old or does not encrypt.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{by_subject, fact, is_ours, paths};
use super::{Evidence, Finding, Severity, check};
use crate::graph::TlsVersion;
use crate::model::{ExpectedProtection, Proof, Protection, Protocol};
use crate::observed::ObservedFlow;
use std::borrow::Cow;

check! {
    WeakTls, "weak-tls", Medium, "TLS that is too old or does not encrypt.",
    ["PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let minimum = mesh_minimum(evidence);
    let below = |seen: &ObservedFlow| minimum.is_some_and(|least| is_below(evidence, seen, least));
    let flows = evidence.observed.flows.iter();
    let flows = flows.filter(|seen| is_ours(seen) && (leaks(seen) || below(seen)));
    by_subject(evidence, flows, |seen, subject, because| {
        let detection = &seen.detection;
        let asked = match minimum.filter(|_| !leaks(seen)) {
            Some(least) => format!(", and the mesh asks for {} at least", least.word()),
            None => String::new(),
        };
        let mut finding = WeakTls.finding(
            subject,
            format!(
                "{} on port {} used {}{asked}.",
                detection.protocol,
                seen.flow.responder.port,
                version(seen)
            ),
            because,
            match is_null(seen) {
                true => "Take the ciphers that do not encrypt off the lists of both ends.",
                false => "Require TLS 1.2 or 1.3 at the server.",
            },
        );
        // Whoever is on the way can read it, as if there were no TLS.
        if is_null(seen) {
            finding.severity = Severity::High;
        }
        finding.detail = format!("{} {}", seen.detection.protocol, seen.flow.responder.port);
        finding
    })
}

/// The least version of mutual TLS between proxies (`meshMTLS.minProtocolVersion`).
fn mesh_minimum(evidence: &Evidence<'_>) -> Option<TlsVersion> {
    let mutual = evidence.notes.tls_floors.iter().filter(|floor| floor.field.starts_with("meshMTLS."));
    mutual.filter_map(|floor| floor.version).max()
}

/// Whether a flow that the mesh carries used a version below its least.
fn is_below(evidence: &Evidence<'_>, seen: &ObservedFlow, least: TlsVersion) -> bool {
    let used = match fact(seen, "version") {
        Some("TLS1.2") => TlsVersion::V12,
        Some("TLS1.1") => TlsVersion::V11,
        Some("TLS1.0") => TlsVersion::V10,
        _ => return false,
    };
    let mutual = |(from, to, port): (u32, u32, u16)| {
        let edge = evidence.graph.edge(from, to);
        let legs = edge.mesh.iter().flat_map(|mesh| &mesh.legs);
        legs.filter(|leg| leg.traffic.contains(Protocol::Tcp, port)).any(|leg| {
            matches!(leg.protection, ExpectedProtection::MtlsStrict | ExpectedProtection::MtlsPermissive)
        })
    };
    used < least && paths(evidence, seen).into_iter().any(mutual)
}

const OLD: [&str; 5] = ["SSL2", "SSL3", "TLS1.0", "TLS1.1", "DTLS1.0"];

fn leaks(seen: &ObservedFlow) -> bool {
    let old = |(name, value): &(&str, Cow<'_, str>)| *name == "version" && OLD.contains(&value.as_ref());
    let failed = matches!(seen.detection.protection, Protection::Unknown(_));
    is_null(seen)
        || (!failed && (seen.detection.facts.iter().any(old) || fact(seen, "weak_cipher").is_some()))
}

fn is_null(seen: &ObservedFlow) -> bool {
    seen.detection.protection == Protection::Plaintext(Proof::NullCipher)
}

fn version(seen: &ObservedFlow) -> String {
    match (seen.detection.protection, fact(seen, "weak_cipher"), fact(seen, "version")) {
        (Protection::Plaintext(Proof::NullCipher), _, _) => "a cipher that does not encrypt".to_owned(),
        (_, Some(cipher), Some(version)) => format!("{version} with a cipher of the kind {cipher}"),
        (_, Some(cipher), None) => format!("a cipher of the kind {cipher}"),
        (_, None, version) => version.unwrap_or("an old version").to_owned(),
    }
}
