//! Events of the YAML parser → a tree: anchors and aliases, merged keys, scalars with their types.
//!
//! What the YAML library of Kubernetes reads, and how; cutting a file into documents is left to `yaml`.

use crate::model::{Node, Text, Value};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::{BTreeSet, HashMap};

/// Deeper nesting than this is refused: no Kubernetes object needs it.
const DEEPEST: usize = 200;
/// Aliases may multiply a document at most to this many nodes.
const MOST_ALIASED_NODES: usize = 1_000_000;

/// Builds a tree out of parser events.
///
/// Parts of collections that are still open wait in two lists, the innermost behind the others, so
/// that a collection gets memory once, when it is closed and its size is known.
pub(super) struct Builder {
    /// What a scalar without quotes stands for.
    scalar: fn(&str) -> Value,
    lines_before: u32,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    open: Vec<Open>,
    items: Vec<Node>,
    fields: Vec<(Text, Node)>,
    twice: Vec<BuildError>,
}

/// What was built.
pub(super) struct Built {
    /// The documents.
    pub roots: Vec<Node>,
    /// Keys that stand twice in one mapping, where the later counts.
    pub twice: Vec<BuildError>,
}

/// A collection that is still open.
struct Open {
    line: u32,
    column: u32,
    /// The anchor that it defines, 0 for none.
    anchor: usize,
    inside: Inside,
}

/// What an open collection has so far.
enum Inside {
    /// The items from this place on.
    List(usize),
    Map {
        /// Its fields begin here.
        first: usize,
        /// The name of a field whose value comes next.
        key: Option<Text>,
        /// Keys that came by `<<` alone, which the mapping's own replace.
        merged: BTreeSet<Text>,
    },
}

/// In mappings up to this size a key that stands twice is found when it comes, in larger ones at
/// their end.
const FEW_KEYS: usize = 64;

/// The line, and what is wrong there.
pub(super) type BuildError = (u32, String);

impl Builder {
    pub fn new(lines_before: u32, scalar: fn(&str) -> Value) -> Self {
        let (anchors, open, items, fields, twice) = Default::default();
        Builder { scalar, lines_before, anchors, aliased: 0, open, items, fields, twice }
    }

    pub fn build(mut self, text: &str) -> Result<Built, BuildError> {
        let mut roots = Vec::new();
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
                    let inside = Inside::List(self.items.len());
                    self.open.push(Open { line, column, anchor, inside });
                    None
                }
                Event::MappingStart(anchor, _) => {
                    let inside = Inside::Map { first: self.fields.len(), key: None, merged: BTreeSet::new() };
                    self.open.push(Open { line, column, anchor, inside });
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                    Some(closed) => Some(self.close(closed)?),
                    None => None,
                },
                Event::Scalar(text, style, anchor, tag) => {
                    let column = column_of(&text, style, &span);
                    let quoted = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str");
                    let value = if quoted { Value::Text(Text::new(text)) } else { (self.scalar)(&text) };
                    Some(self.remember(anchor, Node { line, column, value }))
                }
                Event::Alias(anchor) => Some(self.recall(anchor, line)?),
                _ => None,
            };
            if self.open.len() > DEEPEST {
                return Err((line, "nested too deeply".to_owned()));
            }
            if let Some(node) = done {
                roots.extend(self.place(node)?);
            }
        }
        Ok(Built { roots, twice: self.twice })
    }

    /// The collection of everything that came since it was opened.
    fn close(&mut self, Open { line, column, anchor, inside }: Open) -> Result<Node, BuildError> {
        let value = match inside {
            Inside::List(first) => Value::List(self.items.drain(first..).collect()),
            Inside::Map { first, .. } => {
                distinct(&mut self.fields, first, &mut self.twice);
                Value::Map(self.fields.drain(first..).collect())
            }
        };
        Ok(self.remember(anchor, Node { line, column, value }))
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

    /// Puts a node into the innermost collection; it comes back where none is open.
    fn place(&mut self, node: Node) -> Result<Option<Node>, BuildError> {
        let Some(parent) = self.open.last_mut() else { return Ok(Some(node)) };
        match &mut parent.inside {
            Inside::List(_) => self.items.push(node),
            Inside::Map { first, key, merged } => match key.take() {
                None => *key = Some(key_text(node)?),
                Some(key) => {
                    let found = add_field(&mut self.fields, *first, merged, (key, node))?;
                    self.twice.extend(found);
                }
            },
        }
        Ok(None)
    }
}

