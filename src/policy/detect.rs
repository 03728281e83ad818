//! Which dataplane enforces, as far as the documents tell: what runs comes before what the cluster's
//! configuration says, that before the languages that somebody wrote policies in.

use super::{Dataplane, DataplaneKind, Found, antrea, calico, cilium};
use crate::model::{Document, Node, Origin, k3s};
use std::collections::BTreeMap;

/// A sign of a dataplane, and where to look for it.
struct Sign {
    kind: &'static str,
    /// The name, or where it is a label the value of `k8s-app` or `component`.
    names: &'static [&'static str],
    dataplane: DataplaneKind,
}

const fn runs(names: &'static [&'static str], dataplane: DataplaneKind) -> Sign {
    Sign { kind: "DaemonSet", names, dataplane }
}

/// What runs on every node, strongest first: Canal runs flannel beside Calico, and the AWS CNI
/// runs beside whoever adds policies to it.
const SIGNS: &[Sign] = &[
    runs(&["calico-node", "canal"], DataplaneKind::Calico),
    Sign { kind: "Installation", names: &["default"], dataplane: DataplaneKind::Calico },
    runs(&["cilium"], DataplaneKind::Cilium),
    Sign { kind: "ConfigMap", names: &["cilium-config"], dataplane: DataplaneKind::Cilium },
    runs(&["anetd"], DataplaneKind::GkeDataplaneV2),
    runs(&["ovnkube-node"], DataplaneKind::OvnKubernetes),
    runs(&["antrea-agent"], DataplaneKind::Antrea),
    runs(&["azure-npm", "kube-router", "weave-net", "kube-ovn-cni"], DataplaneKind::NetworkPolicyOnly),
    runs(&["kindnet", "kube-network-policies"], DataplaneKind::NetworkPolicyOnly),
    runs(&["sdn"], DataplaneKind::NetworkPolicyOnly),
];

/// Networks that enforce nothing by themselves, and what providers run in clusters whose network enforces
/// nothing unless somebody above was asked for; asked last.
const WITHOUT_POLICIES: &[&str] = &[
    "kube-flannel",
    "kube-flannel-ds",
    "bridge",
    "kubenet",
    // AKS with `--network-policy none`, GKE without Dataplane V2 and network policy, OKE.
    "azure-cns",
    "azure-ip-masq-agent",
    "gke-metrics-agent",
    "pdcsi-node",
    "vcn-native-ip-cni",
];

/// `spec.defaultNetwork.type` and `spec.networkType` of OpenShift's Network objects.
const OPENSHIFT: &[(&str, DataplaneKind)] = &[
    ("OVNKubernetes", DataplaneKind::OvnKubernetes),
    ("OpenShiftSDN", DataplaneKind::NetworkPolicyOnly),
    ("Calico", DataplaneKind::Calico),
    ("Cilium", DataplaneKind::Cilium),
];

/// API groups whose policies only one dataplane enforces.
const LANGUAGES: &[(&str, DataplaneKind)] = &[
    ("projectcalico.org/", DataplaneKind::Calico),
    ("crd.projectcalico.org/", DataplaneKind::Calico),
    ("cilium.io/", DataplaneKind::Cilium),
    ("k8s.ovn.org/", DataplaneKind::OvnKubernetes),
];

/// Labels that providers put on nodes, where nothing else tells.
const PROVIDERS: &[(&str, DataplaneKind)] = &[("node.openshift.io/os_id", DataplaneKind::OvnKubernetes)];

/// The dataplane behind `--engine auto`.
pub fn detect(documents: &[Document]) -> Dataplane {
    let found = running(documents)
        .or_else(|| aws(documents))
        .or_else(|| k3s(documents))
        .or_else(|| without_policies(documents))
        .map(|(kind, origin)| (kind, Found::Running(origin)))
        .or_else(|| suggested(documents).map(|(kind, origin)| (kind, Found::Suggested(origin))));
    match found {
        Some((kind, found)) => configured(Dataplane { found, ..Dataplane::new(kind) }, documents),
        None => Dataplane::kubernetes(),
    }
}

