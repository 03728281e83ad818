//! `authorization-without-identity`: a rule of mesh authorization that clients without an identity satisfy.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::policy_name;
use super::{Evidence, Finding, check};
use crate::graph::{Acceptance, Action, Admission, Dialect, Peer};
use crate::model::INBOUND_DEFAULT;

check! {
    AuthorizationWithoutIdentity, "authorization-without-identity", Medium, "A rule of mesh authorization that clients without an identity satisfy.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

/// In the words of the mesh that terminates the connections.
fn fix<'a>(acceptances: impl Iterator<Item = &'a Acceptance>) -> &'static str {
    match acceptances.filter_map(|acceptance| acceptance.accepts.terminates).next() {
        Some(Dialect::LinkerdTransport | Dialect::LinkerdMtls) => {
            "Ask for a MeshTLSAuthentication or for ServiceAccounts in what authorizes these calls."
        }
        Some(Dialect::ConsulMtls) => {
            "Name the sources in the intention, or set mutualTLSMode: strict for the service."
        }
        _ => {
            "Name principals, namespaces or serviceAccounts in the rule, or set mode STRICT for its workloads."
        }
    }
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let mut findings = Vec::new();
    for info in &graph.rules {
        let policy = &graph.policies[info.policy as usize];
        // What a mesh does where nobody wrote anything is told of its workloads (`permissive-mtls`).
        let is_default = &*info.rule.origin.kind == INBOUND_DEFAULT;
        if !graph.is_of_mesh(policy) || info.rule.action != Action::Allow || is_default {
            continue;
        }
        // A rule that is satisfied only by a proven identity matches nobody without one.
        let proves = |peer: &Peer| match peer {
            Peer::Authenticated => true,
            Peer::All(parts) => parts.iter().any(|part| match part {
                Peer::Authenticated => true,
                Peer::All(inner) => inner.contains(&Peer::Authenticated),
                _ => false,
            }),
            _ => false,
        };
        let named = info.rule.peers.named();
        if !named.is_empty() && named.iter().all(proves) {
            continue;
        }
        let takes_plaintext = |class: &u32| {
            let mut list = graph.acceptances(*class);
            list.any(|a| {
                a.accepts.plaintext == Admission::Admitted && a.accepts.proxied == Admission::Admitted
            })
        };
        if !policy.selected.iter().any(takes_plaintext) {
            continue;
        }
        let origin = &info.rule.origin;
        let mut finding = AuthorizationWithoutIdentity.finding(
            policy_name(origin),
            match origin.rule.is_empty() {
                true => "It lets in clients that prove no identity, in plaintext.".to_owned(),
                false => format!("{} lets in clients that prove no identity, in plaintext.", origin.rule),
            },
            vec![origin.clone()],
            fix(policy.selected.iter().flat_map(|class| graph.acceptances(*class))),
        );
        finding.detail = origin.rule.to_string();
        findings.push(finding);
    }
    findings.sort();
    findings.dedup();
    findings
}
