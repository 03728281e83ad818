//! Text → documents: splits at the markers, parses on all cores, keeps lines.
//!
//! JSON is read by the same parser, being a subset. `List` kinds are taken apart, documents that
//! configure proxies are told from objects (`envoy`). What they mean is left to `inventory` and `policy`.

use super::tree::{BuildError, Builder, Built};
use super::{Reading, envoy, scalar};
use crate::model::names::one_line;
use crate::model::{Document, Node, Origin, Problem, Text, Value};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// What begins a place to be filled in, in a template of a chart.
const TEMPLATED: &str = "{{";
const RENDER: &str =
    "this is a template of a chart; `helm template CHART | watertight check -` reads what it renders to";

/// The API of files for `kustomize`, which need not name it (`FixKustomizationPostUnmarshalling`).
const KUSTOMIZE: (&str, &str) = ("Kustomization", "kustomize.config.k8s.io/v1beta1");

/// Places of a document that are mended before it is given up.
const MOST_MENDED: usize = 128;

/// Parses all documents of a file; a broken one does not hide the others.
pub fn parse(file: &Arc<str>, text: &str) -> Reading {
    let parts = split(text.trim_start_matches('\u{feff}'));
    let run = |mut reading: Reading, (index, part): (usize, &Part<'_>)| {
        parse_part(file, index as u32 + 1, part, &mut reading);
        reading
    };
    let runs: Vec<Reading> = parts.par_iter().enumerate().fold(Reading::default, run).collect();
    Reading::joined(runs)
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
    match Builder::new(part.lines_before, scalar::of_core).build(part.text) {
        Ok(Built { roots, twice }) => match twice.into_iter().next() {
            None => Ok(roots.into_iter().next().unwrap_or(nothing)),
            Some((line, message)) => Err(refuse(line, message, "keep one of them")),
        },
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

fn parse_part(file: &Arc<str>, number: u32, part: &Part<'_>, reading: &mut Reading) {
    match build(part) {
        Ok(Built { roots, twice }) => {
            for root in roots {
                add_object(file, number, root, reading);
            }
            let problems = twice.into_iter().map(|(line, message)| Problem {
                origin: origin_of(file, number, line, None),
                message,
                hint: "the later one was read, as kubectl has it; others refuse the file".to_owned(),
            });
            reading.problems.extend(problems);
        }
        Err((line, message)) => {
            let values = json_values(part);
            for value in &values {
                parse_part(file, number, value, reading);
            }
            if values.is_empty() {
                let hint = match part.text.contains(TEMPLATED) {
                    true => RENDER,
                    false => "the other documents of the file were read; check the indentation here",
                };
                let origin = origin_of(file, number, line, None);
                reading.problems.push(Problem { origin, message, hint: hint.to_owned() });
            }
        }
    }
}

/// The values of a file in which several stand one after the other without a mark between them, as
/// `jq -c` and appending to a file make them; nothing where it is no such file. What is broken is
/// the last of them.
fn json_values<'a>(part: &Part<'a>) -> Vec<Part<'a>> {
    if !part.text.trim_start().starts_with(['{', '[']) {
        return Vec::new();
    }
    let (mut values, mut start) = (Vec::new(), 0);
    let mut add = |start: usize, end: usize| {
        let lines_before = part.lines_before + part.text[..start].matches('\n').count() as u32;
        let text = &part.text[start..end];
        if !text.trim().is_empty() {
            values.push(Part { text, lines_before });
        }
    };
    let mut stream = serde_json::Deserializer::from_str(part.text).into_iter::<serde::de::IgnoredAny>();
    while let Some(Ok(_)) = stream.next() {
        add(start, stream.byte_offset());
        start = stream.byte_offset();
    }
    add(start, part.text.len());
    if values.len() > 1 { values } else { Vec::new() }
}

