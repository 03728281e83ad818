//! How much a run may hold.

use super::buffers::MOST_IDLE;

/// How much the table may hold.
#[derive(Clone, Copy, Debug)]
pub struct FlowLimits {
    /// Flows at a time; the longest idle ones make room. One costs about 110 bytes, with its place in
    /// the index.
    pub flows: usize,
    /// First payload bytes kept of each direction.
    pub stream_bytes: usize,
    /// Memory for first payload bytes in all, a sixteenth for each slice of the flows. Beyond, the flows that hold theirs for longest are
    /// judged by what they have; where nobody judges early, streams are cut and say so.
    pub payload_bytes: usize,
    /// Memory for first bytes that is kept while nobody uses it.
    pub idle_bytes: usize,
    /// A flow that is silent for longer is over, in nanoseconds.
    pub idle_nanos: u64,
}

/// First payload bytes that are kept of each direction, unless somebody says otherwise.
pub const STREAM_BYTES: usize = 16 << 10;

impl Default for FlowLimits {
    fn default() -> Self {
        FlowLimits {
            flows: 1_000_000,
            stream_bytes: STREAM_BYTES,
            payload_bytes: 512 << 20,
            idle_bytes: MOST_IDLE,
            idle_nanos: 600_000_000_000,
        }
    }
}