/// Adds a field to the mapping whose fields begin at `first`; of two of one name the later counts, as
/// the YAML library of Kubernetes has it, and it is told.
fn add_field(
    fields: &mut Vec<(Text, Node)>,
    first: usize,
    merged: &mut BTreeSet<Text>,
    (key, node): (Text, Node),
) -> Result<Option<BuildError>, BuildError> {
    if key == "<<" {
        return merge(fields, first, merged, node).map(|()| None);
    }
    let was_merged = merged.remove(&key);
    let own = &mut fields[first..];
    let is_looked_for = was_merged || own.len() < FEW_KEYS;
    let known = if is_looked_for { own.iter_mut().find(|(name, _)| *name == key) } else { None };
    let Some((_, value)) = known else {
        fields.push((key, node));
        return Ok(None);
    };
    let found = (!was_merged).then(|| twice(&key, &node));
    *value = node;
    Ok(found)
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(fields) => fields.iter().map(|(_, value)| size(value)).sum(),
        _ => 0,
    }
}

fn twice(key: &str, value: &Node) -> BuildError {
    // Files that end without a mark become one object where they are put behind each other.
    let why = if key == "apiVersion" { ": is the line `---` missing between two objects?" } else { "" };
    (value.line, format!("the key {key:?} stands twice in one mapping{why}"))
}

/// Looks for keys that stand twice in a mapping too large for looking at each, and keeps the later.
fn distinct(fields: &mut Vec<(Text, Node)>, first: usize, found: &mut Vec<BuildError>) {
    if fields.len() - first <= FEW_KEYS {
        return;
    }
    let mut known = BTreeSet::new();
    let earlier: Vec<usize> =
        (first..fields.len()).rev().filter(|at| !known.insert(&fields[*at].0)).collect();
    if earlier.is_empty() {
        return;
    }
    for at in earlier {
        let (key, _) = fields.remove(at);
        let later = fields[first..].iter().rfind(|(name, _)| *name == key);
        found.extend(later.map(|(_, value)| twice(&key, value)));
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

fn key_text(node: Node) -> Result<Text, BuildError> {
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
    fields: &mut Vec<(Text, Node)>,
    first: usize,
    merged: &mut BTreeSet<Text>,
    node: Node,
) -> Result<(), BuildError> {
    let line = node.line;
    match node.value {
        Value::Map(more) => {
            for (name, value) in more {
                if !fields[first..].iter().any(|(present, _)| *present == name) {
                    merged.insert(name.clone());
                    fields.push((name, value));
                }
            }
            Ok(())
        }
        Value::List(items) => items.into_iter().try_for_each(|item| match item.value {
            Value::Map(_) => merge(fields, first, merged, item),
            _ => Err((line, "`<<` takes mappings alone".to_owned())),
        }),
        _ => Err((line, "`<<` takes a mapping, or a list of mappings".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scalar::of_core;
    use super::*;

    fn built(text: &str) -> Result<Node, BuildError> {
        Builder::new(0, of_core).build(text).map(|built| built.roots.into_iter().next().expect("a root"))
    }

    #[test]
    fn what_a_mapping_says_itself_counts_before_what_is_merged_into_it() {
        let root =
            built("a: &a {x: 1, w: 1}\nb: &b {x: 2, z: 2}\nc:\n  <<: [*a, *b]\n  w: 3\nd: {z: 4, <<: *b}\n");
        let root = root.expect("it is valid");
        let said = |of: &str, key: &str| root.path(&[of, key]).and_then(Node::int);
        assert_eq!((said("c", "x"), said("c", "w"), said("c", "z")), (Some(1), Some(3), Some(2)));
        assert_eq!((said("d", "x"), said("d", "z")), (Some(2), Some(4)));
        assert_eq!(root.path(&["c", "w"]).map(|node| node.line), Some(5));
    }

    #[test]
    fn a_key_that_stands_twice_is_told_with_its_line_however_large_the_mapping() {
        let twice = |text: &str| {
            let found = Builder::new(0, of_core).build(text).expect("it is read").twice;
            found.into_iter().map(|(line, _)| line).collect::<Vec<u32>>()
        };
        assert_eq!(twice("a: 1\nb: 2\na: 3\n"), [3]);
        assert_eq!(twice("a: &a {x: 1}\nb:\n  <<: *a\n  x: 2\n  x: 3\n"), [5]);
        let many: String = (0..100).map(|n| format!("k{n}: 1\n")).collect();
        assert_eq!(twice(&format!("{many}k99: 2\n")), [101]);
        assert!(twice(&many).is_empty());
        // The later one counts.
        for text in ["a: 1\nk99: 1\na: 2\n".to_owned(), format!("a: 1\n{many}a: 2\n")] {
            let root = built(&text).expect("it is read");
            assert_eq!(root.get("a").and_then(Node::int), Some(2));
            assert!(root.get("k99").is_some() && root.fields().len() == text.lines().count() - 1);
        }
    }

    #[test]
    fn a_merge_of_something_else_is_refused() {
        assert!(built("a: &a 1\nb: {<<: *a}\n").is_err() && built("a: &a [1]\nb: {<<: *a}\n").is_err());
    }
}
