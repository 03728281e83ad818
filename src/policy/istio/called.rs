//! What clients of the mesh call by name: services, and the hosts of ServiceEntries.

use super::super::{Outside, OutsideSpeech, ServiceChoice, Services, Speech, Target};
use super::capture::TLS_MODE;
use super::destination_rule::expanded;
use super::mesh_config::MeshConfig;
use crate::model::{AddressRange, AddressSet, Bend, Document, Gap, Node};

/// The annotation of a Service that says which namespaces know it.
const EXPORT_TO: &str = "networking.istio.io/exportTo";

/// A host, as far as clients decide by it.
#[derive(Clone, Debug)]
pub struct Called {
    /// The namespace of the object that declares it.
    pub namespace: String,
    /// Kind and name of that object, for people.
    pub name: String,
    /// The host, as rules name it.
    pub host: String,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Whether clients decide once for all of its endpoints.
    pub headless: bool,
    /// Whether it is an entry without `addresses`: bytes are listened to at every address.
    pub listens_everywhere: bool,
    /// Whether it is an entry that lists or selects endpoints.
    pub lists_endpoints: bool,
    /// Where its endpoints are.
    pub lies: Lies,
    /// What clients are told that its endpoints speak.
    pub told: Told,
    /// Namespaces whose clients know of it; `*` for all.
    pub exported_to: Vec<String>,
    /// What it stands for.
    pub place: Place,
    /// What is to be said of it.
    pub gaps: Vec<Gap>,
}

/// A port at which a host is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// 1 to 65535.
    pub number: u16,
    /// What it is declared for.
    pub speech: Speech,
}

impl Port {
    /// Whether it is declared for HTTP in the clear.
    pub fn is_http(&self) -> bool {
        self.speech == Speech::Http
    }
}

/// `location`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lies {
    /// In the mesh: automatic mutual TLS.
    InMesh,
    /// Outside of it: as the application sends.
    Outside,
}

/// What clients are told that endpoints speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// What their pods or machines say.
    ByThem,
    /// Mutual TLS: the entry itself says so of its endpoints.
    MutualTls,
    /// Nothing: what the application sends.
    Nothing,
    /// The one of some, the other of others.
    Both,
}

/// What a host stands for.
#[derive(Clone, Debug)]
pub enum Place {
    /// A service, or a name for endpoints.
    Services(Services),
    /// Hosts outside of the cluster, one entry for each port.
    Outside(Vec<Outside>),
}

/// Everything that has a name.
pub fn read(documents: &[Document], config: &MeshConfig) -> Vec<Called> {
    let mut all: Vec<Called> = documents.iter().filter_map(|d| service(d, config)).collect();
    let entry = |d: &&Document| &*d.origin.kind == "ServiceEntry" && super::is(d, "ServiceEntry");
    for document in documents.iter().filter(entry) {
        all.extend(entries(document, documents, config));
    }
    all
}

impl Called {
    /// Whether it is a service of the cluster.
    pub fn is_service(&self) -> bool {
        match &self.place {
            Place::Services(services) => !matches!(services.chosen, ServiceChoice::Entry(_)),
            Place::Outside(_) => false,
        }
    }

    /// The hosts outside that it stands for.
    pub fn outside(&self) -> impl Iterator<Item = &Outside> {
        match &self.place {
            Place::Services(_) => [].iter(),
            Place::Outside(hosts) => hosts.iter(),
        }
    }

    /// Calls to it at one port, or at all of them; of hosts outside each port is apart.
    pub fn target(&self, port: Option<u16>) -> Option<Target> {
        match &self.place {
            Place::Services(services) => Some(Target::Service(services.clone(), port)),
            Place::Outside(hosts) => {
                hosts.iter().find(|host| Some(host.port) == port).cloned().map(Target::Outside)
            }
        }
    }
}

fn number(node: &Node, field: &str) -> Option<u16> {
    node.get(field)?.int().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0)
}

