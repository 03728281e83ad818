//! Which ports of a server matter when one word is wanted for all that may travel to it.
//!
//! What containers declare (`containers[].ports`) and what services lead to (`targetPort`) matters.
//! Ports that the proxies of a mesh open for themselves, and ports that nobody declares, stand
//! beside it: their protection is told, and does not decide the word.

use super::build::AllowedGraph;
use super::classes::{ClassId, Classes};
use super::expected::Expected;
use super::mesh::Mesh;
use crate::inventory::{Inventory, Service, Variant};
use crate::model::TrafficSet;
use std::collections::BTreeMap;

/// The ports of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Declared {
    /// What containers and services name, without the mesh's own ports.
    ports: TrafficSet,
    /// What the mesh's proxies open for themselves.
    own: TrafficSet,
}

/// How a part of some traffic stands to the ports of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// A container or a service names these ports.
    Declared,
    /// Nobody names them.
    Undeclared,
    /// The mesh's proxies open them for themselves.
    OfMesh,
}

impl Standing {
    /// The word of the graph's JSON.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Declared => "declared",
            Standing::Undeclared => "undeclared",
            Standing::OfMesh => "mesh",
        }
    }
}

impl Declared {
    /// The part of some traffic that decides the word for all of it: declared ports of every
    /// protocol; where there are none, TCP without the mesh's own ports; failing that, everything.
    pub fn deciding(&self, traffic: &TrafficSet) -> TrafficSet {
        let declared = traffic.intersection(&self.ports);
        if !declared.is_empty() {
            return declared;
        }
        let tcp = TrafficSet { tcp: traffic.tcp.clone(), ..TrafficSet::none() }.difference(&self.own);
        if tcp.is_empty() { traffic.clone() } else { tcp }
    }

    /// Whether neither a container nor a service names a port.
    pub fn names_nothing(&self) -> bool {
        self.ports.is_empty()
    }

    /// Whether a container or a service names one of these ports.
    pub fn names_some_of(&self, traffic: &TrafficSet) -> bool {
        !traffic.intersection(&self.ports).is_empty()
    }

    /// Some traffic, cut by how it stands; empty parts are left out.
    pub fn parts(&self, traffic: &TrafficSet) -> Vec<(TrafficSet, Standing)> {
        let declared = traffic.intersection(&self.ports);
        let rest = traffic.difference(&declared);
        let own = rest.intersection(&self.own);
        let undeclared = rest.difference(&own);
        let all =
            [(declared, Standing::Declared), (undeclared, Standing::Undeclared), (own, Standing::OfMesh)];
        all.into_iter().filter(|(part, _)| !part.is_empty()).collect()
    }

    /// The expectation for a whole edge: the weakest at the ports that decide; refused where the ends
    /// refuse all that is declared, whatever else may travel. `None` where no part is given.
    pub fn word<'a>(
        &self,
        carried: impl Iterator<Item = (&'a TrafficSet, Expected)> + Clone,
        refused: impl Iterator<Item = (&'a TrafficSet, Expected)> + Clone,
    ) -> Option<Expected> {
        let traffic = carried.clone().fold(TrafficSet::none(), |all, (part, _)| all.union(part));
        if !traffic.is_empty() && traffic.intersection(&self.ports).is_empty() {
            let meant = refused.clone().filter(|(part, _)| !part.intersection(&self.ports).is_empty());
            if let Some(refusal) = meant.map(|(_, expected)| expected).reduce(Expected::and) {
                return Some(refusal);
            }
        }
        if traffic.is_empty() {
            return refused.map(|(_, expected)| expected).reduce(Expected::and);
        }
        let deciding = self.deciding(&traffic);
        let counts = carried.filter(|(part, _)| !part.intersection(&deciding).is_empty());
        counts.map(|(_, expected)| expected).reduce(Expected::and)
    }

    /// Both together: what either declares.
    pub(super) fn with(&self, other: &Declared) -> Declared {
        let (ports, own) = (self.ports.union(&other.ports), self.own.union(&other.own));
        Declared { ports, own }
    }

    fn without_own(self) -> Declared {
        Declared { ports: self.ports.difference(&self.own), own: self.own }
    }
}

/// The ports of all servers, where a mesh was read or nodes encrypt; empty elsewhere, where nothing
/// asks for them.
#[derive(Debug, Default)]
pub(super) struct DeclaredPorts {
    of_workload: Vec<Declared>,
    of_class: Vec<Declared>,
}

impl DeclaredPorts {
    pub fn build(inventory: &Inventory, classes: &Classes, mesh: &Mesh, over_nodes: bool) -> DeclaredPorts {
        if mesh.is_empty() && !over_nodes {
            return DeclaredPorts::default();
        }
        let mut services: BTreeMap<&str, Vec<&Service>> = BTreeMap::new();
        for service in &inventory.services {
            services.entry(&service.namespace).or_default().push(service);
        }
        let mut of_class = vec![Declared::default(); classes.classes.len()];
        let mut of_workload = Vec::with_capacity(inventory.workloads.len());
        for (workload, numbers) in inventory.workloads.iter().zip(&classes.of_variant) {
            let services = services.get(workload.name.namespace.as_str()).map_or(&[][..], Vec::as_slice);
            let mut all = Declared::default();
            for (variant, class) in workload.variants.iter().zip(numbers) {
                let own = mesh.member(*class).map_or_else(TrafficSet::none, |m| m.mode.own_ports());
                let one = Declared { ports: ports(variant, services), own }.without_own();
                all = all.with(&one);
                let known = &mut of_class[*class as usize];
                *known = known.with(&one);
            }
            of_workload.push(all);
        }
        DeclaredPorts { of_workload, of_class }
    }

