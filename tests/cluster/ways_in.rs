//! Ways to the API server: the service account of a pod, and proxies of a kubeconfig.

use crate::api_server::ApiServer;
use crate::tool::{apply_role, code, json, run, said};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web, image: web}]}
";

#[test]
fn the_api_server_is_found_in_a_pod_and_behind_a_proxy() {
    let Some(server) = ApiServer::start() else { return };
    server.apply(POD);
    in_a_pod_its_service_account_is_used(&server);
    the_proxy_of_a_kubeconfig_is_used(&server);
    a_proxy_that_nobody_can_use_is_said(&server);
}

/// Where the kubelet puts what a service account needs.
const MOUNTED: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Runs the rest in a mount namespace in which a folder stands there, as in a pod.
const AS_IN_A_POD: &str = "mount -t tmpfs none \"$(readlink -f /var/run)\" && mkdir -p \"$1\" \
                           && cp \"$2\"/* \"$1\" && shift 2 && exec \"$@\"";

fn in_a_pod_its_service_account_is_used(server: &ApiServer) {
    let folder = server.folder().join("account");
    std::fs::create_dir(&folder).expect("a folder");
    let probe = in_a_pod(&folder, Path::new("true"), &[], 0);
    if !probe.status.success() {
        println!("skipped: no mount namespace may be made here: {}", said(&probe));
        return;
    }
    apply_role(server);
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let path = "/api/v1/namespaces/watertight/serviceaccounts/watertight/token";
    let answer = server.send("POST", path, "application/json", &request).expect("a token");
    let answer: Value = serde_json::from_str(&answer).expect("a token");
    let kubeconfig = kubeconfig(server);
    let cluster = &kubeconfig["clusters"][0]["cluster"];
    let certificate = cluster["certificate-authority"].as_str().expect("a certificate");
    let port =
        cluster["server"].as_str().and_then(|url| url.rsplit(':').next()?.parse().ok()).expect("a port");
    std::fs::copy(certificate, folder.join("ca.crt")).expect("a certificate");
    std::fs::write(folder.join("token"), answer["status"]["token"].as_str().expect("a token"))
        .expect("a token");
    std::fs::write(folder.join("namespace"), "watertight").expect("a name");
    let program = Path::new(env!("CARGO_BIN_EXE_watertight"));
    let review = in_a_pod(&folder, program, &["graph", "--cluster", "-f", "json"], port);
    assert_eq!(code(&review), 0, "{}", said(&review));
    let graph = json(&review);
    let endpoints = graph["endpoints"].as_array().expect("endpoints");
    assert!(endpoints.iter().any(|endpoint| endpoint["id"] == "shop/Pod/web"), "{graph}");
    let snapshot = in_a_pod(&folder, program, &["snapshot", "-f", "json"], port);
    assert_eq!(json(&snapshot)[0]["cluster"], "in-cluster", "{}", said(&snapshot));
    assert_eq!(json(&snapshot)[0]["forbidden"], json!([]), "the printed role is enough");
    // A token that is not accepted is told as such, and not as a cluster that is not there.
    std::fs::write(folder.join("token"), "another").expect("a token");
    let refused = in_a_pod(&folder, program, &["check", "--cluster"], port);
    assert_eq!(code(&refused), 2);
    assert!(said(&refused).contains("renew the token"), "{}", said(&refused));
}

fn in_a_pod(folder: &Path, program: &Path, arguments: &[&str], port: u16) -> Output {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", AS_IN_A_POD, "sh", MOUNTED]);
    command.arg(folder).arg(program).args(arguments);
    command.env_remove("KUBECONFIG").env("HOME", folder);
    command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", port.to_string());
    // Something must be there to be copied.
    std::fs::write(folder.join("namespace"), "watertight").expect("a name");
    command.output().unwrap_or_else(|error| Output {
        status: Default::default(),
        stdout: Vec::new(),
        stderr: error.to_string().into_bytes(),
    })
}

fn kubeconfig(server: &ApiServer) -> Value {
    let text = std::fs::read_to_string(server.kubeconfig()).expect("a kubeconfig");
    serde_json::from_str(&text).expect("a kubeconfig")
}

/// A kubeconfig whose cluster is behind a proxy.
fn behind(server: &ApiServer, proxy: &str) -> PathBuf {
    let mut kubeconfig = kubeconfig(server);
    kubeconfig["clusters"][0]["cluster"]["proxy-url"] = proxy.into();
    let path = server.folder().join("behind-a-proxy");
    std::fs::write(&path, kubeconfig.to_string()).expect("a kubeconfig");
    path
}

fn the_proxy_of_a_kubeconfig_is_used(server: &ApiServer) {
    let (port, tunnels) = proxy();
    let path = behind(server, &format!("http://127.0.0.1:{port}")).display().to_string();
    let review = run(server, &["graph", "--cluster", "--kubeconfig", &path, "-f", "json"]);
    assert_eq!(code(&review), 0, "{}", said(&review));
    assert!(said(&review).contains("shop/Pod/web"), "{}", said(&review));
    assert!(tunnels.load(Ordering::SeqCst) > 0, "nobody asked the proxy");
}

fn a_proxy_that_nobody_can_use_is_said(server: &ApiServer) {
    let path = behind(server, "quic://127.0.0.1:1").display().to_string();
    let refused = run(server, &["check", "--cluster", "--kubeconfig", &path]);
    assert_eq!(code(&refused), 2);
    let words = said(&refused);
    assert!(words.contains("proxy") && words.contains("http, https or socks5"), "{words}");
}

/// A proxy that opens tunnels (RFC 9110, section 9.3.6) and counts them.
fn proxy() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let tunnels = Arc::new(AtomicUsize::new(0));
    let count = tunnels.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let count = count.clone();
            std::thread::spawn(move || tunnel(client, &count));
        }
    });
    (port, tunnels)
}

fn tunnel(client: TcpStream, count: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let target = first.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    let server = TcpStream::connect(target).ok()?;
    count.fetch_add(1, Ordering::SeqCst);
    (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut from, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut to = server;
    let _ = std::io::copy(&mut reader, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    Some(())
}
