//! Facts about a flow in the making that take one bit each.

/// Facts of one bit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks(u32);

impl Marks {
    pub(super) const FIRST_SENDER_LOW: u32 = 1;
    pub(super) const LOW_INITIATES: u32 = 1 << 1;
    pub(super) const OPENING_SEEN: u32 = 1 << 2;
    pub(super) const ANSWER_SEEN: u32 = 1 << 3;
    pub(super) const SEQUENCE_KNOWN: [u32; 2] = [1 << 4, 1 << 5];
    pub(super) const FINISHED: [u32; 2] = [1 << 6, 1 << 7];
    pub(super) const RESET: u32 = 1 << 8;
    pub(super) const PAYLOAD_SEEN: u32 = 1 << 9;
    pub(super) const LOW_SPOKE_FIRST: u32 = 1 << 10;
    pub(super) const JUDGED: u32 = 1 << 11;
    pub(super) const CUT: u32 = 1 << 12;
    pub(super) const HOLES: u32 = 1 << 13;
    pub(super) const HIGHEST_KNOWN: [u32; 2] = [1 << 14, 1 << 15];
    pub(super) const KEEPS_NOTHING: u32 = 1 << 16;
    /// Judged before it had shown enough, to bound memory.
    pub(super) const HURRIED: u32 = 1 << 17;
    /// Payload came after that.
    pub(super) const UNREAD: u32 = 1 << 18;
    /// The slot is in use.
    pub(super) const IN_USE: u32 = 1 << 19;

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
