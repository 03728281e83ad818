//! What is left out of objects changes no answer: every example of the pages and every world is
//! answered the same after [`watertight::cluster::clean`].

use crate::common;
use watertight::analysis;
use watertight::cluster::clean;
use watertight::model::Document;
use watertight::observed::Observed;
use watertight::policy;

/// Everything that is said of documents, lines and places included.
fn answer(documents: &[Document]) -> String {
    let declared = analysis::declared(documents, policy::detect(documents));
    common::examples::answer(&analysis::reviewed(declared, Observed::default()))
}

#[test]
fn what_is_left_out_of_objects_changes_no_answer() {
    let examples = common::examples::all();
    assert!(examples.len() > 500, "only {} examples were found", examples.len());
    let mut failures = Vec::new();
    for (name, documents) in examples {
        let before = answer(&documents);
        let after = answer(&documents.into_iter().map(clean).collect::<Vec<_>>());
        if before != after {
            let differs = before.lines().zip(after.lines()).find(|(a, b)| a != b);
            failures.push(format!("{name}\n    {differs:?}"));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

/// What a cluster is not asked for, and why.
const FOREIGN: &[&str] = &[
    // Kinds that make pods and are not read, and orders to operators: a cluster has the pods.
    "apps.kruise.io/v1alpha1 CloneSet",
    // Orders to installers: a cluster has what they became, and what else such orders hold may be
    // secret.
    "argoproj.io/v1alpha1 Application",
    "cert-manager.io/v1 Certificate",
    // Envoy's own configuration lies in files.
    "envoy.admin.v3 ConfigDump",
    "envoy.config.bootstrap.v3 Bootstrap",
    "example.org/v1 Cache",
    "helm.toolkit.fluxcd.io/v2 HelmRelease",
    "install.istio.io/v1alpha1 IstioOperator",
    "kafka.strimzi.io/v1beta2 Kafka",
    "kafka.strimzi.io/v1beta2 KafkaTopic",
    "kustomize.config.k8s.io/v1beta1 Kustomization",
    "leaderworkerset.x-k8s.io/v1 LeaderWorkerSet",
    "monitoring.coreos.com/v1 Prometheus",
    // The kind of another product, which a page shows to be none of ours.
    "nmstate.io/v1 UserDefinedNetwork",
    "sailoperator.io/v1 Istio",
    "serving.knative.dev/v1 Service",
    "sparkoperator.k8s.io/v1beta2 SparkApplication",
    "template.openshift.io/v1 Template",
];

#[test]
fn every_kind_on_the_pages_is_asked_for() {
    let wanted = analysis::kinds();
    let is_wanted = |document: &Document| {
        let group = document.api_version.split_once('/').map_or("", |(group, _)| group);
        wanted.iter().any(|kind| kind.api.kind == &*document.origin.kind && kind.api.group == group)
    };
    let mut strangers: Vec<String> = common::examples::all()
        .into_iter()
        .flat_map(|(_, documents)| documents)
        .filter(|document| !is_wanted(document))
        .map(|document| format!("{} {}", document.api_version, document.origin.kind))
        .collect();
    strangers.sort();
    strangers.dedup();
    assert_eq!(strangers, FOREIGN, "kinds on pages that a cluster would not be asked for");
}
