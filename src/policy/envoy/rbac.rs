//! Filters that decide who gets through: RBAC of the network and of requests.
//!
//! `config.rbac.v3.RBAC`: a policy holds where one of its permissions, one of its principals and its
//! condition do. Without `rules` nothing is enforced; with rules and no policy, ALLOW lets nobody in
//! and DENY everybody. Shadow rules never enforce.

use super::who::{self, Known, Who};
use super::wire::{Text, block, has, header, port, truth};
use crate::model::{AddressSet, Condition, Node, PortSet};

/// A filter that enforces.
#[derive(Clone, Debug)]
pub struct Filter<'a> {
    /// What it does with those for whom one of its policies holds.
    pub action: Action,
    /// Its policies.
    pub policies: Vec<Policy>,
    /// `…filters[0]`.
    pub path: String,
    /// As written.
    pub node: &'a Node,
}

/// `RBAC.action`; LOG enforces nothing and is no filter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Only those get through.
    Allow,
    /// Those do not.
    Deny,
}

/// One policy: on which ports, for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Ports for which the permissions hold for certain.
    pub ports: PortSet,
    /// Ports for which they may hold.
    pub possible_ports: PortSet,
    /// Whom the principals mean.
    pub who: Who,
    /// What else is asked: of requests, and by the condition.
    pub conditions: Vec<Condition>,
    /// Where it stands.
    pub line: u32,
}

/// What a filter that bears the name of RBAC comes to.
#[derive(Clone, Debug)]
pub enum Enforced<'a> {
    /// It decides.
    By(Filter<'a>),
    /// It decides nothing.
    Nothing,
    /// It decides by a language that is not read.
    Unread(&'static str),
}

/// What is known where a filter is read.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Proxies whose certificates may be asked for.
    pub known: &'a [Known],
    /// Whether connections come with TLS.
    pub tls: Tls,
    /// Whether there are requests.
    pub layer: Layer,
    /// Who says where connections come from.
    pub addresses: Addresses,
}

/// Who says where connections come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// The network.
    Seen,
    /// Whoever connects, by a PROXY header.
    Told,
}

/// Whether connections come with TLS that ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// They do.
    Ended,
    /// They do not.
    None,
}

/// What a filter sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Connections.
    Network,
    /// Requests.
    Http,
}

/// Reads the configuration of a filter: the body of its typed configuration.
pub fn read<'a>(body: &'a Node, path: &str, place: Place<'_>) -> Enforced<'a> {
    // The matcher counts before the rules (`filters/http/rbac/v3/rbac.proto`).
    if has(body, "matcher") {
        return Enforced::Unread("matcher");
    }
    let Some(rules) = body.get("rules").filter(|rules| !rules.is_null()) else { return Enforced::Nothing };
    let action = match rules.get("action").map(|node| (node.text(), node.int())) {
        None | Some((Some("ALLOW"), _) | (_, Some(0))) => Action::Allow,
        Some((Some("DENY"), _) | (_, Some(1))) => Action::Deny,
        Some((Some("LOG"), _) | (_, Some(2))) => return Enforced::Nothing,
        Some(_) => return Enforced::Unread("action"),
    };
    let policies = rules.get("policies").map_or(&[][..], Node::fields);
    let policies = policies.iter().map(|(name, node)| policy(name, node, place)).collect();
    Enforced::By(Filter { action, policies, path: path.to_owned(), node: body })
}

fn policy(name: &str, node: &Node, place: Place<'_>) -> Policy {
    let permissions = node.items_of("permissions").iter().map(|one| permission(one, place.layer));
    let what = permissions.fold(What::nothing(), What::or);
    let principals = node.items_of("principals").iter().map(|one| principal(one, place));
    let who = principals.fold(Who::nobody(), Who::or);
    let mut conditions = what.conditions;
    for field in ["condition", "checked_condition", "cel_config"] {
        if has(node, field) {
            conditions.push(Condition::Other("an expression on the request (CEL)".to_owned()));
        }
    }
    let asks_more = conditions.iter().any(|c| matches!(c, Condition::Other(text) if text.contains("CEL")));
    let ports = if asks_more { PortSet::none() } else { what.sure };
    Policy { name: name.to_owned(), ports, possible_ports: what.possible, who, conditions, line: node.line }
}

