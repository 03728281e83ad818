//! What becomes of findings under a contract: severities, exceptions, and the order of the report.
//!
//! Every check runs first and knows nothing of this; here is the one place that changes or takes
//! away what they found, and nothing goes without being counted.

use super::{CHECKS, Evidence, Finding, Severity, segment_rule_broken, unused_exception};
use crate::contract::{Exception, Override};
use crate::model::Gap;
use rayon::prelude::*;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// Checks on exceptions, which no exception covers.
const ABOUT_EXCEPTIONS: [&str; 2] = ["expired-exception", unused_exception::NAME];

/// What a review comes to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What a person should look at, worst first.
    pub findings: Vec<Finding>,
    /// What somebody answers for, in the order of the exceptions.
    pub excepted: Vec<Excepted>,
    /// How many findings were not shown because their check is off.
    pub off: BTreeMap<&'static str, usize>,
    /// What the contract asks for and nothing could show.
    pub gaps: Vec<Gap>,
}

/// A finding and the exception that covers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excepted {
    /// What was found.
    pub finding: Finding,
    /// Index into `Contract::exceptions`.
    pub exception: usize,
}

/// What is known of a network beside that of the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// Its name.
    pub name: &'a str,
    /// Who is on it, and who may talk to whom there.
    pub evidence: Evidence<'a>,
}

/// Checks that ask nothing but who may talk to whom, and so are asked of every network.
const OF_EVERY_NETWORK: [&str; 3] = ["segment-rule-broken", "segment-without-rule", "unsegmented-path"];

/// Runs every check and settles what they found.
pub fn run(evidence: &Evidence<'_>) -> Outcome {
    run_with(evidence, &[])
}

/// The same with networks beside that of the cluster.
pub fn run_with(evidence: &Evidence<'_>, networks: &[Beside<'_>]) -> Outcome {
    let mut findings = found(evidence);
    findings.extend(networks.iter().flat_map(found_beside));
    let mut findings = each_once(findings);
    findings.extend(unused_exception::of(evidence, &used(evidence, &findings)));
    let mut gaps = segment_rule_broken::gaps(evidence);
    for Beside { name, evidence } in networks {
        let of_network = segment_rule_broken::gaps(evidence).into_iter();
        gaps.extend(
            of_network.map(|gap| Gap { what: format!("on the network {name}: {}", gap.what), ..gap }),
        );
    }
    let mut outcome = Outcome { gaps, ..Outcome::default() };
    for mut finding in findings {
        if let Some(exception) = exception_of(evidence, &finding) {
            outcome.excepted.push(Excepted { finding, exception });
            continue;
        }
        match evidence.contract.severities.get(finding.check) {
            Some(Override::Off) => *outcome.off.entry(finding.check).or_default() += 1,
            Some(Override::Severity(place)) => {
                finding.severity = Severity::ALL[usize::from(*place).min(Severity::ALL.len() - 1)];
                outcome.findings.push(finding);
            }
            None => outcome.findings.push(finding),
        }
    }
    outcome.findings.sort_by(Finding::order);
    let key = |e: &Excepted| (e.exception, e.finding.subject.clone(), e.finding.detail.clone());
    outcome.excepted.sort_by_cached_key(key);
    outcome
}

/// Findings that say the same of one thing are one, with the places of all: what is written as one rule
/// may be several to the graph.
fn each_once(findings: Vec<Finding>) -> Vec<Finding> {
    let mut known: HashMap<[String; 4], usize> = HashMap::new();
    let mut each: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        let Finding { check, subject, detail, message, .. } = &finding;
        let said = [(*check).to_owned(), subject.clone(), detail.clone(), message.clone()];
        match known.entry(said) {
            Entry::Vacant(new) => {
                new.insert(each.len());
                each.push(finding);
            }
            Entry::Occupied(first) => {
                let first = &mut each[*first.get()];
                let others = finding.because.into_iter().filter(|origin| !first.because.contains(origin));
                let others: Vec<_> = others.collect();
                first.because.extend(others);
                first.traffic = first.traffic.union(&finding.traffic);
            }
        }
    }
    each
}

/// What all checks find but the one that needs to know what the others found.
pub(super) fn found(evidence: &Evidence<'_>) -> Vec<Finding> {
    let others = CHECKS.iter().filter(|check| check.name() != unused_exception::NAME);
    let others: Vec<_> = others.collect();
    // No check knows of another; the order is that of the table.
    let found: Vec<Vec<Finding>> = others.into_par_iter().map(|check| check.run(evidence)).collect();
    found.into_iter().flatten().collect()
}

/// What is wrong on a network beside that of the cluster; it has the name of the network.
fn found_beside(network: &Beside<'_>) -> Vec<Finding> {
    let Beside { name, evidence } = network;
    let asked = CHECKS.iter().filter(|check| OF_EVERY_NETWORK.contains(&check.name()));
    let mut findings: Vec<Finding> = asked.flat_map(|check| check.run(evidence)).collect();
    for finding in &mut findings {
        finding.message = format!("On the network {name}: {}", finding.message);
        finding.detail = format!("{} on network {name}", finding.detail);
        finding.fix = format!(
            "Only a MultiNetworkPolicy whose annotation policy-for names the network counts there. {}",
            finding.fix
        );
    }
    findings
}

/// For each exception, whether it covers a finding.
pub(super) fn used(evidence: &Evidence<'_>, findings: &[Finding]) -> Vec<bool> {
    let mut used = vec![false; evidence.contract.exceptions.len()];
    for finding in findings {
        if let Some(exception) = exception_of(evidence, finding) {
            used[exception] = true;
        }
    }
    used
}

/// The exceptions for a check that hold today, by index.
pub(super) fn holding<'a>(
    evidence: &'a Evidence<'_>,
    check: &'a str,
) -> impl Iterator<Item = (usize, &'a Exception)> {
    let all = evidence.contract.exceptions.iter().enumerate();
    all.filter(move |(_, exception)| exception.check == check && !exception.is_expired(evidence.today))
}

/// The first exception that holds today and covers a finding; exceptions are not excepted.
fn exception_of(evidence: &Evidence<'_>, finding: &Finding) -> Option<usize> {
    if ABOUT_EXCEPTIONS.contains(&finding.check) {
        return None;
    }
    let inside = |name: &str, segment: &str| in_segment(evidence, name, segment);
    holding(evidence, finding.check)
        .find(|(_, exception)| exception.covers(&finding.subject, &finding.traffic, &inside))
        .map(|(index, _)| index)
}

/// Whether a name in a subject is a segment, or a workload whose pods are all in it.
pub(super) fn in_segment(evidence: &Evidence<'_>, name: &str, segment: &str) -> bool {
    let segments = evidence.segments;
    let named = |id: &u32| segments.name(*id) == segment;
    let workloads = &evidence.inventory.workloads;
    match workloads.binary_search_by(|w| compare(&w.name, name)) {
        Ok(index) => {
            let own = segments.of_workload(index);
            !own.is_empty() && own.iter().all(named)
        }
        Err(_) => name.parse().is_ok_and(|address| named(&segments.of_address(address))),
    }
}

/// The order of a workload and a written name, part by part as workloads are sorted.
fn compare(own: &crate::model::EndpointName, written: &str) -> std::cmp::Ordering {
    let mut parts = written.splitn(3, '/');
    let mut part = || parts.next().unwrap_or_default();
    (own.namespace.as_str(), own.kind.as_str(), own.name.as_str()).cmp(&(part(), part(), part()))
}
