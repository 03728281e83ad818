//! Suggested policies: YAML that can be applied, with the proof and what was left out as comments,
//! and the same for programs.

use super::diff::Comparison;
use super::names::{bend_word, named_addresses, origin_text};
use super::snippet::{self, Item, Side};
use super::words;
use crate::analysis::Analysis;
use crate::check::needs::LeftOut;
use crate::check::replay::Replayed;
use crate::graph::Direction;
use crate::graph::diff::{ChangeKind, PairChange};
use crate::model::{Gap, Protocol};
use crate::suggest::{self, Suggested, SuggestedRule, SuggestedSide, Suggestion, Wider, Without};
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

/// Of an object, as text; JSON of the same takes more.
const MOST_BYTES: usize = 1 << 20;

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
    if yaml.len() > MOST_BYTES {
        let size = yaml.len() >> 20;
        notes.push(format!(
            "{size} MiB: API servers take no larger requests than 1.5 MiB; name blocks instead of addresses"
        ));
    }
    Some(Object {
        name: format!("{}/NetworkPolicy/{}", policy.namespace, policy.name),
        workload: analysis.inventory.workloads[policy.workload].name.to_string(),
        notes,
        yaml,
    })
}

/// How often a rule was needed, and the names of addresses in it.
fn comment(analysis: &Analysis, rule: &SuggestedRule) -> String {
    let mut lines = vec![words::flows(rule.count.flows)];
    let name = |index: &usize| analysis.inventory.workloads[*index].name.to_string();
    if rule.count.wordless == rule.count.flows {
        lines.push("no word came back: health checks, datagrams that go one way, or a scan".to_owned());
    }
    let dns = |protocol| rule.traffic.ports(protocol).contains(53);
    if dns(Protocol::Udp) && !dns(Protocol::Tcp) {
        lines.push("names are asked for by UDP alone: long answers come by TCP".to_owned());
    }
    lines.extend(rule.wider.iter().map(|(own, wider)| match wider {
        Wider::Others(others) => {
            format!("allows {} too, whose labels {} shares", listed(others, name), name(own))
        }
        Wider::Namespace => {
            let namespace = &analysis.inventory.workloads[*own].name.namespace;
            format!("allows every pod of {namespace}: {} has no labels", name(own))
        }
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
    /// In words: nothing that was judged is no proof.
    fn words(&self) -> String {
        let passes = match (self.judged, self.breaks.is_empty()) {
            (0, _) => return "no flow could be judged: nothing is proved".to_owned(),
            (_, true) => "all that passed still pass",
            (_, false) => "some would break",
        };
        let were = if self.judged == 1 { "was" } else { "were" };
        format!("{} {were} judged, {passes}", words::flows(self.judged))
    }

    fn of(suggestion: &Suggestion, comparison: &'a Comparison<'_>) -> Proof<'a> {
        let pairs = &comparison.diff.pairs;
        let count = |kind| pairs.iter().filter(|pair| pair.kind == kind).map(PairChange::paths).sum();
        let opens = pairs
            .iter()
            .filter(|pair| matches!(pair.kind, ChangeKind::Opens | ChangeKind::Widens | ChangeKind::Shifts));
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

    fn holds(&self) -> bool {
        self.breaks.is_empty() && self.opens.is_empty()
    }
}

/// Whether the policies keep what was seen and open nothing.
pub fn holds(suggestion: &Suggestion, comparison: &Comparison<'_>) -> bool {
    Proof::of(suggestion, comparison).holds()
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
    head(analysis, suggestion, objects, &proof)
        .iter()
        .try_for_each(|line| writeln!(out, "# {}", snippet::remark(line)))?;
    for object in objects {
        writeln!(out, "---\n# {}", snippet::remark(&object.workload))?;
        object.notes.iter().try_for_each(|note| writeln!(out, "# {}", snippet::remark(note)))?;
        out.write_all(object.yaml.as_bytes())?;
    }
    Ok(())
}

/// What stands in front of the policies, a line each.
fn head(analysis: &Analysis, suggestion: &Suggestion, objects: &[Object], proof: &Proof<'_>) -> Vec<String> {
    let policies = match objects.len() {
        1 => "1 NetworkPolicy".to_owned(),
        several => format!("{several} NetworkPolicies"),
    };
    let workloads = suggestion.policies.len() + suggestion.without.len();
    let mut lines = vec![
        format!("{policies} for {} of {workloads} workloads, made of what was observed.", objects.len()),
        "Read together with everything else:".to_owned(),
        format!("  {}", proof.words()),
    ];
    if suggest::nobody_has_addresses(analysis) {
        lines.push(format!("  {NOBODY}"));
    }
    if proof.unjudged > 0 {
        let text = "could not be judged: no end is known to be a pod, or who stands behind one is not";
        lines.push(format!("  {} {text}", words::flows(proof.unjudged)));
    }
    if proof.shut > 0 {
        lines.push(format!("  {} that came to nothing will be dropped", words::flows(proof.shut)));
    }
    lines.extend(proof.breaks.iter().map(|flow| {
        let Replayed { from, to, traffic, flows, .. } = flow;
        format!("  WOULD BREAK: {from} -> {to} {traffic}, seen in {}", words::flows(*flows))
    }));
    lines.extend(proof.opens.iter().map(|opened| format!("  WOULD OPEN: {opened}")));
    lines.push(format!("  {} paths are closed, {} let less through", proof.closes, proof.narrows));
    if !objects.is_empty() && proof.closes + proof.narrows == 0 {
        let text = "other policies allow as much already, or nothing enforces these";
        lines.push(format!("  they close nothing: {text} ({})", analysis.graph.dataplane.kind.name()));
    }
    section(&mut lines, "Could not be read:", analysis.problems.iter().map(ToString::to_string));
    let gap = |gap: &Gap| format!("{} ({}): {}", gap.what, bend_word(gap.bends), origin_text(&gap.origin));
    section(&mut lines, "Not known:", analysis.gaps.iter().map(gap));
    let left_out = suggestion.left_out.iter().map(|((why, subject, traffic), flows)| {
        format!("{subject} {traffic}, {}: {}", words::flows(*flows), why.why())
    });
    section(&mut lines, "Seen, and no rule was made of it:", left_out);
    let without = suggestion.without.iter().map(|(workload, why)| {
        let name = &analysis.inventory.workloads[*workload].name;
        format!("{name}: {}", without_text(analysis, why))
    });
    section(&mut lines, "Without a policy of their own:", without);
    let end = "A capture is a short look: what was not seen while it was taken is closed by these.";
    lines.push(end.to_owned());
    lines
}

fn section(lines: &mut Vec<String>, title: &str, all: impl Iterator<Item = String>) {
    let mut all = all.map(|line| format!("  {line}")).peekable();
    if all.peek().is_some() {
        lines.push(title.to_owned());
        lines.extend(all);
    }
}

/// What is said where no flow can be laid at anybody's door.
pub const NOBODY: &str = "no pod here has an address, so nobody can be told on the wire: \
     give a snapshot, or pods with their status";

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
    gaps: Vec<super::json::GapShape<'a>>,
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
            "holds": proof.holds(),
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
        gaps: analysis.gaps.iter().map(super::json::gap_shape).collect(),
        problems: analysis.problems.iter().map(super::json::problem_shape).collect(),
    };
    serde_json::to_writer(&mut *out, &shape)?;
    out.write_all(b"\n")
}
