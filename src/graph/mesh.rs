//! What meshes say, resolved to classes: who is in, who takes, sends and relays what, and whose
//! policies count. What comes of it for one connection is left to `mesh_edge`.
//!
//! Nothing here names a mesh; `policy/transport` decides.

use super::backing::{Backing, Spoken};
use super::build::{AllowedGraph, PolicyInfo};
use super::classes::{ClassId, Classes, PeerId};
use super::meant::{Called, Fit, Meant};
use super::mesh_edge::Way;
use crate::inventory::{Inventory, Network};
use crate::model::{ExpectedProtection, Origin, PortSet, Protocol, TrafficSet};
use crate::policy::transport::{Holds, Meeting, choose, meet};
use crate::policy::{
    Acceptance, Accepts, Admission, Dialect, Layer, Membership, MeshMode, Relay, Selection, Sends, Target,
    Transport,
};
use std::collections::{BTreeMap, BTreeSet};

/// What meshes say, resolved to classes.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    pub transport: Transport,
    /// For each class: what selects it, by position in the lists of `transport`, in order.
    members: Vec<Option<u32>>,
    accepts: Vec<Vec<u32>>,
    sends: Vec<Vec<u32>>,
    /// For each sending: the services or peers that it means.
    targets: Vec<Meant>,
    called: Called,
    relays: Vec<Relayed>,
    /// For each class: the relays that carry on what it sends, by number, in order.
    relayed_by: Vec<Vec<u32>>,
    /// Who carries on what others call.
    between: BTreeSet<ClassId>,
    /// Classes of machines.
    machines: BTreeSet<ClassId>,
    /// Classes of servers that may be called by address as well (`Transport::by_address`).
    pub by_address: BTreeSet<ClassId>,
    /// For each class: the policies of mesh layers that select it, by number.
    pub policies: Vec<Vec<u32>>,
    /// How many times a policy of a mesh layer selects a class.
    governed: usize,
    /// For rules that ask who calls: whom they match where nobody knows.
    pub unproven: BTreeMap<u32, Vec<PeerId>>,
    /// For each service that meshes know: the classes behind it.
    backends: BTreeMap<u32, Vec<ClassId>>,
}

/// A relay: its clients, the calls that it means, who carries them on, and the policies that are
/// held against them there, by number.
#[derive(Debug)]
struct Relayed {
    clients: BTreeSet<ClassId>,
    calls: Meant,
    by: BTreeSet<ClassId>,
    guards: Vec<u32>,
}

/// What comes of a meeting, with the acceptance and the sending behind it, by number.
pub(super) type Carried = (Meeting, Option<u32>, Option<u32>);

fn weaker(a: Carried, b: Carried) -> Carried {
    if b.0 > a.0 { b } else { a }
}

