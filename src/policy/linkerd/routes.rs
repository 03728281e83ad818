//! Routes that are attached to Servers: once there is one, only requests that match a route get
//! through, so everything that is granted on the port is narrowed.

use super::server::Server;
use crate::model::{Condition, Document, Narrowing, Node, Origin};

/// A route with the Servers that it is attached to.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where it stands.
    pub origin: Origin,
    /// Names of the Servers, of its own namespace.
    servers: Vec<String>,
    /// What it asks of requests; `None` where it matches all.
    pub narrowed: Option<Narrowing>,
}

impl Route {
    /// Whether it is attached to a Server.
    pub fn is_attached(&self, server: &Server) -> bool {
        self.origin.namespace == server.origin.namespace
            && self.servers.iter().any(|name| **name == *server.origin.name)
    }
}

/// Reads a route; `None` where no Server is among its parents.
pub fn read(document: &Document) -> Option<Route> {
    let spec = document.body.get("spec")?;
    let own = &*document.origin.namespace;
    let is_server = |parent: &&Node| {
        parent.text_of("kind") == Some("Server")
            && parent.text_of("group") == Some("policy.linkerd.io")
            && parent.text_of("namespace").is_none_or(|namespace| namespace == own)
    };
    let parents = spec.items_of("parentRefs").iter().filter(is_server);
    let servers: Vec<String> = parents.filter_map(|p| p.text_of("name").map(str::to_owned)).collect();
    (!servers.is_empty()).then(|| Route {
        origin: document.origin.clone(),
        servers,
        narrowed: narrowed(spec),
    })
}

fn narrowed(spec: &Node) -> Option<Narrowing> {
    let matches: Vec<&Node> = spec
        .items_of("rules")
        .iter()
        .flat_map(|rule| match rule.items_of("matches") {
            [] => vec![rule],
            matches => matches.iter().collect(),
        })
        .collect();
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
            _ => format!("{}/*", value.trim_end_matches('/')),
        })
    };
    conditions.extend(each(&matches, path).map(Condition::Paths));
    conditions.extend(each(&matches, |m| m.get("method")?.text().map(str::to_owned)).map(Condition::Methods));
    let calls = |m: &Node| {
        let method = m.get("method").filter(|method| method.text().is_none())?;
        let part = |field: &str| method.text_of(field).unwrap_or("*").to_owned();
        Some(format!("/{}/{}", part("service"), part("method")))
    };
    conditions.extend(each(&matches, calls).map(Condition::Paths));
    for (field, what) in [("headers", "headers"), ("queryParams", "query parameters")] {
        let names = |m: &Node| {
            let names: Vec<&str> = m.items_of(field).iter().filter_map(|item| item.text_of("name")).collect();
            (!names.is_empty()).then(|| names.join(" and "))
        };
        let words = |names: Vec<String>| Condition::Other(format!("{what} {}", names.join(" or ")));
        conditions.extend(each(&matches, names).map(words));
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
