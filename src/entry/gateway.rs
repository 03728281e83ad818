//! Gateway API (`gateway.networking.k8s.io`): GatewayClass, Gateway, the routes, ReferenceGrant,
//! BackendTLSPolicy.
//!
//! Only parents that are Gateways count; a route with a Service as its parent is for clients in
//! the mesh. A ListenerSet is a gap.

use super::context::{Context, Draft, Reference, name_of, origin_of, port_in, texts};
use super::controller::{self, GATEWAY_NAME, Place, Usual, labelled};
use super::host;
use super::listener::{Allowed, Listener};
use super::{Controller, EntryKind, PortChoice, Tls, WhyDead};
use crate::contract::Served;
use crate::model::{Document, EndpointName, Labels, Node, Origin, Protocol};
use std::collections::{BTreeMap, BTreeSet};

const GROUP: &str = "gateway.networking.k8s.io";
/// The label of Envoy Gateway on what it deploys for a Gateway, in a namespace of its own.
const ENVOY_OWNER: &str = "gateway.envoyproxy.io/owning-gateway-name";

/// The kinds of route, and the protocol of their backends.
const ROUTES: &[(&str, Protocol)] = &[
    ("HTTPRoute", Protocol::Tcp),
    ("GRPCRoute", Protocol::Tcp),
    ("TLSRoute", Protocol::Tcp),
    ("TCPRoute", Protocol::Tcp),
    ("UDPRoute", Protocol::Udp),
];

/// What routes are held against.
struct World<'a> {
    gateways: BTreeMap<(String, String), &'a Document>,
    classes: BTreeMap<&'a str, &'a Document>,
    grants: Vec<&'a Document>,
    /// Services, by namespace and name, to which gateways speak TLS.
    tls_backends: BTreeSet<(String, String)>,
}

/// Reads all routes.
pub(super) fn read(context: &mut Context<'_>) {
    let by_name = |document| {
        let name = name_of(document);
        ((name.namespace, name.name), document)
    };
    let world = World {
        gateways: context.of_kind(GROUP, "Gateway").map(by_name).collect(),
        classes: context.of_kind(GROUP, "GatewayClass").map(|d| (&*d.origin.name, d)).collect(),
        grants: context.of_kind(GROUP, "ReferenceGrant").collect(),
        tls_backends: tls_backends(context),
    };
    for kind in ["ListenerSet", "XListenerSet"] {
        let sets: Vec<&Document> = context.of_kind(GROUP, kind).collect();
        for document in sets {
            context.gap("listeners of a ListenerSet are not read".to_owned(), origin_of(document));
        }
    }
    for (kind, protocol) in ROUTES {
        let routes: Vec<&Document> = context.of_kind(GROUP, kind).collect();
        for document in routes {
            of_route(context, &world, document, *protocol);
        }
    }
}

/// `BackendTLSPolicy.spec.targetRefs`.
fn tls_backends(context: &Context<'_>) -> BTreeSet<(String, String)> {
    let names = |document: &Document| {
        let namespace = name_of(document).namespace;
        let targets = document.body.path(&["spec", "targetRefs"]).map_or(&[][..], Node::items);
        let name = move |target: &Node| Some((namespace.clone(), target.text_of("name")?.to_owned()));
        targets.iter().filter_map(name).collect::<Vec<_>>()
    };
    context.of_kind(GROUP, "BackendTLSPolicy").flat_map(names).collect()
}

fn of_route(context: &mut Context<'_>, world: &World<'_>, route: &Document, protocol: Protocol) {
    let spec = route.body.get("spec");
    for parent in spec.map_or(&[][..], |s| s.items_of("parentRefs")) {
        let kind = parent.text_of("kind").unwrap_or("Gateway");
        if kind != "Gateway" || parent.text_of("group").is_some_and(|group| group != GROUP) {
            continue;
        }
        let own = name_of(route).namespace;
        let namespace = parent.text_of("namespace").unwrap_or(&own).to_owned();
        let name = parent.text_of("name").unwrap_or_default().to_owned();
        match world.gateways.get(&(namespace.clone(), name.clone())) {
            Some(gateway) => attach(context, world, &Bound { route, gateway, protocol }, parent),
            None => {
                let controller = Controller::missing(&format!("{namespace}/{name}"));
                let hosts = texts(route.body.path(&["spec", "hostnames"]));
                let hops = Hops { controller, tls: Tls::Unknown, chain: vec![origin_of(route)], hosts };
                serve(context, world, route, protocol, &hops);
            }
        }
    }
}

/// What lies before a route.
struct Hops {
    controller: Controller,
    tls: Tls,
    chain: Vec<Origin>,
    hosts: BTreeSet<String>,
}

