//! The two ends of a question, and its traffic, as people type them.

use super::Failure;
use super::settings;
use crate::analysis::{Analysis, SecondaryNetwork};
use crate::graph::{Member, Spot};
use crate::model::{AddressRange, AddressSet, DomainPattern, IpProtocols, PortSet, Protocol, TrafficSet};
use std::net::IpAddr;

/// One end: its name, and what stands behind it.
pub struct End {
    /// As reports name it.
    pub name: String,
    /// Variants of a workload that rules tell apart, atoms of a block, or a name.
    pub spots: Vec<Spot>,
    /// What is to be said about the reading.
    pub notes: Vec<String>,
}

/// `namespace/name`, `namespace/Kind/name`, an address, a block, `dns:name`, with or without `ip:`.
pub fn end(analysis: &Analysis, text: &str) -> Result<End, Failure> {
    if let Some(name) = text.strip_prefix("dns:") {
        return by_name(analysis, name);
    }
    let plain = text.strip_prefix("ip:").unwrap_or(text);
    match addresses(plain) {
        Some(set) => by_address(analysis, text, &set),
        None if plain.split(['/', '-']).next().is_some_and(|first| first.parse::<IpAddr>().is_ok()) => {
            let message = format!("{text:?} is no address, no block and no range");
            Err(Failure::usage(message, "10.0.0.1, 10.0.0.0/8, 10.0.0.1-10.0.0.9, and the same in IPv6"))
        }
        None => workload(analysis, text),
    }
}

fn workload(analysis: &Analysis, text: &str) -> Result<End, Failure> {
    let index = settings::workload(analysis, text)?;
    let mut seen = std::collections::BTreeSet::new();
    let variants = (0..).zip(analysis.graph.classes_of(index)).filter(|(_, class)| seen.insert(**class));
    let member = |variant: u32| Member { workload: index as u32, variant };
    let spots = variants.map(|(variant, _)| Spot::Variant(member(variant))).collect();
    Ok(End { name: analysis.inventory.workloads[index].name.to_string(), spots, notes: Vec::new() })
}

fn by_name(analysis: &Analysis, name: &str) -> Result<End, Failure> {
    let wanted = DomainPattern::exact(name);
    let known: Vec<&DomainPattern> = analysis.graph.domains().map(|(_, domain)| domain).collect();
    let exact = known.iter().find(|domain| ***domain == wanted || domain.to_string() == name);
    let fitting = || known.iter().filter(|domain| domain.fits(name));
    let spots: Vec<Spot> = match exact {
        Some(domain) => vec![Spot::Domain((*domain).clone())],
        None => fitting().map(|domain| Spot::Domain((*domain).clone())).collect(),
    };
    if spots.is_empty() {
        let list: Vec<String> = known.iter().take(8).map(ToString::to_string).collect();
        let hint = match list.is_empty() {
            true => "policies do not speak of names here: ask for its address".to_owned(),
            false => format!(
                "rules speak of {}; for others only the address counts: ask for that",
                list.join(", ")
            ),
        };
        return Err(Failure::usage(format!("no rule names {name:?}"), hint));
    }
    Ok(End { name: format!("dns:{name}"), spots, notes: Vec::new() })
}

fn by_address(analysis: &Analysis, text: &str, set: &AddressSet) -> Result<End, Failure> {
    let single = set.ranges().first().filter(|range| range.first == range.last).map(|range| range.first);
    if let Some(address) = single {
        if let Some(service) = analysis.inventory.services.iter().find(|s| s.cluster_ips.contains(&address)) {
            let message = format!("{address} is the service {}/{}", service.namespace, service.name);
            let hint = "policies see packets after the service was translated: ask for a workload behind it";
            return Err(Failure::usage(message, hint));
        }
        let held: Vec<Member> = holders(analysis, &|held| held == address);
        if !held.is_empty() {
            let names: Vec<String> = held
                .iter()
                .map(|m| analysis.inventory.workloads[m.workload as usize].name.to_string())
                .collect();
            let name = names.join(" or ");
            return Ok(End {
                notes: vec![format!("{address} is an address of {name}")],
                spots: held.into_iter().map(Spot::Variant).collect(),
                name,
            });
        }
    }
    let cut = |(_, atom): (u32, &AddressSet)| {
        let part = atom.intersection(set);
        (!part.is_empty()).then_some(Spot::Outside(part))
    };
    let inside = holders(analysis, &|held| set.contains(held)).len();
    let note = format!(
        "{inside} workload variants have addresses in {text}; this is about the others, ask for those by name"
    );
    Ok(End {
        name: text.to_owned(),
        spots: analysis.graph.atoms().filter_map(cut).collect(),
        notes: if inside > 0 { vec![note] } else { Vec::new() },
    })
}

/// Variants with an address of their own that fits.
fn holders(analysis: &Analysis, fits: &dyn Fn(IpAddr) -> bool) -> Vec<Member> {
    let mut found = Vec::new();
    for (workload, one) in (0..).zip(&analysis.inventory.workloads) {
        for (variant, pods) in (0..).zip(&one.variants) {
            if pods.addresses.iter().any(|address| fits(*address)) {
                found.push(Member { workload, variant });
            }
        }
    }
    found
}

