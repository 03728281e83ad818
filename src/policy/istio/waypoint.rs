//! Waypoints: proxies of ambient mode between client and server, which Gateways declare and labels
//! choose (`serviceregistry/ambient/waypoints.go`, `services.go`, `workloads.go`).
//!
//! Only ambient clients are led through them. Which policies they hold against what they carry is
//! left to `enforcement`.

use super::super::kubernetes::label_selector;
use super::super::shapes::labels;
use super::super::{Admission, Dialect, Namespaces, Peer, Relay, Selection, Sending, Sends, Target};
use super::authorization::Authorization;
use super::enforcement::service;
use super::membership::{GATEWAY_NAME, Members, all, lacks, pods};
use super::mesh_config::MeshConfig;
use crate::model::{Bend, Document, Gap, Labels, Node, Origin, PortSet, Requirement, Selector, fact};
use std::collections::BTreeMap;

const USE: &str = "istio.io/use-waypoint";
const USE_NAMESPACE: &str = "istio.io/use-waypoint-namespace";
const FOR: &str = "istio.io/waypoint-for";
const INGRESS: &str = "istio.io/ingress-use-waypoint";
/// The class that every installation has.
const CLASS: &str = "istio-waypoint";
/// `GatewayClass.spec.controllerName` of waypoints.
const CONTROLLER: &str = "istio.io/mesh-controller";
const GATEWAY_API: &str = "gateway.networking.k8s.io/";

/// One waypoint.
#[derive(Clone, Debug)]
pub struct Waypoint {
    namespace: String,
    name: String,
    class: String,
    serves: Serves,
    admits: Vec<Namespaces>,
    readiness: Readiness,
    origin: Origin,
}

/// `istio.io/waypoint-for`: calls to which addresses it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serves {
    Services,
    Workloads,
    All,
    Nobody,
}

/// Whether traffic goes there; the status of the Gateway tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    /// It has an address.
    Ready,
    /// It has a status, and no address in it.
    NotReady,
    /// No status was read.
    Assumed,
}

/// What something names as its waypoint.
#[derive(Clone, Debug)]
struct Reference {
    namespace: String,
    name: String,
    origin: Origin,
    /// In words, whose label it is.
    by: String,
}

/// All waypoints, and who is led through them.
#[derive(Debug, Default)]
pub struct Waypoints {
    known: BTreeMap<(String, String), Waypoint>,
    /// Services by namespace and name, with the waypoint that calls to them go through.
    services: BTreeMap<(String, String), Led>,
    /// Pods that are called by address, with the waypoint.
    pods: Vec<(Selection, Reference)>,
    /// What was taken for granted or leads nowhere.
    pub gaps: Vec<Gap>,
}

/// A service whose calls go through a waypoint.
#[derive(Debug)]
struct Led {
    to: Reference,
    /// Whether gateways are led through it too.
    ingress: Admission,
}

/// Reads all waypoints and everything that names one.
pub fn read(documents: &[Document]) -> Waypoints {
    let mut waypoints = Waypoints { known: gateways(documents), ..Waypoints::default() };
    let namespaces: BTreeMap<&str, &Document> = documents
        .iter()
        .filter(|d| &*d.origin.kind == "Namespace" && d.api_version == "v1")
        .map(|d| (&*d.origin.name, d))
        .collect();
    for document in documents {
        match &*document.origin.kind {
            "Service" if document.api_version == "v1" => waypoints.add_service(document, &namespaces),
            "Namespace" if document.api_version == "v1" => waypoints.add_namespace(document),
            "ServiceEntry" | "WorkloadEntry" if label(&document.body, USE).is_some() => {
                waypoints.say(
                    "a waypoint in front of what is not a pod is not modelled: its traffic is shown as if it went \
                     straight",
                    &document.origin,
                );
            }
            _ => super::membership::templates(document)
                .for_each(|pod| waypoints.add_pods(document, pod, &namespaces)),
        }
    }
    waypoints
}

fn label<'a>(object: &'a Node, key: &str) -> Option<&'a str> {
    object.path(&["metadata", "labels", key]).and_then(Node::text)
}

/// What the labels of one object name; `None` where they name nothing, an empty name for `none`.
fn named(object: &Node, own: &str) -> Option<(String, String)> {
    let name = label(object, USE)?;
    let namespace = label(object, USE_NAMESPACE).unwrap_or(own);
    Some((namespace.to_owned(), if name == "none" { String::new() } else { name.to_owned() }))
}

