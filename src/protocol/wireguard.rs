//! WireGuard: four message types with three reserved zero bytes and exact lengths.

use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};
use crate::model::Encryption;

detector! {
    WireGuard: "wireguard"; Datagram, ports [51820, 51821, 51871], Encrypted;
    "WireGuard: a handshake of both sides, or three data messages of one receiver";
    "WireGuard: Next Generation Kernel Network Tunnel, section 5.4";
    begins [Opening::each(First::range(1, 4))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    if !seen.datagrams().all(|datagram| kind(datagram).is_some()) {
        return None;
    }
    let kinds = |wanted: u8| {
        let has = |mut list: super::seen::Datagrams<'_>| list.any(|d| kind(d) == Some(wanted));
        (has(seen.client_datagrams()), has(seen.server_datagrams()))
    };
    let (initiation, response) = (kinds(1), kinds(2));
    let handshake = initiation.0 && response.1 || initiation.1 && response.0;
    let why = match () {
        () if handshake => "handshake of both sides",
        () if chained(seen.client_datagrams()) || chained(seen.server_datagrams()) => {
            "data messages of one receiver"
        }
        () => return None,
    };
    Detection::encrypted("wireguard", Encryption::WireGuard, why).certain()
}

/// Three data messages and more to one receiver, their counters growing but for some reordering.
fn chained(datagrams: super::seen::Datagrams<'_>) -> bool {
    let data: Vec<&[u8]> = datagrams.filter(|d| kind(d) == Some(4)).filter_map(|d| d.get(4..16)).collect();
    let counter =
        |message: &[u8]| message[4..].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    data.len() >= 3
        && data.iter().all(|message| message[..4] == data[0][..4])
        && data.windows(2).all(|pair| counter(pair[1]).abs_diff(counter(pair[0])) < 1 << 16)
}

/// The type of a message whose length fits it.
fn kind(datagram: &[u8]) -> Option<u8> {
    let [kind, 0, 0, 0, ..] = datagram else { return None };
    let fits = match kind {
        1 => datagram.len() == 148,
        2 => datagram.len() == 92,
        3 => datagram.len() == 64,
        4 => datagram.len() >= 32 && datagram.len().is_multiple_of(16),
        _ => false,
    };
    fits.then_some(*kind)
}
