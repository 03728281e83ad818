//! A real API server of our own with an etcd behind it, and what tests do with it.

use crate::definitions;
use http::Request;
use kube::{Client, Config, Error, config::KubeConfigOptions, config::Kubeconfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use watertight::model::{Document, Node, Value as Tree};

/// Users, each with a context of the same name; the harness and the administrator may do everything.
const USERS: &[&str] = &["harness", "admin", "reader", "nobody", "plugin", "expired", "tenant"];
/// A server that is not ready in this time will not be.
const PATIENCE: Duration = Duration::from_secs(120);

/// An etcd and an API server that live as long as this value.
pub struct ApiServer {
    folder: tempfile::TempDir,
    binaries: PathBuf,
    etcd: Child,
    api: Option<Child>,
    etcd_port: u16,
    port: u16,
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl ApiServer {
    /// Starts both; `None`, with a printed line, where they were not built.
    pub fn start() -> Option<ApiServer> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/apiserver");
        let found = Command::new(script).arg("--find").output().expect("the script runs");
        let binaries = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
        if !found.status.success() || binaries.as_os_str().is_empty() {
            let why = String::from_utf8_lossy(&found.stderr).trim().to_owned();
            assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI there must be an API server: {why}");
            println!("skipped: {why}");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        give_out_tokens(folder.path(), "first");
        let key = folder.path().join("accounts.key");
        let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").output();
        assert!(made.is_ok_and(|output| output.status.success()), "a key for service accounts");
        let [etcd_port, peer_port, port] = ports();
        let etcd = start_etcd(&binaries, folder.path(), etcd_port, peer_port);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let api = start_api(&binaries, folder.path(), etcd_port, port);
        let certificate = folder.path().join("certificates/apiserver.crt");
        wait("the certificate", || certificate.is_file());
        write_kubeconfig(folder.path(), port, "first");
        let client = runtime.block_on(client(&folder.path().join("kubeconfig"), "harness"));
        let server = ApiServer { folder, binaries, etcd, api: Some(api), etcd_port, port, runtime, client };
        server.wait_until_ready();
        Some(server)
    }

    /// The kubeconfig with the contexts `admin`, `reader`, `nobody` and `expired`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// A folder that lives as long as the server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the API server as a crash does; etcd goes on.
    pub fn stop(&mut self) {
        if let Some(mut api) = self.api.take() {
            let _ = api.kill();
            let _ = api.wait();
        }
    }

    /// Starts the API server again on the same port.
    pub fn start_again(&mut self) {
        self.api = Some(start_api(&self.binaries, self.folder.path(), self.etcd_port, self.port));
        self.wait_until_ready();
    }

    /// Other tokens for all but the harness, which count when the server starts the next time.
    pub fn give_out_tokens(&self, round: &str) {
        give_out_tokens(self.folder.path(), round);
    }

    /// The kubeconfig with the tokens of a round.
    pub fn write_kubeconfig(&self, round: &str) {
        write_kubeconfig(self.folder.path(), self.port, round);
    }

    fn wait_until_ready(&self) {
        wait("the API server", || self.get("/readyz").is_ok_and(|text| text == "ok"));
        wait("the first namespaces", || self.get("/api/v1/namespaces/default").is_ok());
    }

    /// Asks as the administrator.
    pub fn get(&self, path: &str) -> Result<String, Error> {
        let request = Request::get(path).body(Vec::new()).map_err(Error::HttpError)?;
        self.runtime.block_on(self.client.request_text(request))
    }

    /// Sends a body as the administrator.
    pub fn send(&self, method: &str, path: &str, kind: &str, body: &Value) -> Result<String, Error> {
        self.runtime.block_on(send(&self.client, method, path, kind, body))
    }

    /// Sends many bodies, several at a time.
    pub fn send_all(&self, method: &str, bodies: impl Iterator<Item = (String, Value)>) {
        self.send_as(method, "application/json", bodies);
    }

    /// Merges many bodies into what is there, several at a time.
    pub fn patch_all(&self, bodies: impl Iterator<Item = (String, Value)>) {
        self.send_as("PATCH", "application/merge-patch+json", bodies);
    }

    fn send_as(&self, method: &str, kind: &str, bodies: impl Iterator<Item = (String, Value)>) {
        use futures_util::stream::{self, StreamExt};
        let client = &self.client;
        let sent = bodies.map(|(path, body)| async move {
            (send(client, method, &path, kind, &body).await.map(drop), path)
        });
        let failed = async {
            let all = stream::iter(sent).buffer_unordered(16);
            all.filter_map(async |(sent, path)| sent.err().map(|error| format!("{path}: {error}")))
                .collect()
                .await
        };
        let failed: Vec<String> = self.runtime.block_on(failed);
        assert!(failed.is_empty(), "{} failed, the first: {}", failed.len(), failed[0]);
    }

    /// Creates or changes what a manifest says, its status too; namespaces that it only names are created.
    pub fn apply(&self, manifests: &str) {
        self.apply_documents(&crate::common::documents(manifests));
    }

    /// The same for documents.
    pub fn apply_documents(&self, documents: &[Document]) {
        let mut plurals = BTreeMap::new();
        let mut namespaces: Vec<&str> = documents.iter().map(|d| &*d.origin.namespace).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        for name in namespaces.into_iter().filter(|name| !name.is_empty()) {
            let _ = self.send(
                "POST",
                "/api/v1/namespaces",
                "application/json",
                &json!({"metadata": {"name": name}}),
            );
        }
        let mut sorted: Vec<&Document> = documents.iter().collect();
        sorted.sort_by_key(|d| &*d.origin.kind != "Namespace");
        for document in sorted {
            let path = self.path_of(document, &mut plurals);
            let body = tree(&document.body);
            let query = "fieldManager=tests&force=true";
            let applied =
                self.send("PATCH", &format!("{path}?{query}"), "application/apply-patch+yaml", &body);
            applied.unwrap_or_else(|error| panic!("{path}: {error}"));
            if body.get("status").is_some_and(|status| status.as_object().is_some_and(|s| !s.is_empty())) {
                let status = json!({"status": body["status"]});
                // Custom resources of the tests have no status of their own.
                let _ =
                    self.send("PATCH", &format!("{path}/status"), "application/merge-patch+json", &status);
            }
        }
    }

    /// Removes what a manifest names.
    pub fn delete(&self, manifests: &str) {
        for document in crate::common::documents(manifests) {
            let path = self.path_of(&document, &mut BTreeMap::new());
            let body = json!({"gracePeriodSeconds": 0});
            self.send("DELETE", &path, "application/json", &body).unwrap_or_else(|e| panic!("{path}: {e}"));
        }
    }

    /// The path of the object that a document describes.
    fn path_of(&self, document: &Document, plurals: &mut BTreeMap<String, Value>) -> String {
        let api_version = &document.api_version;
        let base = if api_version.contains('/') { "/apis" } else { "/api" };
        let list = plurals.entry(api_version.to_string()).or_insert_with(|| {
            let text =
                self.get(&format!("{base}/{api_version}")).unwrap_or_else(|e| panic!("{api_version}: {e}"));
            serde_json::from_str(&text).expect("resources")
        });
        let resources = list["resources"].as_array().expect("resources");
        let fits = |r: &&Value| {
            r["kind"] == *document.origin.kind && !r["name"].as_str().unwrap_or_default().contains('/')
        };
        let resource =
            resources.iter().find(fits).unwrap_or_else(|| panic!("{:?} is not served", document.origin));
        let (plural, name) = (resource["name"].as_str().expect("a name"), &document.origin.name);
        let namespace = match &*document.origin.namespace {
            "" => "default",
            own => own,
        };
        match resource["namespaced"].as_bool() {
            Some(true) => format!("{base}/{api_version}/namespaces/{namespace}/{plural}/{name}"),
            _ => format!("{base}/{api_version}/{plural}/{name}"),
        }
    }

    /// Serves every kind that is read, by definitions of our own.
    pub fn define_everything(&self) {
        let definitions = definitions::all();
        for definition in &definitions {
            let name = definition["metadata"]["name"].as_str().expect("a name");
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            let query = "fieldManager=tests&force=true";
            self.send("PATCH", &format!("{path}?{query}"), "application/apply-patch+yaml", definition)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        for definition in &definitions {
            let (group, version) = (&definition["spec"]["group"], &definition["spec"]["versions"][0]["name"]);
            let path = format!("/apis/{}/{}", group.as_str().unwrap_or(""), version.as_str().unwrap_or(""));
            let plural = definition["spec"]["names"]["plural"].to_string();
            wait(&path, || self.get(&path).is_ok_and(|text| text.contains(&plural)));
        }
    }

    /// Takes back all that is older than now from the memory of etcd.
    pub fn compact(&self) {
        let runs = |arguments: &[&str]| {
            let endpoint = format!("http://127.0.0.1:{}/v3/{}", self.etcd_port, arguments[0]);
            let request = ["-s", "-X", "POST", &endpoint, "-d", arguments[1]];
            let output = Command::new("curl").args(request).output().expect("curl");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let range = runs(&["kv/range", "{\"key\":\"AA==\",\"limit\":1}"]);
        let answer: Value = serde_json::from_str(&range).expect("an answer of etcd");
        let revision = answer["header"]["revision"].as_str().expect("a revision").to_owned();
        let done = runs(&["kv/compaction", &format!("{{\"revision\":\"{revision}\",\"physical\":true}}")]);
        assert!(done.contains("header"), "etcd compacts: {done}");
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop();
        let _ = self.etcd.kill();
        let _ = self.etcd.wait();
    }
}

/// Waits until something holds, or says what was waited for.
pub fn wait(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

async fn send(client: &Client, method: &str, path: &str, kind: &str, body: &Value) -> Result<String, Error> {
    let request = Request::builder().method(method).uri(path).header("content-type", kind);
    let request = request.body(body.to_string().into_bytes()).map_err(Error::HttpError)?;
    client.request_text(request).await
}

fn ports<const N: usize>() -> [u16; N] {
    let listeners = std::array::from_fn::<_, N, _>(|_| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

fn start_etcd(binaries: &Path, folder: &Path, port: u16, peer_port: u16) -> Child {
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
    let log = std::fs::File::create(folder.join("etcd.log")).expect("a log");
    Command::new(binaries.join("etcd"))
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}"), "--unsafe-no-fsync"])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("etcd starts")
}

fn start_api(binaries: &Path, folder: &Path, etcd_port: u16, port: u16) -> Child {
    let key = folder.join("accounts.key");
    let log = std::fs::File::create(folder.join("api.log")).expect("a log");
    Command::new(binaries.join("kube-apiserver"))
        .args(["--bind-address", "127.0.0.1", "--secure-port", &port.to_string()])
        .args(["--etcd-servers", &format!("http://127.0.0.1:{etcd_port}")])
        .arg("--cert-dir")
        .arg(folder.join("certificates"))
        .args(["--service-account-issuer", "https://watertight.test", "--service-account-key-file"])
        .arg(&key)
        .arg("--service-account-signing-key-file")
        .arg(&key)
        .args(["--service-cluster-ip-range", "10.96.0.0/16,fd00:10:96::/108"])
        .arg("--token-auth-file")
        .arg(folder.join("tokens.csv"))
        // Without controllers nobody makes the service accounts that pods would be given.
        .args(["--authorization-mode", "RBAC", "--disable-admission-plugins", "ServiceAccount"])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the API server starts")
}

fn token(user: &str, round: &str) -> String {
    match user {
        "harness" => "harness-token".to_owned(),
        user => format!("{user}-{round}-token"),
    }
}

/// What the server accepts: everybody's token but that which is called expired.
fn give_out_tokens(folder: &Path, round: &str) {
    let line = |(number, user): (usize, &&str)| {
        let groups = if ["harness", "admin", "plugin"].contains(user) { ",\"system:masters\"" } else { "" };
        format!("{},{user},{number}{groups}\n", token(user, round))
    };
    let accepted = USERS.iter().filter(|user| **user != "expired").enumerate();
    std::fs::write(folder.join("tokens.csv"), accepted.map(line).collect::<String>()).expect("tokens");
}

fn write_kubeconfig(folder: &Path, port: u16, round: &str) {
    let user = |name: &&str| match *name {
        "plugin" => json!({"name": name, "user": {"exec": plugin(&token(name, round))}}),
        _ => json!({"name": name, "user": {"token": token(name, round)}}),
    };
    let context = |name: &&str| json!({"name": name, "context": {"cluster": "tests", "user": name}});
    let cluster = json!({
        "server": format!("https://127.0.0.1:{port}"),
        "certificate-authority": folder.join("certificates/apiserver.crt"),
    });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "admin",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": USERS.iter().map(user).collect::<Vec<_>>(),
        "contexts": USERS.iter().map(context).collect::<Vec<_>>(),
    });
    std::fs::write(folder.join("kubeconfig"), config.to_string()).expect("a kubeconfig");
}

/// A program that hands out a token, as those of cloud providers do.
fn plugin(token: &str) -> Value {
    let api_version = "client.authentication.k8s.io/v1";
    let credential = json!({"apiVersion": api_version, "kind": "ExecCredential", "status": {"token": token}});
    json!({
        "apiVersion": api_version,
        "command": "echo",
        "args": [credential.to_string()],
        "interactiveMode": "Never",
    })
}

async fn client(kubeconfig: &Path, context: &str) -> Client {
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a configuration");
    Client::try_from(config).expect("a client")
}

/// A tree as JSON.
pub fn tree(node: &Node) -> Value {
    match &node.value {
        Tree::Null => Value::Null,
        Tree::Bool(truth) => (*truth).into(),
        Tree::Int(number) => (*number).into(),
        Tree::Float(number) => (*number).into(),
        Tree::Text(text) => (&**text).into(),
        Tree::List(items) => items.iter().map(tree).collect(),
        Tree::Map(fields) => Value::Object(fields.iter().map(|(n, v)| (n.to_string(), tree(v))).collect()),
    }
}
