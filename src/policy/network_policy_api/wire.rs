//! The three kinds as users write them, in one shape, with the checks that the API server makes.
//!
//! What the shape means is left to `lower`. Rules of the outside world are the markers and CEL
//! expressions in `apis/v1alpha1` and `apis/v1alpha2` of the API.

use super::super::kubernetes::{label_selector, refusal};
use super::super::{Action, Direction, Namespaces, Selection, TrafficMatch};
use super::kinds::{Dialect, PortList, Stage};
use crate::model::{AddressRange, AddressSet, Bend, Document, DomainPattern, Gap, Node, Origin};
use crate::model::{Problem, Selector, Value};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// One object.
#[derive(Debug)]
pub struct Shape {
    /// Before or after NetworkPolicy.
    pub stage: Stage,
    /// 0 to 1000, lower first; 0 for the kind of which there is one object only.
    pub priority: u16,
    /// To which pods it applies.
    pub subject: Selection,
    /// Its rules, in order.
    pub ingress: Vec<RuleShape>,
    /// Its rules, in order.
    pub egress: Vec<RuleShape>,
}

/// One rule.
#[derive(Debug)]
pub struct RuleShape {
    /// Line on which it begins.
    pub line: u32,
    /// `action`.
    pub action: Action,
    /// `from` or `to`.
    pub peers: Vec<PeerShape>,
    /// `ports` or `protocols`.
    pub traffic: TrafficMatch,
}

/// One peer.
#[derive(Debug)]
pub enum PeerShape {
    /// `namespaces`.
    Namespaces(Selector),
    /// `pods`.
    Pods(Selection),
    /// `nodes`.
    Nodes(Selector),
    /// `networks`.
    Networks(AddressSet),
    /// `domainNames`.
    Domains(Vec<DomainPattern>),
    /// One that this version of the API does not know, by its fields.
    Unknown(String),
}

/// Reads an object.
///
/// # Errors
/// What the API server would refuse, with its line.
pub fn read(document: &Document, dialect: &Dialect) -> Result<Shape, Problem> {
    let reader = Reader { origin: &document.origin, dialect };
    reader.name(document)?;
    let Some(spec) = present(&document.body, "spec") else {
        return Err(reader.refuse(&document.body, "spec is missing", "a policy needs a subject"));
    };
    let (stage, priority) = (reader.stage(spec)?, reader.priority(spec)?);
    let subject = reader.subject(spec)?;
    let ingress = reader.rules(spec, Direction::Ingress)?;
    let egress = reader.rules(spec, Direction::Egress)?;
    Ok(Shape { stage, priority, subject, ingress, egress })
}

/// Selectors that `pods` must have and has not: the schema asks for them, and programs that write
/// such objects send the empty one. v1alpha2 made that of namespaces optional.
pub fn omissions(document: &Document, dialect: &Dialect) -> Vec<Gap> {
    let Some(spec) = document.body.get("spec") else { return Vec::new() };
    let lists = [("ingress", "from"), ("egress", "to")];
    let rules = lists
        .iter()
        .flat_map(|(rules, peers)| spec.items_of(rules).iter().flat_map(move |rule| rule.items_of(peers)));
    let mut gaps = Vec::new();
    for pods in spec.get("subject").into_iter().chain(rules).filter_map(|place| present(place, "pods")) {
        let old = present(pods, "namespaces").is_some();
        for field in ["namespaceSelector", "podSelector"] {
            let needed = field == "podSelector" || (dialect.ports == PortList::Ports && !old);
            if needed && present(pods, field).is_none() {
                let what =
                    format!("{field} is missing, which the API server may refuse; it was read as {{}}");
                gaps.push(Gap { what, origin: document.origin.at("", pods.line), bends: Bend::MayAllowMore });
            }
        }
    }
    gaps
}

/// A field that is there and not null.
pub(super) fn present<'a>(node: &'a Node, field: &str) -> Option<&'a Node> {
    node.get(field).filter(|value| !value.is_null())
}

pub(super) struct Reader<'a> {
    origin: &'a Origin,
    pub(super) dialect: &'a Dialect,
}

