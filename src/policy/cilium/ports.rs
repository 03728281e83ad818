//! `toPorts`, `icmps` and `authentication`: which traffic an entry means, and what it asks beyond.

use super::super::{PortName, TrafficMatch};
use super::lower::Context;
use super::settings;
use super::wire::{
    Authentication, DnsName, Effect, Entry, HttpRule, IcmpField, IcmpRule, L7Rules, PortProtocol, PortRule,
    field,
};
use crate::model::{Bend, Condition, IpProtocols, Narrowing, PortSet, Problem, Protocol, TrafficSet, names};
use crate::policy::Direction;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Traffic with what is asked of it beyond addresses and ports.
pub struct Part {
    /// The traffic.
    pub traffic: TrafficMatch,
    /// Conditions; all must hold.
    pub conditions: Vec<Condition>,
}

/// Most ports in one list, and most ICMP types (`maxPorts`, `maxICMPFields`).
const MANY: usize = 40;

/// Protocols without ports that `ports[].protocol` may name, with their numbers.
const PORTLESS: &[(&str, u8)] =
    &[("VRRP", 112), ("IGMP", 2), ("GRE", 47), ("IPIP", 4), ("IPV6", 41), ("ESP", 50), ("AH", 51)];

/// The version since which rules for Kafka and for parsers of one's own are no fields any more.
const HTTP_AND_DNS_ALONE: (u32, u32) = (1, 20);

/// What an entry says on ports; `None` where it says nothing, which is different from all ports
/// where it names no peers either.
///
/// # Errors
/// A combination or value for which the agent refuses the whole object.
pub fn parts(context: &mut Context<'_>, entry: &Entry<'_>) -> Result<Option<Vec<Part>>, Problem> {
    let ports: Vec<PortRule> = field(entry.node, "toPorts", &context.origin)?.unwrap_or_default();
    let icmps: Vec<IcmpRule> = field(entry.node, "icmps", &context.origin)?.unwrap_or_default();
    let mut parts = match (ports.is_empty(), icmps.is_empty()) {
        (true, true) => return Ok(None),
        (false, false) => {
            let hint = "write the ICMP types as an entry of their own";
            return Err(context.refuse(entry.line_of("icmps"), "icmps stands beside toPorts", hint));
        }
        (true, false) => icmp(context, entry, icmps)?,
        (false, true) => Vec::new(),
    };
    for (index, rule) in ports.into_iter().enumerate() {
        let line = entry.node.items_of("toPorts").get(index).map_or(entry.node.line, |node| node.line);
        parts.push(port_rule(context, entry, rule, line)?);
    }
    Ok(Some(parts))
}

fn port_rule(
    context: &mut Context<'_>,
    entry: &Entry<'_>,
    rule: PortRule,
    line: u32,
) -> Result<Part, Problem> {
    let PortRule { ports, rules, server_names, listener, terminating_tls } = rule;
    let ports = ports.unwrap_or_default();
    let names = server_names.unwrap_or_default();
    // A denying entry has ports alone; the API server drops the rest.
    let rules = rules.filter(|_| entry.effect == Effect::Allows);
    check_kind(context, rules.as_ref(), line)?;
    let rules = rules.unwrap_or_default();
    check_listener(context, entry, listener.is_some(), &rules, line)?;
    if ports.len() > MANY {
        return Err(context.refuse(line, format!("{} ports in one list", ports.len()), "at most 40"));
    }
    check_l7(context, entry, &rules, &ports, line)?;
    if !names.is_empty() && !rules.is_empty() && terminating_tls.is_none() {
        let hint = "requests inside TLS can only be read where terminatingTLS is set";
        return Err(context.refuse(line, "serverNames stands beside rules", hint));
    }
    if names.iter().any(String::is_empty) {
        return Err(context.refuse(line, "an empty server name", "remove it"));
    }
    let mut conditions = l7(rules);
    if entry.effect == Effect::Allows {
        if !names.is_empty() {
            conditions.push(Condition::ServerNames(names));
        }
        conditions
            .extend(listener.map(|_| Condition::Other("what a listener of one's own lets through".into())));
    }
    // An item without ports means none.
    let mut traffic = TrafficMatch::default();
    for port in ports {
        add_port(context, entry, port, line, &mut traffic)?;
    }
    Ok(Part { traffic, conditions })
}

/// `rules` must be of a kind that the API server knows.
fn check_kind(context: &Context<'_>, rules: Option<&L7Rules>, line: u32) -> Result<(), Problem> {
    let Some(L7Rules { http, kafka, dns, l7proto, l7: _ }) = rules else { return Ok(()) };
    let old = context.dataplane.version.is_some_and(|version| version < HTTP_AND_DNS_ALONE);
    if http.is_some() || dns.is_some() || (old && (kafka.is_some() || l7proto.is_some())) {
        return Ok(());
    }
    let hint = "the API server takes http or dns here; kafka and l7proto were removed in 1.20";
    Err(context.refuse(line, "rules are of no kind that is known", hint))
}

