//! What protects packets below applications and meshes: the encryption between nodes that dataplanes offer.
//!
//! It covers what crosses nodes and nothing else: packets between pods of one node stay in the clear.

use super::{Dataplane, DataplaneKind};

/// Encryption between nodes, as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeEncryption {
    /// By what.
    pub by: NodeCipher,
    /// Whether what runs on the network of a node is covered too.
    pub host_network: HostCoverage,
}

/// What encrypts between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeCipher {
    /// WireGuard.
    WireGuard,
    /// IPsec.
    Ipsec,
}

/// Whether traffic of nodes themselves is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostCoverage {
    /// It is.
    Covered,
    /// Only pods are.
    PodsOnly,
}

/// A setting that switches encryption on.
struct Switch {
    dataplane: DataplaneKind,
    key: &'static str,
    by: NodeCipher,
    /// The setting that extends it to nodes.
    host: Option<&'static str>,
}

/// FelixConfiguration `wireguardEnabled` (`wireguardEnabledV6` counts for IPv6 alone and is not asked);
/// `cilium-config` `enable-wireguard` and `enable-ipsec`.
const SWITCHES: &[Switch] = &[
    Switch {
        dataplane: DataplaneKind::Calico,
        key: "wireguardEnabled",
        by: NodeCipher::WireGuard,
        host: Some("wireguardHostEncryptionEnabled"),
    },
    Switch {
        dataplane: DataplaneKind::Cilium,
        key: "enable-wireguard",
        by: NodeCipher::WireGuard,
        host: Some("encrypt-node"),
    },
    Switch { dataplane: DataplaneKind::Cilium, key: "enable-ipsec", by: NodeCipher::Ipsec, host: None },
];

/// The encryption between nodes that a dataplane is configured to do.
pub fn node_encryption(dataplane: &Dataplane) -> Option<NodeEncryption> {
    let on = |key: &str| dataplane.setting(key, "false") == "true";
    let switch = SWITCHES.iter().find(|switch| switch.dataplane == dataplane.kind && on(switch.key))?;
    let host_network = match switch.host.is_some_and(on) {
        true => HostCoverage::Covered,
        false => HostCoverage::PodsOnly,
    };
    Some(NodeEncryption { by: switch.by, host_network })
}

impl NodeCipher {
    /// As reports write it.
    pub fn name(self) -> &'static str {
        match self {
            NodeCipher::WireGuard => "WireGuard",
            NodeCipher::Ipsec => "IPsec",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_counts_for_its_own_dataplane_only() {
        let mut dataplane = Dataplane::new(DataplaneKind::Calico);
        dataplane.settings.insert("enable-wireguard".to_owned(), "true".to_owned());
        assert_eq!(node_encryption(&dataplane), None);
        dataplane.settings.insert("wireguardEnabled".to_owned(), "true".to_owned());
        let found = node_encryption(&dataplane).expect("encryption");
        assert_eq!((found.by, found.host_network), (NodeCipher::WireGuard, HostCoverage::PodsOnly));
    }
}
