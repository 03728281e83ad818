//! Clusters: where they lead, endpoint by endpoint, and how each endpoint is spoken to.

use super::super::{Peer, ServiceChoice, Services, Target};
use super::directory::Directory;
use super::listener::is_loopback;
use super::tls::{self, Client};
use super::view::View;
use super::who;
use super::wire::{any, has, typed};
use crate::model::{AddressRange, Bend, Gap, Node, Origin, PortSet, Requirement, Selector, fact, proxy};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One endpoint of a cluster, or everything that it may lead to.
#[derive(Clone, Debug)]
pub struct Way<'a> {
    /// The cluster.
    pub cluster: String,
    /// To whom; `None` for a process beside the proxy.
    pub to: Option<Target>,
    /// To which ports.
    pub ports: PortSet,
    /// How.
    pub client: Client<'a>,
    /// Where that stands.
    pub origin: Origin,
}

/// Internal listeners may lead to each other; longer chains than this are no configuration.
const DEEPEST: usize = 4;

/// The ways of one cluster.
pub fn ways<'a>(
    view: &View<'a>,
    directory: &Directory,
    path: &str,
    cluster: &'a Node,
    gaps: &mut Vec<Gap>,
) -> Vec<Way<'a>> {
    let mut found = Vec::new();
    Reader { view, directory, gaps, depth: 0 }.cluster(path, cluster, &mut found);
    found
}

struct Reader<'r, 'a> {
    view: &'r View<'a>,
    directory: &'r Directory,
    gaps: &'r mut Vec<Gap>,
    depth: usize,
}

impl<'a> Reader<'_, 'a> {
    fn cluster(&mut self, path: &str, cluster: &'a Node, found: &mut Vec<Way<'a>>) {
        let name = cluster.text_of("name").unwrap_or_default();
        let custom =
            cluster.get("cluster_type").map(|kind| (typed(kind), kind.text_of("name").unwrap_or_default()));
        let kind = cluster.text_of("type").unwrap_or("STATIC");
        let anywhere = kind == "ORIGINAL_DST"
            || custom.is_some_and(|(_, name)| {
                name.contains("dynamic_forward_proxy") || name.contains("original_dst")
            });
        if anywhere {
            let client = tls::client(cluster.get("transport_socket"), self.view);
            found.push(Way {
                cluster: name.to_owned(),
                to: Some(Target::Anything),
                ports: PortSet::all(),
                client,
                origin: self.view.at(path, cluster),
            });
            return;
        }
        if let Some((custom, _)) = custom.filter(|(custom, _)| custom.is("aggregate.v3.ClusterConfig")) {
            let names = custom.body.items_of("clusters").iter().filter_map(Node::text);
            for (path, inner) in names.filter_map(|name| self.view.cluster(name)) {
                let path = path.to_owned();
                self.deeper(|reader| reader.cluster(&path, inner, found));
            }
            return;
        }
        let given = self.assignments(name, cluster);
        if given.is_empty() {
            // BlackHoleCluster of Istio has no endpoint on purpose.
            if kind == "EDS" {
                let what =
                    format!("the endpoints of cluster {name:?} come from elsewhere (EDS) and were not read");
                self.gaps.push(Gap {
                    what,
                    origin: self.view.at(path, cluster),
                    bends: Bend::MayMissTraffic,
                });
            }
            return;
        }
        for assignment in given {
            for locality in assignment.items_of("endpoints") {
                for (index, endpoint) in locality.items_of("lb_endpoints").iter().enumerate() {
                    let path = format!("{path}.lb_endpoints[{index}]");
                    self.endpoint(&path, name, cluster, endpoint, locality, found);
                }
            }
        }
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self)) {
        if self.depth < DEEPEST {
            self.depth += 1;
            read(self);
            self.depth -= 1;
        }
    }

    fn assignments(&self, name: &str, cluster: &'a Node) -> Vec<&'a Node> {
        let own = cluster.get("load_assignment").filter(|own| !own.items_of("endpoints").is_empty());
        let service = cluster.path(&["eds_cluster_config", "service_name"]).and_then(Node::text);
        let delivered =
            [service, Some(name)].into_iter().flatten().find_map(|name| self.view.endpoints.get(name));
        own.into_iter().chain(delivered.into_iter().flatten().copied()).collect()
    }

    fn endpoint(
        &mut self,
        path: &str,
        name: &str,
        cluster: &'a Node,
        endpoint: &'a Node,
        locality: &'a Node,
        found: &mut Vec<Way<'a>>,
    ) {
        let Some(address) = endpoint.path(&["endpoint", "address"]) else { return };
        let origin = self.view.at(path, endpoint);
        let socket = socket_for(cluster, endpoint, locality);
        let client = tls::client(socket, self.view);
        if let Some(internal) =
            address.path(&["envoy_internal_address", "server_listener_name"]).and_then(Node::text)
        {
            self.deeper(|reader| reader.internal(internal, endpoint, found));
            return;
        }
        let Some((host, port)) = proxy::socket(address) else { return };
        let mut way =
            Way { cluster: name.to_owned(), to: None, ports: PortSet::range(port, port), client, origin };
        match host.parse::<IpAddr>() {
            _ if is_loopback(host) => {}
            Ok(address) => {
                way.to = Some(match self.directory.service_at(address) {
                    Some((namespace, name)) => {
                        way.ports = PortSet::all();
                        service(namespace, name, port)
                    }
                    None => Target::Peer(holders(address)),
                });
            }
            Err(_) => self.named(host, port, &mut way),
        }
        // Whoever has a name that nobody knows was said.
        if way.to.is_some() || is_loopback(host) {
            found.push(way);
        }
    }

    /// A host name: a service of the cluster, a proxy that was read, or somebody else.
    fn named(&mut self, host: &str, port: u16, way: &mut Way<'a>) {
        if let Some((namespace, name)) = self.directory.service(host, &self.view.proxy) {
            way.to = Some(service(&namespace, &name, port));
            way.ports = PortSet::all();
            return;
        }
        let keys = self.directory.proxies_named(host, &self.view.proxy.key);
        let who = who::proxies(keys.iter().map(String::as_str));
        if keys.is_empty() {
            let what =
                format!("nothing that was read is called {host:?}, to which cluster {:?} leads", way.cluster);
            self.gaps.push(Gap { what, origin: way.origin.clone(), bends: Bend::MayMissTraffic });
        } else {
            way.to = Some(Target::Peer(any_of(who.into_iter().map(Peer::Endpoints).collect())));
        }
    }

    /// What is handed to a listener inside the proxy goes where the clusters of that listener lead.
    fn internal(&mut self, name: &str, endpoint: &'a Node, found: &mut Vec<Way<'a>>) {
        let Some((_, listener)) = self.view.listeners.iter().find(|(_, l)| l.text_of("name") == Some(name))
        else {
            let what = format!("the internal listener {name:?} was not read");
            self.gaps.push(Gap { what, origin: self.view.at("", endpoint), bends: Bend::MayMissTraffic });
            return;
        };
        let chains = listener.items_of("filter_chains").iter().chain(listener.get("default_filter_chain"));
        let filters = chains.flat_map(|chain| chain.items_of("filters"));
        let clusters: BTreeSet<&str> =
            filters.filter_map(|filter| any(filter.get("typed_config")?).body.text_of("cluster")).collect();
        // Where the connection goes in the end is written beside the endpoint.
        let written =
            endpoint.path(&["metadata", "filter_metadata", "envoy.filters.listener.original_dst", "local"]);
        let end = written.and_then(Node::text).and_then(|text| text.parse::<std::net::SocketAddr>().ok());
        for (path, cluster) in clusters.into_iter().filter_map(|name| self.view.cluster(name)) {
            let (path, before) = (path.to_owned(), found.len());
            self.cluster(&path, cluster, found);
            for way in &mut found[before..] {
                if let (Some(end), Some(Target::Anything)) = (end, &way.to) {
                    way.to = Some(Target::Peer(holders(end.ip())));
                    way.ports = PortSet::range(end.port(), end.port());
                }
            }
        }
    }
}

