//! IPsec: ESP (RFC 4303) by its IP protocol or inside UDP 4500 (RFC 3948), IKE (RFC 7296) by its header.
//!
//! ESP may carry packets without encrypting them (RFC 2410); a whole inner header gives that away.

use super::{Detection, Probe, Seen, detector};
use crate::capture::Transport;
use crate::model::{Encryption, Proof, Protection};

detector! {
    Ipsec: "esp", also ["ike"]; Any, ports [500, 4500], Either;
    "IPsec: ESP packets, ESP that does not encrypt, and the IKE exchanges that set them up";
    "RFC 4303, 3948, 7296, 2408, 2410"
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let ike = |why| Detection::encrypted("ike", Encryption::Ipsec, why).certain();
    let first = seen.datagrams().next()?;
    match seen.transport {
        Transport::Other(50) => esp(seen, "ESP packets"),
        Transport::Udp => match first {
            [0, 0, 0, 0, rest @ ..] if is_ike(rest) => ike("IKE header behind its marker"),
            _ if is_ike(first) => ike("IKE header"),
            [0xff] if seen.hinted(&[4500]) => {
                let rest = seen.datagrams().find(|datagram| datagram.len() > 1)?;
                if rest.starts_with(&[0; 4]) {
                    ike("keep-alives and an IKE header")
                } else {
                    esp(seen, "ESP in UDP on its port")
                }
            }
            _ if seen.hinted(&[4500]) && is_esp(seen) => esp(seen, "ESP in UDP on its port"),
            _ => None,
        },
        _ => None,
    }
}

fn esp(seen: &Seen<'_>, why: &str) -> Option<Probe> {
    let clear = seen.datagrams().filter(|datagram| datagram.len() > 1).all(is_null);
    let detection = match clear {
        true => {
            let protection = Protection::Plaintext(Proof::NullCipher);
            Detection::new("esp", protection, "ESP packets with whole IP headers inside: not encrypted")
        }
        false => Detection::encrypted("esp", Encryption::Ipsec, why),
    };
    detection.certain()
}

/// A SPI that is not reserved (RFC 4303, section 2.1), and sequence numbers that grow.
fn is_esp(seen: &Seen<'_>) -> bool {
    let grows = |numbers: Vec<(u32, u32)>| {
        numbers.windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[0].1 < pair[1].1)
    };
    let heads = |datagrams: super::seen::Datagrams<'_>| {
        let words = |d: &[u8]| {
            let word = |at: usize| d.get(at..at + 4).map(|w| u32::from_be_bytes([w[0], w[1], w[2], w[3]]));
            word(0).zip(word(4)).filter(|(spi, _)| *spi >= 256 && d.len() >= 24)
        };
        datagrams.filter(|datagram| datagram.len() > 1).map(words).collect::<Option<Vec<_>>>()
    };
    match (heads(seen.client_datagrams()), heads(seen.server_datagrams())) {
        (Some(ahead), Some(back)) => ahead.len() + back.len() > 0 && grows(ahead) && grows(back),
        _ => false,
    }
}

/// Behind SPI and sequence number stands an IPv4 header whose checksum is right.
fn is_null(datagram: &[u8]) -> bool {
    let Some(header) = datagram.get(8..28).filter(|header| header[0] == 0x45) else { return false };
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    folded == 0xffff || (folded & 0xffff) + (folded >> 16) == 0xffff
}

/// Version 1 or 2, a known exchange, and the length of the datagram.
fn is_ike(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(..28) else { return false };
    let length = u32::from_be_bytes([header[24], header[25], header[26], header[27]]) as usize;
    let exchange = match header[17] {
        0x10 => matches!(header[18], 2 | 4..=6 | 32..=34),
        0x20 => (34..=43).contains(&header[18]),
        _ => false,
    };
    exchange && length == bytes.len() && header[..8] != [0; 8]
}
