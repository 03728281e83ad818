//! Objects that others are made of: pods by an operator, whole objects by what delivers them. What
//! comes of them is nowhere in the input unless that was read out of a cluster.
//!
//! Kinds that rooms read are none of them; what the Gateway API's controllers make is left to `made`
//! and `entry`.

use super::Inventory;

use crate::model::{Bend, Document, Gap, Node, Origin, Value};
use std::collections::BTreeSet;

/// An object of which something is made that was not read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unseen {
    /// The object.
    pub origin: Origin,
    /// Where what is made of it may be; `None` for anywhere.
    pub namespace: Option<String>,
    what: String,
}

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Makes {
    /// Pods, in its namespace.
    Pods,
    /// Pods perhaps: it has a field that objects with pods have.
    PodsPerhaps,
    /// Any objects, anywhere.
    Objects,
    /// The files beside it, changed.
    Files,
}

/// Groups without a single kind of which pods are made that is not read: those with many objects, and
/// those that speak of pods of others.
const QUIET: &[&str] = &[
    "acme.cert-manager.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "apps.openshift.io",
    "autoscaling",
    "autoscaling.k8s.io",
    "batch",
    "cert-manager.io",
    "certificates.k8s.io",
    "cilium.io",
    "cluster.x-k8s.io",
    "constraints.gatekeeper.sh",
    "consul.hashicorp.com",
    "coordination.k8s.io",
    "crd.projectcalico.org",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "external-secrets.io",
    "flowcontrol.apiserver.k8s.io",
    "gateway.networking.k8s.io",
    "image.openshift.io",
    "image.toolkit.fluxcd.io",
    "k8s.ovn.org",
    "karpenter.sh",
    "kueue.x-k8s.io",
    "kyverno.io",
    "machine.openshift.io",
    "mutations.gatekeeper.sh",
    "networking.istio.io",
    "networking.k8s.io",
    "node.k8s.io",
    "operator.tigera.io",
    "policies.kyverno.io",
    "policy",
    "policy.linkerd.io",
    "policy.networking.k8s.io",
    "projectcalico.org",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "route.openshift.io",
    "scheduling.k8s.io",
    "security.istio.io",
    "snapshot.storage.k8s.io",
    "storage.k8s.io",
    "telemetry.istio.io",
    "templates.gatekeeper.sh",
];

/// What delivers objects, by group and kinds.
const DELIVERERS: &[(&str, &[&str])] = &[
    ("addons.cluster.x-k8s.io", &["ClusterResourceSet", "HelmChartProxy"]),
    ("argoproj.io", &["Application", "ApplicationSet"]),
    ("fleet.cattle.io", &["Bundle", "GitRepo"]),
    ("fluxcd.controlplane.io", &["FluxInstance", "ResourceSet"]),
    ("helm.cattle.io", &["HelmChart"]),
    ("helm.toolkit.fluxcd.io", &["HelmRelease"]),
    ("install.istio.io", &["IstioOperator"]),
    ("kappctrl.k14s.io", &["App"]),
    ("kustomize.toolkit.fluxcd.io", &["Kustomization"]),
    ("operator.istio.io", &["IstioOperator"]),
    ("operators.coreos.com", &["ClusterServiceVersion", "Subscription"]),
    ("packaging.carvel.dev", &["PackageInstall"]),
    ("sailoperator.io", &["Istio", "IstioCNI", "ZTunnel"]),
    ("template.openshift.io", &["Template"]),
    ("work.open-cluster-management.io", &["ManifestWork"]),
];

