//! Files and folders of snapshots → snapshots in the order of time.
//!
//! A snapshot is a file of manifests whose first document says when it was taken.

use super::files::{self, Reading, problem};
use crate::model::Problem;
use crate::model::snapshot::{Snapshot, SnapshotHead};
use std::path::PathBuf;

/// Reads all snapshots at the given paths; what cannot be read is a problem, and the rest stands.
pub fn read_snapshots(paths: &[PathBuf]) -> (Vec<Snapshot>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut snapshots = Vec::new();
    for file in files::find_manifests(paths, &mut problems) {
        let reading = files::read_file(&file);
        let name = file.display().to_string();
        match snapshot(&name, reading, &mut problems) {
            Ok(snapshot) => snapshots.push(snapshot),
            Err(problem) => problems.push(problem),
        }
    }
    if snapshots.is_empty() && problems.is_empty() {
        let named = paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" ");
        problems.push(problem(&named, "no snapshots here", HINT));
    }
    snapshots.sort_by(|a, b| (a.head.taken_at, &a.head.origin).cmp(&(b.head.taken_at, &b.head.origin)));
    of_one_cluster(&mut snapshots, &mut problems);
    (snapshots, problems)
}

/// Addresses mean something in one cluster: snapshots of others than the first are left out.
fn of_one_cluster(snapshots: &mut Vec<Snapshot>, problems: &mut Vec<Problem>) {
    let mut named = snapshots.iter().map(|snapshot| &snapshot.head.cluster);
    let Some(first) = named.find(|name| !name.is_empty()).cloned() else { return };
    let fits = |name: &str| name.is_empty() || name == first;
    for head in snapshots.iter().map(|snapshot| &snapshot.head).filter(|head| !fits(&head.cluster)) {
        problems.push(Problem {
            origin: head.origin.clone(),
            message: format!("a snapshot of the cluster {}, beside some of {first}", head.cluster),
            hint: "one series is of one cluster; look at the captures of each cluster on their own"
                .to_owned(),
        });
    }
    snapshots.retain(|snapshot| fits(&snapshot.head.cluster));
}

const HINT: &str =
    "a snapshot begins with a document of kind Snapshot of watertight.dev/v1 that says takenAt";

fn snapshot(name: &str, reading: Reading, problems: &mut Vec<Problem>) -> Result<Snapshot, Problem> {
    problems.extend(reading.problems);
    let mut heads = reading.documents.iter().filter(|document| SnapshotHead::is_head(document));
    let Some(head) = heads.next().and_then(SnapshotHead::of) else {
        return Err(problem(name, "this is no snapshot: it does not say when it was taken", HINT));
    };
    if let Some(second) = heads.next() {
        let message = "a second snapshot begins here".to_owned();
        let hint = "one file holds one snapshot; name several files, or their folder".to_owned();
        return Err(Problem { origin: second.origin.clone(), message, hint });
    }
    Ok(Snapshot { head: head?, documents: reading.documents })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source;
    use std::sync::Arc;

    fn read(text: &str) -> (Result<Snapshot, Problem>, Vec<Problem>) {
        let reading = source::parse(&Arc::from("s.yaml"), text);
        let mut problems = Vec::new();
        (snapshot("s.yaml", reading, &mut problems), problems)
    }

    const POD: &str = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\n";

    #[test]
    fn the_first_document_says_when_and_what() {
        let head = "apiVersion: watertight.dev/v1\nkind: Snapshot\ntakenAt: 2026-11-25T16:00:00Z\n\
                    cluster: one\nreads: [Pod, Node]\nforbidden: [{kind: Node, reason: no}]\n";
        let (snapshot, problems) = read(&format!("{head}{POD}"));
        let snapshot = snapshot.expect("a snapshot");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!((snapshot.documents.len(), snapshot.head.cluster.as_str()), (2, "one"));
        assert_eq!(snapshot.head.reads, ["Pod", "Node"]);
        assert_eq!(snapshot.head.gaps().len(), 1);
        assert!(snapshot.head.gaps()[0].what.contains("Node"));
    }

    #[test]
    fn snapshots_of_another_cluster_are_left_out_and_said() {
        let at = |minute: u32, cluster: &str| {
            let head = format!(
                "apiVersion: watertight.dev/v1\nkind: Snapshot\ntakenAt: 2026-11-25T16:{minute:02}:00Z\n{cluster}"
            );
            read(&head).0.expect("a snapshot")
        };
        let mut all =
            vec![at(1, "cluster: east\n"), at(2, "cluster: west\n"), at(3, ""), at(4, "cluster: east\n")];
        let mut problems = Vec::new();
        of_one_cluster(&mut all, &mut problems);
        let names: Vec<&str> = all.iter().map(|snapshot| snapshot.head.cluster.as_str()).collect();
        assert_eq!(names, ["east", "", "east"]);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].message.contains("west") && problems[0].message.contains("east"));
    }

    #[test]
    fn heads_that_are_missing_or_wrong_are_said_with_their_line() {
        let said = |text: &str| {
            let problem = read(text).0.expect_err("no snapshot");
            assert!(!problem.hint.is_empty());
            problem.to_string()
        };
        assert!(said(POD).contains("no snapshot"));
        let head = |rest: &str| format!("apiVersion: watertight.dev/v1\nkind: Snapshot\n{rest}\n{POD}");
        assert!(said(&head("cluster: one")).contains("does not say when"));
        assert!(said(&head("takenAt: yesterday")).starts_with("s.yaml:3"));
        assert!(said(&head("takenAt: 2026-11-25T16:00:00Z\nreads: Pod")).contains("no list"));
        let twice = head("takenAt: 2026-11-25T16:00:00Z");
        assert!(said(&format!("{twice}---\n{twice}")).contains("second snapshot"));
    }
}
