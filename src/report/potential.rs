//! Potential peers, in text and JSON.

use super::GraphOptions;
use super::json::{Because, Traffic, because_shape, whole_traffic};
use super::names::origin_text;
use super::words::{asked_text, port_name, selection_text};
use crate::analysis::Analysis;
use crate::graph::{Direction, Link, Potential, potentials};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
struct Shape<'a> {
    schema: &'static str,
    dataplane: &'static str,
    peers: Vec<PeerShape<'a>>,
}

#[derive(Serialize)]
struct PeerShape<'a> {
    name: String,
    named_by: Vec<Because<'a>>,
    connections: Vec<LinkShape<'a>>,
}

#[derive(Serialize)]
struct LinkShape<'a> {
    from: String,
    to: String,
    traffic: Traffic,
    named_ports: Vec<String>,
    because: Vec<Because<'a>>,
}

pub(super) fn write_json(analysis: &Analysis, options: &GraphOptions, out: &mut dyn Write) -> io::Result<()> {
    let all = potentials(&analysis.graph, &analysis.inventory);
    let origin = |rule: &u32| because_shape(&analysis.graph.rules[*rule as usize].rule.origin);
    let peer = |potential: &Potential| PeerShape {
        name: selection_text(&potential.selection),
        named_by: potential.named_by.iter().map(origin).collect(),
        connections: lines(analysis, options, potential)
            .into_iter()
            .map(|(from, to, link)| LinkShape {
                from,
                to,
                traffic: whole_traffic(&link.traffic),
                named_ports: link.named.iter().map(port_name).collect(),
                because: link.because.iter().map(origin).collect(),
            })
            .collect(),
    };
    let shape = Shape {
        schema: "watertight/potential/v1",
        dataplane: analysis.graph.dataplane.kind.name(),
        peers: all.iter().map(peer).collect(),
    };
    serde_json::to_writer(&mut *out, &shape)?;
    out.write_all(b"\n")
}

pub(super) fn write_text(analysis: &Analysis, options: &GraphOptions, out: &mut dyn Write) -> io::Result<()> {
    let all = potentials(&analysis.graph, &analysis.inventory);
    if all.is_empty() {
        return writeln!(out, "Every selector of a rule matches somebody: there are no potential peers.");
    }
    for potential in &all {
        writeln!(out, "{}", selection_text(&potential.selection))?;
        for rule in &potential.named_by {
            writeln!(out, "  named by {}", origin_text(&analysis.graph.rules[*rule as usize].rule.origin))?;
        }
        for (from, to, link) in lines(analysis, options, potential) {
            let mut parts: Vec<String> = link.named.iter().map(port_name).collect();
            if !link.traffic.is_empty() {
                parts.insert(0, asked_text(&link.traffic));
            }
            writeln!(out, "  {from} -> {to}: {}", parts.join(", "))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A line for each workload and link that the options show.
fn lines<'a>(
    analysis: &Analysis,
    options: &GraphOptions,
    potential: &'a Potential,
) -> Vec<(String, String, &'a Link)> {
    let mut all = Vec::new();
    for link in &potential.links {
        let Some(class) = analysis.graph.class(link.class) else { continue };
        for member in &class.members {
            let index = member.workload as usize;
            let name = &analysis.inventory.workloads[index].name;
            let shown = options.focus.is_none_or(|focus| focus == index)
                && options.namespace.as_ref().is_none_or(|namespace| *namespace == name.namespace);
            let (who, name) = ("it".to_owned(), name.to_string());
            let (from, to) = if link.direction == Direction::Ingress { (who, name) } else { (name, who) };
            if shown {
                all.push((from, to, link));
            }
        }
    }
    all.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    all.dedup();
    all
}
