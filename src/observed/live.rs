//! Flows while they go on: verdicts as soon as there are any, finished flows, and from time to time
//! all that are open. What becomes of them is left to who watches.

use super::alike::Latest;
use super::witness::doubtful;
use super::{Handed, ObservedFlow};
use crate::capture::{Audience, Besides, Exchange, Flow, Judging, OpenFlow, StillWanted, Unity};
use crate::protocol::{self, Detection};
use std::sync::Arc;

/// Who watches flows.
pub trait Watch {
    /// The moment, in nanoseconds since 1970, if open flows should be shown now; asked all the time,
    /// so the answer has to be cheap.
    fn wants_survey(&self) -> Option<u64>;
    /// How much is wanted of flows that go on.
    fn wants(&self) -> Wanted;
    /// A flow that goes on has shown enough to be judged; its ends are not named yet.
    fn judged(&self, seen: Handed);
    /// A flow is over; its ends are not named yet.
    fn finished(&self, seen: Handed);
    /// How many flows are open, and all of them where they are wanted.
    fn surveyed(&self, count: usize, open: Vec<Glance>);
}

/// What is wanted of flows that go on, which costs something for each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: that there are so many.
    #[default]
    Count,
    /// Each as it stands, whenever open flows are shown.
    Glances,
    /// Each once it is judged.
    Verdicts,
}

/// An open flow as it stands.
#[derive(Clone, Debug)]
pub struct Glance {
    /// The flow.
    pub flow: OpenFlow,
    /// The verdict, if there is one yet.
    pub detection: Option<Arc<Detection>>,
}

/// Passes on what the capture side tells.
pub struct Follower<'a> {
    watch: &'a (dyn Watch + Sync),
    verdicts: Verdicts,
    wanted: Wanted,
    count: usize,
    open: Vec<Glance>,
}

impl<'a> Follower<'a> {
    /// Nothing is open yet.
    pub fn new(watch: &'a (dyn Watch + Sync)) -> Follower<'a> {
        let wanted = watch.wants();
        Follower { watch, verdicts: Verdicts::default(), wanted, count: 0, open: Vec::new() }
    }
}

impl std::fmt::Debug for Follower<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("verdicts", &self.verdicts).finish_non_exhaustive()
    }
}

impl Audience for Follower<'_> {
    fn judging(&self) -> Judging {
        Judging::Early
    }

    fn asks_where(&self) -> bool {
        self.wanted == Wanted::Verdicts
    }

    fn wants(&self, exchange: &Exchange<'_>) -> StillWanted {
        protocol::still_wanted(exchange)
    }

    fn seeks(&self, stretch: &[u8]) -> bool {
        protocol::seeks(stretch)
    }

    fn judge(&mut self, flow: &Flow) -> u32 {
        let detection = self.verdicts.latest.shared(protocol::detect(flow));
        if self.wanted == Wanted::Verdicts {
            self.watch.judged(Box::new(ObservedFlow::from((head(flow), detection.clone()))));
        }
        self.verdicts.keep(detection)
    }

    fn finished(&mut self, flow: Flow, verdict: Option<u32>) {
        let known = verdict.and_then(|number| self.verdicts.take(number));
        let mut detection = known.unwrap_or_else(|| self.verdicts.latest.shared(protocol::detect(&flow)));
        if let Some(doubtful) = doubtful(&detection).filter(|_| flow.start.unread) {
            detection = Arc::new(doubtful);
        }
        if flow.start.besides == Besides::TextLater {
            detection = Arc::new(protocol::doubted(Detection::clone(&detection), flow.start.besides));
        }
        if flow.seen.unity() == Unity::Several {
            super::mingled::say(Arc::make_mut(&mut detection));
        }
        self.watch.finished(Box::new(ObservedFlow::from((flow.without_payload(), detection))));
    }

    fn asks(&mut self) -> Option<u64> {
        self.watch.wants_survey()
    }

    fn open(&mut self, flow: &OpenFlow) {
        self.count += 1;
        if self.wanted != Wanted::Glances {
            return;
        }
        let detection = flow.verdict.and_then(|number| self.verdicts.get(number)).cloned();
        self.open.push(Glance { flow: *flow, detection });
    }

    fn surveyed(&mut self) {
        let (count, open) = (std::mem::take(&mut self.count), std::mem::take(&mut self.open));
        // The next time there are about as many.
        self.open.reserve(open.len());
        self.watch.surveyed(count, open);
    }
}

/// Verdicts of open flows, by the numbers that the capture side carries.
#[derive(Debug, Default)]
struct Verdicts {
    places: Vec<Option<Arc<Detection>>>,
    free: Vec<u32>,
    latest: Latest,
}

impl Verdicts {
    /// Keeps one until its flow is over; its number.
    fn keep(&mut self, detection: Arc<Detection>) -> u32 {
        match self.free.pop() {
            Some(number) => {
                self.places[number as usize] = Some(detection);
                number
            }
            None => {
                self.places.push(Some(detection));
                (self.places.len() - 1) as u32
            }
        }
    }

    fn get(&self, number: u32) -> Option<&Arc<Detection>> {
        self.places.get(number as usize)?.as_ref()
    }

    fn take(&mut self, number: u32) -> Option<Arc<Detection>> {
        let detection = self.places.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(detection)
    }
}

/// A flow as it stands, without its first bytes.
fn head(flow: &Flow) -> Flow {
    Flow { start: flow.start.flags(), via: flow.via.clone(), seen: flow.seen.clone(), ..*flow }
}