fn check_listener(
    context: &Context<'_>,
    entry: &Entry<'_>,
    there: bool,
    rules: &L7Rules,
    line: u32,
) -> Result<(), Problem> {
    if there && entry.effect == Effect::Allows {
        if entry.direction == Direction::Ingress {
            return Err(context.refuse(line, "a listener stands under ingress", "it belongs under egress"));
        }
        if !rules.is_empty() {
            return Err(context.refuse(line, "a listener stands beside rules", "remove one of the two"));
        }
    }
    Ok(())
}

fn check_l7(
    context: &Context<'_>,
    entry: &Entry<'_>,
    rules: &L7Rules,
    ports: &[PortProtocol],
    line: u32,
) -> Result<(), Problem> {
    if rules.is_empty() {
        return Ok(());
    }
    let L7Rules { http, kafka, dns, l7proto, l7: _ } = rules;
    let kinds = [http.is_some(), kafka.is_some(), dns.is_some(), l7proto.is_some()];
    if kinds.into_iter().filter(|there| *there).count() > 1 {
        return Err(context.refuse(line, "several kinds of L7 rules in one", "give each an item of its own"));
    }
    if !settings::is_on(context.dataplane, "enable-l7-proxy", "true") {
        let hint = "the agent refuses the object while enable-l7-proxy is false";
        return Err(context.refuse(line, "L7 rules without the L7 proxy", hint));
    }
    let about_dns = dns.as_ref().is_some_and(|names| !names.is_empty());
    if context.is_host_policy && !(about_dns && entry.direction == Direction::Egress) {
        let hint = "policies with a nodeSelector know addresses and ports alone";
        return Err(context.refuse(line, "host policies have no L7 rules", hint));
    }
    if about_dns && entry.direction == Direction::Ingress {
        return Err(context.refuse(line, "DNS rules stand under ingress", "they belong under egress"));
    }
    if about_dns && ports.is_empty() {
        return Err(context.refuse(line, "DNS rules name no port", "name port \"53\""));
    }
    for port in ports {
        let protocol = port.protocol.as_deref().unwrap_or("ANY");
        if !about_dns && protocol != "TCP" {
            let message = format!("L7 rules stand at a port of protocol {protocol}");
            return Err(context.refuse(line, message, "L7 rules other than dns need protocol: TCP"));
        }
        if port.port.as_deref().is_none_or(|number| number.trim_start_matches('0').is_empty()) {
            return Err(context.refuse(line, "L7 rules stand at port 0", "name the port"));
        }
        let first = port.port.as_deref().and_then(number).map_or(0, i64::from);
        if about_dns && port.end_port.is_some_and(|last| last > first) {
            return Err(context.refuse(line, "DNS rules stand at a range of ports", "name port \"53\""));
        }
    }
    Ok(())
}

/// What rules above packets ask, in words that edges keep.
fn l7(rules: L7Rules) -> Vec<Condition> {
    if rules.is_empty() {
        return Vec::new();
    }
    let L7Rules { http, kafka, dns, l7proto, l7: _ } = rules;
    let mut conditions = Vec::new();
    if let Some(http) = http.filter(|rules| !rules.is_empty()) {
        conditions.extend(http_conditions(&http));
    }
    if kafka.is_some_and(|rules| !rules.is_empty()) {
        conditions.push(Condition::Other("Kafka requests that the rules list".to_owned()));
    }
    let names = dns.unwrap_or_default().into_iter().filter_map(|DnsName { match_name, match_pattern }| {
        match_name.filter(|name| !name.is_empty()).or(match_pattern)
    });
    let names: Vec<String> = names.collect();
    if !names.is_empty() && !names.iter().any(|name| name == "*") {
        conditions.push(Condition::DnsNames(names));
    } else if !names.is_empty() {
        conditions.push(Condition::Other("DNS".to_owned()));
    }
    if let Some(protocol) = l7proto.filter(|name| !name.is_empty()) {
        conditions.push(Condition::Other(format!("{protocol} requests that its parser lets through")));
    }
    conditions
}

