//! Documents that configure a proxy and are no Kubernetes objects: which there are, where in them
//! things stand, and who the proxy says that it is.
//!
//! `source` names them and gives all fields the spelling of the protocol files (`static_resources`);
//! whose proxy it is is settled in `inventory`, what it does in `policy/envoy`.

use super::{Document, Node};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A bootstrap file: what Envoy is started with.
pub const BOOTSTRAP: (&str, &str) = ("envoy.config.bootstrap.v3", "Bootstrap");
/// What the administration interface of a running Envoy tells at `/config_dump`.
pub const CONFIG_DUMP: (&str, &str) = ("envoy.admin.v3", "ConfigDump");

/// Who a proxy is, by its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// `node.cluster`, or what else stands for a namespace.
    pub namespace: String,
    /// `node.id`, or the name of the file.
    pub name: String,
    /// Tells this proxy from all others; two documents about one proxy have the same.
    pub key: String,
    /// Addresses that it names as its own.
    pub addresses: BTreeSet<IpAddr>,
    /// Namespace and name of the pod that it says it belongs to.
    pub pod: Option<(String, String)>,
}

/// Whether a document configures a proxy.
pub fn is_one(document: &Document) -> bool {
    [BOOTSTRAP, CONFIG_DUMP].contains(&(document.api_version.as_str(), &*document.origin.kind))
}

/// The proxy that a document is about; `None` for all other documents.
pub fn of(document: &Document) -> Option<Proxy> {
    if !is_one(document) {
        return None;
    }
    let origin = &document.origin;
    let node = bootstrap(document).and_then(|bootstrap| bootstrap.get("node"));
    let pod = node.and_then(pod);
    let addresses = addresses(document, node);
    let name = format!("{}/{}", origin.namespace, origin.name);
    let key = match (&pod, addresses.is_empty()) {
        (Some((namespace, pod)), _) => format!("{name} {namespace}/{pod}"),
        (None, true) => format!("{name} {}#{}", origin.file, origin.document),
        (None, false) => addresses.iter().fold(name, |text, address| format!("{text} {address}")),
    };
    let (namespace, name) = (origin.namespace.to_string(), origin.name.to_string());
    Some(Proxy { namespace, name, key, addresses, pod })
}

/// The bootstrap of a document.
pub fn bootstrap(document: &Document) -> Option<&Node> {
    match &*document.origin.kind {
        "Bootstrap" => Some(&document.body),
        _ => dumped(document, "BootstrapConfigDump").find_map(|dump| dump.get("bootstrap")),
    }
}

/// The parts of a `config_dump` of one type (`ListenersConfigDump`).
pub fn dumped<'a>(document: &'a Document, of_type: &'a str) -> impl Iterator<Item = &'a Node> {
    let is_it = move |part: &&Node| part.text_of("@type").is_some_and(|name| name.ends_with(of_type));
    document.body.items_of("configs").iter().filter(is_it)
}

/// The listeners that are at work: of a dump neither those that still warm up nor those that drain.
pub fn listeners(document: &Document) -> Vec<&Node> {
    let own = document.body.path(&["static_resources", "listeners"]).map_or(&[][..], Node::items);
    let mut all: Vec<&Node> = own.iter().collect();
    for dump in dumped(document, "ListenersConfigDump") {
        all.extend(dump.items_of("static_listeners").iter().filter_map(|entry| entry.get("listener")));
        for entry in dump.items_of("dynamic_listeners") {
            all.extend(entry.path(&["active_state", "listener"]));
        }
    }
    all
}

/// `socket_address` of an address, with its port.
pub fn socket(address: &Node) -> Option<(&str, u16)> {
    let socket = address.get("socket_address")?;
    let port = socket.get("port_value").and_then(Node::int).and_then(|port| u16::try_from(port).ok());
    Some((socket.text_of("address")?, port.unwrap_or(0)))
}

/// Whether a listener has a socket: Istio keeps listeners that only others hand connections to.
pub fn is_bound(listener: &Node) -> bool {
    let says_no = |path: &[&str]| listener.path(path).and_then(Node::bool) == Some(false);
    !says_no(&["bind_to_port"]) && !says_no(&["deprecated_v1", "bind_to_port"])
}

/// An address that others can call.
fn own_address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}

/// `node.metadata` of Istio, and what people write there by hand.
const ADDRESSES: &[&str] = &["INSTANCE_IPS", "INSTANCE_IP", "POD_IP", "addresses", "address"];

fn addresses(document: &Document, node: Option<&Node>) -> BTreeSet<IpAddr> {
    let mut found = BTreeSet::new();
    for value in ADDRESSES.iter().filter_map(|key| node?.path(&["metadata", key])) {
        let texts = value.items().iter().chain([value]).filter_map(Node::text);
        found.extend(texts.flat_map(|text| text.split(',')).filter_map(|text| own_address(text.trim())));
    }
    let id = node.and_then(|node| node.text_of("id")).unwrap_or_default();
    found.extend(id.split('~').nth(1).and_then(own_address));
    for listener in listeners(document) {
        let outbound = listener.text_of("traffic_direction") == Some("OUTBOUND");
        let more = listener.items_of("additional_addresses").iter().filter_map(|more| more.get("address"));
        for address in listener.get("address").into_iter().chain(more).filter(|_| is_bound(listener)) {
            found.extend(socket(address).filter(|_| !outbound).and_then(|(text, _)| own_address(text)));
        }
    }
    let admin = bootstrap(document).and_then(|bootstrap| bootstrap.path(&["admin", "address"]));
    found.extend(admin.and_then(socket).and_then(|(text, _)| own_address(text)));
    found
}

/// The pod of a proxy of Istio: `sidecar~10.0.0.1~NAME.NAMESPACE~DOMAIN`, or its metadata.
fn pod(node: &Node) -> Option<(String, String)> {
    let id = node.text_of("id").unwrap_or_default();
    if let Some((name, namespace)) = id.split('~').nth(2).and_then(|text| text.rsplit_once('.')) {
        return Some((namespace.to_owned(), name.to_owned()));
    }
    let text = |key: &str| node.path(&["metadata", key]).and_then(Node::text).map(str::to_owned);
    Some((text("NAMESPACE")?, text("NAME")?))
}
