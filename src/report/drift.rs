//! What differs in effect between the declared configuration and the live one, in every format that
//! reviews need. The changes themselves are written as `diff` writes them.

use super::diff::{self, Comparison};
use super::json::because_shape;
use super::names::{fingerprint, origin_text};
use crate::check::Severity;
use crate::model::{EndpointName, Origin};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// The comparison: the old version is what was declared, the new one what is live.
pub struct Drift<'a> {
    /// Both, and what differs.
    pub comparison: Comparison<'a>,
    /// What the live side is called.
    pub live: String,
    /// Namespaces of the cluster of which nothing is declared.
    pub undeclared: BTreeSet<String>,
}

/// A policy that is not the same on both sides.
#[derive(Debug)]
pub struct PolicyDrift<'a> {
    /// In what way.
    pub state: State,
    /// Whether a change of who may talk to whom rests on it.
    pub effect: Effect,
    /// Where it was declared.
    pub declared: Option<&'a Origin>,
    /// What is live.
    pub live: Option<&'a Origin>,
}

/// In what way a policy differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is declared and not live.
    Missing,
    /// It is live and nobody declared it.
    Extra,
    /// It is both, and says something else.
    Different,
}

/// Whether a difference changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It does.
    Some,
    /// It does not.
    None,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            State::Missing => "missing",
            State::Extra => "extra",
            State::Different => "different",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            State::Missing => "declared and not live",
            State::Extra => "live and not declared",
            State::Different => "live, and says something else than declared",
        }
    }
}

impl Drift<'_> {
    /// Policies that are not the same on both sides, each once, missing ones first.
    pub fn policies(&self) -> Vec<PolicyDrift<'_>> {
        let Comparison { old, new, diff, .. } = &self.comparison;
        let name = |origin: &Origin| (origin.kind.clone(), origin.namespace.clone(), origin.name.clone());
        let without: BTreeSet<_> = self.comparison.without_effect().into_iter().map(name).collect();
        let mut all: BTreeMap<_, PolicyDrift<'_>> = BTreeMap::new();
        for change in &diff.policies {
            let declared = change.old.map(|number| &old.graph.policies[number as usize].origin);
            let live = change.new.map(|number| &new.graph.policies[number as usize].origin);
            let Some(key) = declared.or(live).map(name) else { continue };
            let effect = if without.contains(&key) { Effect::None } else { Effect::Some };
            // A policy of two directions may be missing in one of them.
            let known =
                all.entry(key).or_insert(PolicyDrift { state: State::Missing, effect, declared, live });
            known.declared = known.declared.or(declared);
            known.live = known.live.or(live);
            known.state = match (known.declared, known.live) {
                (Some(_), None) => State::Missing,
                (None, _) => State::Extra,
                (Some(_), Some(_)) => State::Different,
            };
        }
        let mut all: Vec<_> = all.into_values().collect();
        all.sort_by_key(|drift| (drift.state, drift.declared.or(drift.live)));
        all
    }

    /// The worst of all that differs: changes as `diff` weighs them; policies and workloads of one
    /// side alone are low, as long as nothing opens by them.
    pub fn worst(&self) -> Option<Severity> {
        let diff = &self.comparison.diff;
        let one_sided = !diff.appeared.is_empty() || !diff.vanished.is_empty() || !self.policies().is_empty();
        self.comparison.worst().max(one_sided.then_some(Severity::Low))
    }

    fn headline(&self) -> String {
        let policies = self.policies();
        let count = |state| policies.iter().filter(|drift| drift.state == state).count();
        let diff = &self.comparison.diff;
        let parts = [
            (count(State::Missing), ["policy", "policies"], "missing"),
            (count(State::Extra), ["policy", "policies"], "extra"),
            (count(State::Different), ["policy", "policies"], "different"),
            (diff.vanished.len(), ["workload", "workloads"], "not live"),
            (diff.appeared.len(), ["workload", "workloads"], "not declared"),
        ];
        let words = |(n, [one, many], how): &(usize, [&str; 2], &str)| {
            format!("{n} {} {how}", if *n == 1 { one } else { many })
        };
        let said: Vec<String> = parts.iter().filter(|(n, ..)| *n > 0).map(words).collect();
        let same = said.is_empty() && diff.pairs.is_empty() && diff.isolation.is_empty();
        match same && self.comparison.ways_in().is_empty() && diff.encryption.is_none() {
            true if !self.comparison.problems().is_empty() => "No drift in what could be read".to_owned(),
            true => "No drift: what is live has the effect that was declared".to_owned(),
            false if said.is_empty() => "The effect differs".to_owned(),
            false => said.join(", "),
        }
    }

    fn taken_as_it_is(&self) -> Option<String> {
        let names: Vec<&str> = self.undeclared.iter().map(String::as_str).collect();
        let text =
            format!("Nothing is declared of {}; there the cluster was taken as it is.", names.join(", "));
        (!names.is_empty()).then_some(text)
    }
}

