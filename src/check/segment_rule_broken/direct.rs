//! Direct connections that a rule forbids.

use super::super::ground::{Ground, Pairs};
use super::super::settle::{holding, in_segment};
use super::{Evidence, Finding, SegmentRuleBroken, because, law, pair, remarks, severity, words};
use crate::contract::{Allow, Exception, Protect, Rule, SegmentId};
use crate::graph::{Member, PeerId};
use crate::model::{ExpectedProtection, TrafficSet};
use std::collections::BTreeMap;

/// A finding about direct connections, and whether an exception covers it.
pub(super) struct Broken {
    pub finding: Finding,
    pub excepted: bool,
}

/// Traffic that breaks a rule, by the exception that covers it (`None` for what none covers).
type Parts = BTreeMap<Option<usize>, Part>;

struct Part {
    traffic: TrafficSet,
    /// The connection that shows it, and the names of its ends.
    witness: (PeerId, PeerId),
    names: (String, String),
}

/// What breaks a rule between two segments: one finding for what no exception covers, and one for
/// each exception, so that what is excepted hides nothing else.
pub(super) fn of(
    evidence: &Evidence<'_>,
    ground: &Ground<'_>,
    rule: usize,
    from: SegmentId,
    to: SegmentId,
) -> Vec<Broken> {
    if !ground.may_cross(from, to) {
        return Vec::new();
    }
    let allowed = evidence.contract.rules[rule].allow.traffic();
    let subject = pair(evidence, from, to);
    let inside = |name: &str, segment: &str| in_segment(evidence, name, segment);
    let exceptions: Vec<(usize, &Exception)> = holding(evidence, "segment-rule-broken").collect();
    // Exceptions about workloads take part of a crossing, so that all of it must be looked at.
    let one_by_one = exceptions.iter().any(|(_, exception)| !exception.fits(&subject, &inside));
    let pairs = if one_by_one { Pairs::Every } else { Pairs::Witnesses };
    let mut parts = Parts::new();
    let mut unprotected: Option<(PeerId, PeerId)> = None;
    for (a, b) in ground.crossing(from, to, pairs) {
        let edge = evidence.graph.edge(a, b);
        let kept = edge.traffic.intersection(&allowed);
        let promised = evidence.graph.promised((a, b), &edge, &kept).protection;
        if !kept.is_empty() && falls_short(promised, evidence.contract.rules[rule].protect) {
            unprotected.get_or_insert((a, b));
        }
        let broken = edge.traffic.difference(&allowed);
        if broken.is_empty() {
            continue;
        }
        for names in names(evidence, ground, (a, from), (b, to), pairs) {
            let ends = format!("{} -> {}", names.0, names.1);
            let mut rest = broken.clone();
            for (index, exception) in &exceptions {
                if exception.fits(&subject, &inside) || exception.fits(&ends, &inside) {
                    let own = exception.ports.as_ref().map_or(rest.clone(), |ports| rest.intersection(ports));
                    rest = rest.difference(&own);
                    add(&mut parts, Some(*index), own, (a, b), &names);
                }
            }
            add(&mut parts, None, rest, (a, b), &names);
        }
    }
    let mut found: Vec<Broken> = parts
        .into_iter()
        .map(|(exception, part)| {
            let whole = exception.is_none_or(|e| evidence.contract.exceptions[e].fits(&subject, &inside));
            let subject =
                if whole { subject.clone() } else { format!("{} -> {}", part.names.0, part.names.1) };
            Broken { finding: finding(evidence, rule, to, subject, &part), excepted: exception.is_some() }
        })
        .collect();
    found.extend(unprotected.map(|edge| Broken {
        finding: plaintext(evidence, ground, rule, (from, to), edge),
        excepted: false,
    }));
    found
}

fn add(
    parts: &mut Parts,
    exception: Option<usize>,
    traffic: TrafficSet,
    witness: (PeerId, PeerId),
    names: &(String, String),
) {
    if traffic.is_empty() {
        return;
    }
    let new = || Part { traffic: TrafficSet::none(), witness, names: names.clone() };
    let part = parts.entry(exception).or_insert_with(new);
    part.traffic = part.traffic.union(&traffic);
}

