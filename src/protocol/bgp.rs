//! BGP (RFC 4271): sixteen bytes of ones, a length and a known type.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Bgp: "bgp"; Stream, ports [179], Clear;
    "BGP: the marker, a length and a known type";
    "RFC 4271 section 4.1";
    begins [Opening::client(First::of(&[0xff])), Opening::server(First::of(&[0xff]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    (is_message(seen.client) || is_message(seen.server))
        .then(|| Detection::plain("bgp", "messages in the clear"))?
        .certain()
}

fn is_message(bytes: &[u8]) -> bool {
    let mut cursor = Cursor(bytes);
    let marked = cursor.take(16).is_some_and(|marker| marker.iter().all(|byte| *byte == 0xff));
    let length = cursor.u16().is_some_and(|length| (19..=65_535).contains(&length));
    marked && length && cursor.u8().is_some_and(|kind| (1..=5).contains(&kind))
}
