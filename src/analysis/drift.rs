//! Declared against live: what stands beside the declared configuration in the cluster belongs to both
//! sides, so that only what people declare can differ.

use crate::model::{Document, Labels, Node};
use crate::policy;
use std::collections::{BTreeMap, BTreeSet};

/// The declared configuration, completed by what the cluster has beside it.
#[derive(Debug)]
pub struct Completed {
    /// Declared objects, then those of the cluster that nobody declares.
    pub documents: Vec<Document>,
    /// Namespaces of the cluster of which nothing is declared; they are taken as they are.
    pub undeclared: BTreeSet<String>,
}

/// Kinds that the cluster makes by itself or that say how it is set up.
const OF_CLUSTER: &[&str] = &["ConfigMap", "EndpointSlice", "Endpoints", "ServiceAccount"];

/// Labels that controllers and injectors put on pods, by what begins their keys.
const ADDED_LABELS: &[&str] = &[
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/",
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    "linkerd.io/",
    "pod-template-generation",
    "pod-template-hash",
    "rollouts-pod-template-hash",
    "security.istio.io/tlsMode",
    "service.istio.io/",
    "statefulset.kubernetes.io/pod-name",
];

type Key = (String, String, String, String);

/// Adds to the declared objects what the cluster has beside them: other namespaces, nodes and what
/// else the cluster makes by itself, and pods that are as their declared template says, for their
/// addresses.
pub fn completed(declared: &[Document], live: &[Document]) -> Completed {
    let own: BTreeSet<Key> = declared.iter().map(key).collect();
    let namespaces: BTreeSet<String> = declared.iter().filter_map(namespace).collect();
    let policies: BTreeSet<(&str, &str)> =
        policy::ENGINES.iter().flat_map(|e| e.kinds()).flat_map(of_kind).collect();
    let owners = Owners::of(live);
    let templates: BTreeMap<Key, &Document> = declared.iter().map(|d| (key(d), d)).collect();
    let beside = |document: &&Document| {
        let kind = &*document.origin.kind;
        let place = &*document.origin.namespace;
        let is_policy = policies.contains(&(group(document), kind));
        match place {
            _ if own.contains(&key(document)) => false,
            "" => !is_policy || kind == "Namespace",
            _ if !namespaces.contains(place) => true,
            _ if kind == "Pod" => {
                let template = owners.top(document).and_then(|top| templates.get(&top));
                template.is_some_and(|template| is_as_declared(document, template))
            }
            "default" if &*document.origin.name == "kubernetes" => true,
            _ => OF_CLUSTER.contains(&kind),
        }
    };
    let rest = live.iter().filter(beside).cloned();
    let documents = declared.iter().cloned().chain(rest).collect();
    let all = live.iter().filter(|d| &*d.origin.kind == "Namespace").map(|d| d.origin.name.to_string());
    Completed { documents, undeclared: all.filter(|name| !namespaces.contains(name)).collect() }
}

fn of_kind(kind: &'static policy::Kind) -> impl Iterator<Item = (&'static str, &'static str)> {
    kind.api_versions.iter().map(|version| (version.split_once('/').map_or("", |(g, _)| g), kind.name))
}

fn group(document: &Document) -> &str {
    document.api_version.split_once('/').map_or("", |(group, _)| group)
}

fn key(document: &Document) -> Key {
    let namespace = match namespace(document) {
        Some(name) if &*document.origin.kind != "Namespace" => name,
        _ => String::new(),
    };
    (
        group(document).to_owned(),
        document.origin.kind.to_string(),
        namespace,
        document.origin.name.to_string(),
    )
}

/// The namespace of which an object declares something.
fn namespace(document: &Document) -> Option<String> {
    let origin = &document.origin;
    match (&*origin.kind, &*origin.namespace) {
        ("Namespace", _) => Some(origin.name.to_string()),
        (_, "") => document.lives_in_namespace().then(|| document.namespace().to_owned()),
        (_, name) => Some(name.to_owned()),
    }
}

/// Who controls whom among live objects.
struct Owners(BTreeMap<(String, String, String), (String, Key)>);

impl Owners {
    fn of(live: &[Document]) -> Owners {
        let of = |document: &Document| {
            let (api_version, kind, name) = controller(document)?;
            let namespace = document.origin.namespace.to_string();
            let group = api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
            let own = (document.origin.kind.to_string(), namespace.clone(), document.origin.name.to_string());
            Some((own, (kind.to_owned(), (group, kind.to_owned(), namespace, name.to_owned()))))
        };
        Owners(live.iter().filter_map(of).collect())
    }

    /// Who controls an object in the end; `None` where nobody does.
    fn top(&self, document: &Document) -> Option<Key> {
        let mut at = (
            document.origin.kind.to_string(),
            document.origin.namespace.to_string(),
            document.origin.name.to_string(),
        );
        let mut top = None;
        for _ in 0..8 {
            let Some((kind, owner)) = self.0.get(&at) else { break };
            at = (kind.clone(), owner.2.clone(), owner.3.clone());
            top = Some(owner.clone());
        }
        top
    }
}

fn controller(document: &Document) -> Option<(&str, &str, &str)> {
    let references = document.body.path(&["metadata", "ownerReferences"])?.items();
    let controls = |r: &&Node| r.get("controller").and_then(Node::bool) == Some(true);
    let reference = references.iter().find(controls)?;
    Some((reference.text_of("apiVersion")?, reference.text_of("kind")?, reference.text_of("name")?))
}

/// Whether a pod is as its template says, as far as rules can tell.
fn is_as_declared(pod: &Document, owner: &Document) -> bool {
    let template = owner.body.path(&["spec", "jobTemplate", "spec", "template"]);
    let Some(template) = template.or(owner.body.path(&["spec", "template"])) else { return false };
    let (declared, live) = (labels(template), labels(&pod.body));
    let kept = declared.iter().all(|(key, value)| live.get(key) == Some(value));
    let added = |key: &str| ADDED_LABELS.iter().any(|prefix| key.starts_with(prefix));
    let none_else = live.keys().all(|key| declared.contains_key(key) || added(key));
    let spec = |object: &Node, field: &str| object.path(&["spec", field]).cloned().map(|node| node.value);
    let account = |object: &Node| {
        let named = object.path(&["spec", "serviceAccountName"]).and_then(Node::text);
        named.unwrap_or("default").to_owned()
    };
    kept && none_else
        && spec(template, "hostNetwork") == spec(&pod.body, "hostNetwork")
        && account(template) == account(&pod.body)
        && ports(template).is_subset(&ports(&pod.body))
}

fn labels(object: &Node) -> Labels {
    let fields = object.path(&["metadata", "labels"]).map_or(&[][..], Node::fields);
    fields.iter().filter_map(|(key, node)| Some((key.clone(), node.text()?))).collect()
}

fn ports(object: &Node) -> BTreeSet<(i64, String, String)> {
    let containers = object.path(&["spec", "containers"]).map_or(&[][..], Node::items);
    let port = |port: &Node| {
        let text = |field: &str, default: &str| port.text_of(field).unwrap_or(default).to_owned();
        Some((port.get("containerPort")?.int()?, text("protocol", "TCP"), text("name", "")))
    };
    containers.iter().flat_map(|container| container.items_of("ports")).filter_map(port).collect()
}
