//! Routes that are attached to Servers: once there is one, only requests that match a route get
//! through, so everything that is granted on the port is narrowed.

use super::server::{Asked, Server};
use crate::model::{Condition, Document, Narrowing, Node, Origin};

/// A route with the Servers that it is attached to.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where it stands.
    pub origin: Origin,
    /// Its group, which a reference has to name as well.
    pub group: String,
    /// Names of the Servers, of its own namespace.
    servers: Vec<String>,
    /// What it asks of requests, one of these; nothing where it matches all.
    pub narrowed: Vec<Narrowing>,
}

impl Route {
    /// Whether it is attached to a Server, and of the kind that the Server's protocol is matched by
    /// (`policy-controller/grpc/src/inbound.rs`, `to_server`).
    pub fn is_attached(&self, server: &Server) -> bool {
        let kind = match server.asked {
            Asked::Anything | Asked::Http => "HTTPRoute",
            Asked::Grpc => "GRPCRoute",
            Asked::Nothing => return false,
        };
        self.origin.namespace == server.origin.namespace
            && &*self.origin.kind == kind
            && self.servers.iter().any(|name| **name == *server.origin.name)
    }
}

/// Reads a route; `None` where no Server is among its parents, or one that the index does not take: in
/// another namespace, by port or by section (`policy-controller/k8s/index/src/inbound/routes.rs`).
pub fn read(document: &Document) -> Option<Route> {
    let spec = document.body.get("spec")?;
    let own = &*document.origin.namespace;
    let is_server = |parent: &&Node| targets(parent, "policy.linkerd.io", "Server");
    let given = |parent: &Node, field: &str| parent.get(field).is_some_and(|node| !node.is_null());
    let strange = |parent: &&Node| {
        parent.text_of("namespace").is_some_and(|namespace| namespace != own)
            || given(parent, "port")
            || given(parent, "sectionName")
    };
    let parents: Vec<&Node> = spec.items_of("parentRefs").iter().filter(is_server).collect();
    if parents.iter().any(strange) {
        return None;
    }
    let servers: Vec<String> = parents.iter().filter_map(|p| p.text_of("name").map(str::to_owned)).collect();
    (!servers.is_empty()).then(|| Route {
        origin: document.origin.clone(),
        group: document.api_version.split('/').next().unwrap_or_default().to_owned(),
        servers,
        narrowed: narrowed(spec),
    })
}

/// Whether a reference is to objects of a kind: neither group nor kind minds capitals, and the group of
/// Kubernetes itself is `core` or nothing (`policy-controller/k8s/api/src/policy.rs`, `targets_kind`).
pub fn targets(reference: &Node, group: &str, kind: &str) -> bool {
    let given = reference.text_of("group").filter(|group| !group.is_empty()).unwrap_or("core");
    given.eq_ignore_ascii_case(group)
        && reference.text_of("kind").is_some_and(|k| k.eq_ignore_ascii_case(kind))
}

/// What is common to all matches; what each asks where they have nothing in common.
fn narrowed(spec: &Node) -> Vec<Narrowing> {
    let matches: Vec<&Node> = spec
        .items_of("rules")
        .iter()
        .flat_map(|rule| match rule.items_of("matches") {
            [] => vec![rule],
            matches => matches.iter().collect(),
        })
        .collect();
    if let Some(narrowing) = common(spec, &matches) {
        return vec![narrowing];
    }
    matches.iter().map(|one| common(spec, &[one])).collect::<Option<_>>().unwrap_or_default()
}

fn common(spec: &Node, matches: &[&Node]) -> Option<Narrowing> {
    let mut conditions = Vec::new();
    let hosts: Vec<String> =
        spec.items_of("hostnames").iter().filter_map(Node::text).map(str::to_owned).collect();
    if !hosts.is_empty() {
        conditions.push(Condition::Hosts(hosts));
    }
    let path = |m: &Node| {
        let path = m.get("path")?;
        let value = path.text_of("value").unwrap_or("/");
        Some(match path.text_of("type") {
            Some("Exact") => value.to_owned(),
            Some("RegularExpression") => format!("~{value}"),
            // Every path begins with it.
            _ if value.trim_end_matches('/').is_empty() => return None,
            _ => format!("{}/*", value.trim_end_matches('/')),
        })
    };
    conditions.extend(each(matches, path).map(Condition::Paths));
    conditions.extend(each(matches, |m| m.get("method")?.text().map(str::to_owned)).map(Condition::Methods));
    let calls = |m: &Node| {
        let method = m.get("method").filter(|method| method.text().is_none())?;
        let part = |field: &str| method.text_of(field).unwrap_or("*").to_owned();
        Some(format!("/{}/{}", part("service"), part("method")))
    };
    conditions.extend(each(matches, calls).map(Condition::Paths));
    for (field, what) in [("headers", "headers"), ("queryParams", "query parameters")] {
        let names = |m: &Node| {
            let names: Vec<&str> = m.items_of(field).iter().filter_map(|item| item.text_of("name")).collect();
            (!names.is_empty()).then(|| names.join(" and "))
        };
        let words = |names: Vec<String>| Condition::Other(format!("{what} {}", names.join(" or ")));
        conditions.extend(each(matches, names).map(words));
    }
    let mut conditions = conditions.into_iter();
    let first = Narrowing::on(conditions.next()?);
    Some(conditions.fold(first, Narrowing::and))
}

/// What every match asks; `None` where one does not ask.
fn each(matches: &[&Node], of: impl Fn(&Node) -> Option<String>) -> Option<Vec<String>> {
    let mut values: Vec<String> = matches.iter().map(|m| of(m)).collect::<Option<_>>()?;
    values.sort();
    values.dedup();
    (!values.is_empty()).then_some(values)
}
