//! `plaintext-flow`: a flow whose content can be read on the wire.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_ground::is_member;
use super::mesh_seen::infrastructure;
use super::node_tunnels::{Beside, NodeTunnels};
use super::shared::{by_subject, is_ours, paths};
use super::{Evidence, Finding, Severity, check};
use crate::model::{Proof, Protection};
use crate::observed::ObservedFlow;

check! {
    PlaintextFlow, "plaintext-flow", High, "A flow whose content can be read on the wire.",
    ["NSA-CISA-encryption", "NIST-800-190-4.3.3", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let tunnels = NodeTunnels::of(evidence);
    let flows = evidence.observed.flows.iter().filter(|seen| is_ours(seen) && leaks(seen));
    by_subject(evidence, flows, |seen, subject, because| {
        let detection = &seen.detection;
        let mut finding = PlaintextFlow.finding(
            subject,
            format!(
                "{} on port {} can be read on the wire: {}.",
                detection.protocol, seen.flow.responder.port, detection.why
            ),
            because,
            "Turn TLS on in the protocol, or put both ends into a mesh with strict mutual TLS.",
        );
        if let Some(what) = by_design(evidence, seen) {
            finding.severity = Severity::Low;
            finding.message.push_str(&format!(" That is by design: {what}."));
        }
        finding.detail = format!("{} {}", seen.detection.protocol, seen.flow.responder.port);
        if let Some(beside) = tunnels.beside(seen) {
            finding.message.push_str(&format!(" {}.", beside.words()));
            if matches!(beside, Beside::Encrypted(_)) {
                finding.severity = Severity::Low;
                // Flows that nothing encrypted are another finding.
                finding.detail.push_str(" at a pod");
            }
        }
        finding
    })
}

/// Readable by design: names would drown the rest, and Kerberos encrypts what is secret in it.
const BY_DESIGN: [&str; 4] = ["dns", "mdns", "llmnr", "kerberos"];

/// What a port of a proxy is for, where meshes keep it in the clear; for all ends that it may be.
fn by_design(evidence: &Evidence<'_>, seen: &ObservedFlow) -> Option<&'static str> {
    let graph = evidence.graph;
    let what = |(_, to, port): &(u32, u32, u16)| {
        graph.class(*to).filter(|_| is_member(graph, *to))?;
        infrastructure(graph.membership(*to)?.mode, *port)
    };
    let all: Vec<Option<&'static str>> = paths(evidence, seen).iter().map(what).collect();
    all.iter().all(Option::is_some).then(|| all.first().copied().flatten()).flatten()
}

/// Proven to be readable, and not by design.
fn leaks(seen: &ObservedFlow) -> bool {
    let weak_tls = seen.detection.protection == Protection::Plaintext(Proof::NullCipher);
    seen.in_the_clear() && !weak_tls && !BY_DESIGN.contains(&seen.detection.protocol)
}
