//! Who takes connections from outside: controllers by their class, and their pods by their labels.
//!
//! The labels are those that the projects' own manifests and charts put on the pods that carry
//! traffic, which for some are not those that watch the objects.

use super::context::Context;
use crate::inventory::Inventory;
use crate::model::{AddressSet, Labels};

/// Who takes a connection from outside and opens another one to the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// For people: `ingress-nginx`, `load balancer`, or the class that nobody knows.
    pub name: String,
    /// Where it runs.
    pub presence: Presence,
    /// What its pods usually look like, where that is known and the input has none of them.
    pub usual: Option<Usual>,
}

/// What the pods of a controller look like to policies, as it is usually installed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usual {
    /// Their namespace.
    pub namespace: String,
    /// What else the namespace is labelled with.
    pub namespace_labels: Labels,
    /// Labels of the pods.
    pub labels: Labels,
}

/// Where a controller runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// Nothing stands between: clients reach the pod, if need be through a node.
    Direct,
    /// In these workloads, by index.
    Inside(Vec<usize>),
    /// Outside of the cluster, so that it comes from outside addresses: from these, where they are known.
    Outside(Option<AddressSet>),
    /// Somewhere that the input does not show.
    Absent,
    /// As `Absent`, and the gateway object is not in the input either, so that it is not known
    /// whether it takes the route.
    Missing,
}

/// A controller that many clusters use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Name for people.
    pub name: &'static str,
    /// Class names that its documentation uses.
    pub classes: &'static [&'static str],
    /// What `IngressClass.spec.controller` and `GatewayClass.spec.controllerName` begin with.
    pub controllers: &'static [&'static str],
    /// Labels of the pods that carry the traffic, each enough alone; the first is what a new installation has.
    pub labels: &'static [(&'static str, &'static str)],
    /// Where it is usually installed; empty where each gateway has pods of its own, or none are in the cluster.
    pub namespace: &'static str,
    /// Labels that this namespace usually has.
    pub namespace_labels: &'static [(&'static str, &'static str)],
    /// Whether it runs outside of the cluster.
    pub place: Place,
}

/// Where a known controller runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In pods.
    Pods,
    /// In pods that are made for each Gateway, in its namespace.
    PodsOfGateway,
    /// In the dataplane, where its traffic has an identity that NetworkPolicies cannot name.
    Dataplane,
    /// At a load balancer outside of the cluster.
    Cloud,
}

/// The label on what was deployed for a Gateway (GEP-1762).
pub(super) const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

const fn pods(
    name: &'static str,
    classes: &'static [&'static str],
    controllers: &'static [&'static str],
    labels: &'static [(&'static str, &'static str)],
    namespace: &'static str,
) -> Known {
    Known { name, classes, controllers, labels, namespace, namespace_labels: &[], place: Place::Pods }
}

const fn placed(
    name: &'static str,
    classes: &'static [&'static str],
    controllers: &'static [&'static str],
    place: Place,
) -> Known {
    Known { name, classes, controllers, labels: &[], namespace: "", namespace_labels: &[], place }
}

const APP: &str = "app.kubernetes.io/name";

