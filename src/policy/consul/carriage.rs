//! What proxies of Consul accept and send: transparent proxies take every port, others only what is
//! sent to them on purpose; ports that are excluded, and services that still take plaintext.

use super::super::shapes::{self, Carrier, Choice, Dialled, Passes, Shape, all};
use super::super::{
    Acceptance, Accepts, Admission, Dialect, Holds, Peer, Selection, Sending, Sends, ServiceChoice, Services,
    Target, Transport,
};
use super::membership::{self, Members, pods_of};
use super::services::Names;
use crate::model::{Bend, Document, Gap, Origin, PortSet, Selector};

const EXCLUDE_INBOUND: &str = "consul.hashicorp.com/transparent-proxy-exclude-inbound-ports";
const EXCLUDE_OUTBOUND: &str = "consul.hashicorp.com/transparent-proxy-exclude-outbound-ports";
const UPSTREAMS: &str = "consul.hashicorp.com/connect-service-upstreams";
/// Listeners for probes (liveness, readiness, startup), for shutting down and for health, which no
/// redirection covers.
const OF_THE_PROXY: &[(u16, u16)] = &[(20_300, 20_600), (21_000, 21_000)];

/// What several steps read.
pub struct Ground<'a> {
    /// All objects.
    pub documents: &'a [Document],
    /// Pods and templates.
    pub shapes: &'a [Shape<'a>],
    /// Who takes part.
    pub members: &'a Members,
    /// The pods of services.
    pub names: &'a Names,
}

/// Pods and ports that take plaintext, where intentions do not count (`C:agent/xds/listeners.go`).
#[derive(Clone, Debug)]
pub struct Permissive {
    /// The pods.
    pub subjects: Vec<Selection>,
    /// The ports.
    pub ports: PortSet,
    /// In words.
    pub why: String,
    /// Where that stands.
    pub origin: Option<Origin>,
}

impl Ground<'_> {
    fn ports(&self, key: &str, gaps: &mut Vec<Gap>) -> Vec<(Choice, PortSet)> {
        let choices = shapes::choices(self.documents, self.shapes, key, Carrier::Pod);
        let mut read = |choice: Choice| {
            let (ports, strange) = shapes::ports(choice.value.as_deref().unwrap_or_default());
            if let (false, Some(origin)) = (strange.is_empty(), &choice.origin) {
                let what = format!("{key} names {}, which is no port: it was left out", strange.join(" "));
                gaps.push(Gap { what, origin: origin.clone(), bends: Bend::MayAllowMore });
            }
            (choice, ports)
        };
        choices.into_iter().map(&mut read).filter(|(_, ports)| !ports.is_empty()).collect()
    }

    /// Pods with a proxy whose application can be called around it.
    pub fn beside_the_proxy(&self) -> Selector {
        all([self.members.meshed.clone(), self.members.transparent.clone().negated()])
    }
}

/// The lists of both sides. `direct` are the services that may be called by the addresses of their pods.
pub fn lower(
    ground: &Ground<'_>,
    permissive: &[Permissive],
    direct: &[String],
    gaps: &mut Vec<Gap>,
) -> Transport {
    let mut transport = Transport { members: membership::list(ground.members), ..Transport::default() };
    let proxied = Accepts {
        plaintext: Admission::Refused,
        terminates: Some(Dialect::ConsulMtls),
        advertises: Some(Dialect::ConsulMtls),
        proxied: Admission::Admitted,
    };
    for (choice, ports) in ground.ports(EXCLUDE_INBOUND, gaps) {
        transport.accepts.push(Acceptance {
            holds: Holds::Surely,
            subjects: vec![pods_of(all([ground.members.transparent.clone(), choice.pods]))],
            ports,
            accepts: Accepts::BARE,
            why: "the port bypasses the proxy (transparent-proxy-exclude-inbound-ports)".to_owned(),
            origin: choice.origin,
        });
    }
    transport.accepts.push(Acceptance {
        holds: Holds::Surely,
        subjects: vec![pods_of(ground.members.transparent.clone())],
        ports: OF_THE_PROXY.iter().fold(PortSet::none(), |set, (a, b)| set.union(&PortSet::range(*a, *b))),
        accepts: Accepts::BARE,
        why: "the proxy's own listeners for probes and health take plaintext".to_owned(),
        origin: None,
    });
    transport.accepts.extend(permissive.iter().map(|one| Acceptance {
        holds: Holds::Surely,
        subjects: one.subjects.clone(),
        ports: one.ports.clone(),
        accepts: Accepts { plaintext: Admission::Admitted, ..proxied },
        why: one.why.clone(),
        origin: one.origin.clone(),
    }));
    // What is sent to the address of a pod passes the client's proxy as it is (`C:agent/xds/listeners.go`).
    transport.by_address = permissive.iter().flat_map(|one| one.subjects.clone()).collect();
    transport.accepts.push(Acceptance {
        holds: Holds::Surely,
        subjects: vec![pods_of(ground.members.transparent.clone())],
        ports: PortSet::all(),
        accepts: proxied,
        why: "the public listener asks for a client certificate".to_owned(),
        origin: None,
    });
    transport.sends = sends(ground, direct, gaps);
    transport
}