/// What a permission means, in three values, as [`Who`] does for principals.
#[derive(Clone, Debug, PartialEq, Eq)]
struct What {
    sure: PortSet,
    possible: PortSet,
    conditions: Vec<Condition>,
}

impl What {
    fn exactly(ports: PortSet) -> What {
        What { sure: ports.clone(), possible: ports, conditions: Vec::new() }
    }

    fn nothing() -> What {
        What::exactly(PortSet::none())
    }

    fn everything() -> What {
        What::exactly(PortSet::all())
    }

    fn narrowed(condition: Condition) -> What {
        What { sure: PortSet::none(), possible: PortSet::all(), conditions: vec![condition] }
    }

    fn or(mut self, other: What) -> What {
        self.conditions.extend(other.conditions);
        What {
            sure: self.sure.union(&other.sure),
            possible: self.possible.union(&other.possible),
            conditions: self.conditions,
        }
    }

    fn and(mut self, other: What) -> What {
        self.conditions.extend(other.conditions);
        What {
            sure: self.sure.intersection(&other.sure),
            possible: self.possible.intersection(&other.possible),
            conditions: self.conditions,
        }
    }

    fn negated(self) -> What {
        let words = |c: Condition| Condition::Other(format!("not ({c})"));
        What {
            sure: self.possible.complement(),
            possible: self.sure.complement(),
            conditions: self.conditions.into_iter().map(words).collect(),
        }
    }
}

/// The one field of a `oneof` that is written.
fn written(node: &Node) -> Option<(&str, &Node)> {
    node.fields().iter().map(|(name, value)| (&**name, value)).next()
}

fn permission(node: &Node, layer: Layer) -> What {
    let Some((field, value)) = written(node) else { return What::nothing() };
    // Without requests nothing that is asked of one holds.
    let of_request = |condition: Condition| match layer {
        Layer::Http => What::narrowed(condition),
        Layer::Network => What::nothing(),
    };
    match field {
        "any" => {
            if value.bool() == Some(true) {
                What::everything()
            } else {
                What::nothing()
            }
        }
        "and_rules" => {
            parts(value, "rules").map(|one| permission(one, layer)).fold(What::everything(), What::and)
        }
        "or_rules" => parts(value, "rules").map(|one| permission(one, layer)).fold(What::nothing(), What::or),
        "not_rule" => permission(value, layer).negated(),
        "destination_port" => {
            What::exactly(port(Some(value)).map_or_else(PortSet::none, |p| PortSet::range(p, p)))
        }
        "destination_port_range" => What::exactly(half_open(value)),
        "header" => of_request(header(value)),
        "url_path" => of_request(Condition::Paths(vec![path_words(value)])),
        "uri_template" => of_request(Condition::Paths(vec!["a template".to_owned()])),
        "requested_server_name" => What::narrowed(Condition::ServerNames(vec![
            Text::read(value).map_or_else(String::new, |t| t.words()),
        ])),
        "destination_ip" => What::narrowed(Condition::Other(format!(
            "the destination address is in {}/{}",
            value.text_of("address_prefix").unwrap_or_default(),
            value.get("prefix_len").and_then(Node::int).unwrap_or(0)
        ))),
        other => What::narrowed(Condition::Other(format!("the permission {other}"))),
    }
}

/// `config.core.v3` has ranges whose end is not in them.
fn half_open(range: &Node) -> PortSet {
    let number = |field: &str| range.get(field).and_then(Node::int).unwrap_or(0).clamp(0, 65_536) as u32;
    let (start, end) = (number("start"), number("end"));
    match start < end {
        true => PortSet::range(start as u16, (end - 1) as u16),
        false => PortSet::none(),
    }
}

