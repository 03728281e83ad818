//! `explain` for programs: `watertight/explain/v1`.

use super::{Answer, Case, Verdict, between_name, change_text, packet, protection, spot_name};
use crate::analysis::Analysis;
use crate::graph::{Change, Effect, Explanation, Ground, Leg, MeshEdge, Outcome, TierWalk, Walk};
use crate::model::{ExpectedProtection, TrafficSet};
use crate::report::json::{
    Because, GapShape, ProblemShape, Traffic, because_shape, gap_shape, problem_shape, whole_traffic,
};
use crate::report::words::{action_word, peers_text};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
struct Shape<'a> {
    schema: &'static str,
    dataplane: &'static str,
    from: &'a str,
    to: &'a str,
    asked: Traffic,
    verdict: &'static str,
    notes: &'a [String],
    cases: Vec<CaseShape<'a>>,
    protection: &'static str,
    protection_why: Option<String>,
    gaps: Vec<GapShape<'a>>,
    problems: Vec<ProblemShape<'a>>,
}

#[derive(Serialize)]
struct CaseShape<'a> {
    from: String,
    to: String,
    passing: Traffic,
    denied: Traffic,
    narrowed: Traffic,
    exempt: Traffic,
    mesh: Option<MeshShape>,
    packets: Vec<PacketShape>,
    walks: Vec<WalkShape<'a>>,
    remedies: Vec<RemedyShape<'a>>,
}

#[derive(Serialize)]
struct MeshShape {
    refused: Traffic,
    blocked: Traffic,
    unauthorized: Traffic,
    /// The ways that get through, where somebody is in between on one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ways: Vec<WayShape>,
}

#[derive(Serialize)]
struct WayShape {
    traffic: Traffic,
    protection: &'static str,
    /// Who is in between; absent on the straight way.
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<String>,
    /// The protection as far as there, and from there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stretches: Vec<&'static str>,
}

#[derive(Serialize)]
struct PacketShape {
    verdict: &'static str,
    source: String,
    target: String,
    protocol: String,
}

#[derive(Serialize)]
struct WalkShape<'a> {
    direction: &'static str,
    ground: &'static str,
    allowed: Traffic,
    ungoverned: Traffic,
    tiers: Vec<TierShape<'a>>,
}

#[derive(Serialize)]
struct TierShape<'a> {
    layer: &'static str,
    tier: &'a str,
    arrived: Traffic,
    rules: Vec<RuleShape<'a>>,
    left: Traffic,
    end: &'static str,
    isolated_by: Vec<Because<'a>>,
    onward: Traffic,
}

#[derive(Serialize)]
struct RuleShape<'a> {
    rule: Because<'a>,
    action: &'static str,
    names: String,
    only_where: Option<String>,
    outcome: &'static str,
    took: Option<Traffic>,
}

#[derive(Serialize)]
struct RemedyShape<'a> {
    effect: &'static str,
    traffic: Traffic,
    changes: Vec<ChangeShape<'a>>,
}

#[derive(Serialize)]
struct ChangeShape<'a> {
    kind: &'static str,
    text: String,
    at: Option<Because<'a>>,
    yaml: Option<String>,
}

pub(in crate::report) fn write(analysis: &Analysis, answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let expected = protection(analysis, answer);
    let shape = Shape {
        schema: "watertight/explain/v1",
        dataplane: analysis.graph.dataplane.kind.name(),
        from: &answer.names[0],
        to: &answer.names[1],
        asked: whole_traffic(&answer.asked),
        verdict: match answer.verdict() {
            Verdict::Allowed => "allowed",
            Verdict::Denied => "denied",
            Verdict::Partly => "partly",
        },
        notes: &answer.notes,
        cases: answer.cases.iter().map(|case| case_shape(analysis, case)).collect(),
        protection: expected.map_or("unknown", |expected| expected.protection.word()),
        protection_why: expected.map(|expected| analysis.graph.reason(&expected)),
        gaps: analysis.gaps.iter().map(gap_shape).collect(),
        problems: analysis.problems.iter().map(problem_shape).collect(),
    };
    serde_json::to_writer(&mut *out, &shape)?;
    out.write_all(b"\n")
}

