//! Remote frame buffer of VNC (RFC 6143): both sides name their version, then settle security.

use super::bytes::find;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector, tls};
use crate::model::WhyUnknown;

detector! {
    Vnc: "vnc"; Stream, ports [5900, 5901, 5902], Either;
    "VNC: versions of both sides, the kind of security that was chosen, TLS behind it";
    "RFC 6143; VeNCrypt";
    begins [Opening::client(First::of(b"R")), Opening::server(First::of(b"R"))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let named = |bytes: &[u8]| bytes.starts_with(b"RFB 00") && bytes.get(11) == Some(&b'\n');
    if !named(seen.server) && !named(seen.client) {
        return None;
    }
    // Kinds 18 and 19 go over to TLS.
    let hello = find(seen.client, &[22, 3, 1]).or_else(|| find(seen.client, &[22, 3, 3]));
    let handshake = hello.map(|at| &seen.client[at..]).filter(|rest| tls::begins(rest));
    if let Some(handshake) = handshake {
        let answer = (0..seen.server.len()).map(|at| &seen.server[at..]).find(|rest| tls::answers(rest));
        return tls::upgraded("vnc", handshake, answer.unwrap_or(&[]), seen.time)?.certain();
    }
    match seen.client.get(12) {
        // A name and a password, without TLS around them.
        Some(19) if seen.client.get(15..19) == Some(&[0, 0, 1, 0]) => {
            let why = "a name and a password, and the screen in the clear";
            Detection::plain("vnc", why).with_credentials(Some("vnc-plain")).certain()
        }
        Some(5 | 6 | 13 | 18 | 19 | 129..=134) => {
            Detection::unclear("vnc", WhyUnknown::Ambiguous, "a kind of security was chosen that may encrypt")
                .certain()
        }
        Some(2) => Detection::plain("vnc", "password challenge, and the screen in the clear")
            .with("authentication", "vnc-challenge")
            .certain(),
        // Kind 30 encrypts the password and nothing else.
        _ => Detection::plain("vnc", "versions in the clear").certain(),
    }
}
