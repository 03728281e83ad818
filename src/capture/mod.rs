//! Bytes → packets → flows. Slices in, [`Flow`]s with their [`StreamStart`]s out.
//!
//! Knows nothing of Kubernetes, and nothing of application protocols.

mod container;
mod copies;
mod finish;
pub mod flow;
mod fragment;
mod head;
mod index;
mod key;
mod link;
mod marks;
mod network;
mod packet;
mod pcap;
mod pcapng;
mod place;
mod pool;
mod quick;
mod shard;
mod state;
mod stream;
mod table;
mod transport;
mod tunnel;
mod window;

pub use container::{CaptureError, CaptureSummary, Input, read_capture, read_captures};
pub use flow::{
    Answer, Audience, Counters, Flow, FlowEnd, Handshake, Judging, Leg, Medium, OpenFlow, Opening, Place,
    Seen, SeenMore, StreamStart, Transport,
};
pub use shard::read_in_parallel;
pub use table::FlowLimits;
