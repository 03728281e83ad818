//! SNMP 1 to 3: a community in the clear, or security whose flags say whether it encrypts.

use super::first::{First, Opening};
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector};
use crate::model::Encryption;
use crate::model::der::{Element, Elements, OCTETS, SEQUENCE};

detector! {
    Snmp: "snmp"; Both, ports [161, 162], Either;
    "SNMP: versions 1 and 2 with their community, version 3 with and without privacy";
    "RFC 1157, 3416, 3412";
    begins [Opening::client(First::of(&[SEQUENCE])), Opening::server(First::of(&[SEQUENCE]))]
}

/// Versions as written.
const THIRD: u32 = 3;

/// What one message says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Community,
    Clear,
    /// A question who the other side is, or the report that answers (RFC 3414, section 4).
    Discovery,
    Private,
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let fits = seen.fits(|bytes| message(bytes).is_some());
    if !(matches!(fits, Fit::Both | Fit::TheOnlySide) || fits == Fit::OneOfTwo && seen.hinted(PORTS)) {
        return None;
    }
    let all: Vec<Message> = seen.datagrams().filter_map(message).collect();
    if all.contains(&Message::Community) {
        let detection = Detection::plain("snmp", "community and values in the clear");
        return detection.with_credentials(Some("snmp-community")).certain();
    }
    // Discovery of the engine is always in the clear, and says nothing.
    match all.contains(&Message::Private) && !all.contains(&Message::Clear) {
        true => Detection::encrypted("snmp", Encryption::Own, "version 3 with privacy").certain(),
        false => Detection::plain("snmp", "messages of version 3 without privacy").certain(),
    }
}

fn message(bytes: &[u8]) -> Option<Message> {
    let outer = Elements(bytes).next().filter(|element| element.tag == SEQUENCE)?;
    let mut parts = outer.inside();
    let version = parts.next()?.number()?;
    let second = parts.next()?;
    if version != THIRD {
        let operation = parts.next()?;
        let known = version <= 1 && second.tag == OCTETS && (0xa0..=0xa8).contains(&operation.tag);
        return known.then_some(Message::Community);
    }
    // msgGlobalData: id, size, flags, model (RFC 3412, section 6).
    let global: Vec<Element<'_>> = second.inside().collect();
    let [id, size, flags, model] = global.as_slice() else { return None };
    let numbers = id.tag == 2 && size.tag == 2 && model.number()? <= 3 && flags.tag == OCTETS;
    let flags = *flags.body.first()?;
    let (security, content) = (parts.next(), parts.next());
    numbers.then_some(match content {
        Some(content) if flags & 2 != 0 && content.tag == OCTETS => Message::Private,
        Some(content) if is_discovery(security, content) => Message::Discovery,
        _ => Message::Clear,
    })
}

/// No user, or a report; the third of a scoped PDU is what it says (RFC 3412, section 6).
fn is_discovery(security: Option<Element<'_>>, content: Element<'_>) -> bool {
    const REPORT: u8 = 0xa8;
    // Engine, boots, time, user (RFC 3414, section 2.4).
    let user = security.and_then(|security| security.inside().next()?.inside().nth(3));
    content.inside().nth(2).is_some_and(|pdu| pdu.tag == REPORT)
        || user.is_some_and(|user| user.tag == OCTETS && user.body.is_empty())
}
