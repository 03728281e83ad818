//! Gateways of Consul: who they are, what they send and take, and the calls that terminating gateways
//! carry on to services outside of the mesh (`C:agent/xds`, `CK:control-plane/connect-inject`).
//!
//! What they lead in from outside is left to `entry`; mesh gateways lead to other clusters, and who
//! takes part there nobody knows.

use super::super::shapes::{self, Shape, all, is_one_of, lacks};
use super::super::{
    Acceptance, Accepts, Admission, Dialect, Holds, Membership, MeshMode, Peer, Policy, Relay, Selection,
    Sending, Sends, ServiceChoice, Services, Target, Transport,
};
use super::membership::pods_of;
use crate::model::{Document, Node, Origin, PortSet, Selector};

/// The annotation that tells gateways from other pods.
pub const KIND: &str = "consul.hashicorp.com/gateway-kind";
/// The annotation with the service that a gateway is.
pub const SERVICE: &str = "consul.hashicorp.com/gateway-consul-service-name";
const LEADING_IN: &[&str] = &["ingress-gateway", "api-gateway", "ingress", "api"];
const TERMINATING: &[&str] = &["terminating-gateway", "terminating"];
const TO_OTHER_CLUSTERS: &[&str] = &["mesh-gateway", "mesh"];

/// A service that a TerminatingGateway links.
#[derive(Clone, Debug)]
pub struct Linked {
    /// Its name.
    pub name: String,
    /// What the gateway speaks with it.
    sends: Sends,
    /// The gateway's own name.
    gateway: String,
    origin: Origin,
}

/// Whether some pod is a gateway.
pub fn occur(shapes: &[Shape<'_>]) -> bool {
    shapes.iter().any(|shape| shapes::annotation(shape.body, KIND).is_some())
}

/// Pods that are none.
pub fn nobody() -> Selector {
    lacks(&shapes::of_pod(KIND))
}

fn of_kind(kinds: &[&str]) -> Selector {
    is_one_of(&shapes::of_pod(KIND), kinds)
}

/// The services that TerminatingGateways link: `services[].name`, with TLS where there is a
/// certificate to check or a name to ask for (`caFile`, `sni`).
pub fn linked(documents: &[Document]) -> Vec<Linked> {
    let is_terminating = |d: &&Document| {
        &*d.origin.kind == "TerminatingGateway" && d.api_version.starts_with("consul.hashicorp.com/")
    };
    let mut list = Vec::new();
    for document in documents.iter().filter(is_terminating) {
        for service in document.body.path(&["spec", "services"]).map_or(&[][..], Node::items) {
            // All that have no proxy: which of them are meant is left open (`said`).
            let Some(name) = service.text_of("name").filter(|name| *name != "*") else { continue };
            let tls = ["caFile", "sni"].iter().any(|field| service.text_of(field).is_some());
            list.push(Linked {
                name: name.to_owned(),
                sends: if tls { Sends::OtherTls } else { Sends::AsIs },
                gateway: document.origin.name.to_string(),
                origin: document.origin.at("", service.line),
            });
        }
    }
    list
}

impl Linked {
    fn services(&self) -> Services {
        Services { namespace: None, chosen: ServiceChoice::Named(self.name.clone()) }
    }

    /// The pods of its gateway.
    pub fn pods(&self) -> Selection {
        let named = Selector::equals(&shapes::of_pod(SERVICE), &self.gateway);
        pods_of(all([of_kind(TERMINATING), named]))
    }
}

/// How gateways take part.
pub fn members() -> Vec<Membership> {
    let entry = |kinds, mode, why: &str| Membership {
        subjects: vec![pods_of(of_kind(kinds))],
        mode,
        why: why.to_owned(),
        origin: None,
    };
    vec![
        entry(LEADING_IN, MeshMode::Consul, "it is a gateway of Consul"),
        entry(TERMINATING, MeshMode::Consul, "it is a terminating gateway of Consul"),
        entry(
            TO_OTHER_CLUSTERS,
            MeshMode::Unclear,
            "what a mesh gateway passes on belongs to other clusters",
        ),
    ]
}

/// What gateways take and send, and whom they are between. Clients are those whose traffic is
/// redirected; the guards are intentions with the services that they are about (`None` for all),
/// which a terminating gateway holds in place of a service that has no proxy.
pub fn lower(
    clients: &Selector,
    linked: &[Linked],
    guards: &[(Option<String>, Policy)],
    transport: &mut Transport,
) {
    let (leading_in, terminating) = (of_kind(LEADING_IN), of_kind(TERMINATING));
    let acceptance = |pods: &Selector, accepts, why: &str| Acceptance {
        holds: Holds::Surely,
        subjects: vec![pods_of(pods.clone())],
        ports: PortSet::all(),
        accepts,
        why: why.to_owned(),
        origin: None,
    };
    let ends = Accepts {
        plaintext: Admission::Refused,
        terminates: Some(Dialect::ConsulGateway),
        advertises: Some(Dialect::ConsulGateway),
        proxied: Admission::Refused,
    };
    transport.accepts.push(acceptance(&leading_in, Accepts::BARE, "a gateway takes what its listeners say"));
    transport.accepts.push(acceptance(
        &terminating,
        ends,
        "a terminating gateway asks for a client certificate",
    ));
    let sending = |pods: &Selector, to, sends, why: &str, origin: Option<&Origin>| Sending {
        subjects: vec![pods_of(pods.clone())],
        to,
        ports: PortSet::all(),
        sends,
        why: why.to_owned(),
        origin: origin.cloned(),
    };
    let mut sends: Vec<Sending> = Vec::new();
    for one in linked {
        let (to, why) =
            (Target::Service(one.services(), None), "the gateway speaks as its TerminatingGateway says");
        sends.push(Sending {
            subjects: vec![one.pods()],
            ..sending(&terminating, to, one.sends, why, Some(&one.origin))
        });
    }
    let (mtls, anything) = (Sends::IfAdvertised(Dialect::ConsulMtls), Target::Anything);
    let gateways = Selector::any_of(vec![leading_in, terminating.clone()]);
    sends.push(sending(&gateways, anything, mtls, "the gateway sends mTLS to services of the mesh", None));
    let to_gateway = Target::Address(Peer::Endpoints(pods_of(terminating.clone())));
    let why = "the proxy sends mTLS to terminating gateways";
    sends.push(sending(clients, to_gateway, Sends::Always(Dialect::ConsulGateway), why, None));
    // They come before what is sent to services at large.
    transport.sends.splice(0..0, sends);
    transport.relays.extend(linked.iter().map(|one| {
        Relay {
            subjects: vec![pods_of(clients.clone())],
            to: Target::Service(one.services(), None),
            by: vec![one.pods()],
            around: Admission::Admitted,
            guards: guards
                .iter()
                .filter(|(about, _)| about.as_ref().is_none_or(|name| *name == one.name))
                .map(|(_, policy)| policy.origin.clone())
                .collect(),
            why: format!("the terminating gateway {} carries it on", one.gateway),
            origin: Some(one.origin.clone()),
        }
    }));
}
