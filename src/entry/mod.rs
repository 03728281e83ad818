//! Documents → entry points: the objects through which traffic from outside is led to services.
//!
//! One file for each language that leads traffic in. What is found here is what was asked for;
//! whether the policies let it happen is the work of `exposure`.

mod context;
mod controller;
mod direct;
mod gateway;
mod host;
mod ingress;
mod istio;
mod listener;
mod openshift;
mod placed;

pub use controller::{Controller, Presence, Usual};
pub use host::host_covers;

use crate::contract::PlacedController;
use crate::inventory::{Inventory, TargetPort};
use crate::model::api_kind::of;
use crate::model::{ApiKind, Document, EndpointName, Gap, Origin, Problem, Protocol};
use context::Context;
use std::collections::BTreeSet;

/// The kinds that lead in; those of Istio stand in the table of its engine.
pub const KINDS: &[ApiKind] = &[
    of("networking.k8s.io", "Ingress"),
    of("extensions", "Ingress"),
    of("networking.k8s.io", "IngressClass"),
    of("route.openshift.io", "Route"),
    of("gateway.networking.k8s.io", "Gateway"),
    of("gateway.networking.k8s.io", "GatewayClass"),
    of("gateway.networking.k8s.io", "HTTPRoute"),
    of("gateway.networking.k8s.io", "GRPCRoute"),
    of("gateway.networking.k8s.io", "TLSRoute"),
    of("gateway.networking.k8s.io", "TCPRoute"),
    of("gateway.networking.k8s.io", "UDPRoute"),
    of("gateway.networking.k8s.io", "ReferenceGrant"),
    of("gateway.networking.k8s.io", "BackendTLSPolicy"),
    of("gateway.networking.k8s.io", "ListenerSet"),
    of("gateway.networking.x-k8s.io", "XListenerSet"),
];

/// Everything that leads in, and what should but does not.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// Ways in, in the order of their names.
    pub points: Vec<EntryPoint>,
    /// Objects, or parts of them, that lead nowhere.
    pub dead_ends: Vec<DeadEnd>,
    /// Workloads that look like a controller, whichever class they serve, by index.
    pub controllers: Vec<usize>,
    /// What was not understood.
    pub gaps: Vec<Gap>,
    /// Controllers that the contract places where nobody is.
    pub problems: Vec<Problem>,
}

/// One way from outside to one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    /// By which kind of object.
    pub kind: EntryKind,
    /// The object that a person would look for: the Ingress, the Route, the Service.
    pub name: EndpointName,
    /// Host names that lead here; any where there are none.
    pub hosts: BTreeSet<String>,
    /// Paths that lead here, as written; any where there are none.
    pub paths: BTreeSet<String>,
    /// Who takes the connection and opens another one to the backend.
    pub controller: Controller,
    /// Where TLS ends.
    pub tls: Tls,
    /// Where it leads.
    pub backend: Backend,
    /// The objects behind it, from outside to inside.
    pub chain: Vec<Origin>,
}

/// How traffic gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntryKind {
    /// `networking.k8s.io` Ingress.
    Ingress,
    /// `route.openshift.io` Route.
    Route,
    /// A route of `gateway.networking.k8s.io`.
    GatewayRoute,
    /// A VirtualService that is bound to an Istio Gateway.
    VirtualService,
    /// A Service of type LoadBalancer, and its node ports.
    LoadBalancer,
    /// A Service of type NodePort.
    NodePort,
    /// `Service.spec.externalIPs`.
    ExternalAddress,
    /// `containers[].ports[].hostPort`.
    HostPort,
    /// `spec.hostNetwork`.
    HostNetwork,
}

/// Where the TLS of the client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tls {
    /// Nothing here speaks TLS; what the backend itself does is not known.
    None,
    /// At the controller, which also takes the same requests in plaintext.
    Optional,
    /// At the controller; plaintext goes on from there.
    Edge,
    /// At the controller, which opens a TLS connection of its own to the backend.
    Reencrypt,
    /// At the backend.
    Passthrough,
    /// Not known.
    Unknown,
}