/// The names of the two ends: of one member each, or of all members where each must be asked.
fn names(
    evidence: &Evidence<'_>,
    ground: &Ground<'_>,
    from: (PeerId, SegmentId),
    to: (PeerId, SegmentId),
    pairs: Pairs,
) -> Vec<(String, String)> {
    if pairs == Pairs::Witnesses {
        return vec![(ground.name(from.0, from.1), ground.name(to.0, to.1))];
    }
    let all = |(peer, segment): (PeerId, SegmentId)| -> Vec<String> {
        let Some(class) = evidence.graph.class(peer) else { return vec![ground.name(peer, segment)] };
        let here = |m: &&Member| evidence.segments.of(m.workload as usize, m.variant as usize) == segment;
        class
            .members
            .iter()
            .filter(here)
            .map(|m| super::super::ground::workload(evidence.inventory, *m))
            .collect()
    };
    let targets = all(to);
    let sources = all(from).into_iter();
    sources.flat_map(|a| targets.iter().map(move |b| (a.clone(), b.clone()))).collect()
}

fn finding(evidence: &Evidence<'_>, rule: usize, to: SegmentId, subject: String, part: &Part) -> Finding {
    let rule = &evidence.contract.rules[rule];
    let (a, b) = part.witness;
    let (from_name, to_name) = &part.names;
    let traffic = &part.traffic;
    let mut origins = because(evidence, a, b);
    origins.push(rule.origin.clone());
    let mut finding = SegmentRuleBroken.finding(
        subject,
        format!(
            "By the contract {} travel here, and {} may: {from_name} -> {to_name}.{}",
            law(rule),
            what(rule, traffic),
            remarks(evidence, rule, to, traffic)
        ),
        origins,
        "Let the policies of the target name its clients and ports; or, if it is meant to be so, change the contract.",
    );
    finding.severity = severity(evidence, to, traffic);
    finding.traffic = traffic.clone();
    finding.detail = match &rule.allow {
        Allow::Never => "never".to_owned(),
        Allow::Only(ports) => format!("only {ports}"),
        Allow::All => "all".to_owned(),
    };
    finding
}

/// The traffic that breaks a rule, without counting up what is left when a few ports are taken out.
fn what(rule: &Rule, traffic: &TrafficSet) -> String {
    match (&rule.allow, traffic.union(&rule.allow.traffic()).is_all()) {
        (Allow::Only(_), true) => "everything else".to_owned(),
        _ => traffic.to_string(),
    }
}

fn plaintext(
    evidence: &Evidence<'_>,
    ground: &Ground<'_>,
    rule: usize,
    (from, to): (SegmentId, SegmentId),
    (a, b): (PeerId, PeerId),
) -> Finding {
    let rule = &evidence.contract.rules[rule];
    let edge = evidence.graph.edge(a, b);
    let traffic = edge.traffic.intersection(&rule.allow.traffic());
    let promised = evidence.graph.promised((a, b), &edge, &traffic);
    let why = evidence.graph.reason(&promised);
    let mut origins = because(evidence, a, b);
    origins.push(rule.origin.clone());
    let mut finding = SegmentRuleBroken.finding(
        pair(evidence, from, to),
        format!(
            "By the contract this must be {}, and by its configuration it is {}: {} -> {} ({traffic}); {why}.",
            words(rule.protect),
            promised.protection.word(),
            ground.name(a, from),
            ground.name(b, to)
        ),
        origins,
        "Put both ends into a mesh with strict mutual TLS, or turn TLS on in the protocol.",
    );
    finding.severity = severity(evidence, to, &traffic);
    finding.traffic = traffic;
    finding.detail = format!("configured {}", rule.protect.word());
    finding
}

/// Whether what configuration promises is known to be less than a rule asks for.
fn falls_short(promised: ExpectedProtection, asked: Protect) -> bool {
    use ExpectedProtection::{
        AppTls, MtlsPermissive, MtlsStrict, NodeEncrypted, Plaintext, Refused, Tls, Unknown,
    };
    match (asked, promised) {
        (Protect::AsItIs, _) | (_, Unknown | Refused | MtlsStrict | MtlsPermissive) => false,
        (_, Plaintext) => true,
        (Protect::MutualTls, Tls | AppTls | NodeEncrypted) => true,
        (Protect::Encrypted, Tls | AppTls | NodeEncrypted) => false,
    }
}