/// A condition is kept where every rule has it: one rule without it lets any value pass.
fn http_conditions(rules: &[HttpRule]) -> Vec<Condition> {
    let all = |of: fn(&HttpRule) -> Option<&String>| {
        let values: Option<Vec<String>> =
            rules.iter().map(|rule| of(rule).filter(|text| !text.is_empty()).cloned()).collect();
        values.map(|mut values| {
            values.sort();
            values.dedup();
            values
        })
    };
    let headers: Vec<String> = rules
        .iter()
        .flat_map(|HttpRule { headers, header_matches, path: _, method: _, host: _ }| {
            let asked = header_matches.iter().flatten().filter(|header| header.mismatch.is_none());
            headers.iter().flatten().cloned().chain(asked.map(|header| header.name.clone()))
        })
        .collect();
    let mut conditions = Vec::new();
    conditions.extend(all(|rule| rule.method.as_ref()).map(Condition::Methods));
    conditions.extend(all(|rule| rule.path.as_ref()).map(Condition::Paths));
    conditions.extend(all(|rule| rule.host.as_ref()).map(Condition::Hosts));
    if !headers.is_empty() {
        conditions.push(Condition::Other(format!("headers {}", headers.join(" "))));
    }
    if conditions.is_empty() {
        conditions.push(Condition::Other("HTTP".to_owned()));
    }
    conditions
}

fn add_port(
    context: &mut Context<'_>,
    entry: &Entry<'_>,
    port: PortProtocol,
    line: u32,
    traffic: &mut TrafficMatch,
) -> Result<(), Problem> {
    let PortProtocol { port, end_port, protocol } = port;
    let name = protocol.as_deref().unwrap_or("ANY");
    let extended = settings::is_on(context.dataplane, "enable-extended-ip-protocols", "false");
    let may_be_extended = extended || !settings::are_known(context.dataplane);
    if port.as_ref().map_or(!may_be_extended, String::is_empty) {
        let hint =
            "write port: \"0\" for every port; it may be left out with enable-extended-ip-protocols alone";
        return Err(context.refuse(line, "a port is missing", hint));
    }
    if port.is_none() && !extended {
        let what = "a port may be missing with enable-extended-ip-protocols alone, and the settings are not known: \
                    without it the agent refuses the object, which is taken for closing nothing";
        context.may_be_refused = true;
        context.gap(&entry.place, line, what, Bend::MayAllowLess);
    }
    let text = port.unwrap_or_else(|| "0".to_owned());
    if !names::is_port_name_in_any_case(&text) && number(&text).is_none() {
        let hint = "a number from 0 to 65535, or a name of at most 15 letters, digits and single hyphens";
        return Err(context.refuse(line, format!("{text:?} is no port"), hint));
    }
    let protocols: Vec<Protocol> = match (name, Protocol::from_name(name)) {
        ("ANY", _) => Protocol::ALL.to_vec(),
        (_, Some(protocol)) => vec![protocol],
        (_, None) => {
            let Some((_, number)) = PORTLESS.iter().find(|(known, _)| *known == name) else {
                let message = format!("protocol {name:?} is not known");
                return Err(context.refuse(line, message, "TCP, UDP, SCTP or ANY, in capitals"));
            };
            let named = names::is_port_name_in_any_case(&text);
            if text != "0" && !named {
                let message = format!("{name} stands at port {text:?}");
                return Err(context.refuse(line, message, "it has no ports: write port: \"0\""));
            }
            let portless = TrafficSet::portless(IpProtocols::of(*number));
            if named {
                // No port of a container is of such a protocol.
            } else if extended || (may_be_extended && entry.effect == Effect::Allows) {
                traffic.fixed = traffic.fixed.union(&portless);
            } else {
                let what = format!("{name} has no effect while enable-extended-ip-protocols is not true");
                context.gap(&entry.place, line, what, Bend::MayAllowLess);
            }
            return Ok(());
        }
    };
    // Without ports of its own SCTP is one of the other protocols, which have port 0 (`ct_extract_ports4`).
    let portless = extended && number(&text) == Some(0);
    let sctp = settings::is_on(context.dataplane, "enable-sctp", "false") || portless;
    if !sctp && name == "SCTP" {
        let what = "an SCTP port has no effect while enable-sctp is not true";
        context.gap(&entry.place, line, what, Bend::MayAllowLess);
        return Ok(());
    }
    let protocols = protocols.into_iter().filter(|protocol| sctp || *protocol != Protocol::Sctp);
    if names::is_port_name_in_any_case(&text) {
        let text = text.to_ascii_lowercase();
        let last = u16::try_from(end_port.unwrap_or(0)).unwrap_or(0);
        if last > 0 && entry.direction == Direction::Ingress && entry.effect == Effect::Allows {
            let what = format!("endPort {last} beside the name {text:?}: every port up to it was counted");
            context.gap(&entry.place, line, what, Bend::MayAllowLess);
            for protocol in protocols.clone() {
                traffic.fixed = traffic.fixed.union(&TrafficSet::of(protocol, PortSet::range(1, last)));
            }
        }
        match name {
            "ANY" => traffic.named.push(PortName::Container(None, text)),
            _ => traffic.named.extend(protocols.map(|p| PortName::Container(Some(p), text.clone()))),
        }
        return Ok(());
    }
    let first = number(&text).unwrap_or_default();
    let last = match end_port.unwrap_or(0) {
        0 => first,
        last if !(0..=65535).contains(&last) => {
            return Err(context.refuse(line, format!("endPort {last} is out of range"), "at most 65535"));
        }
        last if last < i64::from(first) => {
            let what = format!("endPort {last} is below port {first}: only the one port was counted");
            context.gap(&entry.place, line, what, Bend::MayAllowMore);
            first
        }
        last => last as u16,
    };
    let ports = if first == 0 { PortSet::all() } else { PortSet::range(first, last) };
    for protocol in protocols {
        traffic.fixed = traffic.fixed.union(&TrafficSet::of(protocol, ports.clone()));
    }
    Ok(())
}

