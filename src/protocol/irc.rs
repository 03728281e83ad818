//! IRC (RFC 2812, IRCv3): the client names itself, the server answers with its prefix; STARTTLS.

use super::bytes::{contains, contains_any, find, first_line, starts, starts_with_any};
use super::first::{First, Opening};
use super::lines::{Upgrade, Upgraded};
use super::{Detection, Probe, Seen, detector};
use crate::model::{Proof, Protection, WhyUnknown};

detector! {
    Irc: "irc"; Stream, ports [6667, 6666, 6668, 6669, 194], Either;
    "IRC: registration of the client, answers of the server, STARTTLS, PASS";
    "RFC 2812, IRCv3 tls and sasl";
    begins [
        Opening::both(OPENS, ANSWERS.or_silence()),
        Opening::both(First::SILENCE, First::of(b":")),
        Opening::client(OPENS).hinted(),
        Opening::server(ANSWERS).hinted()
    ]
}

/// How a client registers, and what it says later.
const REGISTERS: &[&[u8]] = &[b"NICK ", b"USER ", b"PASS ", b"CAP LS", b"CAP REQ", b"STARTTLS\r\n"];
const SAYS: &[&[u8]] = &[b"JOIN #", b"PRIVMSG ", b"PONG :", b"WHO #"];
/// What a server says without a prefix.
const BARE: &[&[u8]] = &[b"NOTICE AUTH :", b"NOTICE * :", b"PING :", b"ERROR :"];
const OPENS: First = First::words(REGISTERS).or(First::words(SAYS));
const ANSWERS: First = First::words(BARE).or(First::of(b":"));

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let opens = |bytes: &[u8]| {
        let registers = starts_with_any(bytes, REGISTERS);
        let joined = starts_with_any(bytes, SAYS);
        registers
            && (contains_any(bytes, &[b"\nUSER ", b"\nNICK ", b"STARTTLS"]) || bytes.starts_with(b"CAP "))
            || joined
    };
    let answers = |bytes: &[u8]| {
        let line = first_line(bytes);
        let prefixed = line.first() == Some(&b':')
            && contains_any(
                line,
                &[b" NOTICE ", b" 001 ", b" CAP ", b" PRIVMSG ", b" 670 ", b" 433 ", b" JOIN ", b" 020 "],
            );
        prefixed || starts_with_any(bytes, BARE)
    };
    let fits = match (seen.client.is_empty(), seen.server.is_empty()) {
        (false, false) => {
            opens(seen.client) && answers(seen.server)
                || seen.hinted(PORTS) && (opens(seen.client) || answers(seen.server))
        }
        (false, true) => opens(seen.client) && find(seen.client, b"\nUSER ").is_some(),
        (true, false) => seen.server.starts_with(b":") && answers(seen.server),
        (true, true) => false,
    };
    if !fits {
        return None;
    }
    match UPGRADE.follow("irc", seen) {
        Upgraded::Yes(detection, end) => detection.with_credentials(secret(&seen.client[..end])).certain(),
        Upgraded::Open => Detection::unclear(
            "irc",
            WhyUnknown::HandshakeIncomplete,
            "TLS was asked for, and no handshake was seen",
        )
        .certain(),
        Upgraded::Refused => clear(seen, Proof::UpgradeRefused),
        Upgraded::No => clear(seen, Proof::Grammar),
    }
}

const UPGRADE: Upgrade = Upgrade {
    asks: &[b"STARTTLS\r\n", b"STARTTLS\n"],
    agrees: &[b" 670 "],
    content: [&[b"PRIVMSG ", b"NOTICE "], &[b" PRIVMSG "]],
};

fn clear(seen: &Seen<'_>, proof: Proof) -> Option<Probe> {
    let detection = Detection::new("irc", Protection::Plaintext(proof), "lines in the clear");
    detection.with_credentials(secret(seen.client)).certain()
}

fn secret(client: &[u8]) -> Option<&'static str> {
    let given = starts(client, b"PASS ")
        || contains(client, b"\nPASS ")
        || contains(client, b"AUTHENTICATE PLAIN")
        || contains(client, b" IDENTIFY ");
    given.then_some("irc-pass")
}
