//! MySQL and MariaDB: the server greets first; the client may ask for TLS before it logs in.

use super::{Detection, Detector, Probe, tls};
use crate::capture::{Flow, StreamStart, Transport};
use crate::model::{Protection, WhyUnknown};

/// MySQL.
pub struct Mysql;

/// `CLIENT_SSL` in the low half of the client's capabilities.
const CLIENT_SSL: u8 = 0x08;

impl Detector for Mysql {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn summary(&self) -> &'static str {
        "MySQL and MariaDB: greeting, login, TLS upgrade"
    }

    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
        if flow.transport != Transport::Tcp {
            return Probe::NotForUs;
        }
        let Some(after) = greeting(&start.backward) else { return Probe::NotForUs };
        Probe::Certain(match start.forward.as_slice() {
            // SSLRequest: 32 bytes, number 1, with the capability set.
            [32, 0, 0, 1, _, flags, ..] if flags & CLIENT_SSL != 0 => {
                let (client, server) = (&start.forward[start.forward.len().min(36)..], after);
                tls::upgraded("mysql", client, server).unwrap_or_else(|| Detection {
                    protocol: "mysql",
                    protection: Protection::Unknown(WhyUnknown::HandshakeIncomplete),
                    why: "TLS was asked for, and no handshake followed".to_owned(),
                    facts: Vec::new(),
                })
            }
            [] => Detection::plain("mysql", "server greeting in the clear"),
            _ => Detection::plain("mysql", "login in the clear").with("user", "present"),
        })
    }
}

/// Protocol 10: length, number 0, version 10, a version text; returns what follows the packet.
fn greeting(server: &[u8]) -> Option<&[u8]> {
    let [a, b, 0, 0, 10, version @ ..] = server else { return None };
    let length = usize::from(*a) | usize::from(*b) << 8;
    let end = version.iter().take(64).position(|byte| *byte == 0)?;
    let text = version[..end].iter().all(u8::is_ascii_graphic) && version[0].is_ascii_digit();
    (text && (30..512).contains(&length)).then(|| server.get(4 + length..).unwrap_or(&[]))
}
