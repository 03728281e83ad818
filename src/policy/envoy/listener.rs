//! Listeners: where they listen, their filter chains, and which chains a connection can meet.
//!
//! The order of criteria is that of `config.listener.v3.FilterChainMatch`: each level keeps the most
//! specific chains, and nobody goes back to a chain that was less specific on an earlier level.

use super::tls::{self, Server};
use super::view::View;
use super::wire::{block, has, port};
use crate::model::{AddressSet, Node, PortSet, proxy};
use std::collections::BTreeSet;

/// A listener that others can connect to, or that only this proxy's own side reaches.
#[derive(Debug)]
pub struct Listener<'a> {
    /// `listeners[0]`.
    pub path: String,
    /// As written.
    pub node: &'a Node,
    /// Its name, or its address where it has none.
    pub name: String,
    /// The ports that others reach it on; none where it listens on loopback or a file alone.
    pub ports: PortSet,
    /// Whether the ports are those of UDP.
    pub udp: bool,
    /// Whether connections come here that were on their way to other ports (Istio's port 15006).
    pub redirected: bool,
    /// Ports that others of the proxy's listeners take, though connections are brought here.
    pub elsewhere: PortSet,
    arrival: Arrival,
    /// Its filter chains; the default one is the last, where there is one.
    pub chains: Vec<Chain<'a>>,
}

/// How connections come to a listener, by what it says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// By its own socket.
    Socket,
    /// By its own socket, for what leaves by this proxy (`traffic_direction: OUTBOUND`).
    SocketOut,
    /// It has no socket: another listener hands them on by their destination.
    Handed,
    /// From this proxy's own side.
    Inside,
}

/// A filter chain.
#[derive(Debug)]
pub struct Chain<'a> {
    /// `listeners[0].filter_chains[1]`.
    pub path: String,
    /// As written.
    pub node: &'a Node,
    /// Whom it takes.
    pub server: Server<'a>,
    /// Whether it is only met where no other chain matches.
    pub default: bool,
}

/// What is known of a connection when its chain is looked for.
#[derive(Clone, Debug)]
pub struct Arriving<'a> {
    /// The port that it was sent to.
    pub port: u16,
    /// The server name.
    pub name: Option<&'a str>,
    /// `tls` or `raw_buffer`.
    pub transport: &'static str,
    /// The application protocol.
    pub protocol: Option<&'a str>,
}

