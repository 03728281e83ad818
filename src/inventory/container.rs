//! What containers declare: the users that they run as, and their ports.

use super::build::refuse;
use super::workload::ContainerPort;
use crate::model::{Document, Node, Problem, Protocol};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// `securityContext.runAsUser`, of the pod or of a container, which counts before it.
pub(super) fn users(spec: &Node) -> BTreeSet<u32> {
    const PROXIES: &[&str] =
        &["istio-proxy", "istio-init", "istio-validation", "linkerd-proxy", "linkerd-init"];
    let user = |object: &Node| {
        let user = object.path(&["securityContext", "runAsUser"]).and_then(Node::int)?;
        u32::try_from(user).ok()
    };
    let all = ["containers", "initContainers"].iter().flat_map(|list| spec.items_of(list));
    let own = all.filter(|container| !container.text_of("name").is_some_and(|name| PROXIES.contains(&name)));
    own.filter_map(|container| user(container).or_else(|| user(spec))).collect()
}

/// `hostIP`: the address of the node on which a host port is open; none for all of them, which the
/// unspecified address means too.
fn host_ip(port: &Node) -> Option<IpAddr> {
    let address = port.text_of("hostIP").and_then(|text| text.parse::<IpAddr>().ok());
    address.filter(|address| !address.is_unspecified())
}

/// `ports[]` of a container.
pub(super) fn port(document: &Document, port: &Node) -> Result<Option<ContainerPort>, Problem> {
    let Some(number) = port.get("containerPort") else { return Ok(None) };
    let value = number.int().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0).ok_or_else(|| {
        refuse(
            document,
            number.line,
            "containerPort is not a port number".to_owned(),
            "ports run from 1 to 65535",
        )
    })?;
    let host_ip = host_ip(port);
    // Nobody else reaches loopback addresses of the node.
    let only_the_node = host_ip.is_some_and(|address| address.is_loopback());
    Ok(Some(ContainerPort {
        name: port.text_of("name").unwrap_or_default().to_owned(),
        port: value,
        protocol: port.text_of("protocol").and_then(Protocol::from_name).unwrap_or(Protocol::Tcp),
        host_port: port
            .get("hostPort")
            .and_then(Node::int)
            .and_then(|n| u16::try_from(n).ok())
            .filter(|n| *n > 0 && !only_the_node),
        host_ip: host_ip.filter(|_| !only_the_node),
    }))
}
