//! Thrift: strict binary messages, bare or framed, and the compact form.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector};

detector! {
    Thrift: "thrift"; Stream, ports [9090, 9083, 10000], Clear;
    "Thrift: binary and compact messages with a method's name, bare or framed";
    "Apache Thrift, protocol specifications";
    begins [Opening::each(First::of(&[0, 1, 2, 3, 0x80, 0x82]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    if !matches!(seen.fits(is_message), Fit::Both | Fit::TheOnlySide) {
        return None;
    }
    Detection::plain("thrift", "messages in the clear").certain()
}

fn is_message(bytes: &[u8]) -> bool {
    let framed =
        bytes.get(4..).filter(|_| Cursor(bytes).u32().is_some_and(|length| (8..64 << 20).contains(&length)));
    is_binary(bytes) || is_compact(bytes) || framed.is_some_and(|rest| is_binary(rest) || is_compact(rest))
}

/// Version 1, a kind of message, and the method's name behind its length.
fn is_binary(bytes: &[u8]) -> bool {
    let mut cursor = Cursor(bytes);
    let kind = cursor.u32().is_some_and(|head| (0x8001_0001..=0x8001_0004).contains(&head));
    let length = cursor.u32().filter(|length| (1..=128).contains(length));
    kind && length.and_then(|length| cursor.take(length as usize)).is_some_and(is_name)
}

/// Protocol 0x82, version 1 and a kind, a sequence number, the method's name.
fn is_compact(bytes: &[u8]) -> bool {
    let mut cursor = Cursor(bytes);
    let head = cursor.u8() == Some(0x82)
        && cursor.u8().is_some_and(|kind| matches!(kind, 0x21 | 0x41 | 0x61 | 0x81));
    let sequence = cursor.varint().is_some();
    head && sequence && cursor.vector8().is_some_and(|name| !name.is_empty() && is_name(name))
}

fn is_name(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"_.:".contains(b))
}
