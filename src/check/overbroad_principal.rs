//! `overbroad-principal`: a rule of mesh authorization that lets in whole namespaces, trust domains or
//! name patterns of another segment.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_rules::{allowing, anybody, without_account};
use super::shared::policy_name;
use super::{Evidence, Finding, check};
use crate::contract::SegmentId;
use crate::graph::{ClassId, PeerId};
use std::collections::BTreeSet;

check! {
    OverbroadPrincipal, "overbroad-principal", Low, "A rule of mesh authorization that lets in more of another segment than one account.",
    ["NIST-800-204B", "NIST-800-207"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = allowing(evidence)
        .filter(|(info, _)| anybody(&info.rule.peers).is_none() && without_account(&info.rule.peers))
        .filter_map(|(info, policy)| {
            let own: BTreeSet<SegmentId> =
                policy.selected.iter().flat_map(|class| segments(evidence, *class)).collect();
            let peers = info.matches.as_deref().unwrap_or(&[]);
            let foreign = |peer: &PeerId| segments(evidence, *peer).iter().any(|one| !own.contains(one));
            let (mut accounts, mut into) = (BTreeSet::new(), BTreeSet::new());
            for peer in peers.iter().filter(|peer| foreign(peer)) {
                into.extend(segments(evidence, *peer).into_iter().filter(|one| !own.contains(one)));
                accounts.extend(evidence.graph.class(*peer).into_iter().flat_map(|class| {
                    class.members.iter().map(|member| {
                        let workload = &evidence.inventory.workloads[member.workload as usize];
                        let account = &workload.variants[member.variant as usize].service_account;
                        (workload.name.namespace.clone(), account.clone())
                    })
                }));
            }
            if into.is_empty() || own.is_empty() {
                return None;
            }
            let names: Vec<&str> = into.iter().take(3).map(|one| evidence.segments.name(*one)).collect();
            let more = if into.len() > 3 { format!(" and {} more", into.len() - 3) } else { String::new() };
            let origin = &info.rule.origin;
            let rule = if origin.rule.is_empty() { "It" } else { &*origin.rule };
            let mut finding = OverbroadPrincipal.finding(
                policy_name(&policy.origin),
                format!(
                    "{rule} names no account: today {} of {}{more} fit, and whoever can start a pod there is let in.",
                    match accounts.len() {
                        1 => "1 account".to_owned(),
                        count => format!("{count} accounts"),
                    },
                    names.join(", ")
                ),
                vec![origin.clone()],
                "Name the service accounts of the clients that need it.",
            );
            finding.detail = origin.rule.to_string();
            finding.traffic = info.rule.traffic.fixed.clone();
            Some(finding)
        })
        .collect();
    findings.sort();
    findings.dedup();
    findings
}

fn segments(evidence: &Evidence<'_>, class: ClassId) -> BTreeSet<SegmentId> {
    let members = evidence.graph.class(class).map_or(&[][..], |class| &class.members);
    members.iter().map(|m| evidence.segments.of(m.workload as usize, m.variant as usize)).collect()
}
