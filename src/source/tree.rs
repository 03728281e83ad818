//! Events of the YAML parser → a tree: anchors and aliases, merged keys, scalars with their types.
//!
//! What the YAML library of Kubernetes reads, and how; cutting a file into documents is left to `yaml`.

use crate::model::{Node, Value};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::{BTreeSet, HashMap};

/// Deeper nesting than this is refused: no Kubernetes object needs it.
const DEEPEST: usize = 200;
/// Aliases may multiply a document at most to this many nodes.
const MOST_ALIASED_NODES: usize = 1_000_000;

/// Builds a tree out of parser events.
pub(super) struct Builder {
    lines_before: u32,
    anchors: HashMap<usize, Node>,
    aliased: usize,
}

/// A collection that is still open, with the anchor that it defines (0 for none).
struct Open {
    node: Node,
    key: Option<Box<str>>,
    anchor: usize,
    /// Keys that came by `<<` alone, which the mapping's own replace.
    merged: BTreeSet<Box<str>>,
}

/// In mappings up to this size a key that stands twice is found when it comes, in larger ones at
/// their end.
const FEW_KEYS: usize = 64;

/// The line, and what is wrong there.
pub(super) type BuildError = (u32, String);

impl Open {
    fn new(node: Node, anchor: usize) -> Open {
        Open { node, key: None, anchor, merged: BTreeSet::new() }
    }
}

impl Builder {
    pub fn new(lines_before: u32) -> Self {
        Builder { lines_before, anchors: HashMap::new(), aliased: 0 }
    }

    pub fn build(mut self, text: &str) -> Result<Vec<Node>, BuildError> {
        let (mut roots, mut open) = (Vec::new(), Vec::<Open>::new());
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| {
                (
                    self.lines_before + error.marker().line() as u32,
                    format!("not valid YAML: {}", error.info()),
                )
            })?;
            let line = self.lines_before + span.start.line() as u32;
            let column = span.start.col() as u32 + 1;
            let done = match event {
                Event::SequenceStart(anchor, _) => {
                    open.push(Open::new(Node { line, column, value: Value::List(Vec::new()) }, anchor));
                    None
                }
                Event::MappingStart(anchor, _) => {
                    open.push(Open::new(Node { line, column, value: Value::Map(Vec::new()) }, anchor));
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                    Some(closed) => {
                        distinct(&closed.node)?;
                        Some(self.remember(closed.anchor, closed.node))
                    }
                    None => None,
                },
                Event::Scalar(text, style, anchor, tag) => {
                    let column = column_of(&text, style, &span);
                    let quoted = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str");
                    let value = if quoted { Value::Text(text.into()) } else { plain(&text) };
                    Some(self.remember(anchor, Node { line, column, value }))
                }
                Event::Alias(anchor) => Some(self.recall(anchor, line)?),
                _ => None,
            };
            if open.len() > DEEPEST {
                return Err((line, "nested too deeply".to_owned()));
            }
            if let Some(node) = done {
                place(node, &mut open, &mut roots)?;
            }
        }
        Ok(roots)
    }

    fn remember(&mut self, anchor: usize, node: Node) -> Node {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        node
    }

    fn recall(&mut self, anchor: usize, line: u32) -> Result<Node, BuildError> {
        let node = self.anchors.get(&anchor).cloned().ok_or((line, "unknown alias".to_owned()))?;
        self.aliased += size(&node);
        if self.aliased > MOST_ALIASED_NODES {
            return Err((line, "aliases multiply this document beyond all reason".to_owned()));
        }
        Ok(node)
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(fields) => fields.iter().map(|(_, value)| size(value)).sum(),
        _ => 0,
    }
}

fn place(node: Node, open: &mut [Open], roots: &mut Vec<Node>) -> Result<(), BuildError> {
    let Some(parent) = open.last_mut() else {
        roots.push(node);
        return Ok(());
    };
    match &mut parent.node.value {
        Value::List(items) => items.push(node),
        Value::Map(fields) => match parent.key.take() {
            None => parent.key = Some(key_text(node)?),
            Some(key) if &*key == "<<" => merge(fields, &mut parent.merged, node)?,
            Some(key) if parent.merged.remove(&key) => {
                let own = fields.iter_mut().find(|(name, _)| *name == key);
                own.into_iter().for_each(|(_, value)| *value = node.clone());
            }
            Some(key) if fields.len() < FEW_KEYS && fields.iter().any(|(name, _)| *name == key) => {
                return Err(twice(&key, &node));
            }
            Some(key) => fields.push((key, node)),
        },
        _ => {}
    }
    Ok(())
}

fn twice(key: &str, value: &Node) -> BuildError {
    (value.line, format!("the key {key:?} stands twice in one mapping"))
}

