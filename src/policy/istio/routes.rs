//! VirtualService: where calls of a host really go, and with which subset.
//!
//! Edges are drawn between workloads, so a route matters where it decides which of several settings
//! a connection has: the subset of a rule, or a gateway between client and host. Routes of the
//! Gateway API have no subsets, so that they change nothing here.

use super::super::Speech;
use super::destination_rule::expanded;
use super::mesh_config::MeshConfig;
use crate::model::{Document, Node};
use std::collections::{BTreeMap, BTreeSet};

/// Whose calls a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// Sidecars: the gateway `mesh`.
    Sidecars,
    /// Gateways, whichever.
    Gateways,
}

/// The list in which a route stands: `http` is asked about requests alone, `tls` about TLS of
/// applications alone, `tcp` about other bytes alone, as the port is declared or the first bytes show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Requests,
    Bytes,
    Tls,
}

/// `spec.http`, `spec.tcp`, `spec.tls`.
const SECTIONS: [(&str, Section); 3] =
    [("http", Section::Requests), ("tcp", Section::Bytes), ("tls", Section::Tls)];

/// One destination.
#[derive(Clone, Debug)]
struct Route {
    /// Where its VirtualService stands.
    namespace: String,
    exported_to: Vec<String>,
    by: By,
    /// `hosts` of the VirtualService, expanded.
    hosts: Vec<String>,
    /// The port at which the host is called, where only one is meant.
    at: Option<u16>,
    /// `destination.host`, expanded.
    to: String,
    /// `destination.port.number`; the port that was called where there is none.
    to_port: Option<u16>,
    subset: Option<String>,
    /// What it is asked about.
    section: Section,
    /// Whether calls that do not match go on to the host itself: those of bytes do, requests fail.
    replaces: bool,
}

/// All routes.
#[derive(Debug, Default)]
pub struct Routes(Vec<Route>);

/// Where a route of sidecars leads.
#[derive(Clone, Copy, Debug)]
pub struct Lead<'a> {
    /// Namespaces whose clients know of it; `*` for all.
    pub exported_to: &'a [String],
    /// `destination.host`, expanded.
    pub to: &'a str,
    /// The port there.
    pub port: u16,
    /// `destination.subset`.
    pub subset: Option<&'a str>,
}

/// What some clients call of one host at one port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Subsets to which some route leads.
    pub subsets: BTreeSet<String>,
    /// Whether the host is called as a whole too.
    pub whole: bool,
    /// Whether calls of the host are all led elsewhere.
    pub elsewhere: bool,
}

/// Reads all routes.
pub fn read(documents: &[Document], config: &MeshConfig) -> Routes {
    let services: Vec<&Document> = documents
        .iter()
        .filter(|d| &*d.origin.kind == "VirtualService" && d.api_version.starts_with("networking.istio.io/"))
        .collect();
    let key = |d: &&Document| (super::place(d).namespace.to_string(), d.origin.name.to_string());
    let by_name: BTreeMap<_, _> = services.iter().map(|d| (key(d), *d)).collect();
    let mut routes = Routes::default();
    for document in &services {
        let namespace = super::place(document).namespace.to_string();
        let Some(spec) = document.body.get("spec") else { continue };
        let exported: Vec<String> = texts(spec, "exportTo");
        let exported = if exported.is_empty() { config.routes_exported_to.clone() } else { exported };
        let mut exported_to: Vec<String> =
            exported.into_iter().map(|name| if name == "." { namespace.clone() } else { name }).collect();
        if exported_to.is_empty() {
            exported_to.push("*".to_owned());
        }
        let whole = Whole {
            hosts: texts(spec, "hosts").iter().map(|host| expanded(host, &namespace)).collect(),
            namespace: namespace.clone(),
            exported_to,
            gateways: texts(spec, "gateways"),
        };
        routes.add(spec, &namespace, &whole, &by_name, true);
    }
    routes
}

/// What holds for every route of a VirtualService.
struct Whole {
    namespace: String,
    hosts: Vec<String>,
    exported_to: Vec<String>,
    gateways: Vec<String>,
}

