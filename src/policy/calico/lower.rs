//! All Calico objects → tiers.

use super::super::fields::{doubts, kind_of};
use super::super::{Dataplane, DataplaneKind, Direction, Layer, Lowered, Tier, TierRank};
use super::KINDS;
use super::known::KnownAddresses;
use super::policies::{Placed, Reader, named_tier};
use super::tiers::Tiers;
use super::wire::{PolicySpec, spec};
use super::{host, profiles, refused, settings};
use crate::model::{Bend, Document, Gap, Node, Problem};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lowers all Calico objects among the documents.
pub fn lower(documents: &[Document], dataplane: &Dataplane) -> Lowered {
    let ours: Vec<&Document> = documents.iter().filter(|d| kind_of(KINDS, d).is_some()).collect();
    let mut lowered = Lowered::default();
    if dataplane.kind == DataplaneKind::Calico {
        lowered.gaps.extend(settings::loosened(documents));
    }
    if ours.is_empty() {
        return lowered;
    }
    for document in &ours {
        lowered.gaps.extend(kind_of(KINDS, document).into_iter().flat_map(|kind| doubts(kind, document)));
    }
    let known = taken(KnownAddresses::read(&ours, documents), &mut lowered);
    let tiers = taken(Tiers::read(&ours), &mut lowered);
    let mut placed = taken(profiles::lower(&ours, &known), &mut lowered);
    match host::failsafe(&ours, dataplane) {
        Ok(policies) => placed.extend(policies),
        Err(problem) => lowered.problems.push(problem),
    }
    lowered.gaps.extend(profiles::unknown(&ours));
    let reader = Reader { tiers: &tiers, known: &known, version: dataplane.version };
    for document in &ours {
        let is_staged = match &*document.origin.kind {
            "NetworkPolicy" | "GlobalNetworkPolicy" => false,
            "StagedNetworkPolicy" | "StagedGlobalNetworkPolicy" => true,
            _ => continue,
        };
        let read = spec(document).and_then(|spec| Ok((reader.policy(document, &spec)?, spec)));
        let (policies, spec) = match read {
            Ok(read) => read,
            Err(problem) => {
                lowered.problems.push(problem);
                continue;
            }
        };
        let refused = refused::refused(document, &spec);
        // A staged policy is only read for its errors.
        if !is_staged {
            placed.extend(policies.into_iter().map(|policy| match &refused {
                Some(_) => refused::doubted(policy, refused::REFUSED),
                None => policy,
            }));
            lowered.gaps.extend(doubtful(document, &spec, &tiers, &ours));
        }
        lowered.problems.extend(refused);
    }
    lowered.problems.sort();
    lowered.problems.dedup();
    lowered.tiers = put_together(placed);
    lowered
}

/// What was read; problems are put to the others.
fn taken<T>((read, problems): (T, Vec<Problem>), lowered: &mut Lowered) -> T {
    lowered.problems.extend(problems);
    read
}

/// What is doubtful about a policy that was understood.
fn doubtful(document: &Document, policy: &PolicySpec, tiers: &Tiers, all: &[&Document]) -> Vec<Gap> {
    let gap = |what: String, bends: Bend| Gap { what, origin: document.origin.clone(), bends };
    let mut gaps = Vec::new();
    match policy.tier.as_deref().filter(|tier| !tier.is_empty()) {
        Some(tier) if !tiers.exists(tier) => {
            let what = format!("there is no tier {tier}: the policy comes after all tiers that exist");
            gaps.push(gap(what, Bend::MayAllowMore));
        }
        Some(_) => {}
        None => gaps.extend(named_tier(document, tiers).map(|tier| {
            let what = format!(
                "the name begins with the tier {tier}, but spec.tier is empty: the policy is in the tier default, \
                 where versions up to 3.31 may read it otherwise"
            );
            gap(what, Bend::MayAllowMore)
        })),
    }
    let hosts = all.iter().any(|document| &*document.origin.kind == "HostEndpoint");
    if hosts && policy.apply_on_forward == Some(true) {
        let what = "applyOnForward governs traffic that is routed through host endpoints too, \
                    which is not in the graph";
        gaps.push(gap(what.to_owned(), Bend::MayAllowLess));
    }
    gaps.extend(combined_global(&document.body).map(|node| {
        Gap {
            what: "global() stands together with other selectors: the API refuses that today, \
               and the policy was counted as the dataplane reads it"
                .to_owned(),
            origin: document.origin.at("", node.line),
            bends: Bend::MayAllowMore,
        }
    }));
    gaps
}

/// A namespaceSelector of a rule that says `global()` and something else.
fn combined_global(body: &Node) -> Option<&Node> {
    let sides = Direction::BOTH.into_iter().flat_map(|direction| {
        let rules = body.path(&["spec", direction.word()]).map_or(&[][..], Node::items);
        rules.iter().flat_map(|rule| [rule.get("source"), rule.get("destination")])
    });
    let mut selectors = sides.flatten().filter_map(|side| side.get("namespaceSelector"));
    selectors.find(|node| {
        let expr = node.text().and_then(|text| super::selector::parse(text).ok());
        expr.is_some_and(|expr| {
            let global = super::selector::Expr::Global;
            expr != global && expr.any(&|part| *part == global)
        })
    })
}

/// One tier for each place and direction.
fn put_together(placed: Vec<Placed>) -> Vec<Tier> {
    let mut tiers: BTreeMap<(TierRank, Direction), Tier> = BTreeMap::new();
    for Placed { rank, unmatched, direction, policy } in placed {
        let tier = tiers.entry((rank.clone(), direction)).or_insert_with(|| Tier {
            layer: Layer::Network,
            direction,
            rank,
            unmatched,
            policies: Vec::new(),
        });
        tier.policies.push(Arc::new(policy));
    }
    tiers.into_values().collect()
}
