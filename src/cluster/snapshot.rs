//! A cluster as one file: first what was read and when, then the objects in the order of their names.
//!
//! The file is plain manifests after its first document, which every command reads.

use super::{Live, Read, Refused, yaml};
use crate::model::snapshot::{API_VERSION, KIND};
use crate::model::{Bend, Node, Value};
use std::collections::BTreeSet;
use std::io::{self, Write};

/// How a snapshot is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A YAML document for each object.
    Yaml,
    /// One JSON list, an object a line.
    Json,
}

/// Writes a snapshot that was taken at `taken_at` (RFC 3339, in UTC); everything else depends on the
/// objects alone.
///
/// # Errors
/// Those of the writer.
pub fn write(live: &Live, taken_at: &str, form: Form, out: &mut dyn Write) -> io::Result<()> {
    let head = head(live, taken_at);
    let all = std::iter::once(&head).chain(live.documents.iter().map(|document| &document.body));
    match form {
        Form::Yaml => all.into_iter().try_for_each(|node| yaml::document(node, out)),
        Form::Json => {
            let mut lead = "[\n";
            for node in all {
                write!(out, "{lead}{}", yaml::flat(node))?;
                lead = ",\n";
            }
            writeln!(out, "\n]")
        }
    }
}

fn head(live: &Live, taken_at: &str) -> Node {
    let counted = |read: &Read| {
        map(vec![
            ("apiVersion", text(&read.api_version)),
            ("kind", text(&read.kind)),
            ("count", node(Value::Int(read.objects as i64))),
        ])
    };
    let refused = |refused: &Refused| {
        map(vec![
            ("kind", text(&refused.kind)),
            ("reason", text(&refused.words())),
            ("bends", text(bend_word(refused.bends))),
        ])
    };
    let kinds: BTreeSet<&str> = live.reads.iter().map(|read| read.kind.as_str()).collect();
    map(vec![
        ("apiVersion", text(API_VERSION)),
        ("kind", text(KIND)),
        ("takenAt", text(taken_at)),
        ("cluster", text(&live.name)),
        ("version", text(&live.version)),
        ("reads", node(Value::List(kinds.into_iter().map(text).collect()))),
        ("objects", node(Value::List(live.reads.iter().map(counted).collect()))),
        ("forbidden", node(Value::List(live.refused.iter().map(refused).collect()))),
    ])
}

/// `may-allow-more` or `may-allow-less`, as reports have it.
fn bend_word(bend: Bend) -> &'static str {
    match bend {
        Bend::MayAllowLess => "may-allow-less",
        Bend::MayAllowMore | Bend::MayMissTraffic => "may-allow-more",
    }
}

fn node(value: Value) -> Node {
    Node { line: 0, column: 0, value }
}

fn text(text: &str) -> Node {
    node(Value::Text(text.into()))
}

fn map(fields: Vec<(&str, Node)>) -> Node {
    node(Value::Map(fields.into_iter().map(|(name, node)| (name.into(), node)).collect()))
}
