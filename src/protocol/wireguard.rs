//! WireGuard: four message types with three reserved zero bytes and exact lengths.

use super::first::{First, Opening};
use super::seen::Datagrams;
use super::spread::{is_readable, middle, once};
use super::{Detection, Probe, Seen, detector};
use crate::model::Encryption;

detector! {
    WireGuard: "wireguard"; Datagram, ports [51820, 51821, 51871], Encrypted;
    "WireGuard: a handshake of both sides, or three data messages of one receiver";
    "WireGuard: Next Generation Kernel Network Tunnel, section 5.4";
    begins [Opening::each(First::range(1, 4))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (client, server) = (seen.client_datagrams(), seen.server_datagrams());
    if !fit(client) || !fit(server) {
        return None;
    }
    let kinds = |wanted: u8| {
        let has = |mut list: Datagrams<'_>| list.any(|d| kind(d) == Some(wanted));
        (has(client), has(server))
    };
    let (initiation, response) = (kinds(1), kinds(2));
    let handshake = initiation.0 && response.1 || initiation.1 && response.0;
    let why = match () {
        () if handshake => "handshake of both sides",
        () if chained(client) || chained(server) => "data messages of one receiver",
        () => return None,
    };
    // Others number their messages like this, too; what a cipher made is spread as random bytes are, but
    // for the numbers in front, and for a cookie that is nearly always zero (section 5.4.4).
    if is_readable(once(seen.datagrams()).map(|datagram| middle(datagram, 16, 16))) {
        return None;
    }
    Detection::encrypted("wireguard", Encryption::WireGuard, why).certain()
}

/// The kinds of messages that are asked for.
const DATA: u8 = 4;
/// A header and the tag of a packet that is empty.
const SHORTEST_DATA: usize = 32;
/// What every network carries in one piece (RFC 791).
const SMALLEST_NETWORK: usize = 576;

/// Whether all datagrams of one side are messages of lengths that fit them.
///
/// Data are filled up to sixteen bytes, but never beyond what the interface carries: where that is no
/// multiple of sixteen, as the usual 1,420 is none, full packets are as long as it, and nothing is
/// longer (Linux `calculate_skb_padding`).
fn fit(datagrams: Datagrams<'_>) -> bool {
    let longest = { datagrams }.map(<[u8]>::len).max().unwrap_or(0);
    let full = |datagram: &[u8]| datagram.len() == longest && longest >= SHORTEST_DATA + SMALLEST_NETWORK;
    { datagrams }.all(|datagram| match kind(datagram) {
        Some(DATA) => datagram.len().is_multiple_of(16) || full(datagram),
        other => other.is_some(),
    })
}

/// Three data messages and more to one receiver, their counters growing but for some reordering.
fn chained(datagrams: Datagrams<'_>) -> bool {
    let data: Vec<&[u8]> = datagrams.filter(|d| kind(d) == Some(DATA)).filter_map(|d| d.get(4..16)).collect();
    let counter =
        |message: &[u8]| message[4..].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    data.len() >= 3
        && data.iter().all(|message| message[..4] == data[0][..4])
        && data.windows(2).all(|pair| counter(pair[1]).abs_diff(counter(pair[0])) < 1 << 16)
}

/// The type of a message whose length can be its; those of data depend on each other.
fn kind(datagram: &[u8]) -> Option<u8> {
    let [kind, 0, 0, 0, ..] = datagram else { return None };
    let fits = match *kind {
        1 => datagram.len() == 148,
        2 => datagram.len() == 92,
        3 => datagram.len() == 64,
        DATA => datagram.len() >= SHORTEST_DATA,
        _ => false,
    };
    fits.then_some(*kind)
}
