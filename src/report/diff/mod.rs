//! What a change of configuration does, in the formats that reviews need.
//!
//! How bad a change is stands in one table here, so that every format and the exit code agree.

mod digest;
mod drawing;
mod gap_changes;
mod json;
mod markdown;
pub(super) mod results;
mod sarif;
mod text;
mod ways_in;

pub(super) use drawing::of as drawing_of;
pub(super) use json::write as write_json;
pub(super) use markdown::write as write_markdown;
pub(super) use sarif::write as write_sarif;
pub(super) use text::write as write_text;

use super::names::{origin_text, place_text};
use super::words::{asked_text, outside_text};
use crate::analysis::Analysis;
use crate::check::Severity;
use crate::check::replay::Replay;
use crate::graph::diff::{
    Cause, ChangeKind, ChangedEnd, Crossing, Diff, Isolated, IsolationChange, PairChange, PolicyChange,
    Presence, What,
};
use crate::model::{Origin, Problem, TrafficSet};
use std::collections::BTreeSet;

/// Two versions, what differs, and what becomes of observed flows.
pub struct Comparison<'a> {
    /// The old version.
    pub old: &'a Analysis,
    /// The new version.
    pub new: &'a Analysis,
    /// What differs.
    pub diff: Diff,
    /// What becomes of observed flows; `None` where no capture was given.
    pub replay: Option<Replay>,
}

/// The kinds of change, worst first: how reports name them, and their summary.
const KINDS: &[(ChangeKind, &str, &str)] = &[
    (ChangeKind::Opens, "opens", "A path that was closed is open."),
    (ChangeKind::Widens, "widens", "A path lets more through than before."),
    (
        ChangeKind::Shifts,
        "shifts",
        "A path lets something through that it did not, and no longer all that it did.",
    ),
    (
        ChangeKind::LosesConditions,
        "loses-conditions",
        "What passed under conditions above packets passes without.",
    ),
    (ChangeKind::LosesProtection, "loses-protection", "A path is expected to be protected less than before."),
    (ChangeKind::Ungoverned, "ungoverned", "What a policy allowed passes because nothing governs it."),
    (ChangeKind::Closes, "closes", "A path that was open is closed."),
    (ChangeKind::Narrows, "narrows", "A path lets less through than before."),
    (ChangeKind::GainsConditions, "gains-conditions", "What passed passes under conditions above packets."),
    (ChangeKind::GainsProtection, "gains-protection", "A path is expected to be protected more than before."),
    (ChangeKind::Governed, "governed", "What passed because nothing governed it is allowed by a policy."),
];

fn word(kind: ChangeKind) -> &'static str {
    KINDS.iter().find(|(known, ..)| *known == kind).map_or("", |(_, word, _)| word)
}

/// How bad a changed pair is: what opens between segments or to the outside is high, within a
/// segment or for a workload that is new medium, what closes low.
pub fn severity(change: &PairChange) -> Severity {
    match (change.kind, change.presence, change.crossing) {
        (ChangeKind::LosesProtection, ..) => Severity::High,
        (ChangeKind::Ungoverned, ..) => Severity::Medium,
        (kind, ..) if !kind.opens() => Severity::Low,
        (_, Presence::Appears | Presence::Vanishes, _) | (_, Presence::Both, Crossing::Within) => {
            Severity::Medium
        }
        (_, Presence::Both, Crossing::Between | Crossing::Outside | Crossing::Any) => Severity::High,
    }
}

/// How bad it is that isolation changes: its loss is high.
pub fn isolation_severity(change: &IsolationChange) -> Severity {
    match change.now {
        Isolated::No => Severity::High,
        Isolated::Yes => Severity::Low,
    }
}

/// How bad it is that encryption between nodes changes: losing it, or a part of it, is high.
fn encryption_severity(diff: &Diff) -> Option<Severity> {
    diff.encryption.map(|[old, _]| if old.is_some() { Severity::High } else { Severity::Low })
}

/// `encryption between nodes: WireGuard before, nothing now`.
fn encryption_text(diff: &Diff) -> Option<String> {
    let [old, new] = diff.encryption?.map(|state| state.map_or("nothing", |encryption| encryption.by.name()));
    Some(match old == new {
        true => format!("encryption between nodes: {new}, for other traffic than before"),
        false => format!("encryption between nodes: {new}, was {old}"),
    })
}

/// A rule that allows under conditions above packets, and allows under others now.
struct OtherConditions {
    old: (Origin, String),
    new: (Origin, String),
}

