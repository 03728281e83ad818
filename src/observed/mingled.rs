//! What several connections said and one flow shows: networks apart (VLANs, VXLANs) may use the same
//! addresses and ports at a time. Nobody tells then who said what, and the end of one may hide what the
//! other says in the clear, so that such a flow is never called encrypted.

use super::Observed;
use crate::model::{Protection, WhyUnknown};
use crate::protocol::Detection;

/// The fact of such flows.
const FACT: (&str, &str) = ("connections", "several");

/// Notes in a verdict that it is about several connections.
pub(super) fn say(detection: &mut Detection) {
    detection.facts.push((FACT.0, FACT.1.into()));
    if matches!(detection.protection, Protection::Encrypted(_)) {
        detection.protection = Protection::Unknown(WhyUnknown::Ambiguous);
        detection.why =
            format!("{}; packets of another connection between the same ends are among them", detection.why)
                .into();
    }
}

/// How many flows are such.
pub(super) fn count(observed: &Observed) -> usize {
    let is_fact = |(name, value): &(&'static str, _)| *name == FACT.0 && *value == FACT.1;
    observed.flows.numbers_with(|verdict| verdict.facts.iter().any(is_fact)).len()
}
