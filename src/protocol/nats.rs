//! NATS: the server introduces itself with INFO, the client answers with CONNECT, both in JSON.

use super::bytes::{after_line, contains, contains_any, find, starts};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector, tls};
use crate::model::WhyUnknown;

detector! {
    Nats: "nats"; Stream, ports [4222, 6222], Either;
    "NATS: INFO and CONNECT, TLS behind INFO, passwords and tokens in CONNECT";
    "NATS documentation, Client Protocol";
    begins [Opening::server(First::words(&[b"INFO"])), Opening::client(First::words(&[b"CONNECT"]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let introduces = starts(seen.server, b"INFO {") && contains(seen.server, b"\"server_id\"");
    let connects = starts(seen.client, b"CONNECT {") && (introduces || contains(seen.client, b"\"verbose\""));
    if !introduces && !connects {
        return None;
    }
    if introduces && tls::begins(seen.client) {
        let answer = after_line(seen.server).unwrap_or(&[]);
        return tls::upgraded("nats", seen.client, answer, seen.time)?.certain();
    }
    if introduces && seen.client.is_empty() && find(seen.server, b"\"tls_required\":true").is_some() {
        let why = "the server asks for TLS, and no handshake was seen";
        return Detection::unclear("nats", WhyUnknown::HandshakeIncomplete, why).certain();
    }
    let secret = contains_any(seen.client, &[b"\"pass\":\"", b"\"auth_token\":\""])
        && !contains(seen.client, b"\"pass\":\"\"");
    let detection = Detection::plain("nats", "commands in the clear");
    detection.with_credentials(secret.then_some("nats-connect")).certain()
}
