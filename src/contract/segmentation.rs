//! A contract bound to those who exist: which segment each variant and each address belongs to,
//! and which rules decide about a pair of segments.

use super::{Contract, Kind, Knowledge, Sensitivity, Subject, idle, nearest};
use crate::model::{AddressSet, Bend, Gap, Origin, Problem};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Number of a segment.
pub type SegmentId = u32;

/// Who belongs where.
#[derive(Clone, Debug)]
pub struct Segmentation {
    /// By number: declared ones, networks, namespaces, and the outside last.
    pub segments: Vec<SegmentInfo>,
    of_variant: Vec<Vec<SegmentId>>,
    /// Addresses of declared segments and networks; the first that holds one counts.
    blocks: Vec<(AddressSet, SegmentId)>,
    /// For each rule how well its ends name each segment.
    ranks: Vec<Ranks>,
    /// What is not certain about it.
    pub gaps: Vec<Gap>,
    /// Ends of rules that name nobody.
    pub problems: Vec<Problem>,
}

/// A segment for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Name for people.
    pub name: String,
    /// What makes it one.
    pub kind: Kind,
    /// How much its data matters, where something was said.
    pub sensitivity: Option<Sensitivity>,
    /// Where it stands; `None` for namespaces and the outside.
    pub origin: Option<Origin>,
}

#[derive(Clone, Debug)]
struct Ranks {
    from: Vec<Option<u8>>,
    to: Vec<Option<u8>>,
}

