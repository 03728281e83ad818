//! Reads the inventory out of documents: owners, templates, pods, services, nodes.
//!
//! Only the fields that the analysis needs are read; objects of other kinds are passed over.

use super::calico::{self, Profiles};
use super::made;
use super::proxy;
use super::runs_on;
use super::service::{self, Found};
use super::workload::{Network, Variant};
use super::{Inventory, NAME_LABEL, Namespace, Node as ClusterNode, Service};
use super::{ServiceEntry, container, doubts, group, istio, network, virtual_machine};
use crate::model::{Document, EndpointName, Few, Labels, Node, Origin, Problem, Text, Value};
use rayon::iter::Either;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Where the pod template stands in each kind that has one.
pub(super) const TEMPLATES: &[(&str, &[&str])] = &[
    ("Deployment", &["spec", "template"]),
    ("ReplicaSet", &["spec", "template"]),
    ("StatefulSet", &["spec", "template"]),
    ("DaemonSet", &["spec", "template"]),
    ("ReplicationController", &["spec", "template"]),
    ("Job", &["spec", "template"]),
    ("CronJob", &["spec", "jobTemplate", "spec", "template"]),
    // OpenShift and Argo Rollouts: what their pods belong to, as a Deployment is elsewhere.
    ("DeploymentConfig", &["spec", "template"]),
    ("Rollout", &["spec", "template"]),
];

/// The labels by which pods of a Job carry its name (`k8s.io/api/batch/v1`).
const JOB_NAME: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];

/// Builds the inventory; objects that cannot be read are problems, and the rest stands.
pub fn read(documents: &[Document]) -> (Inventory, Vec<Problem>) {
    read_of(&documents.iter().collect::<Vec<_>>())
}

/// The same of some documents among others.
pub(super) fn read_of(documents: &[&Document]) -> (Inventory, Vec<Problem>) {
    let read = |document: &&Document| match read_document(document) {
        Ok(part) => part.map(Either::Left),
        Err(problem) => Some(Either::Right(problem)),
    };
    let (parts, mut problems): (Vec<Part>, Vec<Problem>) =
        documents.par_iter().filter_map(read).partition_map(|one| one);
    let mut builder = Builder::default();
    for part in parts {
        problems.extend(builder.add(part));
    }
    builder.owned.extend(made::waypoints(documents, &builder.owned));
    problems.par_extend(documents.par_iter().flat_map_iter(|document| doubts::of(document)));
    for document in documents {
        builder.inventory.definitions.add(document);
        builder.proxies.extend(proxy::read(document));
        if &*document.origin.kind == "NetworkPolicy" {
            builder.mention(document.namespace());
        }
    }
    (builder.finish(), problems)
}

/// What one document contributes.
enum Part {
    Namespace(String, Box<Namespace>),
    Workload(Owned),
    Service(Box<Service>),
    Entry(Box<ServiceEntry>),
    Endpoints { namespace: String, service: String, found: Found },
    Node(ClusterNode),
    ServiceAccount((String, String), Labels),
    Profile(String, Labels),
}

/// Pods, or the template of pods, with what owns them.
pub(super) struct Owned {
    pub name: EndpointName,
    pub owner: Option<EndpointName>,
    /// `None` for finished pods and for owners scaled away.
    pub variant: Option<Box<Variant>>,
    pub from_template: bool,
    pub origin: Origin,
}