/// What pods are made of, where no field tells.
const MAKERS: &[(&str, &[&str])] = &[
    ("acid.zalan.do", &["postgresql"]),
    ("agent.k8s.elastic.co", &["Agent"]),
    ("apm.k8s.elastic.co", &["ApmServer"]),
    ("argoproj.io", &["ArgoCD", "CronWorkflow", "EventBus", "EventSource", "Sensor", "Workflow"]),
    ("beat.k8s.elastic.co", &["Beat"]),
    ("ceph.rook.io", &["CephCluster", "CephFilesystem", "CephNFS", "CephObjectStore"]),
    ("elasticsearch.k8s.elastic.co", &["Elasticsearch"]),
    ("enterprisesearch.k8s.elastic.co", &["EnterpriseSearch"]),
    ("grafana.integreatly.org", &["Grafana"]),
    ("jaegertracing.io", &["Jaeger"]),
    ("k8s.keycloak.org", &["Keycloak"]),
    ("kafka.strimzi.io", &["Kafka", "KafkaBridge", "KafkaConnect", "KafkaMirrorMaker2", "KafkaNodePool"]),
    ("keda.sh", &["ScaledJob"]),
    ("kibana.k8s.elastic.co", &["Kibana"]),
    ("kiali.io", &["Kiali"]),
    ("kubevirt.io", &["KubeVirt", "VirtualMachineInstanceReplicaSet"]),
    ("logstash.k8s.elastic.co", &["Logstash"]),
    ("loki.grafana.com", &["LokiStack"]),
    ("maps.k8s.elastic.co", &["ElasticMapsServer"]),
    ("minio.min.io", &["Tenant"]),
    ("monitoring.coreos.com", &["Alertmanager", "Prometheus", "PrometheusAgent", "ThanosRuler"]),
    ("opentelemetry.io", &["OpenTelemetryCollector"]),
    ("operator.knative.dev", &["KnativeEventing", "KnativeServing"]),
    ("operator.tekton.dev", &["TektonConfig"]),
    ("operator.victoriametrics.com", &["VLogs", "VMAgent", "VMAlert", "VMAuth", "VMCluster", "VMSingle"]),
    ("pkg.crossplane.io", &["Function", "Provider"]),
    ("pool.kubevirt.io", &["VirtualMachinePool"]),
    ("postgresql.cnpg.io", &["Cluster", "Pooler"]),
    ("rabbitmq.com", &["RabbitmqCluster"]),
    ("tekton.dev", &["PipelineRun", "TaskRun"]),
    ("tempo.grafana.com", &["TempoMonolithic", "TempoStack"]),
];

/// Fields of objects that have pods: how many, and of what.
const TELLING: &[&str] = &["image", "instances", "nodeSets", "podTemplate", "replicas"];

/// Kinds that have such a field and no pods, or whose pods are read as their own.
const WITHOUT_PODS: &[(&str, &str)] = &[
    ("argoproj.io", "AppProject"),
    ("argoproj.io", "Rollout"),
    ("kafka.strimzi.io", "KafkaTopic"),
    ("kubevirt.io", "VirtualMachine"),
    ("kubevirt.io", "VirtualMachineInstance"),
];

/// How deep in an object a list of containers is looked for; a CronJob's is at four.
const DEPTH: u8 = 8;
/// How deep a telling field stands: `spec.kafka.replicas`, `spec.nodeSets`, `spec.proxy.pods.replicas`.
const TELLING_DEPTH: u8 = 3;

/// The objects of which nothing was read, in order.
pub fn unseen(documents: &[Document], inventory: &Inventory) -> Vec<Unseen> {
    let candidates: Vec<(&Document, Makes)> =
        documents.iter().filter_map(|document| Some((document, makes(document)?))).collect();
    if candidates.is_empty() {
        return Vec::new();
    }
    let seen = with_pods(documents, inventory);
    let is_unseen = |(document, makes): &(&Document, Makes)| match makes {
        Makes::Pods | Makes::PodsPerhaps => !seen.contains(&name_of(document)) && !is_asleep(document),
        Makes::Objects | Makes::Files => true,
    };
    let mut all: Vec<Unseen> = candidates.into_iter().filter(is_unseen).map(described).collect();
    all.sort();
    all
}

impl Unseen {
    /// The gap that it leaves.
    pub fn gap(&self) -> Gap {
        Gap { what: self.what.clone(), origin: self.origin.clone(), bends: Bend::MayAllowMore }
    }

