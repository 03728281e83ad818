//! What configuration permits: engines lower their objects to tiers, one evaluator decides.
//!
//! Who exists is left to `inventory`, the combination with it to `graph`.

mod antrea;
pub mod calico;
pub mod cilium;
pub mod consul;
pub mod dataplane;
pub mod detect;
pub mod envoy;
pub mod evaluate;
pub mod fields;
mod flat;
mod homes;
mod image;
pub mod istio;
mod kept;
pub mod kubernetes;
pub mod linkerd;
mod mesh_ports;
pub mod multi_network;
pub mod network_policy_api;
pub mod node_encryption;
mod outside;
pub mod ovn;
pub mod ruleset;
mod shapes;
pub mod tls_floor;
pub mod transport;
mod twins;
mod unread;
mod wanted;

pub use dataplane::{Dataplane, DataplaneKind, Found, Made, Standing};
pub use detect::{configured, detect};
pub use evaluate::{Decision, Event, Extent, Matched, Step, decide, decide_and_tell};
pub use fields::{Field, Kind, Support, UnknownField};
pub use kept::Kept;
pub use outside::{Outside, OutsideSpeech};
pub use ruleset::{
    Action, Declared, Direction, Isolation, Layer, Namespaces, Order, Peer, Peers, Policy, PolicyOrder,
    Population, PortName, Rule, Selection, ServiceChoice, Services, Speech, Tier, TierRank, TrafficMatch,
    one_of,
};
pub use tls_floor::{TlsFloor, TlsVersion};
pub use transport::{
    Acceptance, Accepts, Admission, Dialect, Holds, Membership, MeshMode, Relay, Sending, Sends, Target,
    Transport,
};
pub use wanted::{kinds, versions};

use crate::model::{Bend, Document, Gap, Problem, names, proxy};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// A policy language.
pub trait Engine: Sync {
    /// Lower-case name.
    fn name(&self) -> &'static str;
    /// One line on what is read.
    fn summary(&self) -> &'static str;
    /// The kinds that it reads, with their fields and with who enforces them.
    fn kinds(&self) -> &'static [Kind];
    /// Whether a dataplane gives effect to a kind; more than its name may decide: its version, a setting.
    fn enforces(&self, kind: &str, dataplane: &Dataplane) -> bool {
        fields::is_enforced(self.kinds(), kind, dataplane.kind)
    }
    /// Translates its objects among the documents; never evaluates.
    fn lower(&self, documents: &[Document], dataplane: &Dataplane) -> Lowered;
    /// Whether an object can make a difference to what is lowered: what is kept of an engine stands
    /// while only others change.
    fn reads(&self, document: &Document) -> bool {
        !is_network_policy(document)
    }
    /// Whether it matters which of two such objects there is.
    fn follows(&self, document: &Document) -> bool {
        fields::kind_of(self.kinds(), document).is_some()
    }
    /// Whether objects depend on each other.
    fn lowers(&self) -> Lowers {
        Lowers::Together
    }
    /// The documents as they would be with everything that is staged for later put into effect.
    fn committed(&self, documents: Vec<Document>) -> Vec<Document> {
        documents
    }
    /// What its dataplane makes of the rules of every language; nothing in most.
    fn adapt(&self, _tier: &mut Tier, _dataplane: &Dataplane) {}
}

/// Every policy language that is understood, in the order in which reports name them.
pub const ENGINES: &[&dyn Engine] = &[
    &kubernetes::Kubernetes,
    &network_policy_api::NetworkPolicyApi,
    &calico::Calico,
    &cilium::Cilium,
    &ovn::Ovn,
    // What a proxy was told counts before what its mesh says that it is told.
    &envoy::Envoy,
    &istio::Istio,
    &multi_network::MultiNetwork,
    &linkerd::Linkerd,
    &consul::Consul,
];

/// How an engine looks at its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lowers {
    /// Each by itself, but for two of one name: what it gives for all is what it gives for each.
    Each,
    /// What one means may depend on others.
    Together,
}

/// What an engine makes of its objects.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// Tiers; those of one layer, direction and rank are joined by [`read`].
    pub tiers: Vec<Tier>,
    /// What is sent and accepted; empty for languages that speak of packets alone.
    pub transport: Transport,
    /// What was not understood.
    pub gaps: Vec<Gap>,
    /// Objects that the API server would refuse; they have no effect.
    pub problems: Vec<Problem>,
}

