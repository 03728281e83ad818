//! What several tests need: reading an example, writing connections in the words of the pages,
//! and finding the shared reference data.

#![allow(dead_code, clippy::disallowed_methods, reason = "every test file uses its own part, CI among it")]

pub mod examples;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use watertight::analysis::{self, Analysis};
use watertight::check::CHECKS;
use watertight::contract::{self, Contract, Date, Known};
use watertight::graph::{self, Callers, End};
use watertight::model::{Problem, Protocol, TrafficSet};
use watertight::policy::{self, Dataplane, DataplaneKind};
use watertight::source;

/// Analyses manifests given as text on the dataplane that they show; problems of reading come first.
pub fn analyse(text: &str) -> (Analysis, Vec<Problem>) {
    analyse_on(text, None)
}

/// The documents of manifests given as text.
pub fn documents(text: &str) -> Vec<watertight::model::Document> {
    source::parse(&Arc::from("example.yaml"), text).documents
}

/// The same on a given dataplane.
pub fn analyse_on(text: &str, dataplane: Option<Dataplane>) -> (Analysis, Vec<Problem>) {
    let reading = source::parse(&Arc::from("example.yaml"), text);
    let dataplane = match dataplane {
        Some(given) => policy::configured(given, &reading.documents),
        None => policy::detect(&reading.documents),
    };
    let mut analysis = analysis::declared(&reading.documents, dataplane);
    let mut problems = reading.problems;
    problems.append(&mut analysis.problems);
    (analysis, problems)
}

/// The dataplane of a `dataplane` block: its name, then `version: 3.31`, a property of
/// `Dataplane` or a setting of its own on each further line.
pub fn dataplane(block: &str) -> Dataplane {
    let mut lines = block.lines().map(str::trim).filter(|line| !line.is_empty());
    let name = lines.next().expect("the name of a dataplane");
    let kind = DataplaneKind::from_name(name).unwrap_or_else(|| panic!("no dataplane {name}"));
    let mut dataplane = Dataplane::new(kind);
    let mut settings = std::collections::BTreeMap::new();
    for line in lines {
        let (key, value) = line.split_once(':').expect("key: value");
        let value = value.trim().trim_matches('"');
        match (key, value.split_once('.')) {
            ("version", Some((major, minor))) => {
                dataplane.version =
                    Some((major.parse().expect("a number"), minor.parse().expect("a number")));
            }
            _ => drop(settings.insert(key.to_owned(), value.to_owned())),
        }
    }
    dataplane.with_settings(settings)
}

/// Reads a contract given as text, with the checks and engines that there are.
pub fn contract(text: &str) -> (Contract, Vec<Problem>) {
    let file: Arc<str> = Arc::from("watertight.yaml");
    let root = match source::parse_one(&file, text) {
        Ok(root) => root,
        Err(problem) => return (Contract::default(), vec![problem]),
    };
    let known = Known {
        checks: CHECKS.iter().map(|check| check.name()).collect(),
        engines: DataplaneKind::all().map(DataplaneKind::name).collect(),
    };
    contract::read(&file, text, &root, &known)
}

/// Analyses manifests under a contract, both given as text, on the first of March 2027.
pub fn analyse_under(
    contract_text: &str,
    manifests: &str,
    dataplane: Option<Dataplane>,
) -> (Analysis, Vec<Problem>) {
    let (contract, mut problems) = contract(contract_text);
    let reading = source::parse(&Arc::from("example.yaml"), manifests);
    problems.extend(reading.problems);
    let named = contract.dataplane.engine.as_deref().and_then(DataplaneKind::from_name);
    let dataplane = match dataplane.or(named.map(Dataplane::new)) {
        Some(given) => policy::configured(given, &reading.documents),
        None => policy::detect(&reading.documents),
    };
    let (dataplane, unread) = analysis::set_up(dataplane, &contract);
    problems.extend(unread);
    let today = Date::parse("2027-03-01").expect("a day");
    let mut analysis = analysis::declared_under(&reading.documents, dataplane, contract, today);
    problems.append(&mut analysis.problems);
    (analysis, problems)
}

/// `from -> to: TRAFFIC`, a line a connection, sorted.
pub fn connection_lines(analysis: &Analysis, with_external: bool) -> Vec<String> {
    let name = |end: &End| match end {
        End::Workload(index) => analysis.inventory.workloads[*index].name.to_string(),
        End::External(addresses) => addresses.to_string(),
        End::Domain(domain) => format!("dns:{domain}"),
    };
    let external = |end: &End| !matches!(end, End::Workload(_));
    let mut lines: Vec<String> = graph::connections(&analysis.graph, &analysis.inventory)
        .filter(|c| with_external || !(external(&c.from) || external(&c.to)))
        .map(|c| format!("{} -> {}: {}", name(&c.from), name(&c.to), traffic(&c.traffic)))
        .collect();
    lines.sort();
    lines
}