type ByName<'a> = BTreeMap<(String, String), &'a Document>;

fn number(node: Option<&Node>) -> Option<u16> {
    node?.int().and_then(|n| u16::try_from(n).ok())
}

fn texts(node: &Node, field: &str) -> Vec<String> {
    node.items_of(field).iter().filter_map(Node::text).map(str::to_owned).collect()
}

/// Those for whom a list of gateways is: without one, sidecars.
fn meant(gateways: &[String]) -> BTreeSet<By> {
    let one = |name: &String| if name == "mesh" { By::Sidecars } else { By::Gateways };
    if gateways.is_empty() { BTreeSet::from([By::Sidecars]) } else { gateways.iter().map(one).collect() }
}

impl Routes {
    fn add(&mut self, spec: &Node, namespace: &str, whole: &Whole, all: &ByName<'_>, first: bool) {
        for (name, section) in SECTIONS {
            for route in spec.items_of(name) {
                if let Some(delegate) = route.get("delegate").filter(|_| first) {
                    let own = delegate.text_of("namespace").unwrap_or(namespace).to_owned();
                    let name = delegate.text_of("name").unwrap_or_default().to_owned();
                    let next = all.get(&(own.clone(), name)).and_then(|next| next.body.get("spec"));
                    if let Some(next) = next {
                        self.add(next, &own, whole, all, false);
                    }
                    continue;
                }
                self.add_route(route, section, namespace, whole);
            }
        }
    }

    fn add_route(&mut self, route: &Node, section: Section, namespace: &str, whole: &Whole) {
        let matches = route.items_of("match");
        let named: Vec<String> = matches.iter().flat_map(|one| texts(one, "gateways")).collect();
        let by = meant(if named.is_empty() { &whole.gateways } else { &named });
        let ports: BTreeSet<Option<u16>> = matches.iter().map(|one| number(one.get("port"))).collect();
        let at = if ports.len() == 1 { ports.into_iter().next().flatten() } else { None };
        let several = route.items_of("route").len() > 1;
        let weighted = |d: &&Node| !several || d.get("weight").and_then(Node::int) != Some(0);
        let routed = route.items_of("route").iter().filter(weighted).filter_map(|d| d.get("destination"));
        let mirrors = route.items_of("mirrors").iter().filter_map(|mirror| mirror.get("destination"));
        for destination in routed.chain(route.get("mirror")).chain(mirrors) {
            let Some(to) = destination.text_of("host") else { continue };
            for by in &by {
                self.0.push(Route {
                    namespace: whole.namespace.clone(),
                    exported_to: whole.exported_to.clone(),
                    by: *by,
                    hosts: whole.hosts.clone(),
                    at,
                    to: expanded(to, namespace),
                    to_port: number(destination.path(&["port", "number"])),
                    subset: destination.text_of("subset").map(str::to_owned),
                    section,
                    replaces: section == Section::Requests || matches.is_empty(),
                });
            }
        }
    }

    /// Namespaces whose clients may be led otherwise than all others.
    pub fn client_namespaces(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flat_map(|route| &route.exported_to).filter(|name| *name != "*")
    }

    /// Whether some route of sidecars is for a host or leads to it.
    pub fn concern(&self, host: &str) -> bool {
        self.0.iter().any(|route| route.to == host || route.hosts.iter().any(|own| covers(own, host)))
    }

    /// Whether some route that sidecars of a namespace see leads to a host.
    pub fn lead_to(&self, client: &str, host: &str) -> bool {
        self.seen_by(client).any(|route| route.to == host)
    }

    /// Whether all routes for a host that sidecars of a namespace see are taken, by the namespace and
    /// hosts of their VirtualService.
    pub fn are_taken(&self, client: &str, host: &str, is_taken: impl Fn(&str, &str) -> bool) -> bool {
        let mut own = self.seen_by(client).filter(|route| route.hosts.iter().any(|own| covers(own, host)));
        own.all(|route| route.hosts.iter().any(|host| is_taken(&route.namespace, host)))
    }

