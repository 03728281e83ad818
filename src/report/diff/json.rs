//! `diff` for programs: `watertight/diff/v1`.

use super::{
    Comparison, KINDS, OtherConditions, cause_code, end_names, isolation_severity, parts, severity, ways_in,
    word,
};
use crate::check::replay::Replayed;
use crate::exposure::change::WayChange;
use crate::graph::diff::{
    Cause, Crossing, Isolated, IsolationChange, PairChange, PolicyChange, Presence, Same,
};
use crate::model::EndpointName;
use crate::report::json::{
    Because, ExposureShape, GapShape, ProblemShape, Traffic, because_shape, exposure_shape, gap_shape,
    problem_shape, whole_traffic,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

#[derive(Serialize)]
struct Shape<'a> {
    schema: &'static str,
    dataplane: &'static str,
    summary: BTreeMap<&'static str, usize>,
    changes: Vec<PairShape<'a>>,
    isolation: Vec<IsolationShape<'a>>,
    conditions: Vec<ConditionsShape<'a>>,
    node_encryption: Option<[Option<&'static str>; 2]>,
    ways_in: Vec<WayShape<'a>>,
    policies: Vec<PolicyShape<'a>>,
    workloads: Workloads,
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<Flows<'a>>,
    gaps: Gaps<'a>,
    problems: Problems<'a>,
}

/// What could not be read of each version; what both have stands in the old one.
#[derive(Serialize)]
struct Problems<'a> {
    old: Vec<ProblemShape<'a>>,
    new: Vec<ProblemShape<'a>>,
}

#[derive(Serialize)]
struct PairShape<'a> {
    kind: &'static str,
    severity: &'static str,
    crossing: &'static str,
    presence: &'static str,
    from: Vec<String>,
    to: Vec<String>,
    paths: usize,
    old: Traffic,
    new: Traffic,
    opened: Traffic,
    closed: Traffic,
    segmented: bool,
    protection: [&'static str; 2],
    causes: Vec<CauseShape<'a>>,
}

#[derive(Serialize)]
struct CauseShape<'a> {
    what: &'static str,
    old: Option<Because<'a>>,
    new: Option<Because<'a>>,
}

#[derive(Serialize)]
struct IsolationShape<'a> {
    workloads: Vec<String>,
    direction: &'static str,
    isolated: bool,
    severity: &'static str,
    causes: Vec<CauseShape<'a>>,
}

#[derive(Serialize)]
struct WayShape<'a> {
    kind: &'static str,
    severity: &'static str,
    entry: String,
    workload: String,
    old: Vec<ExposureShape<'a>>,
    new: Vec<ExposureShape<'a>>,
}

#[derive(Serialize)]
struct ConditionsShape<'a> {
    old: Because<'a>,
    new: Because<'a>,
    only_where: [&'a str; 2],
}

#[derive(Serialize)]
struct PolicyShape<'a> {
    state: &'static str,
    direction: &'static str,
    old: Option<Because<'a>>,
    new: Option<Because<'a>>,
    subjects_changed: bool,
    place_changed: bool,
    rules_added: Vec<Because<'a>>,
    rules_removed: Vec<Because<'a>>,
    rules_changed: Vec<[Because<'a>; 2]>,
}

#[derive(Serialize)]
struct Workloads {
    added: Vec<String>,
    removed: Vec<String>,
}

#[derive(Serialize)]
struct Flows<'a> {
    breaks: Vec<FlowShape<'a>>,
    opens: Vec<FlowShape<'a>>,
    judged: usize,
    unjudged: usize,
}

#[derive(Serialize)]
struct FlowShape<'a> {
    from: &'a str,
    to: &'a str,
    traffic: &'a str,
    flows: usize,
    /// How many of them were in the clear.
    in_clear: usize,
}

#[derive(Serialize)]
struct Gaps<'a> {
    old: Vec<GapShape<'a>>,
    new: Vec<GapShape<'a>>,
    /// Those of the new version that the old one does not have.
    appeared: Vec<GapShape<'a>>,
    /// Those of the old version that the new one does not have.
    gone: Vec<GapShape<'a>>,
}

