//! `expired-exception`: an exception whose last day has passed.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::{Evidence, Finding, check};
use crate::contract::Exception;

check! {
    ExpiredException, "expired-exception", Medium, "An exception whose last day has passed.",
    ["PCI-DSS-4.0-1.2.7", "NIST-800-53-CA-7"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let passed = |exception: &&Exception| exception.is_expired(evidence.today);
    let of = |exception: &Exception| {
        let ticket =
            if exception.ticket.is_empty() { String::new() } else { format!(", {}", exception.ticket) };
        let mut finding = ExpiredException.finding(
            exception.words(),
            format!(
                "The exception for {} ended on {}; what it covered is a finding again. Approved by {}{ticket}: {}",
                exception.check, exception.expires, exception.approved_by, exception.why
            ),
            vec![exception.origin.clone()],
            "Mend what it covered and remove it, or have it approved anew with a later day.",
        );
        finding.detail = exception.check.clone();
        finding
    };
    evidence.contract.exceptions.iter().filter(passed).map(of).collect()
}
