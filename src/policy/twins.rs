//! Objects of one name: of two objects of one kind, namespace and name a cluster holds only one, and
//! which of them depends on the order in which they are applied, which files do not tell.
//!
//! The one rule for all languages: each is lowered as if it were the one, and what is kept back is what
//! is kept back whichever it is (`either`). Engines never see two objects of one name.

mod either;

use super::{Dataplane, Engine, Lowered, Lowers, calico, fields, wanted};
use crate::model::{Bend, Document, Gap, Node, Origin, Problem, Text, proxy};
pub use either::{Place, Said, settled};
use hashbrown::HashMap;
use std::collections::BTreeSet;
use std::ops::Range;

/// A kind that engines read and that is no policy.
const NETWORK: &str = "NetworkAttachmentDefinition";

/// What tells whether two documents are one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoredName<'a> {
    group: &'a str,
    kind: &'a str,
    namespace: &'a str,
    /// Of policies of Calico, whose names may have it or not.
    tier: &'a str,
    name: &'a str,
}

impl<'a> StoredName<'a> {
    /// The name of the object that a document says.
    pub fn of(document: &'a Document) -> StoredName<'a> {
        let Origin { kind, name, .. } = &document.origin;
        let (group, tier, name) = match calico::tier_and_name(document) {
            // One object, whichever API it is read by.
            Some((tier, name)) => ("projectcalico.org", tier, name),
            None => match document.api_version.split_once('/') {
                // Where NetworkPolicies came from.
                Some(("extensions", _)) => ("networking.k8s.io", "", name.as_str()),
                Some((group, _)) => (group, "", name.as_str()),
                None => ("", "", name.as_str()),
            },
        };
        StoredName { group, kind, namespace: document.namespace(), tier, name }
    }
}

/// Objects of which several documents speak.
pub struct SameNames(Vec<Vec<usize>>);

impl SameNames {
    /// Looks for them among policies that are `read`, by their places among the documents.
    pub fn among(documents: &[Document], read: impl Fn(&Document) -> bool) -> SameNames {
        let mut by_name: HashMap<StoredName<'_>, Vec<usize>> = HashMap::new();
        for (place, document) in documents.iter().enumerate() {
            if read(document) && is_named_policy(document) {
                by_name.entry(StoredName::of(document)).or_default().push(place);
            }
        }
        let several = by_name.into_values().filter(|places| places.len() > 1);
        let mut several: Vec<Vec<usize>> = several.collect();
        for places in &mut several {
            places.sort_by(|a, b| documents[*a].origin.cmp(&documents[*b].origin));
        }
        several.sort_by(|a, b| documents[a[0]].origin.cmp(&documents[b[0]].origin));
        SameNames(several)
    }
}

/// Lowers what an engine reads; of objects of one name each may be the one that counts, also of those that
/// say how the dataplane is set up.
pub fn lower(
    engine: &dyn Engine,
    documents: &[Document],
    dataplane: &Dataplane,
    names: &SameNames,
) -> Lowered {
    if dataplane.either.is_empty() {
        return lower_under(engine, documents, dataplane, names);
    }
    let under = |dataplane: &Dataplane| {
        let mut lowered = lower_under(engine, documents, dataplane, names);
        for tier in &mut lowered.tiers {
            tier.policies.retain(|policy| super::counts(engine, &policy.origin.kind, dataplane));
            super::ENGINES.iter().for_each(|engine| engine.adapt(tier, dataplane));
        }
        lowered
    };
    let are_all = dataplane.either.len() <= MOST_WORLDS;
    either::joined(dataplane.possible().take(MOST_WORLDS).map(under).collect(), are_all).0
}

fn lower_under(
    engine: &dyn Engine,
    documents: &[Document],
    dataplane: &Dataplane,
    names: &SameNames,
) -> Lowered {
    let read = names.0.iter().filter(|places| {
        // Several languages read them.
        engine.follows(&documents[places[0]]) || wanted::is_settings_map(&documents[places[0]])
    });
    let is_refused = |document: &Document| {
        let alone = engine.lower(std::slice::from_ref(document), dataplane);
        let says_nothing =
            alone.tiers.iter().all(|tier| tier.policies.is_empty()) && alone.transport.is_empty();
        says_nothing && !alone.problems.is_empty()
    };
    let twins = Twins::of(documents, read, is_refused);
    if twins.spare.is_empty() && twins.groups.is_empty() {
        return engine.lower(documents, dataplane);
    }
    let Worlds { chosen, are_all } = twins.worlds(engine.lowers());
    let lowered = twins.each_world(documents, &chosen, |documents| engine.lower(documents, dataplane));
    let (mut lowered, unsettled) = either::joined(lowered, are_all);
    let own = |group: &&Vec<usize>| fields::kind_of(engine.kinds(), &documents[group[0]]).is_some();
    for pair in twins.groups.iter().filter(own).flat_map(|group| group.windows(2)) {
        let (earlier, later) = (&documents[pair[0]], &documents[pair[1]]);
        match are_forms_of_one(earlier, later) {
            false => lowered.problems.push(same_name(&later.origin, &earlier.origin)),
            // Two forms of one object are no mistake, as long as they mean the same.
            true => lowered.gaps.extend(differing_forms(earlier, later, &unsettled)),
        }
    }
    lowered
}

/// The policies that `read` makes of documents in each of which no name stands twice, as they hold
/// whichever of the objects counts; for what is lowered outside of the engines.
pub fn each_way<P: Place>(
    documents: &[Document],
    is_ours: impl Fn(&Document) -> bool,
    read: impl Fn(&[Document]) -> either::Placed<P>,
) -> either::Placed<P> {
    let names = SameNames::among(documents, is_ours);
    let twins =
        Twins::of(documents, names.0.iter(), |document| read(std::slice::from_ref(document)).is_empty());
    let Worlds { chosen, are_all } = twins.worlds(Lowers::Each);
    settled(twins.each_world(documents, &chosen, read), are_all).0
}

/// Clusters that are looked at, at most, for what one engine reads.
const MOST_WORLDS: usize = 64;

/// Clusters with one or the other of the objects of one name.
struct Worlds {
    /// Which of each group are there.
    chosen: Vec<Vec<Range<usize>>>,
    /// Whether what holds in all of these holds whichever there is; else nothing is kept back for certain.
    are_all: bool,
}

/// Objects of one name among documents, by their places there.
struct Twins {
    /// Those that say different things, in the order of files; two at least in each.
    groups: Vec<Vec<usize>>,
    /// Those that say what another one says.
    spare: BTreeSet<usize>,
}

impl Twins {
    /// Tells those that say the same from others. What the API server refuses replaces nothing.
    fn of<'a>(
        documents: &[Document],
        names: impl Iterator<Item = &'a Vec<usize>>,
        is_refused: impl Fn(&Document) -> bool,
    ) -> Twins {
        let mut twins = Twins { groups: Vec::new(), spare: BTreeSet::new() };
        for places in names {
            let mut distinct: Vec<usize> = Vec::new();
            for &place in places {
                match distinct.iter().any(|known| say_the_same(&documents[*known], &documents[place])) {
                    true => drop(twins.spare.insert(place)),
                    false => distinct.push(place),
                }
            }
            if distinct.len() > 1 {
                distinct.retain(|place| !is_refused(&documents[*place]));
            }
            if distinct.len() > 1 {
                twins.groups.push(distinct);
            }
        }
        twins
    }

