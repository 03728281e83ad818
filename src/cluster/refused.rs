//! What could not be read of a cluster, with the permission that is missing.

use super::file_name;
use crate::model::{Bend, Gap, Origin};

/// A kind, or some objects of it, that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// API group; empty for the core API.
    pub group: String,
    /// The resource as roles name it: `networkpolicies`; empty for the group as a whole.
    pub resource: String,
    /// The kind; `*` for all of the group.
    pub kind: String,
    /// Why.
    pub access: Access,
    /// Which way the answer bends.
    pub bends: Bend,
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// No role permits it: `list` or `watch`.
    Forbidden(String),
    /// No role permits it but in some namespaces, and there it was read.
    Only {
        /// `list` or `watch`.
        verb: String,
        /// In the order in which they were named.
        namespaces: Vec<String>,
    },
    /// The API server answers otherwise, again and again.
    Failed(String),
}

impl Refused {
    /// A sentence that names the missing permission.
    pub fn words(&self) -> String {
        let of = match self.group.as_str() {
            "" => "the core API".to_owned(),
            group => format!("the API group {group}"),
        };
        let what = match self.resource.as_str() {
            "" => of,
            resource => format!("{resource} of {of}"),
        };
        match &self.access {
            Access::Forbidden(verb) => {
                format!("{what} may not be read: the permission to {verb} them is missing")
            }
            Access::Only { verb, namespaces } => {
                let names = namespaces.join(", ");
                format!(
                    "of {what} only those in {names} were read: the permission to {verb} the others is missing"
                )
            }
            Access::Failed(why) => format!("{what} could not be read: {why}"),
        }
    }

    /// The same where it was read in some namespaces all the same.
    pub fn only_in(mut self, namespaces: Vec<String>) -> Refused {
        if let (Access::Forbidden(verb), false) = (&self.access, namespaces.is_empty()) {
            self.access = Access::Only { verb: verb.clone(), namespaces };
        }
        self
    }

    /// The same as a gap of a cluster of this name.
    pub fn gap(&self, cluster: &str) -> Gap {
        let origin = Origin {
            file: file_name(cluster).into(),
            document: 0,
            line: 0,
            column: 0,
            kind: self.resource.as_str().into(),
            namespace: "".into(),
            name: self.group.as_str().into(),
            rule: "".into(),
        };
        Gap { what: self.words(), origin, bends: self.bends }
    }
}