fn case_shape<'a>(analysis: &'a Analysis, case: &'a Case) -> CaseShape<'a> {
    let walk = &case.walk;
    let parts = [("allowed", &walk.passing), ("denied", &walk.denied)];
    let shown = parts.into_iter().filter(|(_, part)| !part.is_empty()).map(|(verdict, part)| {
        let shown = packet(analysis, walk, part);
        PacketShape { verdict, source: shown.source, target: shown.target, protocol: shown.protocol }
    });
    CaseShape {
        from: spot_name(analysis, &walk.from),
        to: spot_name(analysis, &walk.to),
        passing: whole_traffic(&walk.passing),
        denied: whole_traffic(&walk.denied),
        narrowed: whole_traffic(&walk.narrowed),
        exempt: whole_traffic(&walk.exempt),
        mesh: walk.mesh.as_ref().map(|mesh| {
            let part = |traffic: &TrafficSet| whole_traffic(&traffic.intersection(&walk.asked));
            MeshShape {
                refused: part(&mesh.refused),
                blocked: part(&mesh.blocked),
                unauthorized: part(&mesh.unauthorized),
                ways: ways(analysis, walk, mesh),
            }
        }),
        packets: shown.collect(),
        walks: walk.walks.iter().map(|end| walk_shape(analysis, end, &walk.asked)).collect(),
        remedies: case.remedies.iter().map(|remedy| remedy_shape(analysis, remedy)).collect(),
    }
}

fn ways(analysis: &Analysis, walk: &Explanation, mesh: &MeshEdge) -> Vec<WayShape> {
    let between = mesh.legs.iter().any(|leg| leg.via.is_some());
    let asked = |leg: &&Leg| between && !leg.traffic.intersection(&walk.asked).is_empty();
    let way = |leg: &Leg| WayShape {
        traffic: whole_traffic(&leg.traffic.intersection(&walk.asked)),
        protection: leg.protection.word(),
        via: leg.via.map(|via| between_name(analysis, via)),
        stretches: leg.via.iter().flat_map(|via| via.stretches).map(ExpectedProtection::word).collect(),
    };
    mesh.legs.iter().filter(asked).map(way).collect()
}

fn walk_shape<'a>(analysis: &'a Analysis, walk: &'a Walk, asked: &TrafficSet) -> WalkShape<'a> {
    let tiers = walk.layers.iter().flat_map(|layer| layer.tiers.iter().map(|tier| (layer.layer, tier)));
    WalkShape {
        direction: walk.direction.word(),
        ground: match walk.ground {
            Ground::Outside => "outside",
            Ground::Unselected => "unselected",
            Ground::LeftOut => "left-out",
            Ground::Selected => "selected",
        },
        allowed: whole_traffic(&walk.decision.allowed.intersection(asked)),
        ungoverned: whole_traffic(&walk.decision.ungoverned.intersection(asked)),
        tiers: tiers.map(|(layer, tier)| tier_shape(analysis, layer.word(), tier)).collect(),
    }
}

fn tier_shape<'a>(analysis: &'a Analysis, layer: &'static str, tier: &'a TierWalk) -> TierShape<'a> {
    let rules = tier.rules.iter().map(|walked| {
        let rule = &analysis.graph.rules[walked.rule as usize].rule;
        let (outcome, took) = match &walked.outcome {
            Outcome::Took(traffic) => ("took", Some(whole_traffic(traffic))),
            Outcome::OtherSubject => ("other-subject", None),
            Outcome::PartOfSubject => ("part-of-subject", None),
            Outcome::OtherPeer => ("other-peer", None),
            Outcome::PartOfPeer => ("part-of-peer", None),
            Outcome::OtherTraffic => ("other-traffic", None),
            Outcome::TakenBefore => ("taken-before", None),
            Outcome::NothingArrived => ("nothing-arrived", None),
        };
        RuleShape {
            rule: because_shape(&rule.origin),
            action: action_word(rule.action),
            names: peers_text(&rule.peers),
            only_where: rule.narrowed.as_ref().map(ToString::to_string),
            outcome,
            took,
        }
    });
    let origin = |policy: &u32| because_shape(&analysis.graph.policies[*policy as usize].origin);
    TierShape {
        layer,
        tier: &analysis.graph.tiers[tier.tier as usize].rank.name,
        arrived: whole_traffic(&tier.arrived),
        rules: rules.collect(),
        left: whole_traffic(&tier.left),
        end: action_word(tier.end),
        isolated_by: tier.isolating.iter().map(origin).collect(),
        onward: whole_traffic(&tier.onward),
    }
}

fn remedy_shape<'a>(analysis: &'a Analysis, remedy: &'a crate::graph::Remedy) -> RemedyShape<'a> {
    let change = |change: &'a Change| {
        let (text, yaml) = change_text(analysis, change, &remedy.traffic);
        let (kind, at) = match change {
            Change::TakeOut { rule, .. } => {
                ("take-out", Some(&analysis.graph.rules[*rule as usize].rule.origin))
            }
            Change::AddRule { policy, .. } => {
                ("add-rule", Some(&analysis.graph.policies[*policy as usize].origin))
            }
            Change::AddPolicy { .. } => ("add-policy", None),
        };
        ChangeShape { kind, text, at: at.map(because_shape), yaml }
    };
    RemedyShape {
        effect: match remedy.effect {
            Effect::Opens => "opens",
            Effect::Closes => "closes",
        },
        traffic: whole_traffic(&remedy.traffic),
        changes: remedy.changes.iter().map(change).collect(),
    }
}
