//! Bytes → packets → flows. Slices in, [`Flow`]s with their [`StreamStart`]s out.
//!
//! Knows nothing of Kubernetes, and nothing of application protocols.

mod container;
pub mod flow;
mod link;
mod network;
mod pcap;
mod pcapng;
mod stream;
mod table;

pub use container::{CaptureError, CaptureSummary, read_capture};
pub use flow::{Counters, Flow, FlowEnd, Handshake, StreamStart, Transport};
pub use table::FlowLimits;