/// A route and the gateway that it names.
struct Bound<'a> {
    route: &'a Document,
    gateway: &'a Document,
    protocol: Protocol,
}

/// Binds a route to the listeners that take it; where none does, the last obstacle is said.
fn attach(context: &mut Context<'_>, world: &World<'_>, bound: &Bound<'_>, parent: &Node) {
    let (route, gateway) = (name_of(bound.route), name_of(bound.gateway));
    let wanted = texts(bound.route.body.path(&["spec", "hostnames"]));
    let (section, port) = (parent.text_of("sectionName"), port_in(parent, "port"));
    let mut obstacle = (WhyDead::MissingListener, format!("{}/{}", gateway.namespace, gateway.name));
    let mut attached = false;
    let listeners = bound.gateway.body.path(&["spec", "listeners"]).map_or(&[][..], Node::items);
    for listener in listeners.iter().map(Listener::read) {
        let named =
            section.is_none_or(|s| s == listener.name) && port.is_none_or(|p| Some(p) == listener.port);
        if !named || !listener.serves(&route.kind) {
            continue;
        }
        let what = format!("{}/{} {}", gateway.namespace, gateway.name, listener.name);
        if !allowed(context, &listener, &route, bound) {
            obstacle = obstacle.max((WhyDead::NotAllowed, what));
            continue;
        }
        let Some(hosts) = host::common(listener.host, &wanted) else {
            obstacle = obstacle.max((WhyDead::NoCommonHost, what));
            continue;
        };
        if !certificate_granted(world, &listener, &gateway.namespace) {
            obstacle = obstacle.max((WhyDead::CertificateNotGranted, what));
            continue;
        }
        attached = true;
        let (controller, class) = controller_of(context, world, bound.gateway);
        let place = origin_of(bound.gateway).at(&format!("listener {}", listener.name), listener.node.line);
        let mut chain: Vec<Origin> = class.map(|c| c.origin.clone()).into_iter().collect();
        chain.extend([place, origin_of(bound.route)]);
        let hops = Hops { controller, tls: listener.tls(), chain, hosts };
        serve(context, world, bound.route, bound.protocol, &hops);
    }
    if !attached {
        let place = origin_of(bound.route).at("", parent.line);
        context.dead_end(&route, obstacle.0, obstacle.1, place);
    }
}

/// Whether a listener takes routes of this namespace and kind. Where the labels of the namespace are
/// not known it may, and that is said.
fn allowed(
    context: &mut Context<'_>,
    listener: &Listener<'_>,
    route: &EndpointName,
    bound: &Bound<'_>,
) -> bool {
    match listener.allows(&route.kind, &route.namespace, &name_of(bound.gateway).namespace, context.inventory)
    {
        Allowed::Yes => true,
        Allowed::No => false,
        Allowed::Perhaps => {
            let what = format!(
                "a listener chooses namespaces by their labels, and those of {} are not in the input: it is taken to choose it",
                route.namespace
            );
            context.gap(what, origin_of(bound.gateway).at("", listener.node.line));
            true
        }
    }
}

/// `tls.certificateRefs`: secrets are known by name only, but a foreign one needs a grant.
fn certificate_granted(world: &World<'_>, listener: &Listener<'_>, own: &str) -> bool {
    let references = listener.node.path(&["tls", "certificateRefs"]).map_or(&[][..], Node::items);
    references.is_empty()
        || references.iter().any(|reference| {
            let namespace = reference.text_of("namespace").unwrap_or(own);
            let name = reference.text_of("name").unwrap_or_default();
            namespace == own || granted(world, ("Gateway", own), ("Secret", namespace, name))
        })
}

/// `ReferenceGrant`: it lies where it leads to, and names whence and to what.
fn granted(world: &World<'_>, from: (&str, &str), to: (&str, &str, &str)) -> bool {
    world.grants.iter().any(|grant| {
        let Some(spec) = grant.body.get("spec").filter(|_| name_of(grant).namespace == to.1) else {
            return false;
        };
        let whence = |f: &Node| {
            f.text_of("group") == Some(GROUP)
                && f.text_of("kind") == Some(from.0)
                && f.text_of("namespace") == Some(from.1)
        };
        let what = |t: &Node| {
            t.text_of("group").unwrap_or_default().is_empty()
                && t.text_of("kind") == Some(to.0)
                && t.text_of("name").is_none_or(|name| name == to.2)
        };
        spec.items_of("from").iter().any(whence) && spec.items_of("to").iter().any(what)
    })
}

