//! Where each AuthorizationPolicy is enforced: beside the pod, by the proxy of its node, at a gateway,
//! or on the way at a waypoint (`pilot/pkg/model/policyattachment.go`).
//!
//! What a policy says there is left to `rbac`, which traffic comes by a waypoint to `waypoint`.

use super::super::{
    Action, Direction, Layer, Namespaces, Policy, Selection, ServiceChoice, Services, Tier, TierRank,
};
use super::authorization::{self, Authorization, TargetRef};
use super::membership::{self, Members, all, pods};
use super::mesh_config::MeshConfig;
use super::rbac::{self, Evaluator};
use super::sidecar::Sidecars;
use super::waypoint::Waypoints;
use crate::model::{Bend, Document, Gap, Problem, Selector};

/// The three steps (`authz/builder`): external authorizers, what denies, what allows.
const STEPS: [(f64, &str, Action); 3] =
    [(5.0, "custom", Action::Pass), (10.0, "deny", Action::Pass), (20.0, "allow", Action::Deny)];

/// All policies, and what the API server would refuse of them.
pub fn read(documents: &[Document]) -> (Vec<Authorization>, Vec<Problem>) {
    let (mut policies, mut problems) = (Vec::new(), Vec::new());
    for document in documents.iter().filter(|document| super::is(document, authorization::KIND)) {
        match authorization::object(document) {
            Ok(policy) => policies.push(policy),
            Err(problem) => problems.push(problem),
        }
    }
    (policies, problems)
}

/// The tiers of servers, and those of waypoints.
pub fn tiers(
    policies: &[Authorization],
    members: &Members,
    waypoints: &Waypoints,
    config: &MeshConfig,
    sidecars: &Sidecars,
    gaps: &mut Vec<Gap>,
) -> Vec<Tier> {
    let beside = if sidecars.declare_ingress { Evaluator::EnvoyOfListeners } else { Evaluator::Envoy };
    let steps = |layer| {
        STEPS.map(|(order, name, unmatched)| Tier {
            layer,
            direction: Direction::Ingress,
            rank: TierRank::declared(order, name),
            unmatched,
            policies: Vec::new(),
        })
    };
    let (mut at_servers, mut on_the_way) = (steps(Layer::Mesh), steps(Layer::Relay));
    for object in policies {
        let number = match object.action {
            authorization::Action::Custom(_) => 0,
            authorization::Action::Deny => 1,
            authorization::Action::Allow | authorization::Action::Audit => 2,
        };
        let mut place = Placing { object, members, waypoints, config, beside, gaps };
        place.say_what_is_idle();
        at_servers[number].policies.extend(Policy::shared(place.at_servers()));
        on_the_way[number].policies.extend(Policy::shared(place.on_the_way()));
    }
    let tiers = at_servers.into_iter().chain(on_the_way);
    tiers.filter(|tier| !tier.policies.is_empty()).collect()
}

impl Authorization {
    /// Whether it is bound to a Service, which must be of its own namespace.
    pub fn is_bound_to_service(&self, namespace: &str, name: &str) -> bool {
        *self.origin.namespace == *namespace && self.names("Service", name)
    }

    /// Whether a waypoint or gateway holds it against everything that it carries.
    pub fn is_bound_to_gateway(&self, gateway: (&str, &str), class: &str, config: &MeshConfig) -> bool {
        let (namespace, name) = gateway;
        let by_class = *self.origin.namespace == *config.root && self.names("GatewayClass", class);
        by_class || (*self.origin.namespace == *namespace && self.names("Gateway", name))
    }

    fn names(&self, kind: &str, name: &str) -> bool {
        self.targets.iter().any(|target| target.kind == kind && target.name == name && self.is_near(target))
    }

    fn is_near(&self, target: &TargetRef) -> bool {
        target.namespace.as_ref().is_none_or(|namespace| **namespace == *self.origin.namespace)
    }
}

/// One policy, and what decides on where it counts.
struct Placing<'a> {
    object: &'a Authorization,
    members: &'a Members,
    waypoints: &'a Waypoints,
    config: &'a MeshConfig,
    /// What evaluates it beside pods.
    beside: Evaluator,
    gaps: &'a mut Vec<Gap>,
}