fn read_document(document: &Document) -> Result<Option<Part>, Problem> {
    let body = &document.body;
    let kind = &*document.origin.kind;
    let core = document.api_version == "v1";
    let part = match kind {
        "Namespace" if core => Part::Namespace(
            document.origin.name.to_string(),
            Box::new(Namespace {
                labels: labels(document, body)?,
                annotations: annotations(body),
                origin: Some(document.origin.clone()),
                disputed: BTreeSet::new(),
            }),
        ),
        "Pod" if core => Part::Workload(pod(document)?),
        "Service" if core => Part::Service(Box::new(service::read(document)?)),
        "Endpoints" if core => {
            endpoints(document, &["subsets"], |subset| subset.items_of("addresses").to_vec())
        }
        "EndpointSlice" => endpoints(document, &["endpoints"], |endpoint| vec![endpoint.clone()]),
        "Node" if core => Part::Node(node(document)?),
        "ServiceAccount" if core => {
            let account = (document.namespace().to_owned(), document.origin.name.to_string());
            Part::ServiceAccount(account, labels(document, body)?)
        }
        "VirtualMachine" | "VirtualMachineInstance" if document.api_version.starts_with("kubevirt.io/") => {
            Part::Workload(virtual_machine::read(document)?)
        }
        "WorkloadEntry" | "WorkloadGroup" if istio::is_istio(document) => {
            Part::Workload(istio::machine(document)?)
        }
        "ServiceEntry" if istio::is_istio(document) => Part::Entry(Box::new(istio::entry(document)?)),
        "HostEndpoint" | "WorkloadEndpoint" if calico::is_calico(document) => {
            let (name, variant) = calico::endpoint(document)?;
            let origin = document.origin.clone();
            Part::Workload(Owned {
                name,
                owner: None,
                variant: Some(Box::new(variant)),
                from_template: false,
                origin,
            })
        }
        "Profile" if calico::is_calico(document) => {
            Part::Profile(document.origin.name.to_string(), calico::profile_labels(document))
        }
        _ => match TEMPLATES.iter().find(|(name, _)| *name == kind) {
            Some((_, path)) if is_workload_group(&document.api_version) => {
                Part::Workload(template(document, path)?)
            }
            _ => return Ok(None),
        },
    };
    Ok(Some(part))
}

pub(super) fn is_workload_group(api_version: &str) -> bool {
    api_version == "v1"
        || ["apps/", "batch/", "extensions/", "apps.openshift.io/", "argoproj.io/"]
            .iter()
            .any(|group| api_version.starts_with(group))
}

pub(super) fn refuse(document: &Document, line: u32, message: String, hint: &str) -> Problem {
    Problem::at(&document.origin, line, message, hint)
}

pub(super) fn labels(document: &Document, object: &Node) -> Result<Labels, Problem> {
    let fields = object.path(&["metadata", "labels"]).map_or(&[][..], Node::fields);
    let mut labels = Labels::with_capacity(fields.len());
    for (key, node) in fields {
        match &node.value {
            Value::Text(value) => labels.insert(key.clone(), value.clone()),
            Value::Null => labels.insert(key.clone(), Text::default()),
            _ => {
                let message = format!("the label {key} has a value that is not a string");
                return Err(refuse(document, node.line, message, "put the value in quotes"));
            }
        };
    }
    Ok(labels)
}

/// What begins the keys of annotations that say how traffic is carried. Others are not kept: they
/// often differ from pod to pod, and some hold secrets.
const ANNOTATIONS: &[&str] = &[
    "sidecar.istio.io/",
    "traffic.sidecar.istio.io/",
    "ambient.istio.io/",
    "proxy.istio.io/",
    "inject.istio.io/",
    "istio.io/",
    "linkerd.io/",
    "config.linkerd.io/",
    "consul.hashicorp.com/",
    "k8s.v1.cni.cncf.io/",
    "v1.multus-cni.io/",
    "k8s.ovn.org/open-default-ports",
];

pub(super) fn annotations(object: &Node) -> Labels {
    let fields = object.path(&["metadata", "annotations"]).map_or(&[][..], Node::fields);
    let kept = fields.iter().filter(|(key, _)| ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix)));
    kept.filter_map(|(key, node)| Some((key.clone(), node.text()?))).collect()
}

