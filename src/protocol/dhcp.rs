//! DHCP and BOOTP (RFC 2131): the magic cookie behind a fixed header.

use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Dhcp: "dhcp"; Datagram, ports [67, 68], Clear;
    "DHCP and BOOTP: operation, hardware type and the magic cookie";
    "RFC 2131, 951";
    begins [Opening::client(First::of(&[1, 2])), Opening::server(First::of(&[1, 2]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let fits = |bytes: &[u8]| {
        let head = matches!(bytes, [1 | 2, _, 0..=16, ..]);
        let cookie = bytes.get(236..240) == Some(&[0x63, 0x82, 0x53, 0x63]);
        // BOOTP had no cookie, and a cut packet may not show it.
        head && (cookie
            || seen.hinted(PORTS)
                && (bytes.len() < 240 && seen.cut && bytes.len() > 28
                    || bytes.len() >= 240 && bytes.get(2) == Some(&6)))
    };
    seen.datagrams().any(fits).then(|| Detection::plain("dhcp", "message in the clear"))?.certain()
}
