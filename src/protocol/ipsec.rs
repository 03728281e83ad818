//! IPsec: ESP (RFC 4303) by its IP protocol or inside UDP 4500 (RFC 3948), IKE (RFC 7296) by its header,
//! and both in TCP behind its prefix (RFC 9329).
//!
//! ESP may carry packets without encrypting them (RFC 2410); a whole inner header gives that away.

use super::bytes::{Cursor, is_text};
use super::seen::Datagrams;
use super::spread::{is_readable, middle, once};
use super::{Detection, Probe, Seen, detector};
use crate::capture::{STREAM_BYTES, Transport};
use crate::model::{Encryption, Proof, Protection, WhyUnknown};

detector! {
    Ipsec: "esp", also ["ike"]; Any, ports [500, 4500], Either;
    "IPsec: ESP packets, ESP that does not encrypt, and the IKE exchanges that set them up, also in TCP";
    "RFC 4303, 3948, 7296, 2408, 2410, 9329"
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let ike = |why| self::ike(seen, why).certain();
    let first = seen.datagrams().next()?;
    if seen.is_stream() {
        return in_stream(seen);
    }
    match seen.transport {
        Transport::Other(50) => esp(seen, "ESP packets"),
        Transport::Udp => match first {
            [0, 0, 0, 0, rest @ ..] if is_ike(rest) => ike("IKE header behind its marker"),
            _ if is_ike(first) => ike("IKE header"),
            [0xff] if seen.hinted(&[4500]) => {
                let rest = seen.datagrams().find(|datagram| datagram.len() > 1)?;
                match rest {
                    [0, 0, 0, 0, rest @ ..] if is_ike(rest) => ike("keep-alives and an IKE header"),
                    _ if seen.hinted(&[4500]) && is_esp(seen) => esp(seen, "ESP in UDP, numbers that go on"),
                    _ => None,
                }
            }
            _ if seen.hinted(&[4500]) && is_esp(seen) => esp(seen, "ESP in UDP, numbers that go on"),
            _ => None,
        },
        _ => None,
    }
}

/// What the originator of a stream says first (RFC 9329, section 4).
const PREFIX: &[u8] = b"IKETCP";

/// Messages in a stream, each behind a length that counts itself: those of IKE behind four zeros, and
/// packets of ESP (RFC 9329, section 3). Anything else is none of theirs.
fn in_stream(seen: &Seen<'_>) -> Option<Probe> {
    let messages = |stream| {
        let mut cursor = Cursor(stream);
        let (mut bytes, mut lengths, mut cut) = (Vec::new(), Vec::new(), false);
        while let Some(length) = cursor.u16() {
            let wanted = usize::from(length).saturating_sub(2);
            cut = wanted > cursor.0.len();
            let Some(message) = cursor.take(wanted.min(cursor.0.len())) else { break };
            bytes.extend_from_slice(message);
            lengths.push(message.len() as u32);
        }
        (bytes, lengths, cut)
    };
    let (ahead, back) = (messages(seen.client.strip_prefix(PREFIX)?), messages(seen.server));
    let framed = Seen {
        transport: Transport::Udp,
        client: &ahead.0,
        client_lengths: &ahead.1,
        server: &back.0,
        server_lengths: &back.1,
        ..*seen
    };
    // Of a stream that goes on behind what is kept, the last message is cut; else none is.
    let goes_on = seen.client.len().max(seen.server.len()) >= STREAM_BYTES || seen.cut || seen.holes;
    let torn = !goes_on && (ahead.2 || back.2);
    let is_one = |message: &[u8]| match message {
        // A NAT keep-alive, or a marker alone.
        [] | [0xff] => true,
        [0, 0, 0, 0, rest @ ..] => is_ike(rest),
        esp => spi_and_number(esp).is_some() && !is_text(&esp[..esp.len().min(32)]),
    };
    if framed.datagrams().next().is_none() {
        let why = "the prefix of IKE in TCP, and nothing behind it";
        return Detection::unclear("ike", WhyUnknown::NoPayload, why).certain();
    }
    let strange: Vec<&[u8]> = framed.datagrams().filter(|message| !is_one(message)).collect();
    if strange.iter().any(|message| message.len() >= 8 && is_text(&message[..message.len().min(32)])) {
        let why = "IKE in TCP, and text in place of its messages";
        return Detection::new("ike", Protection::Plaintext(Proof::Text), why).certain();
    }
    if torn || strange.len() > usize::from(goes_on) {
        let why = "IKE in TCP, and something else in place of its messages";
        return Detection::unclear("ike", WhyUnknown::Ambiguous, why).certain();
    }
    ike(&framed, "IKE in TCP").certain()
}

