//! What the graph cannot know: addresses that nobody told, labels that controllers add, and nodes
//! that reach their own pods.

use super::build::{AllowedGraph, PolicyInfo, RuleInfo};
use super::classes::{ClassId, Classes, Member};
use super::edge::Exemption;
use super::mentioned::SetKey;
use crate::inventory::{Inventory, NAME_LABEL, Network, Service, Variant, Workload};
use crate::model::{AddressRange, AddressSet, Bend, Gap, Origin, fact};
use crate::policy::{Action, Dataplane, Namespaces, Peer, Selection, ServiceChoice, Services};
use std::collections::{BTreeMap, BTreeSet};

/// Labels that controllers add to the pods that they make, with the kinds that they do it for
/// (`k8s.io/api/apps/v1`, `k8s.io/api/batch/v1`, Argo Rollouts). What a Job adds for its name is known.
const ADDED: &[(&str, &[&str])] = &[
    ("apps.kubernetes.io/pod-index", &["StatefulSet"]),
    ("batch.kubernetes.io/controller-uid", &["CronJob", "Job"]),
    ("batch.kubernetes.io/job-name", &["CronJob", "Job"]),
    ("controller-revision-hash", &["DaemonSet", "StatefulSet"]),
    ("controller-uid", &["CronJob", "Job"]),
    ("job-name", &["CronJob", "Job"]),
    ("pod-template-generation", &["DaemonSet"]),
    ("pod-template-hash", &["Deployment"]),
    ("rollouts-pod-template-hash", &["Rollout"]),
    ("statefulset.kubernetes.io/pod-name", &["StatefulSet"]),
];

/// Blocks may cover endpoints whose addresses nobody told, where blocks match endpoints.
pub(super) fn of_addresses(classes: &Classes, rules: &[RuleInfo], dataplane: &Dataplane) -> Vec<Gap> {
    if classes.unaddressed == 0 || !dataplane.ipblock_matches_pods {
        return Vec::new();
    }
    let families = AddressSet::all();
    let partial = |set: &AddressSet| !families.ranges().iter().any(|family| set.ranges().contains(family));
    let may_cover = |peer: &Peer| match peer {
        Peer::Addresses(set) => partial(set) && set.ranges().iter().any(may_be_inside),
        _ => false,
    };
    let may_cover_pods = |info: &&RuleInfo| {
        info.rule.peers.named().iter().chain(info.rule.own.named()).any(|peer| peer.any(may_cover))
    };
    let what = format!(
        "this ipBlock may cover pods: the addresses of {} workload variants are not known",
        classes.unaddressed
    );
    let gap = |info: &RuleInfo| Gap {
        what: what.clone(),
        origin: info.rule.origin.clone(),
        bends: Bend::MayAllowMore,
    };
    rules.iter().filter(may_cover_pods).map(gap).collect()
}

/// A rule may mean some pods of a workload by their addresses and not the others, which stand
/// together here. What it denies, or leaves out of what it allows, is shown as open to all of them.
pub(super) fn of_parts(classes: &Classes, rules: &[RuleInfo], inventory: &Inventory) -> Vec<Gap> {
    let mut gaps = BTreeSet::new();
    for RuleInfo { rule, .. } in rules.iter().filter(|_| !classes.partly.is_empty()) {
        let mut visit = |set: &AddressSet| {
            let Some(workload) = parted(classes, inventory, set) else { return };
            let what = format!(
                "these addresses are those of some pods of {} and not of others; what is kept back from \
                 those is shown as open",
                workload.name
            );
            gaps.insert(Gap { what, origin: rule.origin.clone(), bends: Bend::MayAllowLess });
        };
        for peer in rule.peers.named().iter().chain(rule.own.named()) {
            if rule.action != Action::Deny {
                kept_back(peer, false, &mut visit);
            }
            if rule.action != Action::Allow {
                kept_back(peer, true, &mut visit);
            }
        }
    }
    gaps.into_iter().collect()
}

/// The first workload of which a block holds some pods and not others.
fn parted<'a>(classes: &Classes, inventory: &'a Inventory, set: &AddressSet) -> Option<&'a Workload> {
    let classes_of = classes.partly.get(&SetKey::Block(set.clone()))?.iter();
    let members = classes_of.flat_map(|class| &classes.classes[*class as usize].members);
    let own = |member: &Member| {
        let workload = &inventory.workloads[member.workload as usize];
        let variant = &workload.variants[member.variant as usize];
        (variant.network == Network::Pod && parts(set, variant)).then_some(workload)
    };
    members.filter_map(own).min_by_key(|workload| &workload.name)
}

/// Blocks whose holders a rule keeps something back from: those that a deny names, and those that
/// an allow leaves out.
fn kept_back<'a>(peer: &'a Peer, named: bool, visit: &mut impl FnMut(&'a AddressSet)) {
    match peer {
        Peer::Addresses(set) if named => visit(set),
        Peer::All(parts) => parts.iter().for_each(|part| kept_back(part, named, visit)),
        Peer::Not(part) => kept_back(part, !named, visit),
        _ => {}
    }
}

