//! Git's own transport: a packet line that names the service and the repository.

use super::bytes::{contains_any, starts_with_any};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Git: "git"; Stream, ports [9418], Clear;
    "git: the request line of fetch, push and archive";
    "Git documentation, gitprotocol-pack";
    begins [Opening::client(First::of(b"0123456789abcdefABCDEF"))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let length = seen.client.get(..4).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let services: [&[u8]; 3] = [b"git-upload-pack /", b"git-receive-pack /", b"git-upload-archive /"];
    let asks = length && starts_with_any(&seen.client[4..], &services) && contains_any(seen.client, &[b"\0"]);
    asks.then(|| Detection::plain("git", "the request in the clear"))?.certain()
}
