//! What the API server would refuse in objects that say who exists, and that is read all the same.
//!
//! What cannot be read at all is refused where it is read; the rest is said here and goes on, so
//! that nothing which runs is left out of the answers.

use super::build::refuse;
use super::calico;
use crate::model::{Document, Node, Problem, Protocol, names};
use std::net::IpAddr;

/// Kinds of the core API and of the workload APIs that need a name.
const NAMED: &[&str] = &[
    "Namespace",
    "Node",
    "Service",
    "Pod",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "ReplicationController",
    "Job",
    "CronJob",
];

/// Everything doubtful about one object.
pub(super) fn of(document: &Document) -> Vec<Problem> {
    let core = document.api_version == "v1";
    let mut problems = Vec::new();
    match &*document.origin.kind {
        "Pod" if core => addresses(document, &mut problems),
        "Service" if core => service(document, &mut problems),
        "HostEndpoint" if calico::is_calico(document) => host_endpoint(document, &mut problems),
        _ => {}
    }
    let known = core || ["apps/", "batch/"].iter().any(|group| document.api_version.starts_with(group));
    if known && NAMED.contains(&&*document.origin.kind) {
        nameless(document, &mut problems);
        labels(document, &document.body, &mut problems);
        if let Some(template) = document.body.path(&["spec", "template"]) {
            labels(document, template, &mut problems);
        }
    }
    problems
}

fn nameless(document: &Document, problems: &mut Vec<Problem>) {
    let text =
        |field: &str| document.body.path(&["metadata", field]).and_then(Node::text).unwrap_or_default();
    if text("name").is_empty() && text("generateName").is_empty() {
        let hint = "every object has metadata.name; a name that is a number stands in quotes";
        problems.push(refuse(document, 0, "the object has no name".to_owned(), hint));
    }
}

/// Keys and values of labels that no object can have, so that no selector for them is accepted either.
fn labels(document: &Document, object: &Node, problems: &mut Vec<Problem>) {
    for (key, node) in object.path(&["metadata", "labels"]).map_or(&[][..], Node::fields) {
        if !names::is_label_key(key) {
            let hint = "a label key is a name of at most 63 characters, with an optional DNS prefix and /";
            problems.push(refuse(document, node.line, format!("{key:?} is no label key"), hint));
        }
        if let Some(text) = node.text().filter(|text| !names::is_label_value(text)) {
            let hint = "at most 63 characters A-Z a-z 0-9 - _ . with a letter or digit at both ends";
            problems.push(refuse(document, node.line, format!("{text:?} is no label value"), hint));
        }
    }
}

fn addresses(document: &Document, problems: &mut Vec<Problem>) {
    let status = document.body.get("status");
    let single = status.and_then(|status| status.get("podIP"));
    let several = status.map_or(&[][..], |status| status.items_of("podIPs"));
    for node in single.into_iter().chain(several.iter().filter_map(|item| item.get("ip"))) {
        let text = node.text().unwrap_or_default();
        if !node.is_null() && !text.is_empty() && text.parse::<IpAddr>().is_err() {
            let hint = "the pod is read without this address, so rules about addresses do not find it";
            problems.push(refuse(document, node.line, format!("{text:?} is no address of a pod"), hint));
        }
    }
}

fn service(document: &Document, problems: &mut Vec<Problem>) {
    let Some(spec) = document.body.get("spec") else { return };
    for port in spec.items_of("ports") {
        let Some(number) = port.get("port").filter(|node| !node.is_null()) else {
            problems.push(refuse(
                document,
                port.line,
                "a port has no number".to_owned(),
                "write port: 80, or whichever it is",
            ));
            continue;
        };
        if !number.int().is_some_and(|port| (1..=65_535).contains(&port)) {
            let message = "port is not a port number".to_owned();
            problems.push(refuse(document, number.line, message, "ports run from 1 to 65535"));
        }
        protocol(document, port, problems);
    }
}

/// `protocol` of a port; the default is TCP.
fn protocol(document: &Document, port: &Node, problems: &mut Vec<Problem>) {
    let Some(node) = port.get("protocol").filter(|node| !node.is_null()) else { return };
    let text = node.text().unwrap_or_default();
    if Protocol::from_name(text).is_none() {
        let message = format!("protocol {text:?} is not known");
        problems.push(refuse(document, node.line, message, "TCP, UDP or SCTP, in capitals; read as TCP"));
    }
}

/// `HostEndpointSpec`: how the interface is found.
fn host_endpoint(document: &Document, problems: &mut Vec<Problem>) {
    let spec = document.body.get("spec");
    let text = |field: &str| spec.and_then(|spec| spec.text_of(field)).unwrap_or_default();
    let line = spec.map_or(0, |spec| spec.line);
    let addresses = spec.map_or(&[][..], |spec| spec.items_of("expectedIPs"));
    if text("interfaceName").is_empty() && addresses.is_empty() {
        let hint = "say which interface of the node it is, by name or by address";
        problems.push(refuse(
            document,
            line,
            "interfaceName and expectedIPs are both missing".to_owned(),
            hint,
        ));
    }
}
