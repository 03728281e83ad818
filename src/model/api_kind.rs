//! Kinds of objects that rooms read, as the API server names them. Each room has a table of its own;
//! a live cluster is asked for what stands in them and for nothing else.

use super::Bend;

/// A kind of object that some room reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiKind {
    /// API group; empty for the core API.
    pub group: &'static str,
    /// `kind`.
    pub kind: &'static str,
    /// Which objects of the kind.
    pub objects: Objects,
    /// Which way the answer bends where they cannot be read.
    pub unread: Bend,
}

/// A kind that is asked for, with the versions of its API that are understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedKind {
    /// The kind.
    pub api: ApiKind,
    /// `v1`, `v1beta1` …; where there are none, any is understood.
    pub versions: Vec<&'static str>,
}

/// Which objects of a kind are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objects {
    /// All of them.
    All,
    /// Those of these names, in any namespace: of kinds that hold all sorts of things.
    Named(&'static [&'static str]),
}

/// Objects of a kind that says who exists: where they are missing, more may be allowed than is shown.
pub const fn of(group: &'static str, kind: &'static str) -> ApiKind {
    ApiKind { group, kind, objects: Objects::All, unread: Bend::MayAllowMore }
}
