//! Files and the cluster give the same graph for the same objects, and so does a snapshot.

use crate::api_server::ApiServer;
use crate::common;
use crate::tool::{code, json, run, said, without_places};
use serde_json::Value;
use std::path::{Path, PathBuf};
use watertight::cluster::clean;
use watertight::model::proxy::is_one;
use watertight::source;

/// Every world of ours, and the applications of the reference data that everybody knows.
fn worlds() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let folders = std::fs::read_dir(fixtures).expect("fixtures").map(|entry| entry.expect("an entry").path());
    let mut worlds: Vec<PathBuf> =
        folders.map(|folder| folder.join("manifests")).filter(|folder| folder.is_dir()).collect();
    worlds.sort();
    worlds.extend(common::shared("data/apps/onlineboutique"));
    worlds.extend(common::shared("data/apps/bookinfo-istio"));
    worlds
}

/// The parts of a graph that do not speak of places; what only a cluster has is left out.
fn graph(value: Value) -> Value {
    let mut graph = without_places(value);
    // The service of the API server itself is in every cluster and in no manifest.
    if let Some(gaps) = graph["gaps"].as_array_mut() {
        gaps.retain(|gap| !gap.to_string().contains("cluster:"));
    }
    graph
}

#[test]
fn files_cluster_and_snapshot_give_the_same_graph_for_every_world() {
    let worlds = worlds();
    assert!(worlds.len() >= 3, "only {} worlds were found", worlds.len());
    for world in worlds {
        let name = world.display().to_string();
        let reading = source::read_manifests(std::slice::from_ref(&world));
        assert!(reading.problems.is_empty(), "{name}: {:?}", reading.problems);
        // What the API server would refuse (a volume without a name in an application) is left out.
        let documents: Vec<_> = reading.documents.into_iter().map(clean).collect();
        if documents.iter().any(is_one) {
            println!("{name}: left out, since Envoy's own configuration is no object of a cluster");
            continue;
        }
        let Some(server) = ApiServer::start() else { return };
        let needs_definitions = world.ends_with("bookinfo-istio");
        if needs_definitions {
            server.define_everything();
        }
        server.apply_documents(&documents);
        let snapshot = server.folder().join("snapshot.yaml.zst").display().to_string();
        let taken = run(&server, &["snapshot", "-o", &snapshot]);
        assert_eq!(code(&taken), 0, "{}", said(&taken));
        let of = |source: &str| {
            let asked = run(&server, &["graph", source, "-f", "json", "--fail-on", "never"]);
            graph(json(&asked))
        };
        let (files, cluster, kept) = (of(&name), of("--cluster"), of(&snapshot));
        assert!(!files["connections"].as_array().expect("connections").is_empty(), "{name} has connections");
        for part in ["dataplane", "endpoints", "connections"] {
            assert_eq!(files[part], cluster[part], "{name}: {part} of files and cluster");
            assert_eq!(cluster[part], kept[part], "{name}: {part} of cluster and snapshot");
        }
        println!("{name}: the same graph from files, cluster and snapshot");
    }
}
