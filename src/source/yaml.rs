//! Text → documents: splits at the markers, parses on all cores, keeps lines.
//!
//! JSON is read by the same parser, being a subset. `List` kinds are taken apart, documents that
//! configure proxies are told from objects (`envoy`). What they mean is left to `inventory` and `policy`.

use super::{Reading, envoy};
use crate::model::{Document, Node, Origin, Problem, Value};
use rayon::prelude::*;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Places of a document that are mended before it is given up.
const MOST_MENDED: usize = 32;
/// Deeper nesting than this is refused: no Kubernetes object needs it.
const DEEPEST: usize = 200;
/// Aliases may multiply a document at most to this many nodes.
const MOST_ALIASED_NODES: usize = 1_000_000;

/// Parses all documents of a file; a broken one does not hide the others.
pub fn parse(file: &Arc<str>, text: &str) -> Reading {
    let parts = split(text.trim_start_matches('\u{feff}'));
    let parsed: Vec<Reading> =
        parts.par_iter().enumerate().map(|(index, part)| parse_part(file, index as u32 + 1, part)).collect();
    let mut reading = Reading::default();
    for part in parsed {
        reading.documents.extend(part.documents);
        reading.problems.extend(part.problems);
        reading.skipped += part.skipped;
    }
    reading
}

/// Parses a file that is one document of any shape; nothing at all is `Null`.
///
/// # Errors
/// Broken YAML, and a second document.
pub fn parse_one(file: &Arc<str>, text: &str) -> Result<Node, Problem> {
    let refuse = |line: u32, message: String, hint: &str| {
        let origin = origin_of(file, 1, line, None);
        Problem { origin, message, hint: hint.to_owned() }
    };
    let parts = split(text.trim_start_matches('\u{feff}'));
    if let Some(second) = parts.get(1) {
        let hint = "this file holds one document; take the `---` out";
        return Err(refuse(second.lines_before + 1, "a second document begins here".to_owned(), hint));
    }
    let nothing = Node { line: 1, column: 1, value: Value::Null };
    let Some(part) = parts.first() else { return Ok(nothing) };
    match Builder::new(part.lines_before).build(part.text) {
        Ok(roots) => Ok(roots.into_iter().next().unwrap_or(nothing)),
        Err((line, message)) => Err(refuse(line, message, "check the indentation and the quotes here")),
    }
}

/// A document's text and the line before its first.
struct Part<'a> {
    text: &'a str,
    lines_before: u32,
}

/// Cuts at `---` lines, which YAML allows nowhere else in the first column.
fn split(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut start, mut start_line) = (Vec::new(), 0, 0);
    let (mut offset, mut line) = (0, 0);
    for piece in text.split_inclusive('\n') {
        if is_marker(piece) && offset > start {
            parts.push(Part { text: &text[start..offset], lines_before: start_line });
            (start, start_line) = (offset, line);
        }
        offset += piece.len();
        line += 1;
    }
    parts.push(Part { text: &text[start..], lines_before: start_line });
    parts.retain(|part| part.text.lines().any(has_content));
    parts
}

