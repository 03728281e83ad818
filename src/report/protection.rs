//! How edges are protected, for people and programs: the table at the head of a review, the reason of
//! one edge, and what to change in a mesh.

use super::names::{end_name, origin_text, traffic_text};
use super::words::asked_text;
use crate::analysis::Analysis;
use crate::graph::{self, Connection, Example, MeshChange, Overview, OverviewRow, Standing, WhatToChange};
use serde::Serialize;
use std::io::{self, Write};

/// The section of a review, for programs.
#[derive(Serialize)]
pub(super) struct Shape {
    /// Edges between workloads that declare ports.
    edges: Vec<RowShape>,
    /// Edges to workloads that declare none, by protection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_undeclared: Vec<Count>,
    /// Edges on which no declared port may be reached, though something else may.
    declared_closed: usize,
}

#[derive(Serialize)]
struct RowShape {
    protection: &'static str,
    edges: usize,
    example: ExampleShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_change: Option<ChangeShape>,
}

#[derive(Serialize)]
struct ExampleShape {
    from: String,
    to: String,
    traffic: String,
    why: String,
}

#[derive(Serialize)]
struct ChangeShape {
    what: String,
    /// How many edges of the row it is about.
    edges: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
struct Count {
    protection: &'static str,
    edges: usize,
}

/// For programs; `None` where neither a mesh nor encryption between nodes was read.
pub(super) fn shape(analysis: &Analysis) -> Option<Shape> {
    let overview = graph::overview(&analysis.graph, &analysis.inventory)?;
    let count = |(protection, edges): (&crate::model::ExpectedProtection, &usize)| Count {
        protection: protection.word(),
        edges: *edges,
    };
    Some(Shape {
        edges: overview.rows.iter().map(|row| row_shape(analysis, row)).collect(),
        to_undeclared: overview.undeclared.iter().map(count).collect(),
        declared_closed: overview.closed,
    })
}

fn row_shape(analysis: &Analysis, row: &OverviewRow) -> RowShape {
    let workload = |index: usize| analysis.inventory.workloads[index].name.to_string();
    let change = |(change, edges): &(MeshChange, usize)| {
        let origin = place(analysis, change);
        ChangeShape {
            what: change_words(analysis, change),
            edges: *edges,
            file: origin.map(|origin| origin.file.to_string()),
            line: origin.map(|origin| origin.line),
        }
    };
    RowShape {
        protection: row.protection.word(),
        edges: row.edges,
        example: ExampleShape {
            from: workload(row.example.from),
            to: workload(row.example.to),
            traffic: traffic_text(&row.example.traffic),
            why: analysis.graph.reason(&row.example.expected),
        },
        first_change: row.first.as_ref().map(change),
    }
}

/// The table at the head of a review, for people; nothing where no mesh was read.
pub(super) fn text(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    let Some(overview) = graph::overview(&analysis.graph, &analysis.inventory) else { return Ok(()) };
    let all: usize = overview.rows.iter().map(|row| row.edges).sum();
    if all == 0 {
        return Ok(());
    }
    writeln!(out, "\nPROTECTION ({all} edges between workloads, as configuration promises; worst first)\n")?;
    for row in &overview.rows {
        let example = match (row.first.is_some(), row.edges) {
            (false, _) if row.protection == crate::model::ExpectedProtection::MtlsStrict => String::new(),
            (_, 1) => format!("  {}", example(analysis, &row.example)),
            (_, _) => format!("  such as {}", example(analysis, &row.example)),
        };
        writeln!(out, "  {:<16}{:>6}{example}", row.protection.word(), row.edges)?;
        if let Some((change, count)) = &row.first {
            writeln!(out, "    because {}", analysis.graph.reason(&row.example.expected))?;
            let of = if *count == row.edges { String::new() } else { format!(" ({count} of {})", row.edges) };
            writeln!(out, "    change first{of}: {}", change_text(analysis, change))?;
        }
    }
    beside(&overview).iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    Ok(())
}

/// The same for a comment on a pull request.
pub(super) fn markdown(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    let Some(overview) = graph::overview(&analysis.graph, &analysis.inventory) else { return Ok(()) };
    writeln!(out, "| protection | edges | such as | change first |\n|---|---:|---|---|")?;
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    for row in &overview.rows {
        let first = row.first.as_ref().map(|(change, count)| {
            let of = if *count == row.edges { String::new() } else { format!(" ({count} of {})", row.edges) };
            format!("{}{of}", change_text(analysis, change))
        });
        let (word, edges) = (row.protection.word(), row.edges);
        let (example, first) = (cell(&example(analysis, &row.example)), cell(&first.unwrap_or_default()));
        writeln!(out, "| {word} | {edges} | `{example}` | {first} |")?;
    }
    beside(&overview).iter().try_for_each(|line| writeln!(out, "\n{line}"))?;
    writeln!(out)
}

fn example(analysis: &Analysis, example: &Example) -> String {
    let name = |index| end_name(analysis, &graph::End::Workload(index));
    format!("{} -> {}: {}", name(example.from), name(example.to), traffic_text(&example.traffic))
}

/// What stands beside the table.
fn beside(overview: &Overview) -> Vec<String> {
    let closed = (overview.closed > 0).then(|| {
        format!(
            "Beside these, on {} policies or mesh authorization close every declared port, and something \
             else is open (UDP, or TCP that nobody declares).",
            overview.closed
        )
    });
    closed.into_iter().chain(undeclared(overview)).collect()
}

fn undeclared(overview: &Overview) -> Option<String> {
    let all: usize = overview.undeclared.values().sum();
    let each: Vec<String> =
        overview.undeclared.iter().map(|(word, count)| format!("{count} {}", word.word())).collect();
    let what = "lead to workloads of which neither a container nor a service declares a port";
    (all > 0).then(|| format!("Beside these, {all} {what}: {}.", each.join(", ")))
}

/// A change with where to make it.
pub(super) fn change_text(analysis: &Analysis, change: &MeshChange) -> String {
    let words = change_words(analysis, change);
    match place(analysis, change) {
        Some(origin) => format!("{words}: {}", origin_text(origin)),
        None => words,
    }
}

fn place<'a>(analysis: &'a Analysis, change: &'a MeshChange) -> Option<&'a crate::model::Origin> {
    let workload = change.workload.map(|index| &analysis.inventory.workloads[index].origin);
    change.at.as_ref().or(workload)
}

fn change_words(analysis: &Analysis, change: &MeshChange) -> String {
    let who = change.workload.map(|index| analysis.inventory.workloads[index].name.to_string());
    let who = who.unwrap_or_default();
    match change.what {
        WhatToChange::ClientTls => match change.at.as_ref().map(|origin| &*origin.kind) {
            Some("DestinationRule") => {
                "let clients send mutual TLS here (no `tls`, or mode ISTIO_MUTUAL)".to_owned()
            }
            _ => "take away what keeps clients from sending the mesh's TLS".to_owned(),
        },
        WhatToChange::Join => format!("give {who} a proxy"),
        WhatToChange::CoverPort => {
            "let the server's proxy cover the port and end mutual TLS there".to_owned()
        }
        WhatToChange::CallService => format!("let {who} call a service and not an address"),
        WhatToChange::MakeStrict => match change.at.as_ref().map(|origin| &*origin.kind) {
            Some("PeerAuthentication") => "set mode STRICT, once no client needs plaintext".to_owned(),
            _ => "let the server take mutual TLS alone, once no client needs plaintext".to_owned(),
        },
        WhatToChange::AddStrict => "say that servers take mutual TLS alone, once no client needs plaintext \
                                    (for Istio a PeerAuthentication with mode STRICT); nothing says so yet"
            .to_owned(),
        WhatToChange::TellMembership => {
            format!("let the manifests tell whether {who} has a proxy (its namespace, its pods)")
        }
    }
}

/// What the word of an edge rests on, and what is weaker beside it at ports that do not decide it.
pub(super) fn why(analysis: &Analysis, connection: &Connection) -> String {
    let why = analysis.graph.reason(&connection.expected);
    let weaker = connection.carried.iter().filter(|part| {
        part.standing != Standing::Declared && part.expected.protection > connection.expected.protection
    });
    let tell = |part: &graph::Carried| {
        let (standing, word) = (part.standing.word(), part.expected.protection.word());
        format!("{} ({standing}) {word}", asked_text(&part.traffic))
    };
    let beside: Vec<String> = weaker.map(tell).collect();
    if beside.is_empty() { why } else { format!("{why}; weaker beside it: {}", beside.join(", ")) }
}
