//! Sets of IP protocols that have no ports, by their assigned numbers.

use super::Protocol;
use std::fmt;

/// IP protocol numbers 0 to 255 but those of TCP, UDP and SCTP, which have ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct IpProtocols([u64; 4]);

/// Names of numbers that people know (IANA, Assigned Internet Protocol Numbers).
const NAMES: &[(u8, &str)] = &[
    (1, "ICMP"),
    (2, "IGMP"),
    (4, "IPIP"),
    (41, "6in4"),
    (47, "GRE"),
    (50, "ESP"),
    (51, "AH"),
    (58, "ICMPv6"),
    (89, "OSPF"),
    (112, "VRRP"),
    (136, "UDPLite"),
];

/// Above this many, the protocols that are missing are listed instead.
const MANY: usize = 128;

impl Protocol {
    /// The assigned number of the protocol.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }
}

impl IpProtocols {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;

    /// No protocol.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every protocol without ports.
    pub fn all() -> Self {
        let mut words = [u64::MAX; 4];
        for protocol in Protocol::ALL {
            words[usize::from(protocol.number() / 64)] &= !(1 << (protocol.number() % 64));
        }
        IpProtocols(words)
    }

    /// One protocol; none where the number is one with ports.
    pub fn of(number: u8) -> Self {
        let mut words = [0; 4];
        words[usize::from(number / 64)] = 1 << (number % 64);
        IpProtocols(words).intersection(Self::all())
    }

    /// Whether no protocol is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }

    /// Whether every protocol without ports is in the set.
    pub fn is_all(self) -> bool {
        self == Self::all()
    }

    /// Whether the protocol of this number is in the set.
    pub fn contains(self, number: u8) -> bool {
        self.0[usize::from(number / 64)] >> (number % 64) & 1 == 1
    }

    /// What is in either set.
    pub fn union(self, other: Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    /// What is in both sets.
    pub fn intersection(self, other: Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    /// What is in this set and not in the other.
    pub fn difference(self, other: Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    /// The numbers, in order.
    pub fn numbers(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |number| self.contains(*number))
    }

    fn zip(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        IpProtocols(std::array::from_fn(|word| join(self.0[word], other.0[word])))
    }
}

impl fmt::Display for IpProtocols {
    /// `other protocols` for all of them, `other protocols but ICMP`, or names: `ICMP,GRE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |number: u8| match NAMES.iter().find(|(known, _)| *known == number) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("IP{number}"),
        };
        let list = |set: Self| set.numbers().map(name).collect::<Vec<_>>().join(",");
        if self.is_all() {
            return f.write_str("other protocols");
        }
        match self.numbers().count() > MANY {
            true => write!(f, "other protocols but {}", list(Self::all().difference(*self))),
            false => f.write_str(&list(*self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_with_ports_are_never_members() {
        assert!(IpProtocols::of(6).is_empty() && !IpProtocols::all().contains(17));
    }

    #[test]
    fn a_set_is_written_by_what_is_fewer() {
        let icmp = IpProtocols::of(1).union(IpProtocols::of(58));
        assert_eq!(icmp.to_string(), "ICMP,ICMPv6");
        assert_eq!(IpProtocols::all().difference(icmp).to_string(), "other protocols but ICMP,ICMPv6");
        assert_eq!(IpProtocols::all().to_string(), "other protocols");
    }
}
