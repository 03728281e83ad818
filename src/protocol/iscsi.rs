//! iSCSI (RFC 7143): a login request with names in text, or commands of a session.

use super::bytes::contains_any;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Iscsi: "iscsi"; Stream, ports [3260, 860], Clear;
    "iSCSI: login with the initiator's name";
    "RFC 7143";
    begins [Opening::client(First::of(&[0x43, 0x03]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let login = matches!(seen.client.first(), Some(0x43 | 0x03)) && seen.client.len() >= 48;
    let head = &seen.client[..seen.client.len().min(1_024)];
    (login && contains_any(head, &[b"InitiatorName=", b"SessionType="]))
        .then(|| Detection::plain("iscsi", "login in the clear"))?
        .certain()
}