pub(super) fn write_text(drift: &Drift<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", drift.headline())?;
    let policies = drift.policies();
    if !policies.is_empty() {
        writeln!(out, "\nPOLICIES ({})\n", policies.len())?;
    }
    for policy in &policies {
        let Some(origin) = policy.declared.or(policy.live) else { continue };
        let effect = if policy.effect == Effect::None { ", without effect on who may talk" } else { "" };
        writeln!(out, "  {}: {}{effect}", policy.state.words(), origin_text(origin))?;
    }
    names("WORKLOADS THAT ARE NOT LIVE", &drift.comparison.diff.vanished, out)?;
    names("WORKLOADS THAT NOBODY DECLARED", &drift.comparison.diff.appeared, out)?;
    writeln!(out, "\nFROM DECLARED TO LIVE:")?;
    diff::write_text(&drift.comparison, out)?;
    match drift.taken_as_it_is() {
        Some(text) => writeln!(out, "\n{text}"),
        None => Ok(()),
    }
}

fn names(title: &str, names: &[EndpointName], out: &mut dyn Write) -> io::Result<()> {
    if !names.is_empty() {
        writeln!(out, "\n{title} ({})\n", names.len())?;
    }
    names.iter().try_for_each(|name| writeln!(out, "  {name}"))
}

pub(super) fn write_markdown(drift: &Drift<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "### watertight: {}\n", drift.headline())?;
    for policy in drift.policies() {
        let Some(origin) = policy.declared.or(policy.live) else { continue };
        let effect = if policy.effect == Effect::None { ", without effect on who may talk" } else { "" };
        writeln!(out, "- {}: `{}`{effect}", policy.state.words(), origin_text(origin))?;
    }
    if let Some(text) = drift.taken_as_it_is() {
        writeln!(out, "\n{text}")?;
    }
    writeln!(out, "\nFrom declared to live:\n")?;
    diff::write_markdown(&drift.comparison, out)
}

#[derive(Serialize)]
struct Shape<'a> {
    schema: &'static str,
    live: &'a str,
    policies: Vec<Value>,
    workloads: Value,
    undeclared_namespaces: &'a BTreeSet<String>,
    changes: Value,
}

pub(super) fn write_json(drift: &Drift<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut changes = Vec::new();
    diff::write_json(&drift.comparison, &mut changes)?;
    let one = |policy: &PolicyDrift<'_>| {
        let origin = policy.declared.or(policy.live);
        json!({
            "state": policy.state.word(),
            "kind": origin.map(|o| &*o.kind),
            "namespace": origin.map(|o| &*o.namespace),
            "name": origin.map(|o| &*o.name),
            "has_effect": policy.effect == Effect::Some,
            "declared": policy.declared.map(because_shape),
            "live": policy.live.map(because_shape),
        })
    };
    let names = |names: &[EndpointName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let diff = &drift.comparison.diff;
    let shape = Shape {
        schema: "watertight/drift/v1",
        live: &drift.live,
        policies: drift.policies().iter().map(one).collect(),
        workloads: json!({"not_live": names(&diff.vanished), "not_declared": names(&diff.appeared)}),
        undeclared_namespaces: &drift.undeclared,
        changes: serde_json::from_slice(&changes)?,
    };
    serde_json::to_writer(&mut *out, &shape)?;
    out.write_all(b"\n")
}

/// The results of `diff`, and one for each policy that differs.
pub(super) fn write_sarif(drift: &Drift<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut log = Vec::new();
    diff::write_sarif(&drift.comparison, &mut log)?;
    let mut log: Value = serde_json::from_slice(&log)?;
    let run = &mut log["runs"][0];
    for state in [State::Missing, State::Extra, State::Different] {
        let text = format!("A policy is {}.", state.words());
        let rule = json!({"id": format!("drift-{}", state.word()), "shortDescription": {"text": text}});
        run["tool"]["driver"]["rules"].as_array_mut().into_iter().for_each(|rules| rules.push(rule.clone()));
    }
    for policy in drift.policies() {
        // A policy that nobody declared has a place in no file: the cluster stands for it.
        let Some(origin) = policy.declared.or(policy.live) else { continue };
        let subject = origin.subject();
        let effect = if policy.effect == Effect::None { " It has no effect on who may talk." } else { "" };
        let result = json!({
            "ruleId": format!("drift-{}", policy.state.word()),
            "level": if policy.effect == Effect::None { "note" } else { "warning" },
            "message": {"text": format!("{subject} is {}.{effect}", policy.state.words())},
            "locations": [{
                "physicalLocation": {
                    "artifactLocation": {"uri": super::sarif::place(origin)},
                    "region": {"startLine": origin.line.max(1)},
                },
                "logicalLocations": [{"fullyQualifiedName": subject}],
            }],
            "partialFingerprints": {"watertight/v1": fingerprint(&["drift", policy.state.word(), &subject])},
        });
        run["results"].as_array_mut().into_iter().for_each(|results| results.push(result.clone()));
    }
    serde_json::to_writer_pretty(&mut *out, &log)?;
    out.write_all(b"\n")
}
