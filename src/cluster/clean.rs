//! What of an object is kept: what the analysis reads. The rest never leaves this room, so that no
//! snapshot and no report can hold a secret that somebody wrote where it does not belong.
//!
//! Kept are whole policies; of pods, their identity, addresses, ports and the names of their
//! variables; of annotations, those that say how traffic goes. `tests/cluster.rs` holds that no page
//! and no world gives another answer for it.

use crate::model::{Document, Node, Value, k3s};

/// Fields of `metadata` that are kept.
const METADATA: &[&str] = &[
    "annotations",
    "creationTimestamp",
    "deletionTimestamp",
    "generateName",
    "labels",
    "name",
    "namespace",
    "ownerReferences",
    "uid",
];

/// What begins the keys of annotations that are read. Others often hold a whole object
/// (`last-applied-configuration`) or tokens.
const ANNOTATIONS: &[&str] = &[
    "alb.ingress.kubernetes.io/backend-protocol",
    "ambient.istio.io/",
    "config.linkerd.io/",
    "consul.hashicorp.com/",
    "haproxy.org/ssl-passthrough",
    "ingress.kubernetes.io/ssl-passthrough",
    "ingressclass.kubernetes.io/",
    "inject.istio.io/",
    "istio.io/",
    k3s::ARGUMENTS,
    "k8s.v1.cni.cncf.io/",
    "kubernetes.io/ingress.class",
    "linkerd.io/",
    "networking.istio.io/",
    "nginx.ingress.kubernetes.io/backend-protocol",
    "nginx.ingress.kubernetes.io/ssl-passthrough",
    "projectcalico.org/",
    "cni.projectcalico.org/",
    "proxy.istio.io/",
    "route.openshift.io/",
    "service.beta.kubernetes.io/load-balancer-source-ranges",
    "sidecar.istio.io/",
    "traffic.sidecar.istio.io/",
    "v1.multus-cni.io/",
    "k8s.ovn.org/host-cidrs",
    "k8s.ovn.org/open-default-ports",
];

/// Fields of a pod's `spec` that are kept.
const POD_SPEC: &[&str] = &[
    "affinity",
    "containers",
    "hostNetwork",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "os",
    "schedulerName",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
];
/// Fields of a container that are kept.
const CONTAINER: &[&str] = &[
    "args",
    "command",
    "env",
    "image",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "restartPolicy",
    "securityContext",
    "startupProbe",
];
/// Of where something may run, only this tells what kind of node it is.
const AFFINITY: &[&str] = &["nodeAffinity"];
/// Of whom something runs as, only this tells whether proxies see its traffic.
const SECURITY: &[&str] = &["runAsUser"];
/// What variables begin with whose value says how traffic goes.
const VARIABLES: &[&str] = &["FELIX_", "PILOT_ENABLE_AMBIENT"];
/// What an argument must hold to be kept: switches of dataplanes and meshes.
const ARGUMENTS: &[&str] = &[
    "-admin-network-policy",
    "--enable-network-policy=",
    "--enable-np=",
    "--run-firewall=",
    "inject-connect",
];
/// Fields of a probe that are kept, and of the request that it makes.
const PROBE: &[&str] = &["grpc", "httpGet", "tcpSocket"];
const REQUEST: &[&str] = &["path", "port", "scheme"];
/// What is kept of the insides of kinds that hold more than is read: kind, where, and which fields.
const KEPT: &[(&[&str], &[&str], &[&str])] = &[
    (&["Pod"], &["status"], &["hostIP", "hostIPs", "phase", "podIP", "podIPs", "startTime"]),
    (&["Node"], &["status"], &["addresses"]),
    (OWNERS, &["status"], &[]),
    (OWNERS, &["spec"], &["jobTemplate", "replicas", "selector", "template"]),
    (&["CronJob"], &["spec", "jobTemplate", "spec"], &["template"]),
    (&["VirtualMachine"], &["spec"], &["runStrategy", "running", "template"]),
    (&["VirtualMachine"], &["spec", "template", "spec"], &["domain", "networks"]),
    (&["VirtualMachine"], &["spec", "template", "spec", "domain"], &["devices"]),
    (&["VirtualMachine"], &["spec", "template", "spec", "domain", "devices"], &["interfaces"]),
    (&["VirtualMachineInstance"], &["spec"], &["domain", "networks"]),
    (&["VirtualMachineInstance"], &["spec", "domain"], &["devices"]),
    (&["VirtualMachineInstance"], &["spec", "domain", "devices"], &["interfaces"]),
    (&["MutatingWebhookConfiguration"], &["webhooks"], &["name", "namespaceSelector", "objectSelector"]),
    (&["EnvoyFilter"], &["spec"], &["configPatches", "targetRefs", "workloadSelector"]),
    (&["EnvoyFilter"], &["spec", "configPatches"], &["applyTo"]),
    (&["WasmPlugin"], &["spec"], &["match", "phase", "selector", "targetRef", "targetRefs"]),
];
/// Kinds that own pods.
const OWNERS: &[&str] = &[
    "CronJob",
    "DaemonSet",
    "Deployment",
    "DeploymentConfig",
    "Job",
    "ReplicaSet",
    "ReplicationController",
    "Rollout",
    "StatefulSet",
];
/// Where pods and their templates stand.
const PODS: &[(&[&str], &[&str])] = &[
    (&["Pod"], &[]),
    (OWNERS, &["spec", "template"]),
    (&["CronJob"], &["spec", "jobTemplate", "spec", "template"]),
];

