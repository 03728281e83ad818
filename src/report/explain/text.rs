//! `explain` for people: the walk from top to bottom, then what would flip it.

use super::{Answer, Case, Verdict, between_name, change_text, packet, protection, spot_name};
use crate::analysis::Analysis;
use crate::graph::{
    Action, Direction, Effect, Explanation, Ground, LayerWalk, Outcome, RuleWalk, Spot, TierWalk, Walk,
};
use crate::model::{ExpectedProtection, TrafficSet};
use crate::report::names::{doubts, origin_text};
use crate::report::protection::change_text as change_of_mesh;
use crate::report::words::{action_word, asked_text, peers_text, rule_traffic_text};
use std::collections::BTreeSet;
use std::io::{self, Write};

pub(in crate::report) fn write(analysis: &Analysis, answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let [from, to] = &answer.names;
    let word = match (answer.verdict(), answer.passes()) {
        (Verdict::Allowed, _) => "ALLOWED",
        (Verdict::Partly, _) => "PARTLY ALLOWED",
        (Verdict::Denied, false) => "DENIED",
        (Verdict::Denied, true) => "DENIED BY POLICIES, BUT EXEMPT ON THE SAME NODE",
    };
    writeln!(out, "{word}: {} from {from} to {to}", question(&answer.asked))?;
    answer.notes.iter().try_for_each(|note| writeln!(out, "  note: {note}"))?;
    for (number, case) in answer.cases.iter().enumerate() {
        if answer.cases.len() > 1 {
            let ends = [&case.walk.from, &case.walk.to].map(|spot| spot_name(analysis, spot));
            let (number, all) = (number + 1, answer.cases.len());
            writeln!(out, "\ncase {number} of {all}: {} to {}", ends[0], ends[1])?;
        }
        one(analysis, answer, case, out)?;
    }
    if let Some(doubts) = doubts(analysis) {
        writeln!(out, "\n{doubts}")?;
    }
    match protection(analysis, answer).filter(|_| answer.passes()) {
        Some(expected) => {
            writeln!(
                out,
                "\nexpected protection: {} ({})",
                expected.protection.word(),
                analysis.graph.reason(&expected)
            )
        }
        None => Ok(()),
    }
}

/// `TCP/80` for a single port, as it was asked.
fn question(asked: &TrafficSet) -> String {
    let text = asked_text(asked);
    let single = text.split_once(' ').filter(|(_, port)| port.parse::<u16>().is_ok());
    single.map_or(text.clone(), |(protocol, port)| format!("{protocol}/{port}"))
}

fn one(analysis: &Analysis, answer: &Answer, case: &Case, out: &mut dyn Write) -> io::Result<()> {
    let walk = &case.walk;
    for (word, part) in [("passes", &walk.passing), ("is dropped", &walk.denied)] {
        if part.is_empty() {
            continue;
        }
        if !walk.passing.is_empty() && !walk.denied.is_empty() {
            writeln!(out, "  {word}: {}", asked_text(part))?;
        }
        let shown = packet(analysis, walk, part);
        writeln!(out, "  packet that {word}: {} -> {} {}", shown.source, shown.target, shown.protocol)?;
    }
    if !walk.narrowed.is_empty() {
        writeln!(out, "  only in part: {}, by conditions above packets", asked_text(&walk.narrowed))?;
    }
    for (index, end) in walk.walks.iter().enumerate() {
        side(analysis, end, &answer.names, &walk.asked, index, out)?;
    }
    mesh(analysis, walk, out)?;
    if !walk.exempt.is_empty() {
        let (from, to) = (&answer.names[0], &answer.names[1]);
        writeln!(
            out,
            "\nnote: {from} and {to} may be on one node, where {} arrives whatever policies say",
            asked_text(&walk.exempt)
        )?;
    }
    remedies(analysis, case, out)
}

