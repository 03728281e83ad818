//! ServerAuthorization, AuthorizationPolicy and the authentications that it refers to → grants.

use super::super::kubernetes::refusal;
use super::super::{Namespaces, Peer, Selection};
use super::access::{Grant, Place, Who};
use super::routes::{Route, targets};
use super::server::{Server, selector_of};
use super::settings::Settings;
use crate::model::{
    AddressRange, AddressSet, Bend, Document, Gap, Node, Origin, Pattern, Problem, Requirement, Selector,
    fact,
};
use std::collections::BTreeMap;

type Key = (String, String);

const CORE: &str = "core";
const POLICY: &str = "policy.linkerd.io";
const GATEWAY: &str = "gateway.networking.k8s.io";
/// Routes that a policy may be about.
const ROUTES: &[(&str, &str)] = &[(POLICY, "HTTPRoute"), (GATEWAY, "HTTPRoute"), (GATEWAY, "GRPCRoute")];
/// What a policy may require.
const AUTHENTICATIONS: &[(&str, &str)] =
    &[(CORE, "ServiceAccount"), (POLICY, "MeshTLSAuthentication"), (POLICY, "NetworkAuthentication")];

/// The authentications, by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Authentications {
    /// MeshTLSAuthentication.
    pub mesh: BTreeMap<Key, Who>,
    /// NetworkAuthentication.
    pub networks: BTreeMap<Key, AddressSet>,
}

/// To which ports a grant applies.
#[derive(Clone, Debug)]
pub enum Scope {
    /// Those of the Server of this name.
    Server(String),
    /// Those of Servers with these labels.
    Servers(Selector),
    /// Those of all Servers of the namespace.
    Namespace,
    /// Requests that match this route, of the Servers that it is attached to.
    Route {
        /// The group of its kind.
        group: String,
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

/// A grant with its scope, inside its own namespace.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// To which ports.
    pub scope: Scope,
    /// Who is let in.
    pub grant: Grant,
}

impl Authorization {
    /// Whether it applies to a Server as a whole.
    pub fn covers(&self, server: &Server) -> bool {
        self.grant.origin.namespace == server.origin.namespace
            && match &self.scope {
                Scope::Server(name) => *name == *server.origin.name,
                Scope::Servers(selector) => selector.matches(&server.labels),
                Scope::Namespace => true,
                Scope::Route { .. } => false,
            }
    }

