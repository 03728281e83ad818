//! ServiceIntentions: each source is one intention with a precedence of its own
//! (`C:agent/structs/intention.go`); what comes of several that match is left to `lower`.

use super::super::Action;
use super::super::kubernetes::refusal;
use crate::model::{Bend, Condition, Document, Gap, Narrowing, Node, Origin, Problem};
use std::collections::BTreeSet;

/// One intention.
#[derive(Clone, Debug)]
pub struct Intention {
    /// The service that is called; `None` for all.
    pub destination: Option<String>,
    /// The service that calls; `None` for all of this cluster.
    pub source: Option<String>,
    /// 9 is asked first, 1 last.
    pub precedence: u8,
    /// What happens.
    pub verdict: Verdict,
    /// Conditions on the connection as a whole.
    pub narrowed: Option<Narrowing>,
    /// The token that requests have to carry for what the default policy would not do.
    pub token: Option<Condition>,
    /// Whether Consul takes the object.
    pub standing: Standing,
    /// Where it stands.
    pub origin: Origin,
}

/// Whether the intentions of an object are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They are.
    InForce,
    /// The servers refuse the object as it stands here, for this reason; an earlier one may be in force.
    Refused(&'static str),
}

/// What an intention does with what it matches.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// All of it.
    Whole(Action),
    /// By request, the first that matches; the rest gets the default policy.
    ByRequest(Vec<Permission>),
}

/// One of `permissions`.
#[derive(Clone, Debug)]
pub struct Permission {
    /// What happens to requests that it matches.
    pub action: Action,
    /// Which requests.
    pub requests: Narrowing,
    /// The token that they have to carry besides.
    pub token: Option<Condition>,
    /// Where it stands.
    pub origin: Origin,
}

/// How exactly a name and its namespace are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exactness {
    Nothing,
    Namespace,
    Name,
}

/// Reads the intentions of an object.
///
/// # Errors
/// What the webhook would refuse, with its line; none of the object's intentions exists then.
pub fn read(document: &Document, gaps: &mut Vec<Gap>) -> Result<Vec<Intention>, Problem> {
    let origin = &document.origin;
    let refuse = |node: &Node, message: &str, hint: &str| Err(refusal(origin, node.line, message, hint));
    let Some(spec) = document.body.get("spec") else {
        return refuse(&document.body, "spec is missing", "an intention has a destination and sources");
    };
    let Some(destination) = spec.get("destination") else {
        return refuse(spec, "spec.destination is missing", "name the service that is called, or *");
    };
    let (destination_name, exact) = match name(origin, destination)? {
        Some(read) => read,
        None => {
            return refuse(
                destination,
                "destination.name is missing",
                "name the service that is called, or *",
            );
        }
    };
    let sources = spec.items_of("sources");
    if sources.is_empty() {
        return refuse(spec, "spec.sources is empty", "at least one source is needed");
    }
    let mut intentions: Vec<Intention> = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources {
        let place = origin.at(&format!("sources[{}]", intentions.len()), source.line);
        let (source_name, source_exact) = match name(origin, source)? {
            Some(read) => read,
            None => return refuse(source, "a source has no name", "name the service that calls, or *"),
        };
        let verdict = verdict(&place, source)?;
        if matches!(verdict, Verdict::ByRequest(_)) && destination_name.is_none() {
            return refuse(
                source,
                "permissions need a destination by name",
                "write action, or name the service",
            );
        }
        let elsewhere = ["peer", "partition", "samenessGroup"].iter().find_map(|field| source.text_of(field));
        if let Some(cluster) = elsewhere.filter(|name| *name != "default") {
            let what = format!("the source is in {cluster}, another cluster or partition: nobody here is it");
            gaps.push(Gap { what, origin: place, bends: Bend::MayMissTraffic });
            continue;
        }
        let namespace = source.text_of("namespace").unwrap_or_default();
        if !seen.insert((source_name.clone(), namespace)) {
            return refuse(source, "the source is listed twice", "join both, one source has one intention");
        }
        let narrowed = narrowed(destination, source);
        intentions.push(Intention {
            destination: destination_name.clone(),
            source: source_name,
            precedence: precedence(exact, source_exact),
            verdict,
            narrowed,
            token: token(spec),
            standing: Standing::InForce,
            origin: place,
        });
    }
    if let Some(why) = sources.iter().find_map(refused) {
        intentions.iter_mut().for_each(|intention| intention.standing = Standing::Refused(why));
    }
    Ok(intentions)
}

/// The number of the documentation: what is exact of the destination counts before the source.
fn precedence(destination: Exactness, source: Exactness) -> u8 {
    let base = match destination {
        Exactness::Name => 9,
        Exactness::Namespace => 6,
        Exactness::Nothing => 3,
    };
    base - match source {
        Exactness::Name => 0,
        Exactness::Namespace => 1,
        Exactness::Nothing => 2,
    }
}

