//! Which services an endpoint stands behind, and on which of its ports: what meshes decide by.

use crate::inventory::{Inventory, Service, Variant, Workload};
use crate::model::Protocol;
use crate::policy::Transport;
use std::collections::BTreeMap;

/// One TCP port of one service that an endpoint stands behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Backing {
    /// Index into `Inventory::services`.
    pub service: u32,
    /// The port of the service.
    pub service_port: u16,
    /// The port of the endpoint.
    pub target: u16,
}

/// Services by namespace, where some mesh asks for them.
pub(super) struct Served<'a> {
    by_namespace: BTreeMap<&'a str, Vec<(u32, &'a Service)>>,
}

impl<'a> Served<'a> {
    pub fn new(inventory: &'a Inventory, transport: &Transport) -> Served<'a> {
        let mut by_namespace: BTreeMap<&str, Vec<(u32, &Service)>> = BTreeMap::new();
        if !transport.is_empty() {
            for (number, service) in (0..).zip(&inventory.services) {
                by_namespace.entry(&service.namespace).or_default().push((number, service));
            }
        }
        Served { by_namespace }
    }

    /// What a variant stands behind, sorted.
    pub fn by(&self, workload: &Workload, variant: &Variant) -> Vec<Backing> {
        let services = self.by_namespace.get(workload.name.namespace.as_str()).map_or(&[][..], Vec::as_slice);
        let mut backs: Vec<Backing> = Vec::new();
        for (number, service) in services {
            if !service.selector.as_ref().is_some_and(|selector| selector.matches(&variant.labels)) {
                continue;
            }
            for port in service.ports.iter().filter(|port| port.protocol == Protocol::Tcp) {
                let of = |target| Backing { service: *number, service_port: port.port, target };
                backs.extend(port.targets(variant).into_iter().map(of));
            }
        }
        backs.sort_unstable();
        backs.dedup();
        backs
    }
}
