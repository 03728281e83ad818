//! Suggested policies: YAML that can be applied, with the proof and what was left out as comments,
//! and the same for programs.

use super::diff::Comparison;
use super::names::{named_addresses, origin_text};
use super::snippet::{self, Item, Side};
use crate::analysis::Analysis;
use crate::check::needs::LeftOut;
use crate::check::replay::Replayed;
use crate::graph::Direction;
use crate::graph::diff::ChangeKind;
use crate::suggest::{Suggested, SuggestedRule, SuggestedSide, Suggestion, Without};
use serde::Serialize;
use serde_json::json;
use std::io::{self, Write};

/// A policy as it is applied.
pub struct Object {
    /// Its name, `namespace/NetworkPolicy/name`.
    pub name: String,
    /// For whom it is.
    pub workload: String,
    /// Comments that stand above it.
    pub notes: Vec<String>,
    /// The object.
    pub yaml: String,
}

/// The suggested policies as objects; those that NetworkPolicy has no words for are left out.
pub fn objects(analysis: &Analysis, suggestion: &Suggestion) -> Vec<Object> {
    suggestion.policies.iter().filter_map(|policy| object(analysis, policy)).collect()
}

fn object(analysis: &Analysis, policy: &Suggested) -> Option<Object> {
    let item = |direction: Direction, rule: &SuggestedRule| {
        let comment = comment(analysis, rule);
        snippet::rule_of(direction, &rule.peers, &rule.traffic).map(|rule| Item { comment, rule })
    };
    let side = |side: &SuggestedSide| {
        let items = side.rules.iter().map(|rule| item(side.direction, rule));
        Some(Side { direction: side.direction, items: items.collect::<Option<_>>()? })
    };
    let sides = policy.sides.iter().map(side).collect::<Option<Vec<Side>>>()?;
    let yaml = snippet::whole([&policy.namespace, &policy.name], &policy.subject, &sides)?;
    let mut notes = Vec::new();
    if let [Side { direction, .. }] = sides.as_slice() {
        let other = match direction {
            Direction::Ingress => "nothing was seen leaving these pods: what they may call stays as it is",
            Direction::Egress => "nothing was seen entering these pods: who may call them stays as it is",
        };
        notes.push(other.to_owned());
    }
    notes.extend(
        policy.beside.iter().map(|origin| {
            format!("selected already by {}: what that allows stays open", origin_text(origin))
        }),
    );
    Some(Object {
        name: format!("{}/NetworkPolicy/{}", policy.namespace, policy.name),
        workload: analysis.inventory.workloads[policy.workload].name.to_string(),
        notes,
        yaml,
    })
}

/// How often a rule was needed, and the names of addresses in it.
fn comment(analysis: &Analysis, rule: &SuggestedRule) -> String {
    let mut lines = vec![counted(rule.flows)];
    let name = |index: &usize| analysis.inventory.workloads[*index].name.to_string();
    lines.extend(rule.wider.iter().map(|(own, others)| {
        format!("allows {} too, whose labels {} shares", listed(others, name), name(own))
    }));
    lines.extend(rule.addresses.iter().flat_map(|ip| named_addresses(analysis, &ip.to_string())));
    lines.join("\n")
}

/// The first names of workloads.
fn listed(workloads: &[usize], name: impl Fn(&usize) -> String) -> String {
    const MOST: usize = 3;
    let shown: Vec<String> = workloads.iter().take(MOST).map(name).collect();
    match workloads.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn counted(flows: usize) -> String {
    if flows == 1 { "1 flow".to_owned() } else { format!("{flows} flows") }
}

/// Objects, one after the other, without comments.
pub fn documents(objects: &[Object]) -> String {
    objects.iter().map(|object| object.yaml.as_str()).collect::<Vec<_>>().join("---\n")
}

/// What became of everything when the policies were read with it.
struct Proof<'a> {
    judged: usize,
    unjudged: usize,
    breaks: Vec<&'a Replayed>,
    /// What came to nothing before, and is not let through any more.
    shut: usize,
    opens: Vec<String>,
    closes: usize,
    narrows: usize,
}

impl<'a> Proof<'a> {
    fn of(suggestion: &Suggestion, comparison: &'a Comparison<'_>) -> Proof<'a> {
        let count = |kind| comparison.diff.pairs.iter().filter(|pair| pair.kind == kind).count();
        let opens =
            comparison.diff.pairs.iter().filter(|pair| {
                matches!(pair.kind, ChangeKind::Opens | ChangeKind::Widens | ChangeKind::Shifts)
            });
        let idle = |flow: &&Replayed| {
            let key = (LeftOut::CameToNothing, format!("{} -> {}", flow.from, flow.to), flow.traffic.clone());
            suggestion.left_out.get(&key) == Some(&flow.flows)
        };
        let replay = comparison.replay.as_ref();
        let (shut, breaks): (Vec<_>, Vec<_>) =
            replay.into_iter().flat_map(|replay| &replay.breaks).partition(idle);
        let pair = |pair| super::diff::pair_text(pair);
        Proof {
            judged: replay.map_or(0, |replay| replay.judged),
            unjudged: replay.map_or(0, |replay| replay.unjudged),
            breaks,
            shut: shut.iter().map(|flow| flow.flows).sum(),
            opens: opens.map(pair).collect(),
            closes: count(ChangeKind::Closes),
            narrows: count(ChangeKind::Narrows),
        }
    }
}

