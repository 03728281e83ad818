//! The tables of kinds and fields: what of each object is understood, and which way the rest bends.
//!
//! `docs/reference/engines.md` is generated from these tables, and every object is walked against
//! them, so that a field is supported, narrowed, without effect or a gap, and never passed over in silence.

use super::DataplaneKind;
use crate::model::{Bend, Document, Gap, Node, Origin, Value, closest};
use hashbrown::HashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// A kind of object that an engine reads.
#[derive(Debug)]
pub struct Kind {
    /// API groups with versions, as `apiVersion` writes them; all mean the same.
    pub api_versions: &'static [&'static str],
    /// `kind`.
    pub name: &'static str,
    /// Who gives it effect; empty where it takes part in no verdict of its own.
    pub enforced_by: &'static [DataplaneKind],
    /// Its fields below the object; those of `metadata`, `kind`, `apiVersion` and `status` are left out.
    pub fields: &'static [Field],
}

/// A field, by its path.
#[derive(Debug)]
pub struct Field {
    /// `spec.ingress[].ports[].port`; `[]` stands for each item, a last `*` for everything below.
    pub path: &'static str,
    /// What is made of it.
    pub support: Support,
}

/// What is made of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Its whole meaning is in the graph.
    Full,
    /// It is kept on the edge as a condition (`Rule::narrowed`).
    Narrowed,
    /// It changes no verdict.
    NoEffect,
    /// It is not modelled, and the truth may differ in this direction.
    Gap(Bend),
}

/// A field with its whole meaning.
pub const fn full(path: &'static str) -> Field {
    Field { path, support: Support::Full }
}

/// A field that becomes a condition.
pub const fn narrowed(path: &'static str) -> Field {
    Field { path, support: Support::Narrowed }
}

/// A field without effect on verdicts.
pub const fn no_effect(path: &'static str) -> Field {
    Field { path, support: Support::NoEffect }
}

/// A field that is not modelled.
pub const fn gap(path: &'static str, bend: Bend) -> Field {
    Field { path, support: Support::Gap(bend) }
}

/// The kind of a document among those of an engine.
pub fn kind_of<'a>(kinds: &'a [Kind], document: &Document) -> Option<&'a Kind> {
    kinds.iter().find(|kind| {
        kind.name == &*document.origin.kind && kind.api_versions.contains(&document.api_version.as_str())
    })
}

/// Whether a dataplane gives effect to objects of a kind.
pub fn is_enforced(kinds: &[Kind], kind: &str, dataplane: DataplaneKind) -> bool {
    kinds.iter().any(|known| known.name == kind && known.enforced_by.contains(&dataplane))
}

/// A field that the kind does not have: the API server drops it or refuses the object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownField {
    /// The object, at the place.
    pub origin: Origin,
    /// `spec.ingress[].form`.
    pub path: String,
    /// The field that was meant, where one is close.
    pub meant: Option<String>,
}

/// Gaps of an object: fields that its kind does not have, and fields that are not modelled.
pub fn doubts(kind: &Kind, document: &Document) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let kind_name = kind.name;
    visit(kind, document, &mut |path, node, known| {
        let origin = || document.origin.at(path, node.line);
        match known {
            Known::Leaf(Support::Gap(bends)) => {
                gaps.push(Gap { what: format!("{path} is not modelled"), origin: origin(), bends });
            }
            Known::Nothing => {
                let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
                let what = format!(
                    "{parent} of {kind_name} has no field {name:?}: the API server drops it or refuses the object"
                );
                gaps.push(Gap { what, origin: origin(), bends: Bend::MayAllowMore });
            }
            Known::Leaf(_) => {}
        }
    });
    gaps
}

/// Fields of an object that its kind does not have, with what was probably meant.
pub fn unknown_fields(kind: &Kind, document: &Document) -> Vec<UnknownField> {
    let mut found = Vec::new();
    visit(kind, document, &mut |path, node, known| {
        if let Known::Nothing = known {
            let origin = document.origin.at(path, node.line);
            found.push(UnknownField { origin, path: path.to_owned(), meant: meant(kind, path) });
        }
    });
    found
}

