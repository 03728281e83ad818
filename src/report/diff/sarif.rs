//! `diff` as SARIF 2.1.0: a rule for each kind of change, at the file and line of its cause.

use super::Comparison;
use super::results::{Told, results, rules};
use crate::model::{Origin, Problem};
use crate::report::names::fingerprint;
use crate::report::sarif::{level, place};
use serde_json::{Value, json};
use std::io::{self, Write};

pub(in crate::report) fn write(comparison: &Comparison<'_>, out: &mut dyn Write) -> io::Result<()> {
    let rule = |(id, text)| json!({"id": format!("diff-{id}"), "shortDescription": {"text": text}});
    let driver = json!({
        "name": "watertight",
        "version": env!("CARGO_PKG_VERSION"),
        "informationUri": "https://crates.io/crates/watertight",
        "rules": rules().into_iter().map(rule).collect::<Vec<Value>>(),
    });
    let results: Vec<Value> = results(comparison).iter().map(result).collect();
    let unread: Vec<Value> = comparison.problems().into_iter().map(notification).collect();
    let invocation = json!({"executionSuccessful": unread.is_empty(), "toolExecutionNotifications": unread});
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "invocations": [invocation], "results": results}],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    out.write_all(b"\n")
}

fn notification(problem: &Problem) -> Value {
    json!({
        "level": "error",
        "message": {"text": format!("Not read: {problem}.")},
        "locations": [{"physicalLocation": physical(&problem.origin)}],
    })
}

fn physical(origin: &Origin) -> Value {
    json!({"artifactLocation": {"uri": place(origin)}, "region": {"startLine": origin.line.max(1)}})
}

fn result(told: &Told) -> Value {
    let Told { id, severity, subject, text, places } = told;
    let location = |origin: &Origin| {
        json!({
            "physicalLocation": physical(origin),
            "logicalLocations": [{"fullyQualifiedName": subject}],
        })
    };
    let rest: Vec<Value> = places.iter().skip(1).map(location).collect();
    json!({
        "ruleId": format!("diff-{id}"),
        "level": level(*severity),
        "message": {"text": text},
        "locations": places.iter().take(1).map(location).collect::<Vec<_>>(),
        "relatedLocations": rest,
        "partialFingerprints": {"watertight/v1": fingerprint(&["diff", id, subject])},
    })
}
