//! AuthorizationPolicy as users write it, with the checks that the API server's webhook makes.
//!
//! A rule is an AND of clauses (`from`, `to`, each `when`), a clause an OR of matches, a match an AND
//! of fields; both evaluators (`rbac`) start from that.

use super::super::kubernetes::refusal;
use crate::model::{Document, Node, Origin, Problem, Selector, Value};

/// `kind`.
pub const KIND: &str = "AuthorizationPolicy";

/// One object.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Where it stands.
    pub origin: Origin,
    /// `action`.
    pub action: Action,
    /// `selector.matchLabels`.
    pub selector: Selector,
    /// `targetRef` and `targetRefs`.
    pub targets: Vec<TargetRef>,
    /// Whether `istio.io/dry-run` is true.
    pub dry_run: bool,
    /// `rules`.
    pub rules: Vec<AuthRule>,
}

/// What a policy is bound to (`PolicyTargetReference`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRef {
    /// `kind`.
    pub kind: String,
    /// `name`.
    pub name: String,
    /// `namespace`, which must be that of the policy where it is given.
    pub namespace: Option<String>,
}

/// `action`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `ALLOW`, the default.
    Allow,
    /// `DENY`.
    Deny,
    /// `AUDIT`.
    Audit,
    /// `CUSTOM`, with the name of the provider.
    Custom(String),
}

/// One rule.
#[derive(Clone, Debug)]
pub struct AuthRule {
    /// Where it stands.
    pub origin: Origin,
    /// All of these must hold; each holds where one of its matches does.
    pub clauses: Vec<Vec<Vec<Field>>>,
}

/// What is asked of one attribute.
#[derive(Clone, Debug)]
pub struct Field {
    /// Of what.
    pub of: Attribute,
    /// Any of these, where there are some.
    pub values: Vec<String>,
    /// None of these.
    pub not_values: Vec<String>,
    /// Where it stands.
    pub asked: Asked,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// In a source or an operation.
    Directly,
    /// In `when`.
    AsCondition,
}

/// What a field looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `principals`, `source.principal`.
    Principal,
    /// `namespaces`, `source.namespace`.
    Namespace,
    /// The same, compared with the name alone.
    NamespaceName,
    /// `serviceAccounts`, `source.serviceAccount`.
    ServiceAccount,
    /// `trustDomains`, `source.trustDomain`; whether it is the field of a source.
    TrustDomain,
    /// `ipBlocks`, `source.ip`.
    SourceIp,
    /// `remoteIpBlocks`, `remote.ip`.
    RemoteIp,
    /// `ports`, `destination.port`.
    Port,
    /// `destination.ip`.
    DestinationIp,
    /// `hosts`.
    Host,
    /// `methods`.
    Method,
    /// `paths`.
    Path,
    /// `connection.sni`.
    ServerName,
    /// `requestPrincipals` and conditions on requests, in their own words.
    Request(String),
    /// `experimental.envoy.filters.…`.
    Filter(String),
}

impl Attribute {
    /// Whether only HTTP has it.
    pub fn is_http(&self) -> bool {
        matches!(self, Attribute::Host | Attribute::Method | Attribute::Path | Attribute::Request(_))
    }
}

/// Fields of `source`, each with its negation.
const SOURCE: &[(&str, &str, Attribute)] = &[
    ("principals", "notPrincipals", Attribute::Principal),
    ("namespaces", "notNamespaces", Attribute::Namespace),
    ("serviceAccounts", "notServiceAccounts", Attribute::ServiceAccount),
    ("trustDomains", "notTrustDomains", Attribute::TrustDomain),
    ("ipBlocks", "notIpBlocks", Attribute::SourceIp),
    ("remoteIpBlocks", "notRemoteIpBlocks", Attribute::RemoteIp),
];

/// Fields of `operation`.
const OPERATION: &[(&str, &str, Attribute)] = &[
    ("ports", "notPorts", Attribute::Port),
    ("hosts", "notHosts", Attribute::Host),
    ("methods", "notMethods", Attribute::Method),
    ("paths", "notPaths", Attribute::Path),
];

/// Keys of `when` that packets or identities decide.
const KEYS: &[(&str, Attribute)] = &[
    ("source.ip", Attribute::SourceIp),
    ("remote.ip", Attribute::RemoteIp),
    ("source.namespace", Attribute::Namespace),
    ("source.serviceAccount", Attribute::ServiceAccount),
    ("source.trustDomain", Attribute::TrustDomain),
    ("source.principal", Attribute::Principal),
    ("destination.ip", Attribute::DestinationIp),
    ("destination.port", Attribute::Port),
    ("connection.sni", Attribute::ServerName),
];