/// The exchanges of IKE, and on port 4500 what they set up, which may not be encrypted (RFC 2410).
fn ike(seen: &Seen<'_>, why: &'static str) -> Detection {
    let unmarked = |datagram: &[u8]| {
        let marked = datagram.strip_prefix(&[0; 4]).filter(|rest| is_ike(rest));
        marked.or_else(|| Some(datagram).filter(|datagram| is_ike(datagram))).map(is_protected)
    };
    let packets =
        || once(seen.datagrams()).filter(|datagram| datagram.len() > 1 && unmarked(datagram).is_none());
    let esp = || packets().any(|datagram| spi_and_number(datagram).is_some());
    match () {
        () if packets().any(is_null)
            || is_readable(packets().map(|packet| middle(packet, 16, 12)))
            || clear_trailers(packets) && packets().nth(1).is_some() =>
        {
            let why = "IKE, and ESP packets beside it whose content can be read: not encrypted";
            Detection::new("esp", Protection::Plaintext(Proof::NullCipher), why)
        }
        () if esp() || seen.datagrams().filter_map(unmarked).any(|protected| protected) => {
            Detection::encrypted("ike", Encryption::Ipsec, why)
        }
        () => Detection::unclear(
            "ike",
            WhyUnknown::Ambiguous,
            "an exchange of keys, of which nothing that was seen is encrypted",
        ),
    }
}

/// A flag of version 1 (RFC 2408, section 3.1); in version 2 an encrypted payload comes first, whole or
/// in fragments (RFC 7296, section 3.14; RFC 7383).
fn is_protected(message: &[u8]) -> bool {
    match message.get(16..20) {
        Some([_, 0x10, _, flags]) => flags & 1 != 0,
        Some([payload, 0x20, _, _]) => matches!(payload, 46 | 53),
        _ => false,
    }
}

fn esp(seen: &Seen<'_>, why: &'static str) -> Option<Probe> {
    let packets = || once(seen.datagrams()).filter(|datagram| datagram.len() > 1);
    let null = |why| Detection::new("esp", Protection::Plaintext(Proof::NullCipher), why);
    let detection = match () {
        () if packets().any(is_null) => null("ESP packets with whole IP headers inside: not encrypted"),
        // Two numbers and perhaps a nonce that counts in front, a check value behind.
        () if is_readable(packets().map(|packet| middle(packet, 16, 12))) => {
            null("ESP packets whose content can be read: not encrypted")
        }
        () => match (clear_trailers(packets), packets().nth(1)) {
            (true, Some(_)) => null("ESP packets whose trailers can be read: not encrypted"),
            // Of one packet, it may be chance.
            (true, None) => Detection::unclear(
                "esp",
                WhyUnknown::Ambiguous,
                "a packet of ESP that ends like one that is not encrypted",
            ),
            (false, _) => Detection::encrypted("esp", Encryption::Ipsec, why),
        },
    };
    detection.certain()
}

/// Whether what stands in front of the check values of all packets is a trailer: padding that counts from
/// one, its length, and what is inside (RFC 4303, section 2.4; RFC 5879, section 8.1). Content that looks
/// random, as compressed files do, hides that nothing encrypts it. Of cipher texts, one in two thousand
/// ends like that, and one pair in twenty million.
fn clear_trailers<'a, I: Iterator<Item = &'a [u8]>>(packets: impl Fn() -> I) -> bool {
    const CHECK_VALUES: [usize; 4] = [12, 16, 24, 32];
    const LONGEST_PADDING: usize = 15;
    let ends = |packet: &[u8], check: usize| {
        let inside = packet.get(8..packet.len().checked_sub(check)?)?;
        let (next, inside) = inside.split_last()?;
        let (padding, inside) = inside.split_last()?;
        let padding = usize::from(*padding);
        let padded = inside.get(inside.len().checked_sub(padding)?..)?;
        let counts = padded.iter().zip(1_u8..).all(|(byte, number)| *byte == number);
        // IP in both versions, ICMP in both, TCP, UDP, SCTP, and nothing.
        let known = matches!(next, 4 | 41 | 1 | 58 | 6 | 17 | 132 | 59);
        Some(known && counts && padding <= LONGEST_PADDING)
    };
    CHECK_VALUES
        .into_iter()
        .any(|check| packets().next().is_some() && packets().all(|packet| ends(packet, check) == Some(true)))
}

/// Packets of one direction that go on: the same SPI, which is not reserved (RFC 4303, section
/// 2.1), and a sequence number that grows a little. The port alone proves nothing, and one packet
/// may be anything.
fn is_esp(seen: &Seen<'_>) -> bool {
    let heads = |datagrams: Datagrams<'_>| {
        let all = datagrams.filter(|datagram| datagram.len() > 1).map(spi_and_number);
        all.collect::<Option<Vec<(u32, u32)>>>()
    };
    let (Some(ahead), Some(back)) = (heads(seen.client_datagrams()), heads(seen.server_datagrams())) else {
        return false;
    };
    let same = |pair: &&[(u32, u32)]| pair[0].0 == pair[1].0;
    let grows = |pair: &[(u32, u32)]| (1..=64).contains(&pair[1].1.wrapping_sub(pair[0].1));
    let goes_on = |heads: &[(u32, u32)]| heads.windows(2).filter(same).all(grows);
    let some = |heads: &[(u32, u32)]| heads.windows(2).any(|pair| same(&pair));
    goes_on(&ahead) && goes_on(&back) && (some(&ahead) || some(&back))
}

fn spi_and_number(datagram: &[u8]) -> Option<(u32, u32)> {
    let mut cursor = Cursor(datagram);
    let (spi, number) = (cursor.u32()?, cursor.u32()?);
    (spi >= 256 && cursor.0.len() >= 16).then_some((spi, number))
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
