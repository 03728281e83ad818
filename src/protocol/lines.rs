//! What the line protocols share: a server that greets, a client that answers with a verb, an
//! upgrade to TLS inside the connection, and what becomes of it.

use super::bytes::{contains_any, find, is_text, starts, starts_with_any};
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
    /// What carries what people tell each other, the client's lines and the server's: with what they begin,
    /// or, behind a space or an angle bracket, what they hold. Before TLS, everybody can read it.
    pub(super) content: [&'static [&'static [u8]]; 2],
}

/// How far an upgrade came.
pub(super) enum Upgraded {
    /// TLS followed, behind so many bytes of the client.
    Yes(Detection, usize),
    /// It was asked for, and clear commands followed, whatever the server said.
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
            // What was said before everybody could read.
            Upgraded::Yes(detection, before) => {
                detection.with_credentials(self.secret(&client[..before])).certain()
            }
            Upgraded::Refused => self.clear(
                client,
                Proof::UpgradeRefused,
                "TLS was asked for, and commands followed in the clear",
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
        let detection = Detection::new(self.name, Protection::Plaintext(proof), why);
        detection.with_credentials(self.secret(client)).certain()
    }

    /// The kind of a password among what the client said in the clear.
    fn secret(&self, client: &[u8]) -> Option<&'static str> {
        // Marks of one protocol begin alike, and most clients say none of them.
        let (first, _) = self.secrets.first()?;
        let same = |other: &[u8]| first.iter().zip(other).take_while(|(a, b)| a == b).count();
        let shared = self.secrets.iter().map(|(mark, _)| same(mark)).min()?;
        let begin = if shared > 1 { find(client, &first[..shared])? } else { 0 };
        let among = &client[begin..];
        self.secrets.iter().find(|(mark, _)| find(among, mark).is_some()).map(|(_, kind)| *kind)
    }
}

impl Upgrade {
    /// TLS begins right behind the client's request and behind the server's agreement.
    pub(super) fn follow(&self, protocol: &'static str, seen: &Seen<'_>) -> Upgraded {
        let (client, server) = (seen.client, seen.server);
        // Most servers say a lot, and few of them go over to TLS.
        let answer = || tls_in_server(server);
        let Some(first) = self.requests(client).next() else {
            // Of a client that was not seen, the server's handshake tells.
            return match client.is_empty().then(answer).flatten() {
                Some(answer) => {
                    let before = &server[..server.len() - answer.len()];
                    let found = tls::upgraded(protocol, &[], answer, seen.time);
                    let found = found.map(|detection| self.judged(detection, [&[], before]));
                    found.map_or(Upgraded::No, |detection| Upgraded::Yes(detection, 0))
                }
                None => Upgraded::No,
            };
        };
        // A request may be refused, and a later one not; white space may stand between.
        let begins = |end: usize| (end..client.len().min(end + 64)).find(|at| tls::begins(&client[*at..]));
        if let Some(begin) = self.requests(client).find_map(begins) {
            // What is said in the clear behind the request may be anybody's, and servers may take it for
            // what came under the protection of TLS.
            let end = self.requests(client).take_while(|end| *end <= begin).last().unwrap_or(begin);
            let between = client[end..begin].trim_ascii();
            let closes =
                between.starts_with(b"</") && memchr::memchr(b'>', between) == Some(between.len() - 1);
            if !between.is_empty() && !closes {
                return Upgraded::Refused;
            }
            let found = tls::upgraded(protocol, &client[begin..], answer().unwrap_or(&[]), seen.time);
            let found = found.map(|detection| self.judged(detection, [&client[..begin], &[]]));
            return found.map_or(Upgraded::Open, |detection| Upgraded::Yes(detection, begin));
        }
        let rest = client[first..].trim_ascii_start();
        let agreed = contains_any(server, self.agrees);
        match () {
            // That it was agreed on protects nobody who goes on without it.
            () if is_text(&rest[..rest.len().min(64)]) => Upgraded::Refused,
            () if rest.is_empty() && !agreed && !server.is_empty() && !seen.cut && !seen.holes => {
                Upgraded::No
            }
            () => Upgraded::Open,
        }
    }

    /// The verdict, by what both sides said before TLS began: a mail, say, in which requests may stand.
    fn judged(&self, detection: Detection, before: [&[u8]; 2]) -> Detection {
        let holds = |(said, words): (&[u8], &[&[u8]])| {
            let is_content = |line: &[u8], word: &[u8]| match word[0] {
                b' ' | b'<' => find(line, word).is_some(),
                _ => starts(line, word),
            };
            let mut lines = said.split(|byte| *byte == b'\n');
            !words.is_empty() && lines.any(|line| words.iter().any(|word| is_content(line, word)))
        };
        match before.into_iter().zip(self.content).any(holds) {
            true => behind_content(detection),
            false => detection,
        }
    }

    /// Where the requests end that the client made, the element of XML that they are in included.
    fn requests(&self, client: &[u8]) -> impl Iterator<Item = usize> {
        const MOST: usize = 8;
        let mut ends = Vec::new();
        for word in self.asks {
            let mut from = 0;
            while let Some(at) = find(&client[from..], word).filter(|_| ends.len() < MOST) {
                from += at + word.len();
                let rest = if word.ends_with(b"\n") {
                    0
                } else {
                    memchr::memchr(b'>', &client[from..]).map_or(0, |at| at + 1)
                };
                ends.push(from + rest);
            }
        }
        ends.sort_unstable();
        ends.into_iter()
    }
}

/// TLS protects nothing of the content that was said before it began.
pub(super) fn behind_content(detection: Detection) -> Detection {
    if detection.protection.is_plaintext() {
        return detection;
    }
    let why = "content was sent in the clear before TLS began".into();
    Detection { protection: Protection::Plaintext(Proof::Grammar), why, ..detection }
}

/// The server's first TLS record behind a line of text.
fn tls_in_server(server: &[u8]) -> Option<&[u8]> {
    memchr::memchr2_iter(b'\n', b'>', server).map(|at| &server[at + 1..]).find(|rest| tls::answers(rest))
}
