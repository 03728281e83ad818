//! DNS (RFC 1035) over UDP and TCP, with its multicast kin (RFC 6762, 4795).

use super::bytes::Cursor;
use super::wireguard::datagrams;
use super::{Detection, Detector, Probe};
use crate::capture::{Flow, StreamStart, Transport};

/// DNS.
pub struct Dns;

/// Ports on which one message is enough; elsewhere both sides must fit.
const PORTS: [u16; 3] = [53, 5353, 5355];

impl Detector for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn summary(&self) -> &'static str {
        "DNS: header and question of a message, multicast DNS too"
    }

    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
        let (ahead, back) = match flow.transport {
            Transport::Udp => {
                let first = |bytes, lengths: &[u32]| datagrams(bytes, lengths).first().map(|d| is_message(d));
                (
                    first(&start.forward, &start.forward_lengths),
                    first(&start.backward, &start.backward_lengths),
                )
            }
            Transport::Tcp => {
                let framed = |bytes: &[u8]| {
                    let message = Cursor(bytes).vector16().unwrap_or(bytes.get(2..).unwrap_or(&[]));
                    (!bytes.is_empty()).then(|| is_message(message))
                };
                (framed(&start.forward), framed(&start.backward))
            }
            _ => return Probe::NotForUs,
        };
        let hinted = PORTS.contains(&flow.responder.port) || PORTS.contains(&flow.initiator.port);
        match (ahead, back) {
            (Some(true), Some(true)) => {
                Probe::Certain(Detection::plain("dns", "question and answer in the clear"))
            }
            (Some(true), None) | (None, Some(true)) if hinted => {
                Probe::Certain(Detection::plain("dns", "message in the clear"))
            }
            (Some(true), _) | (_, Some(true)) if hinted => {
                Probe::Unsure(Detection::plain("dns", "one side fits"))
            }
            _ => Probe::NotForUs,
        }
    }
}

/// Known operation, small counts, and a first name that parses.
fn is_message(bytes: &[u8]) -> bool {
    parse(bytes).is_some()
}

fn parse(bytes: &[u8]) -> Option<()> {
    let mut cursor = Cursor(bytes);
    cursor.u16()?;
    let flags = cursor.u16()?;
    let counts = [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?];
    let operation = flags >> 11 & 15;
    let sane = operation <= 6 && flags & 0x40 == 0 && counts[0] <= 16 && counts.iter().all(|n| *n <= 512);
    if !sane || counts.iter().all(|n| *n == 0) {
        return None;
    }
    loop {
        match cursor.u8()? {
            0 => break,
            length @ 1..=63 => drop(cursor.take(usize::from(length))?),
            // A pointer ends the name.
            0xc0.. => {
                cursor.u8()?;
                break;
            }
            _ => return None,
        }
    }
    let kind = cursor.u16()?;
    let class = cursor.u16()? & 0x7fff;
    (kind > 0 && (matches!(class, 1 | 3 | 4 | 254 | 255) || kind == 41)).then_some(())
}
