//! Flows that another one announces: the data connections of FTP, and the transfers of TFTP, whose own
//! bytes often say nothing, for they are few or those of any file.
//!
//! Where the announcing connection was in the clear from first to last, nothing can have agreed on a
//! protection for what it announces: `PROT` needs a security exchange before it (RFC 2228, section 3).

use super::Flows;
use crate::capture::{FlowEnd, Transport};
use crate::model::{Protection, WhyUnknown};
use crate::protocol::{Announces, Detection};
use hashbrown::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// How long behind the last packet of its announcement a flow may begin, in nanoseconds.
const PATIENCE: u64 = 60_000_000_000;

/// What is said of an end: who the other one is, when, and what it will carry.
struct Announcement {
    other: IpAddr,
    begins: u64,
    ends: u64,
    what: Announces,
}

/// Gives flows whose bytes tell nothing the verdict of what announced them.
pub fn follow_announcements(flows: &mut Flows) {
    let mut all: HashMap<(Transport, FlowEnd), Vec<Announcement>> = HashMap::new();
    for number in flows.numbers_with(|detection| Announces::of(detection).is_some()) {
        let Some(seen) = flows.at(number) else { continue };
        let Some(what) = Announces::of(&seen.detection) else { continue };
        let (caller, called) = (seen.flow.initiator, seen.flow.responder);
        let (begins, ends) = (seen.flow.first, seen.flow.last.saturating_add(PATIENCE));
        let mut add = |transport, end: FlowEnd, other| {
            let announcement = Announcement { other, begins, ends, what };
            all.entry((transport, end)).or_default().push(announcement);
        };
        match what {
            Announces::FtpData => {
                let [client, server] = what.ports(&seen.detection);
                client.for_each(|port| add(Transport::Tcp, FlowEnd { port, ..caller }, called.ip));
                server.for_each(|port| add(Transport::Tcp, FlowEnd { port, ..called }, caller.ip));
            }
            Announces::TftpTransfer => add(Transport::Udp, caller, called.ip),
        }
    }
    if all.is_empty() {
        return;
    }
    for number in flows.numbers_with(tells_nothing) {
        let Some(mut seen) = flows.at(number) else { continue };
        let flow = &seen.flow;
        let announced = |own: FlowEnd, other: FlowEnd| {
            let fits =
                |one: &&Announcement| one.other == other.ip && (one.begins..=one.ends).contains(&flow.first);
            all.get(&(flow.transport, own))?.iter().find(fits).map(|one| one.what)
        };
        let (from, to) = (flow.initiator, flow.responder);
        if let Some(what) = announced(to, from).or_else(|| announced(from, to)) {
            seen.detection = Arc::new(what.verdict(&seen.detection));
            flows.put(number, seen);
        }
    }
}

/// Whether nobody knows what a flow says, though it says something.
fn tells_nothing(detection: &Detection) -> bool {
    let silent = Protection::Unknown(WhyUnknown::NoPayload);
    detection.protocol == "unknown" && !detection.protection.is_plaintext() && detection.protection != silent
}
