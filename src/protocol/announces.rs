//! What a flow in the clear says of other flows to come, and the verdict on those.

use super::Detection;
use crate::model::{Proof, Protection};

/// What is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announces {
    /// Data connections on the ports that the facts of the control connection name.
    FtpData,
    /// A transfer between the end that asked and another port of the one that was asked.
    TftpTransfer,
}

/// The facts that name ports of the client and of the server.
pub(super) const PORTS: [&str; 2] = ["client_data_ports", "server_data_ports"];

impl Announces {
    /// What a flow announces; nothing where it may have agreed on a protection.
    pub fn of(detection: &Detection) -> Option<Announces> {
        let clear =
            matches!(detection.protection, Protection::Plaintext(Proof::Grammar | Proof::UpgradeRefused));
        let names_ports = || detection.facts.iter().any(|(name, _)| PORTS.contains(name));
        match detection.protocol {
            "ftp" if clear && names_ports() => Some(Announces::FtpData),
            "tftp" if clear => Some(Announces::TftpTransfer),
            _ => None,
        }
    }

    /// The ports that are named, of the client and of the server.
    pub fn ports(self, detection: &Detection) -> [impl Iterator<Item = u16> + use<'_>; 2] {
        PORTS.map(|wanted| {
            let list = detection.facts.iter().filter(move |(name, _)| *name == wanted);
            list.flat_map(|(_, ports)| ports.split(',')).filter_map(|port| port.parse().ok())
        })
    }

    /// The verdict on an announced flow of which its own bytes say nothing.
    pub fn verdict(self, own: &Detection) -> Detection {
        let detection = match self {
            Announces::FtpData => {
                Detection::plain("ftp", "data connection of a control connection that is in the clear")
            }
            Announces::TftpTransfer => Detection::plain("tftp", "transfer that was asked for in the clear"),
        };
        Detection { facts: own.facts.clone(), ..detection }
    }
}
