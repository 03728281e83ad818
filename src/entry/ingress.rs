//! Ingress and IngressClass (`networking.k8s.io/v1`, `v1beta1`, `extensions/v1beta1`).

use super::context::{Context, Draft, Reference, annotation, name_of, origin_of, port_in, texts};
use super::controller::{self, Place};
use super::host::certificate_covers;
use super::{Controller, EntryKind, PortChoice, Tls};
use crate::contract::Served;
use crate::model::{Document, Node, Origin, Protocol};
use std::collections::{BTreeMap, BTreeSet};

/// `metadata.annotations` of the time before `ingressClassName`; it still goes first.
const CLASS: &str = "kubernetes.io/ingress.class";
/// On an IngressClass: Ingresses that name no class get this one.
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";
/// TLS goes through to the backend.
const PASSTHROUGH: &[&str] = &[
    "nginx.ingress.kubernetes.io/ssl-passthrough",
    "haproxy.org/ssl-passthrough",
    "ingress.kubernetes.io/ssl-passthrough",
];
/// The controller speaks this to the backend.
const BACKEND_PROTOCOL: &[&str] =
    &["nginx.ingress.kubernetes.io/backend-protocol", "alb.ingress.kubernetes.io/backend-protocol"];

/// Reads all Ingresses.
pub(super) fn read(context: &mut Context<'_>) {
    let classes: BTreeMap<&str, &Document> = context
        .of_kind("networking.k8s.io", "IngressClass")
        .map(|document| (&*document.origin.name, document))
        .collect();
    let old = context.of_kind("extensions", "Ingress");
    let all: Vec<&Document> = context.of_kind("networking.k8s.io", "Ingress").chain(old).collect();
    for document in all {
        one(context, document, &classes);
    }
}

fn one(context: &mut Context<'_>, document: &Document, classes: &BTreeMap<&str, &Document>) {
    let Some(spec) = document.body.get("spec") else { return };
    let (controller, class) = controller_of(context, document, spec, classes);
    let mut chain: Vec<Origin> = class.map(|class| class.origin.clone()).into_iter().collect();
    chain.push(origin_of(document));
    let draft = |hosts: BTreeSet<String>, paths: BTreeSet<String>, tls: Tls| Draft {
        kind: EntryKind::Ingress,
        name: name_of(document),
        hosts,
        paths,
        controller: controller.clone(),
        tls,
        chain: chain.clone(),
    };
    let default = spec.get("defaultBackend").or(spec.get("backend"));
    for rule in spec.items_of("rules") {
        let host = rule.text_of("host").unwrap_or_default();
        let hosts: BTreeSet<String> =
            Some(host.to_lowercase()).filter(|h| !h.is_empty()).into_iter().collect();
        let tls = tls_of(document, spec, host);
        let paths = rule.path(&["http", "paths"]).map_or(&[][..], Node::items);
        for path in paths {
            let own = path.text_of("path").filter(|p| *p != "/").map(str::to_owned);
            let draft = draft(hosts.clone(), own.into_iter().collect(), tls);
            lead(context, draft, document, path.get("backend"));
        }
        // `IngressRule.http` may be absent: then all of that host goes to the default backend.
        if let (true, Some(default)) = (paths.is_empty(), default) {
            lead(context, draft(hosts, BTreeSet::new(), tls), document, Some(default));
        }
    }
    if let Some(default) = default {
        lead(
            context,
            draft(BTreeSet::new(), BTreeSet::new(), tls_of(document, spec, "")),
            document,
            Some(default),
        );
    }
}

/// The contract decides, or else the class: by annotation, by name, or the default class.
fn controller_of<'a>(
    context: &Context<'_>,
    document: &Document,
    spec: &Node,
    classes: &BTreeMap<&str, &'a Document>,
) -> (Controller, Option<&'a Document>) {
    let named = annotation(document, CLASS).or(spec.text_of("ingressClassName")).filter(|n| !n.is_empty());
    let class = match named {
        Some(name) => classes.get(name).copied(),
        None => {
            let marked = |class: &&&Document| annotation(class, DEFAULT_CLASS) == Some("true");
            let mut marked = classes.values().filter(marked);
            // Two default classes: which of them an Ingress gets depends on when they were made.
            marked.next().filter(|_| marked.next().is_none()).copied()
        }
    };
    let class_name = class.map(|class| &*class.origin.name).or(named).unwrap_or_default();
    if let Some(placed) =
        context.placed((Served::Ingress, &name_of(document)), Some((Served::Class, class_name)))
    {
        return (placed, class);
    }
    let text = class.and_then(|class| class.body.path(&["spec", "controller"])).and_then(Node::text);
    let ingress = |place| place != Place::PodsOfGateway;
    let known = match (text, named) {
        (Some(text), _) => controller::by_controller(text),
        (None, Some(name)) => controller::by_class(name, ingress),
        (None, None) => None,
    };
    let controller = match known {
        Some(known) => Controller::known(known, context),
        None => Controller::unknown(text.or(named).unwrap_or_default()),
    };
    (controller, class)
}

/// Where TLS ends for a host: `spec.tls[].hosts`, and no hosts at all mean every host.
fn tls_of(document: &Document, spec: &Node, host: &str) -> Tls {
    let says = |keys: &[&str], fits: &dyn Fn(&str) -> bool| {
        keys.iter().any(|key| annotation(document, key).is_some_and(fits))
    };
    if says(PASSTHROUGH, &|value| value == "true") {
        return Tls::Passthrough;
    }
    let covers = |section: &Node| {
        let hosts = texts(section.get("hosts"));
        hosts.is_empty() || (!host.is_empty() && hosts.iter().any(|wide| certificate_covers(wide, host)))
    };
    let encrypted = |value: &str| ["HTTPS", "GRPCS"].contains(&value.to_uppercase().as_str());
    match (spec.items_of("tls").iter().any(covers), says(BACKEND_PROTOCOL, &encrypted)) {
        (false, _) => Tls::None,
        (true, false) => Tls::Edge,
        (true, true) => Tls::Reencrypt,
    }
}

/// `backend.service` (v1) or `backend.serviceName` (before).
fn lead(context: &mut Context<'_>, draft: Draft, document: &Document, backend: Option<&Node>) {
    let Some(backend) = backend else { return };
    let namespace = name_of(document).namespace;
    let (service, port) = match backend.get("service") {
        Some(service) => {
            let port = service.get("port");
            let number = port.and_then(|p| port_in(p, "number")).map(PortChoice::Number);
            let name = || port.and_then(|p| p.text_of("name")).map(|n| PortChoice::Name(n.to_owned()));
            (service.text_of("name"), number.or_else(name))
        }
        None => {
            let number = port_in(backend, "servicePort").map(PortChoice::Number);
            let name = || backend.text_of("servicePort").map(|n| PortChoice::Name(n.to_owned()));
            (backend.text_of("serviceName"), number.or_else(name))
        }
    };
    let origin = origin_of(document).at("", backend.line);
    match service {
        Some(service) => {
            let (port, protocol) = (port.unwrap_or(PortChoice::All), Some(Protocol::Tcp));
            let line = backend.line;
            context.lead(draft, &Reference { namespace: &namespace, service, port, protocol, line });
        }
        None => context.gap("leads to a resource that is no service".to_owned(), origin),
    }
}
