//! Settings by their path: a tree, or YAML inside a text, becomes `outer.inner` → values.
//!
//! A list keeps its items under its own path; what lies inside of items stands under it as well.

use crate::model::{Node, Value};
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::BTreeMap;

/// Values by path.
pub type Flat = BTreeMap<String, Vec<String>>;

/// A tree that was read already.
pub fn of_node(node: &Node) -> Flat {
    let mut flat = Flat::new();
    walk(node, "", &mut flat);
    flat
}

fn walk(node: &Node, path: &str, flat: &mut Flat) {
    match &node.value {
        Value::Map(fields) => fields.iter().for_each(|(key, value)| walk(value, &below(path, key), flat)),
        Value::List(items) => {
            flat.entry(path.to_owned()).or_default();
            items.iter().for_each(|item| walk(item, path, flat));
        }
        Value::Null => {}
        scalar => flat.entry(path.to_owned()).or_default().push(match scalar {
            Value::Text(text) => text.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Map(_) | Value::List(_) | Value::Null => String::new(),
        }),
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// What is open while a text is read.
enum Open {
    /// A map, and the key whose value comes next.
    Map(Option<String>),
    List,
}

/// YAML or JSON in a text; `None` where it does not parse.
pub fn of_text(text: &str) -> Option<Flat> {
    let mut flat = Flat::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.ok()?;
        match event {
            Event::MappingStart(..) => open.push(Open::Map(None)),
            Event::SequenceStart(..) => {
                flat.entry(path_of(&open)).or_default();
                open.push(Open::List);
            }
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
                used(&mut open);
            }
            Event::Scalar(value, style, ..) => match open.last_mut() {
                Some(Open::Map(key @ None)) => *key = Some(value.to_string()),
                Some(_) => {
                    let is_null = style == ScalarStyle::Plain && matches!(&*value, "~" | "null");
                    if !is_null && !value.is_empty() {
                        flat.entry(path_of(&open)).or_default().push(value.to_string());
                    }
                    used(&mut open);
                }
                None => {}
            },
            _ => {}
        }
    }
    Some(flat)
}

/// The value of a key is there: another key comes next.
fn used(open: &mut [Open]) {
    if let Some(Open::Map(key)) = open.last_mut() {
        *key = None;
    }
}

fn path_of(open: &[Open]) -> String {
    let key = |one: &Open| match one {
        Open::Map(key) => key.clone(),
        Open::List => None,
    };
    open.iter().filter_map(key).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::of_text;

    #[test]
    fn a_text_is_read_with_its_lists_and_comments() {
        let text = "# comment\ntrustDomain: \"prod.example\" # ours\ntrustDomainAliases:\n- old.example\n- 'older'\n\
                    meshMTLS:\n  minProtocolVersion: TLSV1_3\n  cipherSuites: [A, B]\nrootNamespace: ''\n\
                    defaultDestinationRuleExportTo: [\".\"]\nenableAutoMtls: false\n\
                    defaultConfig: {interceptionMode: TPROXY}\n";
        let flat = of_text(text).expect("YAML");
        assert_eq!(flat["trustDomain"], ["prod.example"]);
        assert_eq!(flat["trustDomainAliases"], ["old.example", "older"]);
        assert_eq!(flat["meshMTLS.minProtocolVersion"], ["TLSV1_3"]);
        assert_eq!(flat["meshMTLS.cipherSuites"], ["A", "B"]);
        assert_eq!(flat["defaultDestinationRuleExportTo"], ["."]);
        assert_eq!(flat["enableAutoMtls"], ["false"]);
        assert_eq!(flat["defaultConfig.interceptionMode"], ["TPROXY"]);
        assert!(!flat.contains_key("rootNamespace"));
    }

    #[test]
    fn json_is_read_and_what_is_broken_is_not() {
        let flat = of_text(r#"{"global": {"proxy": {"excludeIPRanges": "10.0.0.0/8"}}}"#).expect("JSON");
        assert_eq!(flat["global.proxy.excludeIPRanges"], ["10.0.0.0/8"]);
        assert!(of_text("a: [1, 2").is_none());
    }
}
