//! STOMP: a frame of CONNECT with headers, answered by CONNECTED.

use super::bytes::{contains, contains_any, first_line};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Stomp: "stomp"; Stream, ports [61613], Clear;
    "STOMP: CONNECT and CONNECTED, the passcode";
    "STOMP protocol specification 1.2";
    begins [Opening::client(First::of(b"CS")), Opening::server(First::of(b"C"))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let opens = matches!(first_line(seen.client), b"CONNECT" | b"STOMP")
        && contains_any(seen.client, &[b"\naccept-version:", b"\nlogin:", b"\nhost:"]);
    let answers = first_line(seen.server) == b"CONNECTED" && contains(seen.server, b"\nversion:");
    if !opens && !answers {
        return None;
    }
    let secret = contains(seen.client, b"\npasscode:").then_some("stomp-passcode");
    Detection::plain("stomp", "frames in the clear").with_credentials(secret).certain()
}
