//! Which pods have a proxy of Linkerd: what the injector would do with templates, and what running
//! pods show (`pkg/inject/report.go`).

use super::super::shapes::{self, all, has, is_none_of, is_one_of, lacks};
use super::super::{Membership, MeshMode, Selection};
use super::settings::Settings;
use crate::model::{Document, Node, Origin, Selector, fact};
use std::collections::BTreeSet;

/// The annotation that asks for a proxy.
pub const INJECT: &str = "linkerd.io/inject";
/// The label that running pods get: the namespace of their control plane.
pub const CONTROL_PLANE: &str = "linkerd.io/control-plane-ns";
const PROXY: &str = "linkerd-proxy";
/// Sidecars beside which the injector adds none.
const STRANGERS: &[&str] = &["istio-proxy"];
/// Namespaces that the webhook leaves alone (`proxyInjector.namespaceSelector`).
const IGNORED: &[&str] = &["kube-system", "cert-manager"];

/// Who is in the mesh; no two of these select the same pod.
#[derive(Clone, Debug)]
pub struct Members {
    /// With a proxy.
    pub meshed: Selector,
    /// Those of them that call by the name in a header, and in the clear where there is none.
    pub ingress: Selector,
    /// Whether some have one, nobody knows.
    pub unclear: Selector,
    /// Control planes that have members; each trusts its own only.
    pub planes: BTreeSet<String>,
    /// An object that shows the mesh.
    pub origin: Origin,
}

impl Members {
    /// The members of one control plane; pods that do not run yet belong to the one of the settings.
    pub fn of_plane(&self, plane: &str, settings: &Settings) -> Selector {
        let own = Selector::equals(CONTROL_PLANE, plane);
        let own = match plane == settings.home {
            true => Selector::any_of(vec![own, lacks(CONTROL_PLANE)]),
            false => own,
        };
        match self.planes.len() {
            0 | 1 => self.meshed.clone(),
            _ => all([self.meshed.clone(), own]),
        }
    }
}

/// One of several objects, whatever the order in which they were read.
fn first<'a>(origins: impl Iterator<Item = &'a Origin>) -> Option<&'a Origin> {
    origins.min_by_key(|origin| origin.names())
}

/// Reads who takes part; `None` where nothing shows the mesh.
pub fn read(documents: &[Document], shapes: &[shapes::Shape<'_>], settings: &Settings) -> Option<Members> {
    let shown = documents.iter().filter(|document| shows(document)).map(|document| &document.origin);
    let asked = shapes.iter().filter(|s| shapes::annotation(s.body, INJECT).is_some()).map(|s| s.origin);
    let running = shapes.iter().filter(|shape| has_proxy(shape.body)).map(|shape| shape.origin);
    let origin = first(shown).or_else(|| first(asked)).or_else(|| first(running));
    let origin = settings.origin.clone().or(origin.cloned())?;
    let (pod, namespace) = (shapes::of_pod(INJECT), shapes::of_namespace(INJECT));
    let valid = Selector::any_of(vec![
        lacks(&namespace),
        is_one_of(&namespace, &["", "enabled", "ingress", "disabled"]),
    ]);
    let silent = Selector::any_of(vec![lacks(&pod), Selector::equals(&pod, "")]);
    let by = |values: &[&str]| {
        let inherited = all([silent.clone(), is_one_of(&namespace, values)]);
        Selector::any_of(vec![is_one_of(&pod, values), inherited])
    };
    let mut webhook = vec![
        is_none_of(&format!("{}config.linkerd.io/admission-webhooks", fact::NAMESPACE_LABEL), &["disabled"]),
        is_none_of(fact::NAMESPACE, IGNORED),
        lacks(fact::RUNNING),
    ];
    webhook.extend(STRANGERS.iter().map(|name| lacks(&format!("{}{name}", fact::CONTAINER))));
    let webhook = all(webhook);
    let injected = all([webhook.clone(), valid, by(&["enabled", "ingress"])]);
    let meshed = Selector::any_of(vec![has(&format!("{}{PROXY}", fact::CONTAINER)), injected]);
    let ingress = all([meshed.clone(), by(&["ingress"])]);
    let unread = all([Selector::equals(fact::NAMESPACE_KNOWN, "name"), webhook, silent]);
    let unclear = all([unread, meshed.clone().negated()]);
    let mut planes: BTreeSet<String> =
        shapes.iter().filter_map(|shape| shape.label(CONTROL_PLANE)).map(str::to_owned).collect();
    planes.insert(settings.home.clone());
    Some(Members { meshed, ingress, unclear, planes, origin })
}

/// Whether an object shows that there is a mesh.
fn shows(document: &Document) -> bool {
    let policy = ["policy.linkerd.io/", "workload.linkerd.io/", "linkerd.io/"];
    let group = policy.iter().any(|group| document.api_version.starts_with(group));
    let namespace = &*document.origin.kind == "Namespace";
    group || (namespace && shapes::annotation(&document.body, INJECT).is_some())
}

/// Whether a pod has the proxy of Linkerd among its containers.
pub fn has_proxy(body: &Node) -> bool {
    let lists = ["containers", "initContainers"].iter();
    let mut containers = lists.flat_map(|list| body.path(&["spec", list]).map_or(&[][..], Node::items));
    containers.any(|container| container.text_of("name") == Some(PROXY))
}

/// The list for reports.
pub fn list(members: &Members) -> Vec<Membership> {
    let entry = |pods: &Selector, mode, why: &str| Membership {
        subjects: vec![pods_of(pods.clone())],
        mode,
        why: why.to_owned(),
        origin: None,
    };
    vec![
        entry(&members.meshed, MeshMode::Linkerd, "it has the proxy linkerd-proxy, or the injector adds one"),
        entry(
            &members.unclear,
            MeshMode::Unclear,
            "its Namespace object was not read, which may ask for a proxy of Linkerd",
        ),
    ]
}

/// Pods of all namespaces.
pub fn pods_of(endpoints: Selector) -> Selection {
    Selection::pods(super::super::Namespaces::any(), endpoints)
}
