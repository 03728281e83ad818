//! HBONE, the tunnel of Istio's ambient mode: mutual TLS that carries HTTP/2 CONNECT.
//!
//! From outside it is TLS with the one protocol `h2` and no server name, to a port of its own; the
//! name rests on the port, the protection on the bytes.

use super::first::Opening;
use super::{Detection, Probe, Seen, detector, tls};

detector! {
    Hbone: "hbone"; Stream, ports [15008], Either;
    "TLS with ALPN h2 and without a server name, on the port of ambient meshes";
    "Istio ambient: HBONE";
    begins [Opening::client(tls::RECORD).hinted(), Opening::server(tls::RECORD).hinted()]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    if !PORTS.contains(&seen.server_port) {
        return None;
    }
    let mut detection = tls::judge(seen.client, seen.server, seen.time)?;
    let fact =
        |name| detection.facts.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref());
    if fact("alpn") != Some("h2") || fact("sni").is_some() {
        return None;
    }
    detection.protocol = "hbone";
    Detection::with(detection, "mesh", "istio-ambient").certain()
}
