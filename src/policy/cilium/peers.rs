//! The other ends of an entry: endpoints, entities, blocks, nodes, services, names.

use super::super::{Peer, Peers, Selection, ServiceChoice, Services};
use super::entities::{self, ENTITIES, Entity, Meant};
use super::labels::Reserved;
use super::lower::{Context, Learning};
use super::settings;
use super::wire::{CidrRule, DnsName, Effect, Entry, LabelledServices, NamedService, ServiceRef, field};
use crate::model::{AddressRange, AddressSet, Bend, Condition, DomainPattern, Labels, Problem};
use crate::policy::Direction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// Other ends, with what is asked of them that peers cannot say.
pub struct Part {
    /// Whom.
    pub peers: Peers,
    /// Which of them.
    pub condition: Option<Condition>,
    /// Whether `fromRequires` and `toRequires` narrow it.
    pub family: Family,
}

/// From which kind of field peers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `fromEndpoints`, `toEndpoints`.
    Endpoints,
    /// Any other.
    Other,
}

/// CiliumCIDRGroups by name: their labels and blocks.
pub type CidrGroups = BTreeMap<String, (Labels, AddressSet)>;

/// Fields of peers without their first word, in the order of the API.
const FIELDS: &[&str] = &["Endpoints", "CIDR", "CIDRSet", "Entities", "Nodes", "Groups", "Services", "FQDNs"];

/// Fields whose empty list is the same as none.
const UNSAID_WHERE_EMPTY: &[&str] = &["Groups", "Services", "FQDNs"];

/// What an entry says on peers; `None` where it says nothing.
///
/// # Errors
/// A combination or value for which the agent refuses the whole object.
pub fn parts(context: &mut Context<'_>, entry: &Entry<'_>) -> Result<Option<Vec<Part>>, Problem> {
    let allowed = |name: &&&str| {
        let only_to = ["Services", "FQDNs"].contains(*name);
        let fits = !only_to || entry.direction == Direction::Egress;
        fits && !(**name == "FQDNs" && entry.effect == Effect::Denies)
    };
    let names = FIELDS.iter().filter(allowed).map(|name| (*name, format!("{}{name}", entry.word())));
    let filled = |full: &str| !entry.node.items_of(full).is_empty();
    let is_blank = |full: &str| entry.node.get(full).is_some_and(|node| node.is_null());
    let said = |(name, full): &(&str, String)| {
        let counts = is_blank(full) || filled(full) || !UNSAID_WHERE_EMPTY.contains(name);
        counts && entry.node.get(full).is_some()
    };
    let there: Vec<(&str, String)> = names.filter(said).collect();
    let used: Vec<&String> = there.iter().map(|(_, full)| full).filter(|full| filled(full)).collect();
    if let [first, second, ..] = used.as_slice() {
        let message = format!("{first} stands beside {second} in one entry");
        return Err(context.refuse(entry.line_of(second), message, "give each an entry of its own"));
    }
    if there.is_empty() {
        return Ok(None);
    }
    let family =
        if there.iter().any(|(name, _)| *name == "Endpoints") { Family::Endpoints } else { Family::Other };
    let mut meant = Meant::default();
    // What is blank is refused where its field is read.
    let reads_on = |(name, full): &(&str, String)| is_blank(full) || UNSAID_WHERE_EMPTY.contains(name);
    if there.len() > used.len() && !there.iter().any(reads_on) {
        // One empty list is enough for naming nobody.
        return Ok(Some(meant.parts(family)));
    }
    for (name, full) in &there {
        match *name {
            "Endpoints" => endpoints(context, entry, full, &mut meant)?,
            "CIDR" => blocks(context, entry, full, &mut meant)?,
            "CIDRSet" => block_sets(context, entry, full, &mut meant)?,
            "Entities" => entity_words(context, entry, full, &mut meant)?,
            "Nodes" => nodes(context, entry, full, &mut meant)?,
            // Groups of a cloud are blocks that nobody told; the table of fields has a gap for them.
            "Groups" => drop(field::<Vec<IgnoredAny>>(entry.node, full, &context.origin)?),
            "Services" if entry.effect == Effect::Denies => undenied(context, entry, full),
            "Services" => {
                if services(context, entry, full, &mut meant)? == Found::Nothing {
                    return Ok(nowhere(context, entry, full));
                }
            }
            _ => names_of(context, entry, full, &mut meant)?,
        }
    }
    Ok(Some(meant.parts(family)))
}

