//! Records of flows on their way to a collector: IPFIX, NetFlow and sFlow, which tell in the clear
//! who talks to whom.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Ipfix: "ipfix", also ["netflow", "sflow"]; Datagram, ports [2055, 4739, 6343, 9995, 9996], Clear;
    "IPFIX, NetFlow and sFlow: versions, and counts and lengths that fill the datagram";
    "RFC 7011 section 3, 3954 section 5; Cisco, NetFlow version 5; sFlow.org, sFlow version 5";
    begins [Opening::each(First::of(&[0]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let first = seen.datagrams().next()?;
    let (name, fits): (_, fn(&[u8]) -> bool) = match first {
        [0, 10, ..] => ("ipfix", is_ipfix),
        [0, 9, ..] => ("netflow", is_netflow_9),
        [0, 5, ..] => ("netflow", is_netflow_5),
        [0, 0, 0, 5, ..] => ("sflow", is_sflow),
        _ => return None,
    };
    let all = seen.datagrams().all(fits);
    all.then(|| Detection::plain(name, "records of flows in the clear"))?.certain()
}

/// A message that has its length in it and consists of sets.
fn is_ipfix(message: &[u8]) -> bool {
    let length = message.get(2..4).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])));
    let is_set = |kind| matches!(kind, 2 | 3 | 256..);
    length == Some(message.len()) && message.len() > 16 && sets(&message[16..], is_set)
}

/// Twenty bytes of header with a count, then sets.
fn is_netflow_9(message: &[u8]) -> bool {
    let counted = matches!(message.get(2..4), Some([0, 1..=u8::MAX]));
    counted && message.len() > 20 && sets(&message[20..], |kind| matches!(kind, 0 | 1 | 256..))
}

/// Sets of a known kind, one behind the other to the very end.
fn sets(body: &[u8], known: impl Fn(u16) -> bool) -> bool {
    let mut cursor = Cursor(body);
    while !cursor.0.is_empty() {
        let (Some(kind), Some(length)) = (cursor.u16(), cursor.u16()) else { return false };
        let inside = usize::from(length).checked_sub(4).filter(|length| *length > 0);
        if !known(kind) || inside.and_then(|length| cursor.take(length)).is_none() {
            return false;
        }
    }
    true
}

/// At most thirty records of 48 bytes, as many as it says.
fn is_netflow_5(message: &[u8]) -> bool {
    matches!(message.get(2..4), Some([0, count @ 1..=30]) if message.len() == 24 + usize::from(*count) * 48)
}

/// The address of an agent, then samples, each with its length.
fn is_sflow(message: &[u8]) -> bool {
    let samples = || {
        let mut cursor = Cursor(message.get(4..)?);
        let address = match cursor.u32()? {
            1 => 4,
            2 => 16,
            _ => return None,
        };
        // The agent, the part of it, the number of the datagram, the time since its start.
        cursor.take(address + 12)?;
        let count = cursor.u32()?;
        for _ in 0..count {
            cursor.u32()?;
            let length = cursor.u32()?;
            cursor.take(length as usize)?;
        }
        (count > 0 && cursor.0.is_empty()).then_some(())
    };
    samples().is_some()
}
