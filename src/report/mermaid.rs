//! Mermaid flowcharts, which Markdown viewers draw by themselves: nodes are numbered, and every
//! text stands in quotes with entities, so that no name can be read as syntax.

use super::drawing::{self, Dashes, Drawing, cluster_title};
use super::{Format, View, ViewKind, unsupported};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// For drawings in Markdown.
pub struct Mermaid;

impl Format for Mermaid {
    fn name(&self) -> &'static str {
        "mermaid"
    }

    fn summary(&self) -> &'static str {
        "a flowchart for Markdown viewers that draw Mermaid"
    }

    fn writes(&self) -> &'static [ViewKind] {
        drawing::DRAWN
    }

    fn write(&self, view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
        let drawn = drawing::of(view).ok_or_else(|| unsupported(self.name(), view.kind()))?;
        write_noted(&drawn, out)
    }
}

/// The chart, with a remark in front where viewers do not draw it.
fn write_noted(drawn: &Drawing, out: &mut dyn Write) -> io::Result<()> {
    let mut text = Vec::new();
    write(drawn, &mut text)?;
    let (lines, size) = (drawn.strokes.len() + drawn.legend.len(), text.len());
    if lines > MOST_LINES || size > MOST_TEXT {
        writeln!(
            out,
            "%% {lines} lines, {size} characters: viewers draw {MOST_LINES} and {MOST_TEXT} unless their \
                 own settings maxEdges and maxTextSize say more; graph --by namespace or --focus makes it small"
        )?;
    }
    out.write_all(&text)
}

/// What viewers draw, as the defaults of Mermaid's `maxEdges` and `maxTextSize` say. Both are among
/// the settings that no chart may change (`secure`).
const MOST_LINES: usize = 500;
const MOST_TEXT: usize = 50_000;

fn write(drawing: &Drawing, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "flowchart LR")?;
    if !drawing.title.is_empty() {
        writeln!(out, "  title[{}]", quoted(&drawing.title))?;
        writeln!(out, "  style title fill:none,stroke:none")?;
    }
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for (cluster_number, (cluster, nodes)) in drawing.clusters.iter().enumerate() {
        writeln!(out, "  subgraph c{cluster_number}[{}]", quoted(cluster_title(cluster)))?;
        for (id, label) in nodes {
            let next = numbers.len();
            let number = *numbers.entry(id).or_insert(next);
            let label = quoted(label);
            match cluster.is_empty() {
                true => writeln!(out, "    n{number}([{label}])")?,
                false => writeln!(out, "    n{number}[{label}]")?,
            }
        }
        writeln!(out, "  end")?;
    }
    let number = |id: &str| numbers.get(id).copied();
    for stroke in &drawing.strokes {
        let (Some(from), Some(to)) = (number(&stroke.from), number(&stroke.to)) else { continue };
        let label = match stroke.label.is_empty() {
            true => String::new(),
            false => format!("|{}|", quoted(&stroke.label)),
        };
        writeln!(out, "  n{from} {}{label} n{to}", arrow(stroke.dashes))?;
    }
    write_legend(drawing, out)?;
    write_colors(drawing, out)
}

fn write_legend(drawing: &Drawing, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  subgraph legend")?;
    for (number, (text, _, dashes)) in drawing.legend.iter().enumerate() {
        writeln!(out, "    l{number}[\" \"] {} m{number}[{}]", arrow(*dashes), quoted(text))?;
    }
    writeln!(out, "  end")?;
    for number in 0..drawing.legend.len() {
        writeln!(out, "  style l{number} fill:none,stroke:none")?;
        writeln!(out, "  style m{number} fill:none,stroke:none")?;
    }
    Ok(())
}

/// A line for each colour, with the numbers of its strokes; those of the legend come last.
fn write_colors(drawing: &Drawing, out: &mut dyn Write) -> io::Result<()> {
    let colors = drawing.strokes.iter().map(|stroke| stroke.color);
    let colors = colors.chain(drawing.legend.iter().map(|(_, color, _)| *color));
    let mut of: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    colors.enumerate().for_each(|(number, color)| of.entry(color).or_default().push(number.to_string()));
    of.iter()
        .try_for_each(|(color, numbers)| writeln!(out, "  linkStyle {} stroke:{color}", numbers.join(",")))
}

fn arrow(dashes: Dashes) -> &'static str {
    match dashes {
        Dashes::Solid => "-->",
        Dashes::Dashed => "-.->",
    }
}

/// Text in quotes: what is no plain character of a name stands as an entity.
fn quoted(text: &str) -> String {
    let mut inside = String::with_capacity(text.len() + 2);
    for character in text.chars() {
        match character {
            '\n' => inside.push_str("<br/>"),
            ' ' | '-' | '_' | '.' | ',' | ':' | '/' | '(' | ')' | '=' => inside.push(character),
            other if other.is_alphanumeric() => inside.push(other),
            other if other.is_control() => inside.push(' '),
            other => inside.push_str(&format!("#{};", u32::from(other))),
        }
    }
    format!("\"{inside}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_viewers_do_not_draw_is_said_in_front() {
        let stroke = |number: usize| drawing::Stroke {
            from: "a".to_owned(),
            to: "b".to_owned(),
            label: format!("tcp {number}"),
            color: drawing::BLUE,
            dashes: Dashes::Solid,
        };
        let drawn = |strokes: usize| {
            let mut drawing = Drawing::default();
            drawing.node("x".to_owned(), "a".to_owned(), "a".to_owned());
            drawing.node("x".to_owned(), "b".to_owned(), "b".to_owned());
            drawing.strokes = (0..strokes).map(stroke).collect();
            let mut text = Vec::new();
            write_noted(&drawing, &mut text).expect("memory takes it");
            String::from_utf8(text).expect("text")
        };
        assert!(drawn(3).starts_with("flowchart LR\n"));
        assert!(drawn(501).starts_with("%% 501 lines, ") && drawn(501).contains("\nflowchart LR\n"));
    }

    #[test]
    fn no_name_can_be_read_as_syntax() {
        assert_eq!(quoted("web\nDeployment"), "\"web<br/>Deployment\"");
        assert_eq!(quoted("a\"]\n<b>#`*"), "\"a#34;#93;<br/>#60;b#62;#35;#96;#42;\"");
        assert_eq!(quoted("10.0.0.0-10.0.0.255"), "\"10.0.0.0-10.0.0.255\"");
    }
}
