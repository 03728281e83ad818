//! QUIC versions 1 and 2 (RFC 9000, 9369) by the long header of the first datagram.
//!
//! What the Initial packet hides (server name, ALPN) is not opened yet.

use super::wireguard::datagrams;
use super::{Detection, Detector, Probe};
use crate::capture::{Flow, StreamStart, Transport};
use crate::model::{Encryption, Protection};

/// QUIC.
pub struct Quic;

impl Detector for Quic {
    fn name(&self) -> &'static str {
        "quic"
    }

    fn summary(&self) -> &'static str {
        "QUIC: long headers of known versions with plausible connection ids"
    }

    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
        if flow.transport != Transport::Udp {
            return Probe::NotForUs;
        }
        let first = |bytes, lengths: &[u32]| datagrams(bytes, lengths).first().and_then(|d| version(d));
        let (ahead, back) =
            (first(&start.forward, &start.forward_lengths), first(&start.backward, &start.backward_lengths));
        let Some(version) = ahead.or(back) else { return Probe::NotForUs };
        Probe::Certain(Detection {
            protocol: "quic",
            protection: Protection::Encrypted(Encryption::Quic),
            why: "long header of a known version".to_owned(),
            facts: vec![("version", version.to_owned())],
        })
    }
}

/// The version of a long header: fixed bits, connection ids of at most 20 bytes, and enough behind.
fn version(datagram: &[u8]) -> Option<&'static str> {
    let [first, a, b, c, d, ids @ ..] = datagram else { return None };
    let name = match [*a, *b, *c, *d] {
        [0, 0, 0, 1] => "1",
        [0x6b, 0x33, 0x43, 0xcf] => "2",
        [0xff, 0, 0, 0x17..=0x22] => "draft",
        [b'Q', b'0', b'0'..=b'9', b'0'..=b'9'] | [b'T', b'0', b'5', b'0'..=b'9'] => "google",
        _ => return None,
    };
    let target = usize::from(*ids.first()?);
    let source = usize::from(*ids.get(1 + target)?);
    let fits = first & 0xc0 == 0xc0 && target <= 20 && source <= 20 && ids.len() > 2 + target + source + 16;
    fits.then_some(name)
}