/// A dataplane with the version and the settings that the documents show of it; what is known of
/// them already comes first.
pub fn configured(dataplane: Dataplane, documents: &[Document]) -> Dataplane {
    let chosen = dataplane.settings.clone();
    let with = |mut settings: BTreeMap<String, String>| {
        settings.extend(chosen.clone());
        settings
    };
    match dataplane.kind {
        kind if cilium::settings::is_cilium(kind) => {
            let version = dataplane.version.or(cilium::settings::version(documents));
            let mut given: Vec<(Origin, BTreeMap<String, String>)> = Vec::new();
            for (origin, settings) in cilium::settings::settings(documents) {
                let settings = with(settings);
                let says_so = |known: &BTreeMap<String, String>| {
                    cilium::settings::all().all(|key| known.get(key) == settings.get(key))
                };
                if !given.iter().any(|(_, known)| says_so(known)) {
                    given.push((origin, settings));
                }
            }
            let dataplane = Dataplane { version, ..dataplane };
            if given.is_empty() { dataplane.with_settings(chosen) } else { dataplane.with_either(given) }
        }
        DataplaneKind::Calico => {
            let version = dataplane.version.or(calico::version(documents));
            Dataplane { version, ..dataplane }.with_settings(with(calico::settings(documents)))
        }
        DataplaneKind::Antrea => dataplane.with_settings(with(antrea::settings(documents))),
        _ => dataplane,
    }
}

type Sighting = (DataplaneKind, Origin);

fn running(documents: &[Document]) -> Option<Sighting> {
    let sign = |sign: &Sign| {
        let fits =
            |d: &&Document| *d.origin.kind == *sign.kind && is_named(d, sign.names) && !is_off(d, documents);
        Some((sign.dataplane, documents.iter().find(fits)?.origin.clone()))
    };
    let found = SIGNS.iter().find_map(sign).or_else(|| openshift(documents));
    found.map(|(kind, origin)| {
        (if serves_administrators(documents, &origin) { DataplaneKind::Kubernetes } else { kind }, origin)
    })
}

/// Whether kube-network-policies is told to enforce policies of administrators, which it is not by default
/// (`cmd/main.go`; images of their own since 1.0).
fn serves_administrators(documents: &[Document], agent: &Origin) -> bool {
    const FLAGS: [&str; 2] = ["--admin-network-policy", "--baseline-admin-network-policy"];
    let of =
        |document: &&Document| document.origin == *agent && is_named(document, &["kube-network-policies"]);
    documents.iter().filter(of).any(|document| {
        let images = document.containers().iter().filter_map(|one| one.text_of("image"));
        images.into_iter().any(|image| image.contains("npa-"))
            || FLAGS.iter().any(|flag| given(document, flag).is_some_and(|value| !is_false(value)))
    })
}

fn is_named(document: &Document, names: &[&str]) -> bool {
    let labels = document.body.path(&["metadata", "labels"]);
    let label = |key: &str| labels.and_then(|labels| labels.text_of(key));
    [Some(&*document.origin.name), label("k8s-app"), label("component")]
        .into_iter()
        .flatten()
        .any(|name| names.contains(&name))
}

fn openshift(documents: &[Document]) -> Option<Sighting> {
    let networks = documents.iter().filter(|d| {
        &*d.origin.kind == "Network"
            && (d.api_version.starts_with("operator.openshift.io/")
                || d.api_version.starts_with("config.openshift.io/"))
    });
    networks.into_iter().find_map(|document| {
        let spec = document.body.get("spec")?;
        let written =
            spec.path(&["defaultNetwork", "type"]).or(spec.get("networkType")).and_then(Node::text)?;
        let (_, kind) = OPENSHIFT.iter().find(|(name, _)| *name == written)?;
        Some((*kind, document.origin.clone()))
    })
}

/// A way to run without policies those who enforce them otherwise.
struct Off {
    name: &'static str,
    is_off: fn(&Document, &[Document]) -> bool,
}

