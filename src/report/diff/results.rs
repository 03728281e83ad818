//! The changes of a comparison one by one, for formats that list results: each with a rule, how bad
//! it is, and the lines that it rests on.

use super::{
    Comparison, KINDS, cause_texts, end_text, isolation_severity, isolation_text, traffic_text, ways_in, word,
};
use crate::check::Severity;
use crate::graph::diff::{Cause, Isolated, What};
use crate::model::Origin;
use crate::report::names::bend_word;
use crate::report::words;

/// One change.
pub(in crate::report) struct Told {
    /// The rule, without `diff-` in front of it.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Whom it is about.
    pub subject: String,
    /// A sentence, with its causes.
    pub text: String,
    /// The lines that it rests on; the first is the one to open.
    pub places: Vec<Origin>,
}

/// The rules: their name, without `diff-` in front of it, and a sentence.
pub(in crate::report) fn rules() -> Vec<(&'static str, &'static str)> {
    let others = [
        ("loses-isolation", "What no rule names is open where it was closed."),
        ("gains-isolation", "What no rule names is closed where it was open."),
        ("other-conditions", "A rule lets its traffic pass under other conditions above packets."),
        ("node-encryption", "Encryption between nodes is no longer the same."),
        ("flow-breaks", "A connection that was observed would be denied."),
    ];
    let pairs = KINDS.iter().map(|(_, word, summary)| (*word, *summary));
    let ways = ways_in::WORDS.iter().map(|(_, word, summary)| (*word, *summary));
    let gaps = [("new-gap", "Something is not known of the new version that was known of the old one.")];
    pairs.chain(others).chain(ways).chain(gaps).collect()
}

/// All changes, in the order in which they are listed.
pub(in crate::report) fn results(comparison: &Comparison<'_>) -> Vec<Told> {
    let diff = &comparison.diff;
    let somewhere = comparison.new.inventory.workloads.first().or(comparison.old.inventory.workloads.first());
    let fallback = somewhere.map(|workload| &workload.origin);
    let mut all = Vec::new();
    for change in &diff.isolation {
        let id = if change.now == Isolated::No { "loses-isolation" } else { "gains-isolation" };
        let text = isolation_text(change);
        all.push(told(id, isolation_severity(change), text.clone(), text, &change.causes, fallback));
    }
    for pair in &diff.pairs {
        let subject = format!("{} -> {}", end_text(&pair.from), end_text(&pair.to));
        let text = format!("{subject}: {}", traffic_text(pair));
        all.push(told(word(pair.kind), super::severity(pair), subject, text, &pair.causes, fallback));
    }
    if let (Some(severity), Some(text)) = (super::encryption_severity(diff), super::encryption_text(diff)) {
        all.push(told("node-encryption", severity, "cluster".to_owned(), text, &[], fallback));
    }
    for change in comparison.ways_in() {
        let subject = ways_in::subject(&change);
        let text = format!("{subject}: {}.", ways_in::lines(comparison, &change).join("; "));
        let severity = ways_in::severity(comparison, &change);
        let places = ways_in::places(&change).into_iter().cloned().collect();
        all.push(Told { id: ways_in::word(change.how), severity, subject, text, places });
    }
    for gap in comparison.gap_changes().new {
        let origin = &gap.origin;
        let subject = format!("{}/{}/{} {}", origin.namespace, origin.kind, origin.name, gap.what);
        let text = format!("{} ({}).", gap.what, bend_word(gap.bends));
        let places = vec![origin.clone()];
        all.push(Told { id: "new-gap", severity: Severity::Low, subject, text, places });
    }
    for other in comparison.other_conditions() {
        let ((old, before), (new, after)) = (other.old, other.new);
        let subject = format!("{}/{}/{} {}", new.namespace, new.kind, new.name, new.rule);
        let text = format!("{subject} passes under other conditions: {after}, was {before}");
        let cause = Cause { what: What::RuleChanged, old: Some(old), new: Some(new) };
        all.push(told("other-conditions", Severity::Medium, subject, text, &[cause], fallback));
    }
    for flow in comparison.replay.iter().flat_map(|replay| &replay.breaks) {
        let subject = format!("{} -> {} {}", flow.from, flow.to, flow.traffic);
        let text = format!("{subject} was seen in {} and would be denied", words::flows(flow.flows));
        all.push(told("flow-breaks", Severity::High, subject, text, &[], fallback));
    }
    all
}

/// A change with its causes behind it; where they name no line, another place stands for it.
fn told(
    id: &'static str,
    severity: Severity,
    subject: String,
    text: String,
    causes: &[Cause],
    fallback: Option<&Origin>,
) -> Told {
    let because = cause_texts(causes);
    let text = match because.is_empty() {
        true => format!("{text}."),
        false => format!("{text}. Because: {}.", because.join("; ")),
    };
    let own = causes.iter().filter_map(|cause| cause.new.as_ref().or(cause.old.as_ref()));
    let mut places: Vec<Origin> = own.cloned().collect();
    if places.is_empty() {
        places.extend(fallback.cloned());
    }
    Told { id, severity, subject, text, places }
}
