//! Additions as YAML that can be applied: a rule for a policy, or a whole NetworkPolicy.

use crate::graph::{Direction, Namespaces, Peer, Selection};
use crate::model::{AddressRange, PortSet, Protocol, Requirement, Selector, TrafficSet};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;

/// A NetworkPolicy that selects the subject, and allows the peer where one is given. `None` where
/// NetworkPolicy has no words for one of them.
pub(super) fn policy(
    direction: Direction,
    [namespace, name]: [&str; 2],
    subject: &Selection,
    peer: Option<&Peer>,
    traffic: &TrafficSet,
) -> Option<String> {
    let (kind, list) = words(direction);
    let mut text = head([namespace, name], subject)?;
    let _ = writeln!(text, "  policyTypes: [{kind}]");
    match peer {
        None => {
            let _ = writeln!(text, "  {list}: []  # name here who else is needed");
        }
        Some(peer) => {
            let _ = writeln!(text, "  {list}:");
            for line in rule(direction, peer, traffic)?.lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
    Some(text)
}

/// A NetworkPolicy up to its `podSelector`.
fn head([namespace, name]: [&str; 2], subject: &Selection) -> Option<String> {
    let (name, namespace) = (scalar(name), scalar(namespace));
    let selector = selector(&subject.endpoints)?;
    Some(format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
         metadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  podSelector: {selector}\n"
    ))
}

/// How a direction is called in `policyTypes`, and where its rules stand.
fn words(direction: Direction) -> (&'static str, &'static str) {
    match direction {
        Direction::Ingress => ("Ingress", "ingress"),
        Direction::Egress => ("Egress", "egress"),
    }
}

/// What a NetworkPolicy says of one direction.
pub(super) struct Side {
    pub direction: Direction,
    pub items: Vec<Item>,
}

/// A rule as it is written.
pub(super) struct Item {
    /// What stands above it, a comment a line; may be empty.
    pub comment: String,
    /// As [`rule_of`] gives it.
    pub rule: String,
}

/// A NetworkPolicy with its rules.
pub(super) fn whole(name: [&str; 2], subject: &Selection, sides: &[Side]) -> Option<String> {
    let mut text = head(name, subject)?;
    let kinds: Vec<&str> = sides.iter().map(|side| words(side.direction).0).collect();
    let _ = writeln!(text, "  policyTypes: [{}]", kinds.join(", "));
    for Side { direction, items } in sides {
        let _ = writeln!(text, "  {}:", words(*direction).1);
        for Item { comment, rule } in items {
            comment.lines().for_each(|line| {
                let _ = writeln!(text, "  # {}", remark(line));
            });
            rule.lines().for_each(|line| {
                let _ = writeln!(text, "  {line}");
            });
        }
    }
    Some(text)
}

/// One item of `spec.ingress` or `spec.egress` of a NetworkPolicy.
pub(super) fn rule(direction: Direction, peer: &Peer, traffic: &TrafficSet) -> Option<String> {
    rule_of(direction, std::slice::from_ref(peer), traffic)
}

/// The same for several peers.
pub(super) fn rule_of(direction: Direction, all: &[Peer], traffic: &TrafficSet) -> Option<String> {
    let side = match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let mut text = format!("- {side}:\n");
    for peer in all {
        for line in peers(peer)? {
            let _ = writeln!(text, "  {line}");
        }
    }
    let ports = ports(traffic)?;
    if !ports.is_empty() {
        text.push_str("  ports:\n");
        ports.iter().for_each(|port| {
            let _ = writeln!(text, "  - {port}");
        });
    }
    Some(text)
}

fn peers(peer: &Peer) -> Option<Vec<String>> {
    match peer {
        Peer::Endpoints(selection) => {
            let namespaces = match &selection.namespaces {
                Namespaces::Named(name) => {
                    format!("{{matchLabels: {{kubernetes.io/metadata.name: {}}}}}", scalar(name))
                }
                Namespaces::Matching(matching) => selector(matching)?,
            };
            let pods = selector(&selection.endpoints)?;
            Some(vec![format!("- namespaceSelector: {namespaces}"), format!("  podSelector: {pods}")])
        }
        Peer::Addresses(set) => {
            let blocks = set.ranges().iter().flat_map(cidrs);
            Some(blocks.map(|cidr| format!("- ipBlock: {{cidr: \"{cidr}\"}}")).collect())
        }
        _ => None,
    }
}

/// The blocks that cover a range exactly.
fn cidrs(range: &AddressRange) -> Vec<String> {
    match (range.first, range.last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            ipnet::Ipv4Subnets::new(first, last, 0).map(|net| net.to_string()).collect()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            ipnet::Ipv6Subnets::new(first, last, 0).map(|net| net.to_string()).collect()
        }
        _ => Vec::new(),
    }
}

