//! Istio Gateway and VirtualService (`networking.istio.io`), as far as routing from outside goes.

use super::context::{Context, Draft, Reference, name_of, origin_of, port_in, texts};
use super::host;
use super::{Controller, EntryKind, PortChoice, Tls, Usual, WhyDead};
use crate::contract::Served;
use crate::model::{Document, Labels, Node, Protocol, Text};
use std::collections::{BTreeMap, BTreeSet};

const GROUP: &str = "networking.istio.io";

/// Objects by namespace and name.
type ByName<'a> = BTreeMap<(String, String), &'a Document>;

/// Reads all VirtualServices that name a gateway.
pub(super) fn read(context: &mut Context<'_>) {
    let by_name = |document| {
        let name = name_of(document);
        ((name.namespace, name.name), document)
    };
    let gateways: ByName<'_> = context.of_kind(GROUP, "Gateway").map(by_name).collect();
    let services: ByName<'_> = context.of_kind(GROUP, "VirtualService").map(by_name).collect();
    for service in services.values() {
        // `VirtualService.gateways`: where it is absent only the sidecars of the mesh are meant.
        for wanted in texts(service.body.path(&["spec", "gateways"])) {
            if wanted == "mesh" {
                continue;
            }
            let own = name_of(service);
            let (namespace, name) = wanted.split_once('/').unwrap_or((&own.namespace, &wanted));
            match gateways.get(&(namespace.to_owned(), name.to_owned())) {
                Some(gateway) => bind(context, service, gateway, &services),
                None => {
                    let controller = Controller::missing(&format!("{namespace}/{name}"));
                    let hosts = texts(service.body.path(&["spec", "hosts"]));
                    let draft = Draft {
                        kind: EntryKind::VirtualService,
                        name: own.clone(),
                        hosts: if hosts.contains("*") { BTreeSet::new() } else { hosts },
                        paths: BTreeSet::new(),
                        controller,
                        tls: Tls::Unknown,
                        chain: vec![origin_of(service)],
                    };
                    for speaks in [Speaks::Http, Speaks::Sni, Speaks::Bytes] {
                        routes(context, service, &draft, speaks, &services);
                    }
                }
            }
        }
    }
}

/// What a server of a gateway speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// HTTP, in the clear or after TLS ended here: `http` routes.
    Http,
    /// TLS that goes through: `tls` routes.
    Sni,
    /// Bytes: `tcp` routes.
    Bytes,
}

fn bind(context: &mut Context<'_>, service: &Document, gateway: &Document, all: &ByName<'_>) {
    let (own, parent) = (name_of(service), name_of(gateway));
    let selector = gateway.body.path(&["spec", "selector"]).map_or(&[][..], Node::fields);
    let pods = selected(context, selector);
    let usual = || Usual {
        namespace: "istio-system".to_owned(),
        namespace_labels: Labels::new(),
        labels: selector.iter().filter_map(|(k, v)| Some((k.to_string(), v.text()?.to_owned()))).collect(),
    };
    let usual = (pods.is_empty() && !selector.is_empty()).then(usual);
    let found = Controller { usual, ..Controller::inside("istio gateway", pods) };
    let controller = context.placed((Served::Gateway, &parent), None).unwrap_or(found);
    let wanted = texts(service.body.path(&["spec", "hosts"]));
    let mut attached = false;
    for server in gateway.body.path(&["spec", "servers"]).map_or(&[][..], Node::items) {
        let hosts = server_hosts(server, &own.namespace, &parent.namespace);
        let both: Vec<BTreeSet<String>> = hosts.iter().filter_map(|h| host::common(h, &wanted)).collect();
        if both.is_empty() {
            continue;
        }
        attached = true;
        let any = both.iter().any(BTreeSet::is_empty);
        let hosts = if any { BTreeSet::new() } else { both.into_iter().flatten().collect() };
        let Some((speaks, tls)) = speaks(server) else { continue };
        let draft = Draft {
            kind: EntryKind::VirtualService,
            name: own.clone(),
            hosts,
            paths: BTreeSet::new(),
            controller: controller.clone(),
            tls,
            chain: vec![origin_of(gateway).at("server", server.line), origin_of(service)],
        };
        routes(context, service, &draft, speaks, all);
    }
    if !attached {
        let what = format!("{}/{}", parent.namespace, parent.name);
        context.dead_end(&own, WhyDead::NoCommonHost, what, origin_of(service));
    }
}

/// `Gateway.selector` looks for pods in all namespaces. Without it every gateway workload serves:
/// which those are is not known, so the controller is absent.
fn selected(context: &Context<'_>, selector: &[(Text, Node)]) -> Vec<usize> {
    let fits = |variant: &crate::inventory::Variant| {
        selector.iter().all(|(key, value)| variant.labels.get(key).map(Text::as_str) == value.text())
    };
    let workloads = context.inventory.workloads.iter().enumerate();
    let chosen = workloads.filter(|(_, w)| !selector.is_empty() && w.variants.iter().any(fits));
    chosen.map(|(index, _)| index).collect()
}