/// How specific a chain is on one level; `None` where it does not match.
type Score<'s, 'a> = dyn Fn(&Chain<'a>) -> Option<u32> + 's;

impl<'a> Listener<'a> {
    /// Reads the listeners of a proxy, and which of them get what comes from elsewhere.
    pub fn all(view: &View<'a>) -> Vec<Listener<'a>> {
        let mut all: Vec<Listener<'_>> =
            view.listeners.iter().map(|(path, node)| Listener::read(path, node, view)).collect();
        let captured = all.iter().any(|listener| listener.redirected);
        let hands_on = all.iter().any(|listener| listener.redirected && hands_on(listener.node));
        for listener in &mut all {
            let reached = match listener.arrival {
                Arrival::Socket => true,
                // Gateways of Istio listen so too. Beside a capture nothing but the capture is reached.
                Arrival::SocketOut => !captured,
                Arrival::Handed => hands_on,
                Arrival::Inside => false,
            };
            if !reached {
                listener.ports = PortSet::none();
            }
        }
        let own = all.iter().filter(|listener| !listener.redirected && !listener.udp);
        let own = own.fold(PortSet::none(), |all, listener| all.union(&listener.ports));
        for listener in all.iter_mut().filter(|listener| listener.redirected) {
            listener.elsewhere = own.clone();
        }
        all
    }

    fn read(path: &str, node: &'a Node, view: &View<'a>) -> Listener<'a> {
        let more = node.items_of("additional_addresses").iter().filter_map(|more| more.get("address"));
        let addresses: Vec<&Node> = node.get("address").into_iter().chain(more).collect();
        let restores = hands_on(node) || listener_filter(node, ORIGINAL_DESTINATION).is_some();
        let outbound = node.text_of("traffic_direction") == Some("OUTBOUND");
        let arrival = match (proxy::is_bound(node), outbound) {
            (true, false) => Arrival::Socket,
            (true, true) if restores => Arrival::Inside,
            (true, true) => Arrival::SocketOut,
            (false, false) => Arrival::Handed,
            (false, true) => Arrival::Inside,
        };
        let sockets = addresses.iter().filter_map(|address| proxy::socket(address));
        let own = sockets.filter(|(text, port)| !is_loopback(text) && *port > 0);
        let own = own.map(|(_, port)| PortSet::range(port, port));
        let own = own.fold(PortSet::none(), |all, port| all.union(&port));
        let udp = addresses.first().and_then(|address| address.path(&["socket_address", "protocol"]));
        let udp = udp.and_then(Node::text) == Some("UDP");
        let mut listener = Listener {
            path: path.to_owned(),
            node,
            name: name(node, &addresses),
            redirected: restores && arrival == Arrival::Socket && !own.is_empty() && !udp,
            ports: own,
            udp,
            elsewhere: PortSet::none(),
            arrival,
            chains: Vec::new(),
        };
        for (index, chain) in node.items_of("filter_chains").iter().enumerate() {
            let path = format!("{path}.filter_chains[{index}]");
            let server = tls::server(chain.get("transport_socket"), view);
            listener.chains.push(Chain { path, node: chain, server, default: false });
        }
        if let Some(chain) = node.get("default_filter_chain").filter(|chain| !chain.is_null()) {
            let server = tls::server(chain.get("transport_socket"), view);
            let path = format!("{path}.default_filter_chain");
            listener.chains.push(Chain { path, node: chain, server, default: true });
        }
        listener
    }

    /// Whether the transport protocol, the server name and the application protocol of connections to
    /// a port are found out: by a TLS inspector, which nothing adds (tried with Envoy 1.40).
    pub fn is_inspected(&self, port: u16) -> bool {
        self.looks(TLS_INSPECTOR, port)
    }

    /// Whether connections to a port that bring requests in the clear are known by it.
    fn tells_requests(&self, port: u16) -> bool {
        self.looks(HTTP_INSPECTOR, port)
    }

    fn looks(&self, filter: FilterName, port: u16) -> bool {
        let on = |filter: &Node| !filter.get("filter_disabled").is_some_and(|off| is_off(off, port));
        listener_filter(self.node, filter).is_some_and(on)
    }

    /// Whether the address that a client comes from is told by whoever connects (PROXY protocol).
    pub fn believes_addresses(&self) -> bool {
        listener_filter(self.node, PROXY_PROTOCOL).is_some()
    }

    /// Filters that look at connections first and of which nothing is known.
    pub fn unknown_filters(&self) -> impl Iterator<Item = &'a str> {
        let filters = self.node.items_of("listener_filters").iter();
        let name = |filter: &'a Node| {
            let kind = super::wire::typed(filter).kind;
            let own = filter.text_of("name").unwrap_or(kind);
            let known =
                LISTENER_FILTERS.iter().any(|(type_, name)| kind.ends_with(type_) || own.ends_with(name));
            (!known).then_some(own)
        };
        filters.filter_map(name)
    }

    /// Whether it listens on a port that is given by name.
    pub fn has_named_port(&self) -> bool {
        let more = self.node.items_of("additional_addresses").iter().filter_map(|more| more.get("address"));
        let mut all = self.node.get("address").into_iter().chain(more);
        all.any(|address| address.path(&["socket_address", "named_port"]).is_some_and(|node| !node.is_null()))
    }

    /// Chains that ask on a port for what only an inspector finds out, and none does.
    pub fn never_met(&self, port: u16) -> impl Iterator<Item = &Chain<'a>> {
        let (tls, requests) = (self.is_inspected(port), self.tells_requests(port));
        self.chains.iter().filter(move |chain| {
            let transport = chain.criteria("transport_protocol").and_then(Node::text) == Some("tls");
            let of_tls = transport || chain.has_items("server_names");
            !tls && (of_tls || (chain.has_items("application_protocols") && !requests))
        })
    }

    /// The ports by which chains tell connections apart, and those that inspectors are told to leave.
    pub fn ports_told_apart(&self) -> BTreeSet<u16> {
        let mut ports: BTreeSet<u16> = self.chains.iter().filter_map(Chain::destination_port).collect();
        for off in self.node.items_of("listener_filters").iter().filter_map(|f| f.get("filter_disabled")) {
            ports_of(off, &mut ports);
        }
        ports
    }

    /// All chains that connections to a port can meet, with where they come from: in the clear, or
    /// with TLS whatever its server name and protocol.
    pub fn met(&self, destination: u16, transport: &'static str) -> Vec<(usize, AddressSet)> {
        let texts = |field: &'static str| -> BTreeSet<Option<&str>> {
            let all = self.chains.iter().filter_map(move |chain| chain.criteria(field)).flat_map(Node::items);
            all.filter_map(Node::text).map(Some).chain([None]).collect()
        };
        let is_tls = transport == "tls" && self.is_inspected(destination);
        let none: BTreeSet<Option<&str>> = [None].into();
        let names = if is_tls { texts("server_names") } else { none.clone() };
        let protocols = match is_tls {
            true => texts("application_protocols"),
            false if transport == "raw_buffer" && self.tells_requests(destination) => {
                let of_requests = |name: &Option<&str>| name.is_none_or(|name| OF_REQUESTS.contains(&name));
                texts("application_protocols").into_iter().filter(of_requests).collect()
            }
            false => none,
        };
        let transport = if is_tls { "tls" } else { "raw_buffer" };
        let mut all: Vec<(usize, AddressSet)> = Vec::new();
        for name in &names {
            for protocol in &protocols {
                let arriving = Arriving { port: destination, name: *name, transport, protocol: *protocol };
                for (index, from) in self.chain_for(&arriving) {
                    match all.iter_mut().find(|(known, _)| *known == index) {
                        Some((_, known)) => *known = known.union(&from),
                        None => all.push((index, from)),
                    }
                }
            }
        }
        all.sort();
        all
    }

    /// The chains that one kind of connection meets, by where it comes from.
    pub fn chain_for(&self, arriving: &Arriving<'_>) -> Vec<(usize, AddressSet)> {
        let mut left: Vec<usize> =
            (0..self.chains.len()).filter(|index| !self.chains[*index].default).collect();
        let levels: [&Score<'_, 'a>; 5] = [
            &|chain| level(chain.destination_port().map(|port| port == arriving.port)),
            &|chain| chain.name_level(arriving.name),
            &|chain| {
                let wanted =
                    chain.criteria("transport_protocol").and_then(Node::text).filter(|t| !t.is_empty());
                level(wanted.map(|wanted| wanted == arriving.transport))
            },
            &|chain| {
                let wanted = chain.items("application_protocols");
                let fits = arriving.protocol.is_some_and(|p| wanted.iter().any(|one| one.text() == Some(p)));
                level((!wanted.is_empty()).then_some(fits))
            },
            // Who connects from elsewhere is never local.
            &|chain| match chain.criteria("source_type").and_then(Node::text) {
                Some("SAME_IP_OR_LOOPBACK") => None,
                _ => Some(0),
            },
        ];
        for score in levels {
            let best = left.iter().filter_map(|index| score(&self.chains[*index])).max();
            left.retain(|index| best.is_some() && score(&self.chains[*index]) == best);
        }
        let told = self.believes_addresses();
        let mut met = by_source(&left, |index| self.chains[index].sources(told));
        if let Some(default) = self.chains.iter().position(|chain| chain.default) {
            let taken = met.iter().fold(AddressSet::none(), |all, (_, from)| all.union(from));
            met.push((default, AddressSet::all().difference(&taken)));
        }
        met.retain(|(_, from)| !from.is_empty());
        met
    }
}

