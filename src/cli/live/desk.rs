//! Where the reader of packets leaves flows, and where they are fetched each second: neither waits
//! for what the other does.

use crate::observed::{Glance, ObservedFlow, Watch};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Flows that may lie on the desk; what comes on top is counted and not kept.
const MOST: usize = 500_000;

/// What was left since the last time.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Flows that go on and were judged.
    pub judged: Vec<ObservedFlow>,
    /// Flows that are over.
    pub finished: Vec<ObservedFlow>,
    /// All open flows, if they were shown.
    pub open: Option<Vec<Glance>>,
    /// Flows for which there was no room.
    pub lost: u64,
}

/// The desk.
#[derive(Debug, Default)]
pub struct Desk {
    /// The moment for which open flows are wanted; 0 for none.
    wanted: AtomicU64,
    inbox: Mutex<Inbox>,
}

impl Desk {
    /// Asks for open flows as of a moment, in nanoseconds since 1970.
    pub fn ask(&self, now: u64) {
        self.wanted.store(now, Ordering::Relaxed);
    }

    /// Everything that was left.
    pub fn fetch(&self) -> Inbox {
        std::mem::take(&mut *self.inbox())
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Desk {
    fn wants_survey(&self) -> Option<u64> {
        if self.wanted.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(self.wanted.swap(0, Ordering::Relaxed)).filter(|moment| *moment > 0)
    }

    fn judged(&self, seen: ObservedFlow) {
        let mut inbox = self.inbox();
        // It comes again when it is over.
        if inbox.judged.len() < MOST {
            inbox.judged.push(seen);
        }
    }

    fn finished(&self, seen: ObservedFlow) {
        let mut inbox = self.inbox();
        match inbox.finished.len() < MOST {
            true => inbox.finished.push(seen),
            false => inbox.lost += 1,
        }
    }

    fn surveyed(&self, open: Vec<Glance>) {
        self.inbox().open = Some(open);
    }
}
