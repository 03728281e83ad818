//! All Calico objects → tiers.

use super::super::fields::{doubts, kind_of};
use super::super::{Dataplane, Direction, Layer, Lowered, Tier, TierRank};
use super::KINDS;
use super::known::KnownAddresses;
use super::policies::{Placed, Reader, named_tier};
use super::tiers::Tiers;
use super::wire::{PolicySpec, refusal, spec};
use super::{host, profiles, staged};
use crate::model::{Bend, Document, Gap, Node, Problem};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// Lowers all Calico objects among the documents.
pub fn lower(documents: &[Document], dataplane: &Dataplane) -> Lowered {
    let ours: Vec<&Document> = documents.iter().filter(|d| kind_of(KINDS, d).is_some()).collect();
    let mut lowered = Lowered::default();
    if ours.is_empty() {
        return lowered;
    }
    let (ours, twins) = distinct(ours);
    lowered.problems.extend(twins);
    for document in &ours {
        lowered.gaps.extend(kind_of(KINDS, document).into_iter().flat_map(|kind| doubts(kind, document)));
    }
    let (known, problems) = KnownAddresses::read(&ours, documents);
    lowered.problems.extend(problems);
    let (tiers, problems) = Tiers::read(&ours);
    lowered.problems.extend(problems);
    let (mut placed, problems) = profiles::lower(&ours, &known);
    lowered.problems.extend(problems);
    match host::failsafe(&ours, dataplane) {
        Ok(policies) => placed.extend(policies),
        Err(problem) => lowered.problems.push(problem),
    }
    let reader = Reader { tiers: &tiers, known: &known, version: dataplane.version };
    for document in &ours {
        let is_staged = match &*document.origin.kind {
            "NetworkPolicy" | "GlobalNetworkPolicy" => false,
            "StagedNetworkPolicy" | "StagedGlobalNetworkPolicy" => true,
            _ => continue,
        };
        match reader.policy(document) {
            // A staged policy is only read for its errors.
            Ok(_) if is_staged => {}
            Ok(policies) => {
                placed.extend(policies);
                lowered.gaps.extend(doubtful(document, &tiers, &ours));
            }
            Err(problem) => lowered.problems.push(problem),
        }
    }
    lowered.problems.sort();
    lowered.problems.dedup();
    lowered.tiers = put_together(placed);
    lowered
}

/// One document for each object. The same object in both API groups is one object; two in one
/// group cannot both exist, and the later one is taken.
fn distinct(documents: Vec<&Document>) -> (Vec<&Document>, Vec<Problem>) {
    let (mut kept, mut problems) = (BTreeMap::new(), Vec::new());
    let mut sorted = documents;
    sorted.sort_by(|a, b| a.origin.cmp(&b.origin));
    for document in sorted {
        match kept.entry(staged::identity(document)) {
            Entry::Vacant(entry) => drop(entry.insert(document)),
            Entry::Occupied(mut entry) => {
                let known: &Document = entry.get();
                if known.api_version == document.api_version {
                    let message = format!(
                        "the same name is taken at {}:{}; the later object replaces the earlier",
                        known.origin.file, known.origin.line
                    );
                    let hint = "rename one of them, or remove it; the later one was used";
                    problems.push(refusal(&document.origin, 0, message, hint));
                    entry.insert(document);
                }
            }
        }
    }
    let mut kept: Vec<&Document> = kept.into_values().collect();
    kept.sort_by(|a, b| a.origin.cmp(&b.origin));
    (kept, problems)
}

/// What is doubtful about a policy that was understood.
fn doubtful(document: &Document, tiers: &Tiers, all: &[&Document]) -> Vec<Gap> {
    let policy: PolicySpec = spec(document).unwrap_or_default();
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