/// A name and how exact it is; `None` where there is no name. A name of `*` means all.
fn name(origin: &Origin, node: &Node) -> Result<Option<(Option<String>, Exactness)>, Problem> {
    let Some(name) = node.text_of("name") else { return Ok(None) };
    let all_namespaces = node.text_of("namespace") == Some("*");
    if name != "*" && (all_namespaces || name.contains('*')) {
        let message = format!("the name {name:?} may neither hold a * nor stand with the namespace *");
        return Err(refusal(origin, node.line, message, "a name, or * for all"));
    }
    Ok(Some(match (name, all_namespaces) {
        ("*", true) => (None, Exactness::Nothing),
        ("*", false) => (None, Exactness::Namespace),
        _ => (Some(name.to_owned()), Exactness::Name),
    }))
}

fn verdict(origin: &Origin, source: &Node) -> Result<Verdict, Problem> {
    let permissions = source.items_of("permissions");
    let action = |node: &Node| match node.text_of("action") {
        Some("allow") => Some(Action::Allow),
        Some("deny") => Some(Action::Deny),
        _ => None,
    };
    let problem = |node: &Node, message: &str| {
        refusal(origin, node.line, message, "write action: allow, action: deny, or permissions")
    };
    match (source.get("action"), permissions) {
        (Some(node), []) => {
            action(source).map(Verdict::Whole).ok_or_else(|| problem(node, "action is not known"))
        }
        (None, []) => Err(problem(source, "a source has neither action nor permissions")),
        (Some(node), _) => Err(problem(node, "action and permissions exclude each other")),
        (None, permissions) => {
            let one = |(index, node): (usize, &Node)| {
                let action = action(node).ok_or_else(|| problem(node, "a permission has no action"))?;
                let place = origin.at(&format!("{}.permissions[{index}]", origin.rule), node.line);
                Ok(Permission { action, requests: requests(node), token: token(node), origin: place })
            };
            permissions.iter().enumerate().map(one).collect::<Result<_, _>>().map(Verdict::ByRequest)
        }
    }
}

fn requests(permission: &Node) -> Narrowing {
    let http = permission.get("http");
    let text = |field: &str| http.and_then(|http| http.text_of(field));
    let mut conditions: Vec<Condition> = Vec::new();
    let paths = [("pathExact", ""), ("pathPrefix", "*"), ("pathRegex", "~")];
    for (field, mark) in paths {
        if let Some(path) = text(field) {
            let written = if mark == "~" { format!("~{path}") } else { format!("{path}{mark}") };
            conditions.push(Condition::Paths(vec![written]));
        }
    }
    let methods = http.map_or(&[][..], |http| http.items_of("methods"));
    let methods: Vec<String> = methods.iter().filter_map(Node::text).map(str::to_owned).collect();
    if !methods.is_empty() {
        conditions.push(Condition::Methods(methods));
    }
    let headers = http.map_or(&[][..], |http| http.items_of("header"));
    conditions.extend(
        headers
            .iter()
            .map(|header| Condition::Other(format!("header {}", header.text_of("name").unwrap_or_default()))),
    );
    let mut conditions = conditions.into_iter();
    let first = conditions.next().unwrap_or_else(|| Condition::Other("any HTTP request".to_owned()));
    conditions.fold(Narrowing::on(first), Narrowing::and)
}

fn token(node: &Node) -> Option<Condition> {
    let jwt = node.get("jwt").filter(|jwt| !jwt.is_null());
    jwt.map(|_| Condition::Other("a valid JWT".to_owned()))
}

/// Why the servers refuse a source, though the webhook may take it
/// (`C:agent/structs/config_entry_intentions.go`, `validate`).
fn refused(source: &Node) -> Option<&'static str> {
    source.items_of("permissions").iter().find_map(|permission| {
        let Some(http) = permission.get("http").filter(|http| !http.is_null()) else {
            return Some("a permission has no http");
        };
        let text = |field: &str| http.text_of(field).filter(|text| !text.is_empty());
        let paths: Vec<&str> =
            ["pathExact", "pathPrefix", "pathRegex"].iter().filter_map(|f| text(f)).collect();
        let bare = ["pathExact", "pathPrefix"].iter().filter_map(|f| text(f)).any(|p| !p.starts_with('/'));
        let methods = http.items_of("methods");
        match paths.len() {
            2.. => Some("a permission has more than one path"),
            _ if bare => Some("a path does not begin with /"),
            0 if methods.is_empty() && http.items_of("header").is_empty() => {
                Some("a permission has an empty http")
            }
            _ => None,
        }
    })
}

/// Conditions of an intention as a whole: namespaces of Consul Enterprise, which nobody here can tell.
fn narrowed(destination: &Node, source: &Node) -> Option<Narrowing> {
    let mut conditions: Vec<Condition> = Vec::new();
    for (end, whose) in [(destination, "destination"), (source, "source")] {
        let given = end.text_of("namespace").filter(|name| !["", "default", "*"].contains(name));
        conditions.extend(
            given.map(|name| Condition::Other(format!("the {whose} is in the Consul namespace {name}"))),
        );
    }
    let mut conditions = conditions.into_iter();
    let first = Narrowing::on(conditions.next()?);
    Some(conditions.fold(first, Narrowing::and))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_is_that_of_the_table() {
        use Exactness::{Name, Namespace, Nothing};
        let row = |source| [Name, Namespace, Nothing].map(|destination| precedence(destination, source));
        assert_eq!(row(Name), [9, 6, 3]);
        assert_eq!(row(Namespace), [8, 5, 2]);
        assert_eq!(row(Nothing), [7, 4, 1]);
    }
}
