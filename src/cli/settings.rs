//! What was typed, made sense of: formats, files, thresholds, ends.

use super::Failure;
use super::args::{By, Common, FailOn, What};
use crate::analysis::Analysis;
use crate::check::{CHECKS, Severity};
use crate::contract::{Date, Known};
use crate::model::closest;
use crate::policy::{Dataplane, DataplaneKind, Found};
use crate::report::{self, FORMATS, Format, ViewKind};
use crate::source::LiveOptions;
use std::path::PathBuf;
use std::time::Duration;

/// One report to write.
pub struct Target {
    /// The format.
    pub format: &'static dyn Format,
    /// Whether Graphviz draws it afterwards.
    pub drawing: Drawing,
    /// Where to; standard output where `None`.
    pub file: Option<PathBuf>,
}

/// What becomes of DOT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// It is the output.
    AsText,
    /// Graphviz makes an SVG of it.
    Svg,
}

/// All reports that were asked for, of a command that writes one kind: a format that has no such
/// report is refused before anything is read.
pub fn targets_for(common: &Common, kind: ViewKind) -> Result<Vec<Target>, Failure> {
    let all = targets(common)?;
    let refused = all.iter().find(|target| !target.format.writes().contains(&kind));
    let Some(Target { format, drawing, .. }) = refused else { return Ok(all) };
    let asked = if *drawing == Drawing::Svg { "svg" } else { format.name() };
    Err(Failure::usage(report::has_none(asked, kind), format!("one of {}", formats_of(kind).join(", "))))
}

/// What a command writes that has no kind of report: `formats` are the words that it takes, of
/// which the first is the default.
pub fn only_output<'a>(common: &Common, command: &str, formats: &[&'a str]) -> Result<&'a str, Failure> {
    if !common.report.is_empty() {
        return Err(Failure::usage(format!("{command} writes one thing"), "-o FILE says where to"));
    }
    let asked = common.format.as_deref().or(formats.first().copied()).unwrap_or_default();
    let known = formats.iter().find(|format| **format == asked);
    known.copied().ok_or_else(|| {
        let hint = format!("one of {}", formats.join(", "));
        Failure::usage(format!("the format {asked} has no {command} report"), hint)
    })
}

/// The formats that have a kind of report, with what Graphviz makes of one.
pub fn formats_of(kind: ViewKind) -> Vec<&'static str> {
    let has_it = |format: &&&dyn Format| format.writes().contains(&kind);
    let names: Vec<&str> = FORMATS.iter().filter(has_it).map(|format| format.name()).collect();
    let drawn = names.contains(&"dot").then_some("svg");
    names.into_iter().chain(drawn).collect()
}

/// All reports that were asked for; the default format goes to standard output.
pub fn targets(common: &Common) -> Result<Vec<Target>, Failure> {
    let first = common.format.as_deref().unwrap_or("text");
    let mut all = vec![target(first, common.output.clone())?];
    for report in &common.report {
        let Some((format, file)) = report.split_once('=') else {
            return Err(Failure::usage(
                format!("--report {report} names no file"),
                "--report sarif=report.sarif",
            ));
        };
        all.push(target(format, Some(file.into()))?);
    }
    Ok(all)
}

fn target(name: &str, file: Option<PathBuf>) -> Result<Target, Failure> {
    let (word, drawing) = if name == "svg" { ("dot", Drawing::Svg) } else { (name, Drawing::AsText) };
    match FORMATS.iter().find(|format| format.name() == word) {
        Some(format) => Ok(Target { format: *format, drawing, file }),
        None => {
            let names: Vec<&str> = FORMATS.iter().map(|f| f.name()).chain(["svg"]).collect();
            Err(Failure::usage(
                format!("there is no format {name:?}"),
                format!("one of {}", names.join(", ")),
            ))
        }
    }
}

/// The dataplane behind `--engine`; `None` for `auto`, which the documents decide.
pub fn dataplane(name: &str) -> Result<Option<Dataplane>, Failure> {
    if name == "auto" {
        return Ok(None);
    }
    let chosen = |kind| Dataplane { found: Found::Chosen, ..Dataplane::new(kind) };
    DataplaneKind::from_name(name).map(|kind| Some(chosen(kind))).ok_or_else(|| {
        let names: Vec<&str> = DataplaneKind::all().map(DataplaneKind::name).collect();
        let hint = format!("auto, {}", names.join(", "));
        Failure::usage(format!("there is no engine {name:?}"), hint)
    })
}

