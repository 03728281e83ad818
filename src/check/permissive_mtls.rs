//! `permissive-mtls`: a workload of the mesh that takes plaintext beside mutual TLS.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_ground::{is_member, per_workload};
use super::{Evidence, Finding, check};
use crate::graph::{Acceptance, Admission, Dialect, MeshMode};
use crate::model::proxy::{BOOTSTRAP, CONFIG_DUMP};

check! {
    PermissiveMtls, "permissive-mtls", Medium, "A workload of the mesh that takes plaintext beside mutual TLS.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

/// Where the setting stands.
fn fix(acceptance: &Acceptance) -> &'static str {
    let kind = acceptance.origin.as_ref().map_or("", |origin| &*origin.kind);
    match (kind, acceptance.accepts.terminates) {
        (kind, _) if [BOOTSTRAP.1, CONFIG_DUMP.1].contains(&kind) => {
            "Once all its clients send mutual TLS, take the filter chain without TLS out of the listener."
        }
        ("Server", _) => {
            "Once all its clients are in the mesh, ask for a MeshTLSAuthentication in what authorizes calls of \
             the Server."
        }
        (_, Some(Dialect::LinkerdTransport | Dialect::LinkerdMtls)) => {
            "Once all its clients are in the mesh, annotate it with config.linkerd.io/default-inbound-policy: \
             all-authenticated, or write a Server and an AuthorizationPolicy for its ports."
        }
        (_, Some(Dialect::ConsulMtls)) => {
            "Once all its clients are in the mesh, set mutualTLSMode: strict in its ServiceDefaults, or in \
             ProxyDefaults."
        }
        _ => "Once all its clients are in the mesh, set mode STRICT in a PeerAuthentication.",
    }
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let permissive = |class| {
        let mut list = graph.acceptances(class).filter(|_| is_member(graph, class));
        let takes_both = |acceptance: &&Acceptance| {
            let accepts = acceptance.accepts;
            accepts.plaintext == Admission::Admitted && accepts.terminates.is_some()
        };
        // A mesh covers all ports; a proxy by itself says what it takes listener by listener.
        if graph.membership(class).is_some_and(|member| member.mode == MeshMode::Envoy) {
            return list.find(takes_both);
        }
        list.find(|acceptance| acceptance.ports.is_all()).filter(takes_both)
    };
    per_workload(evidence, permissive, |subject, acceptance, origin| {
        PermissiveMtls.finding(
            subject,
            format!("Clients without a proxy reach it in the clear: {}.", acceptance.why),
            vec![acceptance.origin.clone().unwrap_or(origin)],
            fix(acceptance),
        )
    })
}
