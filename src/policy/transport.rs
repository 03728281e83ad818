//! What a client sends and what a server accepts: the one place that decides expected protection.
//!
//! Meshes lower to two ordered lists. A server's acceptances say, for its ports, what it takes and
//! what clients believe that it takes; a client's sendings say what it sends to whom. The first
//! that matches decides, on each side alone; what comes of their meeting is decided here, and no
//! mesh is named in this file. Encryption between nodes lies below all of that (`node_encryption`).

use super::{Outside, Peer, Selection, Services};
use crate::model::{AddressSet, ExpectedProtection, Origin, PortSet};

/// All that meshes say on transport.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    /// Who takes part, for reports and checks; of those that select an endpoint the most certain
    /// decides (`MeshMode::certainty`), and of equals the first.
    pub members: Vec<Membership>,
    /// What servers accept; the first that selects the server and holds the port decides.
    pub accepts: Vec<Acceptance>,
    /// What clients send; the first that selects the client and means the target decides.
    pub sends: Vec<Sending>,
    /// Which calls somebody in between carries on; the first that selects the client and means the
    /// call decides.
    pub relays: Vec<Relay>,
    /// Servers that members of the mesh may call by the addresses of their pods, for which no service
    /// stands, and then without mesh TLS: authorization keeps nobody out who does.
    pub by_address: Vec<Selection>,
}

/// Endpoints that take part in a mesh, or are kept out of it.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Which endpoints.
    pub subjects: Vec<Selection>,
    /// How.
    pub mode: MeshMode,
    /// In words: what makes them so.
    pub why: String,
    /// Where that stands.
    pub origin: Option<Origin>,
}

/// How an endpoint takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MeshMode {
    /// Not at all.
    Outside,
    /// By a proxy of Istio beside it.
    IstioSidecar,
    /// By the node's proxy of Istio.
    IstioAmbient,
    /// As a gateway or waypoint of Istio.
    IstioGateway,
    /// By a proxy of Linkerd beside it.
    Linkerd,
    /// By a proxy of Consul beside it.
    Consul,
    /// By an Envoy of its own.
    Envoy,
    /// Manifests alone do not tell.
    Unclear,
}

/// What a server takes on some ports.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// Which servers.
    pub subjects: Vec<Selection>,
    /// On which TCP ports of theirs.
    pub ports: PortSet,
    /// What.
    pub accepts: Accepts,
    /// Whether it counts.
    pub holds: Holds,
    /// In words.
    pub why: String,
    /// Where that stands.
    pub origin: Option<Origin>,
}

/// Whether what is said counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holds {
    /// It does.
    Surely,
    /// It may: what comes later in the list may count in its place.
    Perhaps,
}

/// What arrives, what ends in the proxy, and what clients believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Accepts {
    /// Whether connections without mesh TLS get through.
    pub plaintext: Admission,
    /// The mesh TLS that the proxy terminates; other TLS goes to the application as it is.
    pub terminates: Option<Dialect>,
    /// What clients of the mesh are told that the server speaks, which may be wrong.
    pub advertises: Option<Dialect>,
    /// Whether the proxy sees the connection at all, and with it its authorization.
    pub proxied: Admission,
}

/// A yes or no with a name of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Admission {
    /// It is.
    Admitted,
    /// It is not.
    Refused,
}

/// A way to carry mutual TLS between proxies, and the port that it has on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// Istio between sidecars, on the port of the application.
    IstioMtls,
    /// Istio's tunnel over HTTP/2, port 15008.
    Hbone,
    /// Either of Istio's two: what is sent in the end is the one that both ends speak, the first
    /// where both speak both.
    IstioEither,
    /// Linkerd's transport header, port 4143.
    LinkerdTransport,
    /// Linkerd on the port of the application.
    LinkerdMtls,
    /// Consul's public listener, port 20000.
    ConsulMtls,
    /// Consul's gateways, port 8443.
    ConsulGateway,
    /// Mutual TLS that a configuration of an Envoy spells out, on the port of the application.
    EnvoyMtls,
    /// TLS of an Envoy that asks for a certificate, checks it where it is shown, and goes on without.
    EnvoyOptional,
    /// TLS of an Envoy that asks for no certificate, or believes every one.
    EnvoyTls,
    /// TLS with certificates that are not the mesh's: what a gateway ends, or passes on by name.
    Foreign,
}