fn path_words(node: &Node) -> String {
    let text = node.get("path").and_then(Text::read);
    text.map_or_else(|| "a path".to_owned(), |text| text.words())
}

fn parts<'a>(node: &'a Node, field: &str) -> std::slice::Iter<'a, Node> {
    node.items_of(field).iter()
}

fn principal(node: &Node, place: Place<'_>) -> Who {
    let Some((field, value)) = written(node) else { return Who::nobody() };
    let of_request = |condition: Condition| match place.layer {
        Layer::Http => Who::narrowed(condition),
        Layer::Network => Who::nobody(),
    };
    let all = |field: &str| parts(value, field).map(move |one| principal(one, place));
    match field {
        "any" => {
            if value.bool() == Some(true) {
                Who::everyone()
            } else {
                Who::nobody()
            }
        }
        "and_ids" => all("ids").fold(Who::everyone(), Who::and),
        "or_ids" => all("ids").fold(Who::nobody(), Who::or),
        "not_id" => principal(value, place).negated(),
        "authenticated" => authenticated(value, place),
        "direct_remote_ip" => addresses(value),
        "source_ip" | "remote_ip" if place.addresses == Addresses::Told => {
            let words = value.text_of("address_prefix").unwrap_or_default();
            let what = format!("the client's address, which a PROXY header may tell, is in {words}");
            Who::narrowed(Condition::Other(what))
        }
        "source_ip" => addresses(value),
        // Of a connection it is the same; a request may carry another one in a header.
        "remote_ip" if place.layer == Layer::Network => addresses(value),
        "remote_ip" => {
            let words = value.text_of("address_prefix").unwrap_or_default();
            Who::narrowed(Condition::Other(format!("the client's address by its headers is in {words}")))
        }
        "header" => of_request(header(value)),
        "url_path" => of_request(Condition::Paths(vec![path_words(value)])),
        other => Who::narrowed(Condition::Other(format!("the principal {other}"))),
    }
}

fn addresses(node: &Node) -> Who {
    let range = block(node);
    who::addresses(range.into_iter().collect::<AddressSet>())
}

/// Without a name any TLS connection will do, one without a certificate too (`matchers.cc`).
fn authenticated(node: &Node, place: Place<'_>) -> Who {
    if place.tls == Tls::None {
        return Who::nobody();
    }
    match node.get("principal_name").filter(|name| !name.is_null()) {
        None => Who::everyone(),
        Some(name) => match Text::read(name) {
            Some(text) => who::named(&text, place.known),
            None => Who::narrowed(Condition::Other("a certificate by a matcher that is not read".to_owned())),
        },
    }
}

/// Whether a filter is switched off until a route switches it on.
pub fn is_off(filter: &Node) -> bool {
    truth(filter, "disabled")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    fn range(start: i64, end: i64) -> PortSet {
        let number = |value| Node { line: 1, column: 0, value: Value::Int(value) };
        let fields = vec![("start".into(), number(start)), ("end".into(), number(end))];
        half_open(&Node { line: 1, column: 0, value: Value::Map(fields.into()) })
    }

    #[test]
    fn ranges_of_ports_do_not_hold_their_end() {
        assert_eq!(range(80, 443), PortSet::range(80, 442));
        assert_eq!(range(443, 443), PortSet::none());
        assert_eq!(range(0, 65_536), PortSet::all());
    }

    #[test]
    fn permissions_know_what_they_do_not_know() {
        let asked = What::narrowed(Condition::Methods(vec!["GET".into()]));
        let on_port = What::exactly(PortSet::range(80, 80)).and(asked);
        assert_eq!(
            (on_port.sure.clone(), on_port.possible.clone()),
            (PortSet::none(), PortSet::range(80, 80))
        );
        let negated = on_port.negated();
        assert_eq!(negated.sure, PortSet::range(80, 80).complement());
        assert!(negated.possible.is_all());
    }
}
