//! Objects of one name: the same object in both API groups, and two that cannot both exist.

use super::policies::Placed;
use super::refused::doubted;
use super::staged;
use crate::model::{Bend, Document, Gap, Node, Problem, Value};
use crate::policy::twins::same_name;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// One document for each object.
pub struct Distinct<'a> {
    /// Those that count.
    pub kept: Vec<&'a Document>,
    /// Documents of the other API group for objects that are among those kept, by the place of these.
    pub rivals: BTreeMap<usize, &'a Document>,
    /// Of two in one group the later one is taken.
    pub problems: Vec<Problem>,
}

/// Puts documents of one object together.
pub fn distinct(documents: Vec<&Document>) -> Distinct<'_> {
    let (mut chosen, mut others, mut problems) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let mut sorted = documents;
    sorted.sort_by(|a, b| a.origin.cmp(&b.origin));
    for document in sorted {
        let identity = staged::identity(document);
        match chosen.entry(identity.clone()) {
            Entry::Vacant(entry) => drop(entry.insert(document)),
            Entry::Occupied(mut entry) => {
                let known: &Document = entry.get();
                if known.api_version != document.api_version {
                    others.insert(identity, document);
                    continue;
                }
                // The same said twice is said once.
                if document.body.says_the_same(&known.body) {
                    continue;
                }
                let hint = "rename one of them, or remove it; the later one was used";
                problems.push(same_name(&document.origin, &known.origin, hint));
                entry.insert(document);
            }
        }
    }
    let mut kept: Vec<(&Document, Option<&Document>)> =
        chosen.into_iter().map(|(identity, document)| (document, others.remove(&identity))).collect();
    kept.sort_by(|(a, _), (b, _)| a.origin.cmp(&b.origin));
    let rivals = kept.iter().enumerate().filter_map(|(place, (_, rival))| Some((place, (*rival)?))).collect();
    Distinct { kept: kept.into_iter().map(|(document, _)| document).collect(), rivals, problems }
}

/// Policies as one or the other document has them, or makes them: where they mean the same, they stand;
/// otherwise neither keeps anything back for certain.
pub fn either(mut sides: Vec<Vec<Placed>>) -> Vec<Placed> {
    if sides.windows(2).all(|pair| mean_the_same(&pair[0], &pair[1])) {
        return sides.into_iter().next().unwrap_or_default();
    }
    sides.drain(..).flatten().map(|placed| doubted(placed, RIVALS)).collect()
}

/// Why nobody knows what an object says.
const RIVALS: &str =
    "the cluster has the object as this document says, and not as that of the other API group does";

/// The gap for an object that its two documents say in two ways.
pub fn gap(document: &Document, rival: &Document) -> Gap {
    let what = format!(
        "{}:{} has the same object in {} and says something else of it; which of them the cluster has is \
         not known",
        rival.origin.file, rival.origin.line, rival.api_version
    );
    Gap { what, origin: document.origin.clone(), bends: Bend::MayAllowLess }
}

/// Whether two documents of a policy mean the same, but for the name that is stored.
pub fn mean_the_same(one: &[Placed], other: &[Placed]) -> bool {
    let same = |(one, other): (&Placed, &Placed)| {
        let (a, b) = (&one.policy, &other.policy);
        let rules = a.rules.iter().zip(&b.rules).all(|(a, b)| {
            (a.action, &a.own, &a.peers, &a.traffic, &a.narrowed)
                == (b.action, &b.own, &b.peers, &b.traffic, &b.narrowed)
        });
        (&one.rank, one.unmatched, one.direction, &a.subjects, a.isolation, a.order.order, a.rules.len())
            == (
                &other.rank,
                other.unmatched,
                other.direction,
                &b.subjects,
                b.isolation,
                b.order.order,
                b.rules.len(),
            )
            && rules
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// Whether two documents of something that is no policy say the same, as far as policies go.
pub fn say_the_same(one: &Document, other: &Document) -> bool {
    let parts = [&["spec"][..], &["metadata", "labels"]];
    parts.iter().all(|path| alike(one.body.path(path), other.body.path(path)))
}

/// Whether two nodes hold the same; what is absent, null or empty is one.
fn alike(one: Option<&Node>, other: Option<&Node>) -> bool {
    let given = |node: Option<&Node>| {
        node.is_some_and(|node| match &node.value {
            Value::Map(fields) => !fields.is_empty(),
            Value::List(items) => !items.is_empty(),
            _ => !node.is_null(),
        })
    };
    let (Some(a), Some(b)) = (one, other) else { return given(one) == given(other) };
    match (&a.value, &b.value) {
        (Value::Map(own), Value::Map(others)) => {
            own.iter().all(|(key, node)| alike(Some(node), b.get(key)))
                && others.iter().all(|(key, node)| alike(a.get(key), Some(node)))
        }
        (Value::List(own), Value::List(others)) => {
            own.len() == others.len() && own.iter().zip(others).all(|(a, b)| alike(Some(a), Some(b)))
        }
        (a, b) => a == b,
    }
}