/// Whether some addresses of one family are inside and some are not.
fn parts(set: &AddressSet, variant: &Variant) -> bool {
    [true, false].into_iter().any(|v4| {
        let mut inside = variant.addresses.iter().filter(|a| a.is_ipv4() == v4).map(|a| set.contains(*a));
        inside.next().is_some_and(|first| inside.any(|other| other != first))
    })
}

/// Selectors may ask for labels that the input does not tell: those that pods get from their
/// controller, where only the template is there, and those of namespaces and service accounts whose
/// objects are not there. They select otherwise in the cluster than here.
pub(super) fn of_labels(policies: &[PolicyInfo], rules: &[RuleInfo], inventory: &Inventory) -> Vec<Gap> {
    let unknown = Unknown::of(inventory);
    let mut asked: BTreeSet<(&Origin, String)> = BTreeSet::new();
    let mut ask = |selection: &Selection, origin| {
        selection
            .endpoints
            .for_each_key(&mut |key| asked.extend(unknown.own(key).map(|what| (origin, what))));
        if let Namespaces::Matching(selector) = &selection.namespaces {
            let what = |key: &str| unknown.namespace(key);
            selector.for_each_key(&mut |key| asked.extend(what(key).map(|what| (origin, what))));
        }
    };
    for policy in policies {
        policy.subjects.iter().for_each(|selection| ask(selection, &policy.origin));
    }
    for info in rules {
        for peer in info.rule.peers.named().iter().chain(info.rule.own.named()) {
            peer.for_each(&mut |part| {
                if let Peer::Endpoints(selection) = part {
                    ask(selection, &info.rule.origin);
                }
            });
        }
    }
    let gap =
        |(origin, what): (&Origin, String)| Gap { what, origin: origin.clone(), bends: Bend::MayAllowMore };
    asked.into_iter().map(gap).collect()
}

/// Rules may be about services that the input does not have; whoever is behind them is not known.
pub(super) fn of_services(rules: &[RuleInfo], inventory: &Inventory) -> Vec<Gap> {
    let mut gaps = BTreeSet::new();
    for RuleInfo { rule, .. } in rules {
        let bends = if rule.action == Action::Deny { Bend::MayAllowLess } else { Bend::MayAllowMore };
        for peer in rule.peers.named().iter().chain(rule.own.named()) {
            peer.for_each(&mut |part| {
                let Peer::Backends(services) = part else { return };
                if let Some(what) = missing(services, inventory) {
                    gaps.insert(Gap { what, origin: rule.origin.clone(), bends });
                }
            });
        }
    }
    gaps.into_iter().collect()
}

/// The services that are meant, in words, where the input has none of them.
fn missing(services: &Services, inventory: &Inventory) -> Option<String> {
    let lives = |namespace: &String| services.namespace.as_ref().is_none_or(|own| own == namespace);
    let place = services.namespace.as_ref().map_or_else(String::new, |name| format!(" in {name}"));
    let own = |test: &dyn Fn(&Service) -> bool| {
        inventory.services.iter().filter(|service| lives(&service.namespace)).any(test)
    };
    match &services.chosen {
        ServiceChoice::Named(name) => (!own(&|service| service.name == *name))
            .then(|| format!("no service {name}{place} was read: whom the rule means by it is not known")),
        ServiceChoice::Labelled(selector) => {
            (!own(&|service| selector.matches(&service.labels))).then(|| {
                format!(
                    "no service with these labels{place} was read: whom the rule means by it is not known"
                )
            })
        }
        ServiceChoice::Entry(_) | ServiceChoice::Besides(_) => None,
    }
}

/// Whose labels the input does not tell, with an example each.
struct Unknown<'a> {
    /// Kinds whose pods have a label, by that label.
    added: BTreeMap<&'static str, &'a str>,
    namespace: Option<&'a str>,
    /// Labels of namespaces of which several objects say other things, with one such namespace.
    disputed: BTreeMap<&'a str, &'a str>,
    account: Option<(&'a str, &'a str)>,
}