const OFF: &[Off] = &[
    // `docs/user-guide.md`.
    Off { name: "kube-router", is_off: |agent, _| given(agent, "--run-firewall").is_some_and(is_false) },
    // `docs/arguments.md` of kube-ovn.
    Off {
        name: "kube-ovn-cni",
        is_off: |_, all| {
            let controllers = all.iter().filter(|d| is_named(d, &["kube-ovn-controller"]));
            controllers.filter_map(|controller| given(controller, "--enable-np")).any(is_false)
        },
    },
    // Its policies are those of a container of its own (`prog/weave-npc`).
    Off {
        name: "weave-net",
        is_off: |agent, _| {
            let names: Vec<_> = agent.containers().iter().filter_map(|one| one.text_of("name")).collect();
            !names.is_empty() && !names.contains(&"weave-npc")
        },
    },
    // kind has policies since 0.24, whose images are younger (kubernetes-sigs/kind, pull request 3612).
    Off {
        name: "kindnet",
        is_off: |agent, _| {
            let built = |one: &Node| one.text_of("image")?.rsplit_once(":v")?.1.get(..8)?.parse::<u32>().ok();
            agent.containers().iter().filter_map(built).any(|day| day < 20_240_723)
        },
    },
];

/// Whether somebody who enforces policies by default is told not to.
fn is_off(document: &Document, documents: &[Document]) -> bool {
    OFF.iter().any(|off| is_named(document, &[off.name]) && (off.is_off)(document, documents))
}

fn is_false(value: &str) -> bool {
    ["false", "False", "FALSE", "f", "F", "0"].contains(&value)
}

/// The value of a flag that a container is started with.
fn given<'a>(document: &'a Document, flag: &str) -> Option<&'a str> {
    let words = document
        .containers()
        .iter()
        .flat_map(|one| one.items_of("command").iter().chain(one.items_of("args")));
    words.filter_map(Node::text).find_map(|word| word.strip_prefix(flag)?.strip_prefix('='))
}

/// The AWS VPC CNI enforces policies where its agent and its controller were switched on; where one of
/// them is not there to be read, the other is believed.
fn aws(documents: &[Document]) -> Option<Sighting> {
    let node = documents.iter().find(|d| &*d.origin.kind == "DaemonSet" && &*d.origin.name == "aws-node")?;
    let configs =
        documents.iter().filter(|d| &*d.origin.kind == "ConfigMap" && &*d.origin.name == "amazon-vpc-cni");
    let config = |d: &'_ Document| {
        d.body.path(&["data", "enable-network-policy-controller"]).and_then(Node::text).map(str::to_owned)
    };
    let switches: Vec<String> = given(node, "--enable-network-policy")
        .map(str::to_owned)
        .into_iter()
        .chain(configs.filter_map(config))
        .collect();
    let is_on = !switches.is_empty() && switches.iter().all(|switch| switch == "true");
    let kind = if is_on { DataplaneKind::AwsVpcCni } else { DataplaneKind::None };
    Some((kind, node.origin.clone()))
}

/// K3s has an own controller for NetworkPolicies in its servers and agents, which no DaemonSet shows.
fn k3s(documents: &[Document]) -> Option<Sighting> {
    let arguments = |document: &Document| {
        let noted = document.body.path(&["metadata", "annotations", k3s::ARGUMENTS])?.text()?;
        Some(k3s::words(noted).map(str::to_owned).collect::<Vec<String>>())
    };
    let nodes = documents.iter().filter(|document| &*document.origin.kind == "Node");
    let noted: Vec<(Vec<String>, &Document)> = nodes.filter_map(|d| Some((arguments(d)?, d))).collect();
    let is_off = |words: &[String]| {
        let place = words.iter().position(|word| word.starts_with(k3s::NO_POLICIES))?;
        let value = words[place].strip_prefix(k3s::NO_POLICIES)?.strip_prefix('=');
        let next = words.get(place + 1).map(String::as_str);
        Some(!value.or(next).is_some_and(is_false))
    };
    let off = noted.iter().find(|(words, _)| is_off(words) == Some(true));
    let (kind, (_, node)) = match off {
        Some(node) => (DataplaneKind::None, node),
        None => (DataplaneKind::NetworkPolicyOnly, noted.first()?),
    };
    Some((kind, node.origin.clone()))
}

