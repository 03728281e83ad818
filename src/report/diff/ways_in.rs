//! Ways in from outside that changed: how bad each is, and its words.

use super::Comparison;
use crate::check::Severity;
use crate::exposure::change::{HowChanged, WayChange, changes};
use crate::exposure::{EntryKind, Exposure};
use crate::model::Origin;
use crate::report::exposure::exposure_line;

/// How reports name them, and their summary.
pub(super) const WORDS: &[(HowChanged, &str, &str)] = &[
    (HowChanged::Opens, "way-in-opens", "Something leads in from outside that did not."),
    (HowChanged::Widens, "way-in-widens", "More gets in from outside than before by the same way."),
    (HowChanged::LosesTls, "way-in-loses-tls", "A way in from outside has less TLS than before."),
    (HowChanged::Closes, "way-in-closes", "Something no longer leads in from outside."),
    (HowChanged::Narrows, "way-in-narrows", "Less gets in from outside than before by the same way."),
    (HowChanged::GainsTls, "way-in-gains-tls", "A way in from outside has more TLS than before."),
];

pub(super) fn word(how: HowChanged) -> &'static str {
    WORDS.iter().find(|(known, ..)| *known == how).map_or("", |(_, word, _)| word)
}

/// What leads in now and did not is high, or medium where it is not sure or the workload is new.
pub(super) fn severity(comparison: &Comparison<'_>, change: &WayChange<'_>) -> Severity {
    let fresh = comparison.diff.appeared.contains(change.workload);
    match change.how {
        HowChanged::Opens | HowChanged::Widens if fresh || !change.sure => Severity::Medium,
        HowChanged::Opens | HowChanged::Widens | HowChanged::LosesTls => Severity::High,
        HowChanged::Closes | HowChanged::Narrows | HowChanged::GainsTls => Severity::Low,
    }
}

/// `Ingress shop/web to shop/Deployment/web`.
pub(super) fn subject(change: &WayChange<'_>) -> String {
    let kind = match change.kind {
        EntryKind::HostPort | EntryKind::HostNetwork => change.kind.words(),
        _ => change.entry.kind.as_str(),
    };
    format!("{kind} {}/{} to {}", change.entry.namespace, change.entry.name, change.workload)
}

/// What each version lets in, a line for each.
pub(super) fn lines(comparison: &Comparison<'_>, change: &WayChange<'_>) -> Vec<String> {
    let line = |word: &str, analysis, exposure: &&Exposure| {
        format!("{word}: {} ({})", exposure_line(analysis, exposure), exposure.access.why())
    };
    let before = change.old.iter().map(|one| line("was", comparison.old, one));
    let after = change.new.iter().map(|one| line("now", comparison.new, one));
    after.chain(before).collect()
}

/// Where it stands: the objects of the new version, or of the old one where it leads in no longer.
pub(super) fn places<'a>(change: &WayChange<'a>) -> Vec<&'a Origin> {
    let from = if change.new.is_empty() { &change.old } else { &change.new };
    let mut all: Vec<&Origin> = Vec::new();
    for origin in from.iter().flat_map(|exposure| &exposure.because) {
        if !all.contains(&origin) {
            all.push(origin);
        }
    }
    all
}

impl<'a> Comparison<'a> {
    /// Ways in that changed, the worst first.
    pub(in crate::report) fn ways_in(&self) -> Vec<WayChange<'a>> {
        let side = |analysis: &'a crate::analysis::Analysis| (&analysis.inventory, &analysis.exposures);
        let mut all = changes(side(self.old), side(self.new));
        all.sort_by_key(|change| change.how);
        all
    }
}
