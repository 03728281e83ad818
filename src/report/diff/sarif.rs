//! `diff` as SARIF 2.1.0: a rule for each kind of change, at the file and line of its cause.

use super::{
    Comparison, KINDS, cause_text, end_text, isolation_severity, isolation_text, traffic_text, ways_in, word,
};
use crate::check::Severity;
use crate::graph::diff::{Cause, Isolated, What};
use crate::model::Origin;
use crate::report::names::{bend_word, fingerprint};
use crate::report::sarif::{level, place};
use serde_json::{Value, json};
use std::io::{self, Write};

pub(in crate::report) fn write(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let kinds = KINDS.iter().map(|(_, word, summary)| (*word, *summary));
    let isolation = [
        ("loses-isolation", "What no rule names is open where it was closed."),
        ("gains-isolation", "What no rule names is closed where it was open."),
        ("other-conditions", "A rule lets its traffic pass under other conditions above packets."),
        ("node-encryption", "Encryption between nodes is no longer the same."),
        ("flow-breaks", "A connection that was observed would be denied."),
    ];
    let ways = ways_in::WORDS.iter().map(|(_, word, summary)| (*word, *summary));
    let gaps = [("new-gap", "Something is not known of the new version that was known of the old one.")];
    let rules: Vec<Value> = kinds
        .chain(isolation)
        .chain(ways)
        .chain(gaps)
        .map(|(id, text)| json!({"id": format!("diff-{id}"), "shortDescription": {"text": text}}))
        .collect();
    let driver = json!({
        "name": "watertight",
        "version": env!("CARGO_PKG_VERSION"),
        "informationUri": "https://crates.io/crates/watertight",
        "rules": rules,
    });
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": results(comparison)}],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    out.write_all(b"\n")
}

fn results(comparison: &Comparison<'_>) -> Vec<Value> {
    let diff = &comparison.diff;
    let somewhere = comparison.new.inventory.workloads.first().or(comparison.old.inventory.workloads.first());
    let fallback = somewhere.map(|workload| &workload.origin);
    let mut all = Vec::new();
    for change in &diff.isolation {
        let id = if change.now == Isolated::No { "loses-isolation" } else { "gains-isolation" };
        let text = isolation_text(change);
        all.push(result(id, isolation_severity(change), &text, &text, &change.causes, fallback));
    }
    for pair in &diff.pairs {
        let subject = format!("{} -> {}", end_text(&pair.from), end_text(&pair.to));
        let text = format!("{subject}: {}", traffic_text(pair));
        all.push(result(word(pair.kind), comparison.severity(pair), &subject, &text, &pair.causes, fallback));
    }
    if let (Some(severity), Some(text)) = (super::encryption_severity(diff), super::encryption_text(diff)) {
        all.push(result("node-encryption", severity, "cluster", &text, &[], fallback));
    }
    for change in comparison.ways_in() {
        let subject = ways_in::subject(&change);
        let text = format!("{subject}: {}", ways_in::lines(comparison, &change).join("; "));
        let severity = ways_in::severity(comparison, &change);
        let places = ways_in::places(&change);
        all.push(placed(ways_in::word(change.how), severity, &subject, &format!("{text}."), &places));
    }
    for gap in comparison.gap_changes().new {
        let origin = &gap.origin;
        let subject = format!("{}/{}/{} {}", origin.namespace, origin.kind, origin.name, gap.what);
        let text = format!("{} ({}).", gap.what, bend_word(gap.bends));
        all.push(placed("new-gap", Severity::Low, &subject, &text, &[origin]));
    }
    for other in comparison.other_conditions() {
        let ((old, before), (new, after)) = (other.old, other.new);
        let subject = format!("{}/{}/{} {}", new.namespace, new.kind, new.name, new.rule);
        let text = format!("{subject} passes under other conditions: {after}, was {before}");
        let cause = Cause { what: What::RuleChanged, old: Some(old), new: Some(new) };
        all.push(result("other-conditions", Severity::Medium, &subject, &text, &[cause], fallback));
    }
    for flow in comparison.replay.iter().flat_map(|replay| &replay.breaks) {
        let subject = format!("{} -> {} {}", flow.from, flow.to, flow.traffic);
        let text = format!("{subject} was seen in {} flows and would be denied", flow.flows);
        all.push(result("flow-breaks", Severity::High, &subject, &text, &[], fallback));
    }
    all
}

fn result(
    id: &str,
    severity: Severity,
    subject: &str,
    text: &str,
    causes: &[Cause],
    fallback: Option<&Origin>,
) -> Value {
    let because: Vec<String> = causes.iter().map(cause_text).collect();
    let text = match because.is_empty() {
        true => format!("{text}."),
        false => format!("{text}. Because: {}.", because.join("; ")),
    };
    let mut places: Vec<&Origin> = causes.iter().filter_map(|c| c.new.as_ref().or(c.old.as_ref())).collect();
    if places.is_empty() {
        places.extend(fallback);
    }
    placed(id, severity, subject, &text, &places)
}

fn placed(id: &str, severity: Severity, subject: &str, text: &str, places: &[&Origin]) -> Value {
    let location = |origin: &&Origin| {
        json!({
            "physicalLocation": {
                "artifactLocation": {"uri": place(origin)},
                "region": {"startLine": origin.line.max(1)},
            },
            "logicalLocations": [{"fullyQualifiedName": subject}],
        })
    };
    let rest: Vec<Value> = places.iter().skip(1).map(location).collect();
    json!({
        "ruleId": format!("diff-{id}"),
        "level": level(severity),
        "message": {"text": text},
        "locations": places.iter().take(1).map(location).collect::<Vec<_>>(),
        "relatedLocations": rest,
        "partialFingerprints": {"watertight/v1": fingerprint(&["diff", id, subject])},
    })
}
