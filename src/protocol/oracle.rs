//! Oracle's TNS: a connect packet with a description. Its native encryption is settled where a
//! capture cannot read it, so only text of queries proves that there is none.

use super::bytes::{Cursor, contains, contains_any};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};
use crate::model::WhyUnknown;

detector! {
    Oracle: "oracle"; Stream, ports [1521, 1526], Either;
    "Oracle TNS: connect descriptor; queries that can be read";
    "Oracle Net Services documentation";
    begins [Opening::client(First::range(0, 15))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let mut cursor = Cursor(seen.client);
    let (length, _checksum, kind) = (cursor.u16()?, cursor.u16()?, cursor.u8()?);
    if kind != 1
        || !(34..4_096).contains(&length)
        || !contains_any(seen.client, &[b"(DESCRIPTION=", b"(CONNECT_DATA="])
    {
        return None;
    }
    let behind = seen.client.get(usize::from(length)..).unwrap_or(&[]);
    let refused = seen.server.get(4) == Some(&4);
    let query = contains_any(behind, &[b"SELECT ", b"INSERT INTO ", b"BEGIN ", b"ALTER SESSION"]);
    if query || refused || contains(seen.server, b"ORA-") {
        return Detection::plain("oracle", "messages can be read").certain();
    }
    let why = "a connect descriptor; native encryption is settled out of sight";
    Detection::unclear("oracle", WhyUnknown::Ambiguous, why).certain()
}
