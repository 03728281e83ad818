//! Which endpoints look alike to rules is kept from one graph to the next, for namespaces in which
//! nothing changed, as long as rules speak of the same labels, blocks and ports.
//!
//! How an endpoint looks depends on its own workload, namespace and service account, on what all
//! rules together mention, and for meshes and rules about services on services too. Where any of the
//! latter is asked nothing is kept.

use super::groups::OfNamespace;
use super::{Mentioned, SetKey};
use crate::model::AddressSet;
use crate::policy::{Dataplane, PortName, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Look-alikes by the name of their namespace, and what they rest on.
#[derive(Clone, Default)]
pub struct KeptAlike {
    basis: Option<Basis>,
    namespaces: BTreeMap<String, OfNamespace>,
}

/// What rules mention of endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Basis {
    keys: BTreeSet<String>,
    names: BTreeSet<PortName>,
    sets: Vec<SetKey>,
    addresses: Vec<AddressSet>,
    dataplane: Dataplane,
}

impl fmt::Debug for KeptAlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.namespaces.keys()).finish()
    }
}

impl KeptAlike {
    pub(super) fn new(basis: Option<Basis>, namespaces: BTreeMap<String, OfNamespace>) -> KeptAlike {
        match basis {
            Some(_) => KeptAlike { basis, namespaces },
            None => KeptAlike::default(),
        }
    }

    /// Drops what is known of some namespaces.
    pub fn forget<'a>(&mut self, namespaces: impl Iterator<Item = &'a String>) {
        namespaces.for_each(|name| drop(self.namespaces.remove(name)));
    }

    /// What still holds for these rules, and what that rests on; `None` where nothing can be kept.
    pub(super) fn on(
        self,
        mentioned: &Mentioned,
        transport: &Transport,
        dataplane: &Dataplane,
    ) -> (Option<Basis>, BTreeMap<String, OfNamespace>) {
        let of_services = mentioned.sets.iter().any(|set| matches!(set, SetKey::Backends(_)))
            || mentioned.names.iter().any(|name| !matches!(name, PortName::Container(..)));
        if !transport.is_empty() || of_services {
            return (None, BTreeMap::new());
        }
        let basis = Basis {
            keys: mentioned.keys.clone(),
            names: mentioned.names.clone(),
            sets: mentioned.sets.clone(),
            addresses: mentioned.addresses.clone(),
            dataplane: dataplane.clone(),
        };
        match self.basis.as_ref() == Some(&basis) {
            true => (Some(basis), self.namespaces),
            false => (Some(basis), BTreeMap::new()),
        }
    }
}
