//! `refused-handshake`: a connection that failed because its ends do not agree on TLS.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_seen::{Outlook, Promises};
use super::shared::{by_flow, fact, is_ours};
use super::{Evidence, Finding, check};
use crate::model::Origin;
use crate::observed::{Answer, ObservedFlow, Transport};

check! {
    RefusedHandshake, "refused-handshake", Medium,
    "A connection that failed because its ends do not agree on TLS.",
    ["NIST-800-204A"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut promises = Promises::of(evidence);
    let ours = evidence.observed.flows.iter().filter(is_ours);
    let beside = ours.map(|seen| {
        let promise = promises.promise(&seen);
        (seen, promise.map(|promise| promise.outlook))
    });
    let refused = beside.filter(|(seen, outlook)| words(seen, outlook.as_ref()).is_some());
    let make = |(seen, outlook): &(ObservedFlow, Option<Outlook<'_>>), subject, mut because: Vec<Origin>| {
        let (what, fix) = words(seen, outlook.as_ref()).unwrap_or_default();
        because.splice(0..0, outlook.as_ref().and_then(|outlook| outlook.accepts?.origin.clone()));
        let mut finding = RefusedHandshake.finding(subject, what, because, fix);
        finding.detail = format!("{} {}", seen.detection.protocol, seen.flow.responder.port);
        finding
    };
    by_flow(evidence, refused, |(seen, _)| seen, make)
}

/// What failed and what to do, where something did.
fn words(seen: &ObservedFlow, outlook: Option<&Outlook<'_>>) -> Option<(String, &'static str)> {
    let port = seen.flow.responder.port;
    if seen.flow.transport != Transport::Tcp {
        return None;
    }
    let strict = outlook.is_some_and(Outlook::is_strict);
    if strict && seen.turned_away() && seen.in_the_clear() {
        return Some((
            format!(
                "The client spoke {} in the clear on port {port}; the server takes nothing in the clear and \
                 ended the connection without an answer.",
                seen.detection.protocol
            ),
            "Bring the client into the mesh; what it sent could be read on the wire.",
        ));
    }
    let ended = seen.flow.backward.packets > 0 && seen.flow.seen.answer != Answer::Silence;
    if !seen.failed_handshake() || !ended {
        return None;
    }
    let offered = match fact(seen, "mesh") {
        Some(mesh) => format!("mutual TLS of {mesh}"),
        None => "TLS".to_owned(),
    };
    let ends_none = |outlook: &Outlook<'_>| {
        outlook.refused || outlook.accepts.is_none_or(|acceptance| acceptance.accepts.terminates.is_none())
    };
    let bare = outlook.is_some_and(ends_none)
        && (fact(seen, "mesh").is_some() || outlook.is_some_and(|outlook| outlook.refused));
    let (more, fix) = match (bare, fact(seen, "client_certificate")) {
        (true, _) => (
            "; no proxy at the server ends it",
            "Let the server's proxy have the port, or tell the client's not to send mutual TLS there.",
        ),
        (_, Some("declined")) => (
            "; the server asked for a certificate and the client had none",
            "Bring the client into the mesh, or give it a certificate that the server trusts.",
        ),
        (_, Some("shown")) => (
            "; the server did not take the client's certificate",
            "Compare the trust bundles of both ends, and how long the certificate is valid.",
        ),
        _ => ("", "Compare what the client sends with what the server takes on that port."),
    };
    Some((
        format!("{offered} was offered on port {port} and came to nothing: {}{more}.", seen.detection.why),
        fix,
    ))
}