    /// Which of each group counts, in each cluster that is looked at. Where objects depend on each other,
    /// every two objects of two groups meet in one of these; all combinations would be too many.
    fn worlds(&self, lowers: Lowers) -> Worlds {
        let most = self.groups.iter().map(Vec::len).max().unwrap_or(1);
        let choose = |choice: &dyn Fn(usize) -> usize| -> Vec<Range<usize>> {
            let one = |(number, group): (usize, &Vec<usize>)| {
                let chosen = choice(number).min(group.len() - 1);
                chosen..chosen + 1
            };
            self.groups.iter().enumerate().map(one).collect()
        };
        let mut chosen: Vec<Vec<Range<usize>>> =
            (0..most.min(MOST_WORLDS)).map(|choice| choose(&|_| choice)).collect();
        if most > MOST_WORLDS {
            // What the others let in is let in; which of them keep something back is not asked.
            let others = |group: &Vec<usize>| MOST_WORLDS.min(group.len() - 1)..group.len();
            chosen.push(self.groups.iter().map(others).collect());
            return Worlds { chosen, are_all: false };
        }
        let digits = usize::BITS - self.groups.len().saturating_sub(1).leading_zeros();
        let pairs = most * (most - 1);
        if lowers == Lowers::Each || digits == 0 {
            return Worlds { chosen, are_all: true };
        }
        if pairs * digits as usize > MOST_WORLDS {
            return Worlds { chosen, are_all: false };
        }
        let pairs = (0..most).flat_map(|a| (0..most).map(move |b| (a, b))).filter(|(a, b)| a != b);
        for (a, b) in pairs {
            // Two numbers differ in one of their digits.
            let of = |digit: u32| choose(&|number| if number >> digit & 1 == 0 { a } else { b });
            chosen.extend((0..digits).map(of));
        }
        Worlds { chosen, are_all: true }
    }

