//! The one evaluator: tiers in, a decision with its reasons out.
//!
//! Which policies select the subject and which rules match the peer was settled before; every
//! language meets here in the same few lines. No engine is named in this file.

use super::Action;
use crate::model::TrafficSet;

/// One tier as one subject and one peer meet it.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// Rules that match the peer, of the policies that select the subject, in order.
    pub rules: Vec<Matched<'a>>,
    /// What becomes of the rest.
    pub unmatched: Action,
}

/// A rule that matches the peer.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'a> {
    /// What happens.
    pub action: Action,
    /// To which traffic, names resolved.
    pub traffic: &'a TrafficSet,
    /// Number of the rule, for the reasons.
    pub rule: u32,
}

/// The answer for one subject, one peer and one direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Decision {
    /// What may pass.
    pub allowed: TrafficSet,
    /// The part of it that passes because nothing governs it.
    pub ungoverned: TrafficSet,
    /// The rules that allow something.
    pub because: Vec<u32>,
}

/// Decides; a subject that answers to no tier is open.
pub fn decide(steps: &[Step<'_>]) -> Decision {
    let mut decision = Decision::default();
    let mut open = TrafficSet::all();
    for step in steps {
        open = pass(step, open, &mut decision);
    }
    decision.allowed = decision.allowed.union(&open);
    decision.ungoverned = open;
    decision
}

/// Takes `open` traffic through one tier and returns what goes on to the next.
fn pass(step: &Step<'_>, mut open: TrafficSet, decision: &mut Decision) -> TrafficSet {
    let mut passed = TrafficSet::none();
    let mut allowed_here = TrafficSet::none();
    for rule in &step.rules {
        let reach = match rule.action {
            // Several rules may allow the same traffic; all of them are reasons.
            Action::Allow => rule.traffic.intersection(&open.union(&allowed_here)),
            Action::Deny | Action::Pass => rule.traffic.intersection(&open),
        };
        if reach.is_empty() {
            continue;
        }
        open = open.difference(&reach);
        match rule.action {
            Action::Deny => {}
            Action::Pass => passed = passed.union(&reach),
            Action::Allow => {
                allowed_here = allowed_here.union(&reach);
                decision.because.push(rule.rule);
            }
        }
    }
    decision.allowed = decision.allowed.union(&allowed_here);
    match step.unmatched {
        Action::Deny => passed,
        Action::Pass => passed.union(&open),
        Action::Allow => {
            decision.allowed = decision.allowed.union(&open);
            passed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;

    #[test]
    fn no_tier_means_open_and_ungoverned() {
        let decision = decide(&[]);
        assert!(decision.allowed.is_all() && decision.ungoverned.is_all());
    }

    #[test]
    fn isolation_denies_what_no_rule_names() {
        let web = TrafficSet::port(Protocol::Tcp, 80);
        let rules = vec![Matched { action: Action::Allow, traffic: &web, rule: 7 }];
        let decision = decide(&[Step { rules, unmatched: Action::Deny }]);
        assert_eq!(decision.allowed, web);
        assert!(decision.ungoverned.is_empty());
        assert_eq!(decision.because, [7]);
    }

    #[test]
    fn passed_traffic_meets_the_next_tier() {
        let (web, all) = (TrafficSet::port(Protocol::Tcp, 80), TrafficSet::all());
        let first = vec![
            Matched { action: Action::Pass, traffic: &web, rule: 1 },
            Matched { action: Action::Deny, traffic: &all, rule: 2 },
        ];
        let decision = decide(&[
            Step { rules: first, unmatched: Action::Pass },
            Step { rules: Vec::new(), unmatched: Action::Deny },
        ]);
        assert!(decision.allowed.is_empty());
    }
}