/// Whether the policies keep what was seen and open nothing.
pub fn holds(suggestion: &Suggestion, comparison: &Comparison<'_>) -> bool {
    let proof = Proof::of(suggestion, comparison);
    proof.breaks.is_empty() && proof.opens.is_empty()
}

/// YAML, with the proof in front.
///
/// # Errors
/// Those of the writer.
pub fn write_yaml(
    analysis: &Analysis,
    suggestion: &Suggestion,
    objects: &[Object],
    comparison: &Comparison<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let proof = Proof::of(suggestion, comparison);
    let (policies, workloads) = (objects.len(), analysis.inventory.workloads.len());
    writeln!(out, "# {policies} NetworkPolicies for {workloads} workloads, made of what was observed.")?;
    writeln!(out, "# Read together with everything else:")?;
    let passes = if proof.breaks.is_empty() { "all that passed still pass" } else { "some would break" };
    writeln!(out, "#   {} that were observed were judged, {passes}", counted(proof.judged))?;
    if proof.unjudged > 0 {
        writeln!(out, "#   {} could not be judged: an end is not known", counted(proof.unjudged))?;
    }
    if proof.shut > 0 {
        writeln!(out, "#   {} that came to nothing will be dropped", counted(proof.shut))?;
    }
    for flow in &proof.breaks {
        let Replayed { from, to, traffic, flows, .. } = flow;
        writeln!(out, "#   WOULD BREAK: {from} -> {to} {traffic}, seen in {}", counted(*flows))?;
    }
    for opened in &proof.opens {
        writeln!(out, "#   WOULD OPEN: {opened}")?;
    }
    writeln!(out, "#   {} paths are closed, {} let less through", proof.closes, proof.narrows)?;
    if !suggestion.left_out.is_empty() {
        writeln!(out, "# Seen, and no rule was made of it:")?;
    }
    for ((why, subject, traffic), flows) in &suggestion.left_out {
        writeln!(out, "#   {subject} {traffic}, {}: {}", counted(*flows), why.why())?;
    }
    if !suggestion.without.is_empty() {
        writeln!(out, "# Without a policy of their own:")?;
    }
    for (workload, why) in &suggestion.without {
        let name = &analysis.inventory.workloads[*workload].name;
        writeln!(out, "#   {name}: {}", without_text(analysis, why))?;
    }
    writeln!(out, "# A capture is a short look: what was not seen while it was taken is closed by these.")?;
    for object in objects {
        writeln!(out, "---\n# {}", object.workload)?;
        object.notes.iter().try_for_each(|note| writeln!(out, "# {note}"))?;
        out.write_all(object.yaml.as_bytes())?;
    }
    Ok(())
}

fn without_text(analysis: &Analysis, why: &Without) -> String {
    match why {
        Without::NotSeen => "nothing that it needs was seen".to_owned(),
        Without::NoLabels => "its pods have no labels to select them by".to_owned(),
        Without::Others(others) => {
            let name = |index: &usize| analysis.inventory.workloads[*index].name.to_string();
            format!("its labels select pods of {} too; give it one of its own", listed(others, name))
        }
    }
}

#[derive(Serialize)]
struct Shape<'a> {
    schema: &'static str,
    policies: Vec<serde_json::Value>,
    proof: serde_json::Value,
    left_out: Vec<serde_json::Value>,
    without: Vec<serde_json::Value>,
    problems: Vec<super::json::ProblemShape<'a>>,
}

/// One line of JSON.
///
/// # Errors
/// Those of the writer.
pub fn write_json(
    analysis: &Analysis,
    suggestion: &Suggestion,
    objects: &[Object],
    comparison: &Comparison<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let proof = Proof::of(suggestion, comparison);
    let policy = |object: &Object| json!({"name": object.name, "workload": object.workload, "notes": object.notes, "yaml": object.yaml});
    let broken = |flow: &&Replayed| json!({"from": flow.from, "to": flow.to, "traffic": flow.traffic, "flows": flow.flows});
    let shape = Shape {
        schema: "watertight/suggestion/v1",
        policies: objects.iter().map(policy).collect(),
        proof: json!({
            "holds": holds(suggestion, comparison),
            "judged": proof.judged,
            "unjudged": proof.unjudged,
            "shut": proof.shut,
            "breaks": proof.breaks.iter().map(broken).collect::<Vec<_>>(),
            "opens": proof.opens,
            "closes": proof.closes,
            "narrows": proof.narrows,
        }),
        left_out: suggestion
            .left_out
            .iter()
            .map(|((why, subject, traffic), flows)| {
                json!({"subject": subject, "traffic": traffic, "flows": flows, "why": why.why()})
            })
            .collect(),
        without: suggestion
            .without
            .iter()
            .map(|(workload, why)| {
                let name = analysis.inventory.workloads[*workload].name.to_string();
                json!({"workload": name, "why": without_text(analysis, why)})
            })
            .collect(),
        problems: analysis.problems.iter().map(super::json::problem_shape).collect(),
    };
    serde_json::to_writer(&mut *out, &shape)?;
    out.write_all(b"\n")
}
