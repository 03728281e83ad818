//! What a proxy beside a pod gets to see: ports and addresses that annotations keep from it, and
//! what clients are told of the pod by its labels.

use super::super::{
    Acceptance, Accepts, Admission, Dialect, Holds, Namespaces, Sending, Sends, ServiceChoice, Services,
};
use super::super::{Selection, Target};
use super::membership::{Members, all, annotation, has, label_occurs, lacks, pods, users_of, values_of};
use super::mesh_config::MeshConfig;
use super::peer_authentication::{Mode, Place};
use super::proxyless::{self, Served};
use crate::model::{AddressRange, AddressSet, Document, PortSet, Requirement, Selector, fact};

/// The label that tells clients of a proxy.
pub const TLS_MODE: &str = "security.istio.io/tlsMode";
const TUNNEL: &str = "networking.istio.io/tunnel";
const INTERCEPTION: &str = "sidecar.istio.io/interceptionMode";
const INTERFACES: &str = "traffic.sidecar.istio.io/excludeInterfaces";
const INCLUDED_INBOUND: &str = "traffic.sidecar.istio.io/includeInboundPorts";
const EXCLUDED_INBOUND: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
/// The interface by which a pod is in the pod network.
const POD_INTERFACE: &str = "eth0";
const TEMPLATES: &str = "inject.istio.io/templates";
/// The template of pods whose gRPC library does what a proxy would.
const PROXYLESS: &str = "grpc-agent";

/// Where an annotation lists more ports than this, everything is taken to go past the proxy.
const MOST_PORTS: usize = 64;

/// What annotations and labels of the documents' pods make of the capture.
#[derive(Debug, Default)]
pub struct Capture {
    /// Pods whose inbound ports stay out, and which.
    inbound: Vec<(Selector, PortSet)>,
    /// What leaves pods past their proxy.
    outbound: Vec<Bypass>,
    /// Kinds of sidecars by what clients are told of them; the last takes all.
    kinds: Vec<Kind>,
    /// What gRPC servers without a proxy serve themselves, where there are any.
    served: Vec<Served>,
    /// Whether some pod is told to speak mutual TLS without a proxy.
    pretenders: bool,
}

/// Pods from which something leaves past their proxy.
#[derive(Debug)]
struct Bypass {
    pods: Selector,
    what: Past,
    why: &'static str,
}

/// What leaves.
#[derive(Debug)]
enum Past {
    /// Calls to these ports (of the service that is called).
    Ports(PortSet),
    /// Calls to these addresses.
    Addresses(AddressSet),
    /// Everything.
    All,
}

const ANNOTATED: &str = "an annotation lets it past the proxy of the client";
const KEPT: &str = "an annotation keeps the port from the proxy";
const AS_PROXY: &str =
    "the client runs as user 1337, whose traffic is taken for the proxy's own and let past it";
const BESIDE_GRPC: &str =
    "there is no proxy, and the port is no gRPC port of a service: the application answers there itself";
/// The user that the proxy runs as (`istio-iptables`, IST0144).
const PROXY_USER: &str = "1337";

/// What an annotation says of pods, or for those without it the default of the mesh.
fn said(documents: &[Document], key: &str, default: Option<&String>) -> Vec<(Selector, String)> {
    let values = values_of(documents, key);
    let one = |value: String| (Selector::equals(&annotation(key), &value), value);
    let mut all: Vec<(Selector, String)> = values.into_iter().map(one).collect();
    all.extend(default.map(|value| (lacks(&annotation(key)), value.clone())));
    all
}

/// Sidecars of one kind.
#[derive(Debug)]
struct Kind {
    pods: Selector,
    /// What clients are told that they end.
    told: Option<Dialect>,
    /// What they end.
    ends: Dialect,
    /// What they make of PERMISSIVE, which needs a listener that looks at the first bytes.
    permissive: Mode,
    /// Whether all of their ports are theirs, or only those that they serve themselves.
    reach: Reach,
}

/// The ports of a pod on which what is said of it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// All: a proxy is in front of them.
    AllPorts,
    /// Those of services that may be gRPC (`proxyless`).
    Served,
}

impl Kind {
    fn new(pods: Selector, told: Option<Dialect>, ends: Dialect) -> Kind {
        Kind { pods, told, ends, permissive: Mode::Permissive, reach: Reach::AllPorts }
    }
}

