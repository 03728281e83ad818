//! Istio, `security.istio.io` and `networking.istio.io`, with sidecars and in ambient mode: who is in
//! the mesh, what servers take, what clients send, and whom authorization lets through.
//!
//! The exact meaning, case by case, is on the pages `docs/semantics/istio.md` and `ambient.md`.

mod advisory;
mod authorization;
mod backend_tls;
mod called;
mod capture;
mod clients;
mod destination_rule;
mod enforcement;
mod extension;
mod identity;
mod kinds;
mod membership;
mod mesh_config;
mod peer_authentication;
mod proxyless;
mod rbac;
mod routes;
mod rule_lookup;
mod servers;
mod sidecar;
mod trust_domain;
mod waypoint;
mod ztunnel_modes;

use super::kubernetes::refusal;
use super::{Dataplane, Engine, Kind, Lowered, Transport};
use crate::model::{Bend, Document, Gap, Node, Origin, Problem, Requirement, Selector, Text, Value};
pub use capture::kept;
use membership::{Known, Members};
use mesh_config::MeshConfig;
pub use mesh_config::{Settings as MeshSettings, settings as mesh_settings};

/// PeerAuthentication, DestinationRule, AuthorizationPolicy and what surrounds them.
pub struct Istio;

impl Engine for Istio {
    fn name(&self) -> &'static str {
        "istio"
    }

    fn summary(&self) -> &'static str {
        "PeerAuthentication, AuthorizationPolicy, DestinationRule and their kin, with sidecars and in ambient mode"
    }

    fn kinds(&self) -> &'static [Kind] {
        kinds::KINDS
    }

    fn lower(&self, documents: &[Document], _dataplane: &Dataplane) -> Lowered {
        let documents = &*super::homes::written_out(documents);
        let mut waypoints = waypoint::read(documents);
        let members = membership::read(documents, &waypoints);
        let speaks = documents.iter().any(|d| super::fields::kind_of(kinds::KINDS, d).is_some());
        if members.known == Known::Assumed && !speaks {
            return Lowered::default();
        }
        let config = mesh_config::read(documents);
        let extensions = extension::read(documents, &members, &config);
        let modes = peer_authentication::read(documents, &config);
        let rules = destination_rule::read(documents, &config);
        let capture = capture::read(documents, &config);
        let sidecars = sidecar::read(documents, &config);
        let mut gaps = advisory::read(documents);
        let (policies, mut problems) = enforcement::read(documents);
        gaps.extend(config.gaps.iter().cloned());
        gaps.extend(assumptions(documents, &members, &config));
        gaps.extend(extensions.gaps());
        let routes = routes::read(documents, &config);
        let clients = clients::Clients {
            members: &members,
            modes: &modes,
            rules: &rules,
            routes: &routes,
            config: &config,
            capture: &capture,
            waypoints: &waypoints,
            sidecars: &sidecars,
        };
        let (sends, doubts) = clients.sendings(documents);
        let mut accepts = servers::acceptances(documents, &members);
        accepts.extend(modes.acceptances(&members, &capture));
        let transport = Transport {
            members: extensions
                .members()
                .into_iter()
                .chain(membership::list(&members, &extensions.changed()))
                .collect(),
            accepts,
            sends,
            relays: waypoints.relays(&members, &policies, &config),
            by_address: Vec::new(),
        };
        let mut tiers = enforcement::tiers(&policies, &members, &waypoints, &config, &sidecars, &mut gaps);
        tiers.extend(extensions.tier());
        gaps.extend(doubts.into_iter().chain(modes.gaps).chain(rules.gaps).chain(sidecars.gaps));
        gaps.append(&mut waypoints.gaps);
        problems.extend(modes.problems.into_iter().chain(rules.problems).chain(sidecars.problems));
        gaps.sort();
        gaps.dedup();
        Lowered { tiers, transport, gaps, problems }
    }
}

