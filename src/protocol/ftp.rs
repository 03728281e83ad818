//! FTP's control connection (RFC 959): AUTH TLS (RFC 4217), and whether the data connections follow.
//!
//! Data connections are flows of their own and are judged by what they carry.

use super::bytes::contains;
use super::lines::{Shape, Upgrade};
use super::{Probe, Seen, detector};

detector! {
    Ftp: "ftp"; Stream, ports [21, 2121], Either;
    "FTP control: greeting, AUTH TLS and its refusal, PASS; PROT C is told";
    "RFC 959, 4217";
    begins [SHAPE.greeted(), SHAPE.joined()]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    match SHAPE.probe(seen)? {
        Probe::Certain(detection) if contains(seen.client, b"\r\nPROT C\r\n") => {
            detection.with("data_channel", "clear").certain()
        }
        other => Some(other),
    }
}

const SHAPE: Shape = Shape {
    name: "ftp",
    greetings: &[b"220 ", b"220-", b"120 ", b"421 ", b"530 "],
    verbs: &[
        b"USER ", b"AUTH ", b"FEAT", b"SYST", b"OPTS ", b"QUIT", b"PASS ", b"CWD ", b"PWD", b"TYPE ", b"NOOP",
    ],
    marks: &[b"FTP", b"\r\n331 ", b"\r\n230 "],
    upgrade: Upgrade { asks: &[b"AUTH TLS\r\n", b"AUTH SSL\r\n", b"AUTH TLS-C\r\n"], agrees: &[b"\n234 "] },
    secrets: &[(b"PASS ", "ftp-pass")],
};
