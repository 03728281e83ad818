//! What proxies accept, listener by listener, and what they send, endpoint by endpoint.

use super::super::{
    Acceptance, Accepts, Admission, Dialect, Holds, Membership, MeshMode, Sending, Sends, Target,
};
use super::cluster::Way;
use super::listener::Listener;
use super::tls::{Downstream, Upstream};
use super::view::View;
use super::who;
use crate::model::{AddressSet, PortSet, proxy};

/// A port of a listener, and the chains that connections to it can meet.
#[derive(Debug)]
pub struct Served {
    /// The ports.
    pub ports: PortSet,
    /// Chains that connections in the clear meet, with where they come from.
    pub plain: Vec<(usize, AddressSet)>,
    /// Chains that connections with TLS meet.
    pub tls: Vec<(usize, AddressSet)>,
}

/// The ports of a listener, those together that its chains do not tell apart.
pub fn served(listener: &Listener<'_>) -> Vec<Served> {
    let of = |ports: PortSet, one: u16| Served {
        ports,
        plain: listener.met(one, "raw_buffer"),
        tls: listener.met(one, "tls"),
    };
    let single = |port: u16| PortSet::range(port, port);
    if !listener.redirected {
        let own = listener.ports.intervals().iter().flat_map(|(first, last)| *first..=*last);
        return own.map(|port| of(single(port), port)).collect();
    }
    let brought = PortSet::all().difference(&listener.elsewhere);
    let told = listener.ports_told_apart().into_iter();
    let told: Vec<u16> = told.filter(|port| brought.contains(*port)).collect();
    let rest = told.iter().fold(brought, |rest, port| rest.difference(&single(*port)));
    let first = rest.intervals().first().map(|(first, _)| *first);
    let others = first.map(|first| of(rest.clone(), first));
    told.into_iter().map(|port| of(single(port), port)).chain(others).collect()
}

