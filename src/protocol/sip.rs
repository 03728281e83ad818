//! SIP (RFC 3261): request and status lines with its version.

use super::bytes::{contains, contains_any, first_line, starts_with_any};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Sip: "sip"; Both, ports [5060], Clear;
    "SIP: request and status lines; whether media keys are in the clear";
    "RFC 3261, 4568";
    begins [Opening::client(LINES), Opening::server(LINES)]
}

const METHODS: &[&[u8]] = &[
    b"INVITE ",
    b"REGISTER ",
    b"OPTIONS ",
    b"ACK ",
    b"BYE ",
    b"CANCEL ",
    b"SUBSCRIBE ",
    b"NOTIFY ",
    b"MESSAGE ",
    b"INFO ",
    b"PRACK ",
    b"UPDATE ",
    b"REFER ",
    b"PUBLISH ",
];

const LINES: First = First::words(METHODS).or(First::of(b"S"));

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let fits = |bytes: &[u8]| {
        let line = first_line(bytes);
        bytes.starts_with(b"SIP/2.0 ")
            || starts_with_any(line, METHODS) && contains_any(line, &[b" SIP/2.0", b" sip:", b" sips:"])
    };
    if !seen.datagrams().any(fits) {
        return None;
    }
    // SDES hands out the keys of the media in the clear (RFC 4568, section 4).
    let keys = contains(seen.client, b"\na=crypto:") || contains(seen.server, b"\na=crypto:");
    Detection::plain("sip", "requests and answers in the clear")
        .with_credentials(keys.then_some("srtp-keys"))
        .certain()
}
