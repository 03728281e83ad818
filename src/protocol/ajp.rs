//! AJP 1.3: packets between a web server and Tomcat, marked `1234` one way and `AB` the other.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Ajp: "ajp"; Stream, ports [8009], Clear;
    "AJP: packets of both sides with a length and a known kind";
    "Apache Tomcat Connectors, AJPv13";
    begins [Opening::client(First::of(&[0x12]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let packet = |bytes: &[u8], magic: u16, kinds: &[u8]| {
        let mut cursor = Cursor(bytes);
        cursor.u16() == Some(magic)
            && cursor.u16().is_some_and(|length| (1..=8_192).contains(&length))
            && cursor.u8().is_some_and(|kind| kinds.contains(&kind))
    };
    let asks = packet(seen.client, 0x1234, &[2, 7, 8, 10]);
    let answers = seen.server.is_empty() || packet(seen.server, 0x4142, &[3, 4, 5, 6, 9]);
    (asks && answers).then(|| Detection::plain("ajp", "packets in the clear"))?.certain()
}
