//! The least that proxies ask of TLS: versions and ciphers that configuration names.
//!
//! Istio: `meshMTLS` and `tlsDefaults` of MeshConfig, `tls` of the servers of a Gateway and of the
//! listeners of a Sidecar. Consul: `tls` of Mesh. Envoy: `tls_params` of the listeners of a proxy.

use super::istio::{MeshSettings, mesh_settings};
use crate::model::{Document, Node, Origin, Value, proxy};

/// What one place asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsFloor {
    /// What it is about, in words: the mesh, a server of a gateway.
    pub of: String,
    /// The field that says so.
    pub field: String,
    /// The least version, where one is named.
    pub version: Option<TlsVersion>,
    /// Cipher suites, as they are written.
    pub ciphers: Vec<String>,
    /// Where it stands.
    pub origin: Origin,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.0
    V10,
    /// 1.1
    V11,
    /// 1.2
    V12,
    /// 1.3
    V13,
}

impl TlsVersion {
    /// As people write it.
    pub fn word(self) -> &'static str {
        match self {
            TlsVersion::V10 => "TLS 1.0",
            TlsVersion::V11 => "TLS 1.1",
            TlsVersion::V12 => "TLS 1.2",
            TlsVersion::V13 => "TLS 1.3",
        }
    }

    /// `TLSV1_2` of Istio and Envoy, `TLSv1_2` of Consul; `None` for what leaves the choice open.
    fn read(text: &str) -> Option<TlsVersion> {
        match text.to_ascii_uppercase().as_str() {
            "TLSV1_0" => Some(TlsVersion::V10),
            "TLSV1_1" => Some(TlsVersion::V11),
            "TLSV1_2" => Some(TlsVersion::V12),
            "TLSV1_3" => Some(TlsVersion::V13),
            _ => None,
        }
    }
}

/// Lists of one kind whose items have TLS settings: group, kind, the list, and where those settings
/// and the name of the item stand.
struct Place {
    group: &'static str,
    kind: &'static str,
    list: &'static [&'static str],
    tls: &'static [&'static str],
    /// The fields of the least version and of the ciphers.
    fields: (&'static str, &'static str),
    /// What an item is called.
    item: &'static str,
}

const PLACES: &[Place] = &[
    Place {
        group: "networking.istio.io/",
        kind: "Gateway",
        list: &["spec", "servers"],
        tls: &["tls"],
        fields: ("minProtocolVersion", "cipherSuites"),
        item: "server",
    },
    Place {
        group: "networking.istio.io/",
        kind: "Sidecar",
        list: &["spec", "ingress"],
        tls: &["tls"],
        fields: ("minProtocolVersion", "cipherSuites"),
        item: "listener",
    },
];

/// All that is asked for, in the order of the documents.
pub fn read(documents: &[Document]) -> Vec<TlsFloor> {
    let mut floors = of_mesh(documents);
    for document in documents {
        for place in PLACES {
            if &*document.origin.kind == place.kind && document.api_version.starts_with(place.group) {
                floors.extend(of_items(document, place));
            }
        }
        if proxy::is_one(document) {
            for listener in proxy::listeners(document) {
                let name = listener.text_of("name").unwrap_or("without a name");
                of_listener(document, listener, name, &mut floors);
            }
        }
        if &*document.origin.kind == "Mesh" && document.api_version.starts_with("consul.hashicorp.com/") {
            for direction in ["incoming", "outgoing"] {
                let path = ["spec", "tls", direction];
                let Some(tls) = document.body.path(&path) else { continue };
                let of = format!("what is {direction} in the mesh");
                floors.extend(floor(document, tls, ("tlsMinVersion", "cipherSuites"), of, &path.join(".")));
            }
        }
    }
    floors
}

/// The TLS contexts of a listener, in whichever sockets they are wrapped.
fn of_listener(document: &Document, node: &Node, name: &str, floors: &mut Vec<TlsFloor>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| of_listener(document, item, name, floors)),
        Value::Map(fields) => {
            for (field, value) in fields {
                if &**field == "tls_params" {
                    let fields = ("tls_minimum_protocol_version", "cipher_suites");
                    let of = format!("its listener {name}");
                    floors.extend(floor(document, value, fields, of, "common_tls_context.tls_params"));
                } else {
                    of_listener(document, value, name, floors);
                }
            }
        }
        _ => {}
    }
}

fn of_items(document: &Document, place: &Place) -> Vec<TlsFloor> {
    let items = document.body.path(place.list).map_or(&[][..], Node::items);
    let one = |item: &Node| {
        let tls = item.path(place.tls)?;
        let port = item.path(&["port", "number"]).and_then(Node::int).unwrap_or_default();
        let of = format!("its {} on port {port}", place.item);
        floor(document, tls, place.fields, of, &format!("{}[].tls", place.list.join(".")))
    };
    items.iter().filter_map(one).collect()
}

fn floor(document: &Document, tls: &Node, fields: (&str, &str), of: String, path: &str) -> Option<TlsFloor> {
    let version = tls.text_of(fields.0).and_then(TlsVersion::read);
    let ciphers: Vec<String> =
        tls.items_of(fields.1).iter().filter_map(Node::text).map(str::to_owned).collect();
    let named = version.is_some() || !ciphers.is_empty();
    let field = if version.is_some() { fields.0 } else { fields.1 };
    named.then(|| TlsFloor {
        of,
        field: format!("{path}.{field}"),
        version,
        ciphers,
        origin: document.origin.at(field, tls.get(field).map_or(tls.line, |node| node.line)),
    })
}

/// `meshMTLS` and `tlsDefaults`.
fn of_mesh(documents: &[Document]) -> Vec<TlsFloor> {
    let MeshSettings { mesh, origin: Some(origin), .. } = mesh_settings(documents) else { return Vec::new() };
    let one = |(part, of): (&str, &str)| {
        let version = mesh.get(&format!("{part}.minProtocolVersion")).and_then(|values| values.first());
        let version = version.and_then(|text| TlsVersion::read(text));
        let ciphers = mesh.get(&format!("{part}.cipherSuites")).cloned().unwrap_or_default();
        let field = if version.is_some() { "minProtocolVersion" } else { "cipherSuites" };
        (version.is_some() || !ciphers.is_empty()).then(|| TlsFloor {
            of: of.to_owned(),
            field: format!("{part}.{field}"),
            version,
            ciphers,
            origin: origin.clone(),
        })
    };
    let parts = [("meshMTLS", "mutual TLS of the mesh"), ("tlsDefaults", "other TLS of the mesh")];
    parts.into_iter().filter_map(one).collect()
}
