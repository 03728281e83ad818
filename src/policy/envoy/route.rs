//! Routes: the clusters that requests and connections go on to, and what single routes make of
//! filters.

use super::rbac::{self, Action, Enforced, Filter, Place, Policy};
use super::view::View;
use super::who::Who;
use super::wire::{any, has, header, truth};
use crate::model::{Bend, Condition, Gap, Node, PortSet};

/// A way on.
#[derive(Clone, Debug)]
pub struct Onward<'a> {
    /// The cluster; `None` where each request or connection names one.
    pub cluster: Option<&'a str>,
    /// Where that stands.
    pub path: String,
    /// As written.
    pub node: &'a Node,
}

/// The routes of one connection manager.
#[derive(Debug, Default)]
pub struct Routes<'a> {
    /// The ways on.
    pub onward: Vec<Onward<'a>>,
    /// Whether some routes come from elsewhere and were not read.
    pub unread: bool,
    scopes: Vec<Scope<'a>>,
}

/// Requests that one route takes, and the filters that it configures anew.
#[derive(Debug)]
struct Scope<'a> {
    conditions: Vec<Condition>,
    /// The most specific level first.
    overrides: Vec<&'a Node>,
}

/// Reads the routes of a connection manager.
pub fn read<'a>(manager: &'a Node, path: &str, view: &View<'a>, gaps: &mut Vec<Gap>) -> Routes<'a> {
    let mut routes = Routes::default();
    let named = manager.path(&["rds", "route_config_name"]).and_then(Node::text);
    let config = manager.get("route_config").or_else(|| view.routes.get(named?).copied());
    let Some(config) = config else {
        routes.unread = true;
        let what = match named {
            Some(name) => format!("the routes {name:?} come from elsewhere (RDS) and were not read"),
            None => "routes come from elsewhere and were not read".to_owned(),
        };
        gaps.push(Gap { what, origin: view.at(path, manager), bends: Bend::MayMissTraffic });
        return routes;
    };
    routes.unread = has(config, "vhds");
    for host in config.items_of("virtual_hosts") {
        let domains: Vec<String> =
            host.items_of("domains").iter().filter_map(Node::text).map(str::to_owned).collect();
        let everywhere = domains.is_empty() || domains.iter().any(|domain| domain == "*");
        for route in host.items_of("routes") {
            let mut conditions =
                if everywhere { Vec::new() } else { vec![Condition::Hosts(domains.clone())] };
            conditions.extend(route.get("match").and_then(path_of));
            let asked = route.path(&["match", "headers"]).map_or(&[][..], Node::items);
            conditions.extend(asked.iter().map(header));
            let levels = [route, host, config].into_iter();
            let overrides: Vec<&Node> =
                levels.filter_map(|level| level.get("typed_per_filter_config")).collect();
            let weighted =
                route.path(&["route", "weighted_clusters", "clusters"]).map_or(&[][..], Node::items);
            let own = weighted.iter().filter_map(|cluster| cluster.get("typed_per_filter_config"));
            let own: Vec<&Node> = own.collect();
            for special in &own {
                let overrides = [*special].into_iter().chain(overrides.iter().copied()).collect();
                routes.scopes.push(Scope { conditions: conditions.clone(), overrides });
            }
            if own.len() < weighted.len() || weighted.is_empty() {
                routes.scopes.push(Scope { conditions, overrides });
            }
            if let Some(action) = route.get("route") {
                routes.onward.extend(of_connection(action, path));
                let mirrored = action.items_of("request_mirror_policies").iter();
                routes.onward.extend(mirrored.flat_map(|mirror| of_connection(mirror, path)));
            }
        }
    }
    routes
}

/// The path that a route takes, where it is not every path.
fn path_of(matched: &Node) -> Option<Condition> {
    let words = match () {
        () if has(matched, "prefix") => match matched.text_of("prefix")? {
            "/" | "" => return None,
            prefix => format!("{prefix}*"),
        },
        () if has(matched, "path") => matched.text_of("path")?.to_owned(),
        () if has(matched, "path_separated_prefix") => {
            format!("{}/*", matched.text_of("path_separated_prefix")?)
        }
        () => match matched.get("safe_regex").and_then(|regex| regex.text_of("regex")) {
            Some(regex) => format!("~{regex}"),
            None => return None,
        },
    };
    Some(Condition::Paths(vec![words]))
}

