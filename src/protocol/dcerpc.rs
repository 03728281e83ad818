//! DCE/RPC, version 5 over TCP and version 4 over UDP; the level of its security says whether
//! calls are encrypted, as long as the binding was seen.

use super::first::{First, Opening};
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector};
use crate::capture::Transport;
use crate::model::WhyUnknown;

detector! {
    Dcerpc: "dcerpc"; Both, ports [135, 593], Either;
    "DCE/RPC: headers of versions 4 and 5, calls with the level of privacy told apart";
    "DCE 1.1: Remote Procedure Call, chapter 12; MS-RPCE";
    begins [Opening::each(First::of(&[5])).stream(), Opening::each(First::of(&[4])).datagram()]
}

/// Level "privacy" of an authentication trailer (MS-RPCE, section 2.2.1.1.8).
const PRIVACY: u8 = 6;

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let datagram = seen.transport == Transport::Udp;
    let fits = seen.fits(|bytes| if datagram { is_fourth(bytes) } else { fifth(bytes).is_some() });
    if !matches!(fits, Fit::Both | Fit::TheOnlySide) {
        return None;
    }
    let private =
        !datagram && [seen.client, seen.server].into_iter().filter_map(fifth).any(|level| level == PRIVACY);
    match private {
        true => {
            let why = "calls are announced with the level of privacy; what is encrypted was not proven";
            Detection::unclear("dcerpc", WhyUnknown::Ambiguous, why).certain()
        }
        false => Detection::plain("dcerpc", "calls in the clear").certain(),
    }
}

/// Version 5.0 or 5.1: type, flags, data representation, length, length of the security trailer;
/// returns its level, 0 where there is none.
fn fifth(bytes: &[u8]) -> Option<u8> {
    let head = bytes.get(..16)?;
    let little = head[4] & 0x10 != 0;
    let number = |at: usize| match little {
        true => usize::from(u16::from_le_bytes([head[at], head[at + 1]])),
        false => usize::from(u16::from_be_bytes([head[at], head[at + 1]])),
    };
    let (length, trailer) = (number(8), number(10));
    let known = head[0] == 5 && head[1] <= 1 && head[2] <= 20 && head[4] & 0xef == 0 && head[5] == 0;
    if !known || length < 16 || trailer > length {
        return None;
    }
    let level = if trailer > 0 { bytes.get((length - trailer).checked_sub(7)?).copied() } else { None };
    Some(level.unwrap_or(0))
}

/// Version 4: type, flags, data representation, and a body that fits.
fn is_fourth(bytes: &[u8]) -> bool {
    bytes.len() >= 80 && bytes[0] == 4 && bytes[1] <= 10 && matches!(bytes[4], 0 | 0x10) && bytes[5] == 0
}