/// All of them; the first whose words fit counts.
pub(super) const KNOWN: &[Known] = &[
    pods(
        "ingress-nginx",
        &["nginx"],
        &["k8s.io/ingress-nginx", "k8s.io/internal-ingress-nginx"],
        &[(APP, "ingress-nginx"), ("app", "ingress-nginx"), ("k8s-app", "nginx-ingress-controller")],
        "ingress-nginx",
    ),
    pods(
        "ingress-nginx",
        &["webapprouting.kubernetes.azure.com"],
        &["webapprouting.kubernetes.azure.com"],
        &[("app", "nginx")],
        "app-routing-system",
    ),
    pods(
        "nginx-ingress",
        &["nginx-org"],
        &["nginx.org/ingress-controller"],
        &[(APP, "nginx-ingress"), ("app", "nginx-ingress")],
        "nginx-ingress",
    ),
    pods(
        "traefik",
        &["traefik"],
        &["traefik.io/"],
        &[(APP, "traefik"), ("app", "traefik"), ("k8s-app", "traefik-ingress-lb")],
        "traefik",
    ),
    pods(
        "haproxy",
        &["haproxy"],
        &["haproxy.org/", "haproxy-ingress.github.io/"],
        &[(APP, "kubernetes-ingress"), (APP, "haproxy-ingress"), ("run", "haproxy-ingress")],
        "haproxy-controller",
    ),
    pods(
        "contour",
        &["contour"],
        &["projectcontour.io/"],
        &[("app", "envoy"), ("app.kubernetes.io/component", "envoy")],
        "projectcontour",
    ),
    pods(
        "kong",
        &["kong"],
        &["ingress-controllers.konghq.com/", "konghq.com/"],
        &[(APP, "gateway"), (APP, "kong"), ("app", "ingress-kong"), ("app", "proxy-kong")],
        "kong",
    ),
    pods(
        "istio ingressgateway",
        &["istio"],
        &["istio.io/ingress-controller"],
        &[("istio", "ingressgateway"), ("istio", "ingress"), ("app", "istio-ingressgateway")],
        "istio-system",
    ),
    pods(
        "ambassador",
        &["ambassador"],
        &["getambassador.io/"],
        &[(APP, "emissary-ingress"), ("product", "aes")],
        "emissary",
    ),
    Known {
        name: "openshift-router",
        classes: &["openshift-default"],
        controllers: &["openshift.io/ingress-to-route"],
        labels: &[
            ("ingresscontroller.operator.openshift.io/deployment-ingresscontroller", "default"),
            ("router", "router"),
        ],
        namespace: "openshift-ingress",
        namespace_labels: &[
            ("network.openshift.io/policy-group", "ingress"),
            ("policy-group.network.openshift.io/ingress", ""),
        ],
        place: Place::Pods,
    },
    placed(
        "istio gateway",
        &["istio"],
        &["istio.io/gateway-controller", "openshift.io/gateway-controller"],
        Place::PodsOfGateway,
    ),
    Known {
        name: "envoy gateway",
        classes: &["eg", "envoy", "envoy-gateway"],
        controllers: &["gateway.envoyproxy.io/"],
        labels: &[],
        namespace: "envoy-gateway-system",
        namespace_labels: &[],
        place: Place::PodsOfGateway,
    },
    placed("kgateway", &["kgateway", "gloo-gateway"], &["kgateway.dev/", "solo.io/"], Place::PodsOfGateway),
    placed("nginx gateway", &["nginx"], &["gateway.nginx.org/"], Place::PodsOfGateway),
    placed("cilium", &["cilium"], &["cilium.io/", "io.cilium/"], Place::Dataplane),
    placed(
        "aws load balancer",
        &["alb", "aws-alb", "amazon-vpc-lattice"],
        &["ingress.k8s.aws/", "eks.amazonaws.com/", "gateway.k8s.aws/", "application-networking.k8s.aws/"],
        Place::Cloud,
    ),
    placed(
        "google load balancer",
        &["gce", "gce-internal", "gke-l7"],
        &["k8s.io/ingress-gce", "networking.gke.io/"],
        Place::Cloud,
    ),
    placed(
        "azure application gateway",
        &["azure-application-gateway", "azure/application-gateway", "azure-alb-external"],
        &["azure/application-gateway", "alb.networking.azure.io/"],
        Place::Cloud,
    ),
];

/// The one that a class's controller string begins with.
pub(super) fn by_controller(text: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.controllers.iter().any(|own| text.starts_with(own)))
}

/// The one whose class this is by custom: `nginx`, `nginx-internal`.
pub(super) fn by_class(class: &str, fits: impl Fn(Place) -> bool) -> Option<&'static Known> {
    let begins =
        |own: &&str| class == *own || class.strip_prefix(own).is_some_and(|rest| rest.starts_with('-'));
    KNOWN.iter().find(|known| fits(known.place) && known.classes.iter().any(begins))
}

