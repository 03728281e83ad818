//! FastCGI: a record that begins a request, and parameters behind it.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Fastcgi: "fastcgi"; Stream, ports [9000], Clear;
    "FastCGI: the record that begins a request, and the next record behind it";
    "FastCGI specification 1.0, section 5";
    begins [Opening::client(First::of(&[1]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let begins = matches!(seen.client, [1, 1, _, _, 0, 8, _, 0, 0, 1..=3, 0 | 1, 0, 0, 0, 0, 0, ..]);
    let next = seen.client.get(16..).unwrap_or(&[]);
    let follows = next.is_empty() || next.starts_with(&[1, 4]);
    let answers = Cursor(seen.server).u16().is_none_or(|head| matches!(head, 0x0106 | 0x0107 | 0x0103));
    (begins && follows && answers).then(|| Detection::plain("fastcgi", "records in the clear"))?.certain()
}
