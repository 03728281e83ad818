//! Facts about a flow in the making that take one bit each, above what its key says besides
//! addresses and ports.

use super::key::KIND;

/// Facts of one bit, and the part of the key that [`KIND`] tells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks(pub(super) u32);

impl Marks {
    pub(super) const FIRST_SENDER_LOW: u32 = 1 << 9;
    pub(super) const LOW_INITIATES: u32 = 1 << 10;
    pub(super) const OPENING_SEEN: u32 = 1 << 11;
    pub(super) const ANSWER_SEEN: u32 = 1 << 12;
    pub(super) const SEQUENCE_KNOWN: [u32; 2] = [1 << 13, 1 << 14];
    pub(super) const FINISHED: [u32; 2] = [1 << 15, 1 << 16];
    pub(super) const RESET: u32 = 1 << 17;
    pub(super) const PAYLOAD_SEEN: u32 = 1 << 18;
    pub(super) const LOW_SPOKE_FIRST: u32 = 1 << 19;
    pub(super) const JUDGED: u32 = 1 << 20;
    pub(super) const CUT: u32 = 1 << 21;
    pub(super) const HOLES: u32 = 1 << 22;
    pub(super) const HIGHEST_KNOWN: [u32; 2] = [1 << 23, 1 << 24];
    pub(super) const KEEPS_NOTHING: u32 = 1 << 25;
    /// Judged before it had shown enough, to bound memory.
    pub(super) const HURRIED: u32 = 1 << 26;
    /// Payload came after that.
    pub(super) const UNREAD: u32 = 1 << 27;
    /// Text came later: of what was judged, nothing is kept any more anyhow.
    pub(super) const SPOKE_LATER: u32 = Marks::KEEPS_NOTHING;
    /// The slot is in use.
    pub(super) const IN_USE: u32 = 1 << 28;
    /// No more first bytes of a direction are wanted.
    pub(super) const FULL: [u32; 2] = [1 << 29, 1 << 30];
    /// One of them has not said as much as is kept, but nothing that it says could change anything.
    pub(super) const HEARD: u32 = 1 << 31;

    /// Of a flow of which nothing is known but its key.
    pub(super) fn of(rest: u64) -> Marks {
        Marks((rest & KIND) as u32)
    }

    /// Its part of the key.
    #[inline]
    pub(super) fn kind(self) -> u64 {
        u64::from(self.0) & KIND
    }

    #[inline]
    pub(super) fn has(self, mark: u32) -> bool {
        self.0 & mark != 0
    }

    #[inline]
    pub(super) fn set(&mut self, mark: u32) {
        self.0 |= mark;
    }

    pub(super) fn clear(&mut self, mark: u32) {
        self.0 &= !mark;
    }
}
