//! Bytes → packets → flows. Slices in, [`Flow`]s with their [`StreamStart`]s out.
//!
//! Knows nothing of Kubernetes, and nothing of application protocols.

mod block;
mod budget;
mod buffers;
mod cold;
mod container;
mod copies;
mod decode;
mod elsewhere;
mod finish;
pub mod flow;
mod fragment;
mod head;
mod heard;
mod in_udp;
mod index;
mod key;
mod limits;
mod link;
mod marks;
mod network;
mod networks;
mod numbers;
mod packet;
mod pcap;
mod pcapng;
mod place;
mod pool;
mod quick;
mod reader;
mod shard;
mod sifted;
mod state;
mod stream;
mod table;
mod transport;
mod tunnel;
mod window;
mod worker;

pub use container::{CaptureError, CaptureSummary, InputSummary, read_capture, read_captures};
pub use flow::{
    Answer, Audience, Besides, Counters, Exchange, Flow, FlowEnd, Handshake, Judging, LONGEST_SOUGHT, Leg,
    Medium, OpenFlow, Opening, Place, Seen, SeenMore, Speaker, StillWanted, StreamStart, Transport, Tunnel,
    TunnelKind, Unity,
};
pub use limits::{FlowLimits, STREAM_BYTES};
pub use networks::telling_networks;
pub use packet::NOT_IP;
pub use reader::Input;
pub use shard::read_in_parallel;
