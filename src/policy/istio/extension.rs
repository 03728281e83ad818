//! What changes proxies in ways that are not modelled: EnvoyFilter, after which nothing is promised of
//! the workloads that it is about, and WasmPlugin, which may refuse whatever it sees.

use super::super::{
    Action, Direction, Isolation, Layer, Membership, MeshMode, Namespaces, Peers, Policy, PolicyOrder, Rule,
    Tier, TierRank, TrafficMatch,
};
use super::membership::{GATEWAY_NAME, Members, all, pods};
use super::mesh_config::MeshConfig;
use crate::model::{
    Bend, Condition, Document, Gap, Narrowing, Node, Origin, PortSet, Protocol, Requirement, Selector, Text,
    TrafficSet, fact,
};

/// `kind`.
pub const ENVOY_FILTER: &str = "EnvoyFilter";
/// `kind`.
pub const WASM_PLUGIN: &str = "WasmPlugin";

/// What changes proxies, and whose.
#[derive(Debug, Default)]
pub struct Extensions {
    filters: Vec<(Selector, Origin)>,
    plugins: Vec<(Selector, Origin)>,
}

/// Reads all of them.
pub fn read(documents: &[Document], members: &Members, config: &MeshConfig) -> Extensions {
    let of_kind = |kind: &'static str| {
        let own = documents.iter().filter(move |document| super::is(document, kind));
        own.map(|document| (subjects(document, members, config), super::place(document))).collect()
    };
    Extensions { filters: of_kind(ENVOY_FILTER), plugins: of_kind(WASM_PLUGIN) }
}

/// Whose proxies: by labels in its namespace, those of the root namespace everywhere; or by the
/// Gateways that it names. Proxies of nodes know neither kind.
fn subjects(document: &Document, members: &Members, config: &MeshConfig) -> Selector {
    let origin = super::place(document);
    let here = super::super::one_of(fact::NAMESPACE, vec![origin.namespace.to_string()]);
    let spec = |path: &[&str]| document.body.get("spec").and_then(|spec| spec.path(path));
    let single = spec(&["targetRef"]).filter(|node| !node.is_null());
    let targets: Vec<&Node> =
        single.into_iter().chain(spec(&["targetRefs"]).map_or(&[][..], Node::items)).collect();
    if !targets.is_empty() {
        let named = targets.iter().filter_map(|target| match target.text_of("kind") {
            Some("Gateway") => Some(Selector::equals(GATEWAY_NAME, target.text_of("name")?)),
            // A service is served by its waypoint: which one is not looked up, all may be meant.
            _ => Some(members.waypoint.clone()),
        });
        let proxies = Selector::any_of(vec![members.gateway.clone(), members.waypoint.clone()]);
        return all([here, proxies, Selector::any_of(named.collect())]);
    }
    let lists = [&["workloadSelector", "labels"][..], &["selector", "matchLabels"]];
    let labels = lists.iter().find_map(|path| spec(path)).map_or(&[][..], Node::fields);
    let one =
        |(key, value): &(Text, Node)| Some(Requirement::In(key.to_string(), vec![value.text()?.to_owned()]));
    let labels = Selector { requirements: labels.iter().filter_map(one).collect() };
    let proxies = Selector::any_of(vec![members.sidecar.clone(), members.gateway.clone()]);
    match *origin.namespace == *config.root {
        true => all([proxies, labels]),
        false => all([here, proxies, labels]),
    }
}

impl Extensions {
    /// Whose proxies are changed by an EnvoyFilter.
    pub fn changed(&self) -> Selector {
        match self.filters.is_empty() {
            true => Selector::nothing(),
            false => Selector::any_of(self.filters.iter().map(|(who, _)| who.clone()).collect()),
        }
    }

    /// Of them nobody knows how they take part.
    pub fn members(&self) -> Vec<Membership> {
        let one = |(who, origin): &(Selector, Origin)| Membership {
            subjects: vec![pods(Namespaces::any(), who.clone())],
            mode: MeshMode::Unclear,
            why: format!("EnvoyFilter {}/{} changes its proxy", origin.namespace, origin.name),
            origin: Some(origin.clone()),
        };
        self.filters.iter().map(one).collect()
    }

    /// What is not known of them.
    pub fn gaps(&self) -> Vec<Gap> {
        let one = |(_, origin): &(Selector, Origin)| {
            Gap {
            what: "an EnvoyFilter may change anything in the proxies that it is about: nothing is promised of them"
                .to_owned(),
            origin: origin.clone(),
            bends: Bend::MayAllowMore,
        }
        };
        self.filters.iter().map(one).collect()
    }

    /// What a plugin may refuse: all of it, by reasons of its own.
    pub fn tier(&self) -> Option<Tier> {
        let one = |(who, origin): &(Selector, Origin)| {
            let traffic = TrafficMatch::fixed(TrafficSet::of(Protocol::Tcp, PortSet::all()));
            let refuses = format!("the plugin {}/{} refuses", origin.namespace, origin.name);
            let narrowed = Some(Narrowing { conditions: vec![Condition::Other(refuses)] });
            let rule = Rule::new(Action::Deny, Peers::Everyone, traffic, origin.clone());
            Policy {
                subjects: vec![pods(Namespaces::any(), who.clone())],
                isolation: Isolation::Leaves,
                order: PolicyOrder::new(0.0, ""),
                rules: vec![Rule { narrowed, ..rule }],
                origin: origin.clone(),
            }
        };
        (!self.plugins.is_empty()).then(|| Tier {
            layer: Layer::Mesh,
            direction: Direction::Ingress,
            rank: TierRank::declared(3.0, "plugins"),
            unmatched: Action::Pass,
            policies: Policy::shared(self.plugins.iter().map(one)),
        })
    }
}
