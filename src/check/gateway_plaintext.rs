//! `gateway-plaintext`: a gateway that takes requests from outside in the clear.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::{Evidence, Finding, check};
use crate::exposure::{Access, EntryKind, Tls};
use crate::model::Origin;
use std::collections::BTreeMap;

check! {
    GatewayPlaintext, "gateway-plaintext", Medium, "A gateway that takes requests from outside in the clear.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut by_server: BTreeMap<(String, u32), Finding> = BTreeMap::new();
    let of_gateway = |kind| matches!(kind, EntryKind::VirtualService | EntryKind::GatewayRoute);
    for way in &evidence.exposures.all {
        let clear = matches!(way.tls, Tls::None | Tls::Optional);
        if !of_gateway(way.kind) || !clear || matches!(way.access, Access::Closed(_)) {
            continue;
        }
        // The server or listener stands before the route.
        let is_gateway = |origin: &&Origin| &*origin.kind == "Gateway";
        let Some(server) = way.because.iter().find(is_gateway) else { continue };
        let subject = format!("{}/Gateway/{}", server.namespace, server.name);
        let hosts = match way.hosts.is_empty() {
            true => "any host".to_owned(),
            false => way.hosts.iter().cloned().collect::<Vec<_>>().join(", "),
        };
        let message = format!("Requests for {hosts} come in without TLS and are led on by {}.", way.entry);
        let fix = "Serve HTTPS, and let the server for HTTP only redirect (tls.httpsRedirect, or a RequestRedirect filter).";
        let mut because = vec![server.clone()];
        because.extend(way.because.iter().filter(|origin| *origin != server).cloned());
        let mut finding = GatewayPlaintext.finding(subject.clone(), message, because, fix);
        finding.detail = server.rule.to_string();
        by_server.entry((subject, server.line)).or_insert(finding);
    }
    by_server.into_values().collect()
}