fn side(
    analysis: &Analysis,
    walk: &Walk,
    names: &[String; 2],
    asked: &TrafficSet,
    index: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (verb, name) = match walk.direction {
        Direction::Egress => ("leaving", &names[0]),
        Direction::Ingress => ("entering", &names[1]),
    };
    let allowed = walk.decision.allowed.intersection(asked);
    let verdict = match (walk.ground, allowed.is_empty()) {
        (Ground::Outside, _) => "outside of the cluster, no policy applies there".to_owned(),
        (Ground::Unselected, _) => "open, because no policy selects this end".to_owned(),
        (Ground::LeftOut, _) => {
            "open, because the network enforces no policy at this end; the gaps say why".to_owned()
        }
        (Ground::Selected, true) => "denied".to_owned(),
        (Ground::Selected, false) if allowed == *asked => "allowed".to_owned(),
        (Ground::Selected, false) => format!("{} allowed, the rest denied", asked_text(&allowed)),
    };
    writeln!(out, "\n{verb} {name} ({}): {verdict}", walk.direction.word())?;
    let others = &names[1 - index];
    walk.layers.iter().try_for_each(|layer| one_layer(analysis, layer, name, others, out))?;
    let open = walk.decision.ungoverned.intersection(asked);
    match walk.ground == Ground::Selected && !open.is_empty() {
        true => writeln!(out, "  default: {} passes, because nothing governs it", asked_text(&open)),
        false => Ok(()),
    }
}

fn one_layer(
    analysis: &Analysis,
    layer: &LayerWalk,
    subject: &str,
    other: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    for tier in &layer.tiers {
        let rank = &analysis.graph.tiers[tier.tier as usize].rank;
        writeln!(out, "  {}, tier {}", layer.layer.word(), rank.name)?;
        if tier.arrived.is_empty() {
            writeln!(out, "    nothing of it comes here, earlier tiers decided it")?;
            continue;
        }
        if tier.rules.is_empty() {
            writeln!(out, "    no rules")?;
        }
        tier.rules.iter().try_for_each(|rule| one_rule(analysis, rule, other, out))?;
        end(analysis, tier, subject, out)?;
    }
    Ok(())
}

fn one_rule(analysis: &Analysis, walked: &RuleWalk, other: &str, out: &mut dyn Write) -> io::Result<()> {
    let info = &analysis.graph.rules[walked.rule as usize];
    let rule = &info.rule;
    let direction = analysis.graph.policies[info.policy as usize].direction;
    let side = if direction == Direction::Ingress { "from" } else { "to" };
    let (action, traffic, peers) =
        (action_word(rule.action), rule_traffic_text(rule), peers_text(&rule.peers));
    writeln!(out, "    {}", origin_text(&rule.origin))?;
    writeln!(out, "      {action} {traffic} {side} {peers}")?;
    if let Some(narrowed) = &rule.narrowed {
        writeln!(out, "      only where: {narrowed}")?;
    }
    let part = if rule.narrowed.is_some() { "part of " } else { "" };
    match &walked.outcome {
        Outcome::Took(traffic) => {
            let verb = match rule.action {
                Action::Allow => "allows",
                Action::Deny => "denies",
                Action::Pass => "leaves to the next tier",
            };
            writeln!(out, "      => {verb} {part}{}", asked_text(traffic))
        }
        Outcome::OtherSubject => {
            writeln!(out, "      passed over: its own condition on the subject does not hold")
        }
        Outcome::PartOfSubject => {
            writeln!(
                out,
                "      closes nothing: its own condition holds for some addresses of the subject only"
            )
        }
        Outcome::OtherPeer => writeln!(out, "      passed over: it does not name {other}"),
        Outcome::PartOfPeer => {
            writeln!(out, "      closes nothing: it names some addresses of {other} and not all of them")
        }
        Outcome::OtherTraffic => writeln!(out, "      passed over: it is about other traffic"),
        Outcome::TakenBefore => writeln!(out, "      passed over: rules before it decided this already"),
        Outcome::NothingArrived => {
            writeln!(out, "      passed over: nothing of its traffic came to this tier")
        }
    }
}

