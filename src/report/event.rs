//! What appears and goes while a cluster is followed: a line an event, for people or as JSON Lines.

use super::json::{finding_shape, fingerprint_of, gap_shape, problem_shape};
use super::names::origin_text;
use crate::analysis::Analysis;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Something that a person should know of, as long as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// `finding`, `gap` or `problem`.
    pub what: &'static str,
    /// The check of a finding; empty for others.
    pub check: &'static str,
    /// The severity of a finding; empty for others.
    pub severity: &'static str,
    /// One line for people.
    pub text: String,
    /// The shape that reports have.
    body: Value,
}

/// Items by what tells them apart: fingerprints of findings, never lines.
pub type Items = BTreeMap<(&'static str, String), Item>;

/// What happens to one item, or to the watch itself.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// It was not there before.
    Appeared(&'a Item),
    /// It was there with other words or another severity.
    Changed(&'a Item),
    /// It is no longer there.
    Disappeared(&'a Item),
    /// Everything was read once.
    Started {
        /// The cluster.
        cluster: &'a str,
        /// Objects that were read.
        objects: usize,
    },
    /// The API server does not answer; what stands is what was known before.
    Lost(&'a str),
    /// It answers again.
    Back,
}

/// Everything that an analysis says.
pub fn items(analysis: &Analysis) -> Items {
    let mut items = Items::new();
    for finding in &analysis.findings {
        let (check, severity) = (finding.check, finding.severity.word());
        let text = format!("{severity} {check} {}: {}", finding.subject, finding.message);
        let body = shape(&finding_shape(finding));
        items.insert(
            ("finding", fingerprint_of(finding)),
            Item { what: "finding", check, severity, text, body },
        );
    }
    for gap in &analysis.gaps {
        let text = format!("not known: {} ({})", gap.what, origin_text(&gap.origin));
        let item = Item { what: "gap", check: "", severity: "", body: shape(&gap_shape(gap)), text };
        items.insert(("gap", item.text.clone()), item);
    }
    for problem in &analysis.problems {
        let (text, body) = (format!("error: {problem}"), shape(&problem_shape(problem)));
        let item = Item { what: "problem", check: "", severity: "", body, text };
        items.insert(("problem", item.text.clone()), item);
    }
    items
}

/// What became of the items: gone ones first.
pub fn changes<'a>(old: &'a Items, new: &'a Items) -> Vec<Event<'a>> {
    let gone =
        old.iter().filter(|(key, _)| !new.contains_key(*key)).map(|(_, item)| Event::Disappeared(item));
    let other = new.iter().filter_map(|(key, item)| match old.get(key) {
        None => Some(Event::Appeared(item)),
        Some(known) if (known.severity, &known.text) != (item.severity, &item.text) => {
            Some(Event::Changed(item))
        }
        Some(_) => None,
    });
    gone.chain(other).collect()
}

impl Event<'_> {
    /// `appeared`, `changed`, `disappeared`, `started`, `lost` or `back`.
    pub fn word(&self) -> &'static str {
        match self {
            Event::Appeared(_) => "appeared",
            Event::Changed(_) => "changed",
            Event::Disappeared(_) => "disappeared",
            Event::Started { .. } => "started",
            Event::Lost(_) => "lost",
            Event::Back => "back",
        }
    }

    /// The item that it is about.
    fn item(&self) -> Option<&Item> {
        match self {
            Event::Appeared(item) | Event::Changed(item) | Event::Disappeared(item) => Some(item),
            Event::Started { .. } | Event::Lost(_) | Event::Back => None,
        }
    }

    /// Writes a line for people.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_text(&self, time: &str, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Event::Appeared(item) => writeln!(out, "{time} + {}", item.text),
            Event::Changed(item) => writeln!(out, "{time} ~ {}", item.text),
            Event::Disappeared(item) => writeln!(out, "{time} - {}", item.text),
            Event::Started { cluster, objects } => {
                writeln!(out, "{time} following {cluster}: {objects} objects were read")
            }
            Event::Lost(why) => writeln!(out, "{time} the API server does not answer: {why}"),
            Event::Back => writeln!(out, "{time} the API server answers again"),
        }
    }

    /// Writes a line of JSON.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_json(&self, time: &str, out: &mut dyn Write) -> io::Result<()> {
        let mut line = json!({"schema": "watertight/event/v1", "event": self.word(), "time": time});
        match self {
            Event::Started { cluster, objects } => {
                line["cluster"] = (*cluster).into();
                line["objects"] = (*objects).into();
            }
            Event::Lost(why) => line["why"] = (*why).into(),
            _ => {}
        }
        if let Some(item) = self.item() {
            line[item.what] = item.body.clone();
        }
        writeln!(out, "{line}")
    }
}

fn shape<T: serde::Serialize>(shape: &T) -> Value {
    serde_json::to_value(shape).unwrap_or_default()
}
