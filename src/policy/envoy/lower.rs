//! Proxies → what they accept and send, whom they let through, and what nobody here can know.

use super::super::{
    Action, Direction, Isolation, Layer, Lowered, Peers, Policy, PolicyOrder, Population, Rule, Tier,
    TierRank, TrafficMatch,
};
use super::authorize::{Authorization, Ground};
use super::carriage;
use super::cluster::{self, Way};
use super::directory::Directory;
use super::filters::{self, Stack};
use super::listener::Listener;
use super::said;
use super::view::View;
use super::who::{self, Known};
use crate::model::{Document, PortSet, Protocol, TrafficSet};
use std::collections::BTreeSet;

/// One proxy with everything that was read of it.
pub struct Read<'a> {
    /// Its parts.
    pub view: View<'a>,
    /// Its listeners.
    pub listeners: Vec<Listener<'a>>,
    /// What the chains of each listener do.
    pub stacks: Vec<Vec<Stack<'a>>>,
    /// Where its clusters lead.
    pub ways: Vec<Way<'a>>,
}

/// Lowers all documents that configure a proxy.
pub fn lower(documents: &[Document]) -> Lowered {
    let mut lowered = Lowered::default();
    let views: Vec<View<'_>> = documents.iter().filter_map(View::of).collect();
    if views.is_empty() {
        return lowered;
    }
    let directory = Directory::new(documents, views.iter().map(|view| view.proxy.clone()).collect());
    let known = known(&views);
    let read: Vec<Read<'_>> =
        views.into_iter().map(|view| read(view, &directory, &known, &mut lowered.gaps)).collect();
    // Annotations of Istio's pods say what does not come to their proxies, or leave by them.
    let captured = read.iter().filter(|one| one.listeners.iter().any(|listener| listener.redirected));
    let captured = captured.filter(|one| carriage::is_of_istio(&one.view));
    if let Some(pods) = who::any_proxy(captured.map(|one| one.view.proxy.key.as_str())) {
        lowered.transport = super::super::istio::past_proxies(documents, &pods);
    }
    let mut authorization = Authorization::default();
    let mut reachable = Vec::new();
    for one in &read {
        lowered.problems.extend(said::problems(one));
        lowered.gaps.extend(said::of(one));
        reachable.push(listened(one));
        add(one, &known, &mut lowered, &mut authorization);
    }
    lowered.tiers = authorization.tiers();
    lowered.tiers.push(Tier {
        layer: Layer::Isolation,
        direction: Direction::Ingress,
        rank: TierRank::declared(0.0, "envoy listeners"),
        unmatched: Action::Deny,
        policies: Policy::shared(reachable),
    });
    lowered
}

fn read<'a>(
    view: View<'a>,
    directory: &Directory,
    known: &[Known],
    gaps: &mut Vec<crate::model::Gap>,
) -> Read<'a> {
    let listeners = Listener::all(&view);
    let stacks: Vec<Vec<Stack<'_>>> = listeners
        .iter()
        .map(|listener| {
            let chains = listener.chains.iter();
            chains.map(|chain| filters::read(listener, chain, &view, known)).collect()
        })
        .collect();
    let ways =
        view.clusters.iter().flat_map(|(path, node)| cluster::ways(&view, directory, path, node, gaps));
    let ways = ways.collect();
    Read { listeners, stacks, ways, view }
}

/// The names that the certificates of each proxy have.
fn known(views: &[View<'_>]) -> Vec<Known> {
    let of = |view: &View<'_>| {
        let contexts = view.clusters.iter().flat_map(|(_, cluster)| {
            let matched =
                cluster.items_of("transport_socket_matches").iter().map(|one| one.get("transport_socket"));
            let sockets = matched.chain([cluster.get("transport_socket")]);
            sockets.filter_map(|socket| super::tls::client(socket, view).context)
        });
        let names: Option<Vec<Vec<String>>> = contexts
            .filter(|context| super::tls::shows_certificate(context))
            .map(|context| view.identities(context))
            .collect();
        let names = names.map(|names| names.concat()).filter(|names| !names.is_empty());
        Known { key: view.proxy.key.clone(), names }
    };
    views.iter().map(of).collect()
}

fn add(one: &Read<'_>, known: &[Known], lowered: &mut Lowered, authorization: &mut Authorization) {
    let Read { view, listeners, stacks, ways } = one;
    lowered.transport.members.push(carriage::membership(view));
    lowered.transport.accepts.extend(carriage::administration(view));
    // What a listener has of its own does not come to the one that takes the rest.
    let (last, first): (Vec<_>, Vec<_>) = listeners
        .iter()
        .zip(stacks)
        .filter(|(listener, _)| !listener.udp)
        .partition(|(listener, _)| listener.redirected);
    for (listener, stacks) in first.into_iter().chain(last) {
        if listener.ports.is_empty() {
            continue;
        }
        lowered.transport.accepts.extend(carriage::past(listener, view));
        for served in carriage::served(listener) {
            lowered.transport.accepts.push(carriage::acceptance(listener, &served, view));
            authorization.add(&Ground { view, listener, stacks, served: &served, known });
        }
    }
    let http: BTreeSet<&str> = stacks
        .iter()
        .flatten()
        .filter(|stack| stack.speaks_http)
        .flat_map(|stack| stack.onward.iter().filter_map(|onward| onward.cluster))
        .collect();
    let raw: BTreeSet<&str> = stacks
        .iter()
        .flatten()
        .filter(|stack| !stack.speaks_http)
        .flat_map(|stack| stack.onward.iter().filter_map(|onward| onward.cluster))
        .collect();
    let speaks_http = |cluster: &str| http.contains(cluster) && !raw.contains(cluster);
    lowered.transport.sends.extend(carriage::sendings(view, ways, speaks_http));
}

/// A proxy that is no pod is reached where it listens, and nowhere else.
fn listened(one: &Read<'_>) -> Policy {
    let Read { view, listeners, .. } = one;
    let mut traffic = TrafficSet::none();
    for listener in listeners {
        let protocol = if listener.udp { Protocol::Udp } else { Protocol::Tcp };
        // What is brought to a listener comes to every port.
        let ports = if listener.redirected { PortSet::all() } else { listener.ports.clone() };
        traffic = traffic.union(&TrafficSet::of(protocol, ports));
    }
    if let Some(admin) = carriage::administration(view) {
        traffic = traffic.union(&TrafficSet::of(Protocol::Tcp, admin.ports));
    }
    let origin = view.document.origin.clone();
    let mut subjects = who::proxies([view.proxy.key.as_str()]);
    subjects.retain(|selection| selection.population == Population::Standalone);
    let open = Rule::new(Action::Pass, Peers::Everyone, TrafficMatch::fixed(traffic), origin.clone());
    Policy {
        subjects,
        isolation: Isolation::Isolates,
        order: PolicyOrder::new(0.0, view.proxy.key.clone()),
        rules: vec![open],
        origin,
    }
}
