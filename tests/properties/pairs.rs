//! Laws of what is told of pairs without looking at all of them: the connections are the open pairs,
//! and a rule is said to be void where no pair that it is about lets anything through.

use super::manifests::manifests;
use super::random::cluster;
use super::{common, read};
use proptest::prelude::*;
use std::collections::BTreeSet;
use watertight::analysis::{self, Analysis};
use watertight::graph::{Action, Direction};
use watertight::observed::Observed;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn connections_are_the_pairs_that_are_open(cluster in cluster()) {
        let analysis = read(&manifests(&cluster));
        prop_assert_eq!(common::pairs_listed(&analysis), common::pairs_open(&analysis));
    }

    #[test]
    fn a_rule_is_void_where_every_pair_is_shut_at_the_other_end(cluster in cluster()) {
        let analysis = analysis::reviewed(read(&manifests(&cluster)), Observed::default());
        let found = analysis.findings.iter().filter(|finding| finding.check == "one-sided-allow");
        let told: BTreeSet<String> = found.map(|f| format!("{} {}", f.subject, f.detail)).collect();
        prop_assert_eq!(told, void(&analysis));
    }
}

/// Rules that are void, asked pair by pair.
fn void(analysis: &Analysis) -> BTreeSet<String> {
    let graph = &analysis.graph;
    let allows = graph.rules.iter().filter(|info| info.rule.action == Action::Allow);
    let is_void = |info: &&watertight::graph::RuleInfo| {
        let policy = &graph.policies[info.policy as usize];
        let peers = info.matches.iter().flatten().filter(|peer| graph.class(**peer).is_some());
        let mut pairs = peers
            .flat_map(|peer| policy.selected.iter().map(move |own| (*peer, *own)))
            .filter(|(a, b)| a != b)
            .peekable();
        let shut = |(peer, own): (u32, u32)| {
            let edge = match policy.direction {
                Direction::Ingress => graph.edge(peer, own),
                Direction::Egress => graph.edge(own, peer),
            };
            let near = match policy.direction {
                Direction::Ingress => edge.ingress,
                Direction::Egress => edge.egress,
            };
            !near.allowed.is_empty() && edge.traffic.is_empty()
        };
        pairs.peek().is_some() && pairs.all(shut)
    };
    let told = |info: &watertight::graph::RuleInfo| {
        let origin = &info.rule.origin;
        format!("{} {}", origin.subject(), origin.rule)
    };
    allows.filter(is_void).map(told).collect()
}