/// The agent puts endpoints in the place of services in allowing entries alone.
fn undenied(context: &mut Context<'_>, entry: &Entry<'_>, name: &str) {
    let what = "Cilium does not look up toServices of a denying entry: it was taken for denying nothing";
    context.gap(&entry.place, entry.line_of(name), what, Bend::MayAllowLess);
}

/// What an entry means whose services lead nowhere: the agent puts their endpoints in the place of
/// `toServices`, and where there are none it sees an entry that says nothing on peers.
fn nowhere(context: &mut Context<'_>, entry: &Entry<'_>, name: &str) -> Option<Vec<Part>> {
    let says_ports = ["toPorts", "icmps"].iter().any(|list| !entry.node.items_of(list).is_empty());
    if !says_ports {
        return Some(Meant::default().parts(Family::Other));
    }
    let what = "no service that toServices names is among the documents with endpoints or a selector: \
                as long as that is so, Cilium lets these ports out to everybody";
    context.gap(&entry.place, entry.line_of(name), what, Bend::MayAllowLess);
    None
}

fn endpoints(
    context: &mut Context<'_>,
    entry: &Entry<'_>,
    name: &str,
    meant: &mut Meant,
) -> Result<(), Problem> {
    let selectors: Vec<LabelSelector> = field(entry.node, name, &context.origin)?.unwrap_or_default();
    for (index, selector) in selectors.into_iter().enumerate() {
        let line = item_line(entry, name, index);
        let terms = context.terms(selector, line)?;
        let (selection, reserved) = terms.peers(&context.scope, context.cluster());
        meant.peers.push(Peer::Endpoints(selection));
        if reserved == Reserved::None && !context.is_about_init {
            continue;
        }
        let allows = entry.effect == Effect::Allows;
        let local = settings::means_own_cluster(context.dataplane).unwrap_or(!allows);
        let pods_alone = reserved != Reserved::ByLabels && local;
        let nodes_too = allows && settings::nodes_have_labels(context.dataplane);
        for entity in entities::fitting(&terms, context.dataplane, entry.effect) {
            let is_node = matches!(entity, Entity::Host | Entity::RemoteNode);
            if pods_alone && !(nodes_too && is_node) {
                continue;
            }
            meant.entity(entity);
            say(context, entry, line, entity);
        }
    }
    Ok(())
}

fn entity_words(
    context: &mut Context<'_>,
    entry: &Entry<'_>,
    name: &str,
    meant: &mut Meant,
) -> Result<(), Problem> {
    let words: Vec<String> = field(entry.node, name, &context.origin)?.unwrap_or_default();
    for (index, word) in words.iter().enumerate() {
        let line = item_line(entry, name, index);
        let Some(entity) = entities::named(word, context.dataplane) else {
            let known: Vec<&str> = ENTITIES.iter().map(|(known, _)| *known).collect();
            let hint = format!("one of {}", known.join(", "));
            return Err(context.refuse(line, format!("entity {word:?} is not known"), &hint));
        };
        meant.entity(entity);
        say(context, entry, line, entity);
    }
    Ok(())
}

/// What nobody can know of an entity.
fn say(context: &mut Context<'_>, entry: &Entry<'_>, line: u32, entity: Entity) {
    let what = match entity {
        Entity::Elsewhere(Some(what)) => what,
        Entity::ClusterMesh => "endpoints and nodes of other clusters are not in the graph",
        Entity::ApiServer if !context.facts.api_server_is_known => {
            "the addresses of the API server are not known: there is no Service default/kubernetes with endpoints"
        }
        _ => return,
    };
    context.gap(&entry.place, line, what, bends(entry));
}

/// Peers that are not known: what an entry for them allows or denies is missing from the graph.
fn bends(entry: &Entry<'_>) -> Bend {
    match entry.effect {
        Effect::Allows => Bend::MayAllowMore,
        Effect::Denies => Bend::MayAllowLess,
    }
}

fn item_line(entry: &Entry<'_>, name: &str, index: usize) -> u32 {
    entry.node.items_of(name).get(index).map_or(entry.node.line, |node| node.line)
}

/// A block: an address and a prefix length.
pub fn block(text: &str) -> Option<AddressRange> {
    AddressRange::from_cidr(text)
}

