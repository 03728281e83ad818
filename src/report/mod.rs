//! What people and programs read: one file for each format, and a table of them.
//!
//! Serialisable shapes are private to each file. Output depends on the analysis alone.

mod csv;
pub mod diff;
mod dot;
mod drawing;
pub mod drift;
pub mod event;
pub mod explain;
mod exposure;
mod flow_record;
mod folded;
mod html;
mod in_turns;
pub mod json;
mod junit;
mod line;
mod markdown;
mod markup;
mod mermaid;
mod names;
mod outbound;
mod outside;
mod passing;
mod potential;
mod printable;
mod protection;
pub mod reach;
mod sarif;
mod seen;
mod shown;
mod snippet;
pub mod suggestion;
mod text;
mod told;
mod words;

pub use exposure::{dead_end_line, exposure_line};
pub use flow_record::Record;
pub use json::fingerprint_of;
pub use names::{called_name, flow_line, party_name, time_text as moment};
pub use printable::{Printable, printable};
pub use text::{finding as finding_text, headline, not_known};
pub use told::{finding_line, gap_line};

use crate::analysis::Analysis;
use std::io::{self, Write};

/// A format: any of the three kinds of report that it can write.
pub trait Format: Sync {
    /// The word that `--format` takes.
    fn name(&self) -> &'static str;
    /// One line on what it is for.
    fn summary(&self) -> &'static str;
    /// What it can write: what it is asked for besides is `Unsupported`.
    fn writes(&self) -> &'static [ViewKind];
    /// Whether its own rules keep names from doing anything where it is shown, so that each is
    /// written as it is.
    fn escapes(&self) -> bool {
        false
    }

    /// Writes in this format.
    ///
    /// # Errors
    /// Those of the writer, and `Unsupported` where the format has no such report.
    fn write(&self, view: &View<'_>, out: &mut dyn Write) -> io::Result<()>;
}

/// The kinds of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKind {
    Review,
    Graph,
    Flows,
    Explain,
    Potential,
    Diff,
    Drift,
}

impl ViewKind {
    /// All of them.
    pub const ALL: &[ViewKind] = &[
        ViewKind::Review,
        ViewKind::Graph,
        ViewKind::Flows,
        ViewKind::Explain,
        ViewKind::Potential,
        ViewKind::Diff,
        ViewKind::Drift,
    ];

    /// In a word, as in "has no flow report".
    pub fn word(self) -> &'static str {
        match self {
            ViewKind::Review => "review",
            ViewKind::Graph => "graph",
            ViewKind::Flows => "flow",
            ViewKind::Explain => "explain",
            ViewKind::Potential => "potential",
            ViewKind::Diff => "diff",
            ViewKind::Drift => "drift",
        }
    }
}

/// What is to be written.
pub enum View<'a> {
    /// The review: findings, gaps, problems.
    Review(&'a Analysis),
    /// The graph.
    Graph(&'a Analysis, &'a GraphOptions),
    /// The observed flows.
    Flows(&'a Analysis),
    /// Why two ends may or may not talk.
    Explain(&'a Analysis, &'a explain::Answer),
    /// Whom rules name that does not exist.
    Potential(&'a Analysis, &'a GraphOptions),
    /// What a change of configuration does.
    Diff(&'a diff::Comparison<'a>),
    /// What differs between the declared and the live configuration.
    Drift(&'a drift::Drift<'a>),
}

impl View<'_> {
    /// Which kind of report it is.
    fn kind(&self) -> ViewKind {
        match self {
            View::Review(_) => ViewKind::Review,
            View::Graph(..) => ViewKind::Graph,
            View::Flows(_) => ViewKind::Flows,
            View::Explain(..) => ViewKind::Explain,
            View::Potential(..) => ViewKind::Potential,
            View::Diff(_) => ViewKind::Diff,
            View::Drift(_) => ViewKind::Drift,
        }
    }
}

/// How a graph is shown.
#[derive(Clone, Debug, Default)]
pub struct GraphOptions {
    /// Allowed, observed, or one over the other.
    pub what: What,
    /// What a node of the drawing stands for.
    pub by: By,
    /// Only connections of this workload, by index.
    pub focus: Option<usize>,
    /// Only connections of this namespace.
    pub namespace: Option<String>,
}

/// What a graph shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// What configuration permits.
    #[default]
    Allowed,
    /// What was seen.
    Observed,
    /// What was seen over what is permitted.
    Overlay,
    /// What can be reached from outside.
    Exposure,
}

impl What {
    /// As `--what` takes it.
    pub fn word(self) -> &'static str {
        match self {
            What::Allowed => "allowed",
            What::Observed => "observed",
            What::Overlay => "overlay",
            What::Exposure => "exposure",
        }
    }

    /// Whether what configuration permits is part of it.
    fn has_allowed(self) -> bool {
        matches!(self, What::Allowed | What::Overlay)
    }

    /// Whether what was seen is part of it.
    fn has_observed(self) -> bool {
        matches!(self, What::Observed | What::Overlay)
    }
}

/// What a node of a drawing stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Workloads, unless there are too many to read.
    #[default]
    Automatic,
    /// Workloads.
    Workload,
    /// Workloads that are treated alike, as one.
    Class,
    /// Namespaces.
    Namespace,
    /// Workloads, in clusters of their segments.
    Segment,
}

/// All formats, those for people first.
pub const FORMATS: &[&dyn Format] = &[
    &text::Text,
    &markdown::Markdown,
    &html::Html,
    &json::Json,
    &sarif::Sarif,
    &junit::Junit,
    &dot::Dot,
    &mermaid::Mermaid,
    &csv::Csv,
];

/// Says that a format has no such report.
pub fn has_none(format: &str, report: ViewKind) -> String {
    format!("the format {format} has no {} report", report.word())
}

fn unsupported(format: &str, report: ViewKind) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, has_none(format, report))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_unique_lower_case_names_and_a_summary() {
        let names: std::collections::BTreeSet<_> = FORMATS.iter().map(|f| f.name()).collect();
        assert_eq!(names.len(), FORMATS.len());
        assert!(FORMATS.iter().all(|f| f.name() == f.name().to_lowercase() && !f.summary().is_empty()));
    }
}
