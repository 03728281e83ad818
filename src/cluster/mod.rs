//! The live cluster: its objects as the same documents that files give, read through its API server.
//!
//! Asked for are the kinds that rooms read and no others, never Secrets; what may not be read is a gap
//! that names the missing permission. What objects mean is left to `inventory` and `policy`. This is
//! the one room that waits: nothing asynchronous leaves it.

#[cfg(not(feature = "cluster"))]
mod absent;
#[cfg(feature = "cluster")]
mod api;
mod clean;
mod refused;
mod role;
mod snapshot;
mod yaml;

#[cfg(not(feature = "cluster"))]
pub use absent::{follow, read};
#[cfg(feature = "cluster")]
pub use api::{follow, read};
pub use clean::clean;
pub use refused::{Access, Refused};
pub use role::role;
pub use snapshot::{Form, write};

use crate::model::{CLUSTER, Document, Gap};
use std::path::PathBuf;

/// Which cluster.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// A kubeconfig; by default `$KUBECONFIG`, `~/.kube/config`, or the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; by default its current one.
    pub context: Option<String>,
    /// Namespaces that may be read where the cluster as a whole may not.
    pub namespaces: Vec<String>,
}

/// What was read of a cluster.
#[derive(Debug, Default)]
pub struct Live {
    /// The name of the cluster: of the context, or `in-cluster`.
    pub name: String,
    /// The version of the API server, `v1.36.1`.
    pub version: String,
    /// Objects, ordered by API group, kind, namespace and name.
    pub documents: Vec<Document>,
    /// What was read, in the order of the kinds.
    pub reads: Vec<Read>,
    /// What could not be read.
    pub refused: Vec<Refused>,
}

/// A kind that was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// The version of the list.
    pub resource_version: String,
    /// How many objects there are.
    pub objects: usize,
}

/// How far a reading has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many objects of a kind have come.
    Objects {
        /// The kind.
        kind: String,
        /// New ones.
        count: usize,
    },
    /// A request failed and is made again.
    Again {
        /// What for, and why.
        what: String,
    },
}

/// Hears how far a reading has come.
pub type Told<'a> = &'a (dyn Fn(Progress) + Sync);

/// What happens in a cluster that is followed, in an order in which it may be applied.
#[derive(Debug)]
pub enum Event {
    /// All objects of a kind as they are now; others of it are gone.
    Whole {
        /// The kind.
        kind: KindName,
        /// Where only those of one name are followed, that name.
        name: Option<String>,
        /// Where only those of one namespace are followed, that namespace.
        namespace: Option<String>,
        /// Its objects.
        documents: Vec<Document>,
    },
    /// An object that is new or other.
    Changed(Box<Document>),
    /// An object that is gone.
    Gone(Box<Document>),
    /// A kind that may not be read, or may again (`None`).
    Refused {
        /// The kind.
        kind: KindName,
        /// Why not.
        refused: Option<Refused>,
    },
    /// Every kind was read once; from here on changes follow.
    Complete {
        /// The name of the cluster.
        name: String,
    },
    /// The API server does not answer; what is known stands.
    Lost {
        /// Why.
        why: String,
    },
    /// It answers again, and what happened meanwhile follows.
    Back,
    /// Nothing happened.
    Tick,
}

/// API group and kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KindName {
    /// Empty for the core API.
    pub group: String,
    /// `Pod`.
    pub kind: String,
}

impl Live {
    /// What could not be read, as gaps.
    pub fn gaps(&self) -> Vec<Gap> {
        self.refused.iter().map(|refused| refused.gap(&self.name)).collect()
    }
}

/// The name under which objects of a cluster stand in reports, where others have a file.
pub fn file_name(cluster: &str) -> String {
    format!("{CLUSTER}{cluster}")
}
