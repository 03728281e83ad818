//! What a proxy's configuration leaves open, and what is wrong in it, in words.

use super::listener::is_loopback;
use super::lower::Read;
use super::tls::{Downstream, Upstream};
use super::wire::has;
use crate::model::{Bend, Gap, Node, Origin, Problem, proxy};
use std::collections::BTreeSet;

/// Gaps of one proxy.
pub fn of(one: &Read<'_>) -> Vec<Gap> {
    let mut gaps = Vec::new();
    gaps.extend(one.stacks.iter().flatten().flat_map(|stack| stack.gaps.iter().cloned()));
    dynamic(one, &mut gaps);
    sockets(one, &mut gaps);
    beside(one, &mut gaps);
    gaps.sort();
    gaps.dedup();
    gaps
}

fn say(what: String, origin: Origin, bends: Bend, gaps: &mut Vec<Gap>) {
    gaps.push(Gap { what, origin, bends });
}

/// What comes from elsewhere while the proxy runs.
fn dynamic(one: &Read<'_>, gaps: &mut Vec<Gap>) {
    let view = &one.view;
    let Some(resources) = proxy::bootstrap(view.document).and_then(|b| b.get("dynamic_resources")) else {
        return;
    };
    if &*view.document.origin.kind != "Bootstrap" {
        return;
    }
    for (field, what, bends) in
        [("lds_config", "listeners", Bend::MayAllowMore), ("cds_config", "clusters", Bend::MayMissTraffic)]
    {
        if let Some(node) = resources.get(field).filter(|node| !node.is_null()) {
            let what = format!(
                "more {what} come while the proxy runs ({field}); give its config_dump too, which has them"
            );
            say(what, view.at(&format!("dynamic_resources.{field}"), node), bends, gaps);
        }
    }
}

fn sockets(one: &Read<'_>, gaps: &mut Vec<Gap>) {
    let view = &one.view;
    let mut proves = false;
    for listener in one.listeners.iter().filter(|listener| listener.has_named_port()) {
        let what = format!(
            "listener {} listens on a port that is given by name, which nothing here resolves: it is not shown",
            listener.name
        );
        say(what, view.at(&listener.path, listener.node), Bend::MayAllowMore, gaps);
    }
    for listener in one.listeners.iter().filter(|listener| !listener.ports.is_empty()) {
        if listener.udp {
            let what = format!("listener {} is for UDP: what it carries is not judged", listener.name);
            say(what, view.at(&listener.path, listener.node), Bend::MayMissTraffic, gaps);
        }
        if has(listener.node, "filter_chain_matcher") {
            let what = format!(
                "which filter chain connections to listener {} meet is decided by a filter_chain_matcher, which \
                 is not read: each chain is taken to be met",
                listener.name
            );
            say(what, view.at(&listener.path, listener.node), Bend::MayAllowLess, gaps);
        }
        for name in listener.unknown_filters() {
            let what = format!(
                "the listener filter {name:?} is not known: it may refuse connections, or change what is known \
                 of them"
            );
            say(what, view.at(&listener.path, listener.node), Bend::MayAllowMore, gaps);
        }
        let any = listener.ports.intervals().first().map_or(0, |(first, _)| *first);
        for chain in listener.never_met(any).filter(|_| !listener.redirected) {
            let what = format!(
                "filter chain {} asks for what a TLS inspector finds out, and none is listed: Envoy 1.40 never \
                 meets it, old versions add one",
                chain.name()
            );
            say(what, view.at(&chain.path, chain.node), Bend::MayAllowMore, gaps);
        }
        for chain in &listener.chains {
            proves |= chain.server.asks.takes_proof();
            if let Downstream::Unknown(kind) = &chain.server.asks {
                let what =
                    format!("the transport socket {kind} is not read: it is taken to let plaintext in");
                say(what, view.at(&chain.path, chain.node), Bend::MayAllowMore, gaps);
            }
            for field in chain.unfollowed() {
                let what = format!("filter_chain_match.{field} is not followed: other chains may be met");
                say(what, view.at(&chain.path, chain.node), Bend::MayAllowMore, gaps);
            }
            for name in chain.server.context.iter().filter_map(|context| awaited(context, one)) {
                let what = format!("whom the validation context {name:?} trusts comes from elsewhere (SDS)");
                say(what, view.at(&chain.path, chain.node), Bend::MayAllowMore, gaps);
            }
        }
    }
    if proves {
        let what = "whoever holds a certificate of the authority gets in: clients that were not read are shown \
                    without one, and that certificates fit the authority was not tried";
        say(what.to_owned(), view.document.origin.clone(), Bend::MayAllowMore, gaps);
    }
    for way in one.ways.iter().filter(|way| way.client.sends == Upstream::Unknown) {
        let what = format!(
            "the transport socket of cluster {:?} is not read: it is taken to send plaintext",
            way.cluster
        );
        say(what, way.origin.clone(), Bend::MayAllowLess, gaps);
    }
}

