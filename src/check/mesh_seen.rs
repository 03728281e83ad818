//! Observed flows beside what meshes promise for them: the one place where both are laid side by
//! side, from which the checks on expected and observed protection take their part.

use super::Evidence;
use super::mesh_ground::is_member;
use super::shared::{fact, paths, turned_paths};
use crate::graph::{Acceptance, Admission, ClassId, Dialect, Holds, Leg, MeshMode, PeerId};
use crate::model::{ExpectedProtection, Protection, Protocol, TrafficSet};
use crate::observed::{ObservedFlow, Stretch, Transport};
use std::collections::BTreeMap;

/// A TCP flow to a workload on which a mesh has a say.
pub(super) struct Met<'a> {
    /// The flow.
    pub seen: ObservedFlow,
    /// Who called; the first where an address stands for several that are alike here.
    pub from: PeerId,
    /// The port at the server.
    pub port: u16,
    /// What both sides promise.
    pub outlook: Outlook<'a>,
}

/// What a mesh promises for a flow, and whose promise it is.
pub(super) struct Promise<'a> {
    from: PeerId,
    port: u16,
    /// What both sides promise.
    pub outlook: Outlook<'a>,
}

/// Promises as they are asked for: those between two ends on one port are made once.
pub(super) struct Promises<'e, 'a> {
    evidence: &'e Evidence<'a>,
    known: BTreeMap<(PeerId, ClassId, u16), Outlook<'a>>,
}

/// What is promised for a connection.
#[derive(Clone)]
pub(super) struct Outlook<'a> {
    /// What the server takes on this port; `None` where it has no proxy.
    pub accepts: Option<&'a Acceptance>,
    /// How the edge is carried; `None` where it is refused or not allowed.
    pub leg: Option<Leg>,
    /// What the ends refuse because they do not understand each other.
    pub refused: bool,
    /// What a tunnel on this port may carry, by the ports of the application.
    pub tunnelled: TrafficSet,
    /// Whether somebody in between carries all that could be meant, so that nothing goes straight.
    pub relayed: bool,
    /// How the client takes part.
    pub client: Option<MeshMode>,
    /// How the server takes part.
    pub server: Option<MeshMode>,
}

/// Flows on the wire to workloads of a mesh, or from some, one at a time.
pub(super) fn met<'e, 'a>(evidence: &'e Evidence<'a>) -> impl Iterator<Item = Met<'a>> + use<'e, 'a> {
    let mut promises = Promises::of(evidence);
    evidence.observed.flows.iter().filter_map(move |seen| Some(promises.promise(&seen)?.about(seen)))
}

impl<'a> Promise<'a> {
    /// The flow beside what was promised for it.
    pub fn about(self, seen: ObservedFlow) -> Met<'a> {
        Met { seen, from: self.from, port: self.port, outlook: self.outlook }
    }
}

impl<'e, 'a> Promises<'e, 'a> {
    /// Nothing was asked yet.
    pub fn of(evidence: &'e Evidence<'a>) -> Promises<'e, 'a> {
        Promises { evidence, known: BTreeMap::new() }
    }

    /// What is promised for a flow on the wire on which a mesh has a say. A flow that may have been
    /// one of several, or have been opened by the other side, counts only where the promise is the
    /// same for all of them.
    pub fn promise(&mut self, seen: &ObservedFlow) -> Option<Promise<'a>> {
        if seen.flow.transport != Transport::Tcp || seen.stretch != Stretch::Wire {
            return None;
        }
        let paths = paths(self.evidence, seen);
        let (from, to, port) = paths.first().copied()?;
        let all = [paths, turned_paths(self.evidence, seen)].concat();
        for key in &all {
            self.known.entry(*key).or_insert_with(|| outlook(self.evidence, *key));
        }
        let outlook = &self.known[&(from, to, port)];
        let one_voice = all.iter().all(|path| self.known[path].is_like(outlook));
        let has_say = outlook.accepts.is_some() || outlook.client.is_some();
        let counts = has_say && one_voice && self.evidence.graph.class(to).is_some();
        counts.then(|| Promise { from, port, outlook: outlook.clone() })
    }
}

fn outlook<'a>(evidence: &Evidence<'a>, (from, to, port): (PeerId, ClassId, u16)) -> Outlook<'a> {
    let graph = evidence.graph;
    let mode = |peer: PeerId| {
        let inside = graph.class(peer).is_some() && is_member(graph, peer);
        graph.membership(peer).filter(|_| inside).map(|member| member.mode)
    };
    let (client, server) = (mode(from), graph.class(to).and_then(|_| mode(to)));
    let accepts = graph.class(to).and_then(|_| graph.acceptances(to).find(|a| a.ports.contains(port)));
    let accepts = accepts.filter(|acceptance| acceptance.holds == Holds::Surely);
    let mesh = graph.edge(from, to).mesh;
    let holds = |traffic: &TrafficSet| traffic.contains(Protocol::Tcp, port);
    let legs = || mesh.iter().flat_map(|mesh| &mesh.legs);
    let leg = legs().find(|leg| holds(&leg.traffic)).cloned();
    let refused = mesh.as_ref().is_some_and(|mesh| holds(&mesh.refused));
    let inside = legs().filter(|leg| leg.wire == Some(port));
    let meant: Vec<&Leg> = legs().filter(|leg| leg.wire == Some(port) || holds(&leg.traffic)).collect();
    let relayed = !meant.is_empty() && meant.iter().all(|leg| leg.via.is_some());
    let tunnelled = inside.fold(TrafficSet::none(), |all, leg| all.union(&leg.traffic));
    Outlook { accepts, leg, refused, tunnelled, relayed, client, server }
}

