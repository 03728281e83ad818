//! Protocols, ports and ICMP messages of a rule → traffic, and what narrows it.

use super::super::{PortName, TrafficMatch};
use super::place::Place;
use super::wire::{IcmpSpec, NumberOrName};
use crate::model::{Condition, IpProtocols, PortSet, Problem, Protocol, TrafficSet};

/// Names of protocols, in any case (`numorstring.Protocol`), with their numbers.
const NAMES: &[(&str, u8)] =
    &[("TCP", 6), ("UDP", 17), ("ICMP", 1), ("ICMPv6", 58), ("SCTP", 132), ("UDPLite", 136)];

/// The number of a protocol as a rule writes it.
///
/// # Errors
/// Neither a name nor a number from 1 to 255.
pub fn protocol(place: &Place<'_>, text: &NumberOrName) -> Result<u8, Problem> {
    let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text.0)).map(|(_, number)| *number);
    let numbered = || text.0.parse::<u8>().ok().filter(|number| *number > 0);
    named.or_else(numbered).ok_or_else(|| {
        let hint = "TCP, UDP, SCTP, ICMP, ICMPv6, UDPLite or a number from 1 to 255";
        place.refuse(format!("protocol {:?} is not known", text.0), hint)
    })
}

/// Everything of one protocol.
pub fn of_protocol(number: u8) -> TrafficSet {
    match with_ports(number) {
        Some(protocol) => TrafficSet::of(protocol, PortSet::all()),
        None => TrafficSet::portless(IpProtocols::of(number)),
    }
}

/// The protocol of this number, if it is one of those with ports.
pub fn with_ports(number: u8) -> Option<Protocol> {
    Protocol::ALL.into_iter().find(|protocol| protocol.number() == number)
}

/// Ports as a rule lists them.
#[derive(Debug, Default)]
pub struct Ports {
    /// By number.
    pub numbers: PortSet,
    /// By name.
    pub names: Vec<String>,
}

impl Ports {
    /// Reads `ports` or `notPorts`.
    ///
    /// # Errors
    /// A number out of range, a range upside down, or no port at all.
    pub fn read(place: &Place<'_>, list: &[NumberOrName]) -> Result<Ports, Problem> {
        let mut ports = Ports::default();
        for (index, NumberOrName(text)) in list.iter().enumerate() {
            match range(text) {
                Some(Some((first, last))) => {
                    ports.numbers = ports.numbers.union(&PortSet::range(first, last))
                }
                Some(None) => {
                    let hint =
                        "ports run from 1 to 65535; a range is written \"8000:8010\", the lower port first";
                    return Err(place.item(index).refuse(format!("{text:?} is no port"), hint));
                }
                None if is_port_name(text) => ports.names.push(text.clone()),
                None => {
                    let hint =
                        "a port is a number, a range such as \"8000:8010\", or the name of a container port";
                    return Err(place.item(index).refuse(format!("{text:?} is no port"), hint));
                }
            }
        }
        Ok(ports)
    }

    /// As traffic of one protocol.
    pub fn traffic(self, protocol: Protocol) -> TrafficMatch {
        let named = self.names.into_iter().map(|name| PortName::Container(Some(protocol), name));
        TrafficMatch { named: named.collect(), ..TrafficMatch::fixed(TrafficSet::of(protocol, self.numbers)) }
    }
}

/// `None` for a name, `Some(None)` for numbers that are no range of ports.
fn range(text: &str) -> Option<Option<(u16, u16)>> {
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (first, last) = match text.split_once(':') {
        Some((first, last)) if numeric(first) && numeric(last) => (first, last),
        None if numeric(text) => (text, text),
        None if text.strip_prefix('-').is_some_and(numeric) => return Some(None),
        _ => return None,
    };
    let number = |part: &str| part.parse::<u16>().ok().filter(|port| *port > 0);
    let both = number(first).zip(number(last)).filter(|(first, last)| first <= last);
    Some(both)
}

fn is_port_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= 128 && text.bytes().all(inner)
}

/// The condition that source ports make; `None` where they are all.
///
/// # Errors
/// As [`Ports::read`].
pub fn source_ports(
    place: &Place<'_>,
    ports: Option<&Vec<NumberOrName>>,
    not_ports: Option<&Vec<NumberOrName>>,
) -> Result<Option<Condition>, Problem> {
    let list =
        |list: &[NumberOrName]| list.iter().map(|p| p.0.replace(':', "-")).collect::<Vec<_>>().join(",");
    let mut words = Vec::new();
    if let Some(ports) = ports.filter(|ports| !ports.is_empty()) {
        let read = Ports::read(&place.field("ports"), ports)?;
        if !read.numbers.is_all() {
            words.push(list(ports));
        }
    }
    if let Some(ports) = not_ports.filter(|ports| !ports.is_empty()) {
        Ports::read(&place.field("notPorts"), ports)?;
        words.push(format!("other than {}", list(ports)));
    }
    Ok((!words.is_empty()).then(|| Condition::SourcePorts(words.join(", "))))
}

/// The condition that ICMP fields make; `None` where they name no type.
///
/// # Errors
/// A code without a type, or numbers out of range.
pub fn icmp(place: &Place<'_>, field: &str, icmp: &IcmpSpec) -> Result<Option<Condition>, Problem> {
    let IcmpSpec { kind, code } = icmp;
    let place = place.field(field);
    let out = |number: &Option<i64>, last: i64| number.is_some_and(|number| !(0..=last).contains(&number));
    if out(kind, 254) || out(code, 255) {
        return Err(place.refuse(format!("{field} is out of range"), "a type is 0 to 254, a code 0 to 255"));
    }
    let text = match (kind, code) {
        (None, None) => return Ok(None),
        (None, Some(_)) => {
            return Err(
                place.refuse(format!("{field} has a code and no type"), "add the type of the message")
            );
        }
        (Some(kind), None) => kind.to_string(),
        (Some(kind), Some(code)) => format!("{kind}/{code}"),
    };
    Ok(Some(Condition::IcmpTypes(vec![if field == "notICMP" { format!("other than {text}") } else { text }])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_numbers_and_ranges_stand_upright() {
        assert_eq!(range("80"), Some(Some((80, 80))));
        assert_eq!(range("80:90"), Some(Some((80, 90))));
        assert_eq!(range("90:80"), Some(None));
        assert_eq!(range("0"), Some(None));
        assert_eq!(range("0:80"), Some(None));
        assert_eq!(range("65536"), Some(None));
        assert_eq!(range("-1"), Some(None));
        assert_eq!(range("http"), None);
        assert_eq!(range("80:http"), None);
    }
}
