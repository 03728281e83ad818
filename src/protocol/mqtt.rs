//! MQTT 3.1 to 5: CONNECT with the protocol's name in it, and a password that may follow.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Mqtt: "mqtt"; Stream, ports [1883], Clear;
    "MQTT: CONNECT and CONNACK, passwords, packets of a session joined late";
    "OASIS MQTT 5.0 and 3.1.1";
    begins [Opening::client(First::of(&[0x10])), Opening::ANY.hinted()]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    if let Some(flags) = connect(seen.client) {
        let secret = (flags & 0x40 != 0).then_some("mqtt-password");
        return Detection::plain("mqtt", "CONNECT in the clear").with_credentials(secret).certain();
    }
    let both = chained(seen.client) && (chained(seen.server) || seen.server.is_empty());
    if !(both && seen.hinted(PORTS)) {
        return None;
    }
    Detection::plain("mqtt", "packets in the clear").unsure()
}

/// The flags of CONNECT (section 3.1.2.3).
fn connect(client: &[u8]) -> Option<u8> {
    let mut cursor = Cursor(client);
    if cursor.u8()? != 0x10 {
        return None;
    }
    cursor.varint()?;
    let known = match cursor.vector16()? {
        b"MQTT" => matches!(cursor.u8()?, 4 | 5),
        b"MQIsdp" => cursor.u8()? == 3,
        _ => false,
    };
    known.then(|| cursor.u8()).flatten()
}

/// Packets with known types and flags (section 2.1) up to the end.
fn chained(bytes: &[u8]) -> bool {
    let mut cursor = Cursor(bytes);
    let mut count = 0;
    while let Some(first) = cursor.u8() {
        let flags = match first >> 4 {
            3 => true,
            6 | 8 | 10 => first & 15 == 2,
            1..=15 => first & 15 == 0,
            _ => false,
        };
        let Some(length) = cursor.varint().filter(|_| flags) else { return false };
        count += 1;
        if cursor.take(length as usize).is_none() {
            return count > 1;
        }
    }
    count > 0
}
