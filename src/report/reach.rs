//! Blast radius: whom a taken-over workload reaches, step by step, and where that could be cut.
//!
//! A choke point is a workload without which others are not reached; the more depend on it, the
//! better a policy at that place pays.

use super::json::{GapShape, ProblemShape, gap_shape, problem_shape};
use super::names::{doubts, traffic_text};
use super::words::counted;
use crate::analysis::Analysis;
use crate::graph::{Links, PeerId, Reached, Search};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// What a workload reaches.
#[derive(Debug, Serialize)]
pub struct Reach {
    schema: &'static str,
    /// Who was taken over.
    pub workload: String,
    /// Whom it reaches, the nearest first.
    pub steps: Vec<Step>,
    /// Whether addresses outside of the cluster are reached directly, and after how many steps.
    pub outside: Option<u32>,
    /// Without whom others are not reached, those with most to lose first.
    pub choke_points: Vec<ChokePoint>,
    /// Workloads that are not reached.
    pub safe: usize,
}

/// A workload that is reached.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Step {
    /// How many connections it takes.
    pub steps: u32,
    /// Who is reached.
    pub workload: String,
    /// Its segment.
    pub segment: String,
    /// From whom the last connection comes.
    pub from: String,
    /// What may travel over it.
    pub traffic: String,
}

/// A workload, or several that rules cannot tell apart, on the way to others.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ChokePoint {
    /// Who.
    pub workload: String,
    /// How many others cannot be told apart from it.
    pub alike: usize,
    /// How many workloads are reached over it alone.
    pub guards: usize,
}

/// At most so many places are tried as choke points: those with most behind them.
const MOST_TRIED: usize = 64;
/// At most so many choke points are told.
const MOST_TOLD: usize = 10;

/// Searches from a workload.
pub fn of(analysis: &Analysis, index: usize) -> Reach {
    let graph = &analysis.graph;
    let links = Links::new(graph);
    let starts: Vec<PeerId> =
        graph.classes_of(index).iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let found = links.search(&starts, Search::Onward, &|_, _| false);
    let mut steps: Vec<Step> = Vec::new();
    let mut reached: BTreeSet<usize> = BTreeSet::new();
    let workloads = &analysis.inventory.workloads;
    let mut hops: BTreeMap<PeerId, Option<(u32, PeerId)>> = BTreeMap::new();
    for (other, workload) in workloads.iter().enumerate().filter(|(other, _)| *other != index) {
        let mut nearest: Option<(u32, PeerId, PeerId)> = None;
        for class in graph.classes_of(other) {
            let hop = *hops.entry(*class).or_insert_with(|| last_hop(analysis, &found, &starts, *class));
            if let Some((steps, from)) = hop {
                nearest =
                    Some(nearest.map_or((steps, from, *class), |known| known.min((steps, from, *class))));
            }
        }
        let Some((count, from, class)) = nearest else { continue };
        reached.insert(other);
        let own = starts.contains(&from);
        steps.push(Step {
            steps: count,
            workload: workload.name.to_string(),
            segment: segment(analysis, other),
            from: if own { workloads[index].name.to_string() } else { leader(analysis, from) },
            traffic: traffic_text(&graph.edge(from, class).traffic),
        });
    }
    steps.sort();
    let ends = graph.atoms().map(|(atom, _)| atom).chain(graph.domains().map(|(domain, _)| domain));
    let outside = ends.filter_map(|end| found.steps(end)).filter(|steps| *steps > 0).min();
    let safe = workloads.len() - 1 - reached.len();
    let choke_points = choke_points(analysis, &links, &starts, &found, index);
    let workload = workloads[index].name.to_string();
    Reach { schema: "watertight/reach/v1", workload, steps, outside, choke_points, safe }
}

/// Steps to the members of a class, and from where the last connection comes.
///
/// The others in a class of the start are reached over a connection within the class, where it is
/// open, or on a way that leaves the class and comes back.
fn last_hop(analysis: &Analysis, found: &Reached, starts: &[PeerId], class: PeerId) -> Option<(u32, PeerId)> {
    let graph = &analysis.graph;
    let steps = found.steps(class)?;
    if steps > 0 {
        let way = found.way(class);
        return Some((steps, way[way.len() - 2]));
    }
    let opens = |from: &PeerId| !graph.edge(*from, class).traffic.is_empty();
    let direct = starts.iter().copied().find(opens).map(|own| (1, own));
    direct.or_else(|| {
        let others = (0..graph.classes().len() as PeerId).filter(|other| !starts.contains(other));
        let reached = others.filter_map(|other| Some((found.steps(other)? + 1, other)));
        reached.filter(|(_, other)| opens(other)).min()
    })
}