fn service(document: &Document, config: &MeshConfig) -> Option<Called> {
    if &*document.origin.kind != "Service" || document.api_version != "v1" {
        return None;
    }
    let spec = document.body.get("spec")?;
    let port = |node: &Node| {
        let text = |field: &str| node.text_of(field).unwrap_or_default();
        let speech = Speech::of(text("name"), text("appProtocol"));
        Some(Port { number: number(node, "port")?, speech })
    };
    let namespace = super::place(document).namespace.to_string();
    let name = document.origin.name.to_string();
    let services =
        Services { namespace: Some(namespace.clone()), chosen: ServiceChoice::Named(name.clone()) };
    let said = document.body.path(&["metadata", "annotations", EXPORT_TO]).and_then(Node::text);
    let names = said.filter(|text| !text.is_empty()).into_iter().flat_map(|text| text.split(','));
    let exported_to = names.map(|name| name.trim().to_owned()).collect();
    Some(Called {
        host: expanded(&name, &namespace),
        exported_to: exported(exported_to, &namespace, config),
        name: format!("Service {namespace}/{name}"),
        namespace,
        ports: spec.items_of("ports").iter().filter_map(port).collect(),
        headless: spec.text_of("clusterIP") == Some("None"),
        listens_everywhere: false,
        lists_endpoints: false,
        lies: Lies::InMesh,
        told: Told::ByThem,
        place: Place::Services(services),
        gaps: Vec::new(),
    })
}

/// The namespaces of an `exportTo`, or of the mesh's default; of nobody's namespace where that is `~`.
fn exported(said: Vec<String>, own: &str, config: &MeshConfig) -> Vec<String> {
    let said = if said.is_empty() { config.services_exported_to.clone() } else { said };
    let named = |to: String| if to == "." { own.to_owned() } else { to };
    match said.is_empty() {
        true => vec!["*".to_owned()],
        false => said.into_iter().map(named).collect(),
    }
}

/// Each host of a ServiceEntry: as a name for endpoints of the cluster and machines, and as a host
/// outside where its endpoints may be none of those.
fn entries(document: &Document, documents: &[Document], config: &MeshConfig) -> Vec<Called> {
    let Some(spec) = document.body.get("spec") else { return Vec::new() };
    let namespace = super::place(document).namespace.to_string();
    let name = document.origin.name.to_string();
    let texts = |field: &str| -> Vec<String> {
        spec.items_of(field).iter().filter_map(Node::text).map(str::to_owned).collect()
    };
    let exported_to = exported(texts("exportTo"), &namespace, config);
    let lies = match spec.text_of("location") {
        Some("MESH_INTERNAL") => Lies::InMesh,
        _ => Lies::Outside,
    };
    let resolution = spec.text_of("resolution").unwrap_or("NONE");
    let told = told(spec);
    let selects = spec.get("workloadSelector").is_some_and(|node| !node.is_null());
    let lists_endpoints = selects || !spec.items_of("endpoints").is_empty();
    let ports: Vec<(Port, OutsideSpeech, &Node)> =
        spec.items_of("ports").iter().filter_map(entry_port).collect();
    let services =
        Services { namespace: Some(namespace.clone()), chosen: ServiceChoice::Entry(name.clone()) };
    let mut all = Vec::new();
    for host in texts("hosts") {
        let one = |place, gaps| Called {
            namespace: namespace.clone(),
            name: format!("ServiceEntry {namespace}/{name}"),
            host: host.clone(),
            ports: ports.iter().map(|(port, ..)| *port).collect(),
            headless: resolution == "NONE",
            listens_everywhere: spec.items_of("addresses").is_empty(),
            lists_endpoints,
            lies,
            told,
            exported_to: exported_to.clone(),
            place,
            gaps,
        };
        all.push(one(Place::Services(services.clone()), Vec::new()));
        if is_inside(spec, &host, documents) {
            continue;
        }
        let addresses = addresses(spec, resolution);
        let mut gaps = Vec::new();
        let open = resolution == "NONE" && addresses.is_none();
        if open
            && ports.iter().any(|(port, outside, _)| !port.is_http() && *outside == OutsideSpeech::Undeclared)
        {
            gaps.push(Gap {
                what:
                    "without addresses and resolution, its TCP ports lead to every address: proxies look at \
                       nothing else"
                        .to_owned(),
                origin: document.origin.clone(),
                bends: Bend::MayAllowMore,
            });
        }
        let outside = ports.iter().map(|(port, speech, node)| Outside {
            hosts: vec![host.clone()],
            addresses: addresses.clone(),
            port: port.number,
            target: wire_port(spec, node, port.number),
            speech: *speech,
        });
        all.push(one(Place::Outside(outside.collect()), gaps));
    }
    all
}