/// Workloads that carry the traffic of a known controller.
pub(super) fn workloads_of(known: &Known, inventory: &Inventory) -> Vec<usize> {
    labelled(inventory, None, known.labels)
}

/// Workloads that look like any controller.
pub(super) fn all(inventory: &Inventory) -> Vec<usize> {
    let labels: Vec<(&str, &str)> = KNOWN.iter().flat_map(|known| known.labels).copied().collect();
    labelled(inventory, None, &labels)
}

/// Workloads that have one of the labels.
pub(super) fn labelled(
    inventory: &Inventory,
    namespace: Option<&str>,
    labels: &[(&str, &str)],
) -> Vec<usize> {
    let has = |variant: &crate::inventory::Variant| {
        variant.labels.iter().any(|(key, value)| labels.contains(&(key.as_str(), value.as_str())))
    };
    let fits = |index: &usize| {
        let workload = &inventory.workloads[*index];
        namespace.is_none_or(|n| workload.name.namespace == n) && workload.variants.iter().any(has)
    };
    (0..inventory.workloads.len()).filter(fits).collect()
}

impl Controller {
    /// Whether the input does not show where it runs.
    pub fn is_absent(&self) -> bool {
        match self.presence {
            Presence::Absent | Presence::Missing => true,
            Presence::Direct | Presence::Inside(_) | Presence::Outside(_) => false,
        }
    }

    /// Nothing stands between.
    pub(super) fn direct(name: &str) -> Controller {
        Controller { name: name.to_owned(), presence: Presence::Direct, usual: None }
    }

    /// Nothing is known of it but perhaps the name of its class.
    pub(super) fn unknown(class: &str) -> Controller {
        let name = if class.is_empty() { "unknown controller".to_owned() } else { class.to_owned() };
        Controller { name, presence: Presence::Absent, usual: None }
    }

    /// Behind a gateway that is not in the input.
    pub(super) fn missing(gateway: &str) -> Controller {
        Controller { name: format!("gateway {gateway}"), presence: Presence::Missing, usual: None }
    }

    /// In these workloads; absent where there are none.
    pub(super) fn inside(name: &str, workloads: Vec<usize>) -> Controller {
        let presence = if workloads.is_empty() { Presence::Absent } else { Presence::Inside(workloads) };
        Controller { name: name.to_owned(), presence, usual: None }
    }

    /// One that is known, with its pods where the input has them.
    pub(super) fn known(known: &'static Known, context: &Context<'_>) -> Controller {
        let presence = match known.place {
            Place::Cloud => Presence::Outside(None),
            Place::Dataplane | Place::PodsOfGateway => Presence::Absent,
            Place::Pods => match workloads_of(known, context.inventory) {
                none if none.is_empty() => Presence::Absent,
                some => Presence::Inside(some),
            },
        };
        let usual = (presence == Presence::Absent).then(|| known.usual()).flatten();
        Controller { name: known.name.to_owned(), presence, usual }
    }
}

impl Known {
    /// What its pods look like in a new installation.
    fn usual(&self) -> Option<Usual> {
        let (key, value) = self.labels.first()?;
        Some(Usual {
            namespace: self.namespace.to_owned(),
            namespace_labels: self.namespace_labels.iter().copied().collect(),
            labels: Labels::from_iter([(*key, *value)]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_controller_strings_lead_to_their_controllers() {
        let any = |_| true;
        assert_eq!(by_class("nginx-internal", any).map(|k| k.name), Some("ingress-nginx"));
        assert_eq!(by_class("nginxish", any), None);
        assert_eq!(by_controller("k8s.io/ingress-nginx").map(|k| k.name), Some("ingress-nginx"));
        assert_eq!(by_controller("ingress.k8s.aws/alb").map(|k| k.place), Some(Place::Cloud));
    }
}