impl Segmentation {
    /// Binds a contract to the variants of all workloads, in the order of the inventory.
    pub fn build<'a>(contract: &Contract, workloads: &'a [Vec<Subject<'a>>]) -> Segmentation {
        let declared = contract.segments.len();
        let mut segments: Vec<SegmentInfo> = contract.segments.iter().map(declared_info).collect();
        segments.extend(contract.networks.iter().map(network_info));
        let chosen: Vec<Vec<Option<usize>>> = workloads
            .iter()
            .map(|variants| variants.iter().map(|subject| first_fit(contract, subject)).collect())
            .collect();
        let left_over = workloads.iter().zip(&chosen).flat_map(|(variants, chosen)| {
            let free = variants.iter().zip(chosen).filter(|(_, chosen)| chosen.is_none());
            free.map(|(subject, _)| subject.workload.namespace.as_str())
        });
        let mut names: Vec<&str> = left_over.collect();
        // They come namespace after namespace.
        names.dedup();
        let names: BTreeSet<&str> = names.into_iter().collect();
        let first = segments.len() as SegmentId;
        let taken: BTreeSet<String> = segments.iter().map(|s| s.name.clone()).collect();
        let numbers: BTreeMap<&str, SegmentId> = names.iter().copied().zip(first..).collect();
        segments.extend(names.iter().map(|name| namespace_info(name, &taken)));
        segments.push(plain_info("outside".to_owned(), Kind::Outside));
        let mut last = ("", 0);
        let mut of_namespace = |name: &'a str| {
            if last.0 != name || name.is_empty() {
                last = (name, numbers[name]);
            }
            last.1
        };
        let of_variant = workloads
            .iter()
            .zip(&chosen)
            .map(|(variants, chosen)| {
                let number = |(subject, chosen): (&Subject<'a>, &Option<usize>)| match chosen {
                    Some(index) => *index as SegmentId,
                    None => of_namespace(&subject.workload.namespace),
                };
                variants.iter().zip(chosen).map(number).collect()
            })
            .collect();
        let open = contract.segments.iter().enumerate().flat_map(|(number, segment)| {
            let addresses = segment.any.iter().filter_map(|fit| fit.open_addresses());
            addresses.map(move |set| (set.clone(), number as SegmentId))
        });
        let networks = (declared as SegmentId..).zip(&contract.networks);
        let blocks = open.chain(networks.map(|(number, n)| (n.addresses.clone(), number))).collect();
        let ranks = contract.rules.iter().map(|rule| Ranks::of(rule, &segments)).collect();
        let mut gaps = gaps(contract, workloads);
        gaps.extend(idle::gaps(contract, workloads, &chosen));
        let problems = unknown_ends(contract, &segments);
        Segmentation { segments, of_variant, blocks, ranks, gaps, problems }
    }

    /// The segment of a variant.
    pub fn of(&self, workload: usize, variant: usize) -> SegmentId {
        self.of_variant[workload][variant]
    }

    /// The segments of all variants of a workload.
    pub fn of_workload(&self, workload: usize) -> &[SegmentId] {
        &self.of_variant[workload]
    }

    /// The segments of all variants of each workload, in the order of the inventory.
    pub fn of_workloads(&self) -> impl Iterator<Item = &[SegmentId]> {
        self.of_variant.iter().map(Vec::as_slice)
    }

    /// The segment of an address that no pod holds.
    pub fn of_address(&self, address: IpAddr) -> SegmentId {
        let holds = |(set, _): &&(AddressSet, SegmentId)| set.contains(address);
        self.blocks.iter().find(holds).map_or(self.outside(), |(_, number)| *number)
    }

    /// The segments that some addresses lie in.
    pub fn of_addresses(&self, addresses: &AddressSet) -> Vec<SegmentId> {
        let (mut rest, mut found) = (addresses.clone(), BTreeSet::new());
        for (set, number) in &self.blocks {
            if !rest.intersection(set).is_empty() {
                found.insert(*number);
                rest = rest.difference(set);
            }
        }
        if !rest.is_empty() {
            found.insert(self.outside());
        }
        found.into_iter().collect()
    }

    /// The number of what no segment holds.
    pub fn outside(&self) -> SegmentId {
        self.segments.len() as SegmentId - 1
    }

    /// The name of a segment.
    pub fn name(&self, segment: SegmentId) -> &str {
        &self.segments[segment as usize].name
    }

    /// The word for what separates: `namespaces` where nothing but namespaces are segments.
    pub fn word(&self) -> &'static str {
        let declared = self.segments.iter().any(|s| s.kind == Kind::Declared);
        if declared { "segments" } else { "namespaces" }
    }

    /// The rules that decide about a pair, by number: those that name it most exactly.
    ///
    /// Within one segment only rules count that name it at both ends.
    pub fn deciding(&self, from: SegmentId, to: SegmentId) -> Vec<usize> {
        let (mut best, mut rules) = (if from == to { 4 } else { 0 }, Vec::new());
        for (number, ranks) in self.ranks.iter().enumerate() {
            let (Some(a), Some(b)) = (ranks.from[from as usize], ranks.to[to as usize]) else { continue };
            if a + b > best {
                rules.clear();
                best = a + b;
            }
            if a + b == best {
                rules.push(number);
            }
        }
        rules
    }

    /// Whether some rule decides about a pair.
    pub fn is_decided(&self, from: SegmentId, to: SegmentId) -> bool {
        let rank = |ranks: &Ranks| Some(ranks.from[from as usize]? + ranks.to[to as usize]?);
        let least = if from == to { 4 } else { 0 };
        self.ranks.iter().any(|ranks| rank(ranks).is_some_and(|rank| rank >= least))
    }

    /// The segments that the first or the second end of a rule names.
    pub fn named_by(&self, rule: usize) -> (Vec<SegmentId>, Vec<SegmentId>) {
        let named = |ranks: &[Option<u8>]| {
            let numbered = (0..).zip(ranks);
            numbered.filter(|(_, rank)| rank.is_some()).map(|(number, _)| number).collect()
        };
        (named(&self.ranks[rule].from), named(&self.ranks[rule].to))
    }
}

impl Ranks {
    fn of(rule: &super::Rule, segments: &[SegmentInfo]) -> Ranks {
        let best = |ends: &[super::End]| {
            let rank = |s: &SegmentInfo| ends.iter().filter_map(|end| end.rank(s.kind, &s.name)).max();
            segments.iter().map(rank).collect()
        };
        Ranks { from: best(&rule.from), to: best(&rule.to) }
    }
}