/// What a client sends to some targets.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Which clients.
    pub subjects: Vec<Selection>,
    /// To whom.
    pub to: Target,
    /// To which TCP ports of the server (container ports).
    pub ports: PortSet,
    /// What.
    pub sends: Sends,
    /// In words.
    pub why: String,
    /// Where that stands.
    pub origin: Option<Origin>,
}

/// Calls that somebody in between carries on: one connection from the client to an intermediary, a
/// second from there to the server. Each of the two is carried like any other, by what its own ends
/// send and accept, so the server sees who the intermediary is and not who the client is.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Which clients.
    pub subjects: Vec<Selection>,
    /// Which calls.
    pub to: Target,
    /// Through whom. Nobody there is nobody in between: such calls go straight to the server.
    pub by: Vec<Selection>,
    /// Whether its clients may go around it, by calling the server by its address.
    pub around: Admission,
    /// The policies of `Layer::Relay` that the intermediary holds against such calls, by where they
    /// stand.
    pub guards: Vec<Origin>,
    /// In words.
    pub why: String,
    /// Where that stands.
    pub origin: Option<Origin>,
}

/// Whom a sending or a relay is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everybody, however called.
    Anything,
    /// Whoever is called through one of these services, at this port of the service where one is given.
    Service(Services, Option<u16>),
    /// These endpoints or addresses, however called.
    Peer(Peer),
    /// These endpoints or addresses, called by an address of their own and through no service.
    Address(Peer),
    /// Whoever is called at one of these addresses: the virtual one of a service, or else its own.
    Addressed(AddressSet),
    /// Those of them that these select.
    Among(Box<Target>, Vec<Selection>),
    /// Some of the calls to them: what comes later in the list takes the rest, and both count.
    SomeCallsTo(Box<Target>),
    /// Hosts outside of the cluster; nobody inside is meant.
    Outside(Outside),
}

/// What a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sends {
    /// What the application sends.
    AsIs,
    /// Mesh TLS in this dialect where the server is believed to speak it, as-is otherwise.
    IfAdvertised(Dialect),
    /// The same, decided once for all backends of the service: as-is where one of them does not.
    IfAllAdvertise(Dialect),
    /// Mesh TLS in this dialect where the server is believed to speak it and no other.
    IfOnly(Dialect),
    /// Mesh TLS to everybody.
    Always(Dialect),
    /// TLS of its own, not the mesh's: without a certificate of the client.
    OtherTls,
    /// Plaintext whatever the application sends: the proxy writes the requests itself.
    Plaintext,
    /// The same, and the certificate of the server is not looked at.
    BlindTls,
    /// TLS of its own to a port that is declared for HTTP: a proxy that reads requests there breaks it off.
    OtherTlsOverHttp,
}

/// What comes of a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Meeting {
    /// The protection, or `Refused`.
    pub protection: ExpectedProtection,
    /// Whether the server sees who the client is.
    pub identity: Admission,
    /// The port on the wire, where it is not the application's.
    pub wire: Option<u16>,
}

impl Transport {
    /// Whether no mesh says anything.
    pub fn is_empty(&self) -> bool {
        let Transport { members, accepts, sends, relays, by_address: _ } = self;
        members.is_empty() && accepts.is_empty() && sends.is_empty() && relays.is_empty()
    }

    /// Appends what another engine says; each side keeps its order.
    pub fn extend(&mut self, other: Transport) {
        let Transport { members, accepts, sends, relays, by_address } = other;
        self.members.extend(members);
        self.accepts.extend(accepts);
        self.sends.extend(sends);
        self.relays.extend(relays);
        self.by_address.extend(by_address);
    }