/// The sibling that a wrong name is closest to.
fn meant(kind: &Kind, path: &str) -> Option<String> {
    let (parent, name) = path.rsplit_once('.')?;
    let sibling = |field: &Field| {
        let rest = field.path.strip_prefix(parent)?.strip_prefix('.')?;
        Some(rest.split(['.', '[']).next()?.to_owned())
    };
    let mut names: Vec<String> = kind.fields.iter().filter_map(sibling).filter(|name| name != "*").collect();
    names.sort();
    names.dedup();
    closest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

/// Calls `seen` for every field of an object that is a leaf of the table or not in it at all.
fn visit(kind: &Kind, document: &Document, seen: &mut dyn FnMut(&str, &Node, Known)) {
    const COMMON: &[&str] = &["apiVersion", "kind", "metadata", "status"];
    let tree = tree_of(kind);
    for (name, node) in document.body.fields() {
        if !COMMON.contains(&&**name) {
            walk(tree.inside(name), &mut name.to_string(), node, seen);
        }
    }
}

/// `path` is lengthened on the way down and is as before afterwards: most fields need no text of their own.
fn walk(tree: Option<&Tree>, path: &mut String, node: &Node, seen: &mut dyn FnMut(&str, &Node, Known)) {
    let Some(tree) = tree else { return seen(path, node, Known::Nothing) };
    if let Some(support) = tree.leaf {
        return seen(path, node, Known::Leaf(support));
    }
    let length = path.len();
    match &node.value {
        Value::List(items) => {
            path.push_str(ITEM);
            let inside = tree.inside(ITEM);
            items.iter().for_each(|item| walk(inside, path, item, seen));
        }
        Value::Map(fields) => {
            for (name, item) in fields {
                path.push('.');
                path.push_str(name);
                walk(tree.inside(name), path, item, seen);
                path.truncate(length);
            }
        }
        _ => {}
    }
    path.truncate(length);
}

enum Known {
    Leaf(Support),
    Nothing,
}

/// What stands for each item of a list.
const ITEM: &str = "[]";

/// The fields of a kind, name below name, so that an object is walked beside them.
#[derive(Default)]
struct Tree {
    /// What is made of everything from here on; the first field of the table that says so counts.
    leaf: Option<Support>,
    /// What stands further inside, with the next name or [`ITEM`].
    inside: Vec<(&'static str, Tree)>,
}

impl Tree {
    fn of(fields: &'static [Field]) -> Tree {
        let mut root = Tree::default();
        for field in fields {
            // A last `*` stands for everything below, and for the value itself where it has no fields;
            // items of a list are what the list is.
            let path = field.path.trim_end_matches('*').trim_end_matches('.');
            let path = path.strip_suffix(ITEM).filter(|_| !field.path.ends_with('*')).unwrap_or(path);
            let names = path.split('.').flat_map(|part| {
                let name = part.trim_end_matches(ITEM);
                let items = part[name.len()..].len() / ITEM.len();
                std::iter::once(name).chain(std::iter::repeat_n(ITEM, items))
            });
            names.fold(&mut root, Tree::grow).leaf.get_or_insert(field.support);
        }
        root
    }

    fn grow(&mut self, name: &'static str) -> &mut Tree {
        let place = self.inside.iter().position(|(own, _)| *own == name).unwrap_or_else(|| {
            self.inside.push((name, Tree::default()));
            self.inside.len() - 1
        });
        &mut self.inside[place].1
    }

    fn inside(&self, name: &str) -> Option<&Tree> {
        self.inside.iter().find(|(own, _)| *own == name).map(|(_, tree)| tree)
    }
}

/// The tree of a kind, grown once on each thread: the table itself tells which one is meant.
fn tree_of(kind: &Kind) -> Rc<Tree> {
    thread_local! {
        static GROWN: RefCell<HashMap<(*const Field, usize), Rc<Tree>>> = RefCell::default();
    }
    let table = (kind.fields.as_ptr(), kind.fields.len());
    GROWN
        .with_borrow_mut(|grown| grown.entry(table).or_insert_with(|| Rc::new(Tree::of(kind.fields))).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind {
        api_versions: &["v1"],
        name: "Thing",
        enforced_by: &[],
        fields: &[
            full("spec.ports[].port"),
            full("spec.selector.*"),
            full("spec.names[]"),
            full("spec.rules[].*"),
            gap("spec.new", Bend::MayAllowLess),
        ],
    };

    #[test]
    fn a_field_is_a_leaf_inside_or_unknown() {
        let tree = tree_of(&KIND);
        let at = |path: &[&str]| path.iter().try_fold(&*tree, |tree, name| tree.inside(name));
        let leaf = |path: &[&str]| at(path).and_then(|tree| tree.leaf);
        assert!(at(&["spec", "ports"]).is_some_and(|tree| tree.leaf.is_none()));
        assert_eq!(leaf(&["spec", "ports", "[]", "port"]), Some(Support::Full));
        assert_eq!(leaf(&["spec", "selector"]), Some(Support::Full));
        assert_eq!(leaf(&["spec", "names"]), Some(Support::Full));
        assert!(at(&["spec", "rules"]).is_some_and(|tree| tree.leaf.is_none()));
        assert_eq!(leaf(&["spec", "rules", "[]"]), Some(Support::Full));
        assert_eq!(leaf(&["spec", "new"]), Some(Support::Gap(Bend::MayAllowLess)));
        assert!(at(&["spec", "port"]).is_none());
    }
}
