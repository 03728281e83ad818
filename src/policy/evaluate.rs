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
    /// Whether it matches all of that traffic.
    pub extent: Extent,
    /// Number of the rule, for the reasons.
    pub rule: u32,
}

/// How much of its traffic a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Some of it, and packets alone do not tell which (`Rule::narrowed`).
    Part,
}

/// The answer for one subject, one peer and one direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Decision {
    /// What may pass.
    pub allowed: TrafficSet,
    /// The part of it that passes because nothing governs it.
    pub ungoverned: TrafficSet,
    /// The part of it of which only some passes, by conditions above packets.
    pub narrowed: TrafficSet,
    /// The rules that allow something.
    pub because: Vec<u32>,
}

/// What the walk meets, for whoever tells of it.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A rule that matches the peer, in the order in which rules are asked.
    Rule {
        /// Position of its step.
        step: usize,
        /// Its number.
        rule: u32,
        /// The traffic that it decides; empty where none came as far as this rule.
        takes: &'a TrafficSet,
    },
    /// The end of a step.
    End {
        /// Its position.
        step: usize,
        /// What came to it.
        arrived: &'a TrafficSet,
        /// What none of its rules decided wholly; `Step::unmatched` applies to it.
        left: &'a TrafficSet,
        /// What goes on to the next step.
        onward: &'a TrafficSet,
    },
}

/// Decides; a subject that answers to no tier is open.
pub fn decide(steps: &[Step<'_>]) -> Decision {
    decide_and_tell(steps, &mut |_| {})
}

/// Decides, and tells on the way what happens: explanations are the evaluator's own words.
pub fn decide_and_tell(steps: &[Step<'_>], tell: &mut impl FnMut(Event<'_>)) -> Decision {
    let mut walk = Walk::default();
    let mut open = TrafficSet::all();
    for (number, step) in steps.iter().enumerate() {
        open = walk.pass(number, step, open, tell);
    }
    let whole = walk.whole.union(&open);
    let allowed = whole.union(&walk.part);
    let narrowed = walk.part.difference(&whole).union(&walk.partly_denied.intersection(&allowed));
    Decision { allowed, ungoverned: open, narrowed, because: walk.because }
}

/// What is let through so far.
#[derive(Default)]
struct Walk {
    whole: TrafficSet,
    part: TrafficSet,
    partly_denied: TrafficSet,
    because: Vec<u32>,
}

impl Walk {
    /// Takes `open` traffic through one tier and returns what goes on to the next.
    fn pass(
        &mut self,
        number: usize,
        step: &Step<'_>,
        arrived: TrafficSet,
        tell: &mut impl FnMut(Event<'_>),
    ) -> TrafficSet {
        let mut open = arrived.clone();
        let mut passed = TrafficSet::none();
        let mut allowed_here = TrafficSet::none();
        for rule in &step.rules {
            let reach = match rule.action {
                // Several rules may allow the same traffic; all of them are reasons.
                Action::Allow => rule.traffic.intersection(&open.union(&allowed_here)),
                Action::Deny | Action::Pass => rule.traffic.intersection(&open),
            };
            tell(Event::Rule { step: number, rule: rule.rule, takes: &reach });
            if reach.is_empty() {
                continue;
            }
            // What a rule matches in part stays open for the rules behind it.
            if rule.extent == Extent::Whole {
                open = open.difference(&reach);
            }
            match (rule.action, rule.extent) {
                (Action::Deny, Extent::Whole) => {}
                (Action::Deny, Extent::Part) => self.partly_denied = self.partly_denied.union(&reach),
                (Action::Pass, _) => passed = passed.union(&reach),
                (Action::Allow, extent) => {
                    self.because.push(rule.rule);
                    match extent {
                        Extent::Whole => allowed_here = allowed_here.union(&reach),
                        Extent::Part => self.part = self.part.union(&reach),
                    }
                }
            }
        }
        self.whole = self.whole.union(&allowed_here);
        let onward = match step.unmatched {
            Action::Deny => passed,
            Action::Pass => passed.union(&open),
            Action::Allow => {
                self.whole = self.whole.union(&open);
                passed
            }
        };
        tell(Event::End { step: number, arrived: &arrived, left: &open, onward: &onward });
        onward
    }
}

impl Decision {
    /// Both layers must let it through.
    pub fn and(self, other: Decision) -> Decision {
        let allowed = self.allowed.intersection(&other.allowed);
        let narrowed = self.narrowed.union(&other.narrowed).intersection(&allowed);
        let mut because = self.because;
        because.extend(other.because);
        Decision { ungoverned: self.ungoverned.intersection(&other.ungoverned), allowed, narrowed, because }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;

    fn whole(action: Action, traffic: &TrafficSet, rule: u32) -> Matched<'_> {
        Matched { action, traffic, extent: Extent::Whole, rule }
    }

    #[test]
    fn no_tier_means_open_and_ungoverned() {
        let decision = decide(&[]);
        assert!(decision.allowed.is_all() && decision.ungoverned.is_all());
    }

    #[test]
    fn isolation_denies_what_no_rule_names() {
        let web = TrafficSet::port(Protocol::Tcp, 80);
        let decision =
            decide(&[Step { rules: vec![whole(Action::Allow, &web, 7)], unmatched: Action::Deny }]);
        assert_eq!(decision.allowed, web);
        assert!(decision.ungoverned.is_empty());
        assert_eq!(decision.because, [7]);
    }

    #[test]
    fn passed_traffic_meets_the_next_tier() {
        let (web, all) = (TrafficSet::port(Protocol::Tcp, 80), TrafficSet::all());
        let first = vec![whole(Action::Pass, &web, 1), whole(Action::Deny, &all, 2)];
        let decision = decide(&[
            Step { rules: first, unmatched: Action::Pass },
            Step { rules: Vec::new(), unmatched: Action::Deny },
        ]);
        assert!(decision.allowed.is_empty());
    }

    #[test]
    fn a_narrowed_deny_takes_nothing_away_for_certain() {
        let web = TrafficSet::port(Protocol::Tcp, 80);
        let part = Matched { extent: Extent::Part, ..whole(Action::Deny, &web, 1) };
        let decision = decide(&[Step { rules: vec![part], unmatched: Action::Pass }]);
        assert!(decision.allowed.is_all());
        assert_eq!(decision.narrowed, web);
    }

    #[test]
    fn a_plain_allow_beside_a_narrowed_one_opens_all_of_it() {
        let web = TrafficSet::port(Protocol::Tcp, 80);
        let part = Matched { extent: Extent::Part, ..whole(Action::Allow, &web, 1) };
        let narrowed = decide(&[Step { rules: vec![part], unmatched: Action::Deny }]);
        assert_eq!((narrowed.allowed, narrowed.narrowed), (web.clone(), web.clone()));
        let rules = vec![part, whole(Action::Allow, &web, 2)];
        let plain = decide(&[Step { rules, unmatched: Action::Deny }]);
        assert!(plain.narrowed.is_empty());
        assert_eq!(plain.because, [1, 2]);
    }
}