/// Reads an object.
///
/// # Errors
/// What the webhook would refuse, with its line.
pub fn object(document: &Document) -> Result<Authorization, Problem> {
    let origin = super::place(document);
    let none = Node { line: origin.line, column: 0, value: Value::Null };
    let spec = document.body.get("spec").unwrap_or(&none);
    let provider = spec.path(&["provider", "name"]).and_then(Node::text).unwrap_or_default();
    let action = match spec.text_of("action") {
        None | Some("ALLOW") => Action::Allow,
        Some("DENY") => Action::Deny,
        Some("AUDIT") => Action::Audit,
        Some("CUSTOM") => Action::Custom(provider.to_owned()),
        Some(other) => {
            let message = format!("the action {other:?} is not known");
            return Err(refusal(
                &origin,
                line(spec, "action"),
                message,
                "write ALLOW, DENY, AUDIT or CUSTOM",
            ));
        }
    };
    let reference = |node: &Node| {
        let text = |field: &str| node.text_of(field).unwrap_or_default().to_owned();
        TargetRef {
            kind: text("kind"),
            name: text("name"),
            namespace: node.text_of("namespace").map(str::to_owned),
        }
    };
    let single = spec.get("targetRef").filter(|node| !node.is_null());
    let targets: Vec<_> = single.into_iter().chain(spec.items_of("targetRefs")).map(reference).collect();
    let selector = super::workload_selector(document)?;
    if !targets.is_empty() && !selector.is_everything() {
        let hint = "keep the selector or the targetRefs";
        return Err(refusal(&origin, spec.line, "selector and targetRefs exclude each other", hint));
    }
    let given = spec.get("rules").filter(|node| !node.is_null());
    let items = given.map_or(&[][..], Node::items);
    if items.is_empty() && matches!(action, Action::Deny | Action::Custom(_)) {
        let message = "DENY and CUSTOM without rules never match anything";
        return Err(refusal(
            &origin,
            given.unwrap_or(spec).line,
            message,
            "write rules: [{}] to match everything",
        ));
    }
    let mut rules = Vec::new();
    for (number, node) in items.iter().enumerate() {
        if node.is_null() {
            return Err(refusal(
                &origin,
                node.line,
                "a rule is null",
                "write {} for a rule that matches everything",
            ));
        }
        rules.push(rule(&origin, number, node, &action)?);
    }
    let dry_run = dry_run(document, &origin, &action)?;
    Ok(Authorization { origin, action, selector, targets, dry_run, rules })
}

/// `istio.io/dry-run`, one of the truth values of Go (`strconv.ParseBool`, `checkDryRunAnnotation`).
fn dry_run(document: &Document, origin: &Origin, action: &Action) -> Result<bool, Problem> {
    let annotation = document.body.path(&["metadata", "annotations", "istio.io/dry-run"]);
    let Some((node, text)) = annotation.and_then(|node| Some((node, node.text()?))) else { return Ok(false) };
    let dry = match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        _ => {
            let message = format!("istio.io/dry-run is {text:?}, which is no truth value");
            return Err(refusal(origin, node.line, message, "write \"true\" or \"false\""));
        }
    };
    match action {
        Action::Allow | Action::Deny => Ok(dry),
        Action::Audit | Action::Custom(_) => {
            let message = "istio.io/dry-run can stand at ALLOW and DENY alone";
            Err(refusal(origin, node.line, message, "take the annotation away"))
        }
    }
}

fn line(node: &Node, field: &str) -> u32 {
    node.get(field).unwrap_or(node).line
}

