//! NetworkPolicy and GlobalNetworkPolicy → policies of their tier.

use super::super::{Action, Direction, Isolation, Order, Policy, PolicyOrder, Rule, Selection, TierRank};
use super::entity::Owner;
use super::known::KnownAddresses;
use super::place::Place;
use super::rule::rules;
use super::scope::{self, All, Scope};
use super::selector::Expr;
use super::tiers::Tiers;
use super::wire::PolicySpec;
use crate::model::{Document, Origin, Problem, Selector};

/// Since this version policies of equal order are compared by name, namespace and kind.
const TIES_BY_NAME: (u32, u32) = (3, 32);

/// What all policies are read with.
pub struct Reader<'a> {
    /// The tiers that exist.
    pub tiers: &'a Tiers,
    /// Addresses that selectors match.
    pub known: &'a KnownAddresses,
    /// The version of Calico, where it is known.
    pub version: Option<(u32, u32)>,
}

/// A policy in one direction, with its tier.
pub struct Placed {
    /// Its place among the tiers.
    pub rank: TierRank,
    /// What becomes of the unmatched at the end of the tier.
    pub unmatched: Action,
    /// For which direction.
    pub direction: Direction,
    /// The policy.
    pub policy: Policy,
}

/// When the packet meets a policy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Untracked,
    BeforeTranslation,
    Normal,
}

impl Reader<'_> {
    /// Lowers one policy, of a namespace or of the cluster.
    ///
    /// # Errors
    /// Whatever the API refuses about it; the policy has no effect then.
    pub fn policy(&self, document: &Document, spec: &PolicySpec) -> Result<Vec<Placed>, Problem> {
        let place = Place::spec(document);
        let global = is_global(document);
        let namespace = (!global).then(|| document.namespace());
        let mut origin = document.origin.clone();
        origin.namespace = namespace.unwrap_or_default().into();
        let place = Place { origin: &origin, ..place };
        let stage = stage(&place, spec, global)?;
        let selector = subjects(&place, spec, namespace)?;
        let pods = (stage == Stage::Normal).then(|| scope::pods(namespace, &selector));
        let hosts = if global { scope::host_endpoints(&selector) } else { None };
        let subjects: Vec<Selection> = pods.into_iter().chain(hosts).collect();
        let owner = Owner { namespace, known: self.known };
        let (ingress, egress) = (spec.ingress.as_deref(), spec.egress.as_deref());
        let (ingress, egress) = (ingress.unwrap_or_default(), egress.unwrap_or_default());
        let into = rules(&owner, &place, Direction::Ingress, ingress)?;
        let out = rules(&owner, &place, Direction::Egress, egress)?;
        let directions = directions(&place, spec)?;
        if stage == Stage::BeforeTranslation
            && (!egress.is_empty() || directions.contains(&Direction::Egress))
        {
            let hint = "a policy before DNAT has ingress rules alone";
            return Err(place.refuse("a policy with preDNAT has egress rules", hint));
        }
        let tier = tier_of(document, spec, self.tiers, self.version);
        let (rank, unmatched) = match stage {
            Stage::Normal => self.tiers.place(&tier),
            Stage::Untracked => (self.tiers.untracked(&tier), Action::Pass),
            Stage::BeforeTranslation => (self.tiers.before_translation(&tier), Action::Pass),
        };
        let order = PolicyOrder::new(spec.order.unwrap_or(Order::LAST), self.tie(&origin, &tier));
        let place_policy = |direction: Direction, rules: Vec<Rule>| Placed {
            rank: rank.clone(),
            unmatched,
            direction,
            policy: Policy {
                subjects: subjects.clone(),
                isolation: if stage == Stage::Normal { Isolation::Isolates } else { Isolation::Leaves },
                order: order.clone(),
                rules,
                origin: origin.clone(),
            },
        };
        let both = [(Direction::Ingress, into), (Direction::Egress, out)].into_iter();
        let chosen = both.filter(|(direction, _)| directions.contains(direction));
        Ok(chosen.map(|(direction, rules)| place_policy(direction, rules)).collect())
    }

    /// What decides between policies of equal order.
    fn tie(&self, origin: &Origin, tier: &str) -> String {
        let Origin { namespace, name, kind, .. } = origin;
        if self.version.is_none_or(|version| version >= TIES_BY_NAME) {
            return format!("{name}/{namespace}/{kind}");
        }
        let bare = bare_name(name, tier);
        match &**namespace {
            "" => format!("{tier}.{bare}"),
            namespace => format!("{namespace}/{tier}.{bare}"),
        }
    }
}

/// Whether a policy is one of the cluster.
pub fn is_global(document: &Document) -> bool {
    document.origin.kind.contains("Global")
}

