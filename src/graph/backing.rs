//! Which services an endpoint stands behind, and on which of its ports: what meshes decide by.

use crate::inventory::{Inventory, Service, Variant, Workload};
use crate::model::Protocol;
use crate::policy::{Speech, Transport};
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
    /// What the service declares to be spoken on it.
    pub spoken: Spoken,
}

/// Whether a service declares that the applications on a port speak TLS themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Spoken {
    /// It does, by `appProtocol` or by what the name of the port begins with.
    Tls,
    /// It says nothing of TLS.
    Otherwise,
}

/// Services by namespace, where some mesh asks for them.
pub(super) struct Served<'a> {
    by_namespace: BTreeMap<&'a str, Vec<(u32, &'a Service)>>,
    /// Services whose endpoints are listed by hand: whoever has the address is behind them, in any
    /// namespace.
    by_address: Vec<(u32, &'a Service)>,
}

impl<'a> Served<'a> {
    pub fn new(inventory: &'a Inventory, transport: &Transport) -> Served<'a> {
        let mut served = Served { by_namespace: BTreeMap::new(), by_address: Vec::new() };
        if transport.is_empty() {
            return served;
        }
        for (number, service) in (0..).zip(&inventory.services) {
            if service.selector.is_some() {
                served.by_namespace.entry(&service.namespace).or_default().push((number, service));
            } else if !service.endpoints.is_empty() {
                served.by_address.push((number, service));
            }
        }
        served
    }

    /// What a variant stands behind, sorted.
    pub fn by(&self, workload: &Workload, variant: &Variant) -> Vec<Backing> {
        let own = self.by_namespace.get(workload.name.namespace.as_str()).map_or(&[][..], Vec::as_slice);
        let selects =
            |service: &Service| service.selector.as_ref().is_some_and(|s| s.matches(&variant.labels));
        let lists = |service: &Service| !service.endpoints.is_disjoint(&variant.addresses);
        let selected = own.iter().filter(|(_, service)| selects(service));
        let listed = self.by_address.iter().filter(|(_, service)| lists(service));
        let mut backs: Vec<Backing> = Vec::new();
        for (number, service) in selected.chain(listed) {
            for port in service.ports.iter().filter(|port| port.protocol == Protocol::Tcp) {
                let spoken = match Speech::is_tls(&port.name, &port.app_protocol) {
                    true => Spoken::Tls,
                    false => Spoken::Otherwise,
                };
                let of = |target| Backing { service: *number, service_port: port.port, target, spoken };
                backs.extend(port.targets(variant).into_iter().map(of));
            }
        }
        backs.sort_unstable();
        backs.dedup();
        backs
    }
}