fn addresses(text: &str) -> Option<AddressSet> {
    let range = match (text.parse::<IpAddr>(), text.split_once('-')) {
        (Ok(address), _) => AddressRange::single(address),
        (_, Some((first, last))) => {
            let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
            (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(AddressRange { first, last })?
        }
        _ => AddressRange::from_cidr(text)?,
    };
    Some([range].into_iter().collect())
}

/// What may travel between two workloads on networks beside that of the cluster, with their names.
pub fn beside(analysis: &Analysis, from: &End, to: &End, asked: &TrafficSet) -> Vec<(String, TrafficSet)> {
    let of = |network: &SecondaryNetwork| {
        let SecondaryNetwork { name, analysis: own } = network;
        let classes = |end: &End| {
            let index = own.inventory.workloads.iter().position(|w| w.name.to_string() == end.name)?;
            Some(own.graph.classes_of(index).to_vec())
        };
        let (sources, targets) = (classes(from)?, classes(to)?);
        let pairs = sources.iter().flat_map(|a| targets.iter().map(move |b| (*a, *b)));
        let traffic = pairs.fold(TrafficSet::none(), |all, (a, b)| all.union(&own.graph.edge(a, b).traffic));
        let open = traffic.intersection(asked);
        (!open.is_empty()).then(|| (name.clone(), open))
    };
    analysis.networks.iter().filter_map(of).collect()
}

/// Traffic as it was typed, before it is known whose ports are meant.
pub enum Typed {
    /// Numbers.
    Traffic(TrafficSet),
    /// A port by the name that the second end gives it.
    Named(Protocol, String),
}

/// What the third word of a question is; `None` where it is rather a path.
///
/// # Errors
/// It begins as traffic does and is none.
pub fn typed(text: &str) -> Result<Option<Typed>, Failure> {
    if let Some(traffic) = traffic(text) {
        return Ok(Some(Typed::Traffic(traffic)));
    }
    let Some((protocol, port)) = text.split_once('/') else { return Ok(None) };
    let Some(protocol) = Protocol::from_name(&protocol.to_uppercase()) else { return Ok(None) };
    // IANA_SVC_NAME, which names of ports must be (`ContainerPort.name`).
    let is_name = (1..=15).contains(&port.len())
        && port.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && port.bytes().any(|b| b.is_ascii_lowercase());
    match is_name {
        true => Ok(Some(Typed::Named(protocol, port.to_owned()))),
        false => {
            let hint = "tcp/5432, tcp/8000-8100 (from 1 to 65535), the name of a port, udp, or icmp";
            Err(Failure::usage(format!("{text:?} names no traffic"), hint))
        }
    }
}

/// The ports of that name at an end.
///
/// # Errors
/// Nobody there has one.
pub fn named(analysis: &Analysis, end: &End, protocol: Protocol, name: &str) -> Result<TrafficSet, Failure> {
    let variants = || {
        end.spots.iter().filter_map(|spot| match spot {
            Spot::Variant(Member { workload, variant }) => {
                Some(&analysis.inventory.workloads[*workload as usize].variants[*variant as usize])
            }
            _ => None,
        })
    };
    let ports: Vec<u16> = variants().flat_map(|pods| pods.named_port(name, protocol)).collect();
    if !ports.is_empty() {
        let set = |all: PortSet, port: &u16| all.union(&PortSet::range(*port, *port));
        return Ok(TrafficSet::of(protocol, ports.iter().fold(PortSet::none(), set)));
    }
    let declared = variants().flat_map(|pods| &pods.ports).filter(|port| !port.name.is_empty());
    let known: std::collections::BTreeSet<String> = declared
        .map(|port| format!("{}/{} ({})", port.protocol.name().to_lowercase(), port.name, port.port))
        .collect();
    let hint = match known.is_empty() {
        true => "no ports with names are declared there: ask for a number".to_owned(),
        false => format!("there are {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    };
    Err(Failure::usage(format!("no {protocol} port of {} is called {name:?}", end.name), hint))
}

/// `tcp/5432`, `tcp/8000-8100`, `udp`, `icmp`, or a number, which means TCP.
pub fn traffic(text: &str) -> Option<TrafficSet> {
    let (protocol, ports) = match text.split_once('/') {
        Some((protocol, ports)) => (protocol.to_uppercase(), Some(ports)),
        None if text.bytes().all(|b| b.is_ascii_digit()) => ("TCP".to_owned(), Some(text)),
        None => (text.to_uppercase(), None),
    };
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match (Protocol::from_name(&protocol), ports) {
        (Some(protocol), None) => Some(TrafficSet::of(protocol, PortSet::all())),
        (Some(protocol), Some(ports)) => {
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| TrafficSet::of(protocol, PortSet::range(first, last)))
        }
        (None, None) => match protocol.as_str() {
            "ICMP" => Some(TrafficSet::portless(IpProtocols::of(IpProtocols::ICMP))),
            "ICMPV6" => Some(TrafficSet::portless(IpProtocols::of(IpProtocols::ICMPV6))),
            _ => None,
        },
        (None, Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_read_as_people_write_it() {
        assert_eq!(traffic("443").expect("a port").to_string(), "TCP 443");
        assert_eq!(traffic("udp/53-54").expect("a range").to_string(), "UDP 53-54");
        assert_eq!(traffic("icmp").expect("a protocol").to_string(), "ICMP");
        assert!(traffic("tcp/0").is_none() && traffic("tcp/9-8").is_none() && traffic("manifests").is_none());
    }

    #[test]
    fn addresses_are_single_blocks_or_ranges() {
        assert_eq!(addresses("10.0.0.0/31").expect("a block").to_string(), "10.0.0.0-10.0.0.1");
        assert_eq!(addresses("10.0.0.1-10.0.0.9").expect("a range").to_string(), "10.0.0.1-10.0.0.9");
        assert!(addresses("shop/web").is_none() && addresses("10.0.0.9-10.0.0.1").is_none());
    }
}
