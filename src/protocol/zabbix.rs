//! Zabbix: agents, proxies and servers send packets with a header of their own; where they encrypt,
//! TLS stands around it.

use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Zabbix: "zabbix"; Stream, ports [10050, 10051], Clear;
    "Zabbix: the header of packets";
    "Zabbix documentation, Protocols, Header";
    begins [Opening::client(First::of(b"Z")), Opening::server(First::of(b"Z"))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let speaks = is_packet(seen.client) || is_packet(seen.server);
    speaks.then(|| Detection::plain("zabbix", "packets in the clear"))?.certain()
}

/// The protocol itself, which every packet has.
const PROTOCOL: u8 = 1;
/// The data is compressed, and its whole length follows.
const COMPRESSED: u8 = 2;
/// Lengths have eight bytes.
const LARGE: u8 = 4;

/// The mark, known flags, a length, and behind it nothing but the length of what is compressed.
fn is_packet(bytes: &[u8]) -> bool {
    let Some((flags, lengths)) = bytes.strip_prefix(b"ZBXD").and_then(<[u8]>::split_first) else {
        return false;
    };
    let width = if flags & LARGE == 0 { 4 } else { 8 };
    let Some((length, whole)) = lengths.get(..2 * width).map(|both| both.split_at(width)) else {
        return false;
    };
    let says = |length: &[u8]| length.iter().any(|byte| *byte != 0);
    flags & PROTOCOL != 0
        && flags & !(PROTOCOL | COMPRESSED | LARGE) == 0
        && says(length)
        && says(whole) == (flags & COMPRESSED != 0)
}
