//! Findings as people read them: where many differ in one address alone, they are told as one. What
//! programs read keeps each.

use super::outside::{MOST, groups, labelled};
use crate::analysis::Analysis;
use crate::check::{Finding, Severity};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Groups of addresses that are named in a finding; the others are counted.
const NAMED: usize = 5;

/// What findings have in common that are told as one: check and severity, subject without the address,
/// detail, message without numbers, and what to do.
type Key<'a> = ((&'a str, Severity), [&'a str; 2], &'a str, String, &'a str);

/// The findings of an analysis in their order, each by itself or standing for many.
pub(super) fn findings(analysis: &Analysis) -> Vec<Cow<'_, Finding>> {
    let keys: Vec<Option<(Key<'_>, IpAddr)>> = analysis.findings.iter().map(key).collect();
    let mut alike: BTreeMap<&Key<'_>, BTreeSet<IpAddr>> = BTreeMap::new();
    for (key, address) in keys.iter().flatten() {
        alike.entry(key).or_default().insert(*address);
    }
    alike.retain(|_, addresses| addresses.len() > MOST / 2);
    let mut told = BTreeSet::new();
    let mut shown = Vec::new();
    for (finding, key) in analysis.findings.iter().zip(&keys) {
        let key = key.as_ref().map(|(key, _)| key);
        match key.and_then(|key| Some((key, alike.get(key)?))) {
            None => shown.push(Cow::Borrowed(finding)),
            Some((key, addresses)) if told.insert(key) => {
                shown.push(Cow::Owned(together(analysis, finding, key, addresses)));
            }
            Some(_) => {}
        }
    }
    shown
}

/// The one address that a subject names, and what else is to be the same; `None` where there is none.
fn key(finding: &Finding) -> Option<(Key<'_>, IpAddr)> {
    let (from, to) = finding.subject.split_once(" -> ").unwrap_or((&finding.subject, ""));
    let (around, address) = match (from.parse::<IpAddr>(), to.parse::<IpAddr>()) {
        (Ok(address), Err(_)) => (["", to], address),
        (Err(_), Ok(address)) => ([from, ""], address),
        _ => return None,
    };
    let message = without_numbers(&finding.message);
    Some((((finding.check, finding.severity), around, &finding.detail, message, &finding.fix), address))
}

/// A message without the counts in front and behind: they differ from address to address.
fn without_numbers(message: &str) -> String {
    let message = message.trim_start_matches(|letter: char| letter.is_ascii_digit());
    match message.rsplit_once(" Seen in ") {
        Some((before, count)) if count.ends_with(" flow.") || count.ends_with(" flows.") => before.to_owned(),
        _ => message.to_owned(),
    }
}

/// One finding in the place of those that differ in an address.
fn together(analysis: &Analysis, first: &Finding, key: &Key<'_>, addresses: &BTreeSet<IpAddr>) -> Finding {
    let (_, [from, to], _, message, _) = key;
    let count = addresses.len();
    let subject = match (from.is_empty(), to.is_empty()) {
        (true, true) => format!("{count} addresses"),
        (false, _) => format!("{from} -> {count} addresses"),
        (true, false) => format!("{count} addresses -> {to}"),
    };
    let mut groups: Vec<(String, BTreeSet<IpAddr>)> =
        groups(analysis, addresses, usize::MAX).into_iter().collect();
    groups.sort_by_key(|(_, members)| Reverse(members.len()));
    let mut names: Vec<String> =
        groups.iter().take(NAMED).map(|(label, members)| labelled(label, members)).collect();
    names.extend((groups.len() > NAMED).then(|| format!("and {} more", groups.len() - NAMED)));
    let each = if message.starts_with(' ') { "Each of them:" } else { "" };
    let message = format!(
        "{each}{message} These are {count} findings that differ in the address alone, which json and csv \
         list: {}.",
        names.join(", ")
    );
    Finding { subject, message, ..first.clone() }
}
