//! A parsed tree → a contract: what every section needs to read its keys and to complain.
//!
//! A key that is not known and a value that does not fit are problems with line, column and hint;
//! whatever else stands in the file is read all the same. The sections are in `sections`.

use super::{Contract, nearest, sections};
use crate::model::{IpProtocols, Node, Origin, PortSet, Problem, Protocol, Text, TrafficSet, Value};
use std::sync::Arc;

/// Every place of a contract and the keys that may stand there.
pub const KEYS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "segments",
            "networks",
            "rules",
            "sensitivePorts",
            "dataplane",
            "controllers",
            "severities",
            "exceptions",
        ],
    ),
    (
        "segments",
        &[
            "sensitivity",
            "namespaces",
            "namespaceLabels",
            "podLabels",
            "serviceAccounts",
            "workloads",
            "cidrs",
            "any",
        ],
    ),
    ("rules", &["from", "to", "allow", "protect", "ways", "why"]),
    ("dataplane", &["engine", "version", "settings"]),
    (
        "controllers",
        &[
            "class",
            "gatewayClass",
            "ingress",
            "gateway",
            "route",
            "namespace",
            "labels",
            "workload",
            "outside",
            "cidrs",
        ],
    ),
    ("exceptions", &["check", "subject", "from", "to", "ports", "why", "approvedBy", "ticket", "expires"]),
];

/// Words of other rooms that a contract may use.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    /// Names of checks.
    pub checks: Vec<&'a str>,
    /// Names of engines.
    pub engines: Vec<&'a str>,
}

/// Reads a contract; `text` is what `root` was parsed from, for the columns.
pub fn read(file: &str, text: &str, root: &Node, known: &Known<'_>) -> (Contract, Vec<Problem>) {
    let lines = text.lines().collect();
    let mut reader = Reader { file: file.into(), lines, known, problems: Vec::new() };
    let mut contract = Contract { file: file.to_owned(), ..Contract::default() };
    if !root.is_null() && reader.keys(root, "", "a contract") {
        sections::fill(&mut reader, root, &mut contract);
    }
    (contract, reader.problems)
}

/// What the sections read with.
pub(super) struct Reader<'a> {
    file: Arc<str>,
    lines: Vec<&'a str>,
    pub known: &'a Known<'a>,
    problems: Vec<Problem>,
}

/// Line and column, from 1; a column of 0 is not known.
type Spot = (u32, u32);

impl Reader<'_> {
    /// Holds a mapping against the keys of its place; `false` where it is no mapping.
    pub fn keys(&mut self, node: &Node, place: &str, what: &str) -> bool {
        let Value::Map(fields) = &node.value else {
            self.complain((node.line, 0), format!("{what} must be a mapping"), "write `key: value` lines");
            return false;
        };
        let known = KEYS.iter().find(|(name, _)| *name == place).map_or(&[][..], |(_, keys)| *keys);
        for (key, value) in fields {
            if known.contains(&&**key) {
                continue;
            }
            let hint = match nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known.join(", ")),
            };
            let spot = self.key_spot(node, key, value);
            self.complain(spot, format!("{what} has no key `{key}`"), &hint);
        }
        true
    }

    /// Text, or a number or truth value as text; `None` where nothing is given or it is none.
    pub fn text(&mut self, parent: &Node, key: &str) -> Option<String> {
        let node = parent.get(key).filter(|node| !node.is_null())?;
        let text = scalar(node);
        if text.is_none() {
            let spot = self.key_spot(parent, key, node);
            self.complain(spot, format!("`{key}` must be text"), "quote it if it looks like something else");
        }
        text
    }

    /// The same, where a key without a value is something to complain about.
    pub fn given(&mut self, parent: &Node, key: &str, hint: &str) -> Option<String> {
        if let Some(node) = parent.get(key).filter(|node| node.is_null()) {
            let spot = self.key_spot(parent, key, node);
            self.complain(spot, format!("`{key}` has no value"), hint);
        }
        self.text(parent, key)
    }

    /// One scalar, or a list of them, each with its node.
    pub fn texts<'n>(&mut self, parent: &'n Node, key: &str) -> Vec<(String, &'n Node)> {
        let Some(node) = parent.get(key).filter(|node| !node.is_null()) else { return Vec::new() };
        if let Some(text) = scalar(node) {
            return vec![(text, node)];
        }
        let mut found = Vec::new();
        let fits = matches!(node.value, Value::List(_));
        for item in node.items() {
            match scalar(item) {
                Some(text) => found.push((text, item)),
                None => self.complain((item.line, 0), format!("`{key}` holds something that is no text"), ""),
            }
        }
        if !fits {
            let spot = self.key_spot(parent, key, node);
            self.complain(
                spot,
                format!("`{key}` must be text or a list of texts"),
                &format!("{key}: [a, b]"),
            );
        }
        found
    }

    /// One of some words.
    pub fn word<T: Copy>(&mut self, parent: &Node, key: &str, words: &[(T, &str)]) -> Result<Option<T>, ()> {
        let all: Vec<&str> = words.iter().map(|(_, word)| *word).collect();
        let Some(text) = self.given(parent, key, &format!("one of {}", all.join(", "))) else {
            return if parent.get(key).is_some() { Err(()) } else { Ok(None) };
        };
        if let Some((value, _)) = words.iter().find(|(_, word)| *word == text) {
            return Ok(Some(*value));
        }
        self.refuse(parent, key, format!("`{key}` cannot be {text:?}"), &one_of(&text, &all));
        Err(())
    }

    /// Ports: `tcp/5432`, `udp/8000-8100`, `sctp`, `other`, or a bare number, which means TCP.
    pub fn ports(&mut self, parent: &Node, key: &str) -> Result<TrafficSet, ()> {
        let mut all = TrafficSet::none();
        let mut fine = true;
        if let Some(node) = parent.get(key).filter(|node| node.is_null() || node.is_empty_list()) {
            let spot = self.key_spot(parent, key, node);
            self.complain(spot, format!("`{key}` names nothing"), "a port or a list of them: [tcp/5432]");
        }
        for (text, node) in self.texts(parent, key) {
            match ports(&text) {
                Some(traffic) => all = all.union(&traffic),
                None => {
                    let spot = self.value_spot(node, &text);
                    let hint = "tcp/5432, udp/8000-8100, tcp, other (what has no ports), or a number for TCP";
                    self.complain(spot, format!("{text:?} names no ports"), hint);
                    fine = false;
                }
            }
        }
        if fine && !all.is_empty() { Ok(all) } else { Err(()) }
    }

    /// Complains about a value that does not fit.
    pub fn refuse(&mut self, parent: &Node, key: &str, message: String, hint: &str) {
        let spot = match parent.get(key) {
            Some(node) => match scalar(node) {
                Some(text) if !text.is_empty() => self.value_spot(node, &text),
                _ => self.key_spot(parent, key, node),
            },
            None => (parent.line, 0),
        };
        self.complain(spot, message, hint);
    }

    /// Complains about the item of a list.
    pub fn refuse_item(&mut self, node: &Node, text: &str, message: String, hint: &str) {
        let spot = self.value_spot(node, text);
        self.complain(spot, message, hint);
    }

    /// Complains about a key.
    pub fn refuse_key(&mut self, parent: &Node, key: &str, value: &Node, message: String, hint: &str) {
        let spot = self.key_spot(parent, key, value);
        self.complain(spot, message, hint);
    }

    /// Where a part of the contract stands, with its name.
    pub fn origin(&self, (line, column): Spot, name: &str) -> Origin {
        Origin {
            file: self.file.clone(),
            document: 1,
            line,
            column,
            kind: "Contract".into(),
            namespace: Text::default(),
            name: name.into(),
            rule: Text::default(),
        }
    }

    /// Where a key stands: on the line of its value, or above it.
    pub fn key_spot(&self, parent: &Node, key: &str, value: &Node) -> Spot {
        let found = (parent.line..=value.line).rev().find_map(|line| {
            let text = self.line(line)?;
            key_column(text, key).map(|column| (line, column))
        });
        found.unwrap_or((value.line, 0))
    }

    fn value_spot(&self, node: &Node, text: &str) -> Spot {
        let column = self.line(node.line).and_then(|line| Some(column_at(line, line.find(text)?)));
        (node.line, column.unwrap_or(0))
    }

    fn line(&self, number: u32) -> Option<&str> {
        self.lines.get((number as usize).checked_sub(1)?).copied()
    }

    fn complain(&mut self, spot: Spot, message: String, hint: &str) {
        let origin = Origin { kind: "".into(), ..self.origin(spot, "") };
        self.problems.push(Problem { origin, message, hint: hint.to_owned() });
    }
}

