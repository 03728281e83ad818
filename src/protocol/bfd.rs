//! BFD (RFC 5880): the heartbeat of routers and of load balancers that announce routes; its header
//! has the length of the packet in it.

use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Bfd: "bfd"; Datagram, ports [3784, 4784, 6784, 7784], Clear;
    "BFD: control packets whose length and discriminators fit; a password in the clear";
    "RFC 5880 section 4.1, 5881, 5883, 7130";
    begins [Opening::each(First::masked(0xe0, 1 << 5)).hinted()]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    if !seen.hinted(PORTS) || !seen.datagrams().all(is_control) {
        return None;
    }
    seen.datagrams().next()?;
    let password = seen.datagrams().any(has_password).then_some("bfd-password");
    Detection::plain("bfd", "control packets in the clear").with_credentials(password).certain()
}

/// The bit that says that an authentication section follows.
const AUTHENTICATED: u8 = 0x04;

/// Version 1, a multiplier, its own length, a discriminator that is not zero.
fn is_control(packet: &[u8]) -> bool {
    let Some(header) = packet.first_chunk::<24>() else { return false };
    let least = if header[1] & AUTHENTICATED == 0 { 24 } else { 26 };
    header[0] >> 5 == 1
        && header[2] != 0
        && usize::from(header[3]) == packet.len()
        && packet.len() >= least
        && header[4..8] != [0; 4]
}

/// Authentication type 1, a simple password (RFC 5880, section 4.2).
fn has_password(packet: &[u8]) -> bool {
    packet[1] & AUTHENTICATED != 0 && packet.get(24) == Some(&1)
}