    /// Calls `visit` with every selection that is made.
    pub fn for_each_selection<'a>(&'a self, visit: &mut impl FnMut(&'a Selection)) {
        self.members.iter().flat_map(|member| &member.subjects).for_each(&mut *visit);
        self.accepts.iter().flat_map(|acceptance| &acceptance.subjects).for_each(&mut *visit);
        for sending in &self.sends {
            sending.subjects.iter().for_each(&mut *visit);
            sending.to.among().iter().for_each(&mut *visit);
        }
        self.relays.iter().flat_map(|relay| relay.subjects.iter().chain(&relay.by)).for_each(&mut *visit);
        self.by_address.iter().for_each(&mut *visit);
    }

    /// Calls `visit` with every peer that a target names.
    pub fn for_each_peer<'a>(&'a self, visit: &mut impl FnMut(&'a Peer)) {
        let sent = self.sends.iter().map(|sending| &sending.to);
        for target in sent.chain(self.relays.iter().map(|relay| &relay.to)) {
            if let Target::Peer(peer) | Target::Address(peer) = target.whole() {
                peer.for_each(visit);
            }
        }
    }
}

impl Target {
    /// What is meant before it is narrowed.
    fn whole(&self) -> &Target {
        match self {
            Target::Among(target, _) | Target::SomeCallsTo(target) => target.whole(),
            _ => self,
        }
    }

    /// The selections that narrow it.
    fn among(&self) -> &[Selection] {
        match self {
            Target::Among(_, among) => among,
            Target::SomeCallsTo(target) => target.among(),
            _ => &[],
        }
    }

    /// The same for some of the calls.
    pub fn for_some_calls(self) -> Target {
        match self {
            Target::SomeCallsTo(_) => self,
            whole => Target::SomeCallsTo(Box::new(whole)),
        }
    }
}

impl MeshMode {
    /// Its place among what several meshes say of one endpoint: that it takes part, that it may, that
    /// it does not. Lower ones decide.
    pub fn certainty(self) -> u8 {
        match self {
            MeshMode::Unclear => 1,
            MeshMode::Outside => 2,
            _ => 0,
        }
    }

    /// As reports write it.
    pub fn name(self) -> &'static str {
        match self {
            MeshMode::Outside => "outside of every mesh",
            MeshMode::IstioSidecar => "Istio sidecar",
            MeshMode::IstioAmbient => "Istio ambient",
            MeshMode::IstioGateway => "Istio gateway",
            MeshMode::Linkerd => "Linkerd",
            MeshMode::Consul => "Consul",
            MeshMode::Envoy => "Envoy",
            MeshMode::Unclear => "unclear",
        }
    }
}

impl Dialect {
    /// The port on the wire, where it is not the application's.
    pub fn wire_port(self) -> Option<u16> {
        match self {
            Dialect::Hbone => Some(15_008),
            Dialect::LinkerdTransport => Some(4_143),
            Dialect::ConsulMtls => Some(20_000),
            Dialect::ConsulGateway => Some(8_443),
            Dialect::IstioMtls | Dialect::IstioEither | Dialect::LinkerdMtls | Dialect::Foreign => None,
            Dialect::EnvoyMtls | Dialect::EnvoyOptional | Dialect::EnvoyTls => None,
        }
    }

    /// What is spoken with somebody who speaks `other`.
    pub fn shared_with(self, other: Dialect) -> Option<Dialect> {
        match (self, other) {
            (Dialect::IstioEither, Dialect::IstioEither) => Some(Dialect::IstioMtls),
            (Dialect::IstioEither, one @ (Dialect::IstioMtls | Dialect::Hbone))
            | (one @ (Dialect::IstioMtls | Dialect::Hbone), Dialect::IstioEither) => Some(one),
            (one, other) => (one == other).then_some(one),
        }
    }

    /// Whether a server that ends this dialect ends what a client sends: an Envoy that asks for a
    /// certificate, whatever the protocols that are offered, takes Istio's too.
    fn ends(self, sent: Dialect) -> bool {
        self.shared_with(sent).is_some() || (self == Dialect::EnvoyMtls && sent == Dialect::IstioMtls)
    }
}

impl Accepts {
    /// A server without a proxy: everything reaches the application as it was sent.
    pub const BARE: Accepts = Accepts {
        plaintext: Admission::Admitted,
        terminates: None,
        advertises: None,
        proxied: Admission::Refused,
    };
}