/// Builds a part; what the YAML library of Kubernetes reads though YAML 1.2 forbids it is mended.
fn build(part: &Part<'_>) -> Result<Built, BuildError> {
    let mut text = Cow::Borrowed(part.text);
    for _ in 0..MOST_MENDED {
        let error = match Builder::new(part.lines_before, scalar::of_kubernetes).build(&text) {
            Ok(built) => return Ok(built),
            Err(error) => error,
        };
        let line = error.0.saturating_sub(part.lines_before) as usize;
        let mended = match &error.1 {
            message if message.contains("tabs") => tabs_in_flow(&text),
            message if message.contains("quoted scalar") => deeper_scalar(&text, line),
            message if message.contains("indentation") => deeper_in_flow(&text, line),
            _ => None,
        };
        match mended {
            Some(mended) => text = Cow::Owned(mended),
            None => return Err(error),
        }
    }
    Builder::new(part.lines_before, scalar::of_kubernetes).build(&text)
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

/// What stands inside of brackets, and what closes them, may begin anywhere for the YAML library of
/// Kubernetes, though YAML 1.2 (7.4) asks for more than the depth of what holds them; the same text with
/// one such line (from 1) further in.
fn deeper_in_flow(text: &str, line: usize) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (before, here) = (lines.get(..line.checked_sub(1)?)?, *lines.get(line - 1)?);
    let depth = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let ends_in = |line: &&&str, ends: &[char]| line.trim_end().ends_with(ends);
    let last = before.iter().rev().find(|line| !line.trim().is_empty())?;
    let goes_on = here.trim_start().starts_with([']', '}']) || ends_in(&last, &['[', '{', ',']);
    let opening = before.iter().rev().find(|line| ends_in(line, &['[', '{'])).filter(|_| goes_on)?;
    let missing = (depth(opening) + 4).checked_sub(depth(here)).filter(|missing| *missing > 0)?;
    Some(format!("{}{}{}", before.concat(), " ".repeat(missing), lines[line - 1..].concat()))
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

fn add_object(file: &Arc<str>, number: u32, root: Node, reading: &mut Reading) {
    if root.is_null() {
        return;
    }
    let Some(mut root) = envoy::take(file, number, root, reading) else { return };
    // `calicoctl get … -o json` of several kinds: a plain list of objects.
    if let Value::List(items) = &mut root.value {
        for item in std::mem::take(items).into_vec() {
            add_object(file, number, item, reading);
        }
        return;
    }
    let kind = Text::new(root.text_of("kind").unwrap_or_default());
    if let Some(item_kind) = kind.strip_suffix("List").filter(|_| root.get("items").is_some()) {
        let api_version = Text::new(root.text_of("apiVersion").unwrap_or_default());
        for mut item in take_items(&mut root) {
            complete(&mut item, item_kind, &api_version);
            add_object(file, number, item, reading);
        }
        return;
    }
    let mut api_version = Text::new(root.text_of("apiVersion").unwrap_or_default());
    let is_blank = kind.is_empty() || api_version.is_empty();
    if is_blank && is_for_kustomize(file) && !root.fields().is_empty() {
        complete(&mut root, KUSTOMIZE.0, KUSTOMIZE.1);
        api_version = KUSTOMIZE.1.into();
    } else if is_blank {
        add_nameless(file, number, &root, reading);
        return;
    }
    let origin = origin_of(file, number, root.line, Some(&root));
    if origin.name.contains(TEMPLATED) || origin.namespace.contains(TEMPLATED) {
        let message = "its name or namespace is still to be filled in; it was not read".to_owned();
        reading.problems.push(Problem { origin, message, hint: RENDER.to_owned() });
        return;
    }
    reading.documents.push(Document { origin, api_version, body: root });
}

/// What has no kind or no version: an object that was meant to be one, objects under names of their
/// own, or something else.
fn add_nameless(file: &Arc<str>, number: u32, root: &Node, reading: &mut Reading) {
    let blank = |field| root.text_of(field).is_none_or(str::is_empty);
    let missing = match (blank("kind"), blank("apiVersion")) {
        (true, true) => "apiVersion and no kind",
        (true, false) => "kind",
        _ => "apiVersion",
    };
    // With metadata and one of the two, or with a spec, it was meant to be an object; values of charts
    // and the like have neither.
    let is_begun = blank("kind") != blank("apiVersion") || root.get("spec").is_some();
    let is_meant = is_begun && root.get("metadata").is_some_and(|metadata| !metadata.fields().is_empty());
    match is_meant {
        true => reading.problems.push(Problem {
            origin: origin_of(file, number, root.line, Some(root)),
            message: format!("the object has no {missing}"),
            hint: "kubectl refuses an object without apiVersion and kind; this one was not read".to_owned(),
        }),
        false if root.fields().iter().any(|(_, inner)| is_object(inner)) => {
            reading.problems.push(Problem {
                origin: origin_of(file, number, root.line, None),
                message: "objects stand here under names of their own, and were not read".to_owned(),
                hint: "kubectl does not read them either; `jq '.[]'` and `jsonnet -m` give them one by one"
                    .to_owned(),
            });
        }
        false => reading.skipped += 1,
    }
}

/// Whether this has what every object has.
fn is_object(node: &Node) -> bool {
    ["apiVersion", "kind"].iter().all(|field| node.text_of(field).is_some()) && node.get("metadata").is_some()
}

/// Whether a file has a name under which `kustomize` looks for what to build.
fn is_for_kustomize(file: &str) -> bool {
    let name = file.rsplit(['/', '\\']).next().unwrap_or_default();
    matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization")
}

/// Items of a typed list (`PodList`) may leave out what the list says for them.
fn complete(item: &mut Node, kind: &str, api_version: &str) {
    let line = item.line;
    if item.get("kind").is_some() || kind.is_empty() {
        return;
    }
    let said = [("kind", kind), ("apiVersion", api_version)];
    let said =
        said.map(|(field, text)| (field.into(), Node { line, column: 0, value: Value::Text(text.into()) }));
    item.change_fields(|fields| fields.extend(said));
}

fn take_items(root: &mut Node) -> Vec<Node> {
    let Value::Map(fields) = &mut root.value else { return Vec::new() };
    let items = fields.iter_mut().find(|(name, _)| &**name == "items");
    match items.map(|(_, node)| std::mem::replace(&mut node.value, Value::Null)) {
        Some(Value::List(items)) => items.into_vec(),
        _ => Vec::new(),
    }
}

fn origin_of(file: &Arc<str>, document: u32, line: u32, object: Option<&Node>) -> Origin {
    let text = |fields: &[&str]| {
        Text::from(one_line(object.and_then(|o| o.path(fields)).and_then(Node::text).unwrap_or_default()))
    };
    Origin {
        file: file.clone(),
        document,
        line,
        column: 0,
        kind: text(&["kind"]),
        namespace: text(&["metadata", "namespace"]),
        name: text(&["metadata", "name"]),
        rule: "".into(),
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
    fn what_stands_in_brackets_may_begin_anywhere() {
        let text = "apiVersion: v1\nkind: A\nspec:\n  labels: {\n    a: b\n  }\n  list:\n  - name: c\n    args: [\n      \
                    x,\n    ]\n  - args: [\n  y,\n z\n  ]\n  text: |\n    {\n    }\n";
        let reading = read(text);
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        let spec = reading.documents[0].body.get("spec").expect("a spec");
        assert_eq!(spec.path(&["labels"]).and_then(|labels| labels.text_of("a")), Some("b"));
        let args = |at: usize| spec.items_of("list")[at].items_of("args").len();
        assert_eq!((args(0), args(1)), (1, 2));
        assert_eq!(spec.get("list").map(|list| list.items()[1].line), Some(12));
        assert_eq!(spec.text_of("text"), Some("{\n}\n"));
        assert_eq!(read("apiVersion: v1\nkind: A\nspec:\n  a: [b\n  c: d\n").problems.len(), 1);
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
    fn json_values_one_after_the_other_are_read_and_a_broken_one_hides_no_other() {
        let of = |name: &str| {
            format!("{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"{name}\"}}}}")
        };
        let reading = read(&format!("{}\n{}{}\n{{\n\"a\": [}}\n", of("a"), of("b"), of("c")));
        let places: Vec<(&str, u32)> =
            reading.documents.iter().map(|d| (&*d.origin.name, d.origin.line)).collect();
        assert_eq!(places, [("a", 1), ("b", 2), ("c", 2)]);
        assert_eq!(reading.problems.len(), 1, "{:?}", reading.problems);
        assert_eq!(reading.problems[0].origin.line, 4);
    }

    #[test]
    fn templates_of_charts_are_not_read_as_objects_and_say_what_renders_them() {
        let whole = "apiVersion: v1\nkind: Pod\nmetadata: {name: '{{ .Release.Name }}-web'}\n";
        let broken = "{{- if .Values.on }}\napiVersion: v1\nkind: Pod\n{{- end }}\n";
        for text in [whole, broken, "apiVersion: v1\nkind: Pod\nmetadata: {namespace: '{{ .n }}', name: a}\n"]
        {
            let reading = read(text);
            assert!(reading.documents.is_empty(), "{text}");
            assert!(reading.problems[0].hint.contains("helm template"), "{:?}", reading.problems);
        }
        let said = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {a: '{{ x }}'}}\n";
        assert_eq!(read(said).documents.len(), 1);
    }

    #[test]
    fn what_kustomize_builds_need_not_name_its_kind() {
        let of = |file: &str| parse(&Arc::from(file), "resources: [../base]\nnamespace: shop\n");
        let reading = of("overlay/kustomization.yaml");
        assert_eq!(reading.documents[0].body.text_of("kind"), Some("Kustomization"));
        assert_eq!(of("overlay/values.yaml").skipped, 1);
    }

    #[test]
    fn an_object_that_names_neither_kind_nor_version_is_told() {
        let reading = read("metadata: {name: a}\nspec: {containers: []}\n");
        assert!(reading.problems[0].message.contains("no apiVersion and no kind"), "{:?}", reading.problems);
        assert_eq!(read("metadata: {labels: {}}\nreplicas: 2\n").skipped, 1);
        // As jsonnet writes a library of them.
        let reading = read("web: {apiVersion: v1, kind: Pod, metadata: {name: a}}\n");
        assert!(reading.problems[0].hint.contains("jsonnet -m"), "{:?}", reading.problems);
        assert_eq!(read("web: {kind: Deployment, replicas: 2}\n").skipped, 1);
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
}