/// A filter that looks at connections before a chain is chosen: the end of its type, and of the name
/// that it has by custom.
type FilterName = (&'static str, &'static str);

const TLS_INSPECTOR: FilterName = ("TlsInspector", "tls_inspector");
const HTTP_INSPECTOR: FilterName = ("HttpInspector", "http_inspector");
const ORIGINAL_DESTINATION: FilterName = ("OriginalDst", "original_dst");
const PROXY_PROTOCOL: FilterName = ("ProxyProtocol", "proxy_protocol");
/// All that are known; those behind the first four change nothing of who gets through.
const LISTENER_FILTERS: &[FilterName] = &[
    TLS_INSPECTOR,
    HTTP_INSPECTOR,
    ORIGINAL_DESTINATION,
    PROXY_PROTOCOL,
    ("OriginalSrc", "original_src"),
    ("LocalRateLimit", "local_ratelimit"),
    ("ConnectAuthority", "connect_authority"),
    ("DnsFilterConfig", "dns_filter"),
];
/// What the HTTP inspector calls requests in the clear (`http_inspector.cc`).
const OF_REQUESTS: &[&str] = &["http/1.0", "http/1.1", "h2c"];

fn listener_filter(listener: &Node, (kind, name): FilterName) -> Option<&Node> {
    listener.items_of("listener_filters").iter().find(|filter| {
        super::wire::typed(filter).kind.ends_with(kind)
            || filter.text_of("name").is_some_and(|own| own.ends_with(name))
    })
}

