//! Objects that bend traffic without closing anything: their shape is checked, what they touch is said.

use super::super::fields;
use super::super::kubernetes::refusal;
use super::kinds::KINDS;
use crate::model::names::is_subdomain;
use crate::model::{Bend, Document, Gap, Node, Problem, Text};
use std::collections::BTreeSet;

/// `kind`.
pub const SIDECAR: &str = "Sidecar";

/// Walks all objects of Istio against their tables, and reads the Sidecars.
pub fn read(documents: &[Document]) -> (Vec<Gap>, Vec<Problem>) {
    let (mut gaps, mut problems) = (Vec::new(), Vec::new());
    let mut whole: BTreeSet<Text> = BTreeSet::new();
    for document in documents {
        let Some(kind) = fields::kind_of(KINDS, document) else { continue };
        gaps.extend(fields::doubts(kind, document));
        if kind.name != SIDECAR {
            continue;
        }
        if let Err(problem) = sidecar(document) {
            problems.push(problem);
            continue;
        }
        let labels =
            document.body.path(&["spec", "workloadSelector", "labels"]).map_or(&[][..], Node::fields);
        let namespace = super::place(document).namespace;
        if labels.is_empty() && !whole.insert(namespace.clone()) {
            problems.push(refusal(
                &document.origin,
                document.origin.line,
                format!("the namespace {namespace} has two Sidecars without a workloadSelector: which counts is undefined"),
                "keep one of them",
            ));
        }
        gaps.push(Gap {
            what: "a Sidecar scopes what clients know of, which is advice and closes nothing: applications can go \
                   around their proxy"
                .to_owned(),
            origin: document.origin.clone(),
            bends: Bend::MayAllowLess,
        });
    }
    (gaps, problems)
}

/// `ValidateSidecar`, as far as it is about hosts.
fn sidecar(document: &Document) -> Result<(), Problem> {
    let origin = &document.origin;
    let Some(spec) = document.body.get("spec").filter(|spec| !spec.is_null()) else {
        return Err(refusal(
            origin,
            document.body.line,
            "spec is missing",
            "write spec: {} for the defaults",
        ));
    };
    for listener in spec.items_of("egress") {
        let hosts = listener.items_of("hosts");
        if hosts.is_empty() {
            let hint = "write hosts: [\"./*\"] for the namespace itself";
            return Err(refusal(origin, listener.line, "a listener of egress has no hosts", hint));
        }
        for host in hosts {
            let text = host.text().unwrap_or_default();
            let text = text
                .strip_prefix('~')
                .filter(|rest| rest.contains('/') && !rest.starts_with('/'))
                .unwrap_or(text);
            let fits = text
                .split_once('/')
                .is_some_and(|(namespace, name)| is_namespace(namespace) && is_host(name));
            if !fits {
                let message = format!("the host {text:?} is not NAMESPACE/NAME with a full name");
                let hint = "write ./*, */*, or NAMESPACE/NAME.NAMESPACE.svc.cluster.local";
                return Err(refusal(origin, host.line, message, hint));
            }
        }
    }
    Ok(())
}

fn is_namespace(text: &str) -> bool {
    matches!(text, "*" | "." | "~") || (is_subdomain(text) && !text.contains('.'))
}

/// `*`, or a name with a dot whose labels are no longer than 63 characters, behind `*.` or not.
fn is_host(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let labels = name.split('.').all(|label| label.len() <= 63);
    text == "*" || (labels && is_subdomain(name) && (name.contains('.') || name.len() < text.len()))
}
