//! Takes flows from the capture side and keeps what the bytes said, not the bytes.
//!
//! Equal verdicts are kept once: thousands of flows share a few dozen of them.

use super::flows::{Flows, Part};
use super::{Directory, ObservedFlow, Party, Stretch, WhyInside, alike};
use crate::capture::{Audience, Besides, Exchange, Flow, Judging, StillWanted, Unity};
use crate::model::{Protection, WhyUnknown};
use crate::protocol::{self, Detection};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use std::sync::Arc;

/// Collects flows with their verdicts.
#[derive(Debug)]
pub struct Witness<'a> {
    part: Part,
    directory: &'a Directory<'a>,
    known: HashTable<u32>,
    /// Verdicts with a word on how a flow was met, by those without it.
    noted: HashMap<(u32, Note), u32>,
    hasher: DefaultHashBuilder,
}

/// What is to be said of a flow beside what its bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Note {
    /// It was met inside of a pod.
    Inside(WhyInside),
    /// Several connections are in it.
    Several,
    /// Text was said later.
    TextLater,
}

impl<'a> Witness<'a> {
    /// A witness who knows who holds which address.
    pub fn new(directory: &'a Directory<'a>) -> Witness<'a> {
        Witness {
            part: Part::default(),
            directory,
            known: HashTable::new(),
            noted: HashMap::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Everything that several witnesses of one directory saw, in no particular order.
    pub fn flows(witnesses: Vec<Witness<'_>>) -> Flows {
        let parties = witnesses.first().map(|witness| witness.directory.parties()).unwrap_or_default();
        Flows::of(witnesses.into_iter().map(|witness| witness.part).collect(), parties)
    }

    fn number(&mut self, mut detection: Detection) -> u32 {
        // Equal names stay in their order: the last one is what is shown.
        if !detection.facts.is_sorted_by_key(|(name, _)| *name) {
            detection.facts.sort_by_key(|(name, _)| *name);
        }
        let hash = |detection: &Detection| alike::hash(detection, &self.hasher);
        let found = hash(&detection);
        let equal = |number: &u32| alike::are_equal(&self.part.verdicts()[*number as usize], &detection);
        if let Some(number) = self.known.find(found, equal) {
            return *number;
        }
        detection.facts.shrink_to_fit();
        let number = self.part.verdict(detection);
        let verdicts = self.part.verdicts();
        self.known.insert_unique(found, number, |number| hash(&verdicts[*number as usize]));
        number
    }

    /// The verdict with a word on how the flow was met.
    fn noted(&mut self, number: u32, note: Note) -> u32 {
        if let Some(noted) = self.noted.get(&(number, note)) {
            return *noted;
        }
        let mut verdict = Detection::clone(&self.part.verdicts()[number as usize]);
        match note {
            Note::Inside(why) => super::stretch::say(&mut verdict, Stretch::Inside(why)),
            Note::Several => super::mingled::say(&mut verdict),
            Note::TextLater => verdict = protocol::doubted(verdict, Besides::TextLater),
        }
        let noted = self.number(verdict);
        self.noted.insert((number, note), noted);
        noted
    }

    /// What a verdict is worth that was given early to bound memory, where more was said later: a
    /// protocol that can go over to TLS may have done so.
    fn second_thoughts(&mut self, number: u32) -> u32 {
        doubtful(&self.part.verdicts()[number as usize]).map_or(number, |doubtful| self.number(doubtful))
    }
}

/// What a verdict is worth where the flow said more after it, if less.
pub(super) fn doubtful(verdict: &Detection) -> Option<Detection> {
    if !verdict.protection.is_plaintext() || !protocol::may_upgrade(verdict) {
        return None;
    }
    let mut doubtful = Detection::clone(verdict);
    doubtful.protection = Protection::Unknown(WhyUnknown::Evicted);
    doubtful.why = format!("{}; judged early to bound memory, and TLS may have followed", verdict.why).into();
    Some(doubtful)
}

impl Audience for Witness<'_> {
    fn judging(&self) -> Judging {
        Judging::Early
    }

    fn asks_where(&self) -> bool {
        false
    }

    fn wants(&self, exchange: &Exchange<'_>) -> StillWanted {
        protocol::still_wanted(exchange)
    }

    fn seeks(&self, stretch: &[u8]) -> bool {
        protocol::seeks(stretch)
    }

    fn judge(&mut self, flow: &Flow) -> u32 {
        match self.directory.is_turned(flow) {
            true => self.number(protocol::detect(&flow.clone().turned())),
            false => self.number(protocol::detect(flow)),
        }
    }

    fn finished(&mut self, flow: Flow, verdict: Option<u32>) {
        let mut number = match verdict {
            Some(number) => number,
            None => self.judge(&flow),
        };
        if flow.start.unread {
            number = self.second_thoughts(number);
        }
        if flow.start.besides == Besides::TextLater {
            number = self.noted(number, Note::TextLater);
        }
        if flow.seen.unity() == Unity::Several {
            number = self.noted(number, Note::Several);
        }
        if let Stretch::Inside(why) = Stretch::of(&flow) {
            number = self.noted(number, Note::Inside(why));
        }
        // The first bytes were looked at; payload goes no further than this.
        let flow = if self.directory.is_turned(&flow) { flow.turned() } else { flow };
        let ends =
            [self.directory.holder_during(flow.initiator.ip, &flow), self.directory.holder_called(&flow)];
        self.part.add(flow, number, ends);
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
