//! Segments as they are written: whom they hold, and how much their data matters.

use super::Pattern;
use crate::model::{AddressSet, EndpointName, Few, Labels, Origin};
use std::net::IpAddr;

/// A named set of endpoints and addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its name, which rules and exceptions use.
    pub name: String,
    /// How much its data matters; `None` where nothing was said.
    pub sensitivity: Option<Sensitivity>,
    /// It holds whatever fits one of these.
    pub any: Vec<Fit>,
    /// Where it stands.
    pub origin: Origin,
}

/// How much the data of a segment matters; the later, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sensitivity {
    /// Everybody may know it.
    Public,
    /// For the organisation.
    Internal,
    /// For some of it.
    Confidential,
    /// For a few, by law or by contract.
    Restricted,
}

/// Conditions that must all hold; a list that is empty says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Names of namespaces.
    pub namespaces: Vec<Pattern>,
    /// Labels of the namespace.
    pub namespace_labels: Vec<LabelTest>,
    /// Labels of the pods.
    pub pod_labels: Vec<LabelTest>,
    /// Service accounts, `namespace/name`.
    pub service_accounts: Vec<Pattern>,
    /// Workloads, `namespace/name` or `namespace/Kind/name`.
    pub workloads: Vec<Pattern>,
    /// Addresses; alone in a fit they hold addresses outside of the cluster too.
    pub addresses: AddressSet,
}

/// A label that must be there with one of the values, in which stars may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelTest {
    /// The key.
    pub key: String,
    /// The values, any of them.
    pub values: Vec<Pattern>,
}

/// Addresses outside of the cluster that have a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name, which reports show and rules may use.
    pub name: String,
    /// Its addresses.
    pub addresses: AddressSet,
    /// Where it stands.
    pub origin: Origin,
}

/// Pods, as a segment looks at them.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Namespace, kind and name of the workload.
    pub workload: &'a EndpointName,
    /// Labels of its namespace.
    pub namespace_labels: &'a Labels,
    /// Whether those are all of them.
    pub namespace_known: Knowledge,
    /// Labels of the pods.
    pub labels: &'a Labels,
    /// `spec.serviceAccountName`.
    pub service_account: &'a str,
    /// Known addresses.
    pub addresses: &'a Few<IpAddr>,
}

/// Whether an object was read or only mentioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// It was read.
    Whole,
    /// Only its name is known.
    NameOnly,
}

impl Sensitivity {
    /// All of them with their words, the least first.
    pub const ALL: [(Sensitivity, &'static str); 4] = [
        (Sensitivity::Public, "public"),
        (Sensitivity::Internal, "internal"),
        (Sensitivity::Confidential, "confidential"),
        (Sensitivity::Restricted, "restricted"),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Sensitivity::ALL[self as usize].1
    }
}

impl Fit {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Fit::default()
    }

    /// Whether pods satisfy every condition; of several addresses one is enough.
    pub fn holds(&self, subject: &Subject<'_>) -> bool {
        let EndpointName { namespace, kind, name } = subject.workload;
        let any = |patterns: &[Pattern], fits: &dyn Fn(&Pattern) -> bool| {
            patterns.is_empty() || patterns.iter().any(fits)
        };
        let account = format!("{namespace}/{}", subject.service_account);
        any(&self.namespaces, &|p| p.matches(namespace))
            && self.namespace_labels.iter().all(|test| test.holds(subject.namespace_labels))
            && self.pod_labels.iter().all(|test| test.holds(subject.labels))
            && any(&self.service_accounts, &|p| p.matches(&account))
            && any(&self.workloads, &|p| p.matches_workload(namespace, kind, name))
            && (self.addresses.is_empty() || subject.addresses.iter().any(|a| self.addresses.contains(*a)))
    }

    /// The addresses that it holds whoever has them: those of a fit that asks for nothing else.
    pub fn open_addresses(&self) -> Option<&AddressSet> {
        let alone = Fit { addresses: self.addresses.clone(), ..Fit::default() };
        (!self.addresses.is_empty() && *self == alone).then_some(&self.addresses)
    }
}

impl LabelTest {
    /// Whether some labels have it.
    pub fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        value.is_some_and(|value| self.values.iter().any(|pattern| pattern.matches(value)))
    }
}
