//! Cilium policies as users write them: typed shapes, and how they are read out of a document.
//!
//! `from…` and `to…` fields have one shape; which of the two an entry may have depends on the list
//! that it stands in, so entries are read with that word.

use crate::model::{Document, Node, Origin, Problem};
use crate::policy::Direction;
use crate::policy::kubernetes::wire::refusal;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// One rule of an object: `spec`, or an item of `specs`.
pub struct Spec<'a> {
    /// Where it stands: empty for `spec`, `specs[2].` for an item.
    pub place: String,
    /// The rule itself.
    pub node: &'a Node,
    /// `endpointSelector`.
    pub endpoints: Option<LabelSelector>,
    /// `nodeSelector`.
    pub nodes: Option<LabelSelector>,
    /// `enableDefaultDeny`.
    pub default_deny: DefaultDeny,
    /// The entries of all four lists.
    pub entries: Vec<Entry<'a>>,
}

/// `enableDefaultDeny`: whether subjects of the rule are isolated; they are where nothing is said.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct DefaultDeny {
    /// For ingress.
    pub ingress: Option<bool>,
    /// For egress.
    pub egress: Option<bool>,
}

/// An item of `ingress`, `ingressDeny`, `egress` or `egressDeny`.
pub struct Entry<'a> {
    /// For which direction.
    pub direction: Direction,
    /// Whether it allows or denies.
    pub effect: Effect,
    /// `ingress[0]`, with the place of the rule before it.
    pub place: String,
    /// The entry itself.
    pub node: &'a Node,
}

/// What an entry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It lets through.
    Allows,
    /// It drops, whatever others allow.
    Denies,
}

/// `toPorts[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortRule {
    /// Ports; any of them.
    pub ports: Option<Vec<PortProtocol>>,
    /// What is asked above packets.
    pub rules: Option<L7Rules>,
    /// TLS server names.
    pub server_names: Option<Vec<String>>,
    /// A proxy of one's own.
    pub listener: Option<IgnoredAny>,
    /// TLS that the proxy ends.
    #[serde(rename = "terminatingTLS")]
    pub terminating_tls: Option<IgnoredAny>,
}

/// `toPorts[].ports[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortProtocol {
    /// A number or name in quotes.
    pub port: Option<String>,
    /// The last port of a range.
    pub end_port: Option<i64>,
    /// In capitals; `ANY` where absent.
    pub protocol: Option<String>,
}

/// `toPorts[].rules`: one of these.
#[derive(Debug, Default, Deserialize)]
pub struct L7Rules {
    /// Requests, any of them.
    pub http: Option<Vec<HttpRule>>,
    /// Kafka requests.
    pub kafka: Option<Vec<IgnoredAny>>,
    /// Names that may be asked for.
    pub dns: Option<Vec<DnsName>>,
    /// A parser of one's own.
    pub l7proto: Option<String>,
    /// What that parser asks.
    pub l7: Option<Vec<IgnoredAny>>,
}

/// `toPorts[].rules.http[]`; all that is given must hold.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRule {
    /// A regular expression.
    pub path: Option<String>,
    /// A regular expression.
    pub method: Option<String>,
    /// A regular expression.
    pub host: Option<String>,
    /// Headers that must be there.
    pub headers: Option<Vec<String>>,
    /// Headers with values.
    pub header_matches: Option<Vec<HeaderMatch>>,
}

/// `toPorts[].rules.http[].headerMatches[]`; the value and the secret that holds it are not read.
#[derive(Debug, Deserialize)]
pub struct HeaderMatch {
    /// Name of the header.
    pub name: String,
    /// What is done where it does not match; the request is refused where nothing is said.
    pub mismatch: Option<String>,
}

/// `toFQDNs[]` and `toPorts[].rules.dns[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsName {
    /// One name.
    pub match_name: Option<String>,
    /// A pattern.
    pub match_pattern: Option<String>,
}

/// `fromCIDRSet[]`, `toCIDRSet[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CidrRule {
    /// A block.
    pub cidr: Option<String>,
    /// A CiliumCIDRGroup by name.
    pub cidr_group_ref: Option<String>,
    /// CiliumCIDRGroups by labels.
    pub cidr_group_selector: Option<LabelSelector>,
    /// Blocks taken away.
    pub except: Option<Vec<String>>,
}

/// `toServices[]`: one of these.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// By name.
    pub k8s_service: Option<NamedService>,
    /// By labels.
    pub k8s_service_selector: Option<LabelledServices>,
}

/// `toServices[].k8sService`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedService {
    /// Name.
    pub service_name: Option<String>,
    /// Namespace; any where absent.
    pub namespace: Option<String>,
}