/// Whether a listener hands connections on to the one that listens where they were on their way to.
fn hands_on(listener: &Node) -> bool {
    ["use_original_dst", "hidden_envoy_deprecated_use_original_dst"]
        .iter()
        .any(|field| super::wire::truth(listener, field))
}

/// `ListenerFilterChainMatchPredicate`, as far as it is about ports; what is not leaves the filter on.
fn is_off(predicate: &Node, port: u16) -> bool {
    let Some((field, value)) = predicate.fields().first() else { return false };
    let mut rules = value.items_of("rules").iter();
    match &**field {
        "any_match" => true,
        "or_match" => rules.any(|rule| is_off(rule, port)),
        "and_match" => rules.all(|rule| is_off(rule, port)),
        "not_match" => !is_off(value, port),
        "destination_port_range" => {
            let number = |field: &str| value.get(field).and_then(Node::int).unwrap_or(0);
            (number("start")..number("end")).contains(&i64::from(port))
        }
        _ => false,
    }
}

/// More ports than this in one range are looked at by its ends.
const MOST_PORTS: i64 = 64;

/// The ports that a predicate names.
fn ports_of(predicate: &Node, found: &mut BTreeSet<u16>) {
    for (field, value) in predicate.fields() {
        match &**field {
            "or_match" | "and_match" => value.items_of("rules").iter().for_each(|one| ports_of(one, found)),
            "not_match" => ports_of(value, found),
            "destination_port_range" => {
                let number = |field: &str| value.get(field).and_then(Node::int).unwrap_or(0);
                let (start, end) = (number("start"), number("end"));
                let last = (end - 1).min(start.saturating_add(MOST_PORTS));
                found.extend((start..=last).chain([end - 1, end]).filter_map(|n| u16::try_from(n).ok()));
            }
            _ => {}
        }
    }
}

/// Nothing asked is the least specific; something else is no match.
fn level(fits: Option<bool>) -> Option<u32> {
    match fits {
        None => Some(0),
        Some(true) => Some(1),
        Some(false) => None,
    }
}