impl Comparison<'_> {
    /// What could not be read of either version.
    pub(in crate::report) fn problems(&self) -> Vec<&Problem> {
        self.old.problems.iter().chain(&self.new.problems).collect()
    }

    /// Rules whose conditions changed: who may talk on which ports is the same, and what passes is not.
    fn other_conditions(&self) -> Vec<OtherConditions> {
        let told = |analysis: &Analysis, number: u32| {
            let rule = &analysis.graph.rules[number as usize].rule;
            rule.narrowed.as_ref().map(|narrowed| (rule.origin.clone(), narrowed.to_string()))
        };
        let mut all = Vec::new();
        for change in &self.diff.policies {
            let moved =
                change.removed.iter().flat_map(|old| change.added.iter().map(move |new| (*old, *new)));
            for (old, new) in change.changed.iter().copied().chain(moved) {
                if let (Some(old), Some(new)) = (told(self.old, old), told(self.new, new))
                    && old.1 != new.1
                {
                    all.push(OtherConditions { old, new });
                }
            }
        }
        all
    }

    /// Policies that do not say what they did, and that no change rests on.
    pub(in crate::report) fn without_effect(&self) -> Vec<&Origin> {
        let causes = self.diff.pairs.iter().flat_map(|pair| &pair.causes);
        let causes = causes.chain(self.diff.isolation.iter().flat_map(|change| &change.causes));
        let key = |origin: &Origin| (origin.kind.clone(), origin.namespace.clone(), origin.name.clone());
        let cited: BTreeSet<_> = causes.flat_map(|c| c.old.iter().chain(&c.new)).map(key).collect();
        let origin = |change: &PolicyChange| match (change.new, change.old) {
            (Some(new), _) => Some(&self.new.graph.policies[new as usize].origin),
            (None, Some(old)) => Some(&self.old.graph.policies[old as usize].origin),
            (None, None) => None,
        };
        let all: BTreeSet<&Origin> = self.diff.policies.iter().filter_map(origin).collect();
        all.into_iter().filter(|origin| !cited.contains(&key(origin))).collect()
    }

    /// The worst of all that changed; flows that break are high, other conditions medium.
    pub fn worst(&self) -> Option<Severity> {
        let conditions = self.other_conditions().into_iter().map(|_| Severity::Medium);
        let pairs = self.diff.pairs.iter().map(severity);
        let isolation = self.diff.isolation.iter().map(isolation_severity);
        let breaks = self.replay.iter().flat_map(|replay| &replay.breaks).map(|_| Severity::High);
        let ways = self.ways_in().into_iter().map(|change| ways_in::severity(self, &change));
        let all = pairs.chain(isolation).chain(breaks).chain(conditions).chain(ways);
        all.chain(encryption_severity(&self.diff)).max()
    }
}

/// Pairs by kind, worst kind first; none for kinds that do not occur.
fn by_kind(diff: &Diff) -> impl Iterator<Item = (&'static str, Vec<&PairChange>)> {
    KINDS.iter().filter_map(|(kind, word, _)| {
        let of: Vec<&PairChange> = diff.pairs.iter().filter(|pair| pair.kind == *kind).collect();
        (!of.is_empty()).then_some((*word, of))
    })
}

/// `2 opens, 1 closes`, or that nothing changes, as far as both versions are known.
fn headline(comparison: &Comparison<'_>) -> String {
    let diff = &comparison.diff;
    let mut parts: Vec<String> = by_kind(diff).map(|(word, of)| format!("{} {word}", of.len())).collect();
    let count = |now| diff.isolation.iter().filter(|change| change.now == now).count();
    for (now, word) in [(Isolated::No, "loses isolation"), (Isolated::Yes, "gains isolation")] {
        if count(now) > 0 {
            parts.push(format!("{} {word}", count(now)));
        }
    }
    let ways = comparison.ways_in();
    for (how, word, _) in ways_in::WORDS {
        let count = ways.iter().filter(|change| change.how == *how).count();
        parts.extend((count > 0).then(|| format!("{count} {word}")));
    }
    let others = [
        (comparison.other_conditions().len(), "passes under other conditions"),
        (usize::from(diff.encryption.is_some()), "change of encryption between nodes"),
    ];
    parts
        .extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
    let (gaps, unread) = (comparison.gap_changes(), comparison.problems().len());
    if unread > 0 {
        let known = if parts.is_empty() { NOTHING_READ.to_owned() } else { parts.join(", ") };
        return format!("{known}, {unread} not read");
    }
    match (parts.is_empty(), gaps.new.len()) {
        (true, 0) => "Nothing changes in who may talk to whom".to_owned(),
        (true, new) => format!("Nothing that is known changes in who may talk to whom, {}", new_gaps(new)),
        (false, 0) => parts.join(", "),
        (false, new) => format!("{}, {}", parts.join(", "), new_gaps(new)),
    }
}

/// Said where something could not be read, and nothing changes in the rest.
const NOTHING_READ: &str = "Nothing changes in what could be read";

fn new_gaps(count: usize) -> String {
    format!("{count} new {}", if count == 1 { "gap" } else { "gaps" })
}