pub(in crate::report) fn write(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let diff = &comparison.diff;
    let mut summary: BTreeMap<&'static str, usize> = KINDS.iter().map(|(_, word, _)| (*word, 0)).collect();
    diff.pairs.iter().for_each(|pair| *summary.entry(word(pair.kind)).or_default() += 1);
    let conditions = comparison.other_conditions();
    let (ways, gaps) = (comparison.ways_in(), comparison.gap_changes());
    for (how, word, _) in ways_in::WORDS {
        summary.insert(word, ways.iter().filter(|change| change.how == *how).count());
    }
    let shape = Shape {
        conditions: conditions.iter().map(conditions_shape).collect(),
        schema: "watertight/diff/v1",
        dataplane: comparison.new.graph.dataplane.kind.name(),
        summary,
        changes: diff.pairs.iter().map(pair_shape).collect(),
        isolation: diff.isolation.iter().map(isolation_shape).collect(),
        ways_in: ways.iter().map(|change| way_shape(comparison, change)).collect(),
        node_encryption: diff.encryption.map(|both| both.map(|state| state.map(|e| e.by.name()))),
        policies: diff.policies.iter().map(|change| policy_shape(comparison, change)).collect(),
        workloads: Workloads { added: names(&diff.appeared), removed: names(&diff.vanished) },
        flows: comparison.replay.as_ref().map(|replay| Flows {
            breaks: replay.breaks.iter().map(flow_shape).collect(),
            opens: replay.opens.iter().map(flow_shape).collect(),
            judged: replay.judged,
            unjudged: replay.unjudged,
        }),
        gaps: Gaps {
            old: comparison.old.gaps.iter().map(gap_shape).collect(),
            new: comparison.new.gaps.iter().map(gap_shape).collect(),
            appeared: gaps.new.iter().map(|gap| gap_shape(gap)).collect(),
            gone: gaps.gone.iter().map(|gap| gap_shape(gap)).collect(),
        },
        problems: Problems {
            old: comparison.old.problems.iter().map(problem_shape).collect(),
            new: comparison.new.problems.iter().map(problem_shape).collect(),
        },
    };
    serde_json::to_writer(&mut *out, &shape)?;
    out.write_all(b"\n")
}

fn names(names: &[EndpointName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn conditions_shape(other: &OtherConditions) -> ConditionsShape<'_> {
    let ((old, only_where_old), (new, only_where_new)) = (&other.old, &other.new);
    ConditionsShape {
        old: because_shape(old),
        new: because_shape(new),
        only_where: [only_where_old, only_where_new],
    }
}

fn way_shape<'a>(comparison: &Comparison<'a>, change: &WayChange<'a>) -> WayShape<'a> {
    WayShape {
        kind: ways_in::word(change.how),
        severity: ways_in::severity(comparison, change).word(),
        entry: change.entry.to_string(),
        workload: change.workload.to_string(),
        old: change.old.iter().map(|one| exposure_shape(comparison.old, one)).collect(),
        new: change.new.iter().map(|one| exposure_shape(comparison.new, one)).collect(),
    }
}

fn flow_shape(flow: &Replayed) -> FlowShape<'_> {
    let Replayed { from, to, traffic, flows, in_clear } = flow;
    FlowShape { from, to, traffic, flows: *flows, in_clear: *in_clear }
}

fn pair_shape(pair: &PairChange) -> PairShape<'_> {
    let (opened, closed) = parts(pair);
    PairShape {
        kind: word(pair.kind),
        severity: severity(pair).word(),
        crossing: match pair.crossing {
            Crossing::Within => "within",
            Crossing::Between => "between",
            Crossing::Outside => "outside",
            Crossing::Any => "any",
        },
        presence: match pair.presence {
            Presence::Both => "both",
            Presence::Appears => "appears",
            Presence::Vanishes => "vanishes",
        },
        from: end_names(&pair.from),
        to: end_names(&pair.to),
        paths: pair.paths(),
        old: whole_traffic(&pair.old),
        new: whole_traffic(&pair.new),
        opened: whole_traffic(&opened),
        closed: whole_traffic(&closed),
        segmented: pair.unsegmented.is_empty(),
        protection: pair.protection.map(|protection| protection.word()),
        causes: pair.causes.iter().map(cause_shape).collect(),
    }
}

fn cause_shape(cause: &Cause) -> CauseShape<'_> {
    CauseShape {
        what: cause_code(cause.what),
        old: cause.old.as_ref().map(because_shape),
        new: cause.new.as_ref().map(because_shape),
    }
}

fn isolation_shape(change: &IsolationChange) -> IsolationShape<'_> {
    IsolationShape {
        workloads: names(&change.workloads),
        direction: change.direction.word(),
        isolated: change.now == Isolated::Yes,
        severity: isolation_severity(change).word(),
        causes: change.causes.iter().map(cause_shape).collect(),
    }
}

fn policy_shape<'a>(comparison: &Comparison<'a>, change: &PolicyChange) -> PolicyShape<'a> {
    let (old, new) = (&comparison.old.graph, &comparison.new.graph);
    let before = change.old.map(|number| &old.policies[number as usize]);
    let after = change.new.map(|number| &new.policies[number as usize]);
    let old_rule = |number: &u32| because_shape(&old.rules[*number as usize].rule.origin);
    let new_rule = |number: &u32| because_shape(&new.rules[*number as usize].rule.origin);
    PolicyShape {
        state: match (before, after) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(_), Some(_)) => "changed",
        },
        direction: after.or(before).map_or("", |policy| policy.direction.word()),
        old: before.map(|policy| because_shape(&policy.origin)),
        new: after.map(|policy| because_shape(&policy.origin)),
        subjects_changed: change.subjects == Same::No,
        place_changed: change.place == Same::No,
        rules_added: change.added.iter().map(new_rule).collect(),
        rules_removed: change.removed.iter().map(old_rule).collect(),
        rules_changed: change.changed.iter().map(|(a, b)| [old_rule(a), new_rule(b)]).collect(),
    }
}
