//! Where the reader of packets leaves flows, and where they are fetched each second: neither waits
//! for what the other does.

use crate::observed::{Glance, Handed, Wanted, Watch};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Flows that may lie on the desk; what comes on top is counted and not kept.
const MOST: usize = 500_000;

/// What was left since the last time.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Flows that go on and were judged.
    pub judged: Vec<Handed>,
    /// Flows that are over.
    pub finished: Vec<Handed>,
    /// How many flows are open, and all of them where they are wanted, if they were looked at.
    pub open: Option<(usize, Vec<Glance>)>,
    /// Flows for which there was no room.
    pub lost: u64,
}

/// The desk.
#[derive(Debug, Default)]
pub struct Desk {
    /// The moment for which open flows are wanted; 0 for none.
    asked: AtomicU64,
    wanted: Wanted,
    inbox: Mutex<Inbox>,
}

impl Desk {
    /// A desk on which nothing lies, for who wants to know so much.
    pub fn new(wanted: Wanted) -> Desk {
        Desk { wanted, ..Desk::default() }
    }

    /// Asks for open flows as of a moment, in nanoseconds since 1970.
    pub fn ask(&self, now: u64) {
        self.asked.store(now, Ordering::Relaxed);
    }

    /// Everything that was left. The next time there is about as much.
    pub fn fetch(&self) -> Inbox {
        let mut inbox = self.inbox();
        let next = Inbox {
            judged: Vec::with_capacity(inbox.judged.len()),
            finished: Vec::with_capacity(inbox.finished.len()),
            ..Inbox::default()
        };
        std::mem::replace(&mut *inbox, next)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Desk {
    fn wants_survey(&self) -> Option<u64> {
        if self.asked.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(self.asked.swap(0, Ordering::Relaxed)).filter(|moment| *moment > 0)
    }

    fn wants(&self) -> Wanted {
        self.wanted
    }

    fn judged(&self, seen: Handed) {
        let mut inbox = self.inbox();
        // It comes again when it is over.
        if inbox.judged.len() < MOST {
            inbox.judged.push(seen);
        }
    }

    fn finished(&self, seen: Handed) {
        let mut inbox = self.inbox();
        match inbox.finished.len() < MOST {
            true => inbox.finished.push(seen),
            false => inbox.lost += 1,
        }
    }

    fn surveyed(&self, count: usize, open: Vec<Glance>) {
        self.inbox().open = Some((count, open));
    }
}