fn blocks(
    context: &mut Context<'_>,
    entry: &Entry<'_>,
    name: &str,
    meant: &mut Meant,
) -> Result<(), Problem> {
    let texts: Vec<String> = field(entry.node, name, &context.origin)?.unwrap_or_default();
    for (index, text) in texts.iter().enumerate() {
        let Some(range) = block(text) else {
            let hint = "write an address and a prefix length, for a single address too: 192.0.2.1/32";
            return Err(context.refuse(item_line(entry, name, index), format!("{text:?} is no CIDR"), hint));
        };
        meant.peers.push(Peer::Addresses([range].into_iter().collect()));
    }
    Ok(())
}

fn block_sets(
    context: &mut Context<'_>,
    entry: &Entry<'_>,
    name: &str,
    meant: &mut Meant,
) -> Result<(), Problem> {
    let rules: Vec<CidrRule> = field(entry.node, name, &context.origin)?.unwrap_or_default();
    for (index, rule) in rules.into_iter().enumerate() {
        let line = item_line(entry, name, index);
        let set = block_set(context, entry, rule, line)?;
        if !set.is_empty() {
            meant.peers.push(Peer::Addresses(set));
        }
    }
    Ok(())
}

fn block_set(
    context: &mut Context<'_>,
    entry: &Entry<'_>,
    rule: CidrRule,
    line: u32,
) -> Result<AddressSet, Problem> {
    let CidrRule { cidr, cidr_group_ref, cidr_group_selector, except } = rule;
    let hint = "write an address and a prefix length: 10.0.0.0/8 or 2001:db8::/32";
    let cidr = cidr.filter(|text| !text.is_empty());
    let group = cidr_group_ref.filter(|name| !name.is_empty());
    let mut within = None;
    let whole = match (cidr, group, cidr_group_selector) {
        (Some(text), None, None) => {
            let range =
                block(&text).ok_or_else(|| context.refuse(line, format!("{text:?} is no CIDR"), hint))?;
            within = Some((range, text));
            [range].into_iter().collect()
        }
        (None, Some(name), None) => match context.facts.groups.get(&name) {
            Some((_, set)) => set.clone(),
            None => {
                let what = format!("there is no CiliumCIDRGroup {name:?} among the documents");
                context.gap(&entry.place, line, what, bends(entry));
                AddressSet::none()
            }
        },
        (None, None, Some(selector)) => {
            let labels = context.terms(selector, line)?.nodes();
            let chosen = context.facts.groups.values().filter(|(own, _)| labels.matches(own));
            chosen.fold(AddressSet::none(), |all, (_, set)| all.union(set))
        }
        _ => {
            let message = "an item needs one of cidr, cidrGroupRef and cidrGroupSelector";
            return Err(context.refuse(line, message, "give each an item of its own"));
        }
    };
    let mut left = whole;
    let except = except.unwrap_or_default();
    if within.is_none() && !except.is_empty() {
        let what = "except was taken away from a group of blocks, which not every version does";
        context.gap(&entry.place, line, what, bends(entry));
    }
    for text in except {
        let hole = block(&text).ok_or_else(|| context.refuse(line, format!("{text:?} is no CIDR"), hint))?;
        if let Some((range, cidr)) = &within
            && !(range.contains(hole.first) && range.contains(hole.last))
        {
            let message = format!("except {text} is not inside {cidr}");
            return Err(context.refuse(line, message, "an except is a part of its cidr"));
        }
        left = left.difference(&[hole].into_iter().collect());
    }
    Ok(left)
}

fn nodes(context: &mut Context<'_>, entry: &Entry<'_>, name: &str, meant: &mut Meant) -> Result<(), Problem> {
    let selectors: Vec<LabelSelector> = field(entry.node, name, &context.origin)?.unwrap_or_default();
    let line = entry.line_of(name);
    if !selectors.is_empty() && !settings::nodes_have_labels(context.dataplane) {
        if settings::are_known(context.dataplane) {
            let hint = "the agent refuses the object unless enable-node-selector-labels is true";
            return Err(context.refuse(line, format!("{name} without labels of nodes"), hint));
        }
        let what = format!(
            "{name} needs enable-node-selector-labels, and the settings are not known: without it the agent refuses \
             the object, which is taken for closing nothing"
        );
        context.may_be_refused = true;
        context.gap(&entry.place, line, what, Bend::MayAllowLess);
    }
    for (index, selector) in selectors.into_iter().enumerate() {
        let selector = context.terms(selector, item_line(entry, name, index))?.nodes();
        meant.nodes(selector);
    }
    Ok(())
}