/// What comes to these sidecars, and leaves them, past them: annotations of their pods say so, whatever
/// the configuration of the proxy itself is.
pub fn past_proxies(documents: &[Document], sidecars: &Selector) -> Transport {
    let capture = capture::read(documents, &mesh_config::read(documents));
    let (accepts, sends) = (capture.unseen(sidecars), capture.bypasses(sidecars));
    Transport { accepts, sends, ..Transport::default() }
}

/// Whether a document is one of the mesh, of this kind.
fn is(document: &Document, kind: &str) -> bool {
    &*document.origin.kind == kind && super::fields::kind_of(kinds::KINDS, document).is_some()
}

/// Where an object stands; one that names no namespace is in `default`.
fn place(document: &Document) -> Origin {
    document.origin.at_home()
}

/// `spec.selector.matchLabels`.
fn workload_selector(document: &Document) -> Result<Selector, Problem> {
    match document.body.path(&["spec", "selector"]).filter(|node| !node.is_null()) {
        Some(selector) => match_labels(&document.origin, selector),
        None => Ok(Selector::everything()),
    }
}

/// `matchLabels` of a WorkloadSelector, which has nothing else (`validateWorkloadSelector`).
fn match_labels(origin: &Origin, selector: &Node) -> Result<Selector, Problem> {
    let labels = selector.get("matchLabels").or_else(|| selector.get("labels")).map_or(&[][..], Node::fields);
    let one = |(key, node): &(Text, Node)| match &node.value {
        Value::Text(value) if key.contains('*') || value.contains('*') => {
            let hint = "selectors of Istio compare whole values";
            Err(refusal(origin, node.line, "a selector cannot have patterns", hint))
        }
        Value::Text(value) => Ok(Requirement::In(key.to_string(), vec![value.to_string()])),
        _ => {
            let message = format!("the label {key} has a value that is not a text");
            Err(refusal(origin, node.line, message, "put the value in quotes"))
        }
    };
    let mut requirements = labels.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    requirements.sort();
    Ok(Selector { requirements })
}

/// What was taken for granted and matters here.
fn assumptions(documents: &[Document], members: &Members, config: &MeshConfig) -> Vec<Gap> {
    let first = documents.iter().find(|d| super::fields::kind_of(kinds::KINDS, d).is_some());
    let Some(origin) = config.origin.clone().or_else(|| first.map(|d| d.origin.clone())) else {
        return Vec::new();
    };
    let gap = |what: &str, bends| Gap { what: what.to_owned(), origin: origin.clone(), bends };
    let mut gaps = Vec::new();
    if members.known == Known::Assumed {
        gaps.push(gap(
            "nothing shows which pods are in the mesh (labels of namespaces or pods, proxies): all are assumed to be, \
             and no protection is promised",
            Bend::MayAllowMore,
        ));
    }
    if members.known == Known::WithoutServices {
        gaps.push(gap(
            "no Service was read: every call is taken for one through a service, and no protection is promised",
            Bend::MayAllowMore,
        ));
    }
    let read: Vec<&str> =
        documents.iter().filter(|d| &*d.origin.kind == "Namespace").map(|d| &*d.origin.name).collect();
    if members.known != Known::Assumed {
        for name in membership::with_policies(documents) {
            if name != config.root && !read.contains(&name.as_str()) {
                gaps.push(gap(
                    &format!(
                        "the Namespace {name} was not read: its pods are assumed to be in the mesh, as policies are \
                         there, and no protection is promised"
                    ),
                    Bend::MayAllowMore,
                ));
            }
        }
    }
    if config.origin.is_none() {
        gaps.push(gap(
            "the ConfigMap istio was not read: root namespace istio-system, trust domain cluster.local and automatic \
             mutual TLS are assumed",
            Bend::MayAllowMore,
        ));
    }
    if members.known != Known::Assumed {
        gaps.push(gap(
            "ports 15020, 15021 and 15090 of proxies (metrics, health) answer everybody in the clear, whatever \
             policies say: they are no ports of workloads and not shown",
            Bend::MayAllowMore,
        ));
    }
    gaps
}