fn without_policies(documents: &[Document]) -> Option<Sighting> {
    let without = |d: &&Document| is_named(d, WITHOUT_POLICIES) || is_off(d, documents);
    let network = documents.iter().filter(|d| &*d.origin.kind == "DaemonSet").find(without)?;
    Some((DataplaneKind::None, network.origin.clone()))
}

/// The one dataplane whose language is used; none where it is several.
fn suggested(documents: &[Document]) -> Option<Sighting> {
    let by_language = |document: &Document| {
        let (_, kind) = LANGUAGES.iter().find(|(group, _)| document.api_version.starts_with(group))?;
        Some((*kind, document.origin.clone()))
    };
    let by_provider = |document: &Document| {
        let labels =
            document.body.path(&["metadata", "labels"]).filter(|_| &*document.origin.kind == "Node")?;
        let (_, kind) = PROVIDERS.iter().find(|(label, _)| labels.get(label).is_some())?;
        Some((*kind, document.origin.clone()))
    };
    let mut seen: Vec<Sighting> = documents.iter().filter_map(by_language).collect();
    if seen.is_empty() {
        seen = documents.iter().filter_map(by_provider).collect();
    }
    let (first, _) = seen.first()?;
    seen.iter().all(|(kind, _)| kind == first).then(|| seen[0].clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    fn object(kind: &str, name: &str, api_version: &str) -> Document {
        let origin = Origin {
            file: "".into(),
            document: 1,
            column: 0,
            line: 1,
            kind: kind.into(),
            namespace: "".into(),
            name: name.into(),
            rule: "".into(),
        };
        let body = Node { line: 1, column: 0, value: Value::Map(Box::default()) };
        Document { origin, api_version: api_version.into(), body }
    }

    #[test]
    fn what_runs_comes_before_leftover_objects() {
        let leftover = object("GlobalNetworkPolicy", "old", "crd.projectcalico.org/v1");
        let cilium = object("DaemonSet", "cilium", "apps/v1");
        assert_eq!(detect(&[leftover.clone(), cilium]).kind, DataplaneKind::Cilium);
        assert_eq!(detect(&[leftover]).kind, DataplaneKind::Calico);
    }

    #[test]
    fn flannel_alone_enforces_nothing_and_with_calico_it_is_canal() {
        let flannel = object("DaemonSet", "kube-flannel-ds", "apps/v1");
        let calico = object("DaemonSet", "calico-node", "apps/v1");
        assert_eq!(detect(std::slice::from_ref(&flannel)).kind, DataplaneKind::None);
        assert_eq!(detect(&[flannel, calico]).kind, DataplaneKind::Calico);
    }

    #[test]
    fn clusters_of_providers_enforce_nothing_unless_somebody_does() {
        let agent = object("DaemonSet", "azure-ip-masq-agent", "apps/v1");
        let npm = object("DaemonSet", "azure-npm", "apps/v1");
        assert_eq!(detect(std::slice::from_ref(&agent)).kind, DataplaneKind::None);
        assert_eq!(detect(&[agent, npm]).kind, DataplaneKind::NetworkPolicyOnly);
        let agent = object("DaemonSet", "pdcsi-node", "apps/v1");
        let anetd = object("DaemonSet", "anetd", "apps/v1");
        assert_eq!(detect(std::slice::from_ref(&agent)).kind, DataplaneKind::None);
        assert_eq!(detect(&[agent, anetd]).kind, DataplaneKind::GkeDataplaneV2);
    }

    #[test]
    fn two_languages_and_nothing_that_runs_decide_nothing() {
        let calico = object("GlobalNetworkPolicy", "a", "projectcalico.org/v3");
        let cilium = object("CiliumNetworkPolicy", "b", "cilium.io/v2");
        let dataplane = detect(&[calico, cilium]);
        assert_eq!((dataplane.kind, dataplane.found), (DataplaneKind::Kubernetes, Found::Assumed));
    }

    #[test]
    fn the_aws_network_alone_enforces_nothing() {
        let aws = object("DaemonSet", "aws-node", "apps/v1");
        assert_eq!(detect(&[aws]).kind, DataplaneKind::None);
    }
}
