//! WireGuard: four message types with three reserved zero bytes and exact lengths.

use super::{Detection, Detector, Probe};
use crate::capture::{Flow, StreamStart, Transport};
use crate::model::{Encryption, Protection};

/// WireGuard.
pub struct WireGuard;

impl Detector for WireGuard {
    fn name(&self) -> &'static str {
        "wireguard"
    }

    fn summary(&self) -> &'static str {
        "WireGuard: a handshake, or three data messages of one receiver"
    }

    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
        if flow.transport != Transport::Udp {
            return Probe::NotForUs;
        }
        let (ahead, back) = (
            datagrams(&start.forward, &start.forward_lengths),
            datagrams(&start.backward, &start.backward_lengths),
        );
        let all_fit = ahead.iter().chain(&back).all(|d| kind(d).is_some());
        let has = |list: &[&[u8]], wanted: u8| list.iter().any(|d| kind(d) == Some(wanted));
        let handshake = (has(&ahead, 1) && has(&back, 2)) || (has(&back, 1) && has(&ahead, 2));
        let chained = |list: &[&[u8]]| {
            let data: Vec<_> =
                list.iter().filter(|d| kind(d) == Some(4)).filter_map(|d| d.get(4..8)).collect();
            data.len() >= 3 && data.iter().all(|receiver| *receiver == data[0])
        };
        if !all_fit || !(handshake || chained(&ahead) || chained(&back)) {
            return Probe::NotForUs;
        }
        let why = if handshake { "handshake of both sides" } else { "data messages of one receiver" };
        Probe::Certain(Detection {
            protocol: "wireguard",
            protection: Protection::Encrypted(Encryption::WireGuard),
            why: why.to_owned(),
            facts: Vec::new(),
        })
    }
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

/// The datagrams of one direction that were kept whole.
pub(super) fn datagrams<'a>(bytes: &'a [u8], lengths: &[u32]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut all = Vec::new();
    for length in lengths {
        let Some((datagram, behind)) = rest.split_at_checked(*length as usize) else { break };
        if !datagram.is_empty() {
            all.push(datagram);
        }
        rest = behind;
    }
    all
}