fn gateways(documents: &[Document]) -> BTreeMap<(String, String), Waypoint> {
    let of_kind = |kind: &'static str| {
        let fits = move |d: &&Document| &*d.origin.kind == kind && d.api_version.starts_with(GATEWAY_API);
        documents.iter().filter(fits)
    };
    let mut classes: BTreeMap<&str, Option<&str>> = BTreeMap::from([(CLASS, None)]);
    for class in of_kind("GatewayClass") {
        let controller = class.body.path(&["spec", "controllerName"]).and_then(Node::text);
        if controller == Some(CONTROLLER) {
            classes.insert(&class.origin.name, label(&class.body, FOR));
        }
    }
    let one = |document: &Document| {
        let class = document.body.path(&["spec", "gatewayClassName"]).and_then(Node::text)?;
        let by_class = *classes.get(class)?;
        let origin = super::place(document);
        let serves = match label(&document.body, FOR).or(by_class) {
            Some("workload") => Serves::Workloads,
            Some("all") => Serves::All,
            Some("none") => Serves::Nobody,
            _ => Serves::Services,
        };
        let listeners = document.body.path(&["spec", "listeners"]).map_or(&[][..], Node::items);
        let waypoint = Waypoint {
            namespace: origin.namespace.to_string(),
            name: origin.name.to_string(),
            class: class.to_owned(),
            serves,
            admits: listeners.iter().filter_map(|listener| admitted(listener, &origin)).collect(),
            readiness: match document.body.get("status").filter(|status| !status.is_null()) {
                None => Readiness::Assumed,
                Some(status) if status.items_of("addresses").is_empty() => Readiness::NotReady,
                Some(_) => Readiness::Ready,
            },
            origin,
        };
        Some(((waypoint.namespace.clone(), waypoint.name.clone()), waypoint))
    };
    of_kind("Gateway").filter_map(one).collect()
}

/// `allowedRoutes.namespaces` of a listener: whose objects may use it; their own by default.
fn admitted(listener: &Node, origin: &Origin) -> Option<Namespaces> {
    let namespaces = listener.path(&["allowedRoutes", "namespaces"]);
    match namespaces.and_then(|n| n.text_of("from")) {
        Some("All") => Some(Namespaces::any()),
        Some("Selector") => {
            let selector = namespaces?.get("selector")?;
            label_selector(origin, selector.read().ok()?, selector.line).ok().map(Namespaces::Matching)
        }
        Some("None") => None,
        _ => Some(Namespaces::Named(origin.namespace.to_string())),
    }
}

impl Waypoint {
    /// Namespace and name of its Gateway.
    pub fn key(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    /// `gatewayClassName`.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// Its pods.
    pub fn selection(&self) -> Selection {
        pods(Namespaces::Named(self.namespace.clone()), Selector::equals(GATEWAY_NAME, &self.name))
    }

    /// The same as a condition on any pod.
    fn selector(&self) -> Selector {
        all([
            super::super::one_of(fact::NAMESPACE, vec![self.namespace.clone()]),
            Selector::equals(GATEWAY_NAME, &self.name),
        ])
    }

    fn admits(&self, namespace: &str, labels: &Labels) -> bool {
        self.admits.iter().any(|admitted| match admitted {
            Namespaces::Named(name) => name == namespace,
            Namespaces::Matching(selector) => selector.matches(labels),
        })
    }

    /// Why calls do not go through it although something names it.
    fn refuses(&self, what: Serves, namespace: &str, labels: &Labels) -> Option<String> {
        let fits = self.serves == Serves::All || self.serves == what;
        let calls = match what {
            Serves::Workloads => "addresses of pods",
            _ => "services",
        };
        match (fits, self.admits(namespace, labels), self.readiness) {
            (false, _, _) => Some(format!("is not for calls to {calls} ({FOR})")),
            (_, false, _) => Some(format!("does not admit the namespace {namespace} (allowedRoutes)")),
            (_, _, Readiness::NotReady) => Some("is not ready".to_owned()),
            (true, true, Readiness::Ready | Readiness::Assumed) => None,
        }
    }
}

impl Waypoints {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Waypoint> {
        self.known.values()
    }

