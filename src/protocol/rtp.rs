//! RTP and RTCP (RFC 3550): headers that go on from packet to packet.
//!
//! Secure RTP has the same headers (RFC 3711): only readable reports prove that nothing encrypts.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};
use crate::model::WhyUnknown;

detector! {
    Rtp: "rtp", also ["rtcp"]; Datagram, ports [5004, 5005], Either;
    "RTP by headers that go on, RTCP by its reports; secure and plain are told apart where reports can be read";
    "RFC 3550, 3711, 5761";
    begins [Opening::client(First::masked(0xc0, 0x80)), Opening::server(First::masked(0xc0, 0x80))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    if seen.datagrams().next().is_some_and(is_report)
        && seen.datagrams().all(|d| is_report(d) || rtp(d).is_some())
    {
        return match seen.datagrams().any(is_readable) {
            true => Detection::plain("rtcp", "reports with readable names").certain(),
            false => {
                Detection::unclear("rtcp", WhyUnknown::Ambiguous, "reports that may be encrypted").unsure()
            }
        };
    }
    if !goes_on(seen.client_datagrams()) && !goes_on(seen.server_datagrams()) {
        return None;
    }
    let why = "media headers, which are the same with and without encryption";
    Detection::unclear("rtp", WhyUnknown::Ambiguous, why).unsure()
}

/// Three packets of one source, their numbers growing by one but for some loss.
fn goes_on(datagrams: super::seen::Datagrams<'_>) -> bool {
    let mut heads = Vec::new();
    for datagram in datagrams {
        match rtp(datagram) {
            Some(head) => heads.push(head),
            None if is_report(datagram) => {}
            None => return false,
        }
    }
    let next = |pair: &[(u16, u32)]| pair[0].1 == pair[1].1 && pair[1].0.wrapping_sub(pair[0].0) <= 16;
    heads.len() >= 3 && heads.windows(2).all(next)
}

/// Version 2, not a report's type; returns number and source.
fn rtp(datagram: &[u8]) -> Option<(u16, u32)> {
    let mut cursor = Cursor(datagram);
    let head = cursor.u8()?;
    let kind = cursor.u8()?;
    let number = cursor.u16()?;
    cursor.u32()?;
    let source = cursor.u32()?;
    (head >> 6 == 2 && !(192..=223).contains(&kind)).then_some((number, source))
}

/// A report of senders or receivers with the length of its first part.
fn is_report(datagram: &[u8]) -> bool {
    let mut cursor = Cursor(datagram);
    let head = cursor.u8().is_some_and(|head| head >> 6 == 2);
    let kind = cursor.u8().is_some_and(|kind| (200..=207).contains(&kind));
    let length = cursor.u16().map_or(usize::MAX, |words| usize::from(words) * 4);
    head && kind && length >= 4 && length <= cursor.0.len()
}

/// Parts fill the datagram exactly, and one of them holds a name in text (section 6.5).
fn is_readable(datagram: &[u8]) -> bool {
    let mut cursor = Cursor(datagram);
    let mut named = false;
    while let (Some(head), Some(kind), Some(words)) = (cursor.u8(), cursor.u8(), cursor.u16()) {
        let Some(body) = cursor.take(usize::from(words) * 4) else { return false };
        if head >> 6 != 2 || !(200..=207).contains(&kind) {
            return false;
        }
        let name = body.get(5).and_then(|length| body.get(6..6 + usize::from(*length)));
        named |= kind == 202
            && body.get(4) == Some(&1)
            && name.is_some_and(|name| name.iter().all(u8::is_ascii_graphic));
    }
    named && cursor.0.is_empty()
}
