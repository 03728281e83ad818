//! Flows that another one announces: the data connections of FTP, and the transfers of TFTP, whose own
//! bytes often say nothing, for they are few or those of any file.
//!
//! Where the announcing connection was in the clear from first to last, nothing can have agreed on a
//! protection for what it announces: `PROT` needs a security exchange before it (RFC 2228, section 3).

use super::{Flows, ObservedFlow};
use crate::capture::{FlowEnd, Transport};
use crate::model::{Protection, WhyUnknown};
use crate::protocol::{Announces, Detection};
use hashbrown::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// How long behind the last packet of its announcement a flow may begin, in nanoseconds.
const PATIENCE: u64 = 60_000_000_000;
/// Announcements that are remembered while flows come and go.
const MOST: usize = 50_000;

/// What was announced so far.
#[derive(Debug, Default)]
pub struct Announced {
    all: HashMap<(Transport, FlowEnd), Vec<Announcement>>,
    count: usize,
}

/// What is said of an end: who the other one is, when, and what it will carry.
#[derive(Debug, PartialEq, Eq)]
struct Announcement {
    other: IpAddr,
    begins: u64,
    ends: u64,
    what: Announces,
}

impl Announced {
    /// Remembers what a flow announces.
    pub fn hear(&mut self, seen: &ObservedFlow) {
        let Some(what) = Announces::of(&seen.detection) else { return };
        let (caller, called) = (seen.flow.initiator, seen.flow.responder);
        let (begins, ends) = (seen.flow.first, seen.flow.last.saturating_add(PATIENCE));
        let mut add = |transport, end: FlowEnd, other| {
            let announcement = Announcement { other, begins, ends, what };
            let known = self.all.entry((transport, end)).or_default();
            // Who goes on shows flows more than once.
            if !known.contains(&announcement) {
                known.push(announcement);
                self.count += 1;
            }
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

    /// Forgets the older half where there are too many to go on with.
    pub fn bound(&mut self) {
        if self.count <= MOST {
            return;
        }
        let mut ends: Vec<u64> = self.all.values().flatten().map(|one| one.ends).collect();
        let half = ends.len() / 2;
        let (_, middle, _) = ends.select_nth_unstable(half);
        let middle = *middle;
        self.all.retain(|_, list| {
            list.retain(|one| one.ends > middle);
            !list.is_empty()
        });
        self.count = self.all.values().map(Vec::len).sum();
    }

    /// Gives a flow whose bytes tell nothing the verdict of what announced it. Whether there was any.
    pub fn judge(&self, seen: &mut ObservedFlow) -> bool {
        if self.all.is_empty() || !tells_nothing(&seen.detection) {
            return false;
        }
        let flow = &seen.flow;
        let announced = |own: FlowEnd, other: FlowEnd| {
            let fits =
                |one: &&Announcement| one.other == other.ip && (one.begins..=one.ends).contains(&flow.first);
            self.all.get(&(flow.transport, own))?.iter().find(fits).map(|one| one.what)
        };
        let (from, to) = (flow.initiator, flow.responder);
        let Some(what) = announced(to, from).or_else(|| announced(from, to)) else { return false };
        seen.detection = Arc::new(what.verdict(&seen.detection));
        true
    }
}

/// Gives flows whose bytes tell nothing the verdict of what announced them.
pub fn follow_announcements(flows: &mut Flows) {
    let mut announced = Announced::default();
    for number in flows.numbers_with(|detection| Announces::of(detection).is_some()) {
        flows.at(number).iter().for_each(|seen| announced.hear(seen));
    }
    if announced.all.is_empty() {
        return;
    }
    for number in flows.numbers_with(tells_nothing) {
        let Some(mut seen) = flows.at(number) else { continue };
        if announced.judge(&mut seen) {
            flows.put(number, seen);
        }
    }
}

/// Whether nobody knows what a flow says, though it says something.
fn tells_nothing(detection: &Detection) -> bool {
    let silent = Protection::Unknown(WhyUnknown::NoPayload);
    detection.protocol == "unknown" && !detection.protection.is_plaintext() && detection.protection != silent
}