    /// The pods of all of them.
    pub fn selector(&self) -> Selector {
        match self.known.is_empty() {
            true => Selector::nothing(),
            false => Selector::any_of(self.all().map(Waypoint::selector).collect()),
        }
    }

    /// The waypoint of a service.
    pub fn of_service(&self, namespace: &str, name: &str) -> Option<&Waypoint> {
        let led = self.services.get(&(namespace.to_owned(), name.to_owned()))?;
        self.known.get(&(led.to.namespace.clone(), led.to.name.clone()))
    }

    fn say(&mut self, what: &str, origin: &Origin) {
        let (what, origin) = (what.to_owned(), origin.clone());
        self.gaps.push(Gap { what, origin, bends: Bend::MayAllowLess });
    }

    /// The label of the service, else that of its namespace; what names a waypoint that is not there
    /// has none.
    fn add_service(&mut self, document: &Document, namespaces: &BTreeMap<&str, &Document>) {
        let origin = super::place(document);
        let namespace = &*origin.namespace;
        let around = namespaces.get(namespace).map(|d| &d.body);
        let own = named(&document.body, namespace).map(|found| (found, origin.clone(), "the Service"));
        let inherited = || {
            let found = named(around?, namespace)?;
            Some((found, namespaces.get(namespace)?.origin.clone(), "its Namespace"))
        };
        let Some(((waypoint, name), at, whose)) = own.or_else(inherited) else { return };
        let spec = |field: &str| document.body.path(&["spec", field]).and_then(Node::text);
        // Without an address of its own a service is a name of its pods, which are called themselves.
        let virtual_address = spec("clusterIP") != Some("None") && spec("type") != Some("ExternalName");
        if name.is_empty() || !virtual_address {
            return;
        }
        let by = format!("{USE} of {whose}");
        let to = Reference { namespace: waypoint, name, origin: at, by };
        if !self.usable(&to, Serves::Services, namespace, around) {
            return;
        }
        let asks = |object: &Node| label(object, INGRESS) == Some("true");
        let ingress = match asks(&document.body) || around.is_some_and(asks) {
            true => Admission::Admitted,
            false => Admission::Refused,
        };
        if ingress == Admission::Admitted {
            self.say(
                "gateways are taken to go through the waypoint, as the label says: istiod must have routing from \
                 ingress to waypoints on",
                &origin,
            );
        }
        self.services.insert((namespace.to_owned(), origin.name.to_string()), Led { to, ingress });
    }

    fn add_namespace(&mut self, document: &Document) {
        let own = &*document.origin.name;
        let Some((namespace, name)) = named(&document.body, own).filter(|(_, name)| !name.is_empty()) else {
            return;
        };
        let by = format!("{USE} of the Namespace");
        let to = Reference { namespace, name, origin: document.origin.clone(), by };
        let everyone = pods(Namespaces::Named(own.to_owned()), lacks(USE));
        let key = (to.namespace.clone(), to.name.clone());
        // A waypoint for services alone is no mistake on a namespace, which means both.
        if self.known.get(&key).is_none_or(|waypoint| waypoint.serves != Serves::Services) {
            self.add_selected(everyone, to, own, Some(&document.body));
        }
    }

    fn add_pods(&mut self, document: &Document, pod: &Node, namespaces: &BTreeMap<&str, &Document>) {
        let origin = super::place(document);
        let own = origin.namespace.to_string();
        let Some((namespace, name)) = named(pod, &own).filter(|(_, name)| !name.is_empty()) else { return };
        let mut requirements = vec![Requirement::In(USE.to_owned(), vec![name.clone()])];
        requirements.push(match label(pod, USE_NAMESPACE) {
            Some(other) => Requirement::In(USE_NAMESPACE.to_owned(), vec![other.to_owned()]),
            None => Requirement::DoesNotExist(USE_NAMESPACE.to_owned()),
        });
        let labelled = pods(Namespaces::Named(own.clone()), Selector { requirements });
        let to = Reference { namespace, name, origin, by: format!("{USE} of the pod") };
        self.add_selected(labelled, to, &own, namespaces.get(own.as_str()).map(|d| &d.body));
    }

    fn add_selected(&mut self, who: Selection, to: Reference, own: &str, around: Option<&Node>) {
        if self.usable(&to, Serves::Workloads, own, around) {
            self.pods.push((who, to));
        }
    }