impl Mesh {
    pub fn build(transport: Transport, classes: &Classes, inventory: &Inventory) -> Mesh {
        let count = classes.classes.len();
        let mut mesh =
            Mesh { members: vec![None; count], policies: vec![Vec::new(); count], ..Mesh::default() };
        (mesh.accepts, mesh.sends) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        let selected = |subjects: &[Selection]| -> BTreeSet<ClassId> {
            subjects.iter().flat_map(|selection| classes.selected(selection)).copied().collect()
        };
        // Each mesh knows its own members alone: whom one leaves out, another may have in.
        let mut members: Vec<(u32, &Membership)> = (0..).zip(&transport.members).collect();
        members.sort_by_key(|(_, member)| member.mode.certainty());
        for (number, member) in members {
            for class in selected(&member.subjects) {
                mesh.members[class as usize].get_or_insert(number);
            }
        }
        for (number, acceptance) in (0..).zip(&transport.accepts) {
            for class in selected(&acceptance.subjects) {
                mesh.accepts[class as usize].push(number);
            }
        }
        for (number, sending) in (0..).zip(&transport.sends) {
            for class in selected(&sending.subjects) {
                mesh.sends[class as usize].push(number);
            }
        }
        let meant = |target: &Target| Meant::of(target, classes, inventory);
        mesh.targets = transport.sends.iter().map(|sending| meant(&sending.to)).collect();
        let relays = transport.relays.iter().map(|relay| Relayed {
            clients: selected(&relay.subjects),
            calls: meant(&relay.to),
            by: selected(&relay.by),
            guards: Vec::new(),
        });
        mesh.relays = relays.collect();
        mesh.relayed_by = vec![Vec::new(); count];
        for (number, relay) in (0..).zip(&mesh.relays) {
            relay.clients.iter().for_each(|client| mesh.relayed_by[*client as usize].push(number));
            mesh.between.extend(&relay.by);
        }
        mesh.by_address = selected(&transport.by_address);
        mesh.called = Called::new(&mesh.targets, classes, inventory);
        for (class, one) in (0..).zip(&classes.classes) {
            if one.network == Network::Machine {
                mesh.machines.insert(class);
            }
            for backing in &one.backs {
                mesh.backends.entry(backing.service).or_default().push(class);
            }
        }
        mesh.transport = transport;
        mesh
    }

    /// Whether nobody says anything.
    pub fn is_empty(&self) -> bool {
        self.governed == 0 && self.transport.is_empty()
    }

    /// Notes that a policy of a mesh layer selects a class.
    pub fn govern(&mut self, class: ClassId, policy: u32) {
        self.policies[class as usize].push(policy);
        self.governed += 1;
    }

    pub fn member(&self, class: ClassId) -> Option<&Membership> {
        let number = (*self.members.get(class as usize)?)?;
        self.transport.members.get(number as usize)
    }

    /// Notes a policy of `Layer::Relay` at the relays that hold it against what they carry.
    pub fn guard(&mut self, policy: u32, origin: &Origin) {
        for (relayed, relay) in self.relays.iter_mut().zip(&self.transport.relays) {
            if relay.guards.contains(origin) {
                relayed.guards.push(policy);
            }
        }
    }

    /// The policies that a relay holds against what it carries, by number.
    pub fn guards(&self, relay: u32) -> &[u32] {
        &self.relays[relay as usize].guards
    }

    /// Who carries on what a relay means.
    pub fn intermediaries(&self, relay: u32) -> &BTreeSet<ClassId> {
        &self.relays[relay as usize].by
    }

    /// The relay of a call; `None` where it goes straight to the server. Who is in between for
    /// others has nobody before itself.
    fn relay(&self, from: PeerId, to: ClassId, call: Option<Backing>) -> Option<u32> {
        if self.between.contains(&to) {
            return None;
        }
        let own = self.relayed_by.get(from as usize)?;
        let means =
            |number: &&u32| self.relays[**number as usize].calls.fit(to, call, &self.called) != Fit::None;
        let found = *own.iter().find(means)?;
        (!self.relays[found as usize].by.is_empty()).then_some(found)
    }

    /// The ways to call a port of a server: through each service in front of it, and by address where
    /// there is none. Where somebody carries calls on and clients may go around, that is a way too.
    pub fn ways(&self, from: PeerId, to: ClassId, port: u16, backs: &[Backing]) -> Vec<Way> {
        let way = |call| Way { call, relay: self.relay(from, to, call) };
        let through =
            backs.iter().filter(|backing| backing.target == port).map(|backing| way(Some(*backing)));
        let (mut ways, by_address): (Vec<Way>, Way) = (through.collect(), way(None));
        let around = |relay: u32| self.transport.relays[relay as usize].around == Admission::Admitted;
        let avoidable = ways.iter().chain([&by_address]).filter_map(|way| way.relay).any(around);
        if ways.is_empty() || avoidable {
            ways.push(by_address);
        }
        ways
    }