fn end(analysis: &Analysis, tier: &TierWalk, subject: &str, out: &mut dyn Write) -> io::Result<()> {
    if tier.left.is_empty() {
        return Ok(());
    }
    let left = asked_text(&tier.left);
    match tier.end {
        Action::Pass => return writeln!(out, "    end of the tier: {left} goes on to what comes next"),
        Action::Deny => {
            writeln!(out, "    end of the tier: {left} is denied, because these isolate {subject}:")?
        }
        Action::Allow => writeln!(out, "    end of the tier: {left} is allowed, because of these:")?,
    }
    tier.isolating.iter().try_for_each(|policy| {
        writeln!(out, "      {}", origin_text(&analysis.graph.policies[*policy as usize].origin))
    })
}

/// What meshes add to what the network lets through.
fn mesh(analysis: &Analysis, walk: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let Some(mesh) = &walk.mesh else { return Ok(()) };
    // Ways are told apart only where there is more than the straight one.
    let between = mesh.legs.iter().any(|leg| leg.via.is_some());
    for leg in mesh.legs.iter().filter(|_| between) {
        let part = asked_text(&leg.traffic.intersection(&walk.asked));
        match leg.via {
            _ if leg.traffic.intersection(&walk.asked).is_empty() => {}
            None => writeln!(out, "\nmesh: {part} may go straight to the server: {}", leg.protection.word())?,
            Some(via) => {
                let [to, from] = via.stretches.map(ExpectedProtection::word);
                let name = between_name(analysis, via);
                writeln!(
                    out,
                    "\nmesh: {part} may go through {name}: {to} as far as there, {from} from there"
                )?;
            }
        }
    }
    let parts = [
        (&mesh.refused, "refused, because client and server do not understand each other"),
        (&mesh.blocked, "blocked, because policies close the port of the tunnel that carries it"),
        (&mesh.unauthorized, "kept out by mesh authorization"),
    ];
    for (part, words) in parts {
        let part = part.intersection(&walk.asked);
        if !part.is_empty() {
            writeln!(out, "\nmesh: {} is {words}", asked_text(&part))?;
        }
    }
    let (Spot::Variant(from), Spot::Variant(to)) = (&walk.from, &walk.to) else { return Ok(()) };
    let graph = &analysis.graph;
    let workloads = (from.workload as usize, to.workload as usize);
    let ends = (
        graph.class_of(workloads.0, from.variant as usize),
        graph.class_of(workloads.1, to.variant as usize),
    );
    let weak = mesh.refusals.iter().chain(&mesh.legs);
    let asked = weak.filter(|leg| !leg.traffic.intersection(&walk.asked).is_empty());
    let changes = asked.filter_map(|leg| graph.mesh_change(ends, &leg.expected(), workloads));
    for change in changes.collect::<BTreeSet<_>>() {
        writeln!(out, "  change: {}", change_of_mesh(analysis, &change))?;
    }
    if !mesh.unauthorized.intersection(&walk.asked).is_empty() {
        let governs = graph.policies.iter().filter(|p| graph.is_of_mesh(p) && p.selected.contains(&ends.1));
        let origins: BTreeSet<String> = governs.map(|policy| origin_text(&policy.origin)).collect();
        for origin in origins {
            writeln!(out, "  change: let the client in, by its identity, where this decides: {origin}")?;
        }
    }
    Ok(())
}

fn remedies(analysis: &Analysis, case: &Case, out: &mut dyn Write) -> io::Result<()> {
    if case.remedies.is_empty() {
        return writeln!(out, "\nno change of policies was found that flips this");
    }
    for (index, remedy) in case.remedies.iter().enumerate() {
        let word = match remedy.effect {
            Effect::Opens => "open",
            Effect::Closes => "close",
        };
        let before = &case.remedies[..index];
        let first = !before.iter().any(|other| other.effect == remedy.effect);
        let lead = if first { "smallest change that would" } else { "or, at the other end, to" };
        writeln!(out, "\n{lead} {word} {} (tried):", asked_text(&remedy.traffic))?;
        for change in &remedy.changes {
            let (text, yaml) = change_text(analysis, change, &remedy.traffic);
            writeln!(out, "  {text}")?;
            for line in yaml.iter().flat_map(|yaml| yaml.lines()) {
                writeln!(out, "    {line}")?;
            }
        }
    }
    Ok(())
}
