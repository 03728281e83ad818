//! The filters of a chain in their order: those that decide who gets through, the one that leads on,
//! and those that nobody here can follow.

use super::listener::{Chain, Listener};
use super::rbac::{self, Addresses, Enforced, Filter, Layer, Place, Tls};
use super::route::{self, Onward};
use super::view::View;
use super::who::Known;
use super::wire::{Typed, any, has, typed};
use crate::model::{Bend, Gap, Node};

/// What a chain does with a connection.
#[derive(Debug, Default)]
pub struct Stack<'a> {
    /// Filters that decide, in order; each must let through.
    pub filters: Vec<Filter<'a>>,
    /// The clusters that it leads to.
    pub onward: Vec<Onward<'a>>,
    /// Whether requests are read and written anew.
    pub speaks_http: bool,
    /// What could not be followed.
    pub gaps: Vec<Gap>,
}

/// What becomes of a filter.
enum Part<'a> {
    /// It decides who gets through.
    Rbac,
    /// Requests begin here; nothing comes after it.
    Http,
    /// It leads on to clusters, which it names in some field; nothing comes after it.
    Leads,
    /// It answers by itself; nothing comes after it.
    Ends,
    /// It changes nothing of who gets through.
    Harmless,
    /// Somebody else decides.
    Asks(&'a str),
    /// A program decides.
    Runs(&'a str),
}

/// Filters by a part of their type or name.
const PARTS: &[(&str, Part<'static>)] = &[
    ("rbac", Part::Rbac),
    ("http_connection_manager", Part::Http),
    ("tcp_proxy", Part::Leads),
    ("redis_proxy", Part::Leads),
    ("thrift_proxy", Part::Leads),
    ("dubbo_proxy", Part::Leads),
    ("udp_proxy", Part::Leads),
    ("sni_dynamic_forward_proxy", Part::Harmless),
    ("network.echo", Part::Ends),
    ("network.direct_response", Part::Ends),
    ("ext_authz", Part::Asks("an external authorizer")),
    ("jwt_authn", Part::Asks("a token (JWT)")),
    ("oauth2", Part::Asks("an OAuth login")),
    ("basic_auth", Part::Asks("a user name and password")),
    ("api_key_auth", Part::Asks("an API key")),
    ("ext_proc", Part::Runs("an external processor")),
    ("http.ip_tagging", Part::Harmless),
    ("lua", Part::Runs("a Lua program")),
    ("wasm", Part::Runs("a Wasm program")),
    ("golang", Part::Runs("a Go program")),
    ("dynamic_modules", Part::Runs("a module")),
    ("mongo_proxy", Part::Harmless),
    ("mysql_proxy", Part::Harmless),
    ("postgres_proxy", Part::Harmless),
    ("zookeeper_proxy", Part::Harmless),
    ("kafka_broker", Part::Harmless),
    ("sni_cluster", Part::Harmless),
    ("metadata_exchange", Part::Harmless),
    ("connection_limit", Part::Harmless),
    ("ratelimit", Part::Harmless),
    ("local_rate_limit", Part::Harmless),
    ("set_filter_state", Part::Harmless),
    ("http.router", Part::Harmless),
    ("cors", Part::Harmless),
    ("csrf", Part::Harmless),
    ("fault", Part::Harmless),
    ("buffer", Part::Harmless),
    ("compressor", Part::Harmless),
    ("gzip", Part::Harmless),
    ("grpc_", Part::Harmless),
    ("connect_grpc", Part::Harmless),
    ("health_check", Part::Harmless),
    ("istio", Part::Harmless),
    ("stats", Part::Harmless),
    ("original_src", Part::Harmless),
    ("dynamic_forward_proxy", Part::Harmless),
    ("header_mutation", Part::Harmless),
    ("header_to_metadata", Part::Harmless),
    ("set_metadata", Part::Harmless),
    ("adaptive_concurrency", Part::Harmless),
    ("admission_control", Part::Harmless),
    ("bandwidth_limit", Part::Harmless),
    ("stateful_session", Part::Harmless),
    ("on_demand", Part::Harmless),
    ("tap", Part::Harmless),
    ("upstream_codec", Part::Harmless),
    ("custom_response", Part::Harmless),
    ("credential_injector", Part::Harmless),
    ("cache", Part::Harmless),
];

fn part(filter: Typed<'_>) -> Option<&'static Part<'static>> {
    PARTS.iter().find(|(part, _)| filter.kind.contains(part)).map(|(_, part)| part)
}

/// Reads the filters of a chain.
pub fn read<'a>(listener: &Listener<'a>, chain: &Chain<'a>, view: &View<'a>, known: &[Known]) -> Stack<'a> {
    let mut stack = Stack::default();
    let tls = if chain.server.asks == super::tls::Downstream::Plain { Tls::None } else { Tls::Ended };
    let addresses = if listener.believes_addresses() { Addresses::Told } else { Addresses::Seen };
    let place = Place { known, tls, layer: Layer::Network, addresses };
    for (index, filter) in chain.node.items_of("filters").iter().enumerate() {
        let path = format!("{}.filters[{index}]", chain.path);
        let Some(config) = configured(filter, &path, view, &mut stack.gaps) else { continue };
        match part(config) {
            Some(Part::Rbac) => {
                let read = rbac::read(config.body, &path, place);
                keep(read, filter, &path, view, &mut stack);
            }
            Some(Part::Http) => {
                stack.speaks_http = true;
                requests(config.body, &path, view, place, &mut stack);
                break;
            }
            Some(Part::Leads) => {
                stack.onward.extend(route::of_connection(config.body, &path));
                break;
            }
            Some(Part::Ends) => break,
            other => say(other, filter, &path, view, After::NoFilter, &mut stack.gaps),
        }
    }
    stack
}

