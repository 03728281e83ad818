//! What is in the clear beside or behind what is encrypted: whoever has the ports of a conversation may
//! send anything, and one verdict stands for all of it.

use super::bytes::ends_in_text;
use super::{Detection, Detector, Probe, Seen, candidates};
use crate::model::{Encryption, Proof, Protection};

/// Protocols that are told only where every datagram is theirs.
const CLAIMS_ALL: &[&str] = &["wireguard"];

/// Protocols that look for a way for others, on their port and in the clear (RFC 7983), and carry nothing.
const OPENS_WAYS: &[&str] = &["stun"];

/// The verdict on a conversation, by what else is said in it.
pub(super) fn tempered(seen: &Seen<'_>, detection: Detection) -> Detection {
    let Protection::Encrypted(by) = detection.protection else { return detection };
    match seen.is_stream() {
        true => by_its_end(seen, by, detection),
        false => by_its_datagrams(seen, detection),
    }
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