/// Words of other rooms that a contract may use.
pub fn known_to_contracts() -> Known<'static> {
    Known {
        checks: CHECKS.iter().map(|check| check.name()).collect(),
        engines: DataplaneKind::all().map(DataplaneKind::name).collect(),
    }
}

/// The day of `--today`, or of the clock.
#[expect(clippy::disallowed_methods, reason = "the one place that asks which day it is")]
pub fn today(common: &Common) -> Result<Date, Failure> {
    match &common.today {
        Some(text) => Date::parse(text)
            .ok_or_else(|| Failure::usage(format!("--today {text:?} is no date"), "--today 2027-06-30")),
        None => {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            Ok(since.map_or(Date::EPOCH, |since| Date::from_unix_days(since.as_secs() / 86_400)))
        }
    }
}

/// The time of the clock, as RFC 3339 in UTC to the second.
#[expect(clippy::disallowed_methods, reason = "snapshots and events say when they were taken")]
pub fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    let (day, rest) = (Date::from_unix_days(seconds / 86_400), seconds % 86_400);
    format!("{day}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Whether an analysis reaches the threshold.
pub fn fails(common: &Common, analysis: &Analysis) -> bool {
    let gaps = common.strict && common.fail_on != FailOn::Never && !analysis.gaps.is_empty();
    gaps || reaches(common, analysis.findings.iter().map(|finding| finding.severity).max())
}

/// Whether the worst that was found reaches the threshold.
pub fn reaches(common: &Common, worst: Option<Severity>) -> bool {
    let least = match common.fail_on {
        FailOn::Low => Severity::Low,
        FailOn::Medium => Severity::Medium,
        FailOn::High => Severity::High,
        FailOn::Critical => Severity::Critical,
        FailOn::Never => return false,
    };
    worst.is_some_and(|worst| worst >= least)
}

/// How to show a graph.
pub fn graph_options(
    args: &super::args::Graph,
    analysis: &Analysis,
) -> Result<report::GraphOptions, Failure> {
    let focus = args.focus.as_deref().map(|name| workload(analysis, name)).transpose()?;
    if let Some(namespace) = &args.namespace
        && !analysis.inventory.namespaces.contains_key(namespace)
    {
        let known: Vec<&str> = analysis.inventory.namespaces.keys().map(String::as_str).collect();
        let hint = format!("there are {}", known.join(", "));
        return Err(Failure::usage(format!("no namespace {namespace:?} was read"), hint));
    }
    Ok(report::GraphOptions {
        what: match args.what {
            What::Allowed | What::Potential => report::What::Allowed,
            What::Observed => report::What::Observed,
            What::Overlay => report::What::Overlay,
            What::Exposure => report::What::Exposure,
        },
        by: match args.by {
            None => report::By::Automatic,
            Some(By::Workload) => report::By::Workload,
            Some(By::Class) => report::By::Class,
            Some(By::Namespace) => report::By::Namespace,
            Some(By::Segment) => report::By::Segment,
        },
        focus,
        namespace: args.namespace.clone(),
    })
}

/// Whether a word is rather a file or folder than a workload.
fn looks_like_path(text: &str) -> bool {
    text.starts_with(['/', '.']) || [".yaml", ".yml", ".json"].iter().any(|ending| text.ends_with(ending))
}

/// What somebody meant who named something else than a workload: a pod, a service, an address.
fn what_it_is(analysis: &Analysis, parts: &[&str]) -> Option<String> {
    let inventory = &analysis.inventory;
    let (namespace, kind, name) = match parts {
        [namespace, name] => (*namespace, "", *name),
        [namespace, kind, name] => (*namespace, *kind, *name),
        [word] if ["outside", "any", "world", "internet", "*"].contains(word) => {
            return Some("for everybody outside of the cluster ask for 0.0.0.0/0 or ::/0".to_owned());
        }
        [word] if word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.') => {
            return Some("an address has four numbers from 0 to 255: 10.0.0.1".to_owned());
        }
        _ => return None,
    };
    let is_kind = |wanted: &str| kind.is_empty() || kind.eq_ignore_ascii_case(wanted);
    let has_pod = |index: &usize| {
        let workload = &inventory.workloads[*index];
        let pods = || workload.variants.iter().any(|variant| variant.pods.contains(name));
        workload.name.namespace == namespace && pods()
    };
    if let Some(owner) = (0..inventory.workloads.len()).filter(|_| is_kind("Pod")).find(has_pod) {
        return Some(format!("{name} is a pod of {}: ask for that", inventory.workloads[owner].name));
    }
    let mut services = inventory.services.iter().filter(|_| is_kind("Service"));
    let service = services.find(|service| service.namespace == namespace && service.name == name)?;
    let behind: std::collections::BTreeSet<String> =
        inventory.backends(service).map(|(index, _)| inventory.workloads[index].name.to_string()).collect();
    let those = behind.into_iter().take(5).collect::<Vec<_>>().join(", ");
    let tail = if those.is_empty() { "nobody who was read".to_owned() } else { those };
    Some(format!("{namespace}/{name} is a service; ask for a workload behind it: {tail}"))
}

