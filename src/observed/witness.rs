//! Takes flows from the capture side and keeps what the bytes said, not the bytes.
//!
//! Equal verdicts are kept once: thousands of flows share a few dozen of them.

use super::{ObservedFlow, Party, Stretch};
use crate::capture::{Audience, Flow, Judging};
use crate::protocol::{self, Detection};
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Collects flows with their verdicts.
#[derive(Debug, Default)]
pub struct Witness {
    flows: Vec<ObservedFlow>,
    verdicts: Vec<Arc<Detection>>,
    known: HashTable<u32>,
    hasher: RandomState,
}

impl Witness {
    /// Everything that several witnesses saw, in no particular order; ends are not named yet.
    pub fn flows(witnesses: Vec<Witness>) -> Vec<ObservedFlow> {
        let mut witnesses = witnesses.into_iter();
        let mut all = witnesses.next().map(|witness| witness.flows).unwrap_or_default();
        witnesses.for_each(|mut witness| all.append(&mut witness.flows));
        all
    }

    fn number(&mut self, mut detection: Detection) -> u32 {
        // Equal names stay in their order: the last one is what is shown.
        detection.facts.sort_by_key(|(name, _)| *name);
        let hash =
            |d: &Detection| self.hasher.hash_one((d.protocol, d.protection, &d.why, &d.facts, &d.names));
        let found = hash(&detection);
        let verdicts = &mut self.verdicts;
        let equal = |number: &u32| *verdicts[*number as usize] == detection;
        if let Some(number) = self.known.find(found, equal) {
            return *number;
        }
        let number = verdicts.len() as u32;
        verdicts.push(Arc::new(detection));
        self.known.insert_unique(found, number, |number| hash(&verdicts[*number as usize]));
        number
    }
}

impl Audience for Witness {
    fn judging(&self) -> Judging {
        Judging::Early
    }

    fn judge(&mut self, flow: &Flow) -> u32 {
        self.number(protocol::detect(flow))
    }

    fn finished(&mut self, flow: Flow, verdict: Option<u32>) {
        let number = match verdict {
            Some(number) => number,
            None => self.judge(&flow),
        };
        // The first bytes were looked at; payload goes no further than this.
        self.flows.push((flow.without_payload(), self.verdicts[number as usize].clone()).into());
    }
}

impl From<(Flow, Arc<Detection>)> for ObservedFlow {
    /// A flow whose ends are not named yet.
    fn from((flow, detection): (Flow, Arc<Detection>)) -> ObservedFlow {
        let stretch = Stretch::of(&flow);
        let mut seen =
            ObservedFlow { flow, detection, initiator: Party::Unknown, responder: Party::Unknown, stretch };
        super::stretch::note(&mut seen);
        seen
    }
}
