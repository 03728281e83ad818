//! The tables of kinds and fields: what of each object is understood, and which way the rest bends.
//!
//! `docs/reference/engines.md` is generated from these tables, and every object is walked against
//! them, so that a field is supported, narrowed, without effect or a gap, and never passed over in silence.

use super::DataplaneKind;
use crate::model::{Bend, Document, Gap, Node, Origin, Value};

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

/// Gaps of an object: fields that its kind does not have, and fields that are not modelled.
pub fn doubts(kind: &Kind, document: &Document) -> Vec<Gap> {
    let mut gaps = Vec::new();
    const COMMON: &[&str] = &["apiVersion", "kind", "metadata", "status"];
    for (name, node) in document.body.fields() {
        if !COMMON.contains(&&**name) {
            walk(kind, &document.origin, name.to_string(), node, &mut gaps);
        }
    }
    gaps
}

fn walk(kind: &Kind, origin: &Origin, path: String, node: &Node, gaps: &mut Vec<Gap>) {
    let place = || origin.at(&path, node.line);
    match known(kind, &path) {
        Known::Leaf(Support::Gap(bends)) => {
            let what = format!("{path} is not modelled");
            gaps.push(Gap { what, origin: place(), bends });
        }
        Known::Leaf(_) => {}
        Known::Inside => match &node.value {
            Value::List(items) => {
                items.iter().for_each(|item| walk(kind, origin, format!("{path}[]"), item, gaps));
            }
            Value::Map(fields) => {
                fields
                    .iter()
                    .for_each(|(name, item)| walk(kind, origin, format!("{path}.{name}"), item, gaps));
            }
            _ => {}
        },
        Known::Nothing => {
            let what = unknown_field(kind, &path);
            gaps.push(Gap { what, origin: place(), bends: Bend::MayAllowMore });
        }
    }
}

/// Which fields a kind has at a place, for suggestions.
fn unknown_field(kind: &Kind, path: &str) -> String {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    format!("{parent} of {} has no field {name:?}: the API server drops it or refuses the object", kind.name)
}

enum Known {
    Leaf(Support),
    Inside,
    Nothing,
}

fn known(kind: &Kind, path: &str) -> Known {
    let mut inside = false;
    for field in kind.fields {
        let covered = match field.path.strip_suffix('*') {
            Some(prefix) => {
                let stem = prefix.trim_end_matches('.');
                path == stem || path.strip_prefix(stem).is_some_and(|rest| rest.starts_with(['.', '[']))
            }
            None => field.path == path || field.path.strip_suffix("[]") == Some(path),
        };
        if covered {
            return Known::Leaf(field.support);
        }
        inside |= field.path.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']));
    }
    if inside { Known::Inside } else { Known::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind {
        api_versions: &["v1"],
        name: "Thing",
        enforced_by: &[],
        fields: &[full("spec.ports[].port"), full("spec.selector.*"), gap("spec.new", Bend::MayAllowLess)],
    };

    #[test]
    fn a_field_is_a_leaf_inside_or_unknown() {
        assert!(matches!(known(&KIND, "spec.ports"), Known::Inside));
        assert!(matches!(known(&KIND, "spec.ports[].port"), Known::Leaf(Support::Full)));
        assert!(matches!(known(&KIND, "spec.selector.matchLabels.app"), Known::Leaf(Support::Full)));
        assert!(matches!(known(&KIND, "spec.new"), Known::Leaf(Support::Gap(Bend::MayAllowLess))));
        assert!(matches!(known(&KIND, "spec.port"), Known::Nothing));
    }
}