/// The name without the tier that it may begin with.
pub fn bare_name<'a>(name: &'a str, tier: &str) -> &'a str {
    name.strip_prefix(tier)
        .and_then(|rest| rest.strip_prefix('.'))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(name)
}

/// The tier of a policy: `spec.tier`; where that is missing, `default`, but for stored objects of
/// older versions, which say it in their names.
fn tier_of(document: &Document, spec: &PolicySpec, tiers: &Tiers, version: Option<(u32, u32)>) -> String {
    if let Some(tier) = spec.tier.as_ref().filter(|tier| !tier.is_empty()) {
        return tier.clone();
    }
    let older = version.is_some_and(|version| version < TIES_BY_NAME);
    let stored = document.api_version.starts_with("crd.");
    match named_tier(document, tiers) {
        Some(tier) if older && stored => tier.to_owned(),
        _ => "default".to_owned(),
    }
}

/// A tier that the name of a policy begins with and that exists.
pub fn named_tier<'a>(document: &'a Document, tiers: &Tiers) -> Option<&'a str> {
    let (prefix, _) = document.origin.name.split_once('.')?;
    (prefix != "default" && tiers.exists(prefix)).then_some(prefix)
}

/// Which stage the flags of a global policy put it in.
fn stage(place: &Place<'_>, spec: &PolicySpec, global: bool) -> Result<Stage, Problem> {
    let PolicySpec { do_not_track, pre_dnat, apply_on_forward, .. } = spec;
    let on = |flag: &Option<bool>| global && flag.unwrap_or(false);
    let stage = match (on(do_not_track), on(pre_dnat)) {
        (false, false) => return Ok(Stage::Normal),
        (true, true) => {
            let message = "doNotTrack and preDNAT stand in one policy";
            return Err(place.field("preDNAT").refuse(message, "make two policies of it"));
        }
        (true, false) => Stage::Untracked,
        (false, true) => Stage::BeforeTranslation,
    };
    if !on(apply_on_forward) {
        let message = "doNotTrack and preDNAT need applyOnForward: true";
        return Err(place.refuse(message, "add applyOnForward: true"));
    }
    Ok(stage)
}

/// `types`, and its default: what there are rules for, ingress where there are none.
fn directions(place: &Place<'_>, spec: &PolicySpec) -> Result<Vec<Direction>, Problem> {
    let some = |rules: &Option<Vec<_>>| rules.as_ref().is_some_and(|rules| !rules.is_empty());
    let types = spec.types.as_deref().unwrap_or_default();
    if types.is_empty() {
        return Ok(match (some(&spec.ingress), some(&spec.egress)) {
            (_, false) => vec![Direction::Ingress],
            (false, true) => vec![Direction::Egress],
            (true, true) => Direction::BOTH.to_vec(),
        });
    }
    let read = |(index, text): (usize, &String)| match text.as_str() {
        "Ingress" => Ok(Direction::Ingress),
        "Egress" => Ok(Direction::Egress),
        other => {
            let place = place.field("types").item(index);
            Err(place.refuse(format!("type {other:?} is not known"), "types holds Ingress, Egress or both"))
        }
    };
    types.iter().enumerate().map(read).collect()
}

/// Whom a policy selects; which kind of endpoints is left to its stage.
fn subjects(place: &Place<'_>, spec: &PolicySpec, namespace: Option<&str>) -> Result<Selector, Problem> {
    let read = |field: &str, text: &Option<String>| match text
        .as_ref()
        .filter(|text| !text.trim_matches([' ', '\t']).is_empty())
    {
        Some(text) => place.selector_without_global(field, text).map(Some),
        None => Ok(None),
    };
    let own = read("selector", &spec.selector)?;
    let accounts = read("serviceAccountSelector", &spec.service_account_selector)?;
    let among = match namespace {
        Some(_) => None,
        None => read("namespaceSelector", &spec.namespace_selector)?,
    };
    // In a global policy, beside another selector, `all()` means what is in a namespace, or what has
    // a service account; in a namespaced one it is not rewritten.
    let all = match (&among, &accounts) {
        (Some(_), _) => All::InNamespace,
        (None, Some(_)) if namespace.is_none() => All::HasAccount,
        (None, _) => All::Everything,
    };
    let of_accounts = if namespace.is_none() { All::HasAccount } else { All::Everything };
    let lower = |expr: Option<Expr>, scope: Scope, all: All| {
        expr.map_or_else(Selector::everything, |expr| scope::lower(&expr, scope, all))
    };
    Ok(lower(own, Scope::Endpoint, all).and(lower(among, Scope::Namespace, All::InNamespace)).and(lower(
        accounts,
        Scope::Account,
        of_accounts,
    )))
}
