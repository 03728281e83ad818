//! `unused-exception`: an exception that covers nothing.
//!
//! It looks at what the other checks found. Its page, which is run as a test, says why it matters
//! and what to do.

use super::{Evidence, Finding, check, settle};
use crate::contract::{Exception, Protect};

check! {
    UnusedException, "unused-exception", Low, "An exception that covers nothing.",
    ["PCI-DSS-4.0-1.2.7", "NIST-800-53-CA-7"]
}

/// Its name, for the one place that runs it after the others.
pub(super) const NAME: &str = "unused-exception";

/// Checks that find nothing where no capture is given, so that nothing follows from their silence.
pub(super) const NEED_FLOWS: &[&str] = &[
    "observed-but-denied",
    "unsegmented-flow",
    "plaintext-flow",
    "plaintext-credentials",
    "weak-tls",
    "expired-certificate",
    "self-signed-certificate",
    "weak-certificate-key",
    "allowed-but-unused",
    "unattributed-endpoint",
    "expected-mtls-seen-plaintext",
    "mesh-bypass",
    "permissive-in-use",
    "strict-ready",
    "foreign-trust-domain",
    "refused-handshake",
];

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    of(evidence, &settle::used(evidence, &settle::found(evidence)))
}

/// Exceptions that hold, could have covered something, and did not.
pub(super) fn of(evidence: &Evidence<'_>, used: &[bool]) -> Vec<Finding> {
    let idle = evidence.contract.exceptions.iter().zip(used).filter(|(exception, used)| {
        !**used && !exception.is_expired(evidence.today) && could_be_used(evidence, exception)
    });
    let finding = |exception: &Exception| {
        let mut finding = UnusedException.finding(
            exception.words(),
            format!(
                "No finding of {} fits this exception, which {} approved until {}.",
                exception.check, exception.approved_by, exception.expires
            ),
            vec![exception.origin.clone()],
            "Remove it: what it covered is mended, or it never named it rightly.",
        );
        finding.detail = exception.check.clone();
        finding
    };
    idle.map(|(exception, _)| finding(exception)).collect()
}

/// Without a capture nothing is known of checks that read one.
fn could_be_used(evidence: &Evidence<'_>, exception: &Exception) -> bool {
    let protects = || evidence.contract.rules.iter().any(|rule| rule.protect != Protect::AsItIs);
    let needs_flows = NEED_FLOWS.contains(&exception.check.as_str())
        || (exception.check == "segment-rule-broken" && protects());
    !needs_flows || !evidence.observed.captures.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::CHECKS;

    #[test]
    fn checks_that_read_only_flows_are_known() {
        for check in CHECKS {
            let page = check.page();
            let (_, after) = page.split_once("## What it reads\n").expect("a section");
            let reads = after.split("\n## ").next().unwrap_or_default();
            let flows =
                reads.to_lowercase().contains("observed flows") && check.name() != "segment-rule-broken";
            assert_eq!(flows, NEED_FLOWS.contains(&check.name()), "{}: {reads}", check.name());
        }
    }
}
