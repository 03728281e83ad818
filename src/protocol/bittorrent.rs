//! BitTorrent: the handshake between peers, and the queries of its hash table over UDP.

use super::bytes::{contains_any, starts_with_any};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Bittorrent: "bittorrent"; Both, ports [6881, 6889], Clear;
    "BitTorrent: handshake of peers, queries of the distributed hash table";
    "BEP 3 and BEP 5";
    begins [Opening::client(First::of(b"\x13dD")), Opening::server(First::of(b"\x13dD"))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let shakes = |bytes: &[u8]| bytes.starts_with(b"\x13BitTorrent protocol");
    let asks = |bytes: &[u8]| {
        starts_with_any(bytes, &[b"d1:ad2:id20:", b"d1:rd2:id20:", b"d1:eli", b"d2:ip", b"d1:ad"])
            && contains_any(bytes, &[b"1:y1:q", b"1:y1:r", b"1:y1:e"])
    };
    let fits = seen.datagrams().any(|bytes| shakes(bytes) || !seen.is_stream() && asks(bytes));
    fits.then(|| Detection::plain("bittorrent", "handshake or query in the clear"))?.certain()
}