impl Placing<'_> {
    fn say(&mut self, what: String) {
        let origin = self.object.origin.clone();
        self.gaps.push(Gap { what, origin, bends: Bend::MayAllowLess });
    }

    fn say_what_is_idle(&mut self) {
        if self.object.dry_run {
            self.say("a dry run changes nothing: the policy is not counted".to_owned());
        }
        if self.object.action == authorization::Action::Audit {
            self.say("AUDIT changes nothing that passes".to_owned());
        }
        for target in &self.object.targets {
            let TargetRef { kind, name, namespace } = target;
            if let (Some(namespace), false) = (namespace, self.object.is_near(target)) {
                let own = &self.object.origin.namespace;
                self.say(format!(
                    "the policy is bound to {kind} {namespace}/{name} from {own}: it must be in the same namespace, \
                     and nobody enforces it"
                ));
            }
        }
    }

    /// Beside pods, at gateways, and at the proxies of nodes: all but what is bound to waypoints.
    fn at_servers(&mut self) -> Vec<Policy> {
        let Placing { object, members, config, .. } = *self;
        if !object.targets.is_empty() {
            let bound = object.targets.iter().filter(|t| t.kind == "Gateway" && object.is_near(t));
            let own = Namespaces::Named(object.origin.namespace.to_string());
            let labelled = |target: &TargetRef| {
                let named = Selector::equals(membership::GATEWAY_NAME, &target.name);
                pods(own.clone(), all([named, members.waypoint.clone().negated()]))
            };
            let subjects: Vec<Selection> = bound.map(labelled).collect();
            if subjects.is_empty() {
                return Vec::new();
            }
            return rbac::policy(object, Evaluator::Envoy, subjects, config, self.gaps).into_iter().collect();
        }
        let namespaces = match *object.origin.namespace == *config.root {
            true => Namespaces::any(),
            false => Namespaces::Named(object.origin.namespace.to_string()),
        };
        let of = |who: Selector| vec![pods(namespaces.clone(), all([who, object.selector.clone()]))];
        let proxied = Selector::any_of(vec![members.sidecar.clone(), members.gateway.clone()]);
        let mut policies = Vec::new();
        policies.extend(rbac::policy(object, self.beside, of(proxied), config, self.gaps));
        if members.ambient != Selector::nothing() {
            if let authorization::Action::Custom(_) = object.action {
                self.say("ztunnel ignores CUSTOM: the policy closes nothing for pods in ambient".to_owned());
            }
            let ambient = of(members.ambient.clone());
            policies.extend(rbac::policy(object, Evaluator::Ztunnel, ambient, config, self.gaps));
        }
        policies
    }

    /// At waypoints. A policy that is bound to something without one stays, and selects nobody.
    fn on_the_way(&mut self) -> Option<Policy> {
        let Placing { object, waypoints, config, .. } = *self;
        if object.targets.is_empty() {
            return None;
        }
        let own = &*object.origin.namespace;
        let mut subjects = Vec::new();
        let mut ordinary = false;
        for target in object.targets.iter().filter(|target| object.is_near(target)) {
            match target.kind.as_str() {
                "Service" => match waypoints.of_service(own, &target.name) {
                    Some(waypoint) => subjects.push(waypoint.selection()),
                    None => self.say(format!(
                        "the policy is bound to Service {}, which has no waypoint: nobody enforces it",
                        target.name
                    )),
                },
                "ServiceEntry" => self.say(format!(
                    "the policy is bound to ServiceEntry {}: waypoints in front of outside hosts are not modelled",
                    target.name
                )),
                "Gateway" | "GatewayClass" => {
                    let bound = waypoints.all().filter(|waypoint| {
                        object.is_bound_to_gateway(waypoint.key(), waypoint.class(), config)
                    });
                    let before = subjects.len();
                    subjects.extend(bound.map(super::waypoint::Waypoint::selection));
                    ordinary |= target.kind == "Gateway" && subjects.len() == before;
                }
                kind => self.say(format!("the policy is bound to {kind} {}, which nobody enforces", target.name)),
            }
        }
        // What only ordinary gateways enforce was put there.
        if subjects.is_empty() && ordinary {
            return None;
        }
        subjects.sort();
        subjects.dedup();
        rbac::policy(object, Evaluator::Waypoint, subjects, config, self.gaps)
    }
}

/// A service by name.
pub fn service(namespace: &str, name: &str) -> Services {
    Services { namespace: Some(namespace.to_owned()), chosen: ServiceChoice::Named(name.to_owned()) }
}
