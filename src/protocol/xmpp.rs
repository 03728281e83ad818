//! XMPP (RFC 6120): streams of XML, STARTTLS inside, SASL PLAIN.

use super::bytes::{contains, contains_any, starts_with_any};
use super::first::{First, Opening};
use super::lines::{Upgrade, Upgraded};
use super::{Detection, Probe, Seen, detector};
use crate::model::{Proof, Protection, WhyUnknown};

detector! {
    Xmpp: "xmpp"; Stream, ports [5222, 5269, 5280], Either;
    "XMPP: XML streams, STARTTLS and its refusal, SASL PLAIN";
    "RFC 6120";
    begins [Opening::client(First::of(b"<")), Opening::server(First::of(b"<"))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let opens = |bytes: &[u8]| {
        let head = &bytes[..bytes.len().min(512)];
        starts_with_any(bytes, &[b"<?xml", b"<stream:stream", b"<stream"])
            && contains_any(head, &[b"http://etherx.jabber.org/streams", b"jabber:client", b"jabber:server"])
    };
    if !opens(seen.client) && !opens(seen.server) {
        return None;
    }
    match UPGRADE.follow("xmpp", seen) {
        Upgraded::Yes(detection, end) => detection.with_credentials(secret(&seen.client[..end])).certain(),
        Upgraded::Open => Detection::unclear(
            "xmpp",
            WhyUnknown::HandshakeIncomplete,
            "TLS was asked for, and no handshake was seen",
        )
        .certain(),
        Upgraded::Refused => clear(seen, Proof::UpgradeRefused),
        Upgraded::No => clear(seen, Proof::Grammar),
    }
}

const UPGRADE: Upgrade = Upgrade {
    asks: &[b"<starttls"],
    agrees: &[b"<proceed"],
    content: [&[b"<message", b"<iq", b"<presence"], &[b"<message", b"<presence"]],
};

fn clear(seen: &Seen<'_>, proof: Proof) -> Option<Probe> {
    let detection = Detection::new("xmpp", Protection::Plaintext(proof), "XML in the clear");
    detection.with_credentials(secret(seen.client)).certain()
}

fn secret(client: &[u8]) -> Option<&'static str> {
    let plain = contains_any(client, &[b"mechanism='PLAIN'", b"mechanism=\"PLAIN\""]);
    (plain || contains(client, b"jabber:iq:auth")).then_some("xmpp-plain")
}