/// Whether services lead anywhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Something,
    Nothing,
}

/// The version since which services with a selector mean the pods behind them.
const SERVICES_WITH_SELECTOR: (u32, u32) = (1, 17);

fn services(
    context: &mut Context<'_>,
    entry: &Entry<'_>,
    name: &str,
    meant: &mut Meant,
) -> Result<Found, Problem> {
    let references: Vec<ServiceRef> = field(entry.node, name, &context.origin)?.unwrap_or_default();
    let mut found = Found::Nothing;
    for (index, reference) in references.into_iter().enumerate() {
        let line = item_line(entry, name, index);
        let ServiceRef { k8s_service, k8s_service_selector } = reference;
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let services = match (k8s_service, k8s_service_selector) {
            (_, Some(LabelledServices { selector, namespace })) => {
                let labels = context.terms(selector.unwrap_or_default(), line)?.nodes();
                Services { namespace: some(namespace), chosen: ServiceChoice::Labelled(labels) }
            }
            (Some(NamedService { service_name, namespace }), None) => {
                let chosen = ServiceChoice::Named(service_name.unwrap_or_default());
                Services { namespace: some(namespace), chosen }
            }
            (None, None) => {
                let message = "an item needs k8sService or k8sServiceSelector";
                return Err(context.refuse(line, message, "name the service or its labels"));
            }
        };
        let old = context.dataplane.version.is_some_and(|version| version < SERVICES_WITH_SELECTOR);
        if context.facts.leads_somewhere(&services, old) {
            found = Found::Something;
        }
        let backends = Peer::Backends(services);
        meant.peers.push(match old {
            true => Peer::All(vec![backends, Peer::Not(Box::new(Peer::Endpoints(Selection::all_pods())))]),
            false => backends,
        });
    }
    Ok(found)
}

fn names_of(
    context: &mut Context<'_>,
    entry: &Entry<'_>,
    name: &str,
    meant: &mut Meant,
) -> Result<(), Problem> {
    let names: Vec<DnsName> = field(entry.node, name, &context.origin)?.unwrap_or_default();
    let mut patterns = Vec::new();
    for (index, dns) in names.into_iter().enumerate() {
        patterns.push(pattern(context, dns, item_line(entry, name, index))?);
    }
    let line = entry.line_of(name);
    match context.learning {
        Learning::Certain => meant.peers.push(Peer::Domains(patterns)),
        Learning::Possible => {
            let what = "toFQDNs counts only for endpoints whose DNS answers pass the DNS proxy, \
                        and the rule for that selects others, or these in part";
            context.gap(&entry.place, line, what, Bend::MayAllowLess);
            meant.peers.push(Peer::Domains(patterns));
        }
        Learning::Nothing => {
            let what = "toFQDNs allows nothing: no rule with rules.dns lets the DNS proxy see the answers \
                        that these endpoints get";
            context.gap(&entry.place, line, what, Bend::MayAllowMore);
        }
    }
    Ok(())
}

fn pattern(context: &Context<'_>, name: DnsName, line: u32) -> Result<DomainPattern, Problem> {
    let DnsName { match_name, match_pattern } = name;
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    let fits = |text: &str, more: &[u8]| {
        text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b) || more.contains(&b))
    };
    let hint = "letters, digits, -, _ and ., in a matchPattern also *";
    match (some(match_name), some(match_pattern)) {
        (Some(name), None) if fits(&name, b"") => Ok(DomainPattern::exact(&name)),
        (None, Some(pattern)) if fits(&pattern, b"*") => Ok(match pattern.strip_prefix("**.") {
            Some(rest) if !rest.contains('*') => DomainPattern::below(rest),
            _ if pattern == "*" => DomainPattern::Any,
            _ => DomainPattern::within_labels(&pattern),
        }),
        (Some(text), None) | (None, Some(text)) => {
            Err(context.refuse(line, format!("{text:?} is no DNS name or pattern"), hint))
        }
        _ => Err(context.refuse(line, "an item needs one of matchName and matchPattern", hint)),
    }
}
