//! `selector-typo`: a selector with a label that nothing has, where one is close.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::policy_name;
use super::{Evidence, Finding, check};
use crate::graph::{Namespaces, Peer, Population, Selection};
use crate::model::{Origin, Requirement, Selector, closest};
use hashbrown::HashSet;
use std::collections::{BTreeMap, BTreeSet};

check! {
    SelectorTypo, "selector-typo", Medium, "A selector with a label that nothing has, where one is close.",
    ["NIST-800-190-4.3.3"]
}

/// Values of each label key.
type Known<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let pods = known(evidence.inventory.workloads.iter().flat_map(|w| &w.variants).map(|v| &v.labels));
    let namespaces = known(evidence.inventory.namespaces.values().map(|n| &n.labels));
    let mut findings = Vec::new();
    for policy in &evidence.graph.policies {
        for subjects in &policy.subjects {
            look(&pods, &namespaces, subjects, &policy.origin, &mut findings);
        }
        for rule in policy.rules.clone() {
            let rule = &evidence.graph.rules[rule as usize].rule;
            for peer in rule.peers.named() {
                peer.for_each(&mut |part| {
                    if let Peer::Endpoints(selection) = part {
                        look(&pods, &namespaces, selection, &rule.origin, &mut findings);
                    }
                });
            }
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

fn known<'a>(all: impl Iterator<Item = &'a crate::model::Labels>) -> Known<'a> {
    // Most labels are those of many.
    let distinct: HashSet<(&str, &str)> = all.flatten().map(|(key, value)| (&**key, &**value)).collect();
    let mut known = Known::new();
    for (key, value) in distinct {
        known.entry(key).or_default().insert(value);
    }
    known
}

fn look(
    pods: &Known<'_>,
    namespaces: &Known<'_>,
    selection: &Selection,
    at: &Origin,
    findings: &mut Vec<Finding>,
) {
    if selection.population != Population::Pods {
        return;
    }
    let mut slips = slips(pods, &selection.endpoints);
    if let Namespaces::Matching(selector) = &selection.namespaces {
        slips.extend(self::slips(namespaces, selector));
    }
    for (written, meant) in slips {
        let message = format!("No endpoint has the label {written}; there is {meant}.");
        let fix = format!("Write {meant}, if that was meant.");
        let mut finding = SelectorTypo.finding(policy_name(at), message, vec![at.clone()], fix);
        finding.detail = format!("{} {written}", at.rule);
        findings.push(finding);
    }
}

/// What a selector asks for and nothing has, and what is close to it.
fn slips(known: &Known<'_>, selector: &Selector) -> Vec<(String, String)> {
    let slip = |requirement: &Requirement| {
        let Requirement::In(key, values) = requirement else { return None };
        let [value] = values.as_slice() else { return None };
        if key.starts_with('@') {
            return None;
        }
        match known.get(key.as_str()) {
            Some(present) if present.contains(value.as_str()) => None,
            Some(present) => {
                let near = closest(value, present.iter().copied())?;
                Some((format!("{key}={value}"), format!("{key}={near}")))
            }
            None => {
                let has_value = known.iter().filter(|(_, values)| values.contains(value.as_str()));
                let near = closest(key, has_value.map(|(key, _)| *key))?;
                Some((format!("{key}={value}"), format!("{near}={value}")))
            }
        }
    };
    selector.requirements.iter().filter_map(slip).collect()
}
