//! What goes wrong on the way: a list that grew too old between two pages, servers that answer later
//! or never, a group whose own server is away. A server made of a script stands for the API server.

use crate::tool::{code, json, said};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

/// Answers by path and query; the number says how often the path was asked for before.
type Script = fn(&str, &str, usize) -> (u16, Value);

/// A server that follows a script, and what it was asked for.
struct Scripted {
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    fn start(script: Script) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heard = heard.clone();
                std::thread::spawn(move || serve(stream, script, &heard));
            }
        });
        let folder = tempfile::tempdir().expect("a folder");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "scripted",
            "clusters": [{"name": "scripted", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "scripted", "user": {"token": "token"}}],
            "contexts": [{"name": "scripted", "context": {"cluster": "scripted", "user": "scripted"}}],
        });
        std::fs::write(folder.path().join("kubeconfig"), config.to_string()).expect("a kubeconfig");
        Scripted { folder, asked }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let kubeconfig = self.folder.path().join("kubeconfig");
        let mut command = Command::new(env!("CARGO_BIN_EXE_watertight"));
        command.args(arguments).arg("--kubeconfig").arg(kubeconfig).output().expect("the program runs")
    }

    fn count(&self, part: &str) -> usize {
        self.asked.lock().expect("requests").iter().filter(|path| path.contains(part)).count()
    }
}

fn serve(stream: TcpStream, script: Script, heard: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            line.clear();
        }
        let target = first.split(' ').nth(1).expect("a target").to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let before = {
            let mut heard = heard.lock().expect("requests");
            heard.push(target.clone());
            heard.iter().filter(|known| **known == target).count() - 1
        };
        let (status, body) = script(path, query, before);
        let body = match status {
            200 => body.to_string(),
            code => json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": body, "reason": "Scripted", "code": code,
            })
            .to_string(),
        };
        let head = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if reader.get_mut().write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

fn resource(name: &str, kind: &str) -> Value {
    json!({"name": name, "kind": kind, "namespaced": true, "singularName": "", "verbs": ["list", "watch"]})
}

fn pods(names: &[&str], rest: &str) -> (u16, Value) {
    let pod = |name: &&str| {
        json!({
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": name}},
            "spec": {"containers": [{"name": "main", "image": "main"}]},
        })
    };
    let items: Vec<Value> = names.iter().map(pod).collect();
    (200, json!({"metadata": {"resourceVersion": "7", "continue": rest}, "items": items}))
}

fn faults(path: &str, query: &str, before: usize) -> (u16, Value) {
    let nothing = || (200, json!({"metadata": {"resourceVersion": "7"}, "items": []}));
    let group = json!({
        "name": "cilium.io", "versions": [{"groupVersion": "cilium.io/v2", "version": "v2"}],
        "preferredVersion": {"groupVersion": "cilium.io/v2", "version": "v2"},
    });
    match path {
        "/version" => (200, json!({"gitVersion": "v1.0.0"})),
        "/apis" => (200, json!({"groups": [group]})),
        // The server of this group is away.
        "/apis/cilium.io/v2" => (503, json!("no endpoints available")),
        "/api/v1" => {
            let kinds =
                [("pods", "Pod"), ("services", "Service"), ("nodes", "Node"), ("namespaces", "Namespace")];
            (200, json!({"resources": kinds.map(|(name, kind)| resource(name, kind))}))
        }
        // The second page comes too late the first time.
        "/api/v1/pods" if query.contains("continue=page%2F2") && before == 0 => (410, json!("too old")),
        "/api/v1/pods" if query.contains("continue=page%2F2") => pods(&["b", "c"], ""),
        "/api/v1/pods" => pods(&["a"], "page/2"),
        "/api/v1/nodes" if before < 2 => (500, json!("etcd is busy")),
        "/api/v1/services" => (500, json!("never")),
        _ => nothing(),
    }
}

#[test]
fn what_goes_wrong_on_the_way_hides_nothing_else() {
    let server = Scripted::start(faults);
    let output = server.run(&["graph", "--cluster", "-f", "json", "--fail-on", "never"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let graph = json(&output);
    let endpoints: Vec<&str> =
        graph["endpoints"].as_array().expect("endpoints").iter().filter_map(|e| e["id"].as_str()).collect();
    for pod in ["shop/Pod/a", "shop/Pod/b", "shop/Pod/c"] {
        assert_eq!(endpoints.iter().filter(|id| **id == pod).count(), 1, "{pod} once: {endpoints:?}");
    }
    assert_eq!(server.count("/pods?limit=500&continue=&"), 2, "the list was begun anew");
    let gaps = graph["gaps"].to_string();
    assert!(gaps.contains("services of the core API could not be read: never (500)"), "{gaps}");
    assert!(gaps.contains("cilium.io could not be read: its version v2 does not answer"), "{gaps}");
    assert!(!gaps.contains("nodes"), "nodes came at the third time: {gaps}");
    assert_eq!(server.count("/nodes"), 3);
    for path in ["secrets", "configmaps"] {
        assert_eq!(server.count(path), 0, "{path} are not asked for");
    }
}
