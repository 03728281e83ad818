//! The control protocols of the network, which have a number in IP instead of a port: ICMP, IGMP,
//! OSPF, PIM, VRRP, EIGRP.
//!
//! They carry no data of applications, so nothing is said of their protection; but VRRP and OSPF
//! may carry the password of their group in the clear.

use super::bytes::Cursor;
use super::seen::Datagrams;
use super::{Detection, Probe, Seen, detector};
use crate::capture::Transport;
use crate::model::WhyUnknown;

detector! {
    Control: "icmp", also ["igmp", "ospf", "pim", "vrrp", "eigrp"]; Network, ports [], Clear;
    "Control messages of the network, by their number in IP and by their form; passwords of VRRP and OSPF";
    "RFC 792, 4443, 3376, 2328, 5340, 7761, 3768, 9568, 7868"
}

/// A protocol: its number in IP, its name, the shape of its messages, and the password of its group.
struct Message {
    number: u8,
    name: &'static str,
    fits: fn(&[u8]) -> bool,
    password: fn(&[u8]) -> Option<&'static str>,
}

const MESSAGES: &[Message] = &[
    Message { number: 2, name: "igmp", fits: is_igmp, password: none },
    Message { number: 88, name: "eigrp", fits: is_eigrp, password: none },
    Message { number: 89, name: "ospf", fits: is_ospf, password: ospf_password },
    Message { number: 103, name: "pim", fits: is_pim, password: none },
    Message { number: 112, name: "vrrp", fits: is_vrrp, password: vrrp_password },
];

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let control = match seen.transport {
        Transport::Icmp => &Message { number: 1, name: "icmp", fits: is_icmp, password: none },
        Transport::Other(number) => MESSAGES.iter().find(|control| control.number == number)?,
        Transport::Tcp | Transport::Udp | Transport::Sctp => return None,
    };
    let mut messages = seen.datagrams().peekable();
    messages.peek()?;
    if !messages.all(control.fits) {
        return None;
    }
    let detection = match seen.datagrams().find_map(control.password) {
        Some(kind) => Detection::plain(control.name, "messages with a password in the clear")
            .with_credentials(Some(kind)),
        None => Detection::unclear(
            control.name,
            WhyUnknown::Ambiguous,
            "control messages of the network, which carry no data of applications",
        ),
    };
    match seen.transport {
        Transport::Icmp => echoes(seen, detection).certain(),
        _ => detection.certain(),
    }
}

/// Who asked for an echo, and who answered: only that is a call, while errors belong to other flows.
fn echoes(seen: &Seen<'_>, mut detection: Detection) -> Detection {
    const KINDS: [(&str, [u8; 2]); 2] = [("echo_request", [8, 128]), ("echo_reply", [0, 129])];
    for (fact, types) in KINDS {
        let holds = |mut side: Datagrams<'_>| side.any(|message| types.contains(&message[0]));
        let who = match (holds(seen.client_datagrams()), holds(seen.server_datagrams())) {
            (true, true) => "both",
            (true, false) => "initiator",
            (false, true) => "responder",
            (false, false) => continue,
        };
        detection = detection.with(fact, who);
    }
    detection
}

/// No message of the protocol carries a password.
fn none(_: &[u8]) -> Option<&'static str> {
    None
}

/// The types of ICMP (RFC 792 and the registry) and of ICMPv6 (RFC 4443), code and checksum.
fn is_icmp(message: &[u8]) -> bool {
    const EXTENDED_ECHO: u8 = 43;
    message.len() >= 8 && matches!(message[0], 0..=5 | 8..=18 | 42..=EXTENDED_ECHO | 128..=161)
}

/// Queries, reports of three versions, and leaving (RFC 3376, section 4).
fn is_igmp(message: &[u8]) -> bool {
    message.len() >= 8 && matches!(message[0], 0x11 | 0x12 | 0x16 | 0x17 | 0x22)
}

/// Version 2, an operation of its list (RFC 7868, section 6.3).
fn is_eigrp(message: &[u8]) -> bool {
    message.len() >= 20 && message[0] == 2 && matches!(message[1], 1..=11)
}

/// Version 2 or 3, a type, and a length that the packet has (RFC 2328, appendix A.3.1; RFC 5340).
fn is_ospf(message: &[u8]) -> bool {
    let header = || {
        let mut cursor = Cursor(message);
        Some((cursor.u8()?, cursor.u8()?, usize::from(cursor.u16()?)))
    };
    match header() {
        Some((2, 1..=5, length)) => (24..=message.len()).contains(&length),
        Some((3, 1..=5, length)) => (16..=message.len()).contains(&length),
        _ => false,
    }
}

/// Version 2 and a type (RFC 7761, section 4.9).
fn is_pim(message: &[u8]) -> bool {
    message.len() >= 4 && matches!(message[0], 0x20..=0x2c)
}

/// Advertisements of version 2 (RFC 3768, section 5.1) and 3 (RFC 9568, section 5.1).
fn is_vrrp(message: &[u8]) -> bool {
    message.len() >= 8 && matches!(message[0], 0x21 | 0x31)
}

/// Authentication type 1 of version 2: eight bytes of text behind the addresses.
fn vrrp_password(message: &[u8]) -> Option<&'static str> {
    const SIMPLE_TEXT: u8 = 1;
    let addresses = usize::from(*message.get(3)?) * 4;
    let password = message.get(8 + addresses..)?.get(..8)?;
    let given = message[0] == 0x21 && message[4] == SIMPLE_TEXT && password != [0; 8];
    given.then_some("vrrp-password")
}

/// Authentication type 1 of version 2: eight bytes of text in the header.
fn ospf_password(message: &[u8]) -> Option<&'static str> {
    let (kind, password) = (message.get(14..16)?, message.get(16..24)?);
    (message[0] == 2 && kind == [0, 1] && password != [0; 8]).then_some("ospf-password")
}