/// The pairs of workloads between which the graph lists a connection.
pub fn pairs_listed(analysis: &Analysis) -> BTreeSet<(usize, usize)> {
    let inside = |c: graph::Connection| match (c.from, c.to) {
        (End::Workload(from), End::Workload(to)) => Some((from, to)),
        _ => None,
    };
    graph::connections(&analysis.graph, &analysis.inventory).filter_map(inside).collect()
}

/// The pairs of workloads between which the graph leaves anything open, each looked at.
pub fn pairs_open(analysis: &Analysis) -> BTreeSet<(usize, usize)> {
    let (graph, count) = (&analysis.graph, analysis.inventory.workloads.len());
    let all = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    let open = |(from, to): &(usize, usize)| {
        let mut edges = graph
            .classes_of(*from)
            .iter()
            .flat_map(|a| graph.classes_of(*to).iter().map(|b| graph.edge(*a, *b)));
        edges.any(|edge| !edge.traffic.is_empty())
    };
    all.filter(|(from, to)| from != to).filter(open).collect()
}

/// Clients whose edge to a server is not the one of those that are said to be one to it.
pub fn told_wrongly_alike(analysis: &Analysis) -> Vec<String> {
    let graph = &analysis.graph;
    let (callers, servers) = (Callers::of(graph), 0..graph.classes().len() as u32);
    let apart = |to: u32| {
        let groups = callers.groups(to).into_iter();
        let each = groups.flat_map(|(clients, edge)| {
            let told = format!("{edge:?}");
            clients.into_iter().map(move |from| (from, told.clone()))
        });
        let wrong = each.filter(move |(from, told)| format!("{:?}", graph.edge(*from, to)) != *told);
        wrong.map(move |(from, told)| format!("{from} -> {to}: {:?}, not {told}", graph.edge(from, to)))
    };
    servers.flat_map(apart).collect()
}

/// `network: from -> to: TRAFFIC` for the networks beside that of the cluster, sorted.
pub fn network_lines(analysis: &Analysis) -> Vec<String> {
    let of = |network: &analysis::SecondaryNetwork| {
        let name = network.name.clone();
        connection_lines(&network.analysis, false).into_iter().map(move |line| format!("{name}: {line}"))
    };
    let mut lines: Vec<String> = analysis.networks.iter().flat_map(of).collect();
    lines.sort();
    lines
}

/// Why a connection at a TCP port is protected as it is, for each part that the port is in.
pub fn edge_reasons(analysis: &Analysis, from: &str, to: &str, port: u16) -> Vec<String> {
    let is = |end: &End, name: &str| match end {
        End::Workload(index) => analysis.inventory.workloads[*index].name.to_string() == name,
        End::External(_) | End::Domain(_) => false,
    };
    let all = graph::connections(&analysis.graph, &analysis.inventory);
    let between = all.filter(|c| is(&c.from, from) && is(&c.to, to));
    let parts = between.flat_map(|c| c.carried).filter(|part| part.traffic.contains(Protocol::Tcp, port));
    parts.map(|part| analysis.graph.reason(&part.expected)).collect()
}

/// `from -> to: protection`, a line a connection between workloads, sorted.
pub fn protection_lines(analysis: &Analysis) -> Vec<String> {
    let name = |end: &End| match end {
        End::Workload(index) => Some(analysis.inventory.workloads[*index].name.to_string()),
        End::External(_) | End::Domain(_) => None,
    };
    let line = |c: graph::Connection| {
        Some(format!("{} -> {}: {}", name(&c.from)?, name(&c.to)?, c.expected.protection.word()))
    };
    let mut lines: Vec<String> =
        graph::connections(&analysis.graph, &analysis.inventory).filter_map(line).collect();
    lines.sort();
    lines
}

/// How the part of a connection at one port stands to the server's ports, and how it is protected:
/// `declared mtls-strict`; `part` is `from -> to TCP/8080`.
pub fn part_words(analysis: &Analysis, part: &str) -> String {
    let (ends, port) = part.rsplit_once(' ').expect("from -> to PROTO/PORT");
    let (from, to) = ends.split_once(" -> ").expect("from -> to");
    let (protocol, port) = port.split_once('/').expect("PROTO/PORT");
    let protocol = Protocol::from_name(protocol).expect("a protocol");
    let port: u16 = port.parse().expect("a port");
    let named = |end: &End, name: &str| matches!(end, End::Workload(index) if analysis.inventory.workloads[*index].name.to_string() == name);
    let mut all = graph::connections(&analysis.graph, &analysis.inventory);
    let found = all.find(|c| named(&c.from, from) && named(&c.to, to));
    let here = |part: &&graph::Carried| part.traffic.contains(protocol, port);
    match found.iter().flat_map(|connection| &connection.carried).find(here) {
        Some(part) => format!("{} {}", part.standing.word(), part.expected.protection.word()),
        None => "not carried".to_owned(),
    }
}

