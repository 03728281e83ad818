//! All Calico objects → tiers.

use super::super::fields::{doubts, kind_of};
use super::super::{Dataplane, Direction, Layer, Lowered, Tier, TierRank};
use super::KINDS;
use super::known::KnownAddresses;
use super::policies::{Placed, Reader, named_tier};
use super::tiers::Tiers;
use super::twins::{self, Distinct};
use super::wire::{PolicySpec, spec};
use super::{host, profiles, refused};
use crate::model::{Bend, Document, Gap, Node, Problem};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lowers all Calico objects among the documents.
pub fn lower(documents: &[Document], dataplane: &Dataplane) -> Lowered {
    let ours: Vec<&Document> = documents.iter().filter(|d| kind_of(KINDS, d).is_some()).collect();
    let mut lowered = Lowered::default();
    if ours.is_empty() {
        return lowered;
    }
    let Distinct { kept: ours, rivals, problems } = twins::distinct(ours);
    lowered.problems.extend(problems);
    for document in &ours {
        lowered.gaps.extend(kind_of(KINDS, document).into_iter().flat_map(|kind| doubts(kind, document)));
    }
    let sides = sides(&ours, &rivals);
    let known: Vec<KnownAddresses> =
        sides.iter().map(|side| taken(KnownAddresses::read(side, documents), &mut lowered)).collect();
    let tiers: Vec<Tiers> = sides.iter().map(|side| taken(Tiers::read(side), &mut lowered)).collect();
    let settled = |side: usize, lowered: &mut Lowered| {
        let mut placed = taken(profiles::lower(&sides[side], &known[side]), lowered);
        match host::failsafe(&sides[side], dataplane) {
            Ok(policies) => placed.extend(policies),
            Err(problem) => lowered.problems.push(problem),
        }
        placed
    };
    let mut placed = twins::either((0..sides.len()).map(|side| settled(side, &mut lowered)).collect());
    lowered.gaps.extend(profiles::unknown(&ours));
    let reader = |(known, tiers)| Reader { tiers, known, version: dataplane.version };
    let readers: Vec<Reader<'_>> = known.iter().zip(&tiers).map(reader).collect();
    let tiers = &tiers[0];
    for (place, document) in ours.iter().enumerate() {
        let rival = rivals.get(&place).copied();
        let is_staged = match &*document.origin.kind {
            "NetworkPolicy" | "GlobalNetworkPolicy" => false,
            "StagedNetworkPolicy" | "StagedGlobalNetworkPolicy" => true,
            _ => {
                let rival = rival.filter(|rival| !twins::say_the_same(document, rival));
                lowered.gaps.extend(rival.map(|rival| twins::gap(document, rival)));
                continue;
            }
        };
        let Some((policy, document)) = read(&readers, document, rival, &mut lowered) else { continue };
        let doubted = policy.refused.is_some();
        lowered.problems.extend(policy.refused);
        // A staged policy is only read for its errors.
        if is_staged {
            continue;
        }
        let policies = policy.placed.into_iter();
        placed.extend(policies.map(|policy| match doubted {
            true => refused::doubted(policy, refused::REFUSED),
            false => policy,
        }));
        lowered.gaps.extend(doubtful(document, &policy.spec, tiers, &ours));
    }
    lowered.problems.sort();
    lowered.problems.dedup();
    lowered.tiers = put_together(placed);
    lowered
}

/// The objects as they count, and, where the other API group has some that are no policies otherwise,
/// as that group has them.
fn sides<'a>(ours: &[&'a Document], rivals: &BTreeMap<usize, &'a Document>) -> Vec<Vec<&'a Document>> {
    let is_policy = |document: &Document| document.origin.kind.contains("NetworkPolicy");
    let differ = |(place, rival): &(&usize, &&Document)| {
        !is_policy(rival) && !twins::say_the_same(ours[**place], rival)
    };
    let mut others = ours.to_vec();
    let changed: Vec<usize> = rivals.iter().filter(differ).map(|(place, _)| *place).collect();
    changed.iter().for_each(|place| others[*place] = rivals[place]);
    if changed.is_empty() { vec![others] } else { vec![ours.to_vec(), others] }
}

/// What was read; problems are put to the others.
fn taken<T>((read, problems): (T, Vec<Problem>), lowered: &mut Lowered) -> T {
    lowered.problems.extend(problems);
    read
}

/// What is read of one policy.
struct Read {
    spec: PolicySpec,
    placed: Vec<Placed>,
    /// Why the API server refuses it.
    refused: Option<Problem>,
}

/// Reads a policy, and what the other API group has for it: where they differ, each of them may be
/// the object, and neither keeps anything back for certain.
fn read<'a>(
    readers: &[Reader<'_>],
    document: &'a Document,
    rival: Option<&'a Document>,
    lowered: &mut Lowered,
) -> Option<(Read, &'a Document)> {
    let mut one = |document: &'a Document| {
        let whole = || {
            let spec = spec(document)?;
            let each = readers.iter().map(|reader| reader.policy(document, &spec));
            let placed = twins::either(each.collect::<Result<_, _>>()?);
            Ok(Read { refused: refused::refused(document, &spec), spec, placed })
        };
        match whole() {
            Ok(policy) => Some((policy, document)),
            Err(problem) => {
                lowered.problems.push(problem);
                None
            }
        }
    };
    let (own, other) = (one(document), rival.and_then(&mut one));
    let ((own, document), (other, rival)) = match (own, other) {
        (Some(own), Some(other)) => (own, other),
        (own, other) => return own.or(other),
    };
    if twins::mean_the_same(&own.placed, &other.placed) {
        let refused = own.refused.clone().filter(|_| other.refused.is_some());
        return Some((Read { refused, ..own }, document));
    }
    lowered.problems.extend(other.refused);
    lowered.gaps.push(twins::gap(document, rival));
    let placed = twins::either(vec![own.placed, other.placed]);
    Some((Read { spec: own.spec, placed, refused: own.refused }, document))
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