/// The object without what the analysis does not read.
pub fn clean(mut document: Document) -> Document {
    let kind = document.origin.kind.clone();
    let body = &mut document.body;
    metadata(body);
    for (_, path, fields) in KEPT.iter().filter(|(kinds, ..)| kinds.contains(&&*kind)) {
        match at(body, path) {
            Some(Node { value: Value::List(items), .. }) => items.iter_mut().for_each(|i| keep(i, fields)),
            Some(node) => keep(node, fields),
            None => {}
        }
    }
    for (_, path) in PODS.iter().filter(|(kinds, _)| kinds.contains(&&*kind)) {
        at(body, path).into_iter().for_each(pod);
    }
    without_empty(body, &["status"]);
    document
}

fn pod(object: &mut Node) {
    metadata(object);
    let Some(spec) = field(object, "spec") else { return };
    keep(spec, POD_SPEC);
    field(spec, "affinity").into_iter().for_each(|affinity| keep(affinity, AFFINITY));
    without_empty(spec, &["affinity"]);
    security(spec);
    for list in ["containers", "initContainers"] {
        field(spec, list).into_iter().for_each(|list| each(list, container));
    }
}

fn metadata(object: &mut Node) {
    let Some(metadata) = field(object, "metadata") else { return };
    keep(metadata, METADATA);
    if let Some(annotations) = field(metadata, "annotations") {
        let read = |key: &str| ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix));
        annotations.change_fields(|all| {
            all.retain(|(key, _)| read(key));
            let started = all.iter_mut().filter(|(key, _)| key == k3s::ARGUMENTS);
            started.for_each(|(_, node)| node.value = switch_of(node));
        });
    }
    without_empty(metadata, &["annotations"]);
}

/// What of the arguments of K3s is kept: the switch, with the value that follows it.
fn switch_of(node: &Node) -> Value {
    let words = k3s::words(node.text().unwrap_or_default());
    let mut words = words.skip_while(|word| !word.starts_with(k3s::NO_POLICIES));
    let switch = words.next().unwrap_or_default();
    let value = words.next().filter(|next| !next.starts_with('-')).unwrap_or_default();
    Value::Text(format!("{switch} {value}").trim().into())
}

fn container(node: &mut Node) {
    keep(node, CONTAINER);
    security(node);
    let Value::Map(fields) = &mut node.value else { return };
    for (name, node) in fields.iter_mut() {
        match &**name {
            "env" => each(node, variable),
            "args" | "command" => arguments(node),
            name if name.ends_with("Probe") => {
                keep(node, PROBE);
                field(node, "httpGet").into_iter().for_each(|request| keep(request, REQUEST));
            }
            _ => {}
        }
    }
    without_empty(node, &["args", "command", "livenessProbe", "readinessProbe", "startupProbe"]);
}

fn security(node: &mut Node) {
    field(node, "securityContext").into_iter().for_each(|context| keep(context, SECURITY));
    without_empty(node, &["securityContext"]);
}

fn variable(node: &mut Node) {
    let known =
        node.text_of("name").is_some_and(|name| VARIABLES.iter().any(|known| name.starts_with(known)));
    keep(node, if known { &["name", "value"] } else { &["name"] });
}

fn arguments(node: &mut Node) {
    let kept = |node: &Node| node.text().is_some_and(|text| ARGUMENTS.iter().any(|part| text.contains(part)));
    node.change_items(|items| items.retain(kept));
}

fn keep(node: &mut Node, names: &[&str]) {
    node.change_fields(|fields| fields.retain(|(name, _)| names.contains(&&**name)));
}

fn each(node: &mut Node, change: fn(&mut Node)) {
    if let Value::List(items) = &mut node.value {
        items.iter_mut().for_each(change);
    }
}

/// Takes fields out that hold nothing any more.
fn without_empty(node: &mut Node, names: &[&str]) {
    let empty = |node: &Node| node.fields().is_empty() && node.items().is_empty();
    node.change_fields(|fields| fields.retain(|(name, node)| !names.contains(&&**name) || !empty(node)));
}

fn at<'a>(node: &'a mut Node, path: &[&str]) -> Option<&'a mut Node> {
    path.iter().try_fold(node, |node, name| field(node, name))
}

fn field<'a>(node: &'a mut Node, name: &str) -> Option<&'a mut Node> {
    match &mut node.value {
        Value::Map(fields) => fields.iter_mut().find(|(key, _)| &**key == name).map(|(_, node)| node),
        _ => None,
    }
}
