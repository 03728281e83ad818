//! Comma-separated values for spreadsheets (RFC 4180).

use super::names::{end_name, narrowed_text, time_text, traffic_text, transport_name};
use super::{
    Format, GraphOptions, View, ViewKind, What, called_name, exposure, party_name, seen, unsupported,
};
use crate::analysis::Analysis;
use crate::graph::{self, Connection};
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
            View::Review(analysis) => review(analysis, out),
            View::Graph(analysis, options) => match options.what {
                What::Observed => observed(analysis, options, out),
                What::Overlay => overlay(analysis, options, out),
                What::Allowed => allowed(analysis, options, out),
                What::Exposure => exposures(analysis, options, out),
            },
            View::Flows(analysis) => flows(analysis, out),
            other => Err(unsupported(self.name(), other.kind())),
        }
    }
}

fn review(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    row(out, &["severity", "check", "subject", "message", "file", "line", "fix"])?;
    analysis.findings.iter().try_for_each(|f| {
        let place = f.because.first();
        let (file, line) = (place.map_or("", |o| &o.file), place.map_or(0, |o| o.line));
        let line = line.to_string();
        row(out, &[f.severity.word(), f.check, &f.subject, &f.message, file, &line, &f.fix])
    })
}

fn exposures(analysis: &Analysis, options: &GraphOptions, out: &mut dyn Write) -> io::Result<()> {
    row(out, &["entry", "workload", "traffic", "controller", "tls", "hosts", "access"])?;
    exposure::shown(analysis, options).try_for_each(|e| {
        let workload = analysis.inventory.workloads[e.workload].name.to_string();
        let hosts: Vec<&str> = e.hosts.iter().map(String::as_str).collect();
        let (entry, traffic) = (e.entry.to_string(), traffic_text(&e.ports));
        let (tls, access) = (e.tls.word(), e.access.word());
        row(out, &[&entry, &workload, &traffic, &e.controller, tls, &hosts.join(" "), access])
    })
}

/// The columns of flows, in the order of their cells.
const FLOW: [&str; 13] = [
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
];

fn flows(analysis: &Analysis, out: &mut dyn Write) -> io::Result<()> {
    row(out, &FLOW)?;
    analysis.observed.flows.iter().try_for_each(|seen| {
        let f = &seen.flow;
        let cells: [&str; FLOW.len()] = [
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
            &(f.forward.packets + f.backward.packets).to_string(),
            &(f.forward.bytes + f.backward.bytes).to_string(),
        ];
        row(out, &cells)
    })
}

fn allowed(analysis: &Analysis, options: &GraphOptions, out: &mut dyn Write) -> io::Result<()> {
    row(out, &["from", "to", "traffic", "segmented", "in_part"])?;
    permitted(analysis, options).try_for_each(|cells| row(out, &cells.each_ref().map(String::as_str)))
}

/// The cells of each connection that is allowed.
fn permitted(analysis: &Analysis, options: &GraphOptions) -> impl Iterator<Item = [String; 5]> {
    let all = graph::connections(&analysis.graph, &analysis.inventory);
    let cells = |c: Connection| {
        let segmented = if c.unsegmented.is_empty() { "yes" } else { "no" }.to_owned();
        let (from, to) = (end_name(analysis, &c.from), end_name(analysis, &c.to));
        [from, to, traffic_text(&c.traffic), segmented, narrowed_text(analysis, &c).unwrap_or_default()]
    };
    all.filter(|c| options.shows(analysis, c)).map(cells)
}

fn observed(analysis: &Analysis, options: &GraphOptions, out: &mut dyn Write) -> io::Result<()> {
    row(out, &["from", "to", "transport", "port", "protocol", "protection", "flows", "packets", "bytes"])?;
    seen::edges(analysis, options).iter().try_for_each(|(edge, amount)| {
        let (port, [flows, packets, bytes]) = (edge.port.to_string(), counts(amount));
        let (from, to, transport) = (&edge.from, &edge.to, &edge.transport);
        row(out, &[from, to, transport, &port, edge.protocol, edge.protection, &flows, &packets, &bytes])
    })
}

/// Both in one table: what one kind of row does not have is empty.
fn overlay(analysis: &Analysis, options: &GraphOptions, out: &mut dyn Write) -> io::Result<()> {
    let own = ["protocol", "protection", "flows", "packets", "bytes", "denied"];
    row(out, &[&["what", "from", "to", "traffic", "segmented", "in_part"], own.as_slice()].concat())?;
    for cells in permitted(analysis, options) {
        let cells = cells.each_ref().map(String::as_str);
        row(out, &[&["allowed"], cells.as_slice(), &[""; 6]].concat())?;
    }
    seen::edges(analysis, options).iter().try_for_each(|(edge, amount)| {
        let (traffic, [flows, packets, bytes]) = (edge.traffic(), counts(amount));
        let ends = ["observed", &edge.from, &edge.to, &traffic, "", ""];
        let denied = if edge.denied { "yes" } else { "" };
        let own = [edge.protocol, edge.protection, &flows, &packets, &bytes, denied];
        row(out, &[&ends, own.as_slice()].concat())
    })
}

fn counts(amount: &seen::Amount) -> [String; 3] {
    [amount.flows, amount.packets, amount.bytes].map(|count| count.to_string())
}

fn row(out: &mut dyn Write, cells: &[&str]) -> io::Result<()> {
    let quoted: Vec<String> = cells.iter().map(|cell| quote(cell)).collect();
    write!(out, "{}\r\n", quoted.join(","))
}

/// What a spreadsheet takes for a formula gets an apostrophe in front: names come from whoever wrote
/// the manifests, or sent the packets.
fn quote(cell: &str) -> String {
    let guard = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{guard}{}\"", cell.replace('"', "\"\"")),
        false => format!("{guard}{cell}"),
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn what_looks_like_a_formula_is_text() {
        let cells = ["=HYPERLINK(\"http://x\",1)", "+1", "-a", "@a", "a=b", "10.0.0.1", "a,b", ""];
        let written = cells.map(quote);
        let wanted =
            ["\"'=HYPERLINK(\"\"http://x\"\",1)\"", "'+1", "'-a", "'@a", "a=b", "10.0.0.1", "\"a,b\"", ""];
        assert_eq!(written, wanted);
    }
}