/// Reads what occurs.
pub fn read(documents: &[Document], config: &MeshConfig) -> Capture {
    let mut capture = Capture::default();
    let defaults = &config.proxy;
    let each = |key: &str, default: &Option<String>| {
        said(documents, &format!("traffic.sidecar.istio.io/{key}"), default.as_ref())
    };
    let inbound = |key: &str, default: &Option<String>| said(documents, key, default.as_ref());
    let intercepted = said(documents, INTERCEPTION, defaults.interception.as_ref());
    let uncaptured = intercepted.into_iter().filter(|(_, value)| value == "NONE");
    // `istio-iptables` lets what comes in or goes out by these interfaces past, in front of all else.
    let is_excluded = |value: &str| value.split(',').any(|name| name.trim() == POD_INTERFACE);
    let excluded = said(documents, INTERFACES, None).into_iter().filter(|(_, value)| is_excluded(value));
    for (pods, _) in uncaptured.chain(excluded) {
        capture.inbound.push((pods.clone(), PortSet::all()));
        capture.outbound.push(Bypass { pods, what: Past::All, why: ANNOTATED });
    }
    if users_of(documents).contains(PROXY_USER) {
        let pods = has(&format!("{}{PROXY_USER}", fact::USER));
        capture.outbound.push(Bypass { pods, what: Past::All, why: AS_PROXY });
    }
    let included = inbound(INCLUDED_INBOUND, &defaults.included_inbound);
    for (pods, value) in included.into_iter().filter(|(_, value)| value.trim() != "*") {
        capture.inbound.push((pods, ports(&value).complement()));
    }
    for (pods, value) in inbound(EXCLUDED_INBOUND, &defaults.excluded_inbound) {
        capture.inbound.push((pods, ports(&value)));
    }
    let mtls = Dialect::IstioMtls;
    let labelled = label_occurs(documents, TLS_MODE);
    // The injector puts the label on pods that run; where it is gone, clients send plaintext.
    let other = Requirement::NotIn(TLS_MODE.to_owned(), vec!["istio".to_owned()]);
    let other = Selector { requirements: vec![Requirement::Exists(TLS_MODE.to_owned()), other] };
    let bare = all([has(fact::RUNNING), lacks(TLS_MODE), lacks(fact::MACHINE)]);
    if values_of(documents, TEMPLATES).contains(PROXYLESS) {
        // gRPC servers without a proxy have one mode alone (`grpcgen/lds.go`).
        let agents = Selector::equals(&annotation(TEMPLATES), PROXYLESS);
        let reach = Reach::Served;
        let kind = |pods, told, permissive| Kind { permissive, reach, ..Kind::new(pods, told, mtls) };
        capture.served = proxyless::served(documents);
        // The template cannot set the label; whoever wants mutual TLS writes it (`grpc-agent.yaml`).
        let told = Selector::equals(TLS_MODE, "istio");
        capture.kinds.push(kind(all([agents.clone(), told]), Some(mtls), Mode::Strict));
        capture.kinds.push(kind(agents, None, Mode::Disable));
    }
    for (pods, value) in each("includeOutboundIPRanges", &defaults.included_ranges) {
        let what = match value.trim() {
            "*" => continue,
            "" => Past::All,
            list => Past::Addresses(AddressSet::all().difference(&addresses(list))),
        };
        capture.outbound.push(Bypass { pods, what, why: ANNOTATED });
    }
    for (pods, value) in each("excludeOutboundIPRanges", &defaults.excluded_ranges) {
        let what = match value.trim() {
            "" => continue,
            "*" => Past::All,
            list => Past::Addresses(addresses(list)),
        };
        capture.outbound.push(Bypass { pods, what, why: ANNOTATED });
    }
    for (pods, value) in each("excludeOutboundPorts", &defaults.excluded_outbound) {
        let ports = ports(&value);
        let listed: usize = ports.intervals().iter().map(|(first, last)| usize::from(last - first) + 1).sum();
        let what = if listed > MOST_PORTS { Past::All } else { Past::Ports(ports) };
        capture.outbound.push(Bypass { pods, what, why: ANNOTATED });
    }
    if label_occurs(documents, TUNNEL) {
        let either = Dialect::IstioEither;
        capture.kinds.push(Kind::new(Selector::equals(TUNNEL, "http"), Some(either), either));
    }
    if labelled {
        capture.kinds.push(Kind::new(other, None, mtls));
        capture.kinds.push(Kind::new(bare, None, mtls));
        capture.pretenders = true;
    }
    capture.kinds.push(Kind::new(Selector::everything(), Some(mtls), mtls));
    capture
}