    /// The sendings that select a peer, by position in `Transport::sends`, in order.
    pub(super) fn sendings(&self, peer: PeerId) -> &[u32] {
        self.sends.get(peer as usize).map_or(&[], Vec::as_slice)
    }

    /// The relays that carry on what a peer sends, by number, each with who does.
    pub(super) fn relays_of(&self, peer: PeerId) -> impl Iterator<Item = (u32, &BTreeSet<ClassId>)> {
        let own = self.relayed_by.get(peer as usize).into_iter().flatten();
        own.map(|number| (*number, &self.relays[*number as usize].by))
    }

    pub fn is_in(&self, class: ClassId) -> bool {
        self.member(class).is_some_and(|member| member.mode != MeshMode::Outside)
    }

    pub fn is_unclear(&self, class: ClassId) -> bool {
        self.member(class).is_some_and(|member| member.mode == MeshMode::Unclear)
    }

    /// What a server takes on a port, or may take, each with the acceptance behind it: the first that
    /// surely counts, and those before it.
    fn accepted(&self, class: ClassId, port: u16) -> Vec<(Accepts, Option<u32>)> {
        let list = self.accepts.get(class as usize).map_or(&[][..], Vec::as_slice);
        let mut found = Vec::new();
        for number in list {
            let acceptance = &self.transport.accepts[*number as usize];
            if !acceptance.ports.contains(port) {
                continue;
            }
            found.push((acceptance.accepts, Some(*number)));
            if acceptance.holds == Holds::Surely {
                return found;
            }
        }
        found.push((Accepts::BARE, None));
        found
    }

    /// Whether a proxy of a server sees what comes to a port, whatever counts there.
    pub fn is_proxied(&self, class: ClassId, port: u16) -> Admission {
        let passed_by = |(accepts, _): &(Accepts, _)| accepts.proxied == Admission::Refused;
        match self.accepted(class, port).iter().any(passed_by) {
            true => Admission::Refused,
            false => Admission::Admitted,
        }
    }

    /// What a client sends to a server's port when it calls it through a service, or by its address:
    /// the first sending that takes all such calls, and those before it that take some.
    fn sent(&self, from: PeerId, to: ClassId, port: u16, call: Option<Backing>) -> Vec<(Sends, Option<u32>)> {
        let list = self.sends.get(from as usize).map_or(&[][..], Vec::as_slice);
        let mut found = Vec::new();
        for number in list {
            let sending = &self.transport.sends[*number as usize];
            if !sending.ports.contains(port) {
                continue;
            }
            match self.targets[*number as usize].fit(to, call, &self.called) {
                Fit::None => {}
                Fit::Some => found.push((sending.sends, Some(*number))),
                Fit::All => {
                    found.push((sending.sends, Some(*number)));
                    return found;
                }
            }
        }
        found.push((Sends::AsIs, None));
        found
    }

    /// Whether every endpoint behind a service advertises a dialect for all of its ports.
    fn all_advertise(&self, service: u32, dialect: Dialect) -> bool {
        let classes = self.backends.get(&service).map_or(&[][..], Vec::as_slice);
        let whole = |class: &ClassId| {
            let mut list = self.accepts[*class as usize].iter().map(|n| &self.transport.accepts[*n as usize]);
            list.find(|acceptance| acceptance.ports.is_all())
                .is_some_and(|a| a.accepts.advertises.is_some_and(|own| own.shared_with(dialect).is_some()))
        };
        !classes.is_empty() && classes.iter().all(whole)
    }

    /// Whether a proxy stands before every endpoint behind a service, on some port at least.
    fn all_proxied(&self, service: u32) -> bool {
        let is_proxied = |class: &ClassId| {
            let mut list = self.accepts[*class as usize].iter();
            list.any(|n| self.transport.accepts[*n as usize].accepts.proxied == Admission::Admitted)
        };
        self.backends.get(&service).is_some_and(|classes| classes.iter().all(is_proxied))
    }

