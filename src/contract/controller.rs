//! Controllers that people place: which objects they serve, and where they run.

use super::{LabelTest, Pattern};
use crate::model::{AddressSet, Origin};

/// Whoever takes connections from outside for some objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedController {
    /// By what the objects are known.
    pub serves: Served,
    /// A class, or `namespace/name` of an object; stars may stand in it.
    pub of: Pattern,
    /// Where it runs.
    pub runs: Runs,
    /// Where it stands.
    pub origin: Origin,
}

/// By what the objects are known that a controller serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Served {
    /// The class of Ingresses: `spec.ingressClassName`, or the annotation of before.
    Class,
    /// `Gateway.spec.gatewayClassName`.
    GatewayClass,
    /// An Ingress.
    Ingress,
    /// A Gateway, of the Gateway API or of Istio.
    Gateway,
    /// A Route of OpenShift.
    Route,
}

/// Where a controller runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runs {
    /// In the pods of a namespace (any where `None`) that have all of these labels.
    Pods {
        /// The namespace.
        namespace: Option<Pattern>,
        /// The labels.
        labels: Vec<LabelTest>,
    },
    /// In a workload: `namespace/name` or `namespace/Kind/name`.
    Workload(Pattern),
    /// Outside of the cluster, at these addresses; anywhere there where none are given.
    Outside(AddressSet),
}

impl Served {
    /// All of them with their keys.
    pub const ALL: [(Served, &'static str); 5] = [
        (Served::Class, "class"),
        (Served::GatewayClass, "gatewayClass"),
        (Served::Ingress, "ingress"),
        (Served::Gateway, "gateway"),
        (Served::Route, "route"),
    ];

    /// Whether it is a single object, written `namespace/name`.
    pub fn is_object(self) -> bool {
        match self {
            Served::Class | Served::GatewayClass => false,
            Served::Ingress | Served::Gateway | Served::Route => true,
        }
    }
}

impl PlacedController {
    /// What it serves, for people: the class, or the object.
    pub fn name(&self) -> &str {
        self.of.text()
    }
}
