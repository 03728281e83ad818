//! What may travel between two endpoints: protocols and destination ports, as a set.
//!
//! Named ports are not here: they become numbers where the destination is known.

use super::ip_protocols::IpProtocols;
use smallvec::{SmallVec, smallvec};
use std::fmt;

/// A set of destination ports and protocols, closed under union, intersection and difference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TrafficSet {
    /// TCP destination ports.
    pub tcp: PortSet,
    /// UDP destination ports.
    pub udp: PortSet,
    /// SCTP destination ports.
    pub sctp: PortSet,
    /// IP protocols that have no ports: ICMP, ESP and others.
    pub portless: IpProtocols,
}

/// Protocols that have ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
    /// Stream Control Transmission Protocol.
    Sctp,
}

/// Sorted, disjoint, inclusive port intervals; ports run from 1 to 65535.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct PortSet(Intervals);

/// Most sets have few intervals, and those need no memory of their own.
type Intervals = SmallVec<[(u16, u16); 4]>;

impl Protocol {
    /// All protocols, in the order in which reports list them.
    pub const ALL: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];

    /// The name as Kubernetes writes it (`NetworkPolicyPort.protocol`).
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        }
    }

    /// Reads the exact, case-sensitive name that Kubernetes accepts.
    pub fn from_name(name: &str) -> Option<Protocol> {
        Protocol::ALL.into_iter().find(|protocol| protocol.name() == name)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TrafficSet {
    /// Nothing at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every protocol and port.
    pub fn all() -> Self {
        let every = PortSet::all;
        TrafficSet { tcp: every(), udp: every(), sctp: every(), portless: IpProtocols::all() }
    }

    /// The given ports of one protocol.
    pub fn of(protocol: Protocol, ports: PortSet) -> Self {
        let mut set = Self::none();
        *set.ports_mut(protocol) = ports;
        set
    }

    /// One port of one protocol.
    pub fn port(protocol: Protocol, port: u16) -> Self {
        Self::of(protocol, PortSet::range(port, port))
    }

    /// IP protocols without ports, and nothing else.
    pub fn portless(protocols: IpProtocols) -> Self {
        TrafficSet { portless: protocols, ..Self::none() }
    }

    /// The same without protocols that have no ports.
    pub fn with_ports_only(&self) -> Self {
        TrafficSet { portless: IpProtocols::none(), ..self.clone() }
    }

    /// Whether every port of every protocol with ports is in the set.
    pub fn has_all_ports(&self) -> bool {
        Protocol::ALL.iter().all(|p| self.ports(*p).is_all())
    }

    /// The ports of `protocol`.
    pub fn ports(&self, protocol: Protocol) -> &PortSet {
        match protocol {
            Protocol::Tcp => &self.tcp,
            Protocol::Udp => &self.udp,
            Protocol::Sctp => &self.sctp,
        }
    }

    fn ports_mut(&mut self, protocol: Protocol) -> &mut PortSet {
        match protocol {
            Protocol::Tcp => &mut self.tcp,
            Protocol::Udp => &mut self.udp,
            Protocol::Sctp => &mut self.sctp,
        }
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.portless.is_empty() && Protocol::ALL.iter().all(|p| self.ports(*p).is_empty())
    }

    /// Whether every protocol and port is in the set.
    pub fn is_all(&self) -> bool {
        self.portless.is_all() && self.has_all_ports()
    }

    /// Whether a packet to `port` over `protocol` is in the set.
    pub fn contains(&self, protocol: Protocol, port: u16) -> bool {
        self.ports(protocol).contains(port)
    }

    /// What is in either set.
    pub fn union(&self, other: &Self) -> Self {
        self.zip(other, PortSet::union, IpProtocols::union)
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        self.zip(other, PortSet::intersection, IpProtocols::intersection)
    }

    /// What is in this set and not in the other.
    pub fn difference(&self, other: &Self) -> Self {
        self.zip(other, PortSet::difference, IpProtocols::difference)
    }

    fn zip(
        &self,
        other: &Self,
        ports: impl Fn(&PortSet, &PortSet) -> PortSet,
        portless: impl Fn(IpProtocols, IpProtocols) -> IpProtocols,
    ) -> Self {
        TrafficSet {
            tcp: ports(&self.tcp, &other.tcp),
            udp: ports(&self.udp, &other.udp),
            sctp: ports(&self.sctp, &other.sctp),
            portless: portless(self.portless, other.portless),
        }
    }
}

impl fmt::Display for TrafficSet {
    /// `all`, `none`, or protocols with their ports: `TCP 80,443 UDP 53`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all");
        }
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut parts = Vec::new();
        for protocol in Protocol::ALL {
            let ports = self.ports(protocol);
            if ports.is_all() {
                parts.push(protocol.to_string());
            } else if !ports.is_empty() {
                parts.push(format!("{protocol} {ports}"));
            }
        }
        if !self.portless.is_empty() {
            parts.push(self.portless.to_string());
        }
        f.write_str(&parts.join(" "))
    }
}

