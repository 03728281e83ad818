//! ZooKeeper: a connect request of fixed size, or the four-letter words of operators.

use super::bytes::{Cursor, contains};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Zookeeper: "zookeeper"; Stream, ports [2181, 2182], Clear;
    "ZooKeeper: connect request and answer, four-letter words, digest credentials";
    "Apache ZooKeeper, jute definitions of ConnectRequest";
    begins [Opening::client(First::words(WORDS).or(First::of(&[0])))]
}

const WORDS: &[&[u8]] = &[
    b"ruok", b"stat", b"srvr", b"mntr", b"conf", b"cons", b"dump", b"envi", b"isro", b"wchs", b"dirs",
    b"srst", b"crst",
];

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let word = seen.client.strip_suffix(b"\n").unwrap_or(seen.client);
    let spoken = WORDS.contains(&word)
        && (seen.hinted(PORTS) || contains(seen.server, b"zookeeper") || seen.server == b"imok");
    let answer = seen.server.is_empty() || matches!(Cursor(seen.server).u32(), Some(36 | 37));
    if !(spoken || is_connect(seen.client) && answer) {
        return None;
    }
    let secret = contains(seen.client, b"\0\0\0\x06digest").then_some("zookeeper-digest");
    Detection::plain("zookeeper", "requests in the clear").with_credentials(secret).certain()
}

/// Length 44 or 45, version 0, last seen id, timeout, session, a password of 16 bytes.
fn is_connect(client: &[u8]) -> bool {
    let mut cursor = Cursor(client);
    let length = cursor.u32().is_some_and(|length| matches!(length, 44 | 45));
    let version = cursor.u32() == Some(0);
    cursor.take(8);
    let timeout = cursor.u32().is_some_and(|timeout| (1..=3_600_000).contains(&timeout));
    cursor.take(8);
    length && version && timeout && cursor.u32() == Some(16)
}
