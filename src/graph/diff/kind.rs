//! What became of a pair: one word for a change, the one that matters most.

use super::ChangeKind;
use crate::graph::connections::Sum;
use crate::graph::declared::Declared;
use crate::model::TrafficSet;

/// What became of a pair; `None` where nothing did.
pub(super) fn kind(old: Option<&Sum>, new: Option<&Sum>, declared: &[Declared; 2]) -> Option<ChangeKind> {
    let (old, new) = match (old, new) {
        (None, None) => return None,
        (None, Some(_)) => return Some(ChangeKind::Opens),
        (Some(_), None) => return Some(ChangeKind::Closes),
        (Some(old), Some(new)) => (old, new),
    };
    let more = |a: &TrafficSet, b: &TrafficSet| !a.difference(b).is_empty();
    // What is in both and was conditional, or ungoverned, in one of them alone.
    let only = |part: &TrafficSet, other: &TrafficSet, other_part: &TrafficSet| {
        more(&part.intersection(other), other_part)
    };
    let loses_conditions = only(&old.narrowed, &new.traffic, &new.narrowed);
    let gains_conditions = only(&new.narrowed, &old.traffic, &old.narrowed);
    let ungoverned = only(&new.unsegmented, &old.traffic, &old.unsegmented);
    let governed = only(&old.unsegmented, &new.traffic, &new.unsegmented);
    // What is left may be protected less than it was, which is no less bad for what is gone.
    let is_weaker = || {
        let left = old.traffic.intersection(&new.traffic);
        new.protection_of(&left, &declared[1]) > old.protection_of(&left, &declared[0])
    };
    let protection = [old.protection(&declared[0]), new.protection(&declared[1])];
    match (more(&new.traffic, &old.traffic), more(&old.traffic, &new.traffic)) {
        (true, true) => Some(ChangeKind::Shifts),
        (true, false) => Some(ChangeKind::Widens),
        (false, true) if loses_conditions || ungoverned || is_weaker() => Some(ChangeKind::Shifts),
        (false, true) => Some(ChangeKind::Narrows),
        (false, false) if loses_conditions => Some(ChangeKind::LosesConditions),
        (false, false) if protection[1] > protection[0] => Some(ChangeKind::LosesProtection),
        (false, false) if ungoverned => Some(ChangeKind::Ungoverned),
        (false, false) if gains_conditions => Some(ChangeKind::GainsConditions),
        (false, false) if protection[1] < protection[0] => Some(ChangeKind::GainsProtection),
        (false, false) if governed => Some(ChangeKind::Governed),
        (false, false) => None,
    }
}
