//! ClickHouse's own protocol: a hello with the client's name, answered by the server's.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Clickhouse: "clickhouse"; Stream, ports [9000], Clear;
    "ClickHouse: hellos of both sides, which carry the password";
    "ClickHouse documentation, Native protocol";
    begins [Opening::client(First::of(&[0])), Opening::server(First::of(&[0]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let named = |bytes: &[u8]| {
        let mut cursor = Cursor(bytes);
        cursor.u8() == Some(0) && cursor.vector8().is_some_and(|name| name.starts_with(b"ClickHouse"))
    };
    if !named(seen.client) && !named(seen.server) {
        return None;
    }
    let secret = password(seen.client).unwrap_or(false).then_some("clickhouse-password");
    Detection::plain("clickhouse", "hello in the clear").with_credentials(secret).certain()
}

/// Name, two versions, revision, database, user, password.
fn password(client: &[u8]) -> Option<bool> {
    let mut cursor = Cursor(client.get(1..)?);
    cursor.vector8()?;
    for _ in 0..3 {
        cursor.varint()?;
    }
    for _ in 0..2 {
        cursor.vector8()?;
    }
    Some(!cursor.vector8()?.is_empty())
}