/// The inbound ports that annotations of one pod keep from its proxy.
pub fn kept(annotation: impl Fn(&str) -> Option<String>) -> PortSet {
    let excluded = annotation(EXCLUDED_INBOUND).map_or_else(PortSet::none, |value| ports(&value));
    match annotation(INCLUDED_INBOUND).filter(|value| value.trim() != "*") {
        Some(value) => excluded.union(&ports(&value).complement()),
        None => excluded,
    }
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

/// `10.0.0.0/8, 192.168.0.1`; what is no block is left out.
fn addresses(text: &str) -> AddressSet {
    let one = |item: &str| {
        let item = item.trim();
        AddressRange::from_cidr(item).or_else(|| Some(AddressRange::single(item.parse().ok()?)))
    };
    text.split(',').filter_map(one).collect()
}

impl Capture {
    /// Gateways, and pods that only pretend to have a proxy.
    pub fn builtin(&self, members: &Members) -> Vec<Acceptance> {
        let everywhere = |selector: Selector| vec![pods(Namespaces::any(), selector)];
        let acceptance = |subjects: Vec<Selection>, ports, accepts, why: &str| Acceptance {
            holds: Holds::Surely,
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
        for Kind { pods: kind, told: advertised, ends: terminated, permissive, reach } in &self.kinds {
            let mode = if place.given.0 == Mode::Permissive { *permissive } else { place.given.0 };
            let plaintext = match mode {
                Mode::Strict => Admission::Refused,
                Mode::Permissive | Mode::Disable => Admission::Admitted,
            };
            let told = match (place.given.0, advertised) {
                (Mode::Disable, Some(Dialect::IstioEither)) => Some(Dialect::Hbone),
                (Mode::Disable, _) => None,
                (_, advertised) => *advertised,
            };
            let terminates = match (mode, terminated) {
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
                    holds: Holds::Surely,
                    subjects: place.of(&all([own.clone(), annotated.clone()])),
                    ports,
                    accepts: Accepts { advertises: told, ..Accepts::BARE },
                    why: KEPT.to_owned(),
                    origin: None,
                });
            }
            let whole = Acceptance {
                holds: Holds::Surely,
                subjects: place.of(&own),
                ports: place.ports.clone(),
                accepts: Accepts { plaintext, terminates, advertises: told, proxied: Admission::Admitted },
                why: Place::why(place.given),
                origin: place.given.1.cloned(),
            };
            match reach {
                Reach::AllPorts => list.push(whole),
                Reach::Served => list.extend(self.where_served(&own, place, &whole)),
            }
        }
        list
    }

    /// The same on the ports that servers without a proxy serve themselves; on the others the
    /// application takes what comes.
    fn where_served(&self, own: &Selector, place: &Place<'_>, whole: &Acceptance) -> Vec<Acceptance> {
        let part = |served: &Served| Acceptance {
            subjects: place.of(&all([own.clone(), served.pods.clone()])),
            ports: served.ports.intersection(&place.ports),
            ..whole.clone()
        };
        let mut list: Vec<Acceptance> = self.served.iter().map(part).collect();
        list.retain(|part| !part.ports.is_empty());
        list.push(Acceptance {
            accepts: Accepts { advertises: whole.accepts.advertises, ..Accepts::BARE },
            why: BESIDE_GRPC.to_owned(),
            origin: None,
            ..whole.clone()
        });
        list
    }

    /// What comes to pods past their proxy.
    pub fn unseen(&self, sidecars: &Selector) -> Vec<Acceptance> {
        let one = |(annotated, ports): &(Selector, PortSet)| Acceptance {
            holds: Holds::Surely,
            subjects: vec![pods(Namespaces::any(), all([sidecars.clone(), annotated.clone()]))],
            ports: ports.clone(),
            accepts: Accepts::BARE,
            why: KEPT.to_owned(),
            origin: None,
        };
        self.inbound.iter().filter(|(_, ports)| !ports.is_empty()).map(one).collect()
    }

    /// What leaves pods past their proxy.
    pub fn bypasses(&self, sidecars: &Selector) -> Vec<Sending> {
        let mut list = Vec::new();
        for Bypass { pods: own, what, why } in &self.outbound {
            let subjects = vec![pods(Namespaces::any(), all([sidecars.clone(), own.clone()]))];
            let mut add = |to| {
                let (subjects, why, ports) = (subjects.clone(), (*why).to_owned(), PortSet::all());
                list.push(Sending { subjects, to, ports, sends: Sends::AsIs, why, origin: None });
            };
            match what {
                Past::All => add(Target::Anything),
                Past::Addresses(set) => add(Target::Addressed(set.clone())),
                Past::Ports(ports) => {
                    for port in ports.intervals().iter().flat_map(|(first, last)| *first..=*last) {
                        add(Target::Service(every_service(None), Some(port)));
                    }
                }
            }
        }
        list
    }
}

/// All services, of a namespace or anywhere.
pub fn every_service(namespace: Option<String>) -> Services {
    Services { namespace, chosen: ServiceChoice::Labelled(Selector::everything()) }
}
