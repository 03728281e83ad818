//! Runs the program, and reads what it says.

use crate::api_server::ApiServer;
use serde_json::Value;
use std::process::{Command, Output};

/// An object of a version that is not read, and one with a field that nobody knows.
pub const NEWER_AND_ODD: &str = "apiVersion: cilium.io/v9
kind: CiliumNetworkPolicy
metadata: {name: newer, namespace: shop}
spec: {endpointSelector: {}}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: odd, namespace: shop}
spec: {selector: all(), types: [Ingress], frobnicate: true}
";

/// Runs the program against a server.
pub fn run(server: &ApiServer, arguments: &[&str]) -> Output {
    command(server, arguments).output().expect("the program runs")
}

/// The program with its arguments and the kubeconfig of a server.
pub fn command(server: &ApiServer, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watertight"));
    command.args(arguments).env("KUBECONFIG", server.kubeconfig());
    command
}

/// What it printed.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What it printed as JSON; anything else is a failure.
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

/// The exit code.
pub fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

/// A report or graph without the places from which it comes, so that files and clusters compare.
pub fn without_places(mut value: Value) -> Value {
    strip(&mut value);
    value
}

fn strip(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(strip);
            // Reasons stand in the order of their places.
            items.sort_by_key(ToString::to_string);
        }
        Value::Object(fields) => {
            for place in ["file", "line", "column"] {
                fields.remove(place);
            }
            fields.values_mut().for_each(strip);
        }
        _ => {}
    }
}

/// Gives the server the role that the program prints.
pub fn apply_role(server: &ApiServer) {
    let role = run(server, &["snapshot", "--rbac"]);
    server.apply(&String::from_utf8(role.stdout).expect("a manifest"));
}

/// Binds that role to the user `tenant`, in the namespace `shop` alone.
pub fn bind_tenant(server: &ApiServer) {
    server.apply(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tenant, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: watertight}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: tenant}]
",
    );
}
