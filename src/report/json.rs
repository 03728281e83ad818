//! JSON, as `docs/reference/outputs.md` promises it to programs; additions only.

use super::names::{bend_word, end_name, fingerprint, is_all_ports, segment_sizes};
use super::passing::Passing;
use super::{Format, GraphOptions, View, ViewKind, What, exposure, flow_record, outbound, seen};
use crate::analysis::{Analysis, SecondaryNetwork};
use crate::check::{CHECKS, Excepted, Finding};
use crate::contract::{Kind, SegmentInfo};
use crate::exposure::{Access, Exposure};
use crate::graph::{self, Connection, End};
use crate::model::{Gap, Origin, Problem, Protocol, TrafficSet};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// For programs.
pub struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn summary(&self) -> &'static str {
        "for programs; flows as JSON Lines"
    }

    fn writes(&self) -> &'static [ViewKind] {
        ViewKind::ALL
    }

    fn escapes(&self) -> bool {
        true
    }

    fn write(&self, view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
        match view {
            View::Review(analysis) => line(out, &report(analysis)),
            View::Graph(analysis, options) => line(out, &graph_shape(analysis, options)),
            View::Flows(analysis) => flow_record::write(analysis, out),
            View::Potential(analysis, options) => super::potential::write_json(analysis, options, out),
            View::Diff(comparison) => super::diff::write_json(comparison, out),
            View::Drift(drift) => super::drift::write_json(drift, out),
            View::Explain(analysis, answer) => super::explain::write_json(analysis, answer, out),
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    summary: Summary,
    /// How edges are protected, where a mesh or encryption between nodes was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    protection: Option<super::protection::Shape>,
    findings: Vec<FindingShape<'a>>,
    exposures: Vec<ExposureShape<'a>>,
    gaps: Vec<GapShape<'a>>,
    problems: Vec<ProblemShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excepted: Vec<ExceptedShape<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    off: &'a BTreeMap<&'static str, usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    segments: Vec<SegmentShape<'a>>,
}

#[derive(Serialize)]
struct ExceptedShape<'a> {
    finding: FindingShape<'a>,
    why: &'a str,
    approved_by: &'a str,
    ticket: &'a str,
    expires: String,
    file: &'a str,
    line: u32,
}

#[derive(Serialize)]
struct SegmentShape<'a> {
    name: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sensitivity: Option<&'static str>,
    workloads: usize,
}

#[derive(Serialize)]
struct Summary {
    findings: BTreeMap<&'static str, usize>,
    namespaces: usize,
    workloads: usize,
    policies: usize,
    flows: usize,
    gaps: usize,
    problems: usize,
}

#[derive(Serialize)]
pub(super) struct FindingShape<'a> {
    check: &'a str,
    severity: &'a str,
    subject: &'a str,
    message: &'a str,
    because: Vec<Because<'a>>,
    controls: &'static [&'static str],
    fix: &'a str,
    fingerprint: String,
}

#[derive(Serialize)]
pub(super) struct Because<'a> {
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    rule: &'a str,
    file: &'a str,
    line: u32,
}

#[derive(Serialize)]
pub(super) struct ExposureShape<'a> {
    entry: String,
    kind: &'static str,
    controller: ControllerShape<'a>,
    hosts: Vec<&'a str>,
    paths: Vec<&'a str>,
    tls: &'static str,
    workload: String,
    ports: Traffic,
    open: bool,
    access: &'static str,
    why: &'static str,
    sources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    asked_sources: Vec<String>,
    because: Vec<Because<'a>>,
}

#[derive(Serialize)]
struct ControllerShape<'a> {
    name: &'a str,
    workloads: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct GapShape<'a> {
    what: &'a str,
    bends: &'static str,
    file: &'a str,
    line: u32,
}

#[derive(Serialize)]
pub(super) struct ProblemShape<'a> {
    message: &'a str,
    hint: &'a str,
    file: &'a str,
    line: u32,
}

#[derive(Serialize)]
struct Graph<'a> {
    schema: &'static str,
    /// What was asked for, where that is not what is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<&'static str>,
    dataplane: &'static str,
    endpoints: Vec<Endpoint>,
    connections: Passing<'a>,
    /// What was seen, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<Vec<seen::Shape>>,
    exposures: Vec<ExposureShape<'a>>,
    /// Calls to hosts outside that a mesh knows by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outbound: Vec<outbound::Call<'a>>,
    gaps: Vec<GapShape<'a>>,
    problems: Vec<ProblemShape<'a>>,
    /// Networks beside that of the cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    networks: Vec<NetworkShape<'a>>,
}

/// What may travel on one more network; its ends are endpoints of the graph.
#[derive(Serialize)]
struct NetworkShape<'a> {
    name: &'a str,
    connections: Passing<'a>,
}

