//! HTTP/2 in the clear with prior knowledge (RFC 9113), and gRPC inside it.

use super::bytes::contains;
use super::{Detection, Detector, Probe};
use crate::capture::{Flow, StreamStart, Transport};

/// HTTP/2 and gRPC.
pub struct Http2;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `application/grpc` as HPACK's Huffman code writes it (RFC 7541, appendix B).
const GRPC_HUFFMAN: &[u8] = &[0x1d, 0x75, 0xd0, 0x62, 0x0d, 0x26, 0x3d, 0x4c, 0x4d, 0x65, 0x64];

impl Detector for Http2 {
    fn name(&self) -> &'static str {
        "http2"
    }

    fn summary(&self) -> &'static str {
        "HTTP/2 in the clear, and gRPC by its content type"
    }

    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
        if flow.transport != Transport::Tcp || !start.forward.starts_with(PREFACE) {
            return Probe::NotForUs;
        }
        let grpc = contains(&start.forward, b"application/grpc")
            || start.forward.windows(GRPC_HUFFMAN.len()).any(|window| window == GRPC_HUFFMAN);
        let name = if grpc { "grpc" } else { "http2" };
        Probe::Certain(Detection::plain(name, "connection preface in the clear"))
    }
}
