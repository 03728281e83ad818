//! `route-to-missing-service`: a way in from outside that leads to no service.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::{Evidence, Finding, check};

check! {
    RouteToMissingService, "route-to-missing-service", Low, "A way in from outside that leads to no service.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let dead = evidence.exposures.dead_ends.iter().filter(|dead| !dead.why.is_unattached());
    dead.map(|dead| {
        let message = format!("It leads nowhere: {} {}.", dead.why.words(), dead.what);
        let fix = "Correct the name or the port, or remove the rule: whoever makes that service later is exposed by it.";
        let mut finding =
            RouteToMissingService.finding(dead.name.to_string(), message, vec![dead.origin.clone()], fix);
        finding.detail = dead.what.clone();
        finding
    })
    .collect()
}