/// Follows every rule of a route to its backends.
fn serve(context: &mut Context<'_>, world: &World<'_>, route: &Document, protocol: Protocol, hops: &Hops) {
    for rule in route.body.path(&["spec", "rules"]).map_or(&[][..], Node::items) {
        let draft = Draft {
            kind: EntryKind::GatewayRoute,
            name: name_of(route),
            hosts: hops.hosts.clone(),
            paths: paths_of(rule),
            controller: hops.controller.clone(),
            tls: hops.tls,
            chain: hops.chain.clone(),
        };
        for backend in backends_of(rule) {
            lead(context, world, draft.clone(), (route, protocol), backend);
        }
    }
}

/// The matched paths; none where some match takes every path.
fn paths_of(rule: &Node) -> BTreeSet<String> {
    let path = |matching: &Node| {
        let value = matching.path(&["path", "value"]).and_then(Node::text).unwrap_or("/");
        (value != "/").then(|| value.to_owned())
    };
    rule.items_of("matches").iter().map(path).collect::<Option<_>>().unwrap_or_default()
}

/// `backendRefs` and the backends of mirrors; what has weight 0 gets no requests.
fn backends_of(rule: &Node) -> Vec<&Node> {
    let references = rule.items_of("backendRefs");
    let filters =
        rule.items_of("filters").iter().chain(references.iter().flat_map(|r| r.items_of("filters")));
    let mirrors = filters.filter_map(|filter| filter.path(&["requestMirror", "backendRef"]));
    let weighted = |r: &&Node| r.get("weight").and_then(Node::int) != Some(0);
    references.iter().filter(weighted).chain(mirrors).collect()
}

fn lead(
    context: &mut Context<'_>,
    world: &World<'_>,
    mut draft: Draft,
    (route, protocol): (&Document, Protocol),
    backend: &Node,
) {
    let own = name_of(route);
    let group = backend.text_of("group").unwrap_or_default();
    if !group.is_empty() || backend.text_of("kind").is_some_and(|kind| kind != "Service") {
        let origin = origin_of(route).at("", backend.line);
        return context.gap("leads to a backend that is no service".to_owned(), origin);
    }
    let namespace = backend.text_of("namespace").unwrap_or(&own.namespace);
    let service = backend.text_of("name").unwrap_or_default();
    let from = (own.kind.as_str(), own.namespace.as_str());
    if namespace != own.namespace && !granted(world, from, ("Service", namespace, service)) {
        let place = origin_of(route).at("", backend.line);
        return context.dead_end(&own, WhyDead::MissingGrant, format!("{namespace}/{service}"), place);
    }
    if draft.tls == Tls::Edge && world.tls_backends.contains(&(namespace.to_owned(), service.to_owned())) {
        draft.tls = Tls::Reencrypt;
    }
    let port = port_in(backend, "port").map_or(PortChoice::All, PortChoice::Number);
    let (protocol, line) = (Some(protocol), backend.line);
    context.lead(draft, &Reference { namespace, service, port, protocol, line });
}

/// Where the contract places it, or the pods that were made for the Gateway, or those of its controller.
fn controller_of<'a>(
    context: &Context<'_>,
    world: &World<'a>,
    gateway: &Document,
) -> (Controller, Option<&'a Document>) {
    let class_name =
        gateway.body.path(&["spec", "gatewayClassName"]).and_then(Node::text).unwrap_or_default();
    let class = world.classes.get(class_name).copied();
    let own = name_of(gateway);
    if let Some(placed) = context.placed((Served::Gateway, &own), Some((Served::GatewayClass, class_name))) {
        return (placed, class);
    }
    let text = class.and_then(|class| class.body.path(&["spec", "controllerName"])).and_then(Node::text);
    let known = match text {
        Some(text) => controller::by_controller(text),
        None => controller::by_class(class_name, |place| place != Place::Pods)
            .or_else(|| controller::by_class(class_name, |_| true)),
    };
    let name = known.map_or(text.unwrap_or(class_name), |known| known.name);
    let envoy = [(ENVOY_OWNER, own.name.as_str())];
    let made = labelled(context.inventory, Some(&own.namespace), &[(GATEWAY_NAME, &own.name)]);
    let made = if made.is_empty() { labelled(context.inventory, None, &envoy) } else { made };
    let found = match (made.is_empty(), known) {
        (false, _) => Controller::inside(name, made),
        (true, None) => Controller::unknown(name),
        (true, Some(known)) if known.place == Place::PodsOfGateway => {
            let (namespace, label) = match known.namespace {
                "" => (own.namespace.as_str(), GATEWAY_NAME),
                elsewhere => (elsewhere, ENVOY_OWNER),
            };
            let labels = Labels::from_iter([(label, own.name.as_str())]);
            let usual = Usual { namespace: namespace.to_owned(), namespace_labels: Labels::new(), labels };
            Controller { usual: Some(usual), ..Controller::unknown(name) }
        }
        (true, Some(known)) => Controller::known(known, context),
    };
    (found, class)
}
