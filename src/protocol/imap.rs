//! IMAP (RFC 9051): the server greets with an untagged answer; STARTTLS, LOGIN.

use super::lines::{Shape, Upgrade};
use super::{Probe, Seen, detector};

detector! {
    Imap: "imap"; Stream, ports [143], Either;
    "IMAP: greeting, STARTTLS and its refusal, LOGIN";
    "RFC 9051, 3501";
    begins [SHAPE.greeted(), SHAPE.joined()]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    SHAPE.probe(seen)
}

const SHAPE: Shape = Shape {
    name: "imap",
    greetings: &[b"* OK", b"* PREAUTH", b"* BYE"],
    verbs: &[],
    marks: &[],
    upgrade: Upgrade {
        asks: &[b" STARTTLS\r\n"],
        agrees: &[b" OK Begin TLS", b" OK STARTTLS", b"TLS"],
        content: [&[b" FETCH ", b" APPEND "], &[b" FETCH ("]],
    },
    secrets: &[
        (b" LOGIN ", "imap-login"),
        (b" AUTHENTICATE PLAIN", "imap-login"),
        (b" AUTHENTICATE LOGIN", "imap-login"),
        (b" AUTHENTICATE XOAUTH2", "imap-login"),
        (b" AUTHENTICATE OAUTHBEARER", "imap-login"),
    ],
};