impl Reader<'_> {
    pub(super) fn refuse(&self, node: &Node, message: impl Into<String>, hint: &str) -> Problem {
        refusal(self.origin, node.line, message, hint)
    }

    pub(super) fn typed<T: DeserializeOwned>(&self, node: &Node) -> Result<T, Problem> {
        let hint = "numbers are written without quotes, label values that look like numbers with them";
        node.read().map_err(|misfit| refusal(self.origin, misfit.line, misfit.message, hint))
    }

    fn name(&self, document: &Document) -> Result<(), Problem> {
        let place = document.body.path(&["metadata", "name"]).unwrap_or(&document.body);
        match &*self.origin.name {
            "" => Err(self.refuse(place, "metadata.name is missing", "every object has a name")),
            name if self.dialect.stage == Some(Stage::Baseline) && name != "default" => {
                let message = format!("a {} must be named default, not {name:?}", self.dialect.kind);
                Err(self.refuse(place, message, "there is one such object in a cluster: name it default"))
            }
            _ => Ok(()),
        }
    }

    fn stage(&self, spec: &Node) -> Result<Stage, Problem> {
        if let Some(stage) = self.dialect.stage {
            return Ok(stage);
        }
        let place = present(spec, "tier").unwrap_or(spec);
        match spec.text_of("tier") {
            Some("Admin") => Ok(Stage::Admin),
            Some("Baseline") => Ok(Stage::Baseline),
            Some(other) => {
                Err(self.refuse(place, format!("tier {other:?} is not known"), "write Admin or Baseline"))
            }
            None => Err(self.refuse(place, "tier is missing", "write tier: Admin or tier: Baseline")),
        }
    }

    fn priority(&self, spec: &Node) -> Result<u16, Problem> {
        if self.dialect.stage == Some(Stage::Baseline) {
            return Ok(0);
        }
        let hint = "a number from 0 to 1000, of which the lowest comes first";
        let Some(node) = present(spec, "priority") else {
            return Err(self.refuse(spec, "priority is missing", hint));
        };
        let number: i64 = self.typed(node)?;
        u16::try_from(number)
            .ok()
            .filter(|number| *number <= 1000)
            .ok_or_else(|| self.refuse(node, format!("priority {number} is out of range"), hint))
    }

    fn subject(&self, spec: &Node) -> Result<Selection, Problem> {
        let hint = "write namespaces or pods, and one of them only";
        let Some(subject) = present(spec, "subject") else {
            return Err(self.refuse(spec, "subject is missing", hint));
        };
        match (present(subject, "namespaces"), present(subject, "pods")) {
            (Some(namespaces), None) => self.namespaces(namespaces),
            (None, Some(pods)) => self.pods(pods),
            _ => Err(self.refuse(subject, "a subject must have exactly one of namespaces and pods", hint)),
        }
    }

    fn namespaces(&self, node: &Node) -> Result<Selection, Problem> {
        Ok(Selection::pods(Namespaces::Matching(self.selector(node)?), Selector::everything()))
    }

    fn pods(&self, node: &Node) -> Result<Selection, Problem> {
        // A selector that is left out is read as the empty one; see `omissions`.
        let selector = |field: &str| match present(node, field) {
            Some(selector) => self.selector(selector),
            None => Ok(Selector::everything()),
        };
        Ok(Selection::pods(Namespaces::Matching(selector("namespaceSelector")?), selector("podSelector")?))
    }

    fn selector(&self, node: &Node) -> Result<Selector, Problem> {
        label_selector(self.origin, self.typed(node)?, node.line)
    }

    /// The items of a list that may have so many.
    pub(super) fn list<'n>(&self, node: &'n Node, field: &str, limit: usize) -> Result<&'n [Node], Problem> {
        let Some(list) = present(node, field) else { return Ok(&[]) };
        if !matches!(list.value, Value::List(_)) {
            return Err(self.refuse(list, format!("{field} is no list"), "write the items with a leading -"));
        }
        match list.items().len() > limit {
            true => {
                let message = format!("{field} has {} items", list.items().len());
                Err(self.refuse(list, message, &format!("at most {limit} are allowed; make a second policy")))
            }
            false => Ok(list.items()),
        }
    }

    fn rules(&self, spec: &Node, direction: Direction) -> Result<Vec<RuleShape>, Problem> {
        let rules = self.list(spec, direction.word(), self.dialect.limit)?;
        rules.iter().map(|rule| self.rule(rule, direction)).collect()
    }

    fn rule(&self, node: &Node, direction: Direction) -> Result<RuleShape, Problem> {
        if present(node, "name").is_some_and(|name| name.text().is_none_or(|t| t.chars().count() > 100)) {
            let hint = "a text of at most 100 characters";
            return Err(self.refuse(node, "the name of a rule is no such text", hint));
        }
        let field = match direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        let peers = self.list(node, field, self.dialect.limit)?;
        if peers.is_empty() {
            let message = format!("{field} must hold at least one peer");
            return Err(self.refuse(node, message, "write namespaces: {} for all pods of the cluster"));
        }
        let traffic = match self.dialect.ports {
            PortList::Ports => self.ports(node)?,
            PortList::Protocols => self.protocols(node)?,
        };
        let peers: Vec<PeerShape> =
            peers.iter().map(|peer| self.peer(peer, direction)).collect::<Result<_, _>>()?;
        let unnamed = |peer: &PeerShape| {
            matches!(peer, PeerShape::Nodes(_) | PeerShape::Networks(_) | PeerShape::Domains(_))
        };
        if traffic.has_names() && peers.iter().any(unnamed) {
            let hint = "only pods have named ports: write a number, or a rule of its own for the pods";
            let message = "a named port stands beside a peer of nodes, networks or domainNames";
            return Err(self.refuse(node, message, hint));
        }
        Ok(RuleShape { line: node.line, action: self.action(node)?, peers, traffic })
    }

    fn action(&self, rule: &Node) -> Result<Action, Problem> {
        let words: Vec<&str> = self.dialect.actions.iter().map(|(word, _)| *word).collect();
        let hint = format!("a {} knows {}, spelt exactly so", self.dialect.kind, words.join(", "));
        let Some(node) = present(rule, "action") else {
            return Err(self.refuse(rule, "action is missing", &hint));
        };
        let word: String = self.typed(node)?;
        let known = self.dialect.actions.iter().find(|(known, _)| *known == word);
        known
            .map(|(_, action)| *action)
            .ok_or_else(|| self.refuse(node, format!("action {word:?} is not known"), &hint))
    }

    fn peer(&self, node: &Node, direction: Direction) -> Result<PeerShape, Problem> {
        let mut known = vec!["namespaces", "pods"];
        if direction == Direction::Egress {
            known.extend(self.dialect.egress_peers);
        }
        let given: Vec<&str> = present_fields(node).collect();
        let hint = format!("a peer of this rule is one of {}", known.join(", "));
        let own: Vec<&str> = given.iter().copied().filter(|field| known.contains(field)).collect();
        let elsewhere = given.iter().any(|field| ["nodes", "networks", "domainNames"].contains(field));
        match (own.as_slice(), given.is_empty() || elsewhere) {
            ([one], _) => self.peer_of(one, node),
            ([], false) => Ok(PeerShape::Unknown(given.join(", "))),
            ([], true) => {
                let message = format!("a peer has none of the fields that {} rules know", direction.word());
                Err(self.refuse(node, message, &hint))
            }
            _ => Err(self.refuse(node, format!("a peer has {} at once", own.join(" and ")), &hint)),
        }
    }

    fn peer_of(&self, field: &str, node: &Node) -> Result<PeerShape, Problem> {
        let Some(value) = node.get(field) else { return Ok(PeerShape::Unknown(field.to_owned())) };
        match field {
            "namespaces" if self.is_old(value) => self.old_namespaces(value, Selector::everything()),
            "namespaces" => self.selector(value).map(PeerShape::Namespaces),
            "pods" => match present(value, "namespaces").filter(|_| self.has_old_shape()) {
                Some(namespaces) => {
                    let pods = present(value, "podSelector").map(|pods| self.selector(pods));
                    self.old_namespaces(namespaces, pods.transpose()?.unwrap_or_default())
                }
                None => self.pods(value).map(PeerShape::Pods),
            },
            "nodes" => self.selector(value).map(PeerShape::Nodes),
            "networks" => self.networks(node).map(PeerShape::Networks),
            _ => self.domains(node).map(PeerShape::Domains),
        }
    }

    fn has_old_shape(&self) -> bool {
        self.dialect.ports == PortList::Ports
    }

    /// Releases up to v0.1.1 wrote namespaces one level deeper, or by labels shared with the subject.
    fn is_old(&self, node: &Node) -> bool {
        const OLD: &[&str] = &["namespaceSelector", "sameLabels", "notSameLabels"];
        self.has_old_shape() && present_fields(node).any(|field| OLD.contains(&field))
    }

    fn old_namespaces(&self, node: &Node, pods: Selector) -> Result<PeerShape, Problem> {
        let fields: Vec<&str> = present_fields(node).collect();
        match (fields.as_slice(), present(node, "namespaceSelector")) {
            (["namespaceSelector"], Some(selector)) => {
                let namespaces = Namespaces::Matching(self.selector(selector)?);
                Ok(PeerShape::Pods(Selection::pods(namespaces, pods)))
            }
            (["sameLabels" | "notSameLabels"], _) => Ok(PeerShape::Unknown(fields.join(", "))),
            _ => {
                let hint =
                    "this old shape has exactly one of namespaceSelector, sameLabels and notSameLabels";
                Err(self.refuse(node, "namespaces of a peer are said in no way or in several", hint))
            }
        }
    }

    fn networks(&self, node: &Node) -> Result<AddressSet, Problem> {
        let hint = "write an address and a prefix length: 10.0.0.0/8 or 2001:db8::/32";
        let range = |(item, text): (&Node, &str)| {
            let mixed = text.contains(':') && text.contains('.');
            AddressRange::from_cidr(text)
                .filter(|_| !mixed)
                .ok_or_else(|| self.refuse(item, format!("{text:?} is not a CIDR"), hint))
        };
        self.texts(node, "networks")?.into_iter().map(range).collect()
    }

    fn domains(&self, node: &Node) -> Result<Vec<DomainPattern>, Problem> {
        let pattern = |(item, text): (&Node, &str)| {
            let (below, name) = match text.strip_prefix("*.") {
                Some(name) => (true, name),
                None => (false, text),
            };
            let hint = "a full name such as example.com, or *.example.com for the names below it";
            match (is_domain(name), below) {
                (false, _) => Err(self.refuse(item, format!("{text:?} is no domain name"), hint)),
                (true, true) => Ok(DomainPattern::below(name)),
                (true, false) => Ok(DomainPattern::exact(name)),
            }
        };
        self.texts(node, "domainNames")?.into_iter().map(pattern).collect()
    }

    /// A list of 1 to 25 texts, each of which stands there once.
    fn texts<'n>(&self, node: &'n Node, field: &str) -> Result<Vec<(&'n Node, &'n str)>, Problem> {
        let items = self.list(node, field, 25)?;
        let mut seen = BTreeSet::new();
        let mut texts = Vec::new();
        for item in items {
            let Some(text) = item.text() else {
                return Err(self.refuse(item, format!("{field} holds something that is no text"), ""));
            };
            if !seen.insert(text) {
                return Err(self.refuse(item, format!("{field} holds {text} twice"), "remove one of them"));
            }
            texts.push((item, text));
        }
        match texts.is_empty() {
            true => Err(self.refuse(node, format!("{field} is empty"), "list one item at least")),
            false => Ok(texts),
        }
    }
}

/// Names of the fields that are not null.
fn present_fields(node: &Node) -> impl Iterator<Item = &str> {
    node.fields().iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| &**name)
}

/// Two labels or more of letters, digits, `-` and `_`, with letters or digits at their ends, and
/// perhaps a dot behind (the pattern of `DomainName`).
fn is_domain(name: &str) -> bool {
    let labels: Vec<&str> = name.strip_suffix('.').unwrap_or(name).split('.').collect();
    let outer = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let label = |label: &&str| {
        let bytes = label.as_bytes();
        let inner = bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        inner && outer(bytes.first()) && outer(bytes.last())
    };
    labels.len() >= 2 && labels.iter().all(label)
}

#[cfg(test)]
mod tests {
    use super::is_domain;

    #[test]
    fn a_domain_has_two_labels_at_least_and_no_star_inside() {
        assert!(is_domain("example.com") && is_domain("a_b.Example.com."));
        assert!(!is_domain("localhost") && !is_domain("a.*.com") && !is_domain("a..com"));
        assert!(!is_domain("-a.com") && !is_domain("") && !is_domain("."));
    }
}
