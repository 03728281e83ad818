//! SMTP (RFC 5321) and LMTP (RFC 2033): the server greets, the client says hello, STARTTLS (RFC 3207).

use super::lines::{Shape, Upgrade};
use super::{Probe, Seen, detector};

detector! {
    Smtp: "smtp"; Stream, ports [25, 587, 2525, 24], Either;
    "SMTP and LMTP: greeting and hello, STARTTLS and its refusal, AUTH";
    "RFC 5321, 2033, 3207, 4954";
    begins [SHAPE.greeted(), SHAPE.joined()]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    SHAPE.probe(seen)
}

const SHAPE: Shape = Shape {
    name: "smtp",
    greetings: &[b"220 ", b"220-", b"554 ", b"421 "],
    verbs: &[b"EHLO", b"HELO", b"LHLO", b"MAIL FROM:"],
    marks: &[b"SMTP", b"250-STARTTLS", b"250-SIZE", b"250-PIPELINING"],
    upgrade: Upgrade {
        asks: &[b"STARTTLS\r\n"],
        agrees: &[b"\r\n220 "],
        content: [&[b"DATA\r", b"BDAT "], &[b"354 "]],
    },
    secrets: &[
        (b"AUTH PLAIN", "smtp-auth"),
        (b"AUTH LOGIN", "smtp-auth"),
        (b"AUTH XOAUTH2 ", "smtp-auth"),
        (b"AUTH OAUTHBEARER ", "smtp-auth"),
    ],
};