/// Whoever has an address, in the cluster or outside.
fn holders(address: IpAddr) -> Peer {
    let selector =
        Selector { requirements: vec![Requirement::Exists(format!("{}{address}", fact::ADDRESS))] };
    let mut all: Vec<Peer> = who::endpoints(&selector).into_iter().map(Peer::Endpoints).collect();
    all.push(Peer::Addresses([AddressRange::single(address)].into_iter().collect()));
    any_of(all)
}

/// Whoever is one of these.
fn any_of(peers: Vec<Peer>) -> Peer {
    let none = peers.into_iter().map(|peer| Peer::Not(Box::new(peer))).collect();
    Peer::Not(Box::new(Peer::All(none)))
}

fn service(namespace: &str, name: &str, port: u16) -> Target {
    let chosen = ServiceChoice::Named(name.to_owned());
    Target::Service(Services { namespace: Some(namespace.to_owned()), chosen }, Some(port))
}

/// `transport_socket_matches` in order, by the metadata of the endpoint or its locality; what none of
/// them takes gets the cluster's own socket.
fn socket_for<'a>(cluster: &'a Node, endpoint: &Node, locality: &Node) -> Option<&'a Node> {
    const METADATA: &[&str] = &["metadata", "filter_metadata", "envoy.transport_socket_match"];
    let own = endpoint.path(METADATA).or_else(|| locality.path(METADATA));
    let fits = |one: &&Node| {
        let wanted = one.get("match").map_or(&[][..], Node::fields);
        wanted.iter().all(|(key, value)| {
            own.and_then(|own| own.get(key)).is_some_and(|other| other.value == value.value)
        })
    };
    let matched = cluster.items_of("transport_socket_matches").iter().find(fits);
    match matched {
        Some(one) => one.get("transport_socket"),
        None => cluster.get("transport_socket").filter(|_| has(cluster, "transport_socket")),
    }
}
