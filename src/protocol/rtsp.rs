//! RTSP (RFC 7826, 2326): request and status lines with its version.

use super::bytes::{contains, first_line};
use super::{Detection, Probe, Seen, detector};

detector! {
    Rtsp: "rtsp"; Both, ports [554, 8554], Clear;
    "RTSP: request and status lines, Basic credentials";
    "RFC 7826, 2326"
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let asks = contains(first_line(seen.client), b" RTSP/");
    let answers = seen.server.starts_with(b"RTSP/");
    if !asks && !answers {
        return None;
    }
    let secret = contains(seen.client, b"\r\nauthorization: basic ").then_some("rtsp-basic");
    Detection::plain("rtsp", "requests and answers in the clear").with_credentials(secret).certain()
}
