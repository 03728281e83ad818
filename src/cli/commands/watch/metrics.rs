//! What is counted while a cluster is followed, in the text format of Prometheus.

use crate::check::{CHECKS, Severity};
use crate::report::event::Item;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Counters and gauges of a watch.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// Whether the API server answers: 0 or 1.
    pub connected: u8,
    pub objects: usize,
    pub workloads: usize,
    pub policies: usize,
    pub evaluations: u64,
    pub evaluating: Duration,
    pub last: Duration,
    pub events: BTreeMap<&'static str, u64>,
    findings: BTreeMap<(&'static str, &'static str), usize>,
    gaps: usize,
    problems: usize,
}

impl Metrics {
    /// At the beginning: nothing is known, and nothing is lost.
    pub fn connected() -> Metrics {
        Metrics { connected: 1, ..Metrics::default() }
    }

    /// Counts what stands now; checks that find nothing are shown as 0, so that alerts can rest on them.
    pub fn count<'a>(&mut self, items: impl Iterator<Item = &'a Item>) {
        let none = CHECKS.iter().map(|check| ((check.name(), check.severity().word()), 0));
        self.findings = none.collect();
        (self.gaps, self.problems) = (0, 0);
        for item in items {
            match item.what {
                "finding" => *self.findings.entry((item.check, item.severity)).or_default() += 1,
                "gap" => self.gaps += 1,
                _ => self.problems += 1,
            }
        }
    }

    /// The page of `/metrics`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        family(&mut text, "findings", "gauge", "Findings that stand now.");
        for ((check, severity), count) in &self.findings {
            let _ =
                writeln!(text, "watertight_findings{{check=\"{check}\",severity=\"{severity}\"}} {count}");
        }
        family(&mut text, "events_total", "counter", "Events of findings, gaps and problems.");
        for (event, count) in &self.events {
            let _ = writeln!(text, "watertight_events_total{{event=\"{event}\"}} {count}");
        }
        let seconds = |duration: Duration| format!("{:.6}", duration.as_secs_f64());
        let single: [(&str, &str, &str, String); 9] = [
            ("connected", "gauge", "Whether the API server answers.", self.connected.to_string()),
            ("gaps", "gauge", "What is not known.", self.gaps.to_string()),
            ("problems", "gauge", "Objects that cannot be used.", self.problems.to_string()),
            ("objects", "gauge", "Objects of the cluster that are read.", self.objects.to_string()),
            ("workloads", "gauge", "Workloads.", self.workloads.to_string()),
            ("policies", "gauge", "Policies.", self.policies.to_string()),
            ("evaluations_total", "counter", "How often all was judged.", self.evaluations.to_string()),
            ("evaluation_seconds_total", "counter", "Time that took.", seconds(self.evaluating)),
            ("last_evaluation_seconds", "gauge", "Time that the last one took.", seconds(self.last)),
        ];
        for (name, kind, help, value) in single {
            family(&mut text, name, kind, help);
            let _ = writeln!(text, "watertight_{name} {value}");
        }
        text
    }

    /// Whether a finding of this severity or a worse one stands.
    pub fn worst<'a>(items: impl Iterator<Item = &'a Item>) -> Option<Severity> {
        let severity = |item: &Item| Severity::ALL.into_iter().find(|one| one.word() == item.severity);
        items.filter_map(severity).max()
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP watertight_{name} {help}\n# TYPE watertight_{name} {kind}");
}
