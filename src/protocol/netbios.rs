//! NetBIOS over UDP (RFC 1002): name queries with encoded names, datagrams.

use super::bytes::Cursor;
use super::{Detection, Probe, Seen, detector};

detector! {
    Netbios: "netbios"; Datagram, ports [137, 138], Clear;
    "NetBIOS: name service and datagram service by their encoded names";
    "RFC 1002 sections 4.2 and 4.4"
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let fits = |bytes: &[u8]| is_name_query(bytes) || is_datagram(bytes);
    seen.datagrams().any(fits).then(|| Detection::plain("netbios", "names in the clear"))?.certain()
}

/// A header like that of DNS, and a name of 32 letters from A to P.
pub(super) fn is_name_query(bytes: &[u8]) -> bool {
    let counts =
        bytes.get(4..12).is_some_and(|counts| counts.chunks(2).all(|pair| pair[0] == 0 && pair[1] <= 16));
    counts && encoded(bytes.get(12..).unwrap_or(&[]))
}

/// Kind 16 to 22, flags, id, address, port, and for the first three a length and an encoded name.
fn is_datagram(bytes: &[u8]) -> bool {
    let mut cursor = Cursor(bytes);
    let kind = cursor.u8().is_some_and(|kind| (0x10..=0x12).contains(&kind));
    kind && cursor.take(9).is_some() && cursor.u16().is_some() && cursor.u16().is_some() && encoded(cursor.0)
}

fn encoded(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(32))
        && bytes.get(1..33).is_some_and(|name| name.iter().all(|b| (b'A'..=b'P').contains(b)))
}
