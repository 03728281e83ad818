//! ManageSieve (RFC 5804): the server lists its capabilities in quotes; STARTTLS, AUTHENTICATE.

use super::lines::{Shape, Upgrade};
use super::{Probe, Seen, detector};

detector! {
    Sieve: "sieve"; Stream, ports [4190, 2000], Either;
    "ManageSieve: list of capabilities, STARTTLS, AUTHENTICATE PLAIN";
    "RFC 5804";
    begins [SHAPE.greeted(), SHAPE.joined()]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    SHAPE.probe(seen)
}

const SHAPE: Shape = Shape {
    name: "sieve",
    greetings: &[b"\"IMPLEMENTATION\" ", b"\"SIEVE\" "],
    verbs: &[],
    marks: &[],
    upgrade: Upgrade {
        asks: &[b"STARTTLS\r\n"],
        agrees: &[b"OK \"Begin TLS", b"OK\r\n"],
        content: [&[b"PUTSCRIPT ", b"GETSCRIPT "], &[]],
    },
    secrets: &[(b"AUTHENTICATE \"PLAIN\"", "sieve-auth"), (b"AUTHENTICATE \"LOGIN\"", "sieve-auth")],
};