fn pod(document: &Document) -> Result<Owned, Problem> {
    let body = &document.body;
    let name = EndpointName {
        namespace: document.namespace().to_owned(),
        kind: "Pod".to_owned(),
        name: pod_name(document),
    };
    let phase = body.path(&["status", "phase"]).and_then(Node::text).unwrap_or_default();
    let finished = matches!(phase, "Succeeded" | "Failed");
    let mut variant = Box::new(variant(document, body)?);
    variant.pods.insert(name.name.as_str().into());
    let status = body.get("status");
    let host = variant.network == Network::Host;
    let mut add = |text: Option<&str>| {
        if let Some(address) = text.and_then(|text| text.parse().ok()) {
            variant.addresses.insert(address);
        }
    };
    add(status.and_then(|s| s.text_of("podIP")));
    if host {
        add(status.and_then(|s| s.text_of("hostIP")));
    }
    for item in status.map_or(&[][..], |s| s.items_of("podIPs")) {
        add(item.text_of("ip"));
    }
    variant.nodes.extend(body.path(&["spec", "nodeName"]).and_then(Node::text).map(Text::new));
    let owner = owner(document, &variant.labels).filter(|owner| owner.kind != "Node");
    let origin = document.origin.clone();
    Ok(Owned { name, owner, variant: (!finished).then_some(variant), from_template: false, origin })
}

fn pod_name(document: &Document) -> String {
    match &*document.origin.name {
        "" => document.body.path(&["metadata", "generateName"]).and_then(Node::text).unwrap_or("").to_owned(),
        name => name.to_owned(),
    }
}

/// The controlling owner; a ReplicaSet that carries the pod's template hash stands for its Deployment.
pub(super) fn owner(document: &Document, labels: &Labels) -> Option<EndpointName> {
    let references = document.body.path(&["metadata", "ownerReferences"])?.items();
    let controls = |r: &&Node| r.get("controller").and_then(Node::bool) == Some(true);
    let reference = references.iter().find(controls).or(references.first())?;
    let (kind, name) = (reference.text_of("kind")?, reference.text_of("name")?);
    let namespace = document.namespace().to_owned();
    let hash = labels.get("pod-template-hash").map(|hash| format!("-{hash}"));
    let deployment = hash.and_then(|hash| name.strip_suffix(&hash)).filter(|_| kind == "ReplicaSet");
    Some(match deployment {
        Some(name) => EndpointName { namespace, kind: "Deployment".to_owned(), name: name.to_owned() },
        None => EndpointName { namespace, kind: kind.to_owned(), name: name.to_owned() },
    })
}

fn template(document: &Document, path: &[&str]) -> Result<Owned, Problem> {
    let name = EndpointName {
        namespace: document.namespace().to_owned(),
        kind: document.origin.kind.to_string(),
        name: pod_name(document),
    };
    let mut variant = match document.body.path(path) {
        Some(template) if !template.is_null() && template.fields().is_empty() => {
            let hint = "a template has metadata with labels, and spec with containers";
            return Err(refuse(document, template.line, "template is no pod template".to_owned(), hint));
        }
        Some(template) => Some(Box::new(variant(document, template)?)),
        None => None,
    };
    if name.kind == "Job" && !document.origin.name.is_empty() {
        let named = |key: &&str| (key.to_string(), name.name.clone());
        variant.iter_mut().for_each(|v| v.labels.extend(JOB_NAME.iter().map(named)));
    }
    let owner = owner(document, &Labels::new());
    Ok(Owned { name, owner, variant, from_template: true, origin: document.origin.clone() })
}

fn variant(document: &Document, object: &Node) -> Result<Variant, Problem> {
    let spec = object.get("spec");
    let host = spec.and_then(|s| s.get("hostNetwork")).and_then(Node::bool) == Some(true);
    let account = spec.and_then(|s| s.text_of("serviceAccountName").or(s.text_of("serviceAccount")));
    let (mut ports, mut containers) = (Vec::new(), Few::new());
    for list in ["containers", "initContainers"] {
        for container in spec.map_or(&[][..], |s| s.items_of(list)) {
            containers.extend(container.text_of("name").map(Text::new));
            for port in container.items_of("ports") {
                ports.extend(container::port(document, port)?);
            }
        }
    }
    ports.sort();
    ports.dedup();
    ports.shrink_to_fit();
    Ok(Variant {
        labels: labels(document, object)?,
        annotations: annotations(object),
        containers,
        users: spec.map(container::users).unwrap_or_default(),
        ports,
        network: if host { Network::Host } else { Network::Pod },
        service_account: account.unwrap_or("default").to_owned(),
        profiles: Vec::new(),
        addresses: Few::new(),
        nodes: Few::new(),
        runs_on: runs_on::of_pod(object),
        pods: Few::new(),
        proxies: BTreeSet::new(),
        attachments: network::of_pod(document.namespace(), object),
    })
}

