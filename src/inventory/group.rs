//! Pods and templates → workloads: each under its top owner, look-alikes put together.

use super::build::Owned;
use super::workload::{Variant, Workload};
use crate::model::EndpointName;
use std::collections::BTreeMap;

/// Who owns templates.
pub(super) fn owners(owned: &[Owned]) -> BTreeMap<EndpointName, EndpointName> {
    let templates = owned.iter().filter(|owned| owned.from_template);
    let mut owners: BTreeMap<EndpointName, EndpointName> =
        templates.filter_map(|owned| Some((owned.name.clone(), owned.owner.clone()?))).collect();
    // The running instance of a machine has its name.
    for machine in owned.iter().filter(|owned| owned.name.kind == "VirtualMachine") {
        let kind = "VirtualMachineInstance".to_owned();
        owners.insert(EndpointName { kind, ..machine.name.clone() }, machine.name.clone());
    }
    owners
}

/// Follows owners upward; a cycle ends where it began.
pub(super) fn top_owner(start: &EndpointName, owners: &BTreeMap<EndpointName, EndpointName>) -> EndpointName {
    let mut name = start;
    for _ in 0..8 {
        match owners.get(name) {
            Some(owner) => name = owner,
            None => break,
        }
    }
    name.clone()
}

/// The workload of a top owner; none where nothing runs.
pub(super) fn workload(name: EndpointName, mut owned: Vec<Owned>) -> Option<Workload> {
    owned.sort_by(|a, b| (a.from_template, &a.origin).cmp(&(b.from_template, &b.origin)));
    let declared = owned.iter().find(|o| o.name == name).or(owned.first())?;
    let origin = declared.origin.clone();
    // Each with those that are put to it.
    let mut variants: Vec<(Variant, Vec<Variant>)> = Vec::with_capacity(1);
    for one in owned {
        let Some(variant) = one.variant else { continue };
        let covered = |known: &Variant| variant.labels.iter().all(|(k, v)| known.labels.get(k) == Some(v));
        if one.from_template && variants.iter().any(|(known, _)| covered(known)) {
            continue;
        }
        match variants.iter_mut().find(|(known, _)| alike(known, &variant)) {
            Some((_, others)) => others.push(*variant),
            None => variants.push((*variant, Vec::new())),
        }
    }
    let variants: Vec<Variant> = variants.into_iter().map(|(first, others)| joined(first, others)).collect();
    (!variants.is_empty()).then_some(Workload { name, variants, origin })
}

/// Pods that are alike, as one.
fn joined(mut first: Variant, others: Vec<Variant>) -> Variant {
    if others.is_empty() {
        return first;
    }
    first.addresses.extend(others.iter().flat_map(|other| other.addresses.iter().copied()));
    first.nodes.extend(others.iter().flat_map(|other| other.nodes.iter().cloned()));
    first.pods.extend(others.iter().flat_map(|other| other.pods.iter().cloned()));
    for (name, addresses) in others.into_iter().flat_map(|other| other.attachments) {
        first.attachments.entry(name).or_default().extend(addresses);
    }
    first
}

/// Whether pods can be put together; one whose address or node is not known stays apart from those
/// whose are, so that nobody takes what is known of some for all.
fn alike(a: &Variant, b: &Variant) -> bool {
    let known = |v: &Variant| (v.addresses.is_empty(), v.nodes.is_empty());
    let alike = (
        &a.labels,
        &a.annotations,
        (&a.containers, &a.users),
        &a.ports,
        (a.network, a.runs_on),
        &a.service_account,
        &a.profiles,
        &a.proxies,
        known(a),
    ) == (
        &b.labels,
        &b.annotations,
        (&b.containers, &b.users),
        &b.ports,
        (b.network, b.runs_on),
        &b.service_account,
        &b.profiles,
        &b.proxies,
        known(b),
    );
    alike && a.attachments.keys().eq(b.attachments.keys())
}
