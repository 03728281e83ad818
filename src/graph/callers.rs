//! Clients that are one to a server: what the network and the meshes make of their calls is the
//! same, so that one of them is asked for all.
//!
//! Edges of meshes cost a hundred times what this comparison does.

use super::build::AllowedGraph;
use super::classes::{ClassId, PeerId};
use super::edge::{Edge, Exemption};
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::sync::{Mutex, PoisonError};

/// Answers that are remembered of one server: beyond them each is asked anew, to bound memory.
const MOST_REMEMBERED: usize = 128;

/// What decides on an edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Deciding {
    /// What meshes see of the client, whatever it calls.
    client: u32,
    /// The decisions at both ends.
    network: [usize; 2],
    exemption: Exemption,
    /// Whether each rule of the mesh's policies for the server names the client, and whether it does
    /// where nobody knows who calls.
    named: SmallVec<[bool; 16]>,
}

/// Tells clients apart.
#[derive(Debug)]
pub struct Callers<'a> {
    graph: &'a AllowedGraph,
    clients: Vec<u32>,
}

impl<'a> Callers<'a> {
    /// Of a graph that stands.
    pub fn of(graph: &'a AllowedGraph) -> Callers<'a> {
        Callers { graph, clients: graph.alike_to_relays() }
    }

    pub(super) fn deciding(&self, from: PeerId, to: ClassId) -> Deciding {
        let graph = self.graph;
        let rules =
            graph.mesh_policies(to).iter().flat_map(|policy| graph.policies[*policy as usize].rules.clone());
        let holds = |peers: &[PeerId]| peers.binary_search(&from).is_ok();
        let named = rules.flat_map(|rule| {
            let known = graph.rules[rule as usize].matches.as_deref().is_none_or(holds);
            [known, graph.mesh.unproven.get(&rule).map_or(known, |peers| holds(peers))]
        });
        Deciding {
            client: self.clients[from as usize],
            network: graph.decided_by(from, to),
            exemption: graph.exemption(from, to),
            named: named.collect(),
        }
    }

    /// The clients of a server in the cluster, with the edge that they have in common: in the order
    /// of the first of each, itself not among them.
    pub fn groups(&self, to: ClassId) -> Vec<(Vec<ClassId>, Edge<'a>)> {
        let mut places: HashMap<Deciding, usize> = HashMap::new();
        let mut groups: Vec<Vec<ClassId>> = Vec::new();
        let classes = (0..).zip(self.graph.classes());
        for (from, _) in classes.filter(|(from, class)| *from != to && !class.members.is_empty()) {
            let place = *places.entry(self.deciding(from, to)).or_insert(groups.len());
            match groups.get_mut(place) {
                Some(group) => group.push(from),
                None => groups.push(vec![from]),
            }
        }
        groups
            .into_iter()
            .map(|group| (group[0], group))
            .map(|(first, g)| (g, self.graph.edge(first, to)))
            .collect()
    }
}

/// What was found out of edges: asked once for clients that are one to a server.
#[derive(Debug)]
pub struct Known<'a, T> {
    graph: &'a AllowedGraph,
    /// Where no mesh has a say, asking is as cheap as remembering.
    meshed: Option<Remembered<'a, T>>,
}

#[derive(Debug)]
struct Remembered<'a, T> {
    callers: Callers<'a>,
    servers: Vec<Mutex<HashMap<Deciding, T>>>,
}

impl<'a, T: Clone> Known<'a, T> {
    /// Nothing yet.
    pub fn of(graph: &'a AllowedGraph) -> Known<'a, T> {
        let meshed = (!graph.mesh.is_empty()).then(|| Remembered {
            callers: Callers::of(graph),
            servers: graph.classes().iter().map(|_| Mutex::default()).collect(),
        });
        Known { graph, meshed }
    }

    /// What holds of a pair.
    pub fn get(&self, from: PeerId, to: PeerId, ask: impl FnOnce(&AllowedGraph) -> T) -> T {
        let remembered =
            self.meshed.as_ref().and_then(|meshed| Some((meshed, meshed.servers.get(to as usize)?)));
        let Some((Remembered { callers, .. }, server)) = remembered else { return ask(self.graph) };
        let deciding = callers.deciding(from, to);
        let known = || server.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(&deciding) {
            return found.clone();
        }
        let found = ask(self.graph);
        let mut known = known();
        if known.len() < MOST_REMEMBERED {
            known.insert(deciding, found.clone());
        }
        found
    }
}