fn rule(origin: &Origin, number: usize, node: &Node, action: &Action) -> Result<AuthRule, Problem> {
    let place = origin.at(&format!("rules[{number}]"), node.line);
    let mut clauses = Vec::new();
    for (list, inner, table) in [("from", "source", SOURCE), ("to", "operation", OPERATION)] {
        let Some(clause) = node.get(list).filter(|n| !n.is_null()) else { continue };
        // A list without entries is none: that is what is left of it on its way to istiod.
        if clause.items().is_empty() {
            continue;
        }
        let matches: Result<Vec<_>, _> =
            clause.items().iter().map(|item| one_match(origin, item, inner, table)).collect();
        clauses.push(matches?);
    }
    for condition in node.items_of("when") {
        clauses.push(vec![vec![when(origin, condition)?]]);
    }
    let fields = || clauses.iter().flatten().flatten();
    let identities = |field: &Field| {
        use Attribute::{Namespace, Principal, ServiceAccount, TrustDomain};
        matches!(field.of, Principal | Namespace | ServiceAccount | TrustDomain)
            || matches!(&field.of, Attribute::Request(what) if what.starts_with("request principal"))
    };
    if matches!(action, Action::Custom(_)) && fields().any(identities) {
        let message = "CUSTOM cannot look at identities";
        return Err(refusal(origin, node.line, message, "use hosts, paths, ports or addresses"));
    }
    Ok(AuthRule { origin: place, clauses })
}

fn one_match(
    origin: &Origin,
    item: &Node,
    inner: &str,
    table: &[(&str, &str, Attribute)],
) -> Result<Vec<Field>, Problem> {
    let object = item.get(inner).filter(|node| !node.is_null() && !node.fields().is_empty());
    let Some(object) = object else {
        let message = format!("{inner} is empty");
        return Err(refusal(origin, item.line, message, "name at least one field, or leave the entry out"));
    };
    let list = |field: &str| texts(origin, object, field);
    let mut fields = Vec::new();
    for (field, negation, of) in table {
        let (values, not_values) = (list(field)?, list(negation)?);
        if !values.is_empty() || !not_values.is_empty() {
            fields.push(Field { of: of.clone(), values, not_values, asked: Asked::Directly });
        }
    }
    let (values, not_values) = (list("requestPrincipals")?, list("notRequestPrincipals")?);
    if !values.is_empty() || !not_values.is_empty() {
        let of = Attribute::Request("request principal".to_owned());
        fields.push(Field { of, values, not_values, asked: Asked::Directly });
    }
    if fields.is_empty() {
        let message = format!("{inner} has no field with a value");
        return Err(refusal(origin, object.line, message, "name at least one field, or leave the entry out"));
    }
    let has = |of: Attribute| fields.iter().any(|field| field.of == of);
    if has(Attribute::ServiceAccount) && (has(Attribute::Principal) || has(Attribute::Namespace)) {
        let message = "serviceAccounts cannot stand beside principals or namespaces";
        return Err(refusal(origin, object.line, message, "write them as sources of their own"));
    }
    Ok(fields)
}

fn texts(origin: &Origin, object: &Node, field: &str) -> Result<Vec<String>, Problem> {
    let Some(list) = object.get(field) else { return Ok(Vec::new()) };
    let text = |node: &Node| match &node.value {
        Value::Text(text) if !text.is_empty() => Ok(text.to_string()),
        _ => {
            let message = format!("{field} has a value that is not a text");
            Err(refusal(origin, node.line, message, "put the value in quotes"))
        }
    };
    match &list.value {
        Value::List(items) => items.iter().map(text).collect(),
        Value::Null => Ok(Vec::new()),
        _ => {
            Err(refusal(origin, list.line, format!("{field} is not a list"), "write a list: [\"a\", \"b\"]"))
        }
    }
}

fn when(origin: &Origin, node: &Node) -> Result<Field, Problem> {
    let Some(key) = node.text_of("key").filter(|key| !key.is_empty()) else {
        return Err(refusal(origin, node.line, "a condition has no key", "name the attribute under key"));
    };
    let (values, not_values) = (texts(origin, node, "values")?, texts(origin, node, "notValues")?);
    if values.is_empty() && not_values.is_empty() {
        let message = format!("the condition on {key} has neither values nor notValues");
        return Err(refusal(origin, node.line, message, "list at least one value"));
    }
    let known = KEYS.iter().find(|(name, _)| *name == key).map(|(_, of)| of.clone());
    let is_request = key.starts_with("request.headers[")
        || key.starts_with("request.auth.claims[")
        || ["request.auth.principal", "request.auth.audiences", "request.auth.presenter"].contains(&key);
    let of = match known {
        Some(of) => of,
        None if is_request => Attribute::Request(key.to_owned()),
        None if key.starts_with("experimental.envoy.filters.") => Attribute::Filter(key.to_owned()),
        None => {
            let message = format!("the key {key:?} is not known");
            return Err(refusal(
                origin,
                line(node, "key"),
                message,
                "see the list of condition keys of Istio",
            ));
        }
    };
    Ok(Field { of, values, not_values, asked: Asked::AsCondition })
}
