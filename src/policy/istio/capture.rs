//! What a proxy beside a pod gets to see: ports and addresses that annotations keep from it, and
//! what clients are told of the pod by its labels.

use super::super::{
    Acceptance, Accepts, Admission, Dialect, Namespaces, Sending, Sends, ServiceChoice, Services,
};
use super::super::{Selection, Target};
use super::membership::{Members, all, annotation, has, label_occurs, lacks, pods, values_of};
use super::peer_authentication::{Mode, Place};
use crate::model::{Document, PortSet, Requirement, Selector, fact};

const TLS_MODE: &str = "security.istio.io/tlsMode";
const TUNNEL: &str = "networking.istio.io/tunnel";
const INTERCEPTION: &str = "sidecar.istio.io/interceptionMode";

/// Where an annotation lists more ports than this, all of them are taken to go past the proxy.
const MOST_PORTS: usize = 64;

/// What annotations and labels of the documents' pods make of the capture.
#[derive(Debug, Default)]
pub struct Capture {
    /// Pods whose inbound ports stay out, and which.
    inbound: Vec<(Selector, PortSet)>,
    /// Pods whose outbound ports (of the service that is called) stay out, and which.
    outbound: Vec<(Selector, PortSet)>,
    /// Kinds of sidecars by what clients are told of them; the last takes all.
    kinds: Vec<(Selector, Option<Dialect>, Dialect)>,
    /// Whether some pod is told to speak mutual TLS without a proxy.
    pretenders: bool,
}

/// Reads what occurs.
pub fn read(documents: &[Document]) -> Capture {
    let mut capture = Capture::default();
    let each = |key: &str| {
        let key = format!("traffic.sidecar.istio.io/{key}");
        let values = values_of(documents, &key);
        values.into_iter().map(move |value| (Selector::equals(&annotation(&key), &value), value))
    };
    let none = Selector::equals(&annotation(INTERCEPTION), "NONE");
    if values_of(documents, INTERCEPTION).contains("NONE") {
        capture.inbound.push((none.clone(), PortSet::all()));
        capture.outbound.push((none, PortSet::all()));
    }
    for (pods, value) in each("includeInboundPorts").filter(|(_, value)| value.trim() != "*") {
        capture.inbound.push((pods, ports(&value).complement()));
    }
    for (pods, value) in each("excludeInboundPorts") {
        capture.inbound.push((pods, ports(&value)));
    }
    let included = Selector::equals(&annotation("traffic.sidecar.istio.io/includeOutboundIPRanges"), "");
    if values_of(documents, "traffic.sidecar.istio.io/includeOutboundIPRanges").contains("") {
        capture.outbound.push((included, PortSet::all()));
    }
    for (pods, value) in each("excludeOutboundPorts") {
        capture.outbound.push((pods, ports(&value)));
    }
    if label_occurs(documents, TUNNEL) {
        capture.kinds.push((
            Selector::equals(TUNNEL, "http"),
            Some(Dialect::IstioEither),
            Dialect::IstioEither,
        ));
    }
    if label_occurs(documents, TLS_MODE) {
        let other = Requirement::NotIn(TLS_MODE.to_owned(), vec!["istio".to_owned()]);
        let other = Selector { requirements: vec![Requirement::Exists(TLS_MODE.to_owned()), other] };
        capture.kinds.push((other, None, Dialect::IstioMtls));
        // The injector puts the label on pods that run; where it is gone, clients send plaintext.
        capture.kinds.push((all([has(fact::RUNNING), lacks(TLS_MODE)]), None, Dialect::IstioMtls));
        capture.pretenders = true;
    }
    capture.kinds.push((Selector::everything(), Some(Dialect::IstioMtls), Dialect::IstioMtls));
    capture
}

