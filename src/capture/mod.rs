//! Bytes → packets → flows. Slices in, [`Flow`]s with their [`StreamStart`]s out.
//!
//! Knows nothing of Kubernetes, and nothing of application protocols.

pub mod flow;

pub use flow::{Counters, Flow, FlowEnd, Handshake, StreamStart, Transport};
