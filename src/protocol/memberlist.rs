//! Gossip of memberlist (Consul, Serf, Nomad): a kind of message and MessagePack with field names.
//!
//! With a gossip key the messages are encrypted and carry no mark: they stay unknown.

use super::bytes::contains;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Memberlist: "memberlist"; Both, ports [7946, 8301, 8302, 4648], Clear;
    "Gossip of Consul, Serf and Nomad: pings and acknowledgements with their field names";
    "HashiCorp memberlist, net.go";
    begins [Opening::client(KINDS), Opening::server(KINDS)]
}

/// Fields of its messages, as MessagePack writes short strings.
const FIELDS: &[&[u8]] = &[b"\xa5SeqNo", b"\xa4Node", b"\xabIncarnation", b"\xa5Nodes"];

/// Kinds of messages.
const KINDS: First = First::range(0, 13).or(First::of(&[244]));

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let fits = |bytes: &[u8]| {
        // A checksum, a label, or a bundle of messages may stand in front.
        let body = match bytes {
            [12, _, _, _, _, rest @ ..] => rest,
            rest => rest,
        };
        let kind = body.first().is_some_and(|kind| *kind <= 13 || *kind == 244);
        let head = &body[..body.len().min(64)];
        kind && (head.get(1).is_some_and(|b| b & 0xf0 == 0x80) || matches!(body[0], 7 | 244))
            && FIELDS.iter().any(|field| contains(head, field))
    };
    seen.datagrams().any(fits).then(|| Detection::plain("memberlist", "gossip in the clear"))?.certain()
}
