//! The rsync daemon: both sides greet with a version line.

use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Rsync: "rsync"; Stream, ports [873], Clear;
    "rsync daemon: version lines of both sides";
    "rsync documentation, rsyncd";
    begins [Opening::client(First::of(b"@")), Opening::server(First::of(b"@"))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let named = |bytes: &[u8]| bytes.starts_with(b"@RSYNCD: ");
    (named(seen.client) || named(seen.server))
        .then(|| Detection::plain("rsync", "version lines in the clear"))?
        .certain()
}