/// What a listener takes on some ports.
pub fn acceptance(listener: &Listener<'_>, served: &Served, view: &View<'_>) -> Acceptance {
    let asks = |index: usize| &listener.chains[index].server.asks;
    let plain = |index: usize| matches!(asks(index), Downstream::Plain | Downstream::Unknown(_));
    let clear: Vec<usize> =
        served.plain.iter().map(|(index, _)| *index).filter(|index| plain(*index)).collect();
    let ended: Vec<usize> =
        served.tls.iter().map(|(index, _)| *index).filter(|index| !plain(*index)).collect();
    // TLS that is known by its first bytes and goes on as it is; where plaintext does too, that says it.
    let passed: Vec<usize> = match clear.is_empty() {
        true => served.tls.iter().map(|(index, _)| *index).filter(|index| plain(*index)).collect(),
        false => Vec::new(),
    };
    let terminates = ended
        .iter()
        .map(|index| dialect(asks(*index), wants_istio(listener, *index)))
        .chain(passed.iter().map(|_| Dialect::EnvoyTls))
        .reduce(|one, other| if one == other { one } else { weaker(one, other) });
    let mut words: Vec<String> = Vec::new();
    for index in clear.iter().chain(&ended).chain(&passed) {
        let chain = &listener.chains[*index];
        let does = match asks(*index) {
            Downstream::Plain if passed.contains(index) => "passes TLS on as it is",
            asks => asks.words(),
        };
        let word = match listener.chains.len() {
            1 => does.to_owned(),
            _ => format!("{does} ({})", chain.short_name()),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words.is_empty() {
        words.push("takes nothing here: no filter chain matches".to_owned());
    }
    Acceptance {
        holds: Holds::Surely,
        subjects: who::proxies([view.proxy.key.as_str()]),
        ports: served.ports.clone(),
        accepts: Accepts {
            plaintext: if clear.is_empty() { Admission::Refused } else { Admission::Admitted },
            terminates,
            // Clients of Istio go by its own view of the proxy.
            advertises: terminates.map(|own| match own {
                Dialect::EnvoyMtls if is_of_istio(view) => Dialect::IstioMtls,
                _ => own,
            }),
            proxied: Admission::Admitted,
        },
        why: format!("listener {} {}", listener.name, words.join(" and ")),
        origin: Some(view.at(&listener.path, listener.node)),
    }
}

/// Ports that do not come to a listener to which everything is brought, by the annotations of the pod
/// that its own metadata has.
pub fn past(listener: &Listener<'_>, view: &View<'_>) -> Option<Acceptance> {
    let node = proxy::bootstrap(view.document).and_then(|bootstrap| bootstrap.get("node"))?;
    let annotations = node.path(&["metadata", "ANNOTATIONS"])?;
    let kept = super::super::istio::kept(|key| Some(annotations.text_of(key)?.to_owned()));
    (listener.redirected && !kept.is_empty()).then(|| Acceptance {
        holds: Holds::Surely,
        subjects: who::proxies([view.proxy.key.as_str()]),
        ports: kept,
        accepts: Accepts::BARE,
        why: "an annotation keeps the port from the proxy".to_owned(),
        origin: Some(view.at("node.metadata", annotations)),
    })
}

/// Whether a chain is met only with one of the protocols that Istio's clients offer.
fn wants_istio(listener: &Listener<'_>, index: usize) -> bool {
    let wanted = listener.chains[index].items("application_protocols");
    !wanted.is_empty() && wanted.iter().all(|one| one.text().is_some_and(|text| text.starts_with("istio")))
}

fn dialect(asks: &Downstream, wants_istio: bool) -> Dialect {
    match asks {
        Downstream::Required if wants_istio => Dialect::IstioMtls,
        Downstream::Required => Dialect::EnvoyMtls,
        Downstream::Optional => Dialect::EnvoyOptional,
        Downstream::Plain | Downstream::OneWay | Downstream::Quic | Downstream::Unknown(_) => {
            Dialect::EnvoyTls
        }
    }
}

/// What chains that differ come to: one that asks for a certificate of whoever comes, with Istio's own
/// protocols or without, or somebody without a certificate gets through.
fn weaker(one: Dialect, other: Dialect) -> Dialect {
    match (one, other) {
        (Dialect::EnvoyTls, Dialect::EnvoyTls) => Dialect::EnvoyTls,
        (Dialect::IstioMtls | Dialect::EnvoyMtls, Dialect::IstioMtls | Dialect::EnvoyMtls) => {
            Dialect::EnvoyMtls
        }
        _ => Dialect::EnvoyOptional,
    }
}

/// Istio calls its proxies `sidecar~…`, `router~…` or `waypoint~…`.
pub fn is_of_istio(view: &View<'_>) -> bool {
    view.proxy.name.split('~').count() >= 3
}

/// The administration interface, where others reach it.
pub fn administration(view: &View<'_>) -> Option<Acceptance> {
    let bootstrap = proxy::bootstrap(view.document)?;
    let node = bootstrap.path(&["admin", "address"])?;
    let (address, port) = proxy::socket(node)?;
    let reachable = !super::listener::is_loopback(address) && port > 0;
    reachable.then(|| Acceptance {
        holds: Holds::Surely,
        subjects: who::proxies([view.proxy.key.as_str()]),
        ports: PortSet::range(port, port),
        accepts: Accepts::BARE,
        why: "the administration interface takes plaintext and asks nobody who they are".to_owned(),
        origin: Some(view.at("admin", node)),
    })
}

/// How the endpoint of a proxy takes part.
pub fn membership(view: &View<'_>) -> Membership {
    let mode = match view.proxy.name.split('~').next() {
        Some("sidecar") if is_of_istio(view) => MeshMode::IstioSidecar,
        Some("router" | "waypoint") if is_of_istio(view) => MeshMode::IstioGateway,
        _ => MeshMode::Envoy,
    };
    Membership {
        subjects: who::proxies([view.proxy.key.as_str()]),
        mode,
        why: "the configuration of its Envoy was read".to_owned(),
        origin: Some(view.document.origin.clone()),
    }
}

/// What a proxy sends by its clusters; the weakest first, so that it decides where several lead to one
/// endpoint.
pub fn sendings<'a>(view: &View<'_>, ways: &[Way<'a>], speaks_http: impl Fn(&str) -> bool) -> Vec<Sending> {
    let mut ways: Vec<&Way<'a>> = ways.iter().filter(|way| way.to.is_some()).collect();
    let anywhere = |way: &&Way<'a>| way.to == Some(Target::Anything);
    ways.sort_by_key(|way| (anywhere(way), way.client.sends));
    let one = |way: &Way<'a>| {
        let http = speaks_http(&way.cluster);
        let mtls = if way.client.of_istio { Dialect::IstioMtls } else { Dialect::EnvoyMtls };
        let sends = match way.client.sends {
            Upstream::Plain if http => Sends::Plaintext,
            Upstream::Plain | Upstream::Unknown => Sends::AsIs,
            Upstream::OneWay => Sends::OtherTls,
            Upstream::Mutual => Sends::Always(mtls),
        };
        let unchecked = match (way.client.sends, way.client.verifies) {
            (Upstream::OneWay | Upstream::Mutual, false) => " and does not check who answers",
            _ => "",
        };
        Sending {
            subjects: who::proxies([view.proxy.key.as_str()]),
            to: way.to.clone().unwrap_or(Target::Anything),
            ports: way.ports.clone(),
            sends,
            why: format!("cluster {} {}{unchecked}", way.cluster, way.client.sends.words()),
            origin: Some(way.origin.clone()),
        }
    };
    ways.into_iter().map(one).collect()
}
