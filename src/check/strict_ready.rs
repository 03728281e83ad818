//! `strict-ready`: a server that takes plaintext beside mutual TLS, and only ever saw mutual TLS.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_ground::is_member;
use super::mesh_seen::Promises;
use super::{Evidence, Finding, check};
use crate::graph::{Admission, ClassId, MeshMode};
use crate::inventory::Workload;
use crate::observed::{ObservedFlow, Stretch, Transport};
use std::collections::{BTreeMap, BTreeSet};

check! {
    StrictReady, "strict-ready", Low,
    "A server that takes plaintext beside mutual TLS, and only ever saw mutual TLS.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

/// What was seen of the flows to a server.
#[derive(Default)]
struct Calls {
    mutual: usize,
    clients: BTreeSet<u32>,
    others: usize,
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut calls: BTreeMap<usize, Calls> = BTreeMap::new();
    let mut promises = Promises::of(evidence);
    for seen in evidence.observed.flows.iter() {
        let Some(promise) = promises.promise(&seen) else {
            unpromised(&seen, &mut calls);
            continue;
        };
        let one = promise.about(seen);
        for server in one.seen.responder.workloads() {
            let calls = calls.entry(server).or_default();
            // A failed handshake proves nothing about clients that get through.
            if one.is_mesh_tls() {
                calls.mutual += 1;
                calls.clients.insert(one.from);
            } else if one.infrastructure().is_none()
                && !one.seen.failed_handshake()
                && !one.seen.turned_away()
            {
                calls.others += 1;
            }
        }
    }
    let ready = calls.into_iter().filter(|(_, calls)| calls.mutual > 0 && calls.others == 0);
    ready.filter_map(|(server, calls)| of_server(evidence, server, &calls)).collect()
}

/// What could not be laid beside a promise may have been in the clear.
fn unpromised(seen: &ObservedFlow, calls: &mut BTreeMap<usize, Calls>) {
    if matches!(seen.stretch, Stretch::Inside(_)) || seen.flow.transport != Transport::Tcp {
        return;
    }
    for server in seen.responder.workloads() {
        calls.entry(server).or_default().others += 1;
    }
}

fn of_server(evidence: &Evidence<'_>, server: usize, calls: &Calls) -> Option<Finding> {
    let graph = evidence.graph;
    let workload = &evidence.inventory.workloads[server];
    let permissive = |class: &ClassId| {
        let deciding = graph.acceptances(*class).find(|acceptance| acceptance.ports.is_all());
        deciding.is_some_and(|acceptance| {
            let accepts = acceptance.accepts;
            accepts.plaintext == Admission::Admitted && accepts.terminates.is_some()
        })
    };
    let classes = graph.classes_of(server);
    if classes.is_empty() || !classes.iter().all(|class| is_member(graph, *class) && permissive(class)) {
        return None;
    }
    let mode = graph.membership(*classes.first()?)?.mode;
    let set = graph.acceptances(classes[0]).find(|acceptance| acceptance.ports.is_all());
    let because = set.and_then(|acceptance| acceptance.origin.clone()).into_iter();
    let (flows, clients) = (calls.mutual, calls.clients.len());
    let plural =
        |count: usize, word: &str| if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") };
    Some(StrictReady.finding(
        workload.name.to_string(),
        format!(
            "It takes plaintext, and all that was seen is mutual TLS: {} from {}.",
            plural(flows, "flow"),
            plural(clients, "client")
        ),
        because.chain([workload.origin.clone()]).collect(),
        format!(
            "A capture is a short look: compare it with the clients that you know. Then apply {}",
            patch(workload, mode)
        ),
    ))
}

/// What makes a server strict, as one line of YAML where its mesh has an object for that.
fn patch(workload: &Workload, mode: MeshMode) -> String {
    let (name, namespace) = (&workload.name.name, &workload.name.namespace);
    match mode {
        MeshMode::IstioSidecar | MeshMode::IstioAmbient => {
            let labels = shared_labels(workload);
            let selector = match labels.is_empty() {
                true => String::new(),
                false => format!("selector: {{matchLabels: {{{labels}}}}}, "),
            };
            format!(
                "`{{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {{name: {name}-strict, \
                 namespace: {namespace}}}, spec: {{{selector}mtls: {{mode: STRICT}}}}}}`"
            )
        }
        MeshMode::Linkerd => "`{spec: {template: {metadata: {annotations: \
             {config.linkerd.io/default-inbound-policy: all-authenticated}}}}}` as a patch of the workload"
            .to_owned(),
        MeshMode::Consul => format!(
            "`{{apiVersion: consul.hashicorp.com/v1alpha1, kind: ServiceDefaults, metadata: {{name: {name}, \
             namespace: {namespace}}}, spec: {{mutualTLSMode: strict}}}}`"
        ),
        _ => "the change to its Envoy: take the filter chain for `raw_buffer` out of the listener".to_owned(),
    }
}

/// Labels that all pods of a workload have, without those that rollouts change.
fn shared_labels(workload: &Workload) -> String {
    const CHANGING: [&str; 4] = [
        "pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "statefulset.kubernetes.io/pod-name",
    ];
    let Some(first) = workload.variants.first() else { return String::new() };
    let everywhere = |key: &str, value: &str| {
        workload
            .variants
            .iter()
            .all(|variant| variant.labels.iter().any(|(k, v)| (k.as_str(), v.as_str()) == (key, value)))
    };
    let own = first.labels.iter().map(|(key, value)| -> (&str, &str) { (key.as_str(), value.as_str()) });
    let kept = own.filter(|(key, value)| !CHANGING.contains(key) && everywhere(key, value));
    // Values such as 1 or true are strings only in quotes.
    kept.map(|(key, value)| format!("{key}: \"{value}\"")).collect::<Vec<_>>().join(", ")
}
