//! Tiers: their place, and what becomes of traffic at their end.

use super::super::{Action, Declared, Order, TierRank};
use super::place::Place;
use super::wire::{self, TierSpec};
use crate::model::{Document, Problem};
use std::collections::BTreeMap;

/// Tiers that always exist, with the order that nobody can change, and older names of theirs.
const BUILT_IN: &[(&str, f64, Action)] = &[
    ("kube-admin", TierRank::ADMIN, Action::Pass),
    ("adminnetworkpolicy", TierRank::ADMIN, Action::Pass),
    ("default", TierRank::DEFAULT, Action::Deny),
    ("kube-baseline", TierRank::BASELINE, Action::Pass),
    ("baselineadminnetworkpolicy", TierRank::BASELINE, Action::Pass),
];

/// Policies of a tier that does not exist come after all tiers, with a deny at the end.
const MISSING: Order = Order(f64::MAX);
/// Ports that stay open whatever policies say.
const FAILSAFE: f64 = f64::NEG_INFINITY;
/// Policies before connection tracking.
const UNTRACKED: f64 = f64::MIN;
/// Policies before destination addresses are translated.
const BEFORE_TRANSLATION: f64 = f64::MIN / 2.0;
/// What lies between two tiers of one of these stages.
const STEP: f64 = 1e-9;

/// The tiers that exist.
#[derive(Debug, Default)]
pub struct Tiers(BTreeMap<String, (TierRank, Action)>);

impl Tiers {
    /// Reads Tier objects; the broken ones are problems.
    pub fn read(documents: &[&Document]) -> (Tiers, Vec<Problem>) {
        let (mut tiers, mut problems) = (Tiers::default(), Vec::new());
        for (name, order, end) in BUILT_IN {
            tiers.0.insert((*name).to_owned(), (TierRank::declared(*order, name), *end));
        }
        for document in documents.iter().filter(|document| &*document.origin.kind == "Tier") {
            match tier(document) {
                Ok(Some(tier)) => drop(tiers.0.insert(document.origin.name.to_string(), tier)),
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        (tiers, problems)
    }

    /// Whether a tier exists.
    pub fn exists(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The place of a tier, and what becomes of the unmatched at its end.
    pub fn place(&self, name: &str) -> (TierRank, Action) {
        let missing = || TierRank { declared: Declared::No, order: MISSING, name: name.to_owned() };
        self.0.get(name).cloned().unwrap_or_else(|| (missing(), Action::Deny))
    }

    /// Before everything: failsafe ports.
    pub fn failsafe() -> TierRank {
        TierRank::declared(FAILSAFE, "failsafe ports")
    }

    /// Policies of a tier with `doNotTrack`.
    pub fn untracked(&self, tier: &str) -> TierRank {
        self.ahead(UNTRACKED, "doNotTrack", tier)
    }

    /// Policies of a tier with `preDNAT`.
    pub fn before_translation(&self, tier: &str) -> TierRank {
        self.ahead(BEFORE_TRANSLATION, "preDNAT", tier)
    }

    /// What is asked ahead of all tiers is asked tier by tier too (`endpointIptablesChain` of Felix).
    fn ahead(&self, order: f64, stage: &str, tier: &str) -> TierRank {
        let (own, _) = self.place(tier);
        let before = self.0.values().filter(|(rank, _)| *rank < own).count();
        let name = if tier == "default" { stage.to_owned() } else { format!("{stage} of {tier}") };
        TierRank::declared(order * (1.0 - before as f64 * STEP), &name)
    }

    /// After everything: profiles.
    pub fn profiles() -> TierRank {
        TierRank { declared: Declared::No, order: Order(Order::LAST), name: "profiles".to_owned() }
    }
}

/// A Tier object; `None` for those that always exist, which nobody can change.
fn tier(document: &Document) -> Result<Option<(TierRank, Action)>, Problem> {
    let TierSpec { order, default_action } = wire::spec(document)?;
    let name = &*document.origin.name;
    let place = Place::spec(document);
    let end = match default_action.as_deref() {
        None | Some("" | "Deny") => Action::Deny,
        Some("Pass") => Action::Pass,
        Some(other) => {
            let message = format!("defaultAction {other:?} is not known");
            return Err(place.field("defaultAction").refuse(message, "defaultAction is Deny or Pass"));
        }
    };
    if let Some((_, fixed, fixed_end)) = BUILT_IN.iter().find(|(known, ..)| *known == name) {
        let changed = order.is_some_and(|order| Order(order) != Order(*fixed))
            || (default_action.is_some() && end != *fixed_end);
        if changed {
            let message = format!("the tier {name} cannot be changed");
            let hint = "its order and defaultAction are fixed; make a tier of another name";
            return Err(place.refuse(message, hint));
        }
        return Ok(None);
    }
    Ok(Some((TierRank::declared(order.unwrap_or(Order::LAST), name), end)))
}