/// `toServices[].k8sServiceSelector`.
#[derive(Debug, Deserialize)]
pub struct LabelledServices {
    /// Labels of the services.
    pub selector: Option<LabelSelector>,
    /// Namespace; any where absent.
    pub namespace: Option<String>,
}

/// `icmps[]`.
#[derive(Debug, Deserialize)]
pub struct IcmpRule {
    /// Messages; any of them.
    pub fields: Option<Vec<IcmpField>>,
}

/// `icmps[].fields[]`.
#[derive(Debug, Deserialize)]
pub struct IcmpField {
    /// `IPv4` where absent, or `IPv6`.
    pub family: Option<String>,
    /// A number or a name.
    #[serde(rename = "type")]
    pub kind: IntOrString,
}

/// `authentication`.
#[derive(Debug, Deserialize)]
pub struct Authentication {
    /// `disabled`, `required` or `test-always-fail`.
    pub mode: String,
}

/// The four lists with what they mean and the word that begins the fields of their peers.
pub const LISTS: &[(&str, Direction, Effect)] = &[
    ("ingress", Direction::Ingress, Effect::Allows),
    ("ingressDeny", Direction::Ingress, Effect::Denies),
    ("egress", Direction::Egress, Effect::Allows),
    ("egressDeny", Direction::Egress, Effect::Denies),
];

/// The rules of an object.
///
/// # Errors
/// A value that does not fit its field, or an object without any rule.
pub fn specs<'a>(document: &'a Document, origin: &Origin) -> Result<Vec<Spec<'a>>, Problem> {
    let body = &document.body;
    let there = |node: &&Node| !node.is_null();
    let mut specs = Vec::new();
    if let Some(node) = body.get("spec").filter(there) {
        specs.push(spec(node, String::new(), origin)?);
    }
    for (index, node) in body.items_of("specs").iter().enumerate() {
        specs.push(spec(node, format!("specs[{index}]."), origin)?);
    }
    match specs.is_empty() {
        true => Err(refusal(origin, 0, "there is neither spec nor specs", "write one rule under spec")),
        false => Ok(specs),
    }
}

fn spec<'a>(node: &'a Node, place: String, origin: &Origin) -> Result<Spec<'a>, Problem> {
    let mut entries = Vec::new();
    for (list, direction, effect) in LISTS {
        let Some(items) = node.get(list) else { continue };
        if items.is_null() {
            return Err(blank(origin, items, &format!("{place}{list}")));
        }
        if !matches!(items.value, crate::model::Value::List(_)) {
            let message = format!("{place}{list} is not a list");
            return Err(refusal(origin, items.line, message, "write its entries with a dash before each"));
        }
        entries.extend(items.items().iter().enumerate().map(|(index, node)| Entry {
            direction: *direction,
            effect: *effect,
            place: format!("{place}{list}[{index}]"),
            node,
        }));
    }
    Ok(Spec {
        endpoints: field(node, "endpointSelector", origin)?,
        nodes: field(node, "nodeSelector", origin)?,
        default_deny: field(node, "enableDefaultDeny", origin)?.unwrap_or_default(),
        place,
        node,
        entries,
    })
}

/// A typed field; `None` where it is absent.
///
/// # Errors
/// The value that does not fit, with its line; nothing behind a key is such a value.
pub fn field<T: DeserializeOwned>(node: &Node, name: &str, origin: &Origin) -> Result<Option<T>, Problem> {
    let Some(value) = node.get(name) else { return Ok(None) };
    if value.is_null() {
        return Err(blank(origin, value, name));
    }
    value.read().map(Some).map_err(|misfit| {
        let hint = "quote values that look like numbers or truth values: port: \"80\"";
        refusal(origin, misfit.line, format!("{name}: {}", misfit.message), hint)
    })
}

/// The API server takes no null for what has a type.
fn blank(origin: &Origin, value: &Node, name: &str) -> Problem {
    let hint = "remove the key, or write what it should hold: an empty list is []";
    refusal(origin, value.line, format!("there is nothing behind {name}"), hint)
}

impl Entry<'_> {
    /// `from` or `to`: what the fields of peers begin with.
    pub fn word(&self) -> &'static str {
        match self.direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        }
    }

    /// The line of a field, or of the entry.
    pub fn line_of(&self, name: &str) -> u32 {
        self.node.get(name).map_or(self.node.line, |node| node.line)
    }
}

impl L7Rules {
    /// Whether anything is asked.
    pub fn is_empty(&self) -> bool {
        let L7Rules { http, kafka, dns, l7proto, l7 } = self;
        let none = |length: Option<usize>| length.unwrap_or(0) == 0;
        none(http.as_ref().map(Vec::len))
            && none(kafka.as_ref().map(Vec::len))
            && none(dns.as_ref().map(Vec::len))
            && none(l7.as_ref().map(Vec::len))
            && l7proto.as_ref().is_none_or(String::is_empty)
    }
}