impl<'a> Unknown<'a> {
    fn of(inventory: &'a Inventory) -> Self {
        let without = |key: &str, kinds: &[&str]| -> Option<&'a str> {
            let lacks = |workload: &&Workload| {
                kinds.contains(&&*workload.name.kind)
                    && workload.variants.iter().any(|v| v.pods.is_empty() && !v.labels.contains_key(key))
            };
            inventory.workloads.iter().find(lacks).map(|workload| &*workload.name.kind)
        };
        let namespaces = inventory.workloads.iter().map(|workload| workload.name.namespace.as_str());
        let untold =
            |name: &&str| inventory.namespaces.get(*name).is_some_and(|known| known.origin.is_none());
        let accounts = inventory.workloads.iter().flat_map(|workload| {
            let own = |variant: &'a Variant| (workload.name.namespace.as_str(), &*variant.service_account);
            workload.variants.iter().map(own)
        });
        let known: BTreeSet<(&str, &str)> =
            inventory.service_accounts.keys().map(|(namespace, name)| (&**namespace, &**name)).collect();
        Unknown {
            added: ADDED.iter().filter_map(|(key, kinds)| Some((*key, without(key, kinds)?))).collect(),
            namespace: namespaces.into_iter().find(untold),
            disputed: inventory
                .namespaces
                .iter()
                .flat_map(|(name, known)| known.disputed.iter().map(move |key| (key.as_str(), name.as_str())))
                .collect(),
            account: accounts.into_iter().find(|account| !account.1.is_empty() && !known.contains(account)),
        }
    }

    /// What is not known of a key among the labels and facts of pods.
    fn own(&self, key: &str) -> Option<String> {
        if let Some(label) = key.strip_prefix(fact::NAMESPACE_LABEL) {
            return self.namespace(label);
        }
        if let Some(label) = key.strip_prefix(fact::ACCOUNT_LABEL) {
            let (namespace, name) = self.account.filter(|_| !GIVEN.contains(&label))?;
            return Some(format!(
                "asks for the label {label} of service accounts, and there is no ServiceAccount {namespace}/{name}, for one, that tells it"
            ));
        }
        let kind = self.added.get(key)?;
        Some(format!(
            "asks for the label {key}, which the pods of a {kind} get from their controller and the template does not have"
        ))
    }

    /// The same of the labels of namespaces.
    fn namespace(&self, label: &str) -> Option<String> {
        if let Some(name) = self.disputed.get(label) {
            return Some(format!(
                "asks for the label {label} of namespaces, of which two objects of the name {name} say other things"
            ));
        }
        let name = self.namespace.filter(|_| !GIVEN.contains(&label) && !label.starts_with('@'))?;
        Some(format!(
            "asks for the label {label} of namespaces, and there is no Namespace {name}, for one, that tells it"
        ))
    }
}

/// Labels that namespaces and service accounts have without being given them.
const GIVEN: &[&str] = &[NAME_LABEL, "projectcalico.org/name"];

/// Workloads on the host network reach the pods of their nodes whatever the policies say, and what
/// passes between a node and its pods does not meet the policies of its interfaces; the graph shows
/// what policies allow, so this is said apart.
pub(super) fn of_exemptions(graph: &AllowedGraph, inventory: &Inventory) -> Vec<Gap> {
    let classes = graph.classes();
    let all = || 0..classes.len() as ClassId;
    let exempt = |from: ClassId, to: ClassId| graph.exemption(from, to) != Exemption::None;
    let mut said: BTreeSet<(u32, &'static str)> = BTreeSet::new();
    for (id, class) in (0..).zip(classes) {
        let what = match class.network {
            Network::Host if all().any(|to| exempt(id, to)) => OWN_PODS,
            Network::HostEndpoint if all().any(|other| exempt(id, other) || exempt(other, id)) => {
                OWN_INTERFACE
            }
            _ => continue,
        };
        said.extend(class.members.iter().map(|member| (member.workload, what)));
    }
    let gap = |(workload, what): (u32, &str)| Gap {
        what: what.to_owned(),
        origin: inventory.workloads[workload as usize].origin.clone(),
        bends: Bend::MayAllowMore,
    };
    said.into_iter().map(gap).collect()
}

const OWN_PODS: &str =
    "runs on the host network, so it reaches the pods of its own node whatever their policies say";
const OWN_INTERFACE: &str = "is an interface of a node, and what passes between the node and its own pods does not \
     meet the policies of its interfaces: it reaches them whatever policies say, and they reach it by their own";

/// Pods that the agents of the dataplane do not reach; what policies keep back from them is open.
pub(super) fn of_left_out(graph: &AllowedGraph, inventory: &Inventory) -> Vec<Gap> {
    let mut gaps = BTreeSet::new();
    for class in graph.left_out.keys().map(|class| &graph.classes()[*class as usize]) {
        let Some(why) = graph.dataplane.leaves_out(class.standing) else { continue };
        let gap = |member: &Member| Gap {
            what: format!("{why}: no policy of the network was counted for it"),
            origin: inventory.workloads[member.workload as usize].origin.clone(),
            bends: Bend::MayAllowLess,
        };
        gaps.extend(class.members.iter().map(gap));
    }
    gaps.into_iter().collect()
}

/// Whether a range touches addresses that clusters use for pods: private or shared ones.
fn may_be_inside(range: &AddressRange) -> bool {
    const POD_RANGES: &[&str] =
        &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
    let touches = |pods: AddressRange| {
        pods.first.is_ipv4() == range.first.is_ipv4() && pods.first <= range.last && range.first <= pods.last
    };
    POD_RANGES.iter().filter_map(|cidr| AddressRange::from_cidr(cidr)).any(touches)
}
