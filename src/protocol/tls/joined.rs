//! TLS that was joined after its handshake, at the border of a record or in the middle of one.

use super::record::{Record, are_readable, chain, records, say};
use super::says;
use crate::model::{Encryption, Proof, Protection, WhyUnknown};
use crate::protocol::spread::is_readable;
use crate::protocol::{Detection, Probe, Seen};
use std::iter;

/// A stream that was joined after its handshake: records must chain.
pub(super) fn late(seen: &Seen<'_>) -> Option<Probe> {
    let (client, server) = (seen.client, seen.server);
    let why = "chained application-data records, joined after the handshake";
    let (ahead, back) = (records(client), records(server));
    // Bytes behind the last record would mean that there was no chain.
    let pure = |bytes: &[u8], records: &[Record<'_>]| {
        let ends = records.iter().map(|record| 5 + record.length).sum::<usize>();
        !records.is_empty() && ends >= bytes.len() && records.iter().any(Record::is_data)
    };
    let several = |records: &[Record<'_>]| records.len() >= 2;
    let joined = |why| {
        if [&ahead, &back].into_iter().any(|records| are_readable(records) || say(records)) {
            let why = "records of TLS whose content can be read: their cipher does not encrypt";
            return Detection::new("tls", Protection::Plaintext(Proof::NullCipher), why);
        }
        if !began_before(seen) {
            let why = "records of TLS from the first byte on, and no handshake before them";
            return Detection::unclear("tls", WhyUnknown::Ambiguous, why);
        }
        joined(why)
    };
    let (pure_ahead, pure_back) = (pure(client, &ahead), pure(server, &back));
    if pure_ahead && pure_back
        || pure_ahead && several(&ahead) && server.is_empty()
        || pure_back && several(&back) && client.is_empty()
    {
        return joined(why).certain();
    }
    // One record is enough where it fills all that was seen; a clear alert has two bytes.
    let single = |bytes: &[u8], records: &[Record<'_>]| match records {
        [record] => record.is_whole() && bytes.len() == 5 + record.length && record.is_sealed(),
        _ => false,
    };
    if single(client, &ahead) && server.is_empty() || single(server, &back) && client.is_empty() {
        return joined("a single protected record that fills all that was seen").certain();
    }
    behind_a_piece(seen)
}

/// Whether the first bytes that are there are not the first that were sent.
fn began_before(seen: &Seen<'_>) -> bool {
    seen.late || seen.holes
}

/// A stream that was joined in the middle of a record: the chain begins somewhere in the first
/// packet, and others may know better.
pub(super) fn behind_a_piece(seen: &Seen<'_>) -> Option<Probe> {
    if !began_before(seen) {
        // What stands before the records is no piece of one, but something that was said.
        return None;
    }
    let within = 1_460;
    let chains = |bytes| {
        let (piece, records) = chain(bytes, within)?;
        // The rest of a record is cipher text as well.
        let readable = || are_readable(&records) || is_readable(iter::once(piece));
        records.iter().any(Record::is_data).then(readable)
    };
    match (chains(seen.client), chains(seen.server)) {
        (None, None) => None,
        (Some(true), _) | (_, Some(true)) => None,
        (None, Some(_)) if says(seen.client) => None,
        (Some(_), None) if says(seen.server) => None,
        _ => joined("chained records behind a piece of another").unsure(),
    }
}

fn joined(why: &'static str) -> Detection {
    Detection::encrypted("tls", Encryption::Tls, why).with("client_certificate", "unknown")
}
