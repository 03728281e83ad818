//! Ways in without a controller: services that nodes or load balancers open, host ports, the host network.

use super::context::{Context, Draft, Reference};
use super::{Backend, Controller, EntryKind, EntryPoint, PortChoice, Tls};
use crate::inventory::{Network, Service, ServiceKind, Workload};
use crate::model::EndpointName;
use std::collections::BTreeSet;

/// Reads services and workloads out of the inventory.
pub(super) fn read(context: &mut Context<'_>) {
    let inventory = context.inventory;
    for service in &inventory.services {
        if let Some(kind) = kind_of(service) {
            let namespace = &service.namespace;
            let draft = Draft {
                kind,
                name: EndpointName {
                    namespace: namespace.clone(),
                    kind: "Service".to_owned(),
                    name: service.name.clone(),
                },
                hosts: BTreeSet::new(),
                paths: BTreeSet::new(),
                controller: Controller::direct(kind.words()),
                tls: Tls::None,
                chain: Vec::new(),
            };
            if service.ports.is_empty() {
                continue;
            }
            let line = service.origin.line;
            let to =
                Reference { namespace, service: &service.name, port: PortChoice::All, protocol: None, line };
            context.lead(draft, &to);
        }
    }
    for (index, workload) in inventory.workloads.iter().enumerate() {
        of_workload(context, index, workload);
    }
}

/// `spec.type`, or external addresses on any other type.
fn kind_of(service: &Service) -> Option<EntryKind> {
    match service.kind {
        ServiceKind::LoadBalancer => Some(EntryKind::LoadBalancer),
        ServiceKind::NodePort => Some(EntryKind::NodePort),
        ServiceKind::ExternalName => None,
        ServiceKind::ClusterIp | ServiceKind::Headless => {
            (!service.external_ips.is_empty()).then_some(EntryKind::ExternalAddress)
        }
    }
}

fn of_workload(context: &mut Context<'_>, index: usize, workload: &Workload) {
    for (number, variant) in workload.variants.iter().enumerate() {
        for port in &variant.ports {
            let kind = match (variant.network, port.host_port) {
                (Network::Host, _) => EntryKind::HostNetwork,
                (Network::Pod, Some(_)) => EntryKind::HostPort,
                (Network::Pod | Network::HostEndpoint | Network::Standalone | Network::Machine, _) => {
                    continue;
                }
            };
            context.push(EntryPoint {
                kind,
                name: workload.name.clone(),
                hosts: BTreeSet::new(),
                paths: BTreeSet::new(),
                controller: Controller::direct(kind.words()),
                tls: Tls::None,
                backend: Backend::Port {
                    workload: index,
                    variant: number,
                    protocol: port.protocol,
                    port: port.port,
                },
                chain: Vec::new(),
            });
        }
    }
}