/// A hint for one of several words.
pub(super) fn one_of(wrong: &str, words: &[&str]) -> String {
    match nearest(wrong, words.iter().copied()) {
        Some(near) => format!("did you mean {near:?}? There are {}", words.join(", ")),
        None => format!("one of {}", words.join(", ")),
    }
}

fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// The column of `key:` on a line, where it stands there as a whole word.
fn key_column(line: &str, key: &str) -> Option<u32> {
    let found = line.match_indices(key).find(|(at, _)| {
        let before = line[..*at].chars().next_back();
        let after = line[at + key.len()..].trim_start_matches(['"', '\'']).trim_start();
        before.is_none_or(|c| " {,\t\"'".contains(c)) && after.starts_with(':')
    });
    found.map(|(at, _)| column_at(line, at))
}

fn column_at(line: &str, byte: usize) -> u32 {
    line[..byte].chars().count() as u32 + 1
}

/// Reads one entry of a list of ports.
fn ports(text: &str) -> Option<TrafficSet> {
    if text == "other" {
        return Some(TrafficSet::portless(IpProtocols::all()));
    }
    let (protocol, range) = match text.split_once('/') {
        Some((protocol, range)) => (Protocol::from_name(&protocol.to_uppercase())?, range),
        None => match Protocol::from_name(&text.to_uppercase()) {
            Some(protocol) => (protocol, "*"),
            None => (Protocol::Tcp, text),
        },
    };
    if range == "*" {
        return Some(TrafficSet::of(protocol, PortSet::all()));
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first > 0 && first <= last).then(|| TrafficSet::of(protocol, PortSet::range(first, last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_people_write_them() {
        let read = |text: &str| ports(text).map(|set| set.to_string());
        assert_eq!(read("tcp/5432").as_deref(), Some("TCP 5432"));
        assert_eq!(read("UDP/8000-8100").as_deref(), Some("UDP 8000-8100"));
        assert_eq!(read("443").as_deref(), Some("TCP 443"));
        assert_eq!(read("sctp").as_deref(), Some("SCTP"));
        assert_eq!(read("other").as_deref(), Some("other protocols"));
        for wrong in ["tcp/0", "tcp/90-80", "tpc/80", "tcp/70000", "https", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_is_found_as_a_word_of_its_own() {
        assert_eq!(key_column("- {from: a, form: b}", "form"), Some(13));
        assert_eq!(key_column("platform: x", "form"), None);
        assert_eq!(key_column("  \"form\" : x", "form"), Some(4));
    }
}