/// Chains by the longest prefix of the source that they name.
fn by_source(
    chains: &[usize],
    sources: impl Fn(usize) -> Option<Vec<crate::model::AddressRange>>,
) -> Vec<(usize, AddressSet)> {
    let whole = AddressSet::all();
    let prefixes = |index: usize| sources(index).unwrap_or_else(|| whole.ranges().to_vec());
    let every: Vec<crate::model::AddressRange> = chains.iter().flat_map(|index| prefixes(*index)).collect();
    let own = |index: usize| -> AddressSet {
        let part = prefixes(index).into_iter().map(|range| {
            let inside = |other: &&crate::model::AddressRange| {
                **other != range && range.contains(other.first) && range.contains(other.last)
            };
            let narrower: AddressSet = every.iter().filter(inside).copied().collect();
            [range].into_iter().collect::<AddressSet>().difference(&narrower)
        });
        part.fold(AddressSet::none(), |all, set| all.union(&set))
    };
    chains.iter().map(|index| (*index, own(*index))).collect()
}

impl<'a> Chain<'a> {
    /// One criterion of the match.
    pub fn criteria(&self, field: &str) -> Option<&'a Node> {
        self.node.path(&["filter_chain_match", field]).filter(|node| !node.is_null())
    }

    /// The list that it asks of a field.
    pub fn items(&self, field: &str) -> &'a [Node] {
        self.criteria(field).map_or(&[], Node::items)
    }

    fn has_items(&self, field: &str) -> bool {
        !self.items(field).is_empty()
    }

    /// The port that the chain is for.
    pub fn destination_port(&self) -> Option<u16> {
        let node = self.criteria("destination_port")?;
        port(Some(node)).or_else(|| port(node.get("value"))).filter(|port| *port > 0)
    }

    /// Exact names before wildcards, longer wildcards before shorter ones, those before none.
    fn name_level(&self, name: Option<&str>) -> Option<u32> {
        let wanted = self.items("server_names");
        if wanted.is_empty() {
            return Some(0);
        }
        let name = name?;
        let fits = |text: &str| match text.strip_prefix('*') {
            Some(tail) if name != text => name.ends_with(tail).then_some(1 + tail.len() as u32),
            _ => (name == text).then_some(u32::MAX),
        };
        wanted.iter().filter_map(Node::text).filter_map(fits).max()
    }

    /// The prefixes of sources that it is for; `None` for all, and where whoever connects tells its own.
    fn sources(&self, told: bool) -> Option<Vec<crate::model::AddressRange>> {
        let fields: &[&str] = match told {
            true => &["direct_source_prefix_ranges"],
            false => &["direct_source_prefix_ranges", "source_prefix_ranges"],
        };
        let field = fields.iter().find(|field| self.has_items(field))?;
        Some(self.items(field).iter().filter_map(block).collect())
    }

    /// Criteria that are not followed: connections may meet other chains than is shown.
    pub fn unfollowed(&self) -> Vec<&'static str> {
        let fields = ["prefix_ranges", "source_ports", "address_suffix", "suffix_len"];
        fields.into_iter().filter(|field| self.criteria(field).is_some()).collect()
    }

    /// Its name, or where it has none its place in the listener.
    pub fn short_name(&self) -> &str {
        let name = self.name();
        if name == self.path { name.rsplit('.').next().unwrap_or_default() } else { name }
    }

    /// Its name, or its place in the document.
    pub fn name(&self) -> &str {
        self.node.text_of("name").filter(|name| !name.is_empty()).unwrap_or(&self.path)
    }
}

fn name(node: &Node, addresses: &[&Node]) -> String {
    let written = node.text_of("name").filter(|name| !name.is_empty());
    let socket = addresses.iter().find_map(|address| proxy::socket(address));
    match (written, socket) {
        (Some(name), _) => name.to_owned(),
        (None, Some((address, port))) => format!("{address}:{port}"),
        (None, None) if has(node, "internal_listener") => "internal".to_owned(),
        (None, None) => "without an address".to_owned(),
    }
}

/// Whether only the same host reaches an address.
pub fn is_loopback(text: &str) -> bool {
    text == "localhost" || text.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
