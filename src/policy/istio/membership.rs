//! Which pods are in the mesh, and how: what the injector, the node agent and running pods tell.
//!
//! Injection passes two layers that must both agree: the selectors of the webhook, which see labels
//! alone, and the injector itself, which sees annotations too
//! (`istio-discovery/templates/mutatingwebhook.yaml`, `pkg/kube/inject/inject.go`).

use super::super::{Membership, MeshMode, Namespaces, Population, Selection, one_of};
use super::waypoint::Waypoints;
use crate::model::{Document, Node, Requirement, Selector, Text, fact};
use std::collections::BTreeSet;

const INJECT: &str = "sidecar.istio.io/inject";
const INJECTION: &str = "istio-injection";
const REVISION: &str = "istio.io/rev";
const MODE: &str = "istio.io/dataplane-mode";
const PROXY: &str = "istio-proxy";
/// On pods of gateways that the Gateway API made.
pub const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
const REDIRECTION: &str = "ambient.istio.io/redirection";
const BYPASS: &str = "ambient.istio.io/bypass-inbound-capture";
/// What Go's `strconv.ParseBool` takes for true.
const TRUE: [&str; 6] = ["1", "T", "TRUE", "True", "t", "true"];
const STATUS: &str = "sidecar.istio.io/status";
/// Namespaces that the injector never touches (`inject/initializer.go`).
const IGNORED: &[&str] = &["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];

/// Who is in the mesh. Pods of namespaces that were not read and have policies of the mesh are
/// `unclear`, and treated as those with a sidecar.
#[derive(Clone, Debug)]
pub struct Members {
    /// With a proxy of their own.
    pub sidecar: Selector,
    /// Through the proxy of the node.
    pub ambient: Selector,
    /// Those of them whose proxy takes what comes by the tunnel alone: all else goes past it.
    pub half: Selector,
    /// Gateways.
    pub gateway: Selector,
    /// Waypoints.
    pub waypoint: Selector,
    /// Whether some are, nobody knows.
    pub unclear: Selector,
    /// How that is known.
    pub known: Known,
}

/// What the documents say on membership as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Something is labelled, annotated or running for the mesh.
    Shown,
    /// The same, but no Service was read: how clients call is not known.
    WithoutServices,
    /// Nothing is, but there are policies of the mesh, which mean somebody.
    Assumed,
}

/// All of these hold.
pub fn all(parts: impl IntoIterator<Item = Selector>) -> Selector {
    parts.into_iter().fold(Selector::everything(), Selector::and)
}

fn one(requirement: Requirement) -> Selector {
    Selector { requirements: vec![requirement] }
}

/// A key is there.
pub fn has(key: &str) -> Selector {
    one(Requirement::Exists(key.to_owned()))
}

/// A key is not there.
pub fn lacks(key: &str) -> Selector {
    one(Requirement::DoesNotExist(key.to_owned()))
}

fn is_not(key: &str, value: &str) -> Selector {
    one(Requirement::NotIn(key.to_owned(), vec![value.to_owned()]))
}

/// The key of an annotation of the pod.
pub fn annotation(key: &str) -> String {
    format!("{}{key}", fact::ANNOTATION)
}

fn ns(key: &str) -> String {
    format!("{}{key}", fact::NAMESPACE_LABEL)
}

/// Reads who takes part.
pub fn read(documents: &[Document], waypoints: &Waypoints) -> Members {
    let waypoint = waypoints.selector();
    let labelled = Selector::any_of(vec![
        has(GATEWAY_NAME),
        one(Requirement::In(
            "istio".to_owned(),
            ["ingressgateway", "egressgateway", "eastwestgateway"].map(str::to_owned).to_vec(),
        )),
        Selector::equals(&annotation("inject.istio.io/templates"), "gateway"),
    ]);
    let gateway = all([labelled.clone(), waypoint.clone().negated()]);
    if !documents.iter().any(shows) {
        let (refused, free) = (Selector::equals(INJECT, "false"), labelled.negated());
        return Members {
            sidecar: all([free, refused.negated(), is_not(&annotation(INJECT), "false")]),
            ambient: Selector::nothing(),
            half: Selector::nothing(),
            gateway,
            waypoint,
            unclear: Selector::nothing(),
            known: Known::Assumed,
        };
    }
    let (injected, running) = (injected(&revisions(documents)), has(fact::RUNNING));
    let proxied =
        Selector::any_of(vec![has(&format!("{}{PROXY}", fact::CONTAINER)), has(&annotation(STATUS))]);
    let expected = all([injected, running.clone().negated(), lacks(fact::MACHINE)]);
    let machine = capable_machine();
    let sidecar = all([Selector::any_of(vec![proxied, expected, machine]), labelled.clone().negated()]);
    let free = all([labelled.negated(), sidecar.clone().negated()]);
    let asked = Selector::any_of(vec![
        Selector::equals(MODE, "ambient"),
        all([Selector::equals(&ns(MODE), "ambient"), is_not(MODE, "none")]),
    ]);
    let redirected = Selector::equals(&annotation(REDIRECTION), "enabled");
    // The proxy of the node is an agent like any other; pods that run show whether it has them.
    let reached = all([running.clone().negated(), lacks(fact::NO_AGENT)]);
    let enrolled = Selector::any_of(vec![redirected, all([asked, reached])]);
    let ambient =
        all([free.clone(), enrolled, is_not(&annotation(REDIRECTION), "pending"), lacks(fact::MACHINE)]);
    let occurs = documents.iter().any(is_ambient) || !values_of(documents, REDIRECTION).is_empty();
    let ambient = if occurs { ambient } else { Selector::nothing() };
    let half = match values_of(documents, BYPASS).iter().any(|value| TRUE.contains(&value.as_str())) {
        true => all([ambient.clone(), one_of(&annotation(BYPASS), TRUE.map(str::to_owned).to_vec())]),
        false => Selector::nothing(),
    };
    let unread = all([
        Selector::equals(fact::NAMESPACE_KNOWN, "name"),
        running.negated(),
        lacks(fact::MACHINE),
        is_not(INJECT, "false"),
        ambient.clone().negated(),
    ]);
    let pending = Selector::equals(&annotation(REDIRECTION), "pending");
    let assumed = all([free.clone(), unread.clone(), one_of(fact::NAMESPACE, with_policies(documents))]);
    let unclear = all([free, Selector::any_of(vec![pending, unread])]);
    let sidecar = Selector::any_of(vec![sidecar, assumed]);
    let served = documents.iter().any(|d| &*d.origin.kind == "Service");
    let known = if served { Known::Shown } else { Known::WithoutServices };
    Members { sidecar, ambient, half, gateway, waypoint, unclear, known }
}