    pub fn of_workload(&self, workload: usize) -> Declared {
        self.of_workload.get(workload).cloned().unwrap_or_default()
    }

    pub fn of_class(&self, class: ClassId) -> Declared {
        self.of_class.get(class as usize).cloned().unwrap_or_default()
    }
}

fn ports(variant: &Variant, services: &[&Service]) -> TrafficSet {
    let own = variant.ports.iter().map(|port| TrafficSet::port(port.protocol, port.port));
    let selects = |service: &&&Service| service.selector.as_ref().is_some_and(|s| s.matches(&variant.labels));
    let led = services.iter().filter(selects).flat_map(|service| &service.ports).flat_map(|port| {
        port.targets(variant).into_iter().map(|target| TrafficSet::port(port.protocol, target))
    });
    own.chain(led).fold(TrafficSet::none(), |all, one| all.union(&one))
}

impl AllowedGraph {
    /// The ports of a workload, where a mesh was read; none elsewhere.
    pub fn declared_by(&self, workload: usize) -> Declared {
        self.declared.of_workload(workload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::WhyExpected;
    use crate::model::{ExpectedProtection, PortSet, Protocol};

    fn tcp(first: u16, last: u16) -> TrafficSet {
        TrafficSet::of(Protocol::Tcp, PortSet::range(first, last))
    }

    fn expected(protection: ExpectedProtection) -> Expected {
        Expected { protection, why: WhyExpected::Mesh { sends: None, accepts: None, via: None } }
    }

    fn word(declared: &Declared, carried: &[(TrafficSet, ExpectedProtection)]) -> ExpectedProtection {
        let parts = carried.iter().map(|(traffic, protection)| (traffic, expected(*protection)));
        declared.word(parts, std::iter::empty()).expect("some part").protection
    }

    #[test]
    fn declared_ports_decide_and_the_rest_is_told_beside() {
        use ExpectedProtection::{MtlsStrict, Plaintext, Unknown};
        let declared = Declared { ports: tcp(8080, 8080), own: tcp(4190, 4191) };
        let parts = [
            (tcp(1, 4189).union(&tcp(4192, 65535)), MtlsStrict),
            (tcp(4190, 4191), Plaintext),
            (TrafficSet::of(Protocol::Udp, PortSet::all()), Unknown),
        ];
        assert_eq!(word(&declared, &parts), MtlsStrict);
        let nothing_declared = Declared { ports: TrafficSet::none(), ..declared.clone() };
        assert_eq!(word(&nothing_declared, &parts), MtlsStrict);
        assert_eq!(word(&declared, &parts[1..2]), Plaintext);
        assert_eq!(word(&declared, &parts[2..]), Unknown);
    }

    #[test]
    fn no_plaintext_at_a_declared_port_is_passed_over() {
        use ExpectedProtection::{MtlsStrict, Plaintext, Unknown};
        let declared = Declared { ports: tcp(8080, 8081), own: TrafficSet::none() };
        let parts = [(tcp(8080, 8080), MtlsStrict), (tcp(8081, 8081), Plaintext)];
        assert_eq!(word(&declared, &parts), Plaintext);
        let dns = Declared { ports: TrafficSet::port(Protocol::Udp, 53).union(&tcp(53, 53)), ..declared };
        let parts = [(tcp(1, 65535), MtlsStrict), (TrafficSet::port(Protocol::Udp, 53), Unknown)];
        assert_eq!(word(&dns, &parts), Unknown);
    }

    #[test]
    fn refused_where_all_that_is_declared_is_refused() {
        use ExpectedProtection::{Plaintext, Refused, Unknown};
        let declared = Declared { ports: tcp(8080, 8080), own: tcp(4191, 4191) };
        let udp = TrafficSet::of(Protocol::Udp, PortSet::all());
        let open = tcp(4191, 4191);
        let refused = tcp(1, 4190).union(&tcp(4192, 65535));
        let word = |ports: &Declared| {
            let carried = [(&udp, expected(Unknown)), (&open, expected(Plaintext))];
            let refused = [(&refused, expected(Refused))];
            ports.word(carried.into_iter(), refused.into_iter()).expect("some part").protection
        };
        assert_eq!(word(&declared), Refused);
        // Where nothing is declared, what passes decides.
        assert_eq!(word(&Declared { ports: TrafficSet::none(), ..declared }), Plaintext);
    }
}
