//! Workloads: pods grouped by the object at the top of their owners.

use super::Attachments;
use crate::model::{EndpointName, Few, Labels, NodeKind, Origin, Protocol, Text};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Pods that belong together.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Namespace, kind and name of the top owner.
    pub name: EndpointName,
    /// Pods that differ in what policies can see are kept apart; never empty.
    pub variants: Vec<Variant>,
    /// The object that declares it.
    pub origin: Origin,
}

/// Pods of one workload that no policy can tell apart but by address.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Labels of the pods.
    pub labels: Labels,
    /// Annotations of the pods that say how traffic is carried.
    pub annotations: Labels,
    /// Names of all containers, native sidecars and init containers.
    pub containers: Few<Text>,
    /// Users that containers run as where that is said, those of proxies left out.
    pub users: BTreeSet<u32>,
    /// Declared ports of all containers, native sidecars and init containers.
    pub ports: Vec<ContainerPort>,
    /// Pod or host network.
    pub network: Network,
    /// `spec.serviceAccountName`, `default` where absent; empty for a machine that has none.
    pub service_account: String,
    /// Calico profiles that the endpoint lists; empty for pods.
    pub profiles: Vec<String>,
    /// Known addresses of the pods; node addresses on the host network.
    pub addresses: Few<IpAddr>,
    /// Names of nodes that the pods run on, where known.
    pub nodes: Few<Text>,
    /// What kind of node runs the pods.
    pub runs_on: NodeKind,
    /// Names of Pod objects; empty where only a template is known.
    pub pods: Few<Text>,
    /// Keys of the proxies whose configuration was read and that are, or stand beside, the pods
    /// (`model::proxy`).
    pub proxies: BTreeSet<String>,
    /// Interfaces beside the one on the network of the cluster.
    pub attachments: Attachments,
}

/// Whose network namespace the pod lives in (`spec.hostNetwork`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Network {
    /// Its own.
    Pod,
    /// The node's.
    Host,
    /// None of the cluster's: a proxy that is no pod, with its own addresses.
    Standalone,
    /// None: it is an interface of a node that policies govern (Calico HostEndpoint).
    HostEndpoint,
    /// Its own, outside of the cluster: a machine that a mesh knows (Istio WorkloadEntry). Policies
    /// for pods do not select it, and blocks of addresses match it.
    Machine,
}

impl Network {
    /// Whether it is none of the cluster's: policies for pods and nodes do not know it.
    pub fn is_outside(self) -> bool {
        matches!(self, Network::Standalone | Network::Machine)
    }
}

/// `spec.containers[].ports[]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerPort {
    /// Name; empty where none is given.
    pub name: String,
    /// 1 to 65535.
    pub port: u16,
    /// Protocol, TCP by default.
    pub protocol: Protocol,
    /// Port of the node that leads here.
    pub host_port: Option<u16>,
    /// The only address of the node at which it does; none where all do.
    pub host_ip: Option<IpAddr>,
}

impl ContainerPort {
    /// Whether an address of its node leads here, by the port of the node.
    pub fn is_at(&self, address: IpAddr) -> bool {
        self.host_ip.is_none_or(|only| only == address)
    }
}

impl Variant {
    /// The numbers that a named port has here, for a protocol.
    pub fn named_port(&self, name: &str, protocol: Protocol) -> impl Iterator<Item = u16> {
        self.ports.iter().filter(move |p| p.name == name && p.protocol == protocol).map(|p| p.port)
    }
}