/// A machine outside of the cluster speaks mutual TLS where its label says so, or else where it has
/// an account (`convertWorkloadEntry` of the serviceentry registry).
fn capable_machine() -> Selector {
    const TLS_MODE: &str = "security.istio.io/tlsMode";
    let said = Selector::equals(TLS_MODE, "istio");
    let unsaid = all([has(fact::SERVICE_ACCOUNT), lacks(TLS_MODE)]);
    all([has(fact::MACHINE), Selector::any_of(vec![said, unsaid])])
}

/// Namespaces that have policies of the mesh: somebody takes their pods for members.
pub fn with_policies(documents: &[Document]) -> Vec<String> {
    let is_policy = |d: &&Document| {
        super::is(d, super::authorization::KIND) || super::is(d, super::peer_authentication::KIND)
    };
    let names: BTreeSet<String> =
        documents.iter().filter(is_policy).map(|d| super::place(d).namespace.to_string()).collect();
    names.into_iter().collect()
}

/// What both layers of the injector agree on.
fn injected(revisions: &BTreeSet<String>) -> Selector {
    let revision = |key: &str| match revisions.is_empty() {
        true => has(key),
        false => one(Requirement::In(key.to_owned(), revisions.iter().cloned().collect())),
    };
    let (enabled, of_namespace) = (ns(INJECTION), ns(REVISION));
    let allowed = is_not(INJECT, "false");
    let webhook = Selector::any_of(vec![
        all([revision(&of_namespace), lacks(&enabled), allowed.clone()]),
        all([lacks(&enabled), lacks(&of_namespace), revision(REVISION), allowed.clone()]),
        all([Selector::equals(&enabled, "enabled"), allowed]),
        all([lacks(&enabled), lacks(&of_namespace), lacks(REVISION), Selector::equals(INJECT, "true")]),
    ]);
    let ignored = IGNORED.iter().map(|name| (*name).to_owned()).collect();
    let injector = all([
        one(Requirement::NotIn(fact::NAMESPACE.to_owned(), ignored)),
        Selector::any_of(vec![has(INJECT), is_not(&annotation(INJECT), "false")]),
    ]);
    all([webhook, injector])
}

/// Revisions and tags that have a webhook; empty where no webhook was given, so that all may exist.
fn revisions(documents: &[Document]) -> BTreeSet<String> {
    let hooks = documents.iter().filter(|d| &*d.origin.kind == "MutatingWebhookConfiguration");
    let label = |d: &Document, key: &str| {
        d.body.path(&["metadata", "labels", key]).and_then(Node::text).map(str::to_owned)
    };
    hooks.flat_map(|d| [label(d, REVISION), label(d, "istio.io/tag")]).flatten().collect()
}

/// The objects that carry labels and annotations of pods: the pod itself, or its template.
pub fn templates(document: &Document) -> impl Iterator<Item = &Node> {
    const INSIDE: &[&[&str]] = &[&["spec", "template"], &["spec", "jobTemplate", "spec", "template"]];
    let own = (&*document.origin.kind == "Pod").then_some(&document.body);
    own.into_iter().chain(INSIDE.iter().filter_map(|path| document.body.path(path)))
}

fn labels(object: &Node) -> &[(Text, Node)] {
    object.path(&["metadata", "labels"]).map_or(&[], Node::fields)
}

fn has_key(fields: &[(Text, Node)], keys: &[&str]) -> bool {
    fields.iter().any(|(key, _)| keys.contains(&&**key))
}

