//! POP3 (RFC 1939): the server greets with `+OK`; STLS (RFC 2595), USER and PASS.

use super::lines::{Shape, Upgrade};
use super::{Probe, Seen, detector};

detector! {
    Pop3: "pop3"; Stream, ports [110], Either;
    "POP3: greeting, STLS and its refusal, PASS";
    "RFC 1939, 2595, 5034";
    begins [SHAPE.greeted(), SHAPE.joined()]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    SHAPE.probe(seen)
}

const SHAPE: Shape = Shape {
    name: "pop3",
    greetings: &[b"+OK"],
    verbs: &[b"USER ", b"CAPA", b"STLS", b"AUTH", b"APOP ", b"QUIT"],
    marks: &[b"POP3"],
    upgrade: Upgrade {
        asks: &[b"STLS\r\n"],
        agrees: &[b"+OK Begin", b"TLS"],
        content: [&[b"RETR ", b"TOP "], &[]],
    },
    secrets: &[
        (b"PASS ", "pop3-pass"),
        (b"AUTH PLAIN", "pop3-pass"),
        (b"AUTH LOGIN", "pop3-pass"),
        (b"AUTH XOAUTH2", "pop3-pass"),
    ],
};
