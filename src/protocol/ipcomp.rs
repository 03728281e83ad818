//! IPComp (RFC 3173): packets that are compressed, with a number of their own in IP. Compression hides
//! nothing; what is inside is looked at as far as it can be opened.

use super::bytes::{Cursor, is_text};
use super::{Detection, Probe, Seen, detector};
use crate::capture::Transport;
use crate::model::{Proof, Protection, WhyUnknown};
use flate2::{Decompress, FlushDecompress};

detector! {
    Ipcomp: "ipcomp"; Network, ports [], Clear;
    "IPComp: compressed packets, of which those by DEFLATE are opened";
    "RFC 3173, 2394"
}

const NUMBER: u8 = 108;
/// So many packets of a side are opened.
const MOST: usize = 8;
/// What is looked at of each.
const LOOKED_AT: usize = 2_048;

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    if seen.transport != Transport::Other(NUMBER) {
        return None;
    }
    let mut packets = seen.client_datagrams().take(MOST).chain(seen.server_datagrams().take(MOST)).peekable();
    packets.peek()?;
    let detection = match packets.any(|packet| says(packet) == Some(true)) {
        true => Detection::new(
            "ipcomp",
            Protection::Plaintext(Proof::Text),
            "compressed packets with text in them",
        ),
        false => Detection::unclear(
            "ipcomp",
            WhyUnknown::Ambiguous,
            "packets that are compressed, which hides nothing, and of whose content nothing is known",
        ),
    };
    detection.certain()
}

/// Whether what a packet holds is text, behind the headers of the transport.
fn says(packet: &[u8]) -> Option<bool> {
    let mut cursor = Cursor(packet);
    let (next, _flags, _parameters) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
    let mut opened = [0; LOOKED_AT];
    let mut inflate = Decompress::new(false);
    // What is behind a part that was cut, or is none, leaves what came before.
    let _ = inflate.decompress(cursor.0, &mut opened, FlushDecompress::Finish);
    let opened = &opened[..(inflate.total_out() as usize).min(LOOKED_AT)];
    let (protocol, inside) = match next {
        4 => (*opened.get(9)?, opened.get(usize::from(opened.first()? & 15) * 4..)?),
        41 => (*opened.get(6)?, opened.get(40..)?),
        other => (other, opened),
    };
    let payload = match protocol {
        6 => inside.get(usize::from(inside.get(12)? >> 4) * 4..)?,
        17 => inside.get(8..)?,
        _ => return None,
    };
    Some(payload.len() >= 16 && is_text(&payload[..payload.len().min(64)]))
}