/// The configuration of a filter, which may come on its own.
fn configured<'a>(filter: &'a Node, path: &str, view: &View<'a>, gaps: &mut Vec<Gap>) -> Option<Typed<'a>> {
    if !has(filter, "config_discovery") {
        return Some(typed(filter));
    }
    let name = filter.text_of("name").unwrap_or_default();
    if let Some(delivered) = view.filters.get(name) {
        return Some(typed(delivered));
    }
    if let Some(default) = filter.path(&["config_discovery", "default_config"]) {
        return Some(any(default));
    }
    gaps.push(Gap {
        what: format!(
            "the filter {name:?} is delivered on its own and was not read: it may keep clients out"
        ),
        origin: view.at(path, filter),
        bends: Bend::MayAllowLess,
    });
    None
}

fn keep<'a>(read: Enforced<'a>, filter: &Node, path: &str, view: &View<'a>, stack: &mut Stack<'a>) {
    match read {
        Enforced::By(filter) => stack.filters.push(filter),
        Enforced::Nothing => {}
        Enforced::Unread(what) => stack.gaps.push(Gap {
            what: format!("the {what} of an RBAC filter is not read: it is taken to let everybody through"),
            origin: view.at(path, filter),
            bends: Bend::MayAllowLess,
        }),
    }
}

/// Whether a filter that decides comes behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    AFilter,
    NoFilter,
}

fn say(
    part: Option<&Part<'_>>,
    filter: &Node,
    path: &str,
    view: &View<'_>,
    after: After,
    gaps: &mut Vec<Gap>,
) {
    let name = filter.text_of("name").unwrap_or_default();
    let what = match part {
        Some(Part::Harmless | Part::Rbac | Part::Http | Part::Leads | Part::Ends) => return,
        Some(Part::Asks(who)) => format!("{who} decides on requests (filter {name:?}): less may get through"),
        Some(Part::Runs(what)) => {
            format!("{what} (filter {name:?}) may refuse what is shown as let through, or rewrite it")
        }
        None => format!(
            "the filter {name:?} is not known: it may refuse what is shown as let through, or rewrite it"
        ),
    };
    let rewrites = after == After::AFilter && !matches!(part, Some(Part::Asks(_)));
    let bends = if rewrites { Bend::MayAllowMore } else { Bend::MayAllowLess };
    gaps.push(Gap { what, origin: view.at(path, filter), bends });
}

fn requests<'a>(manager: &'a Node, path: &str, view: &View<'a>, place: Place<'_>, stack: &mut Stack<'a>) {
    let routes = route::read(manager, path, view, &mut stack.gaps);
    let filters = manager.items_of("http_filters");
    let decides = |filter: &Node| typed(filter).kind.contains("rbac");
    for (index, filter) in filters.iter().enumerate() {
        let path = format!("{path}.http_filters[{index}]");
        let name = filter.text_of("name").unwrap_or_default();
        let Some(config) = configured(filter, &path, view, &mut stack.gaps) else { continue };
        let after = if filters[index..].iter().any(decides) { After::AFilter } else { After::NoFilter };
        match part(config) {
            Some(Part::Rbac) => {
                let place = Place { layer: Layer::Http, ..place };
                let base = match rbac::is_off(filter) {
                    true => Enforced::Nothing,
                    false => rbac::read(config.body, &path, place),
                };
                for read in routes.applied(name, base, &path, place) {
                    keep(read, filter, &path, view, stack);
                }
                if routes.unread {
                    stack.gaps.push(Gap {
                        what: format!("routes that were not read may switch the filter {name:?} off"),
                        origin: view.at(&path, filter),
                        bends: Bend::MayAllowMore,
                    });
                }
            }
            other => say(other, filter, &path, view, after, &mut stack.gaps),
        }
    }
    stack.onward.extend(routes.onward);
}