/// What all engines make of all documents.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Tiers in the order in which connections meet them; layers and directions are kept apart.
    pub tiers: Vec<Tier>,
    /// What is sent and accepted, engine after engine.
    pub transport: Transport,
    /// Tiers of policies that this dataplane does not enforce, in the same form.
    pub unenforced: Vec<Tier>,
    /// Fields that objects have and their kinds have not.
    pub unknown_fields: Vec<UnknownField>,
    /// The least that proxies ask of TLS.
    pub tls_floors: Vec<TlsFloor>,
    /// What was not understood.
    pub gaps: Vec<Gap>,
    /// Objects that have no effect because they are broken.
    pub problems: Vec<Problem>,
}

/// Lowers everything, joins tiers that are one, and sets aside what the dataplane does not enforce.
pub fn read(documents: &[Document], dataplane: &Dataplane) -> RuleSet {
    // Languages know nothing of each other.
    let names = twins::SameNames::among(documents, |_| true);
    let lower = |engine: &&dyn Engine| twins::lower(*engine, documents, dataplane, &names);
    let lowered: Vec<Lowered> = ENGINES.par_iter().map(lower).collect();
    let mut set = together(ENGINES.iter().copied().zip(lowered), dataplane);
    let kinds = kinds_by_name();
    for noted in documents.par_iter().map(|document| note(document, kinds)).collect::<Vec<_>>() {
        set.take(noted);
    }
    set.tls_floors = tls_floor::read(documents);
    set
}

/// Joins what engines made of their objects.
fn together(lowered: impl Iterator<Item = (&'static dyn Engine, Lowered)>, dataplane: &Dataplane) -> RuleSet {
    let mut set = RuleSet::default();
    let (mut tiers, mut unenforced) = (Vec::new(), Vec::new());
    for (engine, Lowered { tiers: own, transport, gaps, problems }) in lowered {
        set.transport.extend(transport);
        for mut tier in own {
            let counts = |policy: &Arc<Policy>| {
                dataplane.possible().any(|dataplane| counts(engine, &policy.origin.kind, dataplane))
            };
            // By each of several settings it was done when they were lowered.
            if dataplane.either.is_empty() {
                ENGINES.iter().for_each(|engine| engine.adapt(&mut tier, dataplane));
            }
            let (kept, left): (Vec<_>, Vec<_>) =
                std::mem::take(&mut tier.policies).into_iter().partition(counts);
            if !left.is_empty() {
                unenforced.push(Tier { policies: left, ..tier.clone() });
            }
            tiers.push(Tier { policies: kept, ..tier });
        }
        set.gaps.extend(gaps);
        set.problems.extend(problems);
    }
    set.gaps.extend(dataplane.unsettled());
    set.tiers = joined(tiers);
    set.unenforced = joined(unenforced);
    set
}

/// Whether policies of a kind count under a dataplane.
fn counts(engine: &dyn Engine, kind: &str, dataplane: &Dataplane) -> bool {
    engine.enforces(kind, dataplane) && !dataplane.ignored_kinds.contains_key(kind)
}

impl RuleSet {
    /// Adds what is said of one document beside what its engine says.
    fn take(&mut self, noted: Noted) {
        self.unknown_fields.extend(noted.unknown_fields);
        self.problems.extend(noted.problem);
        self.gaps.extend(noted.gap);
    }
}

/// Whether an object may show which dataplane enforces, or how it is set up.
pub fn may_show_dataplane(document: &Document) -> bool {
    !is_network_policy(document) && !is_pod(document)
}

/// Whether an object is a NetworkPolicy of Kubernetes, which only its own engine reads.
pub fn is_network_policy(document: &Document) -> bool {
    &*document.origin.kind == "NetworkPolicy" && document.api_version == "networking.k8s.io/v1"
}

/// Whether an object is a pod; languages that say nothing of proxies do not look at pods.
fn is_pod(document: &Document) -> bool {
    &*document.origin.kind == "Pod" && document.api_version == "v1"
}

/// The documents with all staged policies put into effect: added, replaced or removed.
pub fn committed(documents: &[Document]) -> Vec<Document> {
    ENGINES.iter().fold(documents.to_vec(), |documents, engine| engine.committed(documents))
}

/// What [`read`] would say if all staged policies were put into effect.
pub fn read_staged(documents: &[Document], dataplane: &Dataplane) -> RuleSet {
    read(&committed(documents), dataplane)
}

/// Every kind that some engine reads, by its name.
type KindsByName = HashMap<&'static str, Vec<&'static Kind>>;

fn kinds_by_name() -> &'static KindsByName {
    static BY_NAME: LazyLock<KindsByName> = LazyLock::new(|| {
        let mut by_name = KindsByName::new();
        for kind in ENGINES.iter().flat_map(|engine| engine.kinds()) {
            by_name.entry(kind.name).or_default().push(kind);
        }
        by_name
    });
    &BY_NAME
}