#[derive(Serialize)]
struct Endpoint {
    id: String,
    kind: String,
    namespace: String,
    name: String,
    addresses: Vec<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Traffic {
    All(&'static str),
    Some(Vec<Ports>),
}

#[derive(Serialize)]
pub(super) struct Ports {
    protocol: String,
    ports: Vec<(u16, u16)>,
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

fn report(analysis: &Analysis) -> Report<'_> {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for finding in &analysis.findings {
        *counts.entry(finding.severity.word()).or_default() += 1;
    }
    Report {
        schema: "watertight/report/v1",
        summary: Summary {
            findings: counts,
            namespaces: analysis.inventory.namespaces.len(),
            workloads: analysis.inventory.workloads.len(),
            policies: analysis.policy_count(),
            flows: analysis.observed.flows.len(),
            gaps: analysis.gaps.len(),
            problems: analysis.problems.len(),
        },
        protection: super::protection::shape(analysis),
        findings: analysis.findings.iter().map(finding_shape).collect(),
        exposures: analysis.exposures.all.iter().map(|e| exposure_shape(analysis, e)).collect(),
        gaps: analysis.gaps.iter().map(gap_shape).collect(),
        problems: analysis.problems.iter().map(problem_shape).collect(),
        excepted: analysis.excepted.iter().map(|one| excepted_shape(analysis, one)).collect(),
        off: &analysis.off,
        segments: match analysis.contract.file.is_empty() {
            true => Vec::new(),
            false => segment_sizes(analysis).into_iter().map(segment_shape).collect(),
        },
    }
}

/// The fingerprint of a finding: of the check and the names, never of lines.
/// What a finding is known by in every run.
pub fn fingerprint_of(finding: &Finding) -> String {
    fingerprint(&[finding.check, &finding.subject, &finding.detail])
}

pub(super) fn finding_shape(finding: &Finding) -> FindingShape<'_> {
    let check = CHECKS.iter().find(|check| check.name() == finding.check);
    FindingShape {
        check: finding.check,
        severity: finding.severity.word(),
        subject: &finding.subject,
        message: &finding.message,
        because: finding.because.iter().map(because_shape).collect(),
        controls: check.map_or(&[], |check| check.controls()),
        fix: &finding.fix,
        fingerprint: fingerprint_of(finding),
    }
}

fn excepted_shape<'a>(analysis: &'a Analysis, one: &'a Excepted) -> ExceptedShape<'a> {
    let exception = &analysis.contract.exceptions[one.exception];
    ExceptedShape {
        finding: finding_shape(&one.finding),
        why: &exception.why,
        approved_by: &exception.approved_by,
        ticket: &exception.ticket,
        expires: exception.expires.to_string(),
        file: &exception.origin.file,
        line: exception.origin.line,
    }
}

fn segment_shape<'a>((segment, workloads): (&'a SegmentInfo, usize)) -> SegmentShape<'a> {
    let kind = match segment.kind {
        Kind::Declared => "declared",
        Kind::Namespace => "namespace",
        Kind::Network => "network",
        Kind::Outside => "outside",
    };
    let sensitivity = segment.sensitivity.map(|s| s.word());
    SegmentShape { name: &segment.name, kind, sensitivity, workloads }
}

pub(super) fn because_shape(origin: &Origin) -> Because<'_> {
    let Origin { file, document: _, line, column: _, kind, namespace, name, rule } = origin;
    Because { kind, namespace, name, rule, file, line: *line }
}

pub(super) fn exposure_shape<'a>(analysis: &Analysis, exposure: &'a Exposure) -> ExposureShape<'a> {
    let name = |workload: usize| analysis.inventory.workloads[workload].name.to_string();
    ExposureShape {
        entry: exposure.entry.to_string(),
        kind: exposure.kind.words(),
        controller: ControllerShape {
            name: &exposure.controller,
            workloads: exposure.controllers.iter().map(|w| name(*w)).collect(),
        },
        hosts: exposure.hosts.iter().map(String::as_str).collect(),
        paths: exposure.paths.iter().map(String::as_str).collect(),
        tls: exposure.tls.word(),
        workload: name(exposure.workload),
        ports: traffic_shape(&exposure.ports),
        open: matches!(exposure.access, Access::Open(_)),
        access: exposure.access.word(),
        why: exposure.access.why(),
        sources: exposure.sources.ranges().iter().map(ToString::to_string).collect(),
        asked_sources: exposure
            .asked_for()
            .map_or_else(Vec::new, |asked| asked.ranges().iter().map(ToString::to_string).collect()),
        because: exposure.because.iter().map(because_shape).collect(),
    }
}

pub(super) fn gap_shape(gap: &Gap) -> GapShape<'_> {
    GapShape { what: &gap.what, bends: bend_word(gap.bends), file: &gap.origin.file, line: gap.origin.line }
}

