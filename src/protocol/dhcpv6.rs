//! DHCPv6 (RFC 8415): a kind of message, and options that fill the datagram.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Dhcpv6: "dhcpv6"; Datagram, ports [546, 547], Clear;
    "DHCPv6: messages whose options fill them, on their ports";
    "RFC 8415 section 8";
    begins [Opening::client(First::range(1, 13)).hinted(), Opening::server(First::range(1, 13)).hinted()]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    // Options alone fit too much elsewhere.
    if !seen.hinted(PORTS) {
        return None;
    }
    seen.datagrams().any(is_message).then(|| Detection::plain("dhcpv6", "message in the clear"))?.certain()
}

fn is_message(bytes: &[u8]) -> bool {
    let head = match bytes.first() {
        Some(1..=11) => 4,
        // A relay puts two addresses in front.
        Some(12 | 13) => 34,
        _ => return false,
    };
    let mut cursor = Cursor(bytes.get(head..).unwrap_or(&[]));
    let mut count = 0;
    while let Some(kind) = cursor.u16() {
        if kind == 0 || kind > 255 || cursor.vector16().is_none() {
            return false;
        }
        count += 1;
    }
    count > 0 && cursor.0.is_empty()
}
