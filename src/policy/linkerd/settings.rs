//! The settings of the control plane: what its ConfigMap `linkerd-config` says, the chart's
//! documented defaults where it is not there (`charts/linkerd-control-plane/values.yaml`).

use super::super::Dataplane;
use super::super::shapes::{self, Shape};
use super::access::Access;
use super::membership::CONTROL_PLANE;
use crate::model::{AddressRange, AddressSet, Document, Node, Origin, PortSet};
use std::collections::{BTreeMap, BTreeSet};

/// The ConfigMap that keeps the chart's values.
const CONFIG_MAP: &str = "linkerd-config";
/// What begins the names of settings that a user gives: `linkerd.proxy.outboundTransportMode`.
const PREFIX: &str = "linkerd.";

/// Keys of the chart with their defaults.
const TRANSPORT_MODE: (&str, &str) = ("proxy.outboundTransportMode", "transport-header");
const DEFAULT_POLICY: (&str, &str) = ("proxy.defaultInboundPolicy", "all-unauthenticated");
const OPAQUE_PORTS: (&str, &str) = ("proxy.opaquePorts", "25,587,3306,4444,5432,6379,9300,11211");
const SKIP_INBOUND: (&str, &str) = ("proxyInit.ignoreInboundPorts", "4567,4568");
const SKIP_OUTBOUND: (&str, &str) = ("proxyInit.ignoreOutboundPorts", "4567,4568");
const CLUSTER_NETWORKS: (&str, &str) =
    ("clusterNetworks", "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8");
const TRUST_DOMAIN: (&str, &str) = ("identityTrustDomain", "cluster.local");
const EGRESS_NAMESPACE: (&str, &str) = ("egress.globalEgressNetworkNamespace", "linkerd-egress");

/// What holds for the whole cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How meshed connections travel.
    pub mode: TransportMode,
    /// Where neither pod nor namespace says anything.
    pub default_policy: Access,
    /// The same for opaque ports.
    pub opaque: PortSet,
    /// The same for ports that bypass the server's proxy.
    pub skip_inbound: PortSet,
    /// The same for ports that bypass the client's proxy.
    pub skip_outbound: PortSet,
    /// `clusterNetworks`.
    pub networks: AddressSet,
    /// `identityTrustDomain`.
    pub trust_domain: String,
    /// Namespace of the control plane, which is part of every identity.
    pub home: String,
    /// Namespace of the EgressNetworks that hold for namespaces without one.
    pub egress_namespace: String,
    /// The ConfigMap; `None` where the defaults are assumed.
    pub origin: Option<Origin>,
}

/// `proxy.outboundTransportMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportMode {
    /// All connections to port 4143 of the server.
    TransportHeader,
    /// To the port of the application; opaque ports through 4143.
    Transparent,
}

impl Settings {
    /// What the user says, else the ConfigMap, else the chart's defaults.
    pub fn read(documents: &[Document], shapes: &[Shape<'_>], dataplane: &Dataplane) -> Settings {
        let map = documents.iter().find(|d| &*d.origin.kind == "ConfigMap" && &*d.origin.name == CONFIG_MAP);
        let written = map.and_then(|d| d.body.path(&["data", "values"])).and_then(Node::text);
        let values = flatten(written.unwrap_or_default());
        let text = |(key, default): (&str, &str)| {
            let given = dataplane.settings.get(&format!("{PREFIX}{key}")).or_else(|| values.get(key));
            given.map_or(default, String::as_str).to_owned()
        };
        let ports = |key| shapes::ports(&text(key)).0;
        let blocks = text(CLUSTER_NETWORKS);
        Settings {
            mode: match text(TRANSPORT_MODE).as_str() {
                "transparent" => TransportMode::Transparent,
                _ => TransportMode::TransportHeader,
            },
            default_policy: Access::parse(&text(DEFAULT_POLICY)).unwrap_or(Access::AllUnauthenticated),
            opaque: ports(OPAQUE_PORTS),
            skip_inbound: ports(SKIP_INBOUND),
            skip_outbound: ports(SKIP_OUTBOUND),
            networks: blocks.split(',').filter_map(|block| AddressRange::from_cidr(block.trim())).collect(),
            trust_domain: text(TRUST_DOMAIN),
            home: map.map_or_else(|| home(shapes), |d| d.origin.namespace.to_string()),
            egress_namespace: text(EGRESS_NAMESPACE),
            origin: map.map(|d| d.origin.clone()),
        }
    }

    /// What every identity ends with: `serviceaccount.identity.linkerd.cluster.local`.
    pub fn identity_suffix(&self) -> String {
        format!("serviceaccount.identity.{}.{}", self.home, self.trust_domain)
    }
}

/// The namespace of the control plane where its settings were not read: the one that running pods
/// name, where there is one, else that of the installation guide.
fn home(shapes: &[Shape<'_>]) -> String {
    let named: BTreeSet<&str> = shapes.iter().filter_map(|shape| shape.label(CONTROL_PLANE)).collect();
    match named.first() {
        Some(name) if named.len() == 1 => (*name).to_owned(),
        _ => "linkerd".to_owned(),
    }
}

/// Scalars of a block of YAML as Helm writes it, by their dotted paths. Lists and texts of several
/// lines are passed over: no setting that is read here is one.
fn flatten(text: &str) -> BTreeMap<String, String> {
    let (mut values, mut above) = (BTreeMap::new(), Vec::<(usize, String)>::new());
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let Some((key, value)) = line.trim().split_once(':') else { continue };
        if key.starts_with(['#', '-']) {
            continue;
        }
        above.retain(|(depth, _)| *depth < indent);
        let mut path: Vec<&str> = above.iter().map(|(_, name)| name.as_str()).collect();
        path.push(key);
        let value = value.trim();
        match value {
            "" => above.push((indent, key.to_owned())),
            _ => drop(values.insert(path.join("."), value.trim_matches(['"', '\'']).to_owned())),
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_paths() {
        let text = "clusterNetworks: 10.0.0.0/8\nproxy:\n  # of all\n  image:\n    name: x\n  defaultInboundPolicy: \"deny\"\nproxyInit:\n  ignoreInboundPorts: 1,2\n";
        let values = flatten(text);
        assert_eq!(values["clusterNetworks"], "10.0.0.0/8");
        assert_eq!(values["proxy.defaultInboundPolicy"], "deny");
        assert_eq!(values["proxy.image.name"], "x");
        assert_eq!(values["proxyInit.ignoreInboundPorts"], "1,2");
    }
}
