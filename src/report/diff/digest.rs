//! Many changes, counted by what lies behind them: where a policy changes what a thousand
//! workloads may do, the policy is what a reviewer looks at.

use super::{Comparison, KINDS, cause_text};
use crate::graph::diff::Cause;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// So many changes are read one by one.
const FEW: usize = 20;
/// More causes than this are counted.
const MOST: usize = 20;

/// A cause, and what it does: `1000 opens, 2 widens`.
pub(super) struct Because {
    pub cause: String,
    pub does: String,
}

/// What lies behind most changes, and how many causes are left out; nothing where changes are few.
pub(super) fn of(comparison: &Comparison<'_>) -> (Vec<Because>, usize) {
    let pairs = &comparison.diff.pairs;
    if pairs.len() <= FEW {
        return (Vec::new(), 0);
    }
    // By their place among the kinds, which stand in the order of how bad they are.
    let mut counts: BTreeMap<&Cause, Vec<usize>> = BTreeMap::new();
    for pair in pairs {
        let row = KINDS.iter().position(|(kind, ..)| *kind == pair.kind).unwrap_or_default();
        for cause in &pair.causes {
            counts.entry(cause).or_insert_with(|| vec![0; KINDS.len()])[row] += 1;
        }
    }
    let mut all: Vec<(&Cause, Vec<usize>)> = counts.into_iter().collect();
    all.sort_by_key(|(_, counts)| Reverse(counts.iter().sum::<usize>()));
    let because = |(cause, counts): &(&Cause, Vec<usize>)| {
        let words = KINDS.iter().zip(counts).filter(|(_, count)| **count > 0);
        let words: Vec<String> = words.map(|((_, word, _), count)| format!("{count} {word}")).collect();
        Because { cause: cause_text(cause), does: words.join(", ") }
    };
    (all.iter().take(MOST).map(because).collect(), all.len().saturating_sub(MOST))
}
