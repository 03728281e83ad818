//! Graphviz.

use super::drawing::{self, Dashes, Drawing, Stroke, cluster_title};
use super::{Format, View, ViewKind, unsupported};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// For drawings.
pub struct Dot;

impl Format for Dot {
    fn name(&self) -> &'static str {
        "dot"
    }

    fn summary(&self) -> &'static str {
        "Graphviz, for drawings (svg where Graphviz is installed)"
    }

    fn writes(&self) -> &'static [ViewKind] {
        drawing::DRAWN
    }

    fn write(&self, view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
        let drawn = drawing::of(view).ok_or_else(|| unsupported(self.name(), view.kind()))?;
        write(&drawn, out)
    }
}

fn write(drawing: &Drawing, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "digraph watertight {{")?;
    writeln!(out, "  rankdir=LR; fontname=\"Helvetica\"; labelloc=t;")?;
    if !drawing.title.is_empty() {
        writeln!(out, "  label={};", quoted(&drawing.title))?;
    }
    writeln!(
        out,
        "  node [shape=box style=\"rounded,filled\" fillcolor=white fontname=\"Helvetica\" fontsize=11];"
    )?;
    writeln!(out, "  edge [fontname=\"Helvetica\" fontsize=9];")?;
    for (number, (cluster, nodes)) in drawing.clusters.iter().enumerate() {
        write_cluster(number, cluster, nodes, out)?;
    }
    for Stroke { from, to, label, color, dashes } in &drawing.strokes {
        let [from, to, label] = [from, to, label].map(|text| quoted(text));
        writeln!(out, "  {from} -> {to} [label={label} color=\"{color}\" style={}];", style(*dashes))?;
    }
    write_legend(drawing, out)?;
    writeln!(out, "}}")
}

fn write_cluster(
    number: usize,
    cluster: &str,
    nodes: &BTreeMap<String, String>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let fill = if cluster.is_empty() { "#F7F7F7" } else { "#EEF4FA" };
    writeln!(out, "  subgraph cluster_{number} {{")?;
    writeln!(
        out,
        "    label={}; style=filled; color=\"#CCCCCC\"; fillcolor=\"{fill}\";",
        quoted(cluster_title(cluster))
    )?;
    for (id, label) in nodes {
        let shape = if cluster.is_empty() { " shape=ellipse" } else { "" };
        writeln!(out, "    {} [label={}{shape}];", quoted(id), quoted(label))?;
    }
    writeln!(out, "  }}")
}

fn write_legend(drawing: &Drawing, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  subgraph cluster_legend {{")?;
    writeln!(out, "    label=\"legend\"; style=dotted; color=\"#999999\"; fontsize=9;")?;
    writeln!(out, "    node [shape=plaintext style=\"\" fontsize=9];")?;
    for (number, (text, color, dashes)) in drawing.legend.iter().enumerate() {
        let style = style(*dashes);
        writeln!(out, "    legend_{number}_a [label=\"\"]; legend_{number}_b [label=\"{text}\"];")?;
        writeln!(out, "    legend_{number}_a -> legend_{number}_b [color=\"{color}\" style={style}];")?;
    }
    writeln!(out, "  }}")
}

fn style(dashes: Dashes) -> &'static str {
    match dashes {
        Dashes::Solid => "solid",
        Dashes::Dashed => "dashed",
    }
}

/// A quoted string of DOT.
fn quoted(text: &str) -> String {
    let inside = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', " ");
    format!("\"{inside}\"")
}
