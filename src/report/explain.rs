//! Why two ends may or may not talk: rule by rule, with file and line, and what would change it.

use super::names::{origin_text, traffic_text};
use crate::analysis::Analysis;
use crate::graph::{Direction, Exemption, PeerId};
use crate::model::{Protocol, TrafficSet};
use std::io::{self, Write};

/// One question: two ends with their names and classes, and the traffic asked for.
pub struct Question {
    /// Names as the user will read them.
    pub names: [String; 2],
    /// One pair of peers for each pair of variants.
    pub pairs: Vec<(PeerId, PeerId)>,
    /// Only this protocol and port.
    pub port: Option<(Protocol, u16)>,
}

/// Whether what was asked for is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it, for every variant.
    Allowed,
    /// None of it.
    Denied,
    /// Some ports, or some variants.
    Partly,
}

/// Answers in text.
///
/// # Errors
/// Those of the writer.
pub fn write(analysis: &Analysis, question: &Question, out: &mut dyn Write) -> io::Result<Verdict> {
    let asked = match question.port {
        Some((protocol, port)) => TrafficSet::port(protocol, port),
        None => TrafficSet::all(),
    };
    let [from, to] = &question.names;
    let edges: Vec<_> = question.pairs.iter().map(|(a, b)| (*a, *b, analysis.graph.edge(*a, *b))).collect();
    let passing: Vec<TrafficSet> = edges.iter().map(|(_, _, e)| e.traffic.intersection(&asked)).collect();
    let verdict = match (passing.iter().all(|t| *t == asked), passing.iter().all(TrafficSet::is_empty)) {
        (true, _) => Verdict::Allowed,
        (_, true) => Verdict::Denied,
        _ => Verdict::Partly,
    };
    let what = question.port.map_or("anything".to_owned(), |(protocol, port)| format!("{protocol}/{port}"));
    let word = match verdict {
        Verdict::Allowed => "ALLOWED",
        Verdict::Denied => "DENIED",
        Verdict::Partly => "PARTLY ALLOWED",
    };
    writeln!(out, "{word}: {what} from {from} to {to}")?;
    for (index, (a, b, edge)) in edges.iter().enumerate() {
        if edges.len() > 1 {
            writeln!(out, "\nvariant {} of {}: {}", index + 1, edges.len(), traffic_text(&passing[index]))?;
        } else if question.port.is_none() && !edge.traffic.is_empty() {
            writeln!(out, "  what passes: {}", traffic_text(&edge.traffic))?;
        }
        side(analysis, Direction::Egress, *a, &edge.egress.because, &edge.egress.allowed, &asked, out)?;
        side(analysis, Direction::Ingress, *b, &edge.ingress.because, &edge.ingress.allowed, &asked, out)?;
        if edge.exemption == Exemption::LocalNode {
            writeln!(
                out,
                "  note: {from} is on the host network; on its own node its traffic arrives whatever policies say"
            )?;
        }
    }
    advice(analysis, question, &asked, verdict, out)?;
    if !analysis.gaps.is_empty() {
        writeln!(out, "\n{} gaps may bend this answer; `watertight check` lists them.", analysis.gaps.len())?;
    }
    writeln!(out, "expected protection: unknown (no mesh configuration is read)")?;
    Ok(verdict)
}

fn side(
    analysis: &Analysis,
    direction: Direction,
    peer: PeerId,
    because: &[u32],
    allowed: &TrafficSet,
    asked: &TrafficSet,
    out: &mut dyn Write,
) -> io::Result<()> {
    let word = direction.word();
    let graph = &analysis.graph;
    if graph.class(peer).is_none() {
        return writeln!(out, "  {word}: outside of the cluster, no policy applies");
    }
    let row = graph.row(peer, direction);
    if !row.is_governed() {
        return writeln!(out, "  {word}: open, because no policy selects this end");
    }
    let passes = allowed.intersection(asked);
    match passes.is_empty() {
        true => writeln!(out, "  {word}: denied; isolated by")?,
        false => writeln!(out, "  {word}: {} allowed by", traffic_text(&passes))?,
    }
    if passes.is_empty() {
        for policy in &row.policies {
            writeln!(out, "    {}", origin_text(&graph.policies[*policy as usize].origin))?;
        }
    } else {
        for rule in because {
            writeln!(out, "    {}", origin_text(&graph.rules[*rule as usize].rule.origin))?;
        }
    }
    Ok(())
}

/// The smallest change that flips the answer, at the end that decides.
fn advice(
    analysis: &Analysis,
    question: &Question,
    asked: &TrafficSet,
    verdict: Verdict,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some((a, b)) = question.pairs.first() else { return Ok(()) };
    let edge = analysis.graph.edge(*a, *b);
    let [from, to] = &question.names;
    let port = question.port.map_or(String::new(), |(protocol, port)| format!(" on {protocol}/{port}"));
    writeln!(out, "\nsmallest change that flips it:")?;
    if verdict == Verdict::Denied {
        for (direction, peer, decision, other) in
            [(Direction::Egress, *a, edge.egress, to), (Direction::Ingress, *b, edge.ingress, from)]
        {
            if !decision.allowed.intersection(asked).is_empty() {
                continue;
            }
            let policies = &analysis.graph.row(peer, direction).policies;
            if let Some(policy) = policies.first() {
                let place = origin_text(&analysis.graph.policies[*policy as usize].origin);
                let word = direction.word();
                writeln!(out, "  add an {word} rule that names {other}{port} to {place}")?;
            }
        }
        return Ok(());
    }
    let rules = &edge.ingress.because;
    match (analysis.graph.class(*b), rules.is_empty()) {
        (None, _) => writeln!(out, "  select {from} with an egress policy that does not name {to}{port}"),
        (Some(class), true) => writeln!(
            out,
            "  add a NetworkPolicy in {} that selects {to} for ingress; its rules then say who may come in",
            class.namespace
        ),
        (Some(_), false) => {
            writeln!(out, "  take {from}{port} out of each of these rules:")?;
            rules.iter().try_for_each(|rule| {
                writeln!(out, "    {}", origin_text(&analysis.graph.rules[*rule as usize].rule.origin))
            })
        }
    }
}
