//! One object as it was written, and where it was written.

use super::{Node, Text, scope};
use std::sync::Arc;

/// A parsed object with its place.
#[derive(Clone, Debug)]
pub struct Document {
    /// File, document and names.
    pub origin: Origin,
    /// `apiVersion` as written.
    pub api_version: Text,
    /// The whole object; nodes know their lines.
    pub body: Node,
}

/// Where something stands: enough for a person to open it, and for a finding to name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// File as the user named it; `-` for standard input.
    pub file: Arc<str>,
    /// Number of the document in its file, from 1.
    pub document: u32,
    /// Line, from 1; 0 where none is known.
    pub line: u32,
    /// Column in characters, from 1; 0 where none is known, which is so for most objects.
    pub column: u32,
    /// Kind of the object.
    pub kind: Text,
    /// Namespace of the object; `default` where a namespaced object names none, empty where the
    /// kind has no namespace.
    pub namespace: Text,
    /// Name of the object.
    pub name: Text,
    /// The rule inside the object: `ingress[0]`; empty for the object as a whole.
    pub rule: Text,
}

impl Document {
    /// The namespace of an object that lives in one: `default` where it names none.
    pub fn namespace(&self) -> &str {
        self.origin.home()
    }

    /// Whether objects of its kind live in a namespace.
    pub fn lives_in_namespace(&self) -> bool {
        !scope::is_of_cluster(&self.api_version, &self.origin.kind)
    }

    /// The containers of the pods that it makes.
    pub fn containers(&self) -> &[Node] {
        self.body.path(&["spec", "template", "spec"]).map_or(&[], |pod| pod.items_of("containers"))
    }
}

/// What begins the file of an object of a live cluster; its name follows.
pub const CLUSTER: &str = "cluster:";

/// The kind that stands where Linkerd decides by default and nobody wrote anything.
pub const INBOUND_DEFAULT: &str = "default inbound policy";
/// The same for Consul.
pub const INTENTION_DEFAULT: &str = "default intention policy";

impl Origin {
    /// Where a default stands that nobody wrote: with what shows that there is a mesh, under a name of its
    /// own, for that object says nothing of it.
    pub fn of_default(&self, kind: &'static str, name: &str) -> Origin {
        Origin { kind: kind.into(), namespace: "".into(), name: name.into(), rule: "".into(), ..self.clone() }
    }

    /// Whether it is that of a default that nobody wrote.
    pub fn is_of_default(&self) -> bool {
        [INBOUND_DEFAULT, INTENTION_DEFAULT].contains(&&*self.kind)
    }

    /// A file as a whole.
    pub fn of_file(file: &str) -> Origin {
        Origin {
            file: file.into(),
            document: 0,
            line: 0,
            column: 0,
            kind: Text::default(),
            namespace: Text::default(),
            name: Text::default(),
            rule: Text::default(),
        }
    }

    /// The cluster that an object was read from; `None` for objects of files.
    pub fn cluster(&self) -> Option<&str> {
        self.file.strip_prefix(CLUSTER)
    }

    /// Kind, namespace and name, by which one of several objects is taken whatever the order in which they
    /// were read.
    pub fn names(&self) -> (&str, &str, &str) {
        (&self.kind, &self.namespace, &self.name)
    }

    /// The namespace of an object that lives in one: `default` where it names none.
    pub fn home(&self) -> &str {
        match &*self.namespace {
            "" => "default",
            name => name,
        }
    }

    /// `namespace/Kind/name`, of an object of the cluster `Kind/name`.
    pub fn subject(&self) -> String {
        match self.namespace.is_empty() {
            true => format!("{}/{}", self.kind, self.name),
            false => format!("{}/{}/{}", self.namespace, self.kind, self.name),
        }
    }

    /// The same, with that namespace written out.
    pub fn at_home(&self) -> Origin {
        Origin { namespace: self.home().into(), ..self.clone() }
    }

    /// The same object, at a rule inside it.
    pub fn at(&self, rule: &str, line: u32) -> Origin {
        Origin { rule: rule.into(), line, column: 0, ..self.clone() }
    }
}