/// Endpoints name their service by their own name, EndpointSlices by a label.
fn endpoints(document: &Document, path: &[&str], entries: impl Fn(&Node) -> Vec<Node>) -> Part {
    let label = document.body.path(&["metadata", "labels", "kubernetes.io/service-name"]);
    let service = label.and_then(Node::text).unwrap_or(&document.origin.name).to_owned();
    let mut found = Found { addresses: BTreeSet::new(), ports: service::endpoint_ports(&document.body) };
    for entry in document.body.path(path).map_or(&[][..], Node::items).iter().flat_map(entries) {
        let addresses = &mut found.addresses;
        addresses.extend(entry.text_of("ip").and_then(|ip| ip.parse::<IpAddr>().ok()));
        addresses.extend(entry.items_of("addresses").iter().filter_map(|a| a.text()?.parse::<IpAddr>().ok()));
    }
    Part::Endpoints { namespace: document.namespace().to_owned(), service, found }
}

/// Addresses of all interfaces of a node, which OVN-Kubernetes takes for what `nodes` peers mean: a
/// list of CIDRs in JSON.
const HOST_CIDRS: &str = "k8s.ovn.org/host-cidrs";

fn node(document: &Document) -> Result<ClusterNode, Problem> {
    let reported = document.body.path(&["status", "addresses"]).map_or(&[][..], Node::items);
    let address = |node: &Node| node.text_of("address")?.parse::<IpAddr>().ok();
    let noted = document.body.path(&["metadata", "annotations", HOST_CIDRS]).and_then(Node::text);
    let cidrs = noted.unwrap_or_default().split(['[', ']', '"', ',', ' ']);
    let mut interfaces: BTreeSet<IpAddr> =
        cidrs.filter_map(|cidr| cidr.split('/').next()?.parse().ok()).collect();
    let addresses = reported.iter().filter_map(address).chain(interfaces.iter().copied()).collect();
    if interfaces.is_empty() {
        let is_inside = |node: &&Node| node.text_of("type") != Some("ExternalIP");
        interfaces = reported.iter().filter(is_inside).filter_map(address).collect();
    }
    Ok(ClusterNode {
        name: document.origin.name.to_string(),
        labels: labels(document, &document.body)?,
        addresses,
        interfaces,
        origin: document.origin.clone(),
    })
}

/// Collects parts; owners may come after what they own.
#[derive(Default)]
struct Builder {
    inventory: Inventory,
    owned: Vec<Owned>,
    profiles: Profiles,
    proxies: Vec<proxy::Found>,
    endpoints: BTreeMap<(String, String), Found>,
}

impl Builder {
    fn add(&mut self, part: Part) -> Option<Problem> {
        match part {
            Part::Namespace(name, namespace) => return self.add_namespace(name, *namespace),
            Part::Workload(owned) => self.owned.push(owned),
            Part::Service(service) => self.inventory.services.push(*service),
            Part::Entry(entry) => self.inventory.entries.push(*entry),
            Part::Endpoints { namespace, service, found } => {
                let known = self.endpoints.entry((namespace, service)).or_default();
                known.addresses.extend(found.addresses);
                known.ports.extend(found.ports);
            }
            Part::Node(node) => self.inventory.nodes.push(node),
            Part::ServiceAccount(account, labels) => {
                self.inventory.service_accounts.insert(account, labels);
            }
            Part::Profile(name, labels) => drop(self.profiles.insert(name, labels)),
        }
        None
    }