fn is_marker(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn has_content(line: &str) -> bool {
    let line = line.trim();
    !(line.is_empty() || line == "---" || line == "..." || line.starts_with('#') || line.starts_with('%'))
}

fn parse_part(file: &Arc<str>, number: u32, part: &Part<'_>) -> Reading {
    let mut reading = Reading::default();
    let built = build(part);
    match built {
        Ok(roots) => {
            for root in roots {
                add_object(file, number, root, &mut reading);
            }
        }
        Err((line, message)) => {
            let hint = "the other documents of the file were read; check the indentation here";
            let origin = origin_of(file, number, line, None);
            reading.problems.push(Problem { origin, message, hint: hint.to_owned() });
        }
    }
    reading
}

/// Builds a part; what the YAML library of Kubernetes reads though YAML 1.2 forbids it is mended.
fn build(part: &Part<'_>) -> Result<Vec<Node>, BuildError> {
    let mut text = Cow::Borrowed(part.text);
    for _ in 0..MOST_MENDED {
        let error = match Builder::new(part.lines_before).build(&text) {
            Ok(roots) => return Ok(roots),
            Err(error) => error,
        };
        let line = error.0.saturating_sub(part.lines_before) as usize;
        let mended = match &error.1 {
            message if message.contains("tabs") => tabs_in_flow(&text),
            message if message.contains("quoted scalar") => deeper_scalar(&text, line),
            _ => None,
        };
        match mended {
            Some(mended) => text = Cow::Owned(mended),
            None => return Err(error),
        }
    }
    Builder::new(part.lines_before).build(&text)
}

/// A line that goes on inside brackets may begin with a tab for the YAML library of Kubernetes,
/// though YAML 1.2 (6.1) has spaces there; the same text with spaces, where there is such a line.
fn tabs_in_flow(text: &str) -> Option<String> {
    let (mut mended, mut changed, mut inside) = (String::with_capacity(text.len()), false, false);
    for line in text.split_inclusive('\n') {
        let content = line.trim_start_matches([' ', '\t']);
        let (lead, content) = line.split_at(line.len() - content.len());
        let tabbed = inside && lead.contains('\t');
        changed |= tabbed;
        mended.push_str(&if tabbed { lead.replace('\t', "        ") } else { lead.to_owned() });
        mended.push_str(content);
        inside = content.trim_end().ends_with(['[', '{', ',']);
    }
    changed.then_some(mended)
}

/// A quoted scalar may go on at any depth for the YAML library of Kubernetes, though YAML 1.2 (7.3)
/// asks for more than its parent's; the same text with the scalar that begins on a line (from 1)
/// further in, which changes nothing of it, because lines lose their indentation anyhow.
fn deeper_scalar(text: &str, line: usize) -> Option<String> {
    let first = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum::<usize>();
    let opening = text.get(first..)?.find(['\'', '"'])? + first;
    let quote = text[opening..].chars().next()?;
    let depth = text[first..].len() - text[first..].trim_start_matches(' ').len() + 2;
    let mut escaped = false;
    let closing = text[opening + 1..].find(|letter| {
        let closes = letter == quote && !escaped;
        escaped = quote == '"' && letter == '\\' && !escaped;
        closes
    })?;
    let (scalar, rest) = text[opening..].split_at(closing + 2);
    let lead = format!("\n{}", " ".repeat(depth));
    let shallow = |line: &str| line.len() - line.trim_start_matches(' ').len() < depth;
    let is_shallow = scalar.lines().skip(1).any(|line| !line.trim().is_empty() && shallow(line));
    is_shallow.then(|| format!("{}{}{rest}", &text[..opening], scalar.replace('\n', &lead)))
}

fn add_object(file: &Arc<str>, number: u32, mut root: Node, reading: &mut Reading) {
    if root.is_null() {
        return;
    }
    // `calicoctl get … -o json` of several kinds: a plain list of objects.
    if let Value::List(items) = &mut root.value {
        for item in std::mem::take(items) {
            add_object(file, number, item, reading);
        }
        return;
    }
    let Some(mut root) = envoy::take(file, number, root, reading) else { return };
    let kind = root.text_of("kind").unwrap_or_default().to_owned();
    if let Some(item_kind) = kind.strip_suffix("List").filter(|_| root.get("items").is_some()) {
        let api_version = root.text_of("apiVersion").unwrap_or_default().to_owned();
        for mut item in take_items(&mut root) {
            complete(&mut item, item_kind, &api_version);
            add_object(file, number, item, reading);
        }
        return;
    }
    let api_version = root.text_of("apiVersion").unwrap_or_default().to_owned();
    let missing = if kind.is_empty() { "kind" } else { "apiVersion" };
    if kind.is_empty() || api_version.is_empty() {
        // With metadata and one of the two it was meant to be an object; values of charts and the like have neither.
        let is_half = kind.is_empty() != api_version.is_empty();
        let is_meant = is_half && root.get("metadata").is_some_and(|metadata| !metadata.fields().is_empty());
        match is_meant {
            true => reading.problems.push(Problem {
                origin: origin_of(file, number, root.line, Some(&root)),
                message: format!("the object has no {missing}"),
                hint: "kubectl refuses an object without apiVersion and kind; this one was not read"
                    .to_owned(),
            }),
            false => reading.skipped += 1,
        }
        return;
    }
    let origin = origin_of(file, number, root.line, Some(&root));
    reading.documents.push(Document { origin, api_version, body: root });
}

/// Items of a typed list (`PodList`) may leave out what the list says for them.
fn complete(item: &mut Node, kind: &str, api_version: &str) {
    let (line, named) = (item.line, item.get("kind").is_some());
    let Value::Map(fields) = &mut item.value else { return };
    if named || kind.is_empty() {
        return;
    }
    for (field, text) in [("kind", kind), ("apiVersion", api_version)] {
        fields.push((field.into(), Node { line, column: 0, value: Value::Text(text.into()) }));
    }
}

fn take_items(root: &mut Node) -> Vec<Node> {
    let Value::Map(fields) = &mut root.value else { return Vec::new() };
    let items = fields.iter_mut().find(|(name, _)| &**name == "items");
    match items.map(|(_, node)| std::mem::replace(&mut node.value, Value::Null)) {
        Some(Value::List(items)) => items,
        _ => Vec::new(),
    }
}

fn origin_of(file: &Arc<str>, document: u32, line: u32, object: Option<&Node>) -> Origin {
    let text = |fields: &[&str]| object.and_then(|o| o.path(fields)).and_then(Node::text).unwrap_or_default();
    Origin {
        file: file.clone(),
        document,
        line,
        column: 0,
        kind: text(&["kind"]).into(),
        namespace: text(&["metadata", "namespace"]).into(),
        name: text(&["metadata", "name"]).into(),
        rule: "".into(),
    }
}

/// Builds a tree out of parser events.
struct Builder {
    lines_before: u32,
    anchors: HashMap<usize, Node>,
    aliased: usize,
}

/// A collection that is still open, with the anchor that it defines (0 for none).
struct Open {
    node: Node,
    key: Option<Box<str>>,
    anchor: usize,
}

type BuildError = (u32, String);

impl Builder {
    fn new(lines_before: u32) -> Self {
        Builder { lines_before, anchors: HashMap::new(), aliased: 0 }
    }

    fn build(mut self, text: &str) -> Result<Vec<Node>, BuildError> {
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
                    open.push(Open {
                        node: Node { line, column, value: Value::List(Vec::new()) },
                        key: None,
                        anchor,
                    });
                    None
                }
                Event::MappingStart(anchor, _) => {
                    open.push(Open {
                        node: Node { line, column, value: Value::Map(Vec::new()) },
                        key: None,
                        anchor,
                    });
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop().map(|closed| self.remember(closed.anchor, closed.node))
                }
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
            Some(key) if &*key == "<<" => merge(fields, node),
            Some(key) if fields.len() < 64 && fields.iter().any(|(name, _)| *name == key) => {
                return Err((node.line, format!("the key {key:?} stands twice in one mapping")));
            }
            Some(key) => fields.push((key, node)),
        },
        _ => {}
    }
    Ok(())
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