fn choke_points(
    analysis: &Analysis,
    links: &Links<'_>,
    starts: &[PeerId],
    found: &Reached,
    index: usize,
) -> Vec<ChokePoint> {
    let graph = &analysis.graph;
    let classes = 0..graph.classes().len() as PeerId;
    let mut behind: BTreeMap<PeerId, usize> = BTreeMap::new();
    for class in classes.clone().filter(|class| found.steps(*class).is_some_and(|steps| steps >= 2)) {
        let way = found.way(class);
        way[1..way.len() - 1].iter().for_each(|on_way| *behind.entry(*on_way).or_default() += 1);
    }
    let mut tried: Vec<(PeerId, usize)> = behind.into_iter().collect();
    tried.sort_by_key(|(class, count)| (std::cmp::Reverse(*count), *class));
    let mut points: Vec<ChokePoint> = Vec::new();
    for (point, _) in tried.into_iter().take(MOST_TRIED) {
        let without = links.search(starts, Search::Onward, &|a, b| a == point || b == point);
        let lost: BTreeSet<u32> = classes
            .clone()
            .filter(|class| {
                *class != point && found.steps(*class).is_some() && without.steps(*class).is_none()
            })
            .flat_map(|class| graph.classes()[class as usize].members.iter().map(|m| m.workload))
            .filter(|workload| *workload as usize != index)
            .collect();
        if !lost.is_empty() {
            let alike = graph.classes()[point as usize].members.len() - 1;
            points.push(ChokePoint { workload: leader(analysis, point), alike, guards: lost.len() });
        }
    }
    points.sort_by(|a, b| (b.guards, &a.workload).cmp(&(a.guards, &b.workload)));
    points.truncate(MOST_TOLD);
    points
}

fn leader(analysis: &Analysis, class: PeerId) -> String {
    let member = analysis.graph.class(class).and_then(|class| class.members.first());
    member.map_or_else(String::new, |m| analysis.inventory.workloads[m.workload as usize].name.to_string())
}

fn segment(analysis: &Analysis, workload: usize) -> String {
    let first = analysis.segments.of_workload(workload).first();
    first.map_or_else(String::new, |segment| analysis.segments.name(*segment).to_owned())
}

/// Writes text for people.
///
/// # Errors
/// Those of the writer.
pub fn write_text(analysis: &Analysis, reach: &Reach, out: &mut dyn Write) -> io::Result<()> {
    let segments: BTreeSet<&str> = reach.steps.iter().map(|step| step.segment.as_str()).collect();
    let workloads = |count: usize| counted(count as u64, ["workload", "workloads"]);
    let word = analysis.segments.word();
    writeln!(
        out,
        "{} reaches {} in {}; {} it does not reach.",
        reach.workload,
        workloads(reach.steps.len()),
        counted(segments.len() as u64, [word.trim_end_matches('s'), word]),
        reach.safe
    )?;
    let mut last = 0;
    for step in &reach.steps {
        if step.steps != last {
            last = step.steps;
            let word = if last == 1 { "step" } else { "steps" };
            writeln!(out, "\nin {last} {word}:")?;
        }
        writeln!(out, "  {} [{}] from {} ({})", step.workload, step.segment, step.from, step.traffic)?;
    }
    match reach.outside {
        Some(1) => writeln!(out, "\nAddresses outside of the cluster: directly.")?,
        Some(steps) => writeln!(out, "\nAddresses outside of the cluster: in {steps} steps.")?,
        None => writeln!(out, "\nAddresses outside of the cluster: not at all.")?,
    }
    if !reach.choke_points.is_empty() {
        writeln!(out, "\nchoke points, without which others are not reached:")?;
    }
    for point in &reach.choke_points {
        let alike = if point.alike > 0 { format!(" and {} alike", point.alike) } else { String::new() };
        writeln!(out, "  {}{alike}: {} behind it", point.workload, workloads(point.guards))?;
    }
    match doubts(analysis) {
        None => Ok(()),
        Some(doubts) => writeln!(out, "\n{doubts}"),
    }
}

/// What is written for programs: the answer, and what may bend it.
#[derive(Serialize)]
struct Shape<'a> {
    #[serde(flatten)]
    reach: &'a Reach,
    gaps: Vec<GapShape<'a>>,
    problems: Vec<ProblemShape<'a>>,
}

/// Writes one line of JSON.
///
/// # Errors
/// Those of the writer.
pub fn write_json(analysis: &Analysis, reach: &Reach, out: &mut dyn Write) -> io::Result<()> {
    let gaps = analysis.gaps.iter().map(gap_shape).collect();
    let problems = analysis.problems.iter().map(problem_shape).collect();
    serde_json::to_writer(&mut *out, &Shape { reach, gaps, problems })?;
    out.write_all(b"\n")
}