    /// Whether it applies to the requests of a route.
    pub fn is_about(&self, route: &Route) -> bool {
        let Scope::Route { group, kind, name } = &self.scope else { return false };
        self.grant.origin.namespace == route.origin.namespace
            && route.group.eq_ignore_ascii_case(group)
            && &*route.origin.kind == *kind
            && route.origin.name.eq_ignore_ascii_case(name)
    }
}

/// Reads the identities that a MeshTLSAuthentication lets in.
pub fn mesh_tls(document: &Document, settings: &Settings, gaps: &mut Vec<Gap>) -> Who {
    let Some(spec) = document.body.get("spec") else { return Who::Proven(Vec::new()) };
    let origin = &document.origin;
    let mut peers = identities(origin, spec.items_of("identities"), settings, gaps);
    for reference in spec.items_of("identityRefs") {
        let name = reference.text_of("name").unwrap_or_default();
        let namespace = reference.text_of("namespace").unwrap_or(&origin.namespace);
        if targets(reference, CORE, "Namespace") {
            peers.push(account(Some(name), Selector::everything()));
        } else if targets(reference, CORE, "ServiceAccount") {
            peers.push(account(Some(namespace), Selector::equals(fact::SERVICE_ACCOUNT, name)));
        } else {
            gaps.push(said(
                &origin.at("", reference.line),
                format!(
                    "an identityRef of the kind {} is not known: it lets nobody in here",
                    kind_of(reference)
                ),
            ));
        }
    }
    Who::Proven(peers)
}

/// Reads identities as they are written: exact, `*`, or `*.suffix`.
fn identities(origin: &Origin, nodes: &[Node], settings: &Settings, gaps: &mut Vec<Gap>) -> Vec<Peer> {
    let mut peers = Vec::new();
    for node in nodes {
        let text = node.text().unwrap_or_default();
        match identity(text, settings) {
            Some(peer) => peers.push(peer),
            None => gaps.push(said(
                &origin.at("", node.line),
                format!("the identity {text:?} is none of this cluster's service accounts: who has it is not known"),
            )),
        }
    }
    peers
}

fn identity(text: &str, settings: &Settings) -> Option<Peer> {
    if text == "*" {
        return Some(Peer::Authenticated);
    }
    let whole = settings.identity_suffix();
    let inside = |text: &str| text.strip_suffix(&whole)?.strip_suffix('.').map(str::to_owned);
    let Some(suffix) = text.strip_prefix("*.") else {
        let rest = inside(text)?;
        let (name, namespace) = rest.rsplit_once('.')?;
        return Some(account(Some(namespace), Selector::equals(fact::SERVICE_ACCOUNT, name)));
    };
    if whole == suffix || whole.ends_with(&format!(".{suffix}")) {
        return Some(Peer::Authenticated);
    }
    let rest = inside(suffix)?;
    Some(match rest.rsplit_once('.') {
        None => account(Some(&rest), Selector::everything()),
        Some((end, namespace)) => {
            let pattern = Pattern::EndsWith(format!(".{end}"));
            let fits = Requirement::Fits(fact::SERVICE_ACCOUNT.to_owned(), pattern);
            account(Some(namespace), Selector { requirements: vec![fits] })
        }
    })
}

fn account(namespace: Option<&str>, endpoints: Selector) -> Peer {
    let namespaces = namespace.map_or(Namespaces::any(), |name| Namespaces::Named(name.to_owned()));
    Peer::Endpoints(Selection::pods(namespaces, endpoints))
}

/// Reads `networks`: each a block with exceptions.
///
/// # Errors
/// A block that is none, with its line.
pub fn networks(origin: &Origin, nodes: &[Node]) -> Result<AddressSet, Problem> {
    let block = |node: &Node| {
        let text = node.text().unwrap_or_default();
        // A single address stands for itself.
        let range = AddressRange::from_cidr(text).or_else(|| text.parse().ok().map(AddressRange::single));
        range.map(|range| [range].into_iter().collect::<AddressSet>()).ok_or_else(|| {
            refusal(origin, node.line, format!("{text:?} is not a CIDR"), "write 10.0.0.0/8 or an address")
        })
    };
    let mut all = AddressSet::none();
    for network in nodes {
        let Some(cidr) = network.get("cidr") else {
            return Err(refusal(origin, network.line, "cidr is missing", "write cidr: 10.0.0.0/8"));
        };
        let mut set = block(cidr)?;
        for except in network.items_of("except") {
            set = set.difference(&block(except)?);
        }
        all = all.union(&set);
    }
    Ok(all)
}

/// Reads a ServerAuthorization; `None` where it lets nobody in.
///
/// # Errors
/// What the API server would refuse, with its line.
pub fn server_authorization(
    document: &Document,
    settings: &Settings,
    gaps: &mut Vec<Gap>,
) -> Result<Option<Authorization>, Problem> {
    let origin = &document.origin;
    let refuse = |message: &str, hint: &str| Err(refusal(origin, document.body.line, message, hint));
    let Some(server) = document.body.path(&["spec", "server"]) else {
        return refuse("spec.server is missing", "name the Server, or select Servers by their labels");
    };
    let scope = match (server.text_of("name"), server.get("selector")) {
        (Some(name), None) => Scope::Server(name.to_owned()),
        (None, Some(selector)) => Scope::Servers(selector_of(origin, selector)?),
        _ => return refuse("spec.server has neither a name nor a selector alone", "give one of them"),
    };
    let Some(client) = document.body.path(&["spec", "client"]) else {
        return refuse("spec.client is missing", "client: {unauthenticated: true} lets everybody in");
    };
    let tls = client.get("meshTLS");
    let truth =
        |node: Option<&Node>, field: &str| node.and_then(|n| n.get(field)).and_then(Node::bool) == Some(true);
    let who = if truth(Some(client), "unauthenticated") {
        Who::Anyone
    } else if truth(tls, "unauthenticatedTLS") {
        // Only proxies of the mesh speak TLS that ends here, and those have identities.
        Who::proven()
    } else {
        let list = |field: &str| tls.map_or(&[][..], |tls| tls.items_of(field));
        let mut peers = identities(origin, list("identities"), settings, gaps);
        peers.extend(list("serviceAccounts").iter().map(|reference| {
            let namespace = reference.text_of("namespace").unwrap_or(&origin.namespace);
            let name = reference.text_of("name").unwrap_or_default();
            account(Some(namespace), Selector::equals(fact::SERVICE_ACCOUNT, name))
        }));
        if list("identities").is_empty() && list("serviceAccounts").is_empty() {
            gaps.push(said(origin, "it names no client, so it lets nobody in".to_owned()));
            return Ok(None);
        }
        Who::Proven(peers)
    };
    let place = match client.items_of("networks") {
        [] => Place::Cluster,
        blocks => Place::Blocks(networks(origin, blocks)?),
    };
    Ok(Some(Authorization { scope, grant: Grant { who, place, narrowed: None, origin: origin.clone() } }))
}

/// Reads an AuthorizationPolicy; `None` where it grants nothing.
///
/// # Errors
/// What the admission controller would refuse, with its line.
pub fn authorization_policy(
    document: &Document,
    known: &Authentications,
    gaps: &mut Vec<Gap>,
) -> Result<Option<Authorization>, Problem> {
    let origin = &document.origin;
    let Some(target) = document.body.path(&["spec", "targetRef"]) else {
        let hint = "targetRef names a Server, a Namespace or a route";
        return Err(refusal(origin, document.body.line, "spec.targetRef is missing", hint));
    };
    let name = target.text_of("name").unwrap_or_default().to_owned();
    let route = ROUTES.iter().find(|(group, kind)| targets(target, group, kind));
    let scope = match route {
        _ if targets(target, POLICY, "Server") => Scope::Server(name),
        _ if targets(target, CORE, "Namespace") && name != *origin.namespace => {
            let message =
                format!("targetRef names the namespace {name}, the policy is in {}", origin.namespace);
            return Err(refusal(
                origin,
                target.line,
                message,
                "put the policy into the namespace it is about",
            ));
        }
        _ if targets(target, CORE, "Namespace") => Scope::Namespace,
        Some((group, kind)) => Scope::Route { group: (*group).to_owned(), kind, name },
        None => {
            let message = format!("targetRef of the kind {} is not known", kind_of(target));
            let hint = "Server or HTTPRoute with the group policy.linkerd.io, GRPCRoute with that of the \
                        Gateway API, or Namespace";
            return Err(refusal(origin, target.line, message, hint));
        }
    };
    let (mut who, mut place) = (None, None);
    let references = document.body.get("spec").map_or(&[][..], |s| s.items_of("requiredAuthenticationRefs"));
    for reference in references {
        let namespace = reference.text_of("namespace").unwrap_or(&origin.namespace).to_owned();
        let key = (namespace, reference.text_of("name").unwrap_or_default().to_owned());
        let kind = AUTHENTICATIONS.iter().find(|(group, kind)| targets(reference, group, kind));
        let fresh = match kind.map_or("", |(_, kind)| *kind) {
            "ServiceAccount" => {
                let peer = account(Some(&key.0), Selector::equals(fact::SERVICE_ACCOUNT, &key.1));
                who.replace(Who::Proven(vec![peer])).is_none()
            }
            kind @ ("MeshTLSAuthentication" | "NetworkAuthentication") => {
                let missing = match kind {
                    "MeshTLSAuthentication" => !known.mesh.contains_key(&key),
                    _ => !known.networks.contains_key(&key),
                };
                if missing {
                    let what = format!(
                        "the {kind} {}/{} is not among the inputs: without it the policy grants nothing",
                        key.0, key.1
                    );
                    gaps.push(said(&origin.at("", reference.line), what));
                    return Ok(None);
                }
                match kind {
                    "MeshTLSAuthentication" => match known.mesh.get(&key) {
                        Some(identities) => who.replace(identities.clone()).is_none(),
                        None => true,
                    },
                    _ => place.replace(known.networks.get(&key).cloned().unwrap_or_default()).is_none(),
                }
            }
            _ => {
                let message =
                    format!("requiredAuthenticationRefs of the kind {} are not known", kind_of(reference));
                let hint = "MeshTLSAuthentication, NetworkAuthentication or ServiceAccount";
                return Err(refusal(origin, reference.line, message, hint));
            }
        };
        if !fresh {
            let message = "only one reference to identities and one to networks may stand here";
            let hint = "put all identities into one MeshTLSAuthentication, all blocks into one NetworkAuthentication";
            return Err(refusal(origin, reference.line, message, hint));
        }
    }
    let who = who.unwrap_or(Who::Anyone);
    let place = place.map_or(Place::Anywhere, Place::Blocks);
    Ok(Some(Authorization { scope, grant: Grant { who, place, narrowed: None, origin: origin.clone() } }))
}

/// The kind of a reference with its group, as it is written.
fn kind_of(reference: &Node) -> String {
    let kind = reference.text_of("kind").unwrap_or_default();
    match reference.text_of("group").filter(|group| !group.is_empty()) {
        Some(group) => format!("\"{kind}.{group}\""),
        None => format!("{kind:?}"),
    }
}

fn said(origin: &Origin, what: String) -> Gap {
    Gap { what, origin: origin.clone(), bends: Bend::MayAllowMore }
}