/// `<<: *anchor`: the fields of the anchor, where they are not given already.
fn merge(fields: &mut Vec<(Box<str>, Node)>, node: Node) {
    if let Value::Map(more) = node.value {
        for (name, value) in more {
            if !fields.iter().any(|(present, _)| *present == name) {
                fields.push((name, value));
            }
        }
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

    fn read(text: &str) -> Reading {
        parse(&Arc::from("test.yaml"), text)
    }

    #[test]
    fn a_broken_document_does_not_hide_its_neighbours() {
        let text = "apiVersion: v1\nkind: A\n---\na: [\n---\napiVersion: v1\nkind: B\n";
        let reading = read(text);
        assert_eq!(reading.documents.len(), 2);
        assert_eq!(reading.problems.len(), 1);
        assert!(reading.problems[0].origin.line >= 4, "{:?}", reading.problems);
        assert_eq!(reading.documents[1].origin.line, 6);
    }

    #[test]
    fn a_tab_separates_inside_brackets_and_never_indents() {
        let reading = read("apiVersion: v1\nkind: A\nspec:\n  args: [\n\t  a,\n\t\tb]\n");
        assert_eq!(reading.documents.len(), 1, "{:?}", reading.problems);
        assert_eq!(read("apiVersion: v1\nkind: A\nspec:\n\targs: a\n").problems.len(), 1);
    }

    #[test]
    fn a_quoted_scalar_may_end_at_the_depth_of_its_key() {
        let text = "apiVersion: v1\nkind: A\nspec:\n  config: '{\n    \"a\": 1\n  }'\n  other: \"x\n  y\"\n";
        let reading = read(text);
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        let spec = reading.documents[0].body.get("spec").expect("a spec");
        assert_eq!(spec.text_of("config"), Some("{ \"a\": 1 }"));
        assert_eq!(spec.get("other").expect("it").line, 7);
    }

    #[test]
    fn lists_are_taken_apart_and_json_is_read() {
        let text = r#"{"apiVersion":"v1","kind":"List","items":[
            {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n"}}]}"#;
        let reading = read(text);
        assert_eq!(&*reading.documents[0].origin.name, "a");
        assert_eq!(reading.documents[0].origin.line, 2);
    }

    #[test]
    fn texts_on_one_line_know_their_columns() {
        let text = "a: bc\nd: 'e f'\ng: [\"h\", i]\nj: \"k\\n\"\nl: |\n  m\n";
        let reading = read(&format!("apiVersion: v1\nkind: A\n{text}"));
        let body = &reading.documents[0].body;
        let column = |field: &str| body.get(field).map(|node| node.column);
        assert_eq!(
            (column("a"), column("d"), column("j"), column("l")),
            (Some(4), Some(5), Some(0), Some(0))
        );
        let items: Vec<u32> = body.items_of("g").iter().map(|node| node.column).collect();
        assert_eq!(items, [6, 10]);
    }

    #[test]
    fn values_keep_their_types() {
        assert_eq!(plain("80"), Value::Int(80));
        assert_eq!(plain("1.5"), Value::Float(1.5));
        assert_eq!(plain("10.0.0.1"), Value::Text("10.0.0.1".into()));
        assert_eq!(plain("yes"), Value::Text("yes".into()));
    }
}
