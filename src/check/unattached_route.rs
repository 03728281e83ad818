//! `unattached-route`: a route that nothing serves, because a listener or a grant is missing.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::{Evidence, Finding, check};

check! {
    UnattachedRoute, "unattached-route", Low, "A route that nothing serves, because a listener or a grant is missing.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let dead = evidence.exposures.dead_ends.iter().filter(|dead| dead.why.is_unattached());
    dead.map(|dead| {
        let message = format!("Nothing serves it: {} {}.", dead.why.words(), dead.what);
        let fix = "Name an existing listener that allows it, add the ReferenceGrant, or remove the route.";
        let mut finding =
            UnattachedRoute.finding(dead.name.to_string(), message, vec![dead.origin.clone()], fix);
        finding.detail = dead.what.clone();
        finding
    })
    .collect()
}