    /// Two objects of one name cannot both exist; the later one counts.
    fn add_namespace(&mut self, name: String, namespace: Namespace) -> Option<Problem> {
        let origin = namespace.origin.clone()?;
        let said = (namespace.labels.clone(), namespace.annotations.clone());
        let twin = self.inventory.namespaces.insert(name.clone(), namespace)?;
        if let Some(now) = self.inventory.namespaces.get_mut(&name).filter(|_| twin.origin.is_some()) {
            let keys: BTreeSet<Text> = twin.labels.keys().chain(now.labels.keys()).cloned().collect();
            let differ = keys.into_iter().filter(|key| twin.labels.get(key) != now.labels.get(key));
            now.disputed = differ.chain(twin.disputed.iter().cloned()).collect();
        }
        // The same said twice, as charts and overlays do, is said once.
        if said == (twin.labels, twin.annotations) {
            return None;
        }
        let twin = twin.origin?;
        let message = format!("the same namespace stands at {}:{} with other labels", twin.file, twin.line);
        let hint = "keep one of them; the later one was used".to_owned();
        Some(Problem { origin, message, hint })
    }

    /// Endpoint objects get the labels of their profiles; those of pods that are there are left out.
    fn complete_endpoints(&mut self) {
        let is_endpoint = |owned: &Owned| &*owned.origin.kind == "WorkloadEndpoint";
        if self.owned.iter().any(is_endpoint) {
            let pods = self.owned.iter().filter(|owned| &*owned.origin.kind == "Pod");
            let pods: BTreeSet<EndpointName> = pods.map(|owned| owned.name.clone()).collect();
            self.owned.retain(|owned| !is_endpoint(owned) || !pods.contains(&owned.name));
        }
        for variant in self.owned.iter_mut().filter_map(|owned| owned.variant.as_deref_mut()) {
            calico::inherit(variant, &self.profiles);
        }
    }

    fn mention(&mut self, namespace: &str) {
        if !self.inventory.namespaces.contains_key(namespace) {
            self.inventory.namespaces.insert(namespace.to_owned(), Namespace::default());
        }
    }

    fn finish(mut self) -> Inventory {
        self.complete_endpoints();
        runs_on::complete(&mut self.owned, &self.inventory.nodes);
        proxy::attach(std::mem::take(&mut self.proxies), &mut self.owned);
        let owners = group::owners(&self.owned);
        let mut groups: BTreeMap<EndpointName, Vec<Owned>> = BTreeMap::new();
        for owned in std::mem::take(&mut self.owned) {
            // What stands in for the namespace of a proxy that is no pod is none of the cluster's.
            if !owned.name.namespace.is_empty() && owned.name.kind != proxy::KIND {
                self.mention(&owned.name.namespace);
            }
            let top = group::top_owner(owned.owner.as_ref().unwrap_or(&owned.name), &owners);
            groups.entry(top).or_insert_with(|| Vec::with_capacity(1)).push(owned);
        }
        let groups: Vec<(EndpointName, Vec<Owned>)> = groups.into_iter().collect();
        let workload = |(name, owned)| group::workload(name, owned);
        self.inventory.workloads = groups.into_par_iter().filter_map(workload).collect();
        for service in &mut self.inventory.services {
            let key = (service.namespace.clone(), service.name.clone());
            let found = self.endpoints.remove(&key).unwrap_or_default();
            service.lead_to(&found.ports);
            service.endpoints = found.addresses;
        }
        let namespaces: Vec<String> = self.inventory.services.iter().map(|s| s.namespace.clone()).collect();
        namespaces.iter().for_each(|namespace| self.mention(namespace));
        for (name, namespace) in &mut self.inventory.namespaces {
            namespace.labels.insert(NAME_LABEL, name.as_str());
        }
        self.inventory.services.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        let key = |entry: &ServiceEntry| (entry.service.namespace.clone(), entry.service.name.clone());
        self.inventory.entries.sort_by_key(key);
        self.inventory.nodes.sort_by(|a, b| a.name.cmp(&b.name));
        self.inventory.take_addresses_from_nodes();
        self.inventory
    }
}
