//! What appears and goes while a cluster is followed: a line an event, for people or as JSON Lines.

use super::json::{finding_shape, fingerprint_of, gap_shape, problem_shape};
use super::names::origin_text;
use crate::analysis::Analysis;
use crate::check::{Finding, Severity};
use crate::model::names::one_line;
use crate::model::{Gap, Problem};
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

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

/// What tells items apart: `finding`, `gap` or `problem`, and fingerprints of findings, never lines.
pub type Key = (&'static str, Arc<str>);

/// What was said so far. What is as it was is not written anew.
#[derive(Debug, Default)]
pub struct Said {
    findings: Vec<(Finding, Key)>,
    gaps: Vec<(Gap, Key)>,
    problems: Vec<(Problem, Key)>,
    /// Several may have one key; the one that comes last by its words stands for them.
    items: BTreeMap<Key, Vec<Arc<Item>>>,
}

/// What happened to an item.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It was not there before.
    Appeared(Arc<Item>),
    /// It was there with other words or another severity.
    Changed(Arc<Item>),
    /// It is no longer there.
    Disappeared(Arc<Item>),
}

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

impl Said {
    /// Everything that stands.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values().filter_map(|same| same.last()).map(|item| &**item)
    }

    /// Takes in what an analysis says now; what became of the items, gone ones first.
    pub fn renew(&mut self, analysis: &Analysis) -> Vec<Change> {
        let mut moved = Moved::default();
        renew(&mut self.findings, &analysis.findings, Finding::order, of_finding, &mut moved);
        renew(&mut self.gaps, &analysis.gaps, Gap::cmp, of_gap, &mut moved);
        renew(&mut self.problems, &analysis.problems, Problem::cmp, of_problem, &mut moved);
        let Moved { gone, new } = moved;
        let keys: BTreeSet<Key> = gone.iter().chain(&new).map(|(key, _)| key.clone()).collect();
        let last = |items: &BTreeMap<Key, Vec<Arc<Item>>>, key: &Key| items.get(key)?.last().cloned();
        let before: Vec<Option<Arc<Item>>> = keys.iter().map(|key| last(&self.items, key)).collect();
        for (key, item) in gone {
            if let Some(same) = self.items.get_mut(&key) {
                same.iter().position(|known| **known == item).map(|index| same.remove(index));
                if same.is_empty() {
                    self.items.remove(&key);
                }
            }
        }
        for (key, item) in new {
            let same = self.items.entry(key).or_default();
            let place =
                same.partition_point(|known| (&known.text, known.severity) <= (&item.text, item.severity));
            same.insert(place, Arc::new(item));
        }
        let now = keys.iter().map(|key| last(&self.items, key));
        let mut changes: Vec<Change> =
            before.into_iter().zip(now).filter_map(|(before, now)| Change::between(before, now)).collect();
        changes.sort_by(|a, b| a.place().cmp(&b.place()));
        changes
    }
}

/// Items that are no longer there, and such as were not.
#[derive(Default)]
struct Moved {
    gone: Vec<(Key, Item)>,
    new: Vec<(Key, Item)>,
}

/// Brings a list up to date that is in the order of `compare`, as the new one is.
fn renew<T: Clone + PartialEq>(
    known: &mut Vec<(T, Key)>,
    now: &[T],
    compare: impl Fn(&T, &T) -> Ordering,
    item: impl Fn(&T) -> (Key, Item),
    moved: &mut Moved,
) {
    let mut old = std::mem::take(known).into_iter().peekable();
    known.reserve(now.len());
    for alike in now.chunk_by(|a, b| compare(a, b) == Ordering::Equal) {
        let first = &alike[0];
        while let Some((gone, key)) = old.next_if(|(one, _)| compare(one, first) == Ordering::Less) {
            moved.gone.push((key, item(&gone).1));
        }
        let own = || old.next_if(|(one, _)| compare(one, first) == Ordering::Equal);
        let mut own: Vec<(T, Key)> = std::iter::from_fn(own).collect();
        for one in alike {
            match own.iter().position(|(known, _)| known == one) {
                Some(index) => known.push(own.remove(index)),
                None => {
                    let (key, item) = item(one);
                    known.push((one.clone(), key.clone()));
                    moved.new.push((key, item));
                }
            }
        }
        moved.gone.extend(own.into_iter().map(|(gone, key)| (key, item(&gone).1)));
    }
    moved.gone.extend(old.map(|(gone, key)| (key, item(&gone).1)));
}

fn of_finding(finding: &Finding) -> (Key, Item) {
    let (check, severity) = (finding.check, finding.severity.word());
    let text = format!("{severity} {check} {}: {}", finding.subject, finding.message);
    let body = shape(&finding_shape(finding));
    (("finding", fingerprint_of(finding).into()), Item { what: "finding", check, severity, text, body })
}

fn of_gap(gap: &Gap) -> (Key, Item) {
    let text = format!("not known: {} ({})", one_line(&gap.what), origin_text(&gap.origin));
    let key = ("gap", text.as_str().into());
    (key, Item { what: "gap", check: "", severity: "", body: shape(&gap_shape(gap)), text })
}

fn of_problem(problem: &Problem) -> (Key, Item) {
    let (text, body) = (format!("error: {problem}"), shape(&problem_shape(problem)));
    (("problem", text.as_str().into()), Item { what: "problem", check: "", severity: "", body, text })
}

impl Change {
    fn between(before: Option<Arc<Item>>, now: Option<Arc<Item>>) -> Option<Change> {
        match (before, now) {
            (None, None) => None,
            (None, Some(now)) => Some(Change::Appeared(now)),
            (Some(before), None) => Some(Change::Disappeared(before)),
            (Some(before), Some(now)) => {
                let words = |item: &Item| (item.severity, item.text.clone());
                (words(&before) != words(&now)).then_some(Change::Changed(now))
            }
        }
    }

    /// What is gone comes first, and what is worse before what is less bad.
    fn place(&self) -> (bool, usize, &str) {
        let gone = matches!(self, Change::Disappeared(_));
        let (Change::Appeared(item) | Change::Changed(item) | Change::Disappeared(item)) = self;
        let worse = Severity::ALL.iter().rev().position(|severity| severity.word() == item.severity);
        (!gone, worse.unwrap_or(Severity::ALL.len()), &item.text)
    }

    /// The event to write.
    pub fn event(&self) -> Event<'_> {
        match self {
            Change::Appeared(item) => Event::Appeared(item),
            Change::Changed(item) => Event::Changed(item),
            Change::Disappeared(item) => Event::Disappeared(item),
        }
    }
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
