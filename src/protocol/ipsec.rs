//! IPsec: ESP (RFC 4303) by its IP protocol or inside UDP 4500 (RFC 3948), IKE (RFC 7296) by its header.

use super::{Detection, Detector, Probe};
use crate::capture::{Flow, StreamStart, Transport};
use crate::model::{Encryption, Protection};

/// ESP and IKE.
pub struct Ipsec;

impl Detector for Ipsec {
    fn name(&self) -> &'static str {
        "esp"
    }

    fn summary(&self) -> &'static str {
        "IPsec: ESP packets and the IKE exchanges that set them up"
    }

    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
        let found = match (flow.transport, flow.responder.port) {
            (Transport::Other(50), _) => Some(("esp", "ESP packets")),
            (Transport::Udp, 500) => is_ike(first(start)).then_some(("ike", "IKE header")),
            (Transport::Udp, 4500) => match first(start) {
                [0, 0, 0, 0, ike @ ..] => is_ike(ike).then_some(("ike", "IKE header behind its marker")),
                [a, b, c, _, rest @ ..] if (*a, *b, *c) != (0, 0, 0) && rest.len() >= 20 => {
                    Some(("esp", "ESP in UDP on its port"))
                }
                _ => None,
            },
            _ => None,
        };
        found.map_or(Probe::NotForUs, |(protocol, why)| {
            Probe::Certain(Detection {
                protocol,
                protection: Protection::Encrypted(Encryption::Ipsec),
                why: why.to_owned(),
                facts: Vec::new(),
            })
        })
    }
}

/// The first datagram, of whichever side was seen.
fn first(start: &StreamStart) -> &[u8] {
    let (bytes, lengths) = match start.forward_lengths.first() {
        Some(_) => (&start.forward, &start.forward_lengths),
        None => (&start.backward, &start.backward_lengths),
    };
    let length = lengths.first().map_or(0, |length| *length as usize);
    bytes.get(..length).unwrap_or(bytes)
}

/// Version 1 or 2, a known exchange, and the length of the datagram.
fn is_ike(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(..28) else { return false };
    let length = u32::from_be_bytes([header[24], header[25], header[26], header[27]]) as usize;
    let exchange = match header[17] >> 4 {
        1 => matches!(header[18], 2 | 4..=6 | 32..=33),
        2 => (34..=43).contains(&header[18]),
        _ => false,
    };
    exchange && length == bytes.len()
}
