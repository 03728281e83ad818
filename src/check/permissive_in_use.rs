//! `permissive-in-use`: a server that takes plaintext beside mutual TLS, and is called without.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_seen::{Met, met};
use super::shared::{flow_ends, workload_name};
use super::{Evidence, Finding, check};
use crate::model::{Origin, Protection};
use std::collections::BTreeMap;

check! {
    PermissiveInUse, "permissive-in-use", Medium,
    "A server that takes plaintext beside mutual TLS, and is called without it.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

/// Clients that are named.
const NAMED: usize = 6;

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut servers: BTreeMap<String, (Vec<Origin>, BTreeMap<String, usize>)> = BTreeMap::new();
    for one in met(evidence).filter(would_break) {
        let Some(server) = one.seen.responder.workloads().first().copied() else { continue };
        let (client, _) = flow_ends(evidence, &one.seen);
        let how = match one.seen.in_the_clear() {
            true => format!("{} in the clear", one.seen.detection.protocol),
            false => "TLS of its own".to_owned(),
        };
        let own = || {
            let set = one.outlook.accepts.and_then(|acceptance| acceptance.origin.clone());
            set.into_iter().chain([evidence.inventory.workloads[server].origin.clone()]).collect()
        };
        let entry =
            servers.entry(workload_name(evidence, server)).or_insert_with(|| (own(), BTreeMap::new()));
        *entry.1.entry(format!("{client} ({how} on port {})", one.port)).or_default() += 1;
    }
    servers.into_iter().map(|(server, (because, clients))| of_server(server, because, &clients)).collect()
}

fn of_server(server: String, because: Vec<Origin>, clients: &BTreeMap<String, usize>) -> Finding {
    let count: usize = clients.values().sum();
    let named: Vec<&str> = clients.keys().take(NAMED).map(String::as_str).collect();
    let more = clients.len().saturating_sub(NAMED);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    let flows = if count == 1 { "flow" } else { "flows" };
    PermissiveInUse.finding(
        server,
        format!(
            "Mode STRICT would turn away clients that were seen: {}{rest}, in {count} {flows}.",
            named.join(", ")
        ),
        because,
        "Bring these clients into the mesh, or send what they need through a gateway; then set mode STRICT.",
    )
}

/// Whether a strict server would refuse what this one took.
pub(super) fn would_break(one: &Met<'_>) -> bool {
    let own_tls = matches!(one.seen.detection.protection, Protection::Encrypted(_)) && !one.is_mesh_tls();
    one.outlook.is_permissive()
        && (one.seen.in_the_clear() || own_tls)
        && !one.seen.turned_away()
        && one.infrastructure().is_none()
}
