//! `mesh-bypass`: traffic to a workload of the mesh that goes past its proxies.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_seen::{Met, met};
use super::shared::by_met;
use super::{Evidence, Finding, Severity, check};

check! {
    MeshBypass, "mesh-bypass", Medium, "Traffic to a workload of the mesh that goes past its proxies.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

/// How it went past.
enum Way {
    /// The tunnel was promised, and the port of the application was called.
    BesideTunnel(u16),
    /// Somebody in between carries such calls, and the server was called straight.
    BesideRelay,
    /// The client has a proxy that should have sent mutual TLS.
    Unencrypted,
    /// The proxy is told to leave the port alone.
    Excluded,
    /// The port of the tunnel was called, and not by the tunnel.
    ClearTunnel,
}

/// The port of Istio's tunnels, which are always TLS.
const HBONE: u16 = 15_008;

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let past = met(evidence).filter(|one| way(one).is_some());
    by_met(evidence, past, |one, subject, mut because| {
        let acceptance = one.outlook.accepts;
        because.splice(0..0, acceptance.and_then(|acceptance| acceptance.origin.clone()));
        let (port, protocol) = (one.port, one.seen.detection.protocol);
        let (what, fix) = match way(one).unwrap_or(Way::Excluded) {
            Way::BesideTunnel(wire) => (
                format!("{protocol} on port {port}, where the mesh carries it in its tunnel to port {wire}."),
                "Find out why the client's traffic is not redirected: it started before the mesh, it is on \
                 the host network, or an annotation keeps it out.",
            ),
            Way::BesideRelay => (
                format!("{protocol} on port {port} straight to it, where a waypoint carries such calls."),
                "Find out why the client does not use the waypoint; what the waypoint's policies keep out \
                 must also be kept out at the server, for identities other than the waypoint's.",
            ),
            Way::Unencrypted => (
                format!("{protocol} on port {port} in the clear, where the client's proxy sends mutual TLS."),
                "Find out why the client's traffic does not go through its proxy: excluded addresses or \
                 ports, an init container, another user id; then set mode STRICT.",
            ),
            Way::Excluded => (
                format!(
                    "{protocol} on port {port} in the clear: the proxy is told to leave that port alone."
                ),
                "Let the proxy have the port, or close it with a NetworkPolicy to those who need it.",
            ),
            Way::ClearTunnel => (
                format!("{protocol} on port {port} in the clear: tunnels of the mesh are TLS, this is none."),
                "Find out who sends it; no workload of the mesh does.",
            ),
        };
        let mut finding = MeshBypass.finding(subject, what, because, fix);
        if matches!(way(one), Some(Way::Excluded)) {
            finding.severity = Severity::Low;
        }
        finding.detail = format!("{protocol} {port}");
        finding
    })
}

fn way(one: &Met<'_>) -> Option<Way> {
    let Met { outlook, port, .. } = one;
    let in_mesh = outlook.client.is_some() && outlook.server.is_some();
    if one.infrastructure().is_some() || one.seen.turned_away() || outlook.server.is_none() {
        return None;
    }
    if *port == HBONE && one.seen.in_the_clear() {
        return Some(Way::ClearTunnel);
    }
    // What is in the clear to a strict server is told by `expected-mtls-seen-plaintext`.
    if outlook.is_strict() && one.seen.in_the_clear() {
        return None;
    }
    if in_mesh && outlook.relayed && !one.seen.failed_handshake() {
        return Some(Way::BesideRelay);
    }
    let wire = outlook.leg.as_ref().and_then(|leg| leg.wire).filter(|wire| wire != port);
    match wire {
        Some(wire) if in_mesh && !one.seen.failed_handshake() => Some(Way::BesideTunnel(wire)),
        _ if in_mesh && one.seen.in_the_clear() && outlook.promises_mtls() => Some(Way::Unencrypted),
        _ if one.seen.in_the_clear() && outlook.is_excluded() => Some(Way::Excluded),
        _ => None,
    }
}