    /// Whether calls go through what is named; why they do not, and what is assumed, is said.
    fn usable(&mut self, to: &Reference, what: Serves, namespace: &str, around: Option<&Node>) -> bool {
        let Reference { namespace: other, name, origin, by } = to;
        let mut labels: Labels = around.map(labels).unwrap_or_default();
        labels.insert("kubernetes.io/metadata.name", namespace);
        let Some(waypoint) = self.known.get(&(other.clone(), name.clone())) else {
            let what = format!(
                "the waypoint {other}/{name} was not read ({by}): its traffic is shown as if it went straight, as it \
                 does where there is none"
            );
            self.say(&what, origin);
            return false;
        };
        let (at, readiness) = (waypoint.origin.clone(), waypoint.readiness);
        if let Some(why) = waypoint.refuses(what, namespace, &labels) {
            let what = format!("the waypoint {other}/{name} ({by}) {why}: traffic goes straight to the pods");
            self.say(&what, origin);
            return false;
        }
        if readiness == Readiness::Assumed {
            let what = "the waypoint is taken to be ready: were it not, traffic would go straight to the pods, past \
                        its policies";
            self.gaps.push(Gap { what: what.to_owned(), origin: at, bends: Bend::MayAllowMore });
        }
        true
    }

    /// Whose calls go through which waypoint.
    pub fn relays(&self, members: &Members, policies: &[Authorization], config: &MeshConfig) -> Vec<Relay> {
        let mut list = Vec::new();
        let anybody = |who: &Selector| vec![pods(Namespaces::any(), who.clone())];
        for ((namespace, name), led) in &self.services {
            let Some(waypoint) = self.of_service(namespace, name) else { continue };
            let holds = |policy: &&Authorization| {
                policy.is_bound_to_service(namespace, name)
                    || policy.is_bound_to_gateway(waypoint.key(), waypoint.class(), config)
            };
            let relay = |who: &Selector, around| Relay {
                subjects: anybody(who),
                to: Target::Service(service(namespace, name), None),
                by: vec![waypoint.selection()],
                around,
                guards: policies.iter().filter(holds).map(|policy| policy.origin.clone()).collect(),
                why: led.to.why(),
                origin: Some(led.to.origin.clone()),
            };
            list.push(relay(&members.ambient, Admission::Admitted));
            if led.ingress == Admission::Admitted {
                list.push(relay(&members.gateway, Admission::Refused));
            }
        }
        for (who, to) in &self.pods {
            let Some(waypoint) = self.known.get(&(to.namespace.clone(), to.name.clone())) else { continue };
            let holds = |policy: &&Authorization| {
                policy.is_bound_to_gateway(waypoint.key(), waypoint.class(), config)
            };
            list.push(Relay {
                subjects: anybody(&members.ambient),
                to: Target::Address(Peer::Endpoints(who.clone())),
                by: vec![waypoint.selection()],
                around: Admission::Admitted,
                guards: policies.iter().filter(holds).map(|policy| policy.origin.clone()).collect(),
                why: to.why(),
                origin: Some(to.origin.clone()),
            });
        }
        list
    }

    /// What waypoints send, and what gateways send to them.
    pub fn sendings(&self, members: &Members) -> Vec<Sending> {
        if self.known.is_empty() {
            return Vec::new();
        }
        let sending = |who: &Selector, to, sends, why: &str| Sending {
            subjects: vec![pods(Namespaces::any(), who.clone())],
            to,
            ports: PortSet::all(),
            sends,
            why: why.to_owned(),
            origin: None,
        };
        let waypoints = Peer::Endpoints(pods(Namespaces::any(), members.waypoint.clone()));
        vec![
            sending(
                &members.waypoint,
                Target::Anything,
                Sends::IfAdvertised(Dialect::Hbone),
                "the waypoint tunnels to whoever ends tunnels",
            ),
            sending(
                &members.gateway,
                Target::Address(waypoints),
                Sends::Always(Dialect::Hbone),
                "the gateway tunnels to waypoints",
            ),
        ]
    }
}

impl Reference {
    fn why(&self) -> String {
        format!("the waypoint {}/{} carries it on ({})", self.namespace, self.name, self.by)
    }
}