/// Where an entry point leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// To the pods behind a service.
    Service {
        /// Index into `Inventory::services`.
        service: usize,
        /// Which of its ports.
        port: PortChoice,
        /// Of which protocol; any where `None`.
        protocol: Option<Protocol>,
    },
    /// To a container port.
    Port {
        /// Index into `Inventory::workloads`.
        workload: usize,
        /// Index into `Workload::variants`.
        variant: usize,
        /// Protocol of the port.
        protocol: Protocol,
        /// 1 to 65535.
        port: u16,
    },
}

/// Which ports of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortChoice {
    /// All of them.
    All,
    /// The one of this number.
    Number(u16),
    /// The one of this name.
    Name(String),
    /// The ones that lead to this container port.
    Target(TargetPort),
    /// This port of whoever stands behind the service, which has no address of its own: what the service
    /// declares does not count.
    OfPods(u16),
}

/// Something that should lead in and does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadEnd {
    /// The object.
    pub name: EndpointName,
    /// Why it leads nowhere.
    pub why: WhyDead,
    /// What it speaks of: `namespace/Kind/name`, with a port or listener where that is missing.
    pub what: String,
    /// The line.
    pub origin: Origin,
}

/// Why something leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhyDead {
    /// The service is not among the objects.
    MissingService,
    /// The service has no such port.
    MissingPort,
    /// It leads into another namespace, where no ReferenceGrant permits that.
    MissingGrant,
    /// The gateway has no listener of that name, port or protocol.
    MissingListener,
    /// The listener takes no routes from this namespace, or none of this kind.
    NotAllowed,
    /// No host name of the listener is one of the route's.
    NoCommonHost,
    /// The certificate of the listener lies in another namespace, where no ReferenceGrant permits its use.
    CertificateNotGranted,
}

/// Reads every object that leads traffic in; the order of the documents does not matter. `placed` are
/// controllers of which people said where they run.
pub fn read(documents: &[Document], inventory: &Inventory, placed: &[PlacedController]) -> Entries {
    let mut context = Context::new(documents, inventory, placed);
    direct::read(&mut context);
    ingress::read(&mut context);
    openshift::read(&mut context);
    gateway::read(&mut context);
    istio::read(&mut context);
    context.finish()
}

impl Entries {
    /// Whether some controller is not among what was read.
    pub fn has_absent_controllers(&self) -> bool {
        self.points.iter().any(|point| point.controller.is_absent())
    }
}

impl EntryKind {
    /// Words for people.
    pub fn words(self) -> &'static str {
        match self {
            EntryKind::Ingress => "ingress",
            EntryKind::Route => "route",
            EntryKind::GatewayRoute => "gateway route",
            EntryKind::VirtualService => "virtual service",
            EntryKind::LoadBalancer => "load balancer",
            EntryKind::NodePort => "node port",
            EntryKind::ExternalAddress => "external address",
            EntryKind::HostPort => "host port",
            EntryKind::HostNetwork => "host network",
        }
    }
}

impl Tls {
    /// `none`, `optional`, `edge`, `reencrypt`, `passthrough` or `unknown`: the words of the reports.
    pub fn word(self) -> &'static str {
        match self {
            Tls::None => "none",
            Tls::Optional => "optional",
            Tls::Edge => "edge",
            Tls::Reencrypt => "reencrypt",
            Tls::Passthrough => "passthrough",
            Tls::Unknown => "unknown",
        }
    }
}

impl WhyDead {
    /// A half-sentence; what it speaks of follows.
    pub fn words(self) -> &'static str {
        match self {
            WhyDead::MissingService => "there is no service",
            WhyDead::MissingPort => "there is no port",
            WhyDead::MissingGrant => "no ReferenceGrant permits to lead to",
            WhyDead::MissingListener => "no listener fits at",
            WhyDead::NotAllowed => "routes of this namespace or kind are not allowed by",
            WhyDead::NoCommonHost => "no host name is shared with",
            WhyDead::CertificateNotGranted => "no ReferenceGrant permits the certificate of",
        }
    }

    /// Whether the object is not bound to anything that would serve it, as opposed to leading to nothing.
    pub fn is_unattached(self) -> bool {
        match self {
            WhyDead::MissingService | WhyDead::MissingPort => false,
            WhyDead::MissingGrant
            | WhyDead::MissingListener
            | WhyDead::NotAllowed
            | WhyDead::NoCommonHost
            | WhyDead::CertificateNotGranted => true,
        }
    }
}