pub(super) fn problem_shape(problem: &Problem) -> ProblemShape<'_> {
    let Problem { origin, message, hint } = problem;
    ProblemShape { message, hint, file: &origin.file, line: origin.line }
}

fn graph_shape<'a>(analysis: &'a Analysis, options: &'a GraphOptions) -> Graph<'a> {
    let shown =
        move |connection: &Connection| options.what.has_allowed() && options.shows(analysis, connection);
    let outward = graph::outside(&analysis.graph, &analysis.inventory);
    let mut endpoints: Vec<Endpoint> = analysis.inventory.workloads.iter().map(workload_endpoint).collect();
    let mut outside: BTreeMap<String, Endpoint> = BTreeMap::new();
    for end in outward.iter().filter(|c| shown(c)).flat_map(|c| [&c.from, &c.to]) {
        let (name, addresses) = match end {
            End::Workload(_) => continue,
            End::External(addresses) => (String::new(), addresses.ranges()),
            End::Domain(domain) => (domain.to_string(), &[][..]),
        };
        let id = end_name(analysis, end);
        outside.entry(id.clone()).or_insert_with(|| Endpoint {
            id,
            kind: "External".to_owned(),
            namespace: String::new(),
            name,
            addresses: addresses.iter().map(ToString::to_string).collect(),
        });
    }
    let entries: BTreeMap<String, &Exposure> =
        exposure::shown(analysis, options).map(|e| (format!("entry:{}", e.entry), e)).collect();
    endpoints.extend(outside.into_values());
    endpoints.extend(entries.into_iter().map(|(id, e)| Endpoint {
        id,
        kind: "External".to_owned(),
        namespace: e.entry.namespace.clone(),
        name: e.entry.name.clone(),
        addresses: Vec::new(),
    }));
    Graph {
        schema: "watertight/graph/v1",
        what: (options.what != What::Allowed).then_some(options.what.word()),
        dataplane: analysis.graph.dataplane.kind.name(),
        endpoints,
        connections: Passing { analysis, shown: Box::new(shown) },
        observed: options.what.has_observed().then(|| seen::shapes(analysis, options)),
        exposures: exposure::shown(analysis, options).map(|e| exposure_shape(analysis, e)).collect(),
        outbound: if options.what.has_allowed() { outbound::calls(analysis) } else { Vec::new() },
        gaps: analysis.gaps.iter().map(gap_shape).collect(),
        problems: analysis.problems.iter().map(problem_shape).collect(),
        networks: match options.what.has_allowed() {
            true => analysis.networks.iter().map(network_shape).collect(),
            false => Vec::new(),
        },
    }
}

/// Who else is on the wire of such a network is not known: only pods are listed.
fn network_shape(network: &SecondaryNetwork) -> NetworkShape<'_> {
    let SecondaryNetwork { name, analysis } = network;
    let is_pod = |end: &End| matches!(end, End::Workload(_));
    let between = move |connection: &Connection| is_pod(&connection.from) && is_pod(&connection.to);
    NetworkShape { name, connections: Passing { analysis, shown: Box::new(between) } }
}

fn workload_endpoint(workload: &crate::analysis::Workload) -> Endpoint {
    let addresses: std::collections::BTreeSet<_> =
        workload.variants.iter().flat_map(|v| &v.addresses).collect();
    Endpoint {
        id: workload.name.to_string(),
        kind: workload.name.kind.clone(),
        namespace: workload.name.namespace.clone(),
        name: workload.name.name.clone(),
        addresses: addresses.into_iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn traffic_shape(traffic: &TrafficSet) -> Traffic {
    if is_all_ports(traffic) {
        return Traffic::All("all");
    }
    // What has no ports is told where nothing else is.
    if traffic.with_ports_only().is_empty() {
        return whole_traffic(traffic);
    }
    let ports = |protocol: Protocol| Ports {
        protocol: protocol.name().to_owned(),
        ports: traffic.ports(protocol).intervals().to_vec(),
    };
    Traffic::Some(Protocol::ALL.into_iter().map(ports).filter(|p| !p.ports.is_empty()).collect())
}

/// The same with protocols that have no ports, as entries without ports.
pub(super) fn whole_traffic(traffic: &TrafficSet) -> Traffic {
    if traffic.is_all() {
        return Traffic::All("all");
    }
    let ports = |protocol: Protocol| Ports {
        protocol: protocol.name().to_owned(),
        ports: traffic.ports(protocol).intervals().to_vec(),
    };
    let mut all: Vec<Ports> = Protocol::ALL.into_iter().map(ports).filter(|p| !p.ports.is_empty()).collect();
    if !traffic.portless.is_empty() {
        all.push(Ports { protocol: traffic.portless.to_string(), ports: Vec::new() });
    }
    Traffic::Some(all)
}