fn declared_info(segment: &super::Segment) -> SegmentInfo {
    SegmentInfo {
        name: segment.name.clone(),
        kind: Kind::Declared,
        sensitivity: segment.sensitivity,
        origin: Some(segment.origin.clone()),
    }
}

fn network_info(network: &super::Network) -> SegmentInfo {
    SegmentInfo {
        name: network.name.clone(),
        kind: Kind::Network,
        sensitivity: None,
        origin: Some(network.origin.clone()),
    }
}

/// What declared segments leave of a namespace; where one of them has its name, it gets another.
fn namespace_info(name: &str, taken: &BTreeSet<String>) -> SegmentInfo {
    let name = if taken.contains(name) { format!("rest of namespace {name}") } else { name.to_owned() };
    plain_info(name, Kind::Namespace)
}

fn plain_info(name: String, kind: Kind) -> SegmentInfo {
    SegmentInfo { name, kind, sensitivity: None, origin: None }
}

fn first_fit(contract: &Contract, subject: &Subject<'_>) -> Option<usize> {
    contract.segments.iter().position(|segment| segment.any.iter().any(|fit| fit.holds(subject)))
}

/// Labels and addresses that nobody told may belong to whom a segment should hold.
fn gaps(contract: &Contract, workloads: &[Vec<Subject<'_>>]) -> Vec<Gap> {
    if contract.segments.is_empty() {
        return Vec::new();
    }
    let all = || workloads.iter().flatten();
    let unlabelled: BTreeSet<&str> = all()
        .filter(|s| s.namespace_known == Knowledge::NameOnly)
        .map(|s| s.workload.namespace.as_str())
        .collect();
    let unaddressed = all().filter(|s| s.addresses.is_empty()).count();
    let mut gaps = Vec::new();
    for segment in &contract.segments {
        let mut say = |what: String| {
            gaps.push(Gap { what, origin: segment.origin.clone(), bends: Bend::MayAllowMore });
        };
        let by_name_label = |test: &super::LabelTest| test.key == "kubernetes.io/metadata.name";
        if segment.any.iter().any(|fit| !fit.namespace_labels.iter().all(by_name_label))
            && !unlabelled.is_empty()
        {
            let names: Vec<&str> = unlabelled.iter().take(4).copied().collect();
            let more = unlabelled.len() - names.len();
            let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
            say(format!(
                "the segment {} goes by labels of namespaces, and those of {}{tail} were not read",
                segment.name,
                names.join(", ")
            ));
        }
        if segment.any.iter().any(|fit| !fit.addresses.is_empty()) && unaddressed > 0 {
            say(format!(
                "the segment {} goes by address, and those of {unaddressed} workload variants are not known",
                segment.name
            ));
        }
    }
    gaps
}

/// Ends of rules that are neither segments nor networks nor namespaces with workloads of their own.
fn unknown_ends(contract: &Contract, segments: &[SegmentInfo]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for rule in &contract.rules {
        for end in rule.from.iter().chain(&rule.to) {
            if segments.iter().any(|s| end.rank(s.kind, &s.name).is_some()) {
                continue;
            }
            let known: Vec<&str> = segments.iter().map(|s| s.name.as_str()).collect();
            let hint = match nearest(end.text(), known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => {
                    let shown: Vec<&str> = known.iter().take(12).copied().collect();
                    format!(
                        "there are {}; a namespace that may be absent is declared under `segments`",
                        shown.join(", ")
                    )
                }
            };
            let message = format!("no segment, network or namespace is called {:?}", end.text());
            // The line tells which rule it is.
            let origin = Origin { kind: "".into(), name: "".into(), ..rule.origin.clone() };
            problems.push(Problem { origin, message, hint });
        }
    }
    problems
}