/// What a client sends in the end, once it knows what is advertised.
pub fn choose(sends: Sends, advertises: Option<Dialect>, all_advertise: bool) -> Sends {
    let shared = |dialect: Dialect| advertises.and_then(|advertised| dialect.shared_with(advertised));
    match sends {
        Sends::IfAdvertised(dialect) => shared(dialect).map_or(Sends::AsIs, Sends::Always),
        Sends::IfAllAdvertise(dialect) if all_advertise => {
            shared(dialect).map_or(Sends::Always(dialect), Sends::Always)
        }
        Sends::IfOnly(dialect) if advertises == Some(dialect) => Sends::Always(dialect),
        Sends::IfAllAdvertise(_) | Sends::IfOnly(_) => Sends::AsIs,
        Sends::Always(Dialect::IstioEither) => {
            Sends::Always(shared(Dialect::IstioEither).unwrap_or(Dialect::IstioMtls))
        }
        Sends::AsIs | Sends::OtherTls | Sends::BlindTls | Sends::OtherTlsOverHttp => sends,
        Sends::Plaintext | Sends::Always(_) => sends,
    }
}

/// What comes of what a client sends (after [`choose`]) meeting what a server accepts.
pub fn meet(sends: Sends, accepts: Accepts) -> Meeting {
    use ExpectedProtection::{AppTls, MtlsPermissive, MtlsStrict, Plaintext, Refused, Tls};
    let without_certificate =
        matches!(accepts.terminates, Some(Dialect::EnvoyTls | Dialect::EnvoyOptional | Dialect::Foreign));
    let plain = |protection| match accepts.plaintext {
        Admission::Admitted => protection,
        Admission::Refused => Refused,
    };
    let (protection, identity, wire) = match sends {
        Sends::AsIs | Sends::IfAdvertised(_) | Sends::IfAllAdvertise(_) | Sends::IfOnly(_) => {
            match (accepts.plaintext, without_certificate) {
                // Whoever gets in speaks TLS, and every application can.
                (Admission::Refused, true) => (AppTls, Admission::Refused, None),
                _ => (plain(Plaintext), Admission::Refused, None),
            }
        }
        Sends::Plaintext => (plain(Plaintext), Admission::Refused, None),
        Sends::OtherTls | Sends::BlindTls | Sends::OtherTlsOverHttp if without_certificate => {
            (Tls, Admission::Refused, None)
        }
        // What is not ended here goes on to the application; a server that asks for a certificate refuses.
        Sends::OtherTls | Sends::BlindTls | Sends::OtherTlsOverHttp
            if accepts.terminates == Some(Dialect::EnvoyMtls) =>
        {
            (Refused, Admission::Refused, None)
        }
        Sends::OtherTlsOverHttp if accepts.proxied == Admission::Admitted => {
            (Refused, Admission::Refused, None)
        }
        Sends::OtherTls | Sends::BlindTls | Sends::OtherTlsOverHttp => (plain(Tls), Admission::Refused, None),
        Sends::Always(dialect) if accepts.terminates.is_some_and(|own| own.ends(dialect)) => {
            let protection = match accepts.plaintext {
                Admission::Admitted => MtlsPermissive,
                Admission::Refused => MtlsStrict,
            };
            (protection, Admission::Admitted, dialect.wire_port())
        }
        Sends::Always(Dialect::EnvoyMtls | Dialect::IstioMtls)
            if accepts.terminates == Some(Dialect::EnvoyOptional) =>
        {
            (MtlsPermissive, Admission::Admitted, None)
        }
        Sends::Always(Dialect::EnvoyMtls | Dialect::IstioMtls)
            if accepts.terminates == Some(Dialect::EnvoyTls) =>
        {
            (Tls, Admission::Refused, None)
        }
        // What an Envoy sends is TLS as any other: it goes on to an application that may well end it.
        Sends::Always(Dialect::EnvoyMtls) if accepts.terminates.is_none() => {
            (plain(Tls), Admission::Refused, None)
        }
        // Mesh TLS into a server that does not end it: the application gets bytes that it cannot read.
        Sends::Always(dialect) => (Refused, Admission::Refused, dialect.wire_port()),
    };
    Meeting { protection, identity, wire }
}

#[cfg(test)]
mod tests;