/// A port by its digits, as the agent reads them: a zero before others means base eight.
fn number(text: &str) -> Option<u16> {
    match text.strip_prefix('0') {
        Some(rest) if !rest.is_empty() => u16::from_str_radix(rest, 8).ok(),
        _ => text.parse().ok(),
    }
}

fn icmp(context: &Context<'_>, entry: &Entry<'_>, rules: Vec<IcmpRule>) -> Result<Vec<Part>, Problem> {
    let line = entry.line_of("icmps");
    if !settings::is_on(context.dataplane, "enable-icmp-rules", "true") {
        let hint = "the agent refuses the object while enable-icmp-rules is false";
        return Err(context.refuse(line, "icmps without ICMP rules", hint));
    }
    let fields: Vec<IcmpField> = rules.into_iter().flat_map(|rule| rule.fields.unwrap_or_default()).collect();
    if fields.len() > MANY {
        return Err(context.refuse(line, format!("{} ICMP types in one list", fields.len()), "at most 40"));
    }
    let mut parts = Vec::new();
    for IcmpField { family, kind } in fields {
        let number = match family.as_deref().unwrap_or("IPv4") {
            "IPv4" => IpProtocols::ICMP,
            "IPv6" => IpProtocols::ICMPV6,
            other => {
                return Err(context.refuse(line, format!("family {other:?} is not known"), "IPv4 or IPv6"));
            }
        };
        let kind = match kind {
            IntOrString::Int(number) if (0..256).contains(&number) => number.to_string(),
            IntOrString::Int(number) => {
                return Err(context.refuse(line, format!("ICMP type {number}"), "types run from 0 to 255"));
            }
            IntOrString::String(name) => name,
        };
        parts.push(Part {
            traffic: TrafficMatch::fixed(TrafficSet::portless(IpProtocols::of(number))),
            conditions: vec![Condition::IcmpTypes(vec![kind])],
        });
    }
    Ok(parts)
}

/// What `authentication` makes of an entry.
pub enum Handshake {
    /// Nothing.
    NotAsked,
    /// Both sides prove who they are before the connection is let through; nothing is encrypted by it.
    Required,
    /// It fails always: nothing is let through.
    AlwaysFails,
}

/// Reads `authentication`.
///
/// # Errors
/// A mode that does not exist.
pub fn handshake(context: &mut Context<'_>, entry: &Entry<'_>) -> Result<Handshake, Problem> {
    let asked: Option<Authentication> = field(entry.node, "authentication", &context.origin)?;
    let Some(Authentication { mode }) = asked.filter(|_| entry.effect == Effect::Allows) else {
        return Ok(Handshake::NotAsked);
    };
    let line = entry.line_of("authentication");
    match mode.as_str() {
        "" | "disabled" => Ok(Handshake::NotAsked),
        "test-always-fail" => Ok(Handshake::AlwaysFails),
        "required" => {
            let off = |key: &str| context.dataplane.setting(key, "true") == "false";
            if off("mesh-auth-enabled") || off("mesh-auth-mutual-enabled") {
                let what = "mutual authentication is required, and the settings switch it off: \
                            what needs it is dropped";
                context.gap(&entry.place, line, what, Bend::MayAllowLess);
            }
            Ok(Handshake::Required)
        }
        other => {
            let message = format!("authentication mode {other:?} is not known");
            Err(context.refuse(line, message, "disabled, required or test-always-fail"))
        }
    }
}

/// Conditions as one narrowing; none where nothing is asked.
pub fn narrowing(conditions: impl IntoIterator<Item = Condition>) -> Option<Narrowing> {
    let mut conditions = conditions.into_iter();
    let first = Narrowing::on(conditions.next()?);
    Some(conditions.fold(first, Narrowing::and))
}