    /// Whether machines are among the endpoints behind a service.
    fn has_machines(&self, service: u32) -> bool {
        let classes = self.backends.get(&service).map_or(&[][..], Vec::as_slice);
        classes.iter().any(|class| self.machines.contains(class))
    }

    /// What a client sends in the end. Where proxies stand before all endpoints of a service and not all
    /// of them take mutual TLS, what decides for all of them may have looked at the proxies alone; and it
    /// may not know of machines.
    fn chosen(&self, sends: Sends, accepts: Accepts, call: Option<Backing>) -> Vec<Sends> {
        let one = |all| choose(sends, accepts.advertises, all);
        match (sends, call) {
            (Sends::IfAllAdvertise(dialect), Some(call)) => {
                let all = self.all_advertise(call.service, dialect);
                let is_open = self.has_machines(call.service) || (!all && self.all_proxied(call.service));
                if is_open { vec![one(true), one(false)] } else { vec![one(all)] }
            }
            _ => vec![one(false)],
        }
    }

    /// How one port is carried: the weakest over the ways to call it, refused where all are.
    pub fn carried(&self, from: PeerId, to: ClassId, port: u16, calls: &[Option<Backing>]) -> Carried {
        let all = self.meetings(from, to, port, calls).into_iter();
        let as_is = || {
            let accepted = self.accepted(to, port).into_iter();
            accepted
                .map(|(accepts, acceptance)| (meet(Sends::AsIs, accepts), acceptance, None))
                .reduce(weaker)
        };
        all.reduce(weaker).or_else(as_is).unwrap_or((meet(Sends::AsIs, Accepts::BARE), None, None))
    }

    /// The same over the ways that get there and on which the client proves itself, or does not.
    pub fn carried_as(
        &self,
        from: PeerId,
        to: ClassId,
        port: u16,
        calls: &[Option<Backing>],
        identity: Admission,
    ) -> Option<Carried> {
        let open = |(meeting, ..): &Carried| {
            meeting.identity == identity && meeting.protection != ExpectedProtection::Refused
        };
        self.meetings(from, to, port, calls).into_iter().filter(open).reduce(weaker)
    }

    /// What comes of each way.
    fn meetings(&self, from: PeerId, to: ClassId, port: u16, calls: &[Option<Backing>]) -> Vec<Carried> {
        let accepted = self.accepted(to, port);
        let ways = calls.iter().flat_map(|call| {
            let sent = self.sent(from, to, port, *call);
            sent.into_iter().map(move |(sends, sending)| (call, sends, sending))
        });
        let ways = ways.flat_map(|(call, sends, sending)| {
            accepted.iter().flat_map(move |(accepts, acceptance)| {
                let chosen = self.chosen(sends, *accepts, *call).into_iter();
                chosen.map(move |sends| (call, sends, sending, *accepts, *acceptance))
            })
        });
        ways.map(|(call, sends, sending, accepts, acceptance)| {
            let mut meeting = meet(sends, accepts);
            // What is passed on as it is, is TLS where the service declares that the ends speak it.
            if meeting.protection == ExpectedProtection::Plaintext
                && call.is_some_and(|c| c.spoken == Spoken::Tls)
            {
                meeting.protection = ExpectedProtection::AppTls;
            }
            (meeting, acceptance, sending)
        })
        .collect()
    }

    /// The ports of a pair, cut so that each part is carried in one way by whoever may carry it.
    pub fn parts(&self, from: PeerId, to: ClassId, backs: &[Backing]) -> Vec<PortSet> {
        let accepts = self.accepts.get(to as usize).into_iter().flatten();
        let relays = self.relays_of(from);
        let between: BTreeSet<PeerId> = relays.flat_map(|(_, by)| by).copied().chain([from]).collect();
        let sends = between.iter().filter_map(|peer| self.sends.get(*peer as usize)).flatten();
        let single = |backing: &Backing| PortSet::range(backing.target, backing.target);
        let mut cuts: BTreeSet<PortSet> = backs.iter().map(single).collect();
        cuts.extend(accepts.map(|n| self.transport.accepts[*n as usize].ports.clone()));
        cuts.extend(sends.map(|n| self.transport.sends[*n as usize].ports.clone()));
        let split = |parts: Vec<PortSet>, cut: &PortSet| -> Vec<PortSet> {
            let both = parts.iter().flat_map(|part| [part.intersection(cut), part.difference(cut)]);
            both.filter(|part| !part.is_empty()).collect()
        };
        cuts.iter().fold(vec![PortSet::all()], split)
    }
}

