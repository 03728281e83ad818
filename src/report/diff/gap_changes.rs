//! What one version leaves open and the other does not.

use super::Comparison;
use crate::model::{Bend, Gap};
use std::collections::BTreeSet;

/// Gaps that are new, and gaps that are gone.
pub(in crate::report) struct GapChanges<'a> {
    pub new: Vec<&'a Gap>,
    pub gone: Vec<&'a Gap>,
}

type Key<'a> = (String, Bend, [&'a str; 4]);

/// What makes a gap the same in both versions: what it says of which part of which object, wherever
/// that stands, and whatever the number of pods is that it counts.
fn key(gap: &Gap) -> Key<'_> {
    let origin = &gap.origin;
    let said: String = match gap.what.contains(COUNTS) {
        true => gap.what.chars().filter(|letter| !letter.is_ascii_digit()).collect(),
        false => gap.what.clone(),
    };
    (said, gap.bends, [&origin.kind, &origin.namespace, &origin.name, &origin.rule])
}

/// What gaps count that any new pod changes.
const COUNTS: &str = "workload variants";

impl<'a> Comparison<'a> {
    /// What became known, and what is known no longer.
    pub(in crate::report) fn gap_changes(&self) -> GapChanges<'a> {
        let [before, after] = [self.old, self.new].map(|a| a.gaps.iter().map(key).collect::<BTreeSet<_>>());
        GapChanges {
            new: self.new.gaps.iter().filter(|gap| !before.contains(&key(gap))).collect(),
            gone: self.old.gaps.iter().filter(|gap| !after.contains(&key(gap))).collect(),
        }
    }
}