/// The validation context that a secret holds which was not read.
fn awaited<'a>(context: &'a Node, one: &Read<'_>) -> Option<&'a str> {
    let both = [Some(context), context.get("combined_validation_context")];
    let sds = both.into_iter().flatten().find_map(|node| node.get("validation_context_sds_secret_config"))?;
    sds.text_of("name").filter(|name| !one.view.secrets.contains_key(name))
}

/// Processes beside the proxy, which are its reason to be there.
fn beside(one: &Read<'_>, gaps: &mut Vec<Gap>) {
    let redirected = one.listeners.iter().any(|listener| listener.redirected);
    let local: BTreeSet<String> = one
        .ways
        .iter()
        .filter(|way| way.to.is_none())
        .map(|way| way.ports.intervals().iter().map(|(first, _)| first.to_string()).collect())
        .collect();
    if redirected || local.is_empty() {
        return;
    }
    let ports: Vec<String> = local.into_iter().collect();
    let what = format!(
        "what the proxy hands to 127.0.0.1 (port {}) is reached past it where the process listens on other addresses too",
        ports.join(", ")
    );
    say(what, one.view.document.origin.clone(), Bend::MayAllowMore, gaps);
}

/// What is wrong and has no effect, though the rest has.
pub fn problems(one: &Read<'_>) -> Vec<Problem> {
    let view = &one.view;
    let mut problems = Vec::new();
    let mut say = |path: &str, node: &Node, message: String, hint: &str| {
        problems.push(Problem { origin: view.at(path, node), message, hint: hint.to_owned() });
    };
    for listener in &one.listeners {
        let node = listener.node;
        let known = has(node, "address") || has(node, "internal_listener") || has(node, "api_listener");
        if !known {
            say(
                &listener.path,
                node,
                format!("listener {} has no address", listener.name),
                "write address.socket_address with address and port_value",
            );
        }
        if let Some(chains) =
            node.get("filter_chains").filter(|chains| chains.items().is_empty() && !chains.is_null())
        {
            say(
                &listener.path,
                chains,
                "filter_chains is not a list of chains".to_owned(),
                "each chain begins with a dash and has filters",
            );
        }
        socket_of(node, &listener.path, &mut say);
    }
    for (path, cluster) in &view.clusters {
        if cluster.text_of("name").unwrap_or_default().is_empty() {
            say(
                path,
                cluster,
                "the cluster has no name".to_owned(),
                "routes lead to clusters by their names",
            );
        }
        let assignment = cluster.get("load_assignment").map_or(&[][..], |a| a.items_of("endpoints"));
        for endpoint in assignment.iter().flat_map(|locality| locality.items_of("lb_endpoints")) {
            if let Some(endpoint) = endpoint.get("endpoint") {
                socket_of(endpoint, path, &mut say);
            }
        }
    }
    for onward in one.stacks.iter().flatten().flat_map(|stack| &stack.onward) {
        let Some(name) = onward.cluster.filter(|name| view.cluster(name).is_none()) else { continue };
        // A dump without clusters, or clusters that come later, may have it.
        let whole = &*view.document.origin.kind == "Bootstrap"
            && proxy::bootstrap(view.document)
                .is_none_or(|b| b.path(&["dynamic_resources", "cds_config"]).is_none());
        if whole && !name.is_empty() {
            say(
                &onward.path,
                onward.node,
                format!("there is no cluster {name:?}"),
                "write it below static_resources.clusters",
            );
        }
    }
    problems
}

fn socket_of(owner: &Node, path: &str, say: &mut impl FnMut(&str, &Node, String, &str)) {
    let Some(socket) = owner.path(&["address", "socket_address"]) else { return };
    let Some(port) = socket.get("port_value") else {
        if !has(socket, "named_port") {
            say(path, socket, "the address has no port_value".to_owned(), "ports run from 1 to 65535");
        }
        return;
    };
    if super::wire::port(Some(port)).is_none() {
        say(
            path,
            port,
            "port_value is not a port number".to_owned(),
            "ports run from 1 to 65535, without quotes",
        );
    }
    let address = socket.text_of("address").unwrap_or_default();
    if address.is_empty() && !is_loopback(address) {
        say(path, socket, "the address is empty".to_owned(), "write address: 0.0.0.0 to listen on all");
    }
}