/// What a flow may carry where it is a tunnel of a mesh, by the ports of the applications: the port
/// that the inner connection goes to is not known. `None` where it is no tunnel.
pub(super) fn tunnelled(evidence: &Evidence<'_>, seen: &ObservedFlow) -> Option<TrafficSet> {
    if seen.flow.transport != Transport::Tcp || !TUNNELS.contains(&seen.flow.responder.port) {
        return None;
    }
    let paths = paths(evidence, seen);
    let each = paths.iter().map(|path| outlook(evidence, *path).tunnelled);
    let all = each.fold(TrafficSet::none(), |all, one| all.union(&one));
    (!all.is_empty()).then_some(all)
}

/// Ports of tunnels, of all meshes.
const TUNNELS: [u16; 3] = [15_008, 4_143, 20_000];

impl Met<'_> {
    /// Whether it is TLS of the mesh for the server's proxy, and not the application's own.
    pub fn is_mesh_tls(&self) -> bool {
        let Protection::Encrypted(_) = self.seen.detection.protection else { return false };
        if !self.outlook.tunnelled.is_empty() {
            return true;
        }
        let mark = fact(&self.seen, "mesh");
        match self.outlook.accepts.and_then(|acceptance| acceptance.accepts.terminates) {
            Some(Dialect::IstioMtls | Dialect::IstioEither | Dialect::Hbone) => {
                matches!(mark, Some("istio" | "istio-ambient"))
            }
            Some(Dialect::LinkerdTransport | Dialect::LinkerdMtls) => mark == Some("linkerd"),
            Some(Dialect::ConsulMtls | Dialect::ConsulGateway) => mark == Some("consul"),
            // Its filter chains know no marker: whoever completes TLS completed that of the proxy.
            Some(Dialect::EnvoyMtls) => {
                !matches!(fact(&self.seen, "client_certificate"), Some("not-shown" | "declined"))
            }
            // Nobody was asked for a certificate, or need not have shown one.
            Some(Dialect::EnvoyOptional | Dialect::EnvoyTls | Dialect::Foreign) | None => false,
        }
    }

    /// What is in the clear on purpose on this port of a member, in words.
    pub fn infrastructure(&self) -> Option<&'static str> {
        infrastructure(self.outlook.server?, self.port)
    }
}

impl Outlook<'_> {
    /// Whether both promise the same.
    fn is_like(&self, other: &Outlook<'_>) -> bool {
        let protection = |one: &Outlook<'_>| one.leg.as_ref().map(|leg| (leg.protection, leg.wire));
        let taken = |one: &Outlook<'_>| one.accepts.map(|acceptance| acceptance.accepts);
        let all = |one: &Outlook<'_>| (protection(one), taken(one), one.refused, one.client, one.server);
        all(self) == all(other)
            && self.relayed == other.relayed
            && self.tunnelled.is_empty() == other.tunnelled.is_empty()
    }

    /// Whether the server takes TLS that its proxy ends, and nothing else.
    pub fn is_strict(&self) -> bool {
        self.takes(Admission::Refused)
    }

    /// Whether the server takes such TLS and plaintext.
    pub fn is_permissive(&self) -> bool {
        self.takes(Admission::Admitted)
    }

    fn takes(&self, plaintext: Admission) -> bool {
        let fits = |accepts: &Acceptance| {
            accepts.accepts.plaintext == plaintext && accepts.accepts.terminates.is_some()
        };
        self.server.is_some() && self.accepts.is_some_and(fits)
    }

    /// Whether the server's proxy is told to leave the port alone.
    pub fn is_excluded(&self) -> bool {
        let fits = |accepts: &Acceptance| accepts.accepts.proxied == Admission::Refused;
        self.server.is_some() && self.accepts.is_some_and(fits)
    }

    /// Whether mutual TLS of the mesh is promised.
    pub fn promises_mtls(&self) -> bool {
        let promised = |leg: &Leg| {
            matches!(leg.protection, ExpectedProtection::MtlsStrict | ExpectedProtection::MtlsPermissive)
        };
        self.leg.as_ref().is_some_and(promised)
    }
}

/// Ports of proxies and control planes that answer in the clear by design.
const INFRASTRUCTURE: &[(&[MeshMode], std::ops::RangeInclusive<u16>, &str)] = {
    use MeshMode::{Consul, IstioAmbient, IstioGateway, IstioSidecar, Linkerd};
    const ISTIO: &[MeshMode] = &[IstioSidecar, IstioAmbient, IstioGateway];
    &[
        (ISTIO, 15_010..=15_010, "discovery of istiod"),
        (ISTIO, 15_014..=15_014, "metrics of istiod"),
        (ISTIO, 15_020..=15_021, "health and merged metrics of the proxy"),
        (ISTIO, 15_090..=15_090, "metrics of the proxy"),
        (&[Linkerd], 4_191..=4_191, "health and metrics of the proxy"),
        (&[Consul], 20_200..=20_499, "metrics and health of the proxy"),
        (&[Consul], 21_000..=21_000, "health of the dataplane"),
    ]
};

/// What a port of a member of a mesh is for, where it is in the clear on purpose.
pub(super) fn infrastructure(mode: MeshMode, port: u16) -> Option<&'static str> {
    let row = INFRASTRUCTURE.iter().find(|(modes, ports, _)| modes.contains(&mode) && ports.contains(&port));
    row.map(|(_, _, what)| *what)
}