fn sends(ground: &Ground<'_>, direct: &[String], gaps: &mut Vec<Gap>) -> Vec<Sending> {
    let transparent = &ground.members.transparent;
    let mtls = Sends::IfAdvertised(Dialect::ConsulMtls);
    let sending = |clients: Selector, to: Target, ports: PortSet, sends: Sends, why: &str| Sending {
        subjects: vec![pods_of(clients)],
        to,
        ports,
        sends,
        why: why.to_owned(),
        origin: None,
    };
    let mut list = Vec::new();
    for (choice, ports) in ground.ports(EXCLUDE_OUTBOUND, gaps) {
        let clients = all([transparent.clone(), choice.pods]);
        let why = "the client's proxy is bypassed (transparent-proxy-exclude-outbound-ports)";
        for Dialled { services, port, passes } in shapes::dialled(ground.documents, &ports) {
            let sends = if passes == Passes::By { Sends::AsIs } else { mtls };
            let to = Target::Service(services, Some(port));
            list.push(sending(clients.clone(), to, PortSet::all(), sends, why));
        }
        list.push(sending(clients, Target::Anything, ports, Sends::AsIs, why));
    }
    let services = Services { namespace: None, chosen: ServiceChoice::Labelled(Selector::everything()) };
    let why = "the proxy sends mTLS to services of the mesh";
    list.push(sending(transparent.clone(), Target::Service(services, None), PortSet::all(), mtls, why));
    for name in direct {
        for pods in ground.names.pods(name, &ground.members.meshed) {
            let to = Target::Peer(Peer::Endpoints(pods));
            let why = "the service may be called by the addresses of its pods (dialedDirectly)";
            list.push(sending(transparent.clone(), to, PortSet::all(), mtls, why));
        }
    }
    list.extend(upstreams(ground, gaps));
    let why = "it calls by address and not through a service: its proxy passes it on as it is";
    list.push(sending(transparent.clone(), Target::Anything, PortSet::all(), Sends::AsIs, why));
    list
}

/// Pods whose traffic is not redirected call the services that they list through their proxies; what
/// they send to pods that can be called around theirs is taken to go there in the clear.
fn upstreams(ground: &Ground<'_>, gaps: &mut Vec<Gap>) -> Vec<Sending> {
    let choices = shapes::choices(ground.documents, ground.shapes, UPSTREAMS, Carrier::Pod);
    let mut list = Vec::new();
    for choice in choices {
        let Some(value) = &choice.value else { continue };
        let clients = all([ground.members.meshed.clone(), choice.pods.clone()]);
        for item in value.split(',').map(str::trim) {
            let name = item.split([':', '.']).next().unwrap_or_default();
            let labelled = item.split(':').next().is_some_and(|first| first.contains(".pr"));
            let origin = choice.origin.as_ref().unwrap_or(&ground.members.origin);
            if name == "prepared_query" || labelled {
                let what = format!(
                    "the upstream {item:?} leads to what a query or a peer decides: it is not followed"
                );
                gaps.push(Gap { what, origin: origin.clone(), bends: Bend::MayAllowMore });
                continue;
            }
            for pods in ground.names.pods(name, &ground.members.transparent) {
                list.push(Sending {
                    subjects: vec![pods_of(clients.clone())],
                    to: Target::Peer(Peer::Endpoints(pods)),
                    ports: PortSet::all(),
                    sends: Sends::IfAdvertised(Dialect::ConsulMtls),
                    why: "the service is among the client's upstreams (connect-service-upstreams)".to_owned(),
                    origin: Some(origin.clone()),
                });
            }
        }
    }
    list
}

/// The pods of services without a proxy that takes their traffic, which intentions do not protect.
pub fn unprotected(ground: &Ground<'_>) -> Permissive {
    Permissive {
        subjects: vec![pods_of(ground.beside_the_proxy())],
        ports: PortSet::all(),
        why: "without a transparent proxy the application is reached directly".to_owned(),
        origin: None,
    }
}