/// Whether an object is labelled for ambient.
pub fn is_ambient(document: &Document) -> bool {
    let own = (&*document.origin.kind == "Namespace").then_some(&document.body);
    let is =
        |object: &Node| labels(object).iter().any(|(key, v)| &**key == MODE && v.text() == Some("ambient"));
    own.into_iter().chain(templates(document)).any(is)
}

/// Whether an object tells anything on who is in the mesh.
fn shows(document: &Document) -> bool {
    const LABELS: &[&str] = &[INJECT, INJECTION, REVISION, MODE, GATEWAY_NAME];
    if &*document.origin.kind == "Namespace" {
        return has_key(labels(&document.body), LABELS);
    }
    templates(document).any(|template| {
        let annotations = template.path(&["metadata", "annotations"]).map_or(&[][..], Node::fields);
        let containers = |list: &str| {
            let items = template.path(&["spec", list]).map_or(&[][..], Node::items);
            items.iter().any(|container| container.text_of("name") == Some(PROXY))
        };
        let wanted = |key: &str| key == MODE || key == REVISION || key == GATEWAY_NAME;
        let asks = labels(template)
            .iter()
            .any(|(key, value)| wanted(key) || (key == INJECT && value.text() == Some("true")));
        asks || has_key(annotations, &[STATUS, REDIRECTION])
            || containers("containers")
            || containers("initContainers")
    })
}

/// Values that an annotation of pods has, each once.
pub fn values_of(documents: &[Document], key: &str) -> BTreeSet<String> {
    let of = |template: &Node| {
        template.path(&["metadata", "annotations", key]).and_then(Node::text).map(str::to_owned)
    };
    documents.iter().flat_map(|document| templates(document).filter_map(of).collect::<Vec<_>>()).collect()
}

/// Users that containers are told to run as, each once, as texts.
pub fn users_of(documents: &[Document]) -> BTreeSet<String> {
    let of = |template: &Node| -> Vec<String> {
        let spec = template.get("spec");
        let containers = spec.map_or(&[][..], |spec| spec.items_of("containers"));
        let user = |object: &Node| object.path(&["securityContext", "runAsUser"]).and_then(Node::int);
        let own = spec.into_iter().chain(containers).filter_map(user);
        own.map(|user| user.to_string()).collect()
    };
    documents.iter().flat_map(|document| templates(document).flat_map(of).collect::<Vec<_>>()).collect()
}

/// Whether a label of pods occurs.
pub fn label_occurs(documents: &[Document], key: &str) -> bool {
    documents.iter().any(|document| templates(document).any(|template| has_key(labels(template), &[key])))
}

/// The lists for reports: the first that selects an endpoint tells how it takes part.
pub fn list(members: &Members, changed: &Selector) -> Vec<Membership> {
    let doubt = match members.known {
        Known::Shown => None,
        Known::WithoutServices => Some("no Service was read, so how it is called is not known"),
        Known::Assumed => Some("nothing tells which pods are in the mesh"),
    };
    let mode = |mode| if doubt.is_some() { MeshMode::Unclear } else { mode };
    // Whose proxies something changes is told by whoever knows (`extension`).
    let known = |selector: &Selector, mode| match mode {
        MeshMode::Outside | MeshMode::Unclear => selector.clone(),
        _ if *changed == Selector::nothing() => selector.clone(),
        _ => all([selector.clone(), changed.clone().negated()]),
    };
    let entry = |selector: &Selector, mode, why: &str| Membership {
        subjects: vec![pods(Namespaces::any(), known(selector, mode))],
        mode,
        why: doubt.filter(|_| mode == MeshMode::Unclear).unwrap_or(why).to_owned(),
        origin: None,
    };
    let host = Selection {
        population: Population::HostNetwork,
        namespaces: Namespaces::any(),
        endpoints: Selector::everything(),
    };
    vec![
        Membership {
            subjects: vec![host],
            mode: MeshMode::Outside,
            why: "pods on the network of their node get no proxy".to_owned(),
            origin: None,
        },
        entry(&members.waypoint, mode(MeshMode::IstioGateway), "a Gateway declares it as a waypoint"),
        entry(&members.gateway, mode(MeshMode::IstioGateway), "its labels are those of a gateway"),
        entry(
            &members.unclear,
            MeshMode::Unclear,
            "its Namespace object was not read, or its redirection is not complete",
        ),
        entry(
            &members.sidecar,
            mode(MeshMode::IstioSidecar),
            "it has a proxy beside it, or labels that make the injector add one",
        ),
        entry(&members.ambient, mode(MeshMode::IstioAmbient), "the proxy of its node carries its traffic"),
        entry(
            &Selector::everything(),
            MeshMode::Outside,
            "neither its labels nor those of its namespace put it into the mesh",
        ),
    ]
}

/// Pods, and machines of the mesh, by namespace and labels.
pub fn pods(namespaces: Namespaces, endpoints: Selector) -> Selection {
    Selection { population: Population::Meshable, namespaces, endpoints }
}
