//! Mail and file transfer: the server greets with a line, the client may ask for TLS.
//!
//! SMTP (RFC 5321, 3207), IMAP (RFC 9051), POP3 (RFC 1939, 2595), FTP (RFC 959, 4217). They share
//! one shape, so they share one file and differ in a table row each.

use super::bytes::{contains, starts};
use super::{Detection, Detector, Probe, tls};
use crate::capture::{Flow, StreamStart, Transport};

/// What tells one line protocol from the others.
struct Shape {
    name: &'static str,
    /// How the server greets.
    greetings: &'static [&'static [u8]],
    /// First words of the client; a greeting alone is not enough where others greet alike.
    verbs: &'static [&'static [u8]],
    /// What asks for TLS.
    upgrade: &'static [&'static [u8]],
    /// What carries a password in the clear.
    secrets: &'static [&'static [u8]],
    credentials: &'static str,
}

const SMTP: Shape = Shape {
    name: "smtp",
    greetings: &[b"220"],
    verbs: &[b"EHLO", b"HELO", b"LHLO"],
    upgrade: &[b"STARTTLS\r\n"],
    secrets: &[b"AUTH PLAIN", b"AUTH LOGIN"],
    credentials: "smtp-auth",
};
const IMAP: Shape = Shape {
    name: "imap",
    greetings: &[b"* OK", b"* PREAUTH"],
    verbs: &[],
    upgrade: &[b" STARTTLS\r\n"],
    secrets: &[b" LOGIN ", b" AUTHENTICATE PLAIN"],
    credentials: "imap-login",
};
const POP3: Shape = Shape {
    name: "pop3",
    greetings: &[b"+OK"],
    verbs: &[b"USER", b"CAPA", b"STLS", b"AUTH", b"APOP", b"QUIT"],
    upgrade: &[b"STLS\r\n"],
    secrets: &[b"PASS "],
    credentials: "pop3-pass",
};
const FTP: Shape = Shape {
    name: "ftp",
    greetings: &[b"220"],
    verbs: &[b"USER", b"AUTH", b"FEAT", b"SYST", b"OPTS", b"QUIT", b"PASS"],
    upgrade: &[b"AUTH TLS\r\n", b"AUTH SSL\r\n"],
    secrets: &[b"PASS "],
    credentials: "ftp-pass",
};

macro_rules! line_protocol {
    ($type:ident, $shape:ident, $summary:literal) => {
        #[doc = $summary]
        pub struct $type;

        impl Detector for $type {
            fn name(&self) -> &'static str {
                $shape.name
            }

            fn summary(&self) -> &'static str {
                $summary
            }

            fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
                $shape.probe(flow, start)
            }
        }
    };
}

line_protocol!(Smtp, SMTP, "SMTP and LMTP: greeting and hello, STARTTLS, AUTH");
line_protocol!(Imap, IMAP, "IMAP: greeting, STARTTLS, LOGIN");
line_protocol!(Pop3, POP3, "POP3: greeting, STLS, PASS");
line_protocol!(Ftp, FTP, "FTP control: greeting, AUTH TLS, PASS");

impl Shape {
    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
        let (client, server) = (start.forward.as_slice(), start.backward.as_slice());
        let greets = self.greetings.iter().any(|greeting| starts(server, greeting));
        let speaks = self.verbs.is_empty() || self.verbs.iter().any(|verb| starts(client, verb));
        if flow.transport != Transport::Tcp || !greets || !speaks {
            return Probe::NotForUs;
        }
        if let Some(detection) = self.upgraded(client, server) {
            return Probe::Certain(detection);
        }
        let detection = Detection::plain(self.name, "greeting and commands in the clear");
        let secret = self.secrets.iter().any(|secret| contains(client, secret));
        Probe::Certain(if secret { detection.with("credentials", self.credentials) } else { detection })
    }

    /// TLS begins right behind the client's request and behind a line of the server.
    fn upgraded(&self, client: &[u8], server: &[u8]) -> Option<Detection> {
        let end = self.upgrade.iter().find_map(|word| {
            client.windows(word.len()).position(|w| w.eq_ignore_ascii_case(word)).map(|at| at + word.len())
        })?;
        let handshake = client.get(end..).filter(|rest| tls::begins(rest))?;
        let lines = server.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1);
        let answers = lines.filter_map(|at| server.get(at..)).find(|rest| matches!(rest, [22, 3, ..]));
        tls::upgraded(self.name, handshake, answers.unwrap_or(&[]))
    }
}