/// `Server.hosts`: `namespace/name`, where `.` is the gateway's own and `*` any namespace.
fn server_hosts<'a>(server: &'a Node, from: &str, own: &str) -> Vec<&'a str> {
    let hosts = server.items_of("hosts").iter().filter_map(Node::text);
    let open = |host: &'a str| match host.split_once('/') {
        None => Some(host),
        Some((".", name)) => (from == own).then_some(name),
        Some(("*", name)) => Some(name),
        Some((namespace, name)) => (from == namespace).then_some(name),
    };
    hosts.filter_map(open).collect()
}

/// What a server does with a connection; `None` where it only redirects, or serves the mesh itself.
fn speaks(server: &Node) -> Option<(Speaks, Tls)> {
    let protocol = server.path(&["port", "protocol"]).and_then(Node::text).unwrap_or_default().to_uppercase();
    let tls = server.get("tls");
    let mode = tls.and_then(|tls| tls.text_of("mode"));
    if tls.and_then(|tls| tls.get("httpsRedirect")).and_then(Node::bool) == Some(true) {
        return None;
    }
    match (protocol.as_str(), mode) {
        (_, Some("AUTO_PASSTHROUGH")) => None,
        ("HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB", _) => Some((Speaks::Http, Tls::None)),
        ("HTTPS" | "TLS", Some("PASSTHROUGH")) => Some((Speaks::Sni, Tls::Passthrough)),
        ("HTTPS", _) => Some((Speaks::Http, Tls::Edge)),
        ("TLS", _) => Some((Speaks::Bytes, Tls::Edge)),
        (_, Some(_)) => Some((Speaks::Bytes, Tls::Edge)),
        (_, None) => Some((Speaks::Bytes, Tls::None)),
    }
}

/// The routes of the kind that the server speaks, and those that were delegated.
fn routes(context: &mut Context<'_>, service: &Document, draft: &Draft, speaks: Speaks, all: &ByName<'_>) {
    let section = match speaks {
        Speaks::Http => "http",
        Speaks::Sni => "tls",
        Speaks::Bytes => "tcp",
    };
    let own = name_of(service).namespace;
    for route in service.body.path(&["spec", section]).map_or(&[][..], Node::items) {
        if let Some(delegate) = route.get("delegate") {
            let namespace = delegate.text_of("namespace").unwrap_or(&own).to_owned();
            let name = delegate.text_of("name").unwrap_or_default().to_owned();
            // Only one step: `HTTPRoute.delegate` must not be nested.
            let next = all.get(&(namespace, name)).filter(|next| next.origin != service.origin);
            if let Some(next) = next.filter(|_| draft.chain.len() < 3) {
                let mut draft = draft.clone();
                draft.chain.push(origin_of(next));
                routes(context, next, &draft, speaks, all);
            }
            continue;
        }
        let mirrors = route.get("mirror").into_iter().chain(mirrors(route));
        let weighted = |d: &&Node| d.get("weight").and_then(Node::int) != Some(0);
        let several = route.items_of("route").len() > 1;
        let routed = route.items_of("route").iter().filter(|d| !several || weighted(d));
        let destinations = routed.filter_map(|d| d.get("destination")).chain(mirrors);
        let paths = paths_of(route);
        for destination in destinations {
            lead(context, Draft { paths: paths.clone(), ..draft.clone() }, destination, &own);
        }
    }
}

fn mirrors(route: &Node) -> impl Iterator<Item = &Node> {
    route.items_of("mirrors").iter().filter_map(|mirror| mirror.get("destination"))
}

/// `match[].uri`; none where some match takes every path.
fn paths_of(route: &Node) -> BTreeSet<String> {
    let path = |matching: &Node| {
        let (_, value) = matching.get("uri")?.fields().first()?;
        value.text().filter(|text| *text != "/").map(str::to_owned)
    };
    route.items_of("match").iter().map(path).collect::<Option<_>>().unwrap_or_default()
}

/// `Destination.host`: a short name belongs to the namespace of the VirtualService.
fn lead(context: &mut Context<'_>, draft: Draft, destination: &Node, own: &str) {
    let host = destination.text_of("host").unwrap_or_default();
    let entry = context.inventory.entries.iter().find(|entry| entry.hosts.contains(host));
    if let Some(entry) = entry.filter(|entry| entry.leads_out()) {
        // An egress gateway: what comes out of the mesh leads to no workload here.
        let line = destination.line;
        for (namespace, service) in &entry.aliases {
            let (port, protocol) = (PortChoice::All, Some(Protocol::Tcp));
            context.lead(draft.clone(), &Reference { namespace, service, port, protocol, line });
        }
        return;
    }
    let parts: Vec<&str> = host.split('.').collect();
    let (service, namespace) = match parts.as_slice() {
        [service] => (*service, own),
        [service, namespace] | [service, namespace, "svc", ..] => (*service, *namespace),
        _ => {
            // A host of a ServiceEntry, or of another cluster.
            let place = draft.chain.last().map(|origin| origin.at("", destination.line));
            let Some(place) = place else { return };
            return context.gap(format!("leads to the host {host}, which is no service here"), place);
        }
    };
    let port = destination.get("port").and_then(|port| port_in(port, "number"));
    let port = port.map_or(PortChoice::All, PortChoice::Number);
    let line = destination.line;
    context.lead(draft, &Reference { namespace, service, port, protocol: Some(Protocol::Tcp), line });
}
