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
    /// Its filter chains; the default one is the last, where there is one.
    pub chains: Vec<Chain<'a>>,
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
    /// Reads a listener; `None` where it has no address that this proxy listens on.
    pub fn read(path: &str, node: &'a Node, view: &View<'a>) -> Listener<'a> {
        let more = node.items_of("additional_addresses").iter().filter_map(|more| more.get("address"));
        let addresses: Vec<&Node> = node.get("address").into_iter().chain(more).collect();
        let outbound = node.text_of("traffic_direction") == Some("OUTBOUND");
        let redirected = ["use_original_dst", "hidden_envoy_deprecated_use_original_dst"]
            .iter()
            .any(|field| super::wire::truth(node, field));
        let reachable = |text: &str| !is_loopback(text) && !outbound && proxy::is_bound(node);
        let sockets = addresses.iter().filter_map(|address| proxy::socket(address));
        let own = sockets.filter(|(text, _)| reachable(text)).map(|(_, port)| PortSet::range(port, port));
        let own = own.fold(PortSet::none(), |all, port| all.union(&port));
        let udp = addresses.first().and_then(|address| address.path(&["socket_address", "protocol"]));
        let mut listener = Listener {
            path: path.to_owned(),
            node,
            name: name(node, &addresses),
            ports: own,
            udp: udp.and_then(Node::text) == Some("UDP"),
            redirected: redirected && !outbound,
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
        self.node.items_of("listener_filters").iter().any(|filter| {
            let is_it = super::wire::typed(filter).kind.ends_with("TlsInspector")
                || filter.text_of("name").is_some_and(|name| name.ends_with("tls_inspector"));
            is_it && !filter.get("filter_disabled").is_some_and(|off| is_off(off, port))
        })
    }

    /// Chains that ask for what only a TLS inspector finds out.
    pub fn asks_inspector(&self) -> impl Iterator<Item = &Chain<'a>> {
        self.chains.iter().filter(|chain| {
            let transport = chain.criteria("transport_protocol").and_then(Node::text) == Some("tls");
            transport || ["server_names", "application_protocols"].iter().any(|field| chain.has_items(field))
        })
    }

    /// The ports by which chains tell connections apart.
    pub fn ports_of_chains(&self) -> BTreeSet<u16> {
        self.chains.iter().filter_map(Chain::destination_port).collect()
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
        let protocols = if is_tls { texts("application_protocols") } else { none };
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
        let mut met = by_source(&left, |index| self.chains[index].sources());
        if let Some(default) = self.chains.iter().position(|chain| chain.default) {
            let taken = met.iter().fold(AddressSet::none(), |all, (_, from)| all.union(from));
            met.push((default, AddressSet::all().difference(&taken)));
        }
        met.retain(|(_, from)| !from.is_empty());
        met
    }
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

    /// The prefixes of sources that it is for; `None` for all.
    fn sources(&self) -> Option<Vec<crate::model::AddressRange>> {
        let fields = ["direct_source_prefix_ranges", "source_prefix_ranges"];
        let field = fields.into_iter().find(|field| self.has_items(field))?;
        Some(self.items(field).iter().filter_map(block).collect())
    }

    /// Criteria that are not followed: connections may meet other chains than is shown.
    pub fn unfollowed(&self) -> Vec<&'static str> {
        let fields = ["prefix_ranges", "source_ports", "address_suffix", "suffix_len"];
        fields.into_iter().filter(|field| self.criteria(field).is_some()).collect()
    }

    /// Its name, where it has one.
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