/// Looks for keys that stand twice in a mapping too large for looking at each.
fn distinct(node: &Node) -> Result<(), BuildError> {
    let Value::Map(fields) = &node.value else { return Ok(()) };
    if fields.len() <= FEW_KEYS {
        return Ok(());
    }
    let mut known = BTreeSet::new();
    match fields.iter().find(|(key, _)| !known.insert(key)) {
        Some((key, value)) => Err(twice(key, value)),
        None => Ok(()),
    }
}

/// The column of the first character of a text that stands on one line as it is; 0 for others.
fn column_of(text: &str, style: ScalarStyle, span: &Span) -> u32 {
    let quote = match style {
        ScalarStyle::Plain => 0,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
        ScalarStyle::Literal | ScalarStyle::Folded => return 0,
    };
    let (start, end) = (span.start.col(), span.end.col());
    let whole = start + text.chars().count() + 2 * quote == end && span.start.line() == span.end.line();
    if whole { (start + quote + 1) as u32 } else { 0 }
}

fn key_text(node: Node) -> Result<Box<str>, BuildError> {
    match node.value {
        Value::Text(text) => Ok(text),
        Value::Int(number) => Ok(number.to_string().into()),
        Value::Bool(truth) => Ok(truth.to_string().into()),
        Value::Float(number) => Ok(number.to_string().into()),
        Value::Null => Ok("null".into()),
        Value::List(_) | Value::Map(_) => Err((node.line, "a key must be a scalar".to_owned())),
    }
}

/// `<<: *anchor`, or a list of them: the fields of the anchors, where they are not given already;
/// what the mapping itself says counts before, whether it stands above or below.
fn merge(
    fields: &mut Vec<(Box<str>, Node)>,
    merged: &mut BTreeSet<Box<str>>,
    node: Node,
) -> Result<(), BuildError> {
    let line = node.line;
    match node.value {
        Value::Map(more) => {
            for (name, value) in more {
                if !fields.iter().any(|(present, _)| *present == name) {
                    merged.insert(name.clone());
                    fields.push((name, value));
                }
            }
            Ok(())
        }
        Value::List(items) => items.into_iter().try_for_each(|item| match item.value {
            Value::Map(_) => merge(fields, merged, item),
            _ => Err((line, "`<<` takes mappings alone".to_owned())),
        }),
        _ => Err((line, "`<<` takes a mapping, or a list of mappings".to_owned())),
    }
}

/// Plain scalars as the YAML library of Kubernetes reads them.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let first = text.as_bytes().first().copied().unwrap_or(b' ');
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return Value::Text(text.into());
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::Int(number);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Value::Float(number),
        _ => Value::Text(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_types() {
        assert_eq!(plain("80"), Value::Int(80));
        assert_eq!(plain("1.5"), Value::Float(1.5));
        assert_eq!(plain("10.0.0.1"), Value::Text("10.0.0.1".into()));
        assert_eq!(plain("yes"), Value::Text("yes".into()));
    }

    fn built(text: &str) -> Result<Node, BuildError> {
        Builder::new(0).build(text).map(|roots| roots.into_iter().next().expect("a root"))
    }

    #[test]
    fn what_a_mapping_says_itself_counts_before_what_is_merged_into_it() {
        let root =
            built("a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc:\n  <<: [*a, *b]\n  y: 3\nd: {z: 4, <<: *b}\n");
        let root = root.expect("it is valid");
        let said = |of: &str, key: &str| root.path(&[of, key]).and_then(Node::int);
        assert_eq!((said("c", "x"), said("c", "y"), said("c", "z")), (Some(1), Some(3), Some(2)));
        assert_eq!((said("d", "x"), said("d", "z")), (Some(2), Some(4)));
        assert_eq!(root.path(&["c", "y"]).map(|node| node.line), Some(5));
    }

    #[test]
    fn a_key_that_stands_twice_is_told_with_its_line_however_large_the_mapping() {
        let twice = |text: &str| built(text).expect_err("it is refused");
        assert_eq!(twice("a: 1\nb: 2\na: 3\n").0, 3);
        assert_eq!(twice("a: &a {x: 1}\nb:\n  <<: *a\n  x: 2\n  x: 3\n").0, 5);
        let many: String = (0..100).map(|n| format!("k{n}: 1\n")).collect();
        assert_eq!(twice(&format!("{many}k99: 2\n")).0, 101);
        assert!(built(&many).is_ok());
    }

    #[test]
    fn a_merge_of_something_else_is_refused() {
        assert!(built("a: &a 1\nb: {<<: *a}\n").is_err() && built("a: &a [1]\nb: {<<: *a}\n").is_err());
    }
}
