//! Transport sockets: what a filter chain asks of those who connect, and what a cluster sends.

use super::view::View;
use super::wire::{Text, Typed, has, truth, typed};
use crate::model::Node;

/// What a filter chain asks of those who connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Downstream {
    /// Bytes as they are.
    Plain,
    /// TLS, from anybody.
    OneWay,
    /// TLS; a certificate is checked where it is shown.
    Optional,
    /// TLS with a certificate that is checked.
    Required,
    /// TLS inside of QUIC, on UDP.
    Quic,
    /// A socket whose protection nobody here can tell.
    Unknown(String),
}

/// What a cluster sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Upstream {
    /// Bytes as they are.
    Plain,
    /// A socket whose protection nobody here can tell.
    Unknown,
    /// TLS without a certificate of its own.
    OneWay,
    /// TLS with a certificate of its own.
    Mutual,
}

/// A transport socket of a filter chain.
#[derive(Clone, Debug)]
pub struct Server<'a> {
    /// What it asks.
    pub asks: Downstream,
    /// Whom of those with a certificate it takes; everybody where `None`.
    pub names: Option<Vec<Text>>,
    /// `common_tls_context`.
    pub context: Option<&'a Node>,
}

/// A transport socket of a cluster.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    /// What it sends.
    pub sends: Upstream,
    /// Whether it checks who answers.
    pub verifies: bool,
    /// Whether applications beside an Istio proxy send so (`istio` among the protocols offered).
    pub of_istio: bool,
    /// `common_tls_context`.
    pub context: Option<&'a Node>,
}

/// Sockets that carry another one inside.
fn inner(mut socket: Typed<'_>) -> Typed<'_> {
    while let Some(inside) = socket.body.get("transport_socket") {
        socket = typed(inside);
    }
    socket
}

/// Reads the socket of a filter chain.
pub fn server<'a>(socket: Option<&'a Node>, view: &View<'a>) -> Server<'a> {
    let plain = |asks| Server { asks, names: None, context: None };
    let Some(socket) = socket.filter(|socket| !socket.is_null()) else { return plain(Downstream::Plain) };
    let socket = inner(typed(socket));
    if socket.is("RawBuffer") || socket.kind == "envoy.transport_sockets.raw_buffer" {
        return plain(Downstream::Plain);
    }
    let quic = socket.is("QuicDownstreamTransport");
    let tls = if quic { socket.body.get("downstream_tls_context") } else { Some(socket.body) };
    let Some(tls) = tls.filter(|_| quic || socket.is("DownstreamTlsContext")) else {
        return plain(Downstream::Unknown(socket.kind.to_owned()));
    };
    let context = tls.get("common_tls_context");
    let checks = context.is_some_and(|context| view.checks_peers(context));
    let asks = match (quic, checks, truth(tls, "require_client_certificate")) {
        (true, _, _) => Downstream::Quic,
        // Without anything to check it against, a certificate is not even asked for
        // (`default_validator.cc`, addClientValidationContext).
        (false, false, _) => Downstream::OneWay,
        (false, true, false) => Downstream::Optional,
        (false, true, true) => Downstream::Required,
    };
    Server { asks, names: context.and_then(|context| view.names_of_peers(context)), context }
}

/// Reads the socket of a cluster.
pub fn client<'a>(socket: Option<&'a Node>, view: &View<'a>) -> Client<'a> {
    let plain = |sends| Client { sends, verifies: false, of_istio: false, context: None };
    let Some(socket) = socket.filter(|socket| !socket.is_null()) else { return plain(Upstream::Plain) };
    let socket = inner(typed(socket));
    if socket.is("RawBuffer") || socket.kind == "envoy.transport_sockets.raw_buffer" {
        return plain(Upstream::Plain);
    }
    let quic = socket.is("QuicUpstreamTransport");
    let tls = if quic { socket.body.get("upstream_tls_context") } else { Some(socket.body) };
    let Some(tls) = tls.filter(|_| quic || socket.is("UpstreamTlsContext")) else {
        return plain(Upstream::Unknown);
    };
    let context = tls.get("common_tls_context");
    let own = context.is_some_and(shows_certificate);
    let protocols = context.map_or(&[][..], |context| context.items_of("alpn_protocols"));
    Client {
        sends: if own { Upstream::Mutual } else { Upstream::OneWay },
        verifies: context.is_some_and(|context| view.checks_peers(context)),
        of_istio: protocols.iter().any(|name| name.text().is_some_and(|name| name.starts_with("istio"))),
        context,
    }
}

/// Where a context says which certificate it shows.
const CERTIFICATES: &[&str] = &[
    "tls_certificates",
    "tls_certificate_sds_secret_configs",
    "tls_certificate_provider_instance",
    "tls_certificate_certificate_provider_instance",
    "tls_certificate_certificate_provider",
    "custom_tls_certificate_selector",
];

/// Whether a context has a certificate to show.
pub fn shows_certificate(context: &Node) -> bool {
    CERTIFICATES.iter().any(|field| is_given(context, field))
}

fn is_given(context: &Node, field: &str) -> bool {
    has(context, field)
        && context.get(field).is_some_and(|node| !node.items().is_empty() || !node.fields().is_empty())
}

impl Downstream {
    /// In words, behind the name of a listener.
    pub fn words(&self) -> &'static str {
        match self {
            Downstream::Plain => "takes plaintext",
            Downstream::OneWay => "takes TLS and asks for no certificate",
            Downstream::Optional => "takes TLS and checks a certificate where one is shown",
            Downstream::Required => "asks for a client certificate",
            Downstream::Quic => "takes QUIC",
            Downstream::Unknown(_) => "has a transport socket that is not read",
        }
    }

    /// Whether those without a certificate get through.
    pub fn takes_strangers(&self) -> bool {
        *self != Downstream::Required
    }

    /// Whether a certificate proves anything.
    pub fn takes_proof(&self) -> bool {
        matches!(self, Downstream::Optional | Downstream::Required)
    }
}

impl Upstream {
    /// In words, behind the name of a cluster.
    pub fn words(self) -> &'static str {
        match self {
            Upstream::Plain => "sends plaintext",
            Upstream::Unknown => "has a transport socket that is not read",
            Upstream::OneWay => "sends TLS without a certificate of its own",
            Upstream::Mutual => "sends TLS and shows a certificate",
        }
    }
}