/// The clusters that an action names: `cluster`, `weighted_clusters`, `cluster_header` and what other
/// proxies of connections have.
pub fn of_connection<'a>(action: &'a Node, path: &str) -> Vec<Onward<'a>> {
    let onward = |cluster: Option<&'a str>, node: &'a Node| Onward { cluster, path: path.to_owned(), node };
    let mut ways = Vec::new();
    if let Some(node) = action.get("cluster") {
        match (node.text(), node.text_of("cluster")) {
            (Some(name), _) | (None, Some(name)) => ways.push(onward(Some(name), node)),
            (None, None) => ways.push(onward(None, node)),
        }
    }
    let weighted = action.path(&["weighted_clusters", "clusters"]).map_or(&[][..], Node::items);
    ways.extend(weighted.iter().map(|cluster| onward(cluster.text_of("name"), cluster)));
    for field in ["cluster_header", "cluster_specifier_plugin", "inline_cluster_specifier_plugin", "matcher"]
    {
        ways.extend(action.get(field).map(|node| onward(None, node)));
    }
    if let Some(routes) = action.get("prefix_routes") {
        let all = routes.items_of("routes").iter().chain(routes.get("catch_all_route"));
        ways.extend(all.filter_map(|route| Some(onward(Some(route.text_of("cluster")?), route))));
    }
    if let Some(routes) = action.get("route_config").filter(|_| ways.is_empty()) {
        let inside = routes.items_of("routes").iter().filter_map(|route| route.get("route"));
        ways.extend(inside.flat_map(|route| of_connection(route, path)));
    }
    ways
}

/// What a filter comes to on one route.
enum Effect<'a> {
    Base,
    Read(Enforced<'a>),
}

impl<'a> Routes<'a> {
    /// What a filter comes to over all routes: itself where no route configures it anew. Otherwise each
    /// route's own policies count for its requests, which nobody here can tell from connections.
    pub fn applied(&self, name: &str, base: Enforced<'a>, path: &str, place: Place<'_>) -> Vec<Enforced<'a>> {
        let effects: Vec<(&Scope<'a>, Effect<'a>)> =
            self.scopes.iter().map(|scope| (scope, effect(scope, name, path, place))).collect();
        if effects.iter().all(|(_, effect)| matches!(effect, Effect::Base)) {
            return vec![base];
        }
        if effects.iter().all(|(_, effect)| matches!(effect, Effect::Read(Enforced::Nothing))) {
            return vec![Enforced::Nothing];
        }
        let mut found = Mixed::default();
        for (scope, effect) in effects {
            let own = match &effect {
                Effect::Base => &base,
                Effect::Read(own) => own,
            };
            found.add(scope, own);
        }
        found.filters(path)
    }
}

/// What a route makes of a filter by name.
fn effect<'a>(scope: &Scope<'a>, name: &str, path: &str, place: Place<'_>) -> Effect<'a> {
    let Some(config) = scope.overrides.iter().find_map(|level| level.get(name)) else { return Effect::Base };
    let mut own = any(config);
    if own.is("FilterConfig") {
        if truth(own.body, "disabled") {
            return Effect::Read(Enforced::Nothing);
        }
        match own.body.get("config") {
            Some(inside) => own = any(inside),
            None => return Effect::Base,
        }
    }
    // An entry without `rbac` switches the filter off (`filters/http/rbac/v3/rbac.proto`).
    match own.body.get("rbac").filter(|rbac| !rbac.is_null()) {
        Some(rbac) => Effect::Read(rbac::read(rbac, path, place)),
        None => Effect::Read(Enforced::Nothing),
    }
}

/// Policies of routes that differ.
#[derive(Default)]
struct Mixed<'a> {
    allow: Vec<Policy>,
    deny: Vec<Policy>,
    /// A filter that lets only some in, on one route at least.
    allowing: Option<&'a Node>,
    denying: Option<&'a Node>,
    unread: Option<&'static str>,
}

impl<'a> Mixed<'a> {
    fn add(&mut self, scope: &Scope<'a>, enforced: &Enforced<'a>) {
        let mut conditions = scope.conditions.clone();
        if conditions.is_empty() {
            conditions.push(Condition::Other("requests that other routes leave".to_owned()));
        }
        let narrowed = |policy: &Policy| Policy {
            ports: PortSet::none(),
            conditions: conditions.iter().chain(&policy.conditions).cloned().collect(),
            ..policy.clone()
        };
        let open = || Policy {
            name: String::new(),
            ports: PortSet::none(),
            possible_ports: PortSet::all(),
            who: Who::everyone(),
            conditions: conditions.clone(),
            line: 0,
        };
        match enforced {
            Enforced::By(filter) if filter.action == Action::Allow => {
                self.allow.extend(filter.policies.iter().map(narrowed));
                self.allowing = Some(filter.node);
            }
            Enforced::By(filter) => {
                self.deny.extend(filter.policies.iter().map(narrowed));
                self.denying = Some(filter.node);
                self.allow.push(open());
            }
            Enforced::Nothing => self.allow.push(open()),
            Enforced::Unread(what) => {
                self.unread = Some(what);
                self.allow.push(open());
            }
        }
    }

    fn filters(self, path: &str) -> Vec<Enforced<'a>> {
        let filter =
            |action, policies, node| Enforced::By(Filter { action, policies, path: path.to_owned(), node });
        let allow = self.allowing.map(|node| filter(Action::Allow, self.allow, node));
        let deny = self.denying.map(|node| filter(Action::Deny, self.deny, node));
        deny.into_iter().chain(allow).chain(self.unread.map(Enforced::Unread)).collect()
    }
}
