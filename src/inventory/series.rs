//! A series of snapshots as one set of documents: what is permitted by the last of them or by
//! manifests beside them, who exists by all of them.
//!
//! Pods of earlier snapshots that are gone are kept, so that what they sent has somebody to belong
//! to; who held an address when is left to `tenancy`.

use crate::model::{Bend, Document, Gap, Node, Origin, Snapshot, SnapshotHead, Text, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Kinds that say who exists; the others say what is permitted.
const WHO: &[&str] = &[
    "CronJob",
    "DaemonSet",
    "Deployment",
    "DeploymentConfig",
    "EndpointSlice",
    "Endpoints",
    "HostEndpoint",
    "Job",
    "Namespace",
    "Node",
    "Pod",
    "Profile",
    "ReplicaSet",
    "ReplicationController",
    "Rollout",
    "Service",
    "ServiceAccount",
    "StatefulSet",
    "VirtualMachine",
    "VirtualMachineInstance",
    "WorkloadEndpoint",
];

/// Group, kind, namespace and name of an object.
type Key = (String, String, String, String);

/// What a series and the manifests beside it come to.
#[derive(Debug, Default)]
pub struct Merged {
    /// The documents to analyse.
    pub documents: Vec<Document>,
    /// Policies that changed in the course of the series.
    pub gaps: Vec<Gap>,
}

/// Joins manifests and a series in the order of time. Where there are manifests, they say what is
/// permitted, and the snapshots who exists; otherwise the last snapshot says both.
pub fn merged(manifests: Vec<Document>, series: Vec<Snapshot>) -> Merged {
    let alone = manifests.is_empty();
    let mut earlier = series;
    let Some(last) = earlier.pop() else { return Merged { documents: manifests, gaps: Vec::new() } };
    let mut gaps = if alone { changed(&earlier, &last) } else { Vec::new() };
    gaps.extend(relabelled(&earlier, &last));
    let counts = |document: &Document| alone || says_who(document) || SnapshotHead::is_head(document);
    let mut documents: Vec<Document> = last.documents.into_iter().filter(counts).collect();
    let mut known: BTreeMap<Key, usize> =
        documents.iter().enumerate().map(|(at, document)| (key(document), at)).collect();
    for snapshot in earlier.into_iter().rev() {
        add_gone(snapshot.documents, &mut documents, &mut known);
    }
    // What runs is told by who saw it run.
    documents.extend(manifests.into_iter().filter(|d| !says_who(d) || !known.contains_key(&key(d))));
    Merged { documents, gaps }
}

/// Adds pods that were there earlier, with what owns them, and the heads, whose gaps count.
fn add_gone(documents: Vec<Document>, all: &mut Vec<Document>, known: &mut BTreeMap<Key, usize>) {
    let mut owners = BTreeSet::new();
    let (pods, others): (Vec<Document>, Vec<Document>) =
        documents.into_iter().partition(|document| &*document.origin.kind == "Pod");
    for pod in pods {
        match known.get(&key(&pod)) {
            None => {
                owners.extend(owner_names(&pod));
                known.insert(key(&pod), all.len());
                all.push(pod);
            }
            // A pod that has finished says nothing more of what it was.
            Some(at) if has_finished(&all[*at]) && !has_finished(&pod) => all[*at] = pod,
            Some(_) => {}
        }
    }
    for other in others {
        let owns = owners.contains(&(
            other.origin.kind.to_string(),
            other.namespace().to_owned(),
            other.origin.name.to_string(),
        ));
        let head = SnapshotHead::is_head(&other);
        if head || (owns && !known.contains_key(&key(&other))) {
            if !head {
                known.insert(key(&other), all.len());
            }
            all.push(other);
        }
    }
}

/// Policies of the last snapshot that were others before, or that came or went.
fn changed(earlier: &[Snapshot], last: &Snapshot) -> Vec<Gap> {
    let policies = |snapshot: &Snapshot| -> BTreeMap<Key, (Origin, Node)> {
        let permits = |d: &&Document| !says_who(d) && !SnapshotHead::is_head(d);
        let all = snapshot.documents.iter().filter(permits);
        all.map(|d| (key(d), (d.origin.clone(), d.body.clone()))).collect()
    };
    let now = policies(last);
    let mut gaps = BTreeMap::new();
    let mut note = |key: &Key, origin: &Origin, what: &str| {
        let what = format!("{what} in the course of the snapshots; all flows are judged by the last");
        let gap = Gap { what, origin: origin.clone(), bends: Bend::MayAllowMore };
        gaps.entry(key.clone()).or_insert(gap);
    };
    for snapshot in earlier {
        let before = policies(snapshot);
        for (key, (origin, body)) in &now {
            match before.get(key) {
                None => note(key, origin, "this object came"),
                Some((_, old)) if !says_the_same(old, body) => note(key, origin, "this object changed"),
                Some(_) => {}
            }
        }
        for (key, (origin, _)) in before.iter().filter(|(key, _)| !now.contains_key(key)) {
            note(key, origin, "this object went");
        }
    }
    gaps.into_values().collect()
}

/// Labels that controllers set anew with each version of what they make, which nobody selects by.
const OF_VERSIONS: &[&str] = &["controller-revision-hash", "pod-template-generation", "pod-template-hash"];

/// Who had other labels before, by which policies select.
fn relabelled(earlier: &[Snapshot], last: &Snapshot) -> Vec<Gap> {
    let labels = |document: &Document| -> BTreeMap<String, String> {
        let all = document.body.path(&["metadata", "labels"]).map_or(&[][..], Node::fields);
        let counts = |name: &str| !OF_VERSIONS.contains(&name);
        let counting = all.iter().filter(|(name, _)| counts(name));
        counting.map(|(name, node)| (name.to_string(), node.text().unwrap_or_default().to_owned())).collect()
    };
    let labelled = |snapshot: &Snapshot| -> BTreeMap<Key, (Origin, BTreeMap<String, String>)> {
        let kinds = ["Namespace", "Pod", "ServiceAccount"];
        let all = snapshot.documents.iter().filter(|d| kinds.contains(&&*d.origin.kind));
        all.map(|d| (key(d), (d.origin.clone(), labels(d)))).collect()
    };
    if earlier.is_empty() {
        return Vec::new();
    }
    let now = labelled(last);
    let mut gaps = BTreeMap::new();
    for before in earlier.iter().map(labelled) {
        for (key, (_, old)) in before {
            let Some((origin, _)) = now.get(&key).filter(|(_, labels)| *labels != old) else { continue };
            gaps.entry(key).or_insert_with(|| Gap {
                what: "its labels changed in the course of the snapshots; all flows are judged by the last"
                    .to_owned(),
                origin: origin.clone(),
                bends: Bend::MayAllowMore,
            });
        }
    }
    gaps.into_values().collect()
}

fn says_who(document: &Document) -> bool {
    WHO.contains(&&*document.origin.kind)
}

fn has_finished(pod: &Document) -> bool {
    let phase = pod.body.path(&["status", "phase"]).and_then(Node::text);
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn key(document: &Document) -> Key {
    // Versions of one group are views of one object.
    let group = document.api_version.split_once('/').map_or("", |(group, _)| group);
    let origin = &document.origin;
    (group.to_owned(), origin.kind.to_string(), origin.namespace.to_string(), origin.name.to_string())
}

/// Kind, namespace and name of the owners of a pod.
fn owner_names(pod: &Document) -> Vec<(String, String, String)> {
    let owners = pod.body.path(&["metadata", "ownerReferences"]).map_or(&[][..], Node::items);
    let one = |owner: &Node| {
        Some((
            owner.text_of("kind")?.to_owned(),
            pod.namespace().to_owned(),
            owner.text_of("name")?.to_owned(),
        ))
    };
    owners.iter().filter_map(one).collect()
}

/// Whether two bodies are alike but for `metadata` and `status`, wherever they stand.
fn says_the_same(one: &Node, other: &Node) -> bool {
    let content = |body: &Node| -> Vec<(String, Plain)> {
        let counts = |(name, _): &&(Text, Node)| !matches!(&**name, "metadata" | "status");
        let mut fields: Vec<(String, Plain)> =
            body.fields().iter().filter(counts).map(|(name, node)| (name.to_string(), plain(node))).collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields
    };
    content(one) == content(other)
}

/// A value without the places at which its parts stand.
#[derive(PartialEq)]
enum Plain {
    Scalar(Value),
    List(Vec<Plain>),
    Map(BTreeMap<String, Plain>),
}

fn plain(node: &Node) -> Plain {
    match &node.value {
        Value::List(items) => Plain::List(items.iter().map(plain).collect()),
        Value::Map(fields) => {
            Plain::Map(fields.iter().map(|(name, node)| (name.to_string(), plain(node))).collect())
        }
        scalar => Plain::Scalar(scalar.clone()),
    }
}
