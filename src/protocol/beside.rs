//! Datagrams in the clear beside encrypted ones: whoever has the ports of a conversation may send
//! anything, and one verdict stands for all of it.

use super::{Detection, Detector, Probe, Seen, candidates};
use crate::model::Protection;

/// Protocols that are told only where every datagram is theirs.
const CLAIMS_ALL: &[&str] = &["wireguard"];

/// Protocols that look for a way for others, on their port and in the clear (RFC 7983), and carry nothing.
const OPENS_WAYS: &[&str] = &["stun"];

/// The verdict on a conversation, by what others than its protocol say in it: a datagram that a clear
/// protocol knows for certain can be read, whatever stands around it.
pub(super) fn tempered(seen: &Seen<'_>, detection: Detection) -> Detection {
    let encrypted = matches!(detection.protection, Protection::Encrypted(_));
    if seen.is_stream() || !encrypted || CLAIMS_ALL.contains(&detection.protocol) {
        return detection;
    }
    let sides = [seen.client_datagrams(), seen.server_datagrams()];
    let Some(clear) =
        sides.into_iter().flatten().find_map(|datagram| clear(seen, datagram, detection.protocol))
    else {
        return detection;
    };
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
