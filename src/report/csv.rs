//! Comma-separated values for spreadsheets (RFC 4180).

use super::names::{end_name, narrowed_text, time_text, traffic_text, transport_name};
use super::{Format, View, ViewKind, What, called_name, exposure, party_name, unsupported};
use crate::graph;
use std::io::{self, Write};

/// For spreadsheets.
pub struct Csv;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn summary(&self) -> &'static str {
        "for spreadsheets"
    }

    fn writes(&self) -> &'static [ViewKind] {
        &[ViewKind::Review, ViewKind::Graph, ViewKind::Flows]
    }

    fn write(&self, view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
        match view {
            View::Review(analysis) => {
                row(out, &["severity", "check", "subject", "message", "file", "line", "fix"])?;
                analysis.findings.iter().try_for_each(|f| {
                    let place = f.because.first();
                    let (file, line) = (place.map_or("", |o| &o.file), place.map_or(0, |o| o.line));
                    let line = line.to_string();
                    row(out, &[f.severity.word(), f.check, &f.subject, &f.message, file, &line, &f.fix])
                })
            }
            View::Graph(analysis, options) if options.what == What::Exposure => {
                row(out, &["entry", "workload", "traffic", "controller", "tls", "hosts", "access"])?;
                exposure::shown(analysis, options).try_for_each(|e| {
                    let workload = analysis.inventory.workloads[e.workload].name.to_string();
                    let hosts: Vec<&str> = e.hosts.iter().map(String::as_str).collect();
                    let (entry, traffic) = (e.entry.to_string(), traffic_text(&e.ports));
                    let (tls, access) = (e.tls.word(), e.access.word());
                    row(out, &[&entry, &workload, &traffic, &e.controller, tls, &hosts.join(" "), access])
                })
            }
            View::Graph(analysis, options) => {
                row(out, &["from", "to", "traffic", "segmented", "in_part"])?;
                let all = graph::connections(&analysis.graph, &analysis.inventory);
                all.iter().filter(|c| options.shows(analysis, c)).try_for_each(|c| {
                    let segmented = if c.unsegmented.is_empty() { "yes" } else { "no" };
                    let (from, to) = (end_name(analysis, &c.from), end_name(analysis, &c.to));
                    let part = narrowed_text(analysis, c).unwrap_or_default();
                    row(out, &[&from, &to, &traffic_text(&c.traffic), segmented, &part])
                })
            }
            View::Flows(analysis) => {
                row(
                    out,
                    &[
                        "first",
                        "initiator",
                        "initiator_ip",
                        "initiator_port",
                        "responder",
                        "responder_ip",
                        "responder_port",
                        "transport",
                        "protocol",
                        "protection",
                        "why",
                        "packets",
                        "bytes",
                    ],
                )?;
                analysis.observed.flows.iter().try_for_each(|seen| {
                    let f = &seen.flow;
                    let packets = f.forward.packets + f.backward.packets;
                    let bytes = f.forward.bytes + f.backward.bytes;
                    row(
                        out,
                        &[
                            &time_text(f.first),
                            &party_name(analysis, &seen.initiator, f.initiator.ip),
                            &f.initiator.ip.to_string(),
                            &f.initiator.port.to_string(),
                            &called_name(analysis, &seen),
                            &f.responder.ip.to_string(),
                            &f.responder.port.to_string(),
                            &transport_name(f),
                            seen.detection.protocol,
                            seen.detection.protection.word(),
                            &seen.detection.why,
                            &packets.to_string(),
                            &bytes.to_string(),
                        ],
                    )
                })
            }
            other => Err(unsupported(self.name(), other.kind())),
        }
    }
}

fn row(out: &mut dyn Write, cells: &[&str]) -> io::Result<()> {
    let quoted: Vec<String> = cells.iter().map(|cell| quote(cell)).collect();
    write!(out, "{}\r\n", quoted.join(","))
}

fn quote(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}