/// `None` for what has no ports: NetworkPolicy speaks of TCP, UDP and SCTP, or of everything.
fn ports(traffic: &TrafficSet) -> Option<Vec<String>> {
    if traffic.is_all() {
        return Some(Vec::new());
    }
    if !traffic.portless.is_empty() {
        return None;
    }
    let of = |protocol: Protocol| intervals(protocol, traffic.ports(protocol));
    Some(Protocol::ALL.into_iter().flat_map(of).collect())
}

fn intervals(protocol: Protocol, ports: &PortSet) -> Vec<String> {
    if ports.is_all() {
        return vec![format!("{{protocol: {protocol}}}")];
    }
    let one = |(first, last): &(u16, u16)| match first == last {
        true => format!("{{protocol: {protocol}, port: {first}}}"),
        false => format!("{{protocol: {protocol}, port: {first}, endPort: {last}}}"),
    };
    ports.intervals().iter().map(one).collect()
}

fn selector(selector: &Selector) -> Option<String> {
    let pair = |requirement: &Requirement| match requirement {
        Requirement::In(key, values) if values.len() == 1 && !key.starts_with('@') => {
            Some(format!("{}: {}", scalar(key), scalar(&values[0])))
        }
        _ => None,
    };
    let pairs: Vec<String> = selector.requirements.iter().map(pair).collect::<Option<_>>()?;
    Some(match pairs.is_empty() {
        true => "{}".to_owned(),
        false => format!("{{matchLabels: {{{}}}}}", pairs.join(", ")),
    })
}

/// Text as it may stand in a comment: nothing in it ends the line (YAML 1.1 §5.4 knows more breaks
/// than YAML 1.2), nor is a character that YAML has no place for.
pub(super) fn remark(text: &str) -> Cow<'_, str> {
    match text.chars().all(is_shown) {
        true => Cow::Borrowed(text),
        false => text.chars().map(|c| if is_shown(c) { c } else { char::REPLACEMENT_CHARACTER }).collect(),
    }
}

fn is_shown(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}'..='\u{ffff}')
}

/// Plain where YAML reads it as text, quoted otherwise.
fn scalar(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
    let word = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let known = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    match word && text.bytes().all(plain) && !known.contains(&text.to_ascii_lowercase().as_str()) {
        true => text.to_owned(),
        false => format!("\"{}\"", text.chars().map(escaped).collect::<String>()),
    }
}

/// A character inside of double quotes.
fn escaped(character: char) -> String {
    match character {
        '\\' | '"' => format!("\\{character}"),
        shown if is_shown(shown) => shown.to_string(),
        other => format!("\\U{:08x}", u32::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_reads_otherwise_is_quoted() {
        assert_eq!(scalar("web-1"), "web-1");
        assert_eq!(scalar("a\n\"b\"\u{85}"), "\"a\\U0000000a\\\"b\\\"\\U00000085\"");
        assert_eq!(remark("a\n---\r\u{2028}b: é"), "a\u{fffd}---\u{fffd}\u{fffd}b: é");
        assert_eq!(
            (scalar("on"), scalar("1.5"), scalar("")),
            ("\"on\"".into(), "\"1.5\"".into(), "\"\"".into())
        );
    }

    #[test]
    fn a_range_becomes_the_blocks_that_cover_it() {
        let range = AddressRange::from_cidr("10.0.0.0/24").expect("a block");
        let less = AddressRange { last: "10.0.0.191".parse().expect("an address"), ..range };
        assert_eq!(cidrs(&range), ["10.0.0.0/24"]);
        assert_eq!(cidrs(&less), ["10.0.0.0/25", "10.0.0.128/26"]);
    }

    #[test]
    fn icmp_has_no_words_in_a_network_policy() {
        let icmp = TrafficSet::portless(crate::model::IpProtocols::of(1));
        assert_eq!(ports(&icmp), None);
    }
}
