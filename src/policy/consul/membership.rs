//! Which pods have a proxy of Consul, and whose traffic it takes without being asked
//! (`control-plane/connect-inject/webhook`).

use super::super::shapes::{self, Shape, all, has, is_none_of, is_one_of, lacks};
use super::super::{Membership, MeshMode, Namespaces, Selection};
use super::gateways;
use super::settings::{Settings, Switch};
use crate::model::{Document, Node, Origin, Selector, fact};

const INJECT: &str = "consul.hashicorp.com/connect-inject";
const STATUS: &str = "consul.hashicorp.com/connect-inject-status";
const TRANSPARENT: &str = "consul.hashicorp.com/transparent-proxy";
const PROXIES: &[&str] = &["consul-dataplane", "envoy-sidecar"];
/// Namespaces that are never injected.
const IGNORED: &[&str] = &["kube-system", "kube-public", "local-path-storage"];
/// As Go reads truth.
const TRUE: &[&str] = &["1", "t", "T", "TRUE", "true", "True"];

/// Who is in the mesh.
#[derive(Clone, Debug)]
pub struct Members {
    /// With a proxy.
    pub meshed: Selector,
    /// Those of them whose traffic is redirected to the proxy.
    pub transparent: Selector,
    /// Whether there are gateways.
    pub gateways: Switch,
    /// An object that shows the mesh.
    pub origin: Origin,
}

/// Reads who takes part; `None` where nothing shows the mesh.
pub fn read(documents: &[Document], shapes: &[Shape<'_>], settings: &Settings) -> Option<Members> {
    let config = documents.iter().filter(|d| d.api_version.starts_with("consul.hashicorp.com/"));
    let shown = shapes.iter().filter(|shape| shows(shape.body)).map(|shape| shape.origin);
    let config = config.map(|d| &d.origin).min_by_key(|origin| origin.names());
    let origin = config.or(shown.min_by_key(|origin| origin.names()))?.clone();
    let inject = shapes::of_pod(INJECT);
    let mut asked = vec![is_one_of(&inject, TRUE)];
    if settings.inject == Switch::On {
        asked.push(lacks(&inject));
    }
    let expected = all([lacks(fact::RUNNING), is_none_of(fact::NAMESPACE, IGNORED), Selector::any_of(asked)]);
    let mut ways = vec![Selector::equals(&shapes::of_pod(STATUS), "injected"), expected];
    ways.extend(PROXIES.iter().map(|name| has(&format!("{}{name}", fact::CONTAINER))));
    let meshed = all([Selector::any_of(ways), gateways::nobody()]);
    let (own, inherited) = (shapes::of_pod(TRANSPARENT), format!("{}{TRANSPARENT}", fact::NAMESPACE_LABEL));
    let mut redirected = vec![is_one_of(&own, TRUE), all([lacks(&own), is_one_of(&inherited, TRUE)])];
    if settings.transparent == Switch::On {
        redirected.push(all([lacks(&own), lacks(&inherited)]));
    }
    let transparent = all([meshed.clone(), Selector::any_of(redirected)]);
    let gateways = if gateways::occur(shapes) { Switch::On } else { Switch::Off };
    Some(Members { meshed, transparent, gateways, origin })
}

fn shows(body: &Node) -> bool {
    let containers = body.path(&["spec", "containers"]).map_or(&[][..], Node::items);
    let proxied = containers.iter().any(|c| c.text_of("name").is_some_and(|name| PROXIES.contains(&name)));
    let annotated = |key: &&str| shapes::annotation(body, key).is_some();
    proxied || [INJECT, STATUS, gateways::KIND].iter().any(annotated)
}

/// The list for reports.
pub fn list(members: &Members) -> Vec<Membership> {
    let with_proxy = Membership {
        subjects: vec![pods_of(members.meshed.clone())],
        mode: MeshMode::Consul,
        why: "it has a proxy of Consul, or an annotation that makes the injector add one".to_owned(),
        origin: None,
    };
    let gateways = if members.gateways == Switch::On { gateways::members() } else { Vec::new() };
    gateways.into_iter().chain([with_proxy]).collect()
}

/// Pods of all namespaces.
pub fn pods_of(endpoints: Selector) -> Selection {
    Selection::pods(Namespaces::any(), endpoints)
}
