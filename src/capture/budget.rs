//! Memory for first bytes: what each slice of the flows holds of them, and who holds them for longest.

use super::cold::Cold;
use std::collections::VecDeque;

/// Flows that are fetched into the caches together.
pub(super) const FETCHED: usize = 16;

/// What a slice of the flows holds of first bytes.
#[derive(Debug, Default)]
pub(super) struct Budget {
    pub(super) bytes: usize,
    /// Flows with first bytes, oldest first, each with the serial number of its cold part.
    pub(super) holders: VecDeque<(u32, u32)>,
    /// How many of them still hold bytes.
    pub(super) holding: usize,
    /// How many of the oldest were fetched into the caches together and wait for their verdict.
    pub(super) fetched: usize,
}

impl Budget {
    /// Takes the flow that holds its bytes for longest, or gave them away since.
    pub(super) fn pop(&mut self) -> Option<(u32, u32)> {
        self.fetched -= 1;
        self.holders.pop_front()
    }

    /// Notes that a flow gives its first bytes away.
    pub(super) fn release(&mut self, cold: Option<&Cold>) {
        if let Some(cold) = cold {
            self.bytes -= cold.cost();
            self.holding -= 1;
        }
    }

    /// Flows that hold nothing any more leave the queue now and then.
    pub(super) fn forget(&mut self, holds: impl Fn(u32, u32) -> bool) {
        if self.holders.len() > 256 && self.holders.len() > 2 * self.holding {
            self.holders.retain(|(slot, serial)| holds(*slot, *serial));
        }
    }
}
