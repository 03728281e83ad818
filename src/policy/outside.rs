//! Hosts outside of the cluster that a mesh gives a name to, and what is said of connections there.

use super::Speech;
use crate::model::AddressSet;

/// Hosts at one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Their names, as clients call them.
    pub hosts: Vec<String>,
    /// The addresses behind them; `None` where DNS alone knows.
    pub addresses: Option<AddressSet>,
    /// The port that clients call, 1 to 65535.
    pub port: u16,
    /// The port that is on the wire, 1 to 65535.
    pub target: u16,
    /// What the port is declared to carry.
    pub speech: OutsideSpeech,
}

/// What the application speaks to a host outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutsideSpeech {
    /// A protocol in the clear.
    Clear,
    /// TLS.
    Tls,
    /// Nobody says.
    Undeclared,
}

impl OutsideSpeech {
    /// Reads `ports[].protocol`, or else what the name of the port begins with.
    pub fn of(protocol: &str, port_name: &str) -> OutsideSpeech {
        const TLS: &[&str] = &["https", "tls"];
        const CLEAR: &[&str] = &["mongo", "redis", "mysql"];
        let protocol = protocol.to_ascii_lowercase();
        let first = port_name.split('-').next().unwrap_or_default().to_ascii_lowercase();
        let said = if protocol.is_empty() { first } else { protocol };
        match said.as_str() {
            known if TLS.contains(&known) => OutsideSpeech::Tls,
            known if CLEAR.contains(&known) => OutsideSpeech::Clear,
            known if Speech::of(known, "") == Speech::Http => OutsideSpeech::Clear,
            _ => OutsideSpeech::Undeclared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OutsideSpeech::{Clear, Tls, Undeclared};
    use super::*;

    #[test]
    fn the_protocol_comes_before_the_name() {
        assert_eq!(OutsideSpeech::of("HTTPS", "http-api"), Tls);
        assert_eq!(OutsideSpeech::of("", "http-api"), Clear);
        assert_eq!(OutsideSpeech::of("GRPC", ""), Clear);
        assert_eq!(OutsideSpeech::of("TCP", "tls"), Undeclared);
    }
}
