//! What is in the clear beside or behind what is encrypted: whoever has the ports of a conversation may
//! send anything, and one verdict stands for all of it.

use super::bytes::{ends_in_text, is_text};
use super::{Detection, Detector, Probe, Seen, candidates};
use crate::capture::Besides;
use crate::model::{Encryption, Proof, Protection, WhyUnknown};

/// Protocols that are told only where every datagram is theirs.
const CLAIMS_ALL: &[&str] = &["wireguard"];

/// Protocols that look for a way for others, on their port and in the clear (RFC 7983), and carry nothing.
const OPENS_WAYS: &[&str] = &["stun"];

/// The verdict on a conversation, by what else is said in it.
pub(super) fn tempered(seen: &Seen<'_>, detection: Detection) -> Detection {
    match (detection.protection, seen.is_stream()) {
        (Protection::Encrypted(by), true) => by_its_end(seen, by, detection),
        (Protection::Encrypted(_), false) => by_text(seen, by_its_datagrams(seen, detection)),
        (Protection::Unknown(_), false) => by_text(seen, detection),
        _ => detection,
    }
}

/// The verdict on a connection of which more was met than what was put together. What was not known is a
/// question then, also where a handshake seemed to have come to nothing.
pub fn doubted(detection: Detection, besides: Besides) -> Detection {
    let unknown = Protection::Unknown(WhyUnknown::Contradicted);
    let (protection, what) = match (besides, detection.protection) {
        (_, Protection::Plaintext(_)) | (Besides::Nothing, _) => return detection,
        // What encodes cipher text is text as well.
        (Besides::TextBehindHole, Protection::Unknown(_)) => return detection,
        (Besides::TextBehindHole, Protection::Encrypted(_)) => {
            (Protection::Plaintext(Proof::Text), "and text behind missing packets, in the clear")
        }
        (Besides::TextLater, Protection::Unknown(why)) if why != WhyUnknown::HandshakeIncomplete => {
            return detection;
        }
        (Besides::TextLater, Protection::Unknown(_)) => (unknown, "and text was said later"),
        (Besides::OtherBytes, _) => {
            (unknown, "bytes that were sent again were others, and nobody knows which of them counted")
        }
        (Besides::TextLater, Protection::Encrypted(_)) => (
            Protection::Plaintext(Proof::Text),
            "and text behind what was looked at, or after its end, in the clear",
        ),
    };
    let why = format!("{}; {what}", detection.why).into();
    Detection { protection, why, ..detection }
}

/// No cipher ends in text. What TLS and SSH hold, they ask themselves: their hellos may end in it. SQL
/// Server wraps the hellos of TLS in its own packets.
fn by_its_end(seen: &Seen<'_>, by: Encryption, detection: Detection) -> Detection {
    let asked = matches!(by, Encryption::Own | Encryption::OpenVpn) || detection.protocol == "tds";
    if !asked || ![seen.client, seen.server].into_iter().any(ends_in_text) {
        return detection;
    }
    let why = format!("{}; and text behind it, in the clear", detection.why).into();
    Detection { protection: Protection::Plaintext(Proof::Text), why, ..detection }
}

/// No cipher fills a whole datagram with text, whatever it means.
fn by_text(seen: &Seen<'_>, detection: Detection) -> Detection {
    /// So many readable bytes are no accident.
    const ENOUGH: usize = 24;
    let is_long_text = |datagram: &[u8]| datagram.len() >= ENOUGH && is_text(datagram);
    if detection.protection.is_plaintext() || !seen.datagrams().any(is_long_text) {
        return detection;
    }
    let why = format!("{}; and datagrams of text beside it, in the clear", detection.why).into();
    Detection { protection: Protection::Plaintext(Proof::Text), why, ..detection }
}

/// A datagram that a clear protocol knows for certain can be read, whatever stands around it.
fn by_its_datagrams(seen: &Seen<'_>, detection: Detection) -> Detection {
    if CLAIMS_ALL.contains(&detection.protocol) {
        return detection;
    }
    let sides = [seen.client_datagrams(), seen.server_datagrams()];
    let judged_by = detection.protocol;
    let clear = sides.into_iter().flatten().find_map(|datagram| clear(seen, datagram, judged_by));
    let Some(clear) = clear else { return detection };
    let why = format!("{}; and datagrams of {} beside it, in the clear", detection.why, clear.protocol);
    Detection { protection: clear.protection, why: why.into(), ..detection }
}

/// What a datagram alone is, where that can be read and the protocol of the others did not judge it.
fn clear(seen: &Seen<'_>, datagram: &[u8], judged_by: &str) -> Option<Detection> {
    let lengths = [datagram.len() as u32];
    let alone =
        Seen { client: datagram, client_lengths: &lengths, server: &[], server_lengths: &[], ..*seen };
    let certain = |answer| match answer {
        Probe::Certain(found) => Some(found),
        _ => None,
    };
    let is_judge = |d: &dyn Detector| d.name() == judged_by || d.also().contains(&judged_by);
    let mut others = candidates(&alone).filter(|detector| !is_judge(*detector));
    let first = others.find_map(|detector| certain(detector.probe(&alone)))?;
    (first.protection.is_plaintext() && !OPENS_WAYS.contains(&first.protocol)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{StreamStart, Transport};
    use crate::protocol::judge;

    #[test]
    fn text_of_an_unknown_protocol_beside_encrypted_datagrams_is_told() {
        let reset = [0x38, 0x2a, 0x56, 0xd9, 0x79, 0xd9, 0x9e, 0xcc, 0xf4, 0, 0, 0, 0, 0];
        let answer = [b"@ABCDEFGH", &[1, 0, 0, 0, 0][..], &reset[1..9], &[0; 4]].concat();
        let text = b"list the accounts of the shop, please";
        let told = |more: &[u8]| {
            let start = StreamStart {
                forward: [&reset[..], more].concat(),
                forward_lengths: vec![reset.len() as u32, more.len() as u32],
                backward_lengths: vec![answer.len() as u32],
                backward: answer.clone(),
                ..StreamStart::default()
            };
            judge(&Seen::new(Transport::Udp, 1_194, 1_194, &start)).protection
        };
        assert_eq!(told(text), Protection::Plaintext(Proof::Text));
        assert_eq!(told(&text[..8]), Protection::Encrypted(Encryption::OpenVpn), "too short to tell");
    }
}
