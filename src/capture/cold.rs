//! What a flow has only as long as its first bytes are wanted.

use super::stream::Stream;

/// What a flow with first bytes costs besides them.
pub(super) const COLD_COST: usize = size_of::<Cold>() + 64;

/// What only flows have whose first bytes are still wanted.
#[derive(Debug, Default)]
pub(super) struct Cold {
    pub(super) streams: [Stream; 2],
    /// Tells this use of the slot from earlier ones.
    pub(super) serial: u32,
}

impl Cold {
    /// Reads from all of its memory.
    pub(super) fn touch(&self) -> u64 {
        let first = |stream: &Stream| stream.bytes.first().map_or(0, |first| u64::from(*first));
        self.streams.iter().fold(0, |sum, stream| sum ^ first(stream) ^ stream.touch())
    }

    /// Bytes of memory that this costs.
    pub(super) fn cost(&self) -> usize {
        COLD_COST + self.streams.iter().map(Stream::held).sum::<usize>()
    }
}