impl AllowedGraph {
    /// How an endpoint takes part in a mesh; `None` where no mesh was read or none speaks of it.
    pub fn membership(&self, class: ClassId) -> Option<&Membership> {
        self.mesh.member(class)
    }

    /// What somebody in between, who holds policies against it, carries to a server, with the first
    /// relay that says so; `None` where there is nobody.
    pub fn guarded(&self, server: ClassId) -> Option<(TrafficSet, &Relay)> {
        let mesh = &self.mesh;
        let backs = &self.class(server)?.backs;
        let mut found: Option<(PortSet, &Relay)> = None;
        for (relayed, relay) in mesh.relays.iter().zip(&mesh.transport.relays) {
            if relayed.guards.is_empty() || relayed.by.is_empty() || relayed.by.contains(&server) {
                continue;
            }
            let through = backs
                .iter()
                .filter(|backing| relayed.calls.fit(server, Some(**backing), &mesh.called) != Fit::None);
            let ports = match relayed.calls.fit(server, None, &mesh.called) {
                Fit::All | Fit::Some => PortSet::all(),
                Fit::None => through.fold(PortSet::none(), |all, backing| {
                    all.union(&PortSet::range(backing.target, backing.target))
                }),
            };
            if !ports.is_empty() {
                let (known, first) = found.unwrap_or((PortSet::none(), relay));
                found = Some((known.union(&ports), first));
            }
        }
        found.map(|(ports, relay)| (TrafficSet::of(Protocol::Tcp, ports), relay))
    }

    /// Whether an endpoint carries on what others call.
    pub fn is_intermediary(&self, class: ClassId) -> bool {
        self.mesh.between.contains(&class)
    }

    /// Whether a mesh has a say in what an endpoint sends or takes.
    pub(super) fn is_meshed(&self, class: ClassId) -> bool {
        self.mesh.is_in(class) || self.mesh.policies.get(class as usize).is_some_and(|all| !all.is_empty())
    }

    /// Numbers of the policies of mesh layers that select an endpoint.
    pub(super) fn mesh_policies(&self, class: ClassId) -> &[u32] {
        self.mesh.policies.get(class as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether proxies enforce a policy, and not the network.
    pub fn is_of_mesh(&self, policy: &PolicyInfo) -> bool {
        is_of_proxies(self.tiers[policy.tier as usize].layer)
    }

    /// The acceptances that select an endpoint, in the order in which they are asked.
    pub fn acceptances(&self, class: ClassId) -> impl Iterator<Item = &Acceptance> {
        let numbers = self.mesh.accepts.get(class as usize).map_or(&[][..], Vec::as_slice);
        numbers.iter().map(|number| &self.mesh.transport.accepts[*number as usize])
    }

    /// The sendings that select an endpoint, by their number, in the order in which they are asked.
    pub(super) fn sends_of(&self, class: ClassId) -> &[u32] {
        self.mesh.sends.get(class as usize).map_or(&[], Vec::as_slice)
    }

    /// What meshes say on transport, for the reasons of a leg.
    pub fn transport(&self) -> &Transport {
        &self.mesh.transport
    }
}

/// Whether proxies ask the tiers of a layer, for single connections, and not the network.
pub(super) fn is_of_proxies(layer: Layer) -> bool {
    matches!(layer, Layer::Mesh | Layer::Relay)
}
