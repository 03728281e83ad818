//! Segments, and names in them, that hold nobody of those who were read: a slip of the finger there
//! would leave every rule about them unbroken.

use super::{Contract, Fit, Pattern, Segment, Subject, nearest};
use crate::model::{Bend, Gap};
use std::collections::BTreeSet;

/// One gap for each segment that holds nobody, and for each name in the others that fits nobody.
///
/// `chosen` are the segments that took each variant. Where nobody was read there is nothing to say.
pub(super) fn gaps(
    contract: &Contract,
    workloads: &[Vec<Subject<'_>>],
    chosen: &[Vec<Option<usize>>],
) -> Vec<Gap> {
    let everybody: Vec<&Subject<'_>> = workloads.iter().flatten().collect();
    let taken: BTreeSet<usize> = chosen.iter().flatten().copied().flatten().collect();
    if everybody.is_empty() {
        return Vec::new();
    }
    let mut gaps = Vec::new();
    for (number, segment) in contract.segments.iter().enumerate() {
        let mut say = |what: String| {
            gaps.push(Gap { what, origin: segment.origin.clone(), bends: Bend::MayAllowMore });
        };
        let slips: Vec<String> = segment.any.iter().flat_map(|fit| idle_names(fit, &everybody)).collect();
        let has_addresses = segment.any.iter().any(|fit| fit.open_addresses().is_some());
        match taken.contains(&number) || has_addresses || segment.any.is_empty() {
            true => slips.iter().for_each(|slip| say(format!("the segment {} {slip}", segment.name))),
            false => say(format!(
                "the segment {} holds nobody who was read{}: no rule about it can be broken",
                segment.name,
                reason(segment, &everybody, &slips)
            )),
        }
    }
    gaps
}

/// Why a segment holds nobody, as far as that is known.
fn reason(segment: &Segment, everybody: &[&Subject<'_>], slips: &[String]) -> String {
    let fits = |subject: &&&Subject<'_>| segment.any.iter().any(|fit| fit.holds(subject));
    match (everybody.iter().find(fits), slips) {
        (Some(subject), _) => {
            format!("; {} and all others that fit belong to segments above it", subject.workload)
        }
        (None, []) => String::new(),
        (None, slips) => format!("; it {}", slips.join(", and ")),
    }
}

/// The names of a fit that fit nobody, in words, with those that may be meant.
fn idle_names(fit: &Fit, everybody: &[&Subject<'_>]) -> Vec<String> {
    type Holds = fn(&Pattern, &Subject<'_>) -> bool;
    type Name = fn(&Subject<'_>) -> String;
    let lists: [(&str, &[Pattern], Holds, Name); 3] = [
        (
            "the namespace",
            &fit.namespaces,
            |pattern, subject| pattern.matches(&subject.workload.namespace),
            |subject| subject.workload.namespace.clone(),
        ),
        (
            "the service account",
            &fit.service_accounts,
            |pattern, subject| pattern.matches(&account(subject)),
            account,
        ),
        (
            "the workload",
            &fit.workloads,
            |pattern, subject| {
                let name = subject.workload;
                pattern.matches_workload(&name.namespace, &name.kind, &name.name)
            },
            |subject| format!("{}/{}", subject.workload.namespace, subject.workload.name),
        ),
    ];
    let mut said = Vec::new();
    for (word, patterns, holds, name) in lists {
        // An empty pattern stands for a condition that could not be read, which was told already.
        let named = patterns.iter().filter(|pattern| !pattern.text().is_empty());
        for pattern in named.filter(|pattern| !everybody.iter().any(|subject| holds(pattern, subject))) {
            let known: BTreeSet<String> = everybody.iter().map(|subject| name(subject)).collect();
            let meant = nearest(pattern.text(), known.iter().map(String::as_str));
            let hint = meant.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
            said.push(format!("names {word} {}, where nobody is{hint}", pattern.text()));
        }
    }
    said
}

fn account(subject: &Subject<'_>) -> String {
    format!("{}/{}", subject.workload.namespace, subject.service_account)
}