    /// What is made of the documents of each such cluster.
    fn each_world<T>(
        &self,
        documents: &[Document],
        worlds: &[Vec<Range<usize>>],
        make: impl Fn(&[Document]) -> T,
    ) -> Vec<T> {
        let several: BTreeSet<usize> = self.groups.iter().flatten().copied().collect();
        let alone = |(place, document): (usize, &Document)| {
            (!several.contains(&place) && !self.spare.contains(&place)).then(|| document.clone())
        };
        let mut present: Vec<Document> = documents.iter().enumerate().filter_map(alone).collect();
        let count = present.len();
        let of_one = |chosen: &Vec<Range<usize>>| {
            present.truncate(count);
            for (group, chosen) in self.groups.iter().zip(chosen) {
                present.extend(group[chosen.clone()].iter().map(|place| documents[*place].clone()));
            }
            make(&present)
        };
        worlds.iter().map(of_one).collect()
    }
}

/// Whether a document is an object of which some engine reads what its kind says.
fn is_named_policy(document: &Document) -> bool {
    // What says no more than how something is set up.
    let is_setting = match &*document.origin.kind {
        "ConfigMap" => !wanted::is_settings_map(document),
        kind => kind == NETWORK,
    };
    let is_read = || {
        super::kinds_by_name().get(&*document.origin.kind).is_some_and(|kinds| {
            kinds.iter().any(|kind| kind.api_versions.contains(&document.api_version.as_str()))
        })
    };
    !document.origin.name.is_empty() && !is_setting && !proxy::is_one(document) && is_read()
}

/// Whether two documents of one object say the same.
fn say_the_same(one: &Document, other: &Document) -> bool {
    match are_forms_of_one(one, other) {
        true => calico::say_the_same(one, other),
        false => {
            let fields = |document: &Document| document.body.fields().len();
            let said = |(name, node): &(Text, Node)| {
                &**name == "apiVersion" || other.body.get(name).is_some_and(|own| own.says_the_same(node))
            };
            fields(one) == fields(other) && one.body.fields().iter().all(said)
        }
    }
}

/// Whether one object is read by two APIs, in each in a form of its own.
fn are_forms_of_one(one: &Document, other: &Document) -> bool {
    one.api_version != other.api_version && calico::tier_and_name(one).is_some()
}

/// What is said of an object whose name is taken by an earlier one.
fn same_name(origin: &Origin, earlier: &Origin) -> Problem {
    let Origin { file, line, .. } = earlier;
    let message = format!("the same name is taken at {file}:{line}; the later object replaces the earlier");
    let hint = "rename one of them, or review one folder at a time; what either lets in is counted, and \
                only what both keep back is kept back";
    super::kubernetes::refusal(origin, 0, message, hint)
}

/// The gap for an object of which two API groups say different things.
fn differing_forms(document: &Document, other: &Document, unsettled: &BTreeSet<Said>) -> Option<Gap> {
    let is_policy = document.origin.kind.contains("NetworkPolicy");
    let name = |document: &Document| Said::of(&document.origin);
    if is_policy && ![name(document), name(other)].iter().any(|name| unsettled.contains(name)) {
        return None;
    }
    let what = format!(
        "{}:{} has the same object in {} and says something else of it; which of them the cluster has is not \
         known",
        other.origin.file, other.origin.line, other.api_version
    );
    Some(Gap { what, origin: document.origin.clone(), bends: Bend::MayAllowLess })
}
