//! A tree as YAML that every reader of YAML reads as it was: texts are quoted as in JSON.

use crate::model::{Node, Text, Value};
use std::io::{self, Write};

/// Writes a mapping as a document of its own, after `---`.
pub(super) fn document(node: &Node, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "---")?;
    fields(node.fields(), 0, "", out)
}

/// `lead` goes before the first field instead of its indentation.
fn fields(fields: &[(Text, Node)], depth: usize, lead: &str, out: &mut dyn Write) -> io::Result<()> {
    for (number, (name, node)) in fields.iter().enumerate() {
        match number {
            0 if !lead.is_empty() => write!(out, "{lead}")?,
            _ => write!(out, "{:depth$}", "")?,
        }
        write!(out, "{}:", key(name))?;
        after_key(node, depth, out)?;
    }
    Ok(())
}

fn after_key(node: &Node, depth: usize, out: &mut dyn Write) -> io::Result<()> {
    match &node.value {
        Value::Map(inner) if !inner.is_empty() => {
            writeln!(out)?;
            fields(inner, depth + 2, "", out)
        }
        Value::List(items) if !items.is_empty() => {
            writeln!(out)?;
            list(items, depth, out)
        }
        _ => writeln!(out, " {}", flat(node)),
    }
}

fn list(items: &[Node], depth: usize, out: &mut dyn Write) -> io::Result<()> {
    for item in items {
        match &item.value {
            Value::Map(inner) if !inner.is_empty() => {
                let lead = format!("{:depth$}- ", "");
                fields(inner, depth + 2, &lead, out)?;
            }
            Value::List(inner) if !inner.is_empty() => {
                writeln!(out, "{:depth$}-", "")?;
                list(inner, depth + 2, out)?;
            }
            _ => writeln!(out, "{:depth$}- {}", "", flat(item))?,
        }
    }
    Ok(())
}

/// A value on one line, in JSON, which is YAML.
pub(super) fn flat(node: &Node) -> String {
    json(node).to_string()
}

/// A tree as JSON has it.
pub(super) fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => (&**text).into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(fields) => serde_json::Value::Object(
            fields.iter().map(|(name, node)| (name.to_string(), json(node))).collect(),
        ),
    }
}

/// Field names are plain where nobody can take them for anything else.
fn key(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&name.to_lowercase().as_str());
    if plain { name.to_owned() } else { serde_json::Value::from(name).to_string() }
}