    /// Where calls of a host at a port, that is declared to speak something, are led by sidecars.
    pub fn leads_of(&self, host: &str, port: u16, speech: Speech) -> impl Iterator<Item = Lead<'_>> {
        let is_asked = move |section: Section| match speech {
            Speech::Http => section == Section::Requests,
            Speech::Bytes => section != Section::Requests,
            Speech::Undeclared => true,
        };
        let is_own = move |route: &&Route| {
            let is_here = route.at.is_none_or(|at| at == port);
            is_here && is_asked(route.section) && route.hosts.iter().any(|own| covers(own, host))
        };
        let own = self.0.iter().filter(|route| route.by == By::Sidecars).filter(is_own);
        own.map(move |route| Lead {
            exported_to: &route.exported_to,
            to: &route.to,
            port: route.to_port.unwrap_or(port),
            subset: route.subset.as_deref(),
        })
    }

    fn seen_by(&self, client: &str) -> impl Iterator<Item = &Route> {
        let sees = move |route: &&Route| route.exported_to.iter().any(|name| name == "*" || name == client);
        self.0.iter().filter(|route| route.by == By::Sidecars).filter(sees)
    }

    /// What clients of a namespace (`None`: any that is not named anywhere) call of a host at a port, as
    /// far as that is declared to speak something.
    pub fn used(
        &self,
        client: Option<&str>,
        by: By,
        host: &str,
        port: Option<u16>,
        speech: Option<Speech>,
    ) -> Used {
        let of = |section| self.of_section(client, by, host, port, section);
        // Whether they are TLS, a port may declare or not; it has one of the two lists.
        let bytes = || of(Some(Section::Bytes)).or(of(Some(Section::Tls)));
        match (by, speech) {
            (By::Gateways, _) | (_, None) => of(None),
            (_, Some(Speech::Http)) => of(Some(Section::Requests)),
            (_, Some(Speech::Bytes)) => bytes(),
            (_, Some(Speech::Undeclared)) => of(Some(Section::Requests)).or(bytes()),
        }
    }

    fn of_section(
        &self,
        client: Option<&str>,
        by: By,
        host: &str,
        port: Option<u16>,
        section: Option<Section>,
    ) -> Used {
        let visible = |route: &&Route| {
            route.by == by
                && route.exported_to.iter().any(|name| name == "*" || Some(name.as_str()) == client)
        };
        let is_own = |route: &Route| route.hosts.iter().any(|own| covers(own, host));
        let asked = |route: &Route| {
            section.is_none_or(|section| route.section == section)
                && (route.at.is_none() || port.is_none() || route.at == port)
        };
        let of_host = |route: &&Route| route.replaces && asked(route) && is_own(route);
        // What leads here from another host, or to a port that it names, was asked about other ports.
        let leads = |route: &&Route| {
            let here = match (route.to_port, port) {
                (Some(to), Some(port)) => to == port,
                _ => asked(route) || !is_own(route),
            };
            route.to == host && here
        };
        let leading: Vec<&Route> = self.0.iter().filter(visible).filter(leads).collect();
        let subsets: BTreeSet<String> = leading.iter().filter_map(|route| route.subset.clone()).collect();
        let replaced = self.0.iter().filter(visible).any(|route| of_host(&route));
        let whole = leading.iter().any(|route| route.subset.is_none());
        Used {
            whole: whole || !replaced || subsets.is_empty(),
            elsewhere: replaced && leading.is_empty(),
            subsets,
        }
    }
}

impl Used {
    /// Calls of both kinds.
    fn or(mut self, other: Used) -> Used {
        // What is led elsewhere is no call of the host as a whole.
        let whole = (self.whole && !self.elsewhere) || (other.whole && !other.elsewhere);
        self.elsewhere &= other.elsewhere;
        self.subsets.extend(other.subsets);
        Used { whole: whole || self.subsets.is_empty(), ..self }
    }
}

/// Whether a host of a VirtualService, with a wildcard or not, is the one that is called.
fn covers(own: &str, host: &str) -> bool {
    own == host || own.strip_prefix('*').is_some_and(|tail| host.ends_with(tail))
}
