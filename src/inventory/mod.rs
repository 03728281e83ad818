//! Documents → who exists: namespaces, workloads, services, nodes, and the addresses they hold.
//!
//! Policies are not read here.

mod build;
mod calico;
mod container;
mod doubts;
mod group;
mod istio;
mod made;
mod network;
mod proxy;
mod renew;
mod runs_on;
mod series;
mod service;
mod tenancy;
mod unseen;
mod virtual_machine;
mod without_template;
mod workload;

pub use build::read;
pub use network::{AttachmentName, Attachments, Definitions};
pub use renew::{Renewed, renew};
pub use series::{Merged, merged};
pub use service::{Node, Service, ServiceEntry, ServiceKind, ServicePort, TargetPort, TrafficPolicy};
pub use tenancy::{Held, PodName, Tenancy, Unsettled};
pub use unseen::{Unseen, unseen};
pub use without_template::without_template;
pub use workload::{ContainerPort, Network, Variant, Workload};

use crate::model::api_kind::of;
use crate::model::{ApiKind, Labels, Origin, Protocol, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The label that the control plane puts on every namespace.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The kinds that say who exists; those of policies that do so too stand in the tables of the engines.
pub const KINDS: &[ApiKind] = &[
    of("", "Namespace"),
    of("", "Pod"),
    of("", "Service"),
    of("", "Node"),
    of("", "ServiceAccount"),
    of("", "ReplicationController"),
    of("discovery.k8s.io", "EndpointSlice"),
    of("", "Endpoints"),
    of("apps", "Deployment"),
    of("apps", "ReplicaSet"),
    of("apps", "StatefulSet"),
    of("apps", "DaemonSet"),
    of("batch", "Job"),
    of("batch", "CronJob"),
    of("apps.openshift.io", "DeploymentConfig"),
    of("argoproj.io", "Rollout"),
    of("kubevirt.io", "VirtualMachine"),
    of("kubevirt.io", "VirtualMachineInstance"),
    of("projectcalico.org", "WorkloadEndpoint"),
    of("crd.projectcalico.org", "WorkloadEndpoint"),
    of("k8s.cni.cncf.io", "NetworkAttachmentDefinition"),
];

/// Who exists.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Namespaces by name; those that are only mentioned are here too.
    pub namespaces: BTreeMap<String, Namespace>,
    /// Workloads, sorted by name.
    pub workloads: Vec<Workload>,
    /// Services, sorted by namespace and name.
    pub services: Vec<Service>,
    /// Names that meshes give to endpoints, sorted by namespace and name.
    pub entries: Vec<ServiceEntry>,
    /// Nodes, sorted by name.
    pub nodes: Vec<Node>,
    /// The networks that attachments lead to.
    pub definitions: Definitions,
    /// Labels of service accounts, by namespace and name.
    pub service_accounts: BTreeMap<(String, String), Labels>,
    /// Objects that pods and others are made of, of which nothing was read.
    pub unseen: Vec<Unseen>,
    /// Who held which address when; empty where no series of snapshots was read.
    pub tenancy: Tenancy,
}

/// A namespace and what selectors see of it.
#[derive(Clone, Debug, Default)]
pub struct Namespace {
    /// Labels, `kubernetes.io/metadata.name` always among them.
    pub labels: Labels,
    /// Annotations that say how traffic is carried.
    pub annotations: Labels,
    /// The Namespace object; `None` where none was given, so that other labels are not known.
    pub origin: Option<Origin>,
    /// Keys of labels of which several objects of the name say other things; the last one counts.
    pub disputed: BTreeSet<Text>,
}

impl Inventory {
    /// The variants behind a service, by workload and variant: those that its selector selects, or
    /// without one those whose addresses its endpoints list.
    pub fn backends<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = (usize, usize)> + 'a {
        let own = |w: &&Workload| w.name.namespace == service.namespace;
        let everywhere = service.selector.is_none() && !service.endpoints.is_empty();
        // Endpoints may list pods of any namespace; nodes stand for whatever runs on them, of which
        // only that of the own namespace is meant.
        let first = match everywhere {
            true => 0,
            false => self.workloads.partition_point(|w| w.name.namespace < service.namespace),
        };
        let candidates = self.workloads[first..].iter().take_while(move |w| everywhere || own(w));
        let behind = move |workload: &Workload, variant: &Variant| match &service.selector {
            _ if variant.network == Network::Machine => false,
            Some(selector) => selector.matches(&variant.labels),
            None if variant.network == Network::Host && !own(&workload) => false,
            None => !variant.addresses.is_disjoint(&service.endpoints),
        };
        candidates.enumerate().flat_map(move |(offset, workload)| {
            let chosen = move |(number, variant): (usize, &Variant)| {
                behind(workload, variant).then_some((first + offset, number))
            };
            workload.variants.iter().enumerate().filter_map(chosen)
        })
    }

    /// The container ports of a pod that a call to an address and port leads to: at the address of a
    /// node those whose `hostPort` it is, and everywhere else the port itself.
    pub fn ports_called(
        &self,
        (workload, variant): (usize, usize),
        address: IpAddr,
        protocol: Protocol,
        port: u16,
    ) -> Vec<u16> {
        let pod = &self.workloads[workload].variants[variant];
        let leads = |one: &&ContainerPort| {
            one.host_port == Some(port) && one.protocol == protocol && one.is_at(address)
        };
        let behind: Vec<u16> = pod.ports.iter().filter(leads).map(|one| one.port).collect();
        match !behind.is_empty() && self.is_called_by_node(pod, address) {
            true => behind,
            false => vec![port],
        }
    }

    /// Whether a pod that is called at an address is called at that of a node.
    pub fn is_called_by_node(&self, pod: &Variant, address: IpAddr) -> bool {
        pod.network == Network::Pod
            && !pod.addresses.contains(&address)
            && self.nodes.iter().any(|node| node.addresses.contains(&address))
    }

    /// What runs on the network of a node has the node's addresses.
    fn take_addresses_from_nodes(&mut self) {
        let host = |variant: &&mut Variant| variant.network == Network::Host;
        for variant in self.workloads.iter_mut().flat_map(|w| &mut w.variants).filter(host) {
            let own = self.nodes.iter().filter(|node| variant.nodes.contains(node.name.as_str()));
            variant.addresses.extend(own.flat_map(|node| node.addresses.iter().copied()));
        }
    }
}