impl PortSet {
    /// No port.
    pub fn none() -> Self {
        Self::default()
    }

    /// Ports 1 to 65535.
    pub fn all() -> Self {
        PortSet(smallvec![(1, u16::MAX)])
    }

    /// The inclusive range; empty when `first > last`. Port 0 is never a member.
    pub fn range(first: u16, last: u16) -> Self {
        let first = first.max(1);
        if first > last { Self::none() } else { PortSet(smallvec![(first, last)]) }
    }

    /// The sorted, disjoint, inclusive intervals.
    pub fn intervals(&self) -> &[(u16, u16)] {
        &self.0
    }

    /// Whether no port is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all ports are in the set.
    pub fn is_all(&self) -> bool {
        self.0.as_slice() == [(1, u16::MAX)]
    }

    /// Whether `port` is in the set.
    pub fn contains(&self, port: u16) -> bool {
        let index = self.0.partition_point(|interval| interval.1 < port);
        self.0.get(index).is_some_and(|interval| interval.0 <= port)
    }

    /// What is in either set.
    pub fn union(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        let (mut own, mut others) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut merged = Intervals::new();
        loop {
            let next = match (own.peek(), others.peek()) {
                (Some(a), Some(b)) if b < a => others.next(),
                (Some(_), _) => own.next(),
                (None, _) => others.next(),
            };
            let Some(&(first, last)) = next else { break };
            match merged.last_mut() {
                Some(open) if first <= open.1.saturating_add(1) => open.1 = open.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        PortSet(merged)
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut i, mut j, mut both) = (0, 0, Intervals::new());
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                both.push((first, last));
            }
            if a.1 < b.1 { i += 1 } else { j += 1 }
        }
        PortSet(both)
    }

    /// What is in this set and not in the other.
    pub fn difference(&self, other: &Self) -> Self {
        if self.is_empty() || other.is_empty() {
            return self.clone();
        }
        self.intersection(&other.complement())
    }

    /// All ports that are not in this set.
    pub fn complement(&self) -> Self {
        let (mut next, mut rest) = (1_u32, Intervals::new());
        for (first, last) in &self.0 {
            if next < u32::from(*first) {
                rest.push((next as u16, first - 1));
            }
            next = u32::from(*last) + 1;
        }
        if next <= u32::from(u16::MAX) {
            rest.push((next as u16, u16::MAX));
        }
        PortSet(rest)
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(first, last): &(u16, u16)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        f.write_str(&self.0.iter().map(one).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_ranges_become_one() {
        let set = PortSet::range(80, 81).union(&PortSet::range(82, 90));
        assert_eq!(set.intervals(), [(80, 90)]);
    }

    #[test]
    fn the_complement_of_everything_is_nothing() {
        assert!(PortSet::all().complement().is_empty());
        assert_eq!(PortSet::range(1, 79).complement().intervals(), [(80, 65535)]);
    }

    #[test]
    fn difference_cuts_a_hole() {
        let cut = PortSet::range(10, 20).difference(&PortSet::range(15, 15));
        assert_eq!(cut.intervals(), [(10, 14), (16, 20)]);
        assert!(!cut.contains(15) && cut.contains(16));
    }
}
