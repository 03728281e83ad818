//! NNTP (RFC 3977): the server greets with 200 or 201; STARTTLS (RFC 4642), AUTHINFO.

use super::lines::{Shape, Upgrade};
use super::{Probe, Seen, detector};

detector! {
    Nntp: "nntp"; Stream, ports [119, 433], Either;
    "NNTP: greeting and commands, STARTTLS, AUTHINFO PASS";
    "RFC 3977, 4642, 4643";
    begins [SHAPE.greeted(), SHAPE.joined()]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    SHAPE.probe(seen)
}

const SHAPE: Shape = Shape {
    name: "nntp",
    greetings: &[b"200 ", b"201 ", b"400 ", b"502 "],
    verbs: &[
        b"MODE READER",
        b"CAPABILITIES",
        b"AUTHINFO ",
        b"GROUP ",
        b"LIST",
        b"STARTTLS",
        b"QUIT",
        b"IHAVE ",
    ],
    marks: &[b"NNTP", b"InterNetNews"],
    upgrade: Upgrade {
        asks: &[b"STARTTLS\r\n"],
        agrees: &[b"\n382 ", b"382 "],
        content: [
            &[b"ARTICLE", b"BODY", b"HEAD", b"POST", b"IHAVE ", b"TAKETHIS "],
            &[b"340 ", b"335 ", b"220 ", b"222 "],
        ],
    },
    secrets: &[(b"AUTHINFO PASS ", "nntp-pass")],
};
