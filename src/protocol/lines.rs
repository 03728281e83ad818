//! What the line protocols share: a server that greets, a client that answers with a verb, an
//! upgrade to TLS inside the connection, and what becomes of it.

use super::bytes::{contains_any, find, starts_with_any};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, tls};
use crate::model::{Proof, Protection, WhyUnknown};

/// What tells one line protocol from the others.
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// How the server greets.
    pub(super) greetings: &'static [&'static [u8]],
    /// First words of the client; none where the greeting alone tells.
    pub(super) verbs: &'static [&'static [u8]],
    /// Words of the server that tell this protocol even where the client was not seen.
    pub(super) marks: &'static [&'static [u8]],
    pub(super) upgrade: Upgrade,
    /// What carries a password in the clear, and what to call that.
    pub(super) secrets: &'static [(&'static [u8], &'static str)],
}

/// How a protocol goes over to TLS.
pub(super) struct Upgrade {
    /// What the client says.
    pub(super) asks: &'static [&'static [u8]],
    /// What the server says when it agrees; what follows is TLS.
    pub(super) agrees: &'static [&'static [u8]],
}

/// How far an upgrade came.
pub(super) enum Upgraded {
    /// TLS followed.
    Yes(Detection),
    /// It was asked for and refused, and clear commands followed.
    Refused,
    /// It was asked for, and what became of it was not seen.
    Open,
    /// It was not asked for.
    No,
}

impl Shape {
    /// The server greets.
    pub(super) const fn greeted(&self) -> Opening {
        Opening::server(First::words(self.greetings))
    }

    /// The greeting was missed, and the client goes on.
    pub(super) const fn joined(&self) -> Opening {
        Opening::client(First::words(self.verbs)).late()
    }

    pub(super) fn probe(&self, seen: &Seen<'_>) -> Option<Probe> {
        let (client, server) = (seen.client, seen.server);
        let greets = starts_with_any(server, self.greetings);
        let speaks = !self.verbs.is_empty() && starts_with_any(client, self.verbs);
        let marked = || contains_any(&server[..server.len().min(2_048)], self.marks);
        let fits = match (server.is_empty(), client.is_empty()) {
            (false, false) => {
                greets && (self.verbs.is_empty() || speaks || marked()) || seen.late && speaks && marked()
            }
            (false, true) => greets && (self.verbs.is_empty() || marked()),
            (true, _) => false,
        };
        if !fits {
            return None;
        }
        match self.upgrade.follow(self.name, seen) {
            Upgraded::Yes(detection) => detection.certain(),
            Upgraded::Refused => self.clear(
                client,
                Proof::UpgradeRefused,
                "TLS was refused, and commands followed in the clear",
            ),
            Upgraded::Open => Detection::unclear(
                self.name,
                WhyUnknown::HandshakeIncomplete,
                "TLS was asked for, and no handshake was seen",
            )
            .certain(),
            Upgraded::No => self.clear(client, Proof::Grammar, "greeting and commands in the clear"),
        }
    }

    fn clear(&self, client: &[u8], proof: Proof, why: &'static str) -> Option<Probe> {
        let secret = self.secrets.iter().find(|(mark, _)| find(client, mark).is_some());
        let detection = Detection::new(self.name, Protection::Plaintext(proof), why);
        detection.with_credentials(secret.map(|(_, kind)| *kind)).certain()
    }
}

impl Upgrade {
    /// TLS begins right behind the client's request and behind the server's agreement.
    pub(super) fn follow(&self, protocol: &'static str, seen: &Seen<'_>) -> Upgraded {
        let (client, server) = (seen.client, seen.server);
        let end = self.asks.iter().filter_map(|word| find(client, word).map(|at| at + word.len())).min();
        // Most servers say a lot, and few of them go over to TLS.
        let answer = || tls_in_server(server);
        let Some(end) = end else {
            // Of a client that was not seen, the server's handshake tells.
            return match client.is_empty().then(answer).flatten() {
                Some(answer) => {
                    tls::upgraded(protocol, &[], answer, seen.time).map_or(Upgraded::No, Upgraded::Yes)
                }
                None => Upgraded::No,
            };
        };
        // The rest of the request's line or element may stand between.
        let rest = &client[end..];
        let handshake = (0..rest.len().min(64)).map(|at| &rest[at..]).find(|rest| tls::begins(rest));
        if let Some(handshake) = handshake {
            let found = tls::upgraded(protocol, handshake, answer().unwrap_or(&[]), seen.time);
            return found.map_or(Upgraded::Open, Upgraded::Yes);
        }
        let agreed = contains_any(server, self.agrees);
        let goes_on = rest.iter().any(|b| b.is_ascii_graphic());
        match (agreed, goes_on) {
            (false, true) => Upgraded::Refused,
            (false, false) if !server.is_empty() && !seen.cut && !seen.holes => Upgraded::No,
            _ => Upgraded::Open,
        }
    }
}

/// The server's first TLS record behind a line of text.
fn tls_in_server(server: &[u8]) -> Option<&[u8]> {
    memchr::memchr2_iter(b'\n', b'>', server).map(|at| &server[at + 1..]).find(|rest| tls::answers(rest))
}