/// The names of an end.
fn end_names(end: &ChangedEnd) -> Vec<String> {
    match end {
        ChangedEnd::Workloads(names) => names.iter().map(ToString::to_string).collect(),
        ChangedEnd::External(set) => vec![format!("ip:{set}")],
        ChangedEnd::Domain(name) => vec![format!("dns:{name}")],
    }
}

/// The first names of an end, for people.
fn end_text(end: &ChangedEnd) -> String {
    match end {
        ChangedEnd::External(set) => outside_text(set),
        other => short_list(&end_names(other)),
    }
}

/// `from -> to: TRAFFIC`, for people.
pub(super) fn pair_text(pair: &PairChange) -> String {
    format!("{} -> {}: {}", end_text(&pair.from), end_text(&pair.to), traffic_text(pair))
}

fn short_list(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
    match names.len().saturating_sub(3) {
        0 => shown.join(", "),
        more => format!("{} and {more} alike", shown.join(", ")),
    }
}

/// What a pair lets through now, and what it did.
fn traffic_text(change: &PairChange) -> String {
    let (old, new) = (&change.old, &change.new);
    match change.kind {
        ChangeKind::Opens => asked_text(new),
        ChangeKind::Closes => format!("nothing, was {}", asked_text(old)),
        ChangeKind::LosesProtection | ChangeKind::GainsProtection => {
            let [old, new] = change.protection.map(|protection| protection.word());
            format!("{}, {new}, was {old}", asked_text(&change.new))
        }
        ChangeKind::Widens | ChangeKind::Narrows | ChangeKind::Shifts => {
            let traffic = format!("{}, was {}", asked_text(new), asked_text(old));
            match change.protection {
                [before, after] if before == after => traffic,
                [before, after] => format!("{traffic}; {}, was {}", after.word(), before.word()),
            }
        }
        _ => asked_text(new),
    }
}

/// More causes of one change than this are counted.
const MOST_CAUSES: usize = 8;

/// Causes: what programs read, and what people read.
const CAUSES: &[(What, &str, &str)] = &[
    (What::PolicyAdded, "policy-added", "policy added"),
    (What::PolicyRemoved, "policy-removed", "policy removed"),
    (What::SubjectsChanged, "subjects-changed", "policy selects or isolates others"),
    (What::OrderChanged, "order-changed", "policy or rules in another order"),
    (What::RuleAdded, "rule-added", "rule added"),
    (What::RuleRemoved, "rule-removed", "rule removed"),
    (What::RuleChanged, "rule-changed", "rule changed"),
    (What::PodsChanged, "pods-changed", "labels, account or network of pods changed"),
    (What::PortsChanged, "ports-changed", "ports of pods changed"),
    (What::AddressesChanged, "addresses-changed", "addresses of pods changed"),
    (What::NamespaceChanged, "namespace-changed", "labels of the namespace changed"),
    (What::WorkloadAppeared, "workload-added", "workload added"),
    (What::WorkloadVanished, "workload-removed", "workload removed"),
    (What::MeshChanged, "mesh-changed", "what the mesh sends or accepts changed"),
    (
        What::SurroundingsChanged,
        "surroundings-changed",
        "services, nodes or accounts that rules speak of changed",
    ),
];

fn cause_code(what: What) -> &'static str {
    CAUSES.iter().find(|(known, ..)| *known == what).map_or("", |(_, code, _)| code)
}

fn cause_word(what: What) -> &'static str {
    CAUSES.iter().find(|(known, ..)| *known == what).map_or("", |(_, _, word)| word)
}

/// The causes of a change for people; the first ones, where a change holds for many workloads that
/// are new.
fn cause_texts(causes: &[Cause]) -> Vec<String> {
    let more = causes.len().saturating_sub(MOST_CAUSES);
    let more = (more > 0).then(|| format!("and {more} more, which JSON lists"));
    causes.iter().take(MOST_CAUSES).map(cause_text).chain(more).collect()
}

/// `rule changed: new.yaml:7 …, was old.yaml:7 …`.
fn cause_text(cause: &Cause) -> String {
    let word = cause_word(cause.what);
    match (&cause.old, &cause.new) {
        (None, None) => word.to_owned(),
        (None, Some(origin)) | (Some(origin), None) => format!("{word}: {}", origin_text(origin)),
        (Some(old), Some(new)) => format!("{word}: {}, was {}", origin_text(new), place_text(old)),
    }
}

fn isolation_text(change: &IsolationChange) -> String {
    let names: Vec<String> = change.workloads.iter().map(ToString::to_string).collect();
    let verb = match change.now {
        Isolated::No => "no longer isolated",
        Isolated::Yes => "now isolated",
    };
    format!("{} {verb} for {}", short_list(&names), change.direction.word())
}

/// What is new of the traffic of a pair, and what is gone.
fn parts(change: &PairChange) -> (TrafficSet, TrafficSet) {
    (change.new.difference(&change.old), change.old.difference(&change.new))
}
