//! SARIF 2.1.0 for code-scanning views: a rule for each check, file and line on every result.

use super::json::fingerprint_of;
use super::names::justification;
use super::{Format, View, ViewKind, unsupported};
use crate::analysis::Analysis;
use crate::check::{CHECKS, Check, Excepted, Finding, Severity};
use crate::model::Origin;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// For code scanning.
pub struct Sarif;

impl Format for Sarif {
    fn name(&self) -> &'static str {
        "sarif"
    }

    fn summary(&self) -> &'static str {
        "SARIF 2.1.0, for code-scanning views"
    }

    fn writes(&self) -> &'static [ViewKind] {
        &[ViewKind::Review, ViewKind::Diff, ViewKind::Drift]
    }

    fn escapes(&self) -> bool {
        true
    }

    fn write(&self, view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
        match view {
            View::Review(analysis) => {
                serde_json::to_writer_pretty(&mut *out, &log(analysis))?;
                out.write_all(b"\n")
            }
            View::Diff(comparison) => super::diff::write_sarif(comparison, out),
            View::Drift(drift) => super::drift::write_sarif(drift, out),
            other => Err(unsupported(self.name(), other.kind())),
        }
    }
}

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
struct Run {
    tool: Tool,
    #[serde(rename = "columnKind")]
    column_kind: &'static str,
    invocations: [Invocation; 1],
    results: Vec<ResultShape>,
}

/// §3.20: whether all of the input was read, and what the results do not tell.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_execution_notifications: Vec<Notification>,
}

/// §3.58: something that could not be read, or that is not known.
#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Message,
    locations: [NotificationLocation; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotificationLocation {
    physical_location: Physical,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    information_uri: &'static str,
    rules: Vec<RuleShape>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleShape {
    id: &'static str,
    short_description: Message,
    help: Help,
    default_configuration: Configuration,
    properties: Properties,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Properties {
    tags: &'static [&'static str],
    #[serde(rename = "security-severity")]
    security_severity: &'static str,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

#[derive(Serialize)]
struct Help {
    text: &'static str,
    markdown: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultShape {
    rule_id: &'static str,
    level: &'static str,
    message: Message,
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    partial_fingerprints: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Suppression>,
}

/// SARIF 2.1.0 §3.35: somebody looked at the result and answers for it.
#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    status: &'static str,
    justification: String,
    location: SuppressionLocation,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SuppressionLocation {
    physical_location: Physical,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    physical_location: Physical,
    logical_locations: [Logical; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    fully_qualified_name: String,
}

fn log(analysis: &Analysis) -> Log {
    let rules = CHECKS.iter().map(|check| rule(*check)).collect();
    let driver = Driver {
        name: "watertight",
        version: env!("CARGO_PKG_VERSION"),
        information_uri: "https://crates.io/crates/watertight",
        rules,
    };
    Log {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool { driver },
            column_kind: "utf16CodeUnits",
            invocations: [invocation(analysis)],
            results: {
                let open = analysis.findings.iter().map(|f| result(analysis, f));
                open.chain(analysis.excepted.iter().map(|one| suppressed(analysis, one))).collect()
            },
        }],
    }
}

fn invocation(analysis: &Analysis) -> Invocation {
    let note = |level, text: String, origin: &Origin| Notification {
        level,
        message: Message { text },
        locations: [NotificationLocation { physical_location: physical(origin) }],
    };
    let unread = analysis.problems.iter().map(|problem| {
        let hint = if problem.hint.is_empty() { String::new() } else { format!(" Hint: {}", problem.hint) };
        note("error", format!("Not read: {problem}.{hint}"), &problem.origin)
    });
    let unknown =
        analysis.gaps.iter().map(|gap| note("warning", format!("Not known: {}.", gap.what), &gap.origin));
    Invocation {
        execution_successful: analysis.problems.is_empty(),
        tool_execution_notifications: unread.chain(unknown).collect(),
    }
}

fn rule(check: &'static dyn Check) -> RuleShape {
    RuleShape {
        id: check.name(),
        short_description: Message { text: check.summary().to_owned() },
        help: Help { text: check.page(), markdown: check.page() },
        default_configuration: Configuration { level: level(check.severity()) },
        properties: Properties { tags: check.controls(), security_severity: score(check.severity()) },
    }
}

fn result(analysis: &Analysis, finding: &Finding) -> ResultShape {
    let mut places: Vec<&Origin> = finding.because.iter().collect();
    if places.is_empty() {
        // A result must stand somewhere: the first object that was read stands for the whole.
        places.extend(analysis.inventory.workloads.first().map(|workload| &workload.origin));
    }
    let rest = places.iter().skip(1).enumerate().map(|(id, origin)| location(origin, finding, Some(id + 1)));
    ResultShape {
        rule_id: finding.check,
        level: level(finding.severity),
        message: Message { text: format!("{}: {} Fix: {}", finding.subject, finding.message, finding.fix) },
        related_locations: rest.collect(),
        locations: places.first().map(|origin| location(origin, finding, None)).into_iter().collect(),
        partial_fingerprints: [("watertight/v1", fingerprint_of(finding))].into(),
        suppressions: Vec::new(),
    }
}

/// An excepted finding: a result that code-scanning views keep closed.
fn suppressed(analysis: &Analysis, one: &Excepted) -> ResultShape {
    let exception = &analysis.contract.exceptions[one.exception];
    let physical_location = physical(&exception.origin);
    let suppression = Suppression {
        kind: "external",
        status: "accepted",
        justification: justification(exception),
        location: SuppressionLocation { physical_location },
    };
    ResultShape { suppressions: vec![suppression], ..result(analysis, &one.finding) }
}

fn physical(origin: &Origin) -> Physical {
    Physical {
        artifact_location: Artifact { uri: place(origin) },
        region: Region { start_line: origin.line.max(1) },
    }
}

fn location(origin: &Origin, finding: &Finding, id: Option<usize>) -> Location {
    Location {
        id,
        physical_location: physical(origin),
        logical_locations: [Logical { fully_qualified_name: finding.subject.clone() }],
    }
}

/// Where an object stands: its file, or for an object of a live cluster a path that is the same at
/// every run, `cluster/prod/shop/NetworkPolicy/web`; objects without namespace stand under `_`.
pub(super) fn place(origin: &Origin) -> String {
    let Some(cluster) = origin.cluster() else { return uri(&origin.file) };
    let namespace = if origin.namespace.is_empty() { "_" } else { &*origin.namespace };
    let parts = [cluster, namespace, &*origin.kind, &*origin.name].map(|part| uri(part).replace('/', "%2F"));
    format!("cluster/{}", parts.join("/"))
}

/// A relative reference as RFC 3986 allows it.
fn uri(file: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let trimmed = file.strip_prefix("./").unwrap_or(file);
    let one = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    trimmed.bytes().map(one).collect()
}

pub(super) fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.0",
        Severity::Low => "2.0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_a_cluster_have_places_of_their_own() {
        let origin = |file: &str, namespace: &str| Origin {
            file: file.into(),
            document: 1,
            line: 0,
            column: 0,
            kind: "NetworkPolicy".into(),
            namespace: namespace.into(),
            name: "web".into(),
            rule: "".into(),
        };
        assert_eq!(place(&origin("cluster:prod", "shop")), "cluster/prod/shop/NetworkPolicy/web");
        assert_eq!(
            place(&origin("cluster:arn:aws/prod", "")),
            "cluster/arn%3Aaws%2Fprod/_/NetworkPolicy/web"
        );
        assert_eq!(place(&origin("./a b.yaml", "shop")), "a%20b.yaml");
    }
}