/// What becomes of a TCP connection between two workloads: its expected protection, or who stops it:
/// `refused` by ends that do not understand each other, `unauthorized` by mesh authorization,
/// `blocked` by network policy on the port of the tunnel, `denied` by network policy. Where pods of
/// the workloads differ, all answers, joined by `/`.
pub fn edge_word(analysis: &Analysis, from: &str, to: &str, port: u16) -> String {
    if !to.contains('/') {
        return outbound_word(analysis, from, to, port);
    }
    let classes = |name: &str| {
        let found = analysis.inventory.workloads.iter().position(|w| w.name.to_string() == name);
        let index = found.unwrap_or_else(|| panic!("no workload {name}"));
        analysis.graph.classes_of(index).iter().copied().collect::<std::collections::BTreeSet<_>>()
    };
    let sources = match from.parse() {
        Ok(address) => [analysis.graph.atom_of(address)].into(),
        Err(_) => classes(from),
    };
    let word = |a: u32, b: u32| {
        let edge = analysis.graph.edge(a, b);
        let holds = |set: &TrafficSet| set.contains(Protocol::Tcp, port);
        let Some(mesh) = edge.mesh.as_ref() else {
            return if holds(&edge.traffic) { "unknown".to_owned() } else { "denied".to_owned() };
        };
        // Each way on its own, those through somebody with their name.
        let ways: std::collections::BTreeSet<String> = (mesh.legs.iter())
            .filter(|leg| holds(&leg.traffic))
            .map(|leg| match leg.via {
                None => leg.protection.word().to_owned(),
                Some(via) => {
                    let member = analysis.graph.classes()[via.by as usize].members[0];
                    let between = &analysis.inventory.workloads[member.workload as usize].name;
                    format!("{} via {between}", leg.protection.word())
                }
            })
            .collect();
        match () {
            () if !ways.is_empty() => ways.into_iter().collect::<Vec<_>>().join(" + "),
            () if holds(&mesh.refused) => "refused".to_owned(),
            () if holds(&mesh.unauthorized) => "unauthorized".to_owned(),
            () if holds(&mesh.blocked) => "blocked".to_owned(),
            () => "denied".to_owned(),
        }
    };
    let targets = classes(to);
    let words: std::collections::BTreeSet<String> =
        sources.iter().flat_map(|a| targets.iter().map(|b| word(*a, *b))).collect();
    words.into_iter().collect::<Vec<_>>().join("/")
}

/// Whether of a TCP connection between two workloads only some passes, by conditions above packets.
pub fn passes_in_part(analysis: &Analysis, from: &str, to: &str, port: u16) -> bool {
    let classes = |name: &str| {
        let found = analysis.inventory.workloads.iter().position(|w| w.name.to_string() == name);
        analysis.graph.classes_of(found.unwrap_or_else(|| panic!("no workload {name}")))
    };
    let mut pairs = classes(from).iter().flat_map(|a| classes(to).iter().map(move |b| (*a, *b)));
    pairs.any(|(a, b)| analysis.graph.edge(a, b).narrowed().contains(Protocol::Tcp, port))
}

/// What becomes of calls to a host outside that the mesh knows: `none` where the network lets none
/// out, or all are led to somebody else.
fn outbound_word(analysis: &Analysis, from: &str, host: &str, port: u16) -> String {
    let index = analysis.inventory.workloads.iter().position(|w| w.name.to_string() == from);
    let classes = analysis.graph.classes_of(index.unwrap_or_else(|| panic!("no workload {from}")));
    let calls = analysis.graph.outbound();
    let mut words: Vec<String> = calls
        .iter()
        .filter(|call| classes.contains(&call.from))
        .filter(|call| call.to.port == port && call.to.hosts.iter().any(|own| own == host))
        .map(|call| call.protection.word().to_owned())
        .collect();
    words.dedup();
    if words.is_empty() { "none".to_owned() } else { words.join("/") }
}

/// Traffic in the words of the pages; protocols without ports are left out unless all is allowed.
pub fn traffic(set: &TrafficSet) -> String {
    match set.has_all_ports() {
        true => "all".to_owned(),
        false => set.with_ports_only().to_string(),
    }
}

/// A folder of the shared reference data; `None`, with a printed line, where it is absent. In CI
/// absence is a failure.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing in CI", path.display());
    println!("skipped: the reference data {folder} is not here");
    None
}

/// Exposures and dead ends in the words of the pages, sorted.
pub fn exposure_lines(analysis: &Analysis) -> Vec<String> {
    let open = analysis.exposures.all.iter().map(|e| watertight::report::exposure_line(analysis, e));
    let dead = analysis.exposures.dead_ends.iter().map(watertight::report::dead_end_line);
    let mut lines: Vec<String> = open.chain(dead).collect();
    lines.sort();
    lines
}

/// A capture as it is read, unpacked where it is packed.
pub fn open_capture(path: &Path) -> Box<dyn Read> {
    let file = File::open(path).expect("a capture");
    match path.extension().is_some_and(|ending| ending == "gz") {
        true => Box::new(flate2::read::MultiGzDecoder::new(file)),
        false => Box::new(file),
    }
}