/// What an entry says of its endpoints, whatever pods have their addresses (`getTLSModeFromWorkloadEntry`).
fn told(spec: &Node) -> Told {
    let is_mutual = |endpoint: &Node| {
        let said = endpoint.path(&["labels", TLS_MODE]).and_then(Node::text);
        let has_account = || endpoint.text_of("serviceAccount").is_some_and(|name| !name.is_empty());
        said.map_or_else(has_account, |mode| mode == "istio")
    };
    let of: Vec<bool> = spec.items_of("endpoints").iter().map(is_mutual).collect();
    match (of.contains(&true), of.contains(&false)) {
        (false, false) => Told::ByThem,
        (true, false) => Told::MutualTls,
        (false, true) => Told::Nothing,
        (true, true) => Told::Both,
    }
}

/// `ports[]` of a ServiceEntry.
fn entry_port(node: &Node) -> Option<(Port, OutsideSpeech, &Node)> {
    let text = |field: &str| node.text_of(field).unwrap_or_default();
    let outside = OutsideSpeech::of(text("protocol"), text("name"));
    let speech = Speech::of(&text("protocol").to_ascii_lowercase(), "");
    Some((Port { number: number(node, "number")?, speech }, outside, node))
}

/// The port of the endpoints: that of the first endpoint which names it, or `targetPort`.
fn wire_port(spec: &Node, port: &Node, own: u16) -> u16 {
    let name = port.text_of("name").unwrap_or_default();
    let named = spec.items_of("endpoints").iter().find_map(|e| number(e.get("ports")?, name));
    named.or_else(|| number(port, "targetPort")).unwrap_or(own)
}

/// Whether all of its endpoints are in the cluster, or are machines of the mesh.
fn is_inside(spec: &Node, host: &str, documents: &[Document]) -> bool {
    let local = |name: &str| name.ends_with(".svc.cluster.local");
    if spec.path(&["workloadSelector", "labels"]).is_some() {
        return true;
    }
    let endpoints = spec.items_of("endpoints");
    if endpoints.is_empty() {
        return local(host);
    }
    let of_pod = |address: &str| {
        documents.iter().any(|d| {
            &*d.origin.kind == "Pod"
                && d.body.path(&["status", "podIP"]).and_then(Node::text) == Some(address)
        })
    };
    endpoints.iter().filter_map(|e| e.text_of("address")).all(|address| local(address) || of_pod(address))
}

/// The addresses that are really called: those of the endpoints, or where nothing is resolved those
/// of the entry; `None` where DNS alone knows, or any may be meant.
fn addresses(spec: &Node, resolution: &str) -> Option<AddressSet> {
    let range =
        |text: &str| AddressRange::from_cidr(text).or_else(|| Some(AddressRange::single(text.parse().ok()?)));
    let endpoints = spec.items_of("endpoints");
    let texts: Vec<&str> = match (endpoints.is_empty(), resolution) {
        (false, _) => endpoints.iter().filter_map(|e| e.text_of("address")).collect(),
        (true, "NONE") => spec.items_of("addresses").iter().filter_map(Node::text).collect(),
        (true, _) => return None,
    };
    let all: Option<Vec<AddressRange>> = texts.into_iter().map(range).collect();
    all.filter(|ranges| !ranges.is_empty()).map(|ranges| ranges.into_iter().collect())
}