/// The workload behind `namespace/name` or `namespace/Kind/name`.
pub fn workload(analysis: &Analysis, text: &str) -> Result<usize, Failure> {
    let parts: Vec<&str> = text.split('/').collect();
    let fits = |name: &crate::model::EndpointName| match parts.as_slice() {
        [namespace, wanted] => name.namespace == *namespace && name.name == *wanted,
        [namespace, kind, wanted] => {
            name.namespace == *namespace && name.kind.eq_ignore_ascii_case(kind) && name.name == *wanted
        }
        _ => false,
    };
    let workloads = &analysis.inventory.workloads;
    let found: Vec<usize> = (0..workloads.len()).filter(|index| fits(&workloads[*index].name)).collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => {
            let last = parts.last().copied().unwrap_or_default();
            let near = workloads.iter().map(|w| w.name.to_string()).filter(|n| n.contains(last)).take(5);
            let mut near: Vec<String> = near.collect();
            if near.is_empty() {
                let slip = closest(last, workloads.iter().map(|w| w.name.name.as_str()));
                let meant = workloads.iter().filter(|w| Some(w.name.name.as_str()) == slip).take(5);
                near.extend(meant.map(|w| w.name.to_string()));
            }
            let known = what_it_is(analysis, &parts);
            let hint = match near.is_empty() {
                _ if known.is_some() => known.unwrap_or_default(),
                true if looks_like_path(text) => "name the workloads first, then the files".to_owned(),
                true => "workloads are written namespace/name or namespace/Kind/name".to_owned(),
                false => format!("did you mean {}?", near.join(", ")),
            };
            Err(Failure::usage(format!("no workload {text:?} was read"), hint))
        }
        several => {
            let names: Vec<String> = several.iter().map(|i| workloads[*i].name.to_string()).collect();
            Err(Failure::usage(format!("{text:?} names several workloads"), names.join(", ")))
        }
    }
}

/// What to capture, and until when.
pub fn live(args: &super::args::CaptureLive) -> Result<LiveOptions, Failure> {
    let duration = args.duration.as_deref().map(|text| {
        duration(text)
            .ok_or_else(|| Failure::usage(format!("{text:?} is no time"), "90s, 5m, 2h, or seconds"))
    });
    Ok(LiveOptions {
        interfaces: args.interface.clone(),
        filter: args.filter.clone(),
        snaplen: args.snaplen,
        buffer_mib: args.buffer,
        duration: duration.transpose()?,
        count: args.count,
    })
}

/// `90s`, `5m`, `2h`, or seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(['s', 'm', 'h']);
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_secs)
}

/// Whether the terminal obeys escape sequences, as all do that say what they are, but dumb ones.
#[expect(clippy::disallowed_methods, reason = "terminals are described in the environment")]
pub fn can_draw() -> bool {
    std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb")
}

/// Whether somebody set `NO_COLOR` (no-color.org): to anything but nothing.
#[expect(clippy::disallowed_methods, reason = "it is a wish in the environment")]
pub fn colours_are_unwanted() -> bool {
    std::env::var("NO_COLOR").is_ok_and(|wish| !wish.is_empty())
}