/// What is said of one document beside what its engine says.
#[derive(Clone, Debug, Default)]
struct Noted {
    unknown_fields: Vec<UnknownField>,
    problem: Option<Problem>,
    gap: Option<Gap>,
}

impl Noted {
    fn is_empty(&self) -> bool {
        self.unknown_fields.is_empty() && self.problem.is_none() && self.gap.is_none()
    }
}

fn note(document: &Document, kinds: &KindsByName) -> Noted {
    let namesakes = kinds.get(&*document.origin.kind).map_or(&[][..], Vec::as_slice);
    let api_version = document.api_version.as_str();
    match namesakes.iter().find(|kind| kind.api_versions.contains(&api_version)) {
        Some(kind) => Noted {
            unknown_fields: fields::unknown_fields(kind, document),
            problem: misnamed(document),
            gap: unread::retired(document),
        },
        None => {
            Noted { gap: stranger(document, namesakes).or_else(|| unread::gap(document)), ..Noted::default() }
        }
    }
}

/// A name that the API server would refuse. Such an object counts all the same: it is more likely
/// named otherwise in the cluster than absent from it.
fn misnamed(document: &Document) -> Option<Problem> {
    let name = &*document.origin.name;
    let line = document.body.path(&["metadata", "name"]).map_or(0, |node| node.line);
    let hint = "lower-case letters, digits, - and ., at most 253 characters; the object was counted";
    let message = format!("metadata.name {name:?} is no object name");
    // Without any name an object is nothing, which its engine says.
    (!name.is_empty() && !names::is_subdomain(name) && !proxy::is_one(document))
        .then(|| kubernetes::refusal(&document.origin, line, message, hint))
}

/// An API whose kinds share names with those of policies and are read as ways in (`entry`).
const READ_AS_WAYS_IN: &str = "gateway.networking.k8s.io/";

/// Objects with the kind of a known policy and an API that nobody here reads: another product's kind
/// of the same name, a version that is too new, or a mistake.
fn stranger(document: &Document, namesakes: &[&Kind]) -> Option<Gap> {
    let api_version = document.api_version.as_str();
    if namesakes.is_empty() || api_version.starts_with(READ_AS_WAYS_IN) {
        return None;
    }
    let known: Vec<&str> = namesakes.iter().flat_map(|kind| kind.api_versions.iter().copied()).collect();
    let kind = &document.origin.kind;
    let what = format!("{kind} of {api_version:?} is not read, only that of {}", known.join(", "));
    Some(Gap { what, origin: document.origin.clone(), bends: Bend::MayAllowMore })
}

/// One tier for each layer, direction and rank, in that order, its policies in theirs.
pub fn joined(tiers: Vec<Tier>) -> Vec<Tier> {
    let mut by_place: BTreeMap<(Layer, Direction, TierRank), Tier> = BTreeMap::new();
    for tier in tiers {
        let place = (tier.layer, tier.direction, tier.rank.clone());
        match by_place.get_mut(&place) {
            Some(known) => known.policies.extend(tier.policies),
            None => drop(by_place.insert(place, tier)),
        }
    }
    let sorted = |mut tier: Tier| {
        tier.policies.sort_by(|a, b| (&a.order, &a.origin).cmp(&(&b.order, &b.origin)));
        tier
    };
    by_place.into_values().map(sorted).filter(|tier| !tier.policies.is_empty()).collect()
}
