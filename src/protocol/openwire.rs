//! OpenWire of ActiveMQ: a length, the type of WireFormatInfo, and the name.

use super::{Detection, Probe, Seen, detector};

detector! {
    Openwire: "openwire"; Stream, ports [61616], Clear;
    "OpenWire: the wire format of either side";
    "Apache ActiveMQ documentation, OpenWire"
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let named = |bytes: &[u8]| bytes.get(4) == Some(&1) && bytes.get(5..13) == Some(b"ActiveMQ");
    (named(seen.client) || named(seen.server))
        .then(|| Detection::plain("openwire", "wire format in the clear"))?
        .certain()
}