    /// Whether what is made of it may be in a namespace.
    pub fn may_be_in(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

fn described((document, makes): (&Document, Makes)) -> Unseen {
    let (kind, api) = (&document.origin.kind, &document.api_version);
    let what = match makes {
        Makes::Pods => {
            format!("{kind} of {api} is not read: the pods that are made of it are not in the graph")
        }
        Makes::PodsPerhaps => {
            format!("{kind} of {api} is not read: where pods are made of it, they are not in the graph")
        }
        Makes::Objects => {
            format!("{kind} of {api} is not carried out: what comes of it counts where the input holds it")
        }
        Makes::Files => format!(
            "this {kind} is not built ({}): files are read as they stand, `kustomize build` gives what is applied",
            changes(&document.body).join(", ")
        ),
    };
    let namespace =
        matches!(makes, Makes::Pods | Makes::PodsPerhaps).then(|| document.namespace().to_owned());
    Unseen { origin: document.origin.clone(), namespace, what }
}

fn makes(document: &Document) -> Option<Makes> {
    let (group, _) = document.api_version.split_once('/').unwrap_or(("", ""));
    let kind = &*document.origin.kind;
    if group == "kustomize.config.k8s.io" {
        return (!changes(&document.body).is_empty()).then_some(Makes::Files);
    }
    if group.is_empty() || QUIET.contains(&group) {
        return None;
    }
    let is_in =
        |table: &[(&str, &[&str])]| table.iter().any(|(g, kinds)| *g == group && kinds.contains(&kind));
    if is_in(DELIVERERS) {
        return Some(Makes::Objects);
    }
    if WITHOUT_PODS.contains(&(group, kind)) {
        return None;
    }
    let spec = document.body.get("spec")?;
    match () {
        () if is_in(MAKERS) || has_containers(spec, DEPTH) => Some(Makes::Pods),
        () if tells(spec, TELLING_DEPTH) => Some(Makes::PodsPerhaps),
        () => None,
    }
}

/// Objects whose pods were read, by namespace, kind and name: the owners of workloads, and theirs.
fn with_pods<'a>(
    documents: &'a [Document],
    inventory: &'a Inventory,
) -> BTreeSet<(&'a str, &'a str, &'a str)> {
    let of_workload =
        |w: &'a super::Workload| (w.name.namespace.as_str(), &*w.name.kind, w.name.name.as_str());
    let mut seen: BTreeSet<_> = inventory.workloads.iter().map(of_workload).collect();
    let owners = |document: &'a Document| {
        let references = document.body.path(&["metadata", "ownerReferences"]).map_or(&[][..], Node::items);
        references.iter().filter_map(|owner| Some((owner.text_of("kind")?, owner.text_of("name")?)))
    };
    let owned: Vec<&Document> = documents
        .iter()
        .filter(|document| &*document.api_version != "v1" && owners(document).next().is_some())
        .collect();
    loop {
        let before = seen.len();
        for document in &owned {
            let (namespace, kind, name) = name_of(document);
            if seen.contains(&(namespace, kind, name)) {
                seen.extend(owners(document).map(|(kind, name)| (namespace, kind, name)));
            }
        }
        if seen.len() == before {
            return seen;
        }
    }
}

fn name_of(document: &Document) -> (&str, &str, &str) {
    (document.namespace(), &document.origin.kind, &document.origin.name)
}

/// Whether it says that there are none.
fn is_asleep(document: &Document) -> bool {
    document.body.path(&["spec", "replicas"]).and_then(Node::int) == Some(0)
}

fn has_containers(node: &Node, depth: u8) -> bool {
    if node.items_of("containers").iter().any(|container| container.get("image").is_some()) {
        return true;
    }
    let inner = node.fields().iter().map(|(_, inner)| inner).chain(node.items());
    depth > 0 && inner.into_iter().any(|inner| has_containers(inner, depth - 1))
}

fn tells(node: &Node, depth: u8) -> bool {
    node.fields().iter().any(|(name, inner)| {
        (TELLING.contains(&&**name) && !inner.is_null()) || (depth > 0 && tells(inner, depth - 1))
    })
}

/// What a kustomization does to files, by its fields, and what it takes from elsewhere. Images, the
/// number of replicas and generated maps of configuration make no difference here.
fn changes(body: &Node) -> Vec<String> {
    const FIELDS: &[&str] = &[
        "namespace",
        "namePrefix",
        "nameSuffix",
        "labels",
        "commonLabels",
        "patches",
        "patchesStrategicMerge",
        "patchesJson6902",
        "replacements",
        "components",
        "transformers",
        "generators",
        "helmCharts",
    ];
    let is_said = |field: &&&str| {
        body.get(field).is_some_and(|node| match &node.value {
            Value::Null => false,
            Value::List(items) => !items.is_empty(),
            _ => true,
        })
    };
    let said = FIELDS.iter().filter(is_said).map(|field| (*field).to_owned());
    let resources = ["resources", "bases"].iter().flat_map(|field| body.items_of(field));
    let elsewhere = resources.filter_map(Node::text).filter(|path| is_elsewhere(path)).map(str::to_owned);
    said.chain(elsewhere).collect()
}

/// Whether what a kustomization names is not in its folder: above it, or far away.
fn is_elsewhere(path: &str) -> bool {
    let host = path.split('/').next().unwrap_or_default();
    path.starts_with("..") || path.contains("://") || path.contains("?ref=") || host.contains(".com")
}
