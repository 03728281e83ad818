//! The same object in both API groups: whether the two say the same.

use crate::model::{Document, Node, Value};

/// Whether two documents say the same, as far as policies go.
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
