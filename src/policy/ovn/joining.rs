//! What brings primary networks together again that are apart by themselves.

use super::NETWORKS_JOINED;
use crate::model::{Bend, Document, Gap, Node, Origin};

/// The annotation by which pods open ports of theirs to pods of the cluster's network.
pub const OPEN_PORTS: &str = "k8s.ovn.org/open-default-ports";
/// What such a pod lets in.
pub const OPENED: &str = "the port is one of the annotation k8s.ovn.org/open-default-ports";
/// The setting by which networks that are told to routers reach each other; `strict` by default.
const ISOLATION_MODE: &str = "advertised-udn-isolation-mode";
/// Networks that are told to routers.
const ADVERTISED: &str = "RouteAdvertisements";

/// Objects that may connect networks.
pub struct Joining<'a> {
    /// ClusterNetworkConnect, whose choice of networks is not read.
    connected: Vec<&'a Origin>,
    /// Networks told to routers, and the setting that lets them reach each other.
    advertised: Vec<&'a Origin>,
    loose: bool,
}

/// Finds what may connect networks.
pub fn read(documents: &[Document]) -> Joining<'_> {
    let ours = |kind: &str| {
        let of_kind = |document: &&Document| {
            &*document.origin.kind == kind && document.api_version.starts_with("k8s.ovn.org/")
        };
        documents.iter().filter(of_kind).map(|document| &document.origin).collect()
    };
    let loose = |document: &Document| {
        let mode = document.body.path(&["data", ISOLATION_MODE]).and_then(Node::text);
        &*document.origin.kind == "ConfigMap" && mode == Some("loose")
    };
    Joining {
        connected: ours(NETWORKS_JOINED),
        advertised: ours(ADVERTISED),
        loose: documents.iter().any(loose),
    }
}

impl Joining<'_> {
    /// The condition under which networks are apart; `None` where they are.
    pub fn condition(&self) -> Option<&'static str> {
        match (self.connected.is_empty(), self.loose && !self.advertised.is_empty()) {
            (false, _) => Some("no ClusterNetworkConnect connects the two networks"),
            (true, true) => Some("the two networks are not both told to routers, in the mode loose"),
            (true, false) => None,
        }
    }

    /// What is not known about them.
    pub fn gaps(&self) -> impl Iterator<Item = Gap> {
        let connected = self.connected.iter().map(|origin| {
            let what = "the networks that it connects are not read: no network was taken to be apart";
            (what.to_owned(), *origin, Bend::MayAllowLess)
        });
        let advertised = self.advertised.iter().map(|origin| match self.loose {
            true => {
                let what = format!("with {ISOLATION_MODE}: loose no network was taken to be apart");
                (what, *origin, Bend::MayAllowLess)
            }
            false => {
                let what = format!(
                    "networks that are told to routers reach each other with {ISOLATION_MODE}: loose, which \
                     is not the default and was not found"
                );
                (what, *origin, Bend::MayAllowMore)
            }
        });
        let gap =
            |(what, origin, bends): (String, &Origin, Bend)| Gap { what, origin: origin.clone(), bends };
        connected.chain(advertised).map(gap)
    }
}