/// `80, 443,9000-9010`; `*` is every port, and what is no port is left out.
fn ports(text: &str) -> PortSet {
    let one = |item: &str| -> Option<PortSet> {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        Some(PortSet::range(first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    match text.trim() {
        "*" => PortSet::all(),
        list => list.split(',').filter_map(one).fold(PortSet::none(), |all, ports| all.union(&ports)),
    }
}

impl Capture {
    /// Gateways, and pods that only pretend to have a proxy.
    pub fn builtin(&self, members: &Members) -> Vec<Acceptance> {
        let everywhere = |selector: Selector| vec![pods(Namespaces::any(), selector)];
        let acceptance = |subjects: Vec<Selection>, ports, accepts, why: &str| Acceptance {
            subjects,
            ports,
            accepts,
            why: why.to_owned(),
            origin: None,
        };
        let mut list = Vec::new();
        let waypoint = Accepts {
            plaintext: Admission::Refused,
            terminates: Some(Dialect::Hbone),
            advertises: Some(Dialect::Hbone),
            proxied: Admission::Admitted,
        };
        if members.waypoint != Selector::nothing() {
            let why = "a waypoint takes the tunnel alone";
            list.push(acceptance(everywhere(members.waypoint.clone()), PortSet::all(), waypoint, why));
        }
        let gateway = Accepts { proxied: Admission::Admitted, ..Accepts::BARE };
        let why = "a gateway takes what its servers say";
        list.push(acceptance(everywhere(members.gateway.clone()), PortSet::all(), gateway, why));
        if self.pretenders {
            let outside = Selector::any_of(vec![
                members.sidecar.clone(),
                members.ambient.clone(),
                members.unclear.clone(),
            ]);
            let labelled = all([Selector::equals(TLS_MODE, "istio"), outside.negated()]);
            let accepts = Accepts { advertises: Some(Dialect::IstioMtls), ..Accepts::BARE };
            let why = "its label tlsMode says istio, and it has no proxy";
            list.push(acceptance(everywhere(labelled), PortSet::all(), accepts, why));
        }
        list
    }

    /// What proxies beside pods take in a place; what is kept from them comes first.
    pub fn sidecars(&self, members: &Members, place: &Place<'_>) -> Vec<Acceptance> {
        let mut list = Vec::new();
        let plaintext = match place.mode {
            Mode::Strict => Admission::Refused,
            Mode::Permissive | Mode::Disable => Admission::Admitted,
        };
        for (kind, advertised, terminated) in &self.kinds {
            let told = match (place.mode, advertised) {
                (Mode::Disable, Some(Dialect::IstioEither)) => Some(Dialect::Hbone),
                (Mode::Disable, _) => None,
                (_, advertised) => *advertised,
            };
            let terminates = match (place.mode, terminated) {
                (Mode::Disable, Dialect::IstioEither) => Some(Dialect::Hbone),
                (Mode::Disable, _) => None,
                (_, terminated) => Some(*terminated),
            };
            let own = all([members.sidecar.clone(), kind.clone()]);
            for (annotated, ports) in &self.inbound {
                let ports = ports.intersection(&place.ports);
                if ports.is_empty() {
                    continue;
                }
                list.push(Acceptance {
                    subjects: place.of(&all([own.clone(), annotated.clone()])),
                    ports,
                    accepts: Accepts { advertises: told, ..Accepts::BARE },
                    why: "an annotation keeps the port from the proxy".to_owned(),
                    origin: None,
                });
            }
            list.push(Acceptance {
                subjects: place.of(&own),
                ports: place.ports.clone(),
                accepts: Accepts { plaintext, terminates, advertises: told, proxied: Admission::Admitted },
                why: place.why(place.mode),
                origin: place.origin.cloned(),
            });
        }
        list
    }

    /// What leaves pods past their proxy.
    pub fn bypasses(&self, members: &Members) -> Vec<Sending> {
        let mut list = Vec::new();
        for (annotated, ports) in &self.outbound {
            let subjects = vec![pods(Namespaces::any(), all([members.sidecar.clone(), annotated.clone()]))];
            let mut add = |to| {
                list.push(Sending {
                    subjects: subjects.clone(),
                    to,
                    ports: PortSet::all(),
                    sends: Sends::AsIs,
                    why: "an annotation lets it past the proxy of the client".to_owned(),
                    origin: None,
                });
            };
            let listed: usize =
                ports.intervals().iter().map(|(first, last)| usize::from(last - first) + 1).sum();
            if listed > MOST_PORTS {
                add(Target::Anything);
                continue;
            }
            for port in ports.intervals().iter().flat_map(|(first, last)| *first..=*last) {
                add(Target::Service(every_service(None), Some(port)));
            }
        }
        list
    }
}

/// All services, of a namespace or anywhere.
pub fn every_service(namespace: Option<String>) -> Services {
    Services { namespace, chosen: ServiceChoice::Labelled(Selector::everything()) }
}
