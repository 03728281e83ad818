//! Sets of IP addresses of both families, as sorted inclusive ranges.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An inclusive range of addresses of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressRange {
    /// First address.
    pub first: IpAddr,
    /// Last address, of the same family, not before the first.
    pub last: IpAddr,
}

/// Sorted, disjoint ranges; IPv4 before IPv6.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct AddressSet(Vec<AddressRange>);

impl AddressRange {
    /// The single address.
    pub fn single(address: IpAddr) -> Self {
        AddressRange { first: address, last: address }
    }

    /// Reads a CIDR; host bits are masked away, as the API server tolerates them.
    pub fn from_cidr(text: &str) -> Option<Self> {
        let net: ipnet::IpNet = text.trim().parse().ok()?;
        Some(AddressRange { first: net.network(), last: net.broadcast() })
    }

    /// Whether the address lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && self.first <= address && address <= self.last
    }
}

impl AddressSet {
    /// No address.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every IPv4 and every IPv6 address.
    pub fn all() -> Self {
        AddressSet(vec![
            AddressRange { first: Ipv4Addr::UNSPECIFIED.into(), last: Ipv4Addr::BROADCAST.into() },
            AddressRange { first: Ipv6Addr::UNSPECIFIED.into(), last: Ipv6Addr::from(u128::MAX).into() },
        ])
    }

    /// The sorted, disjoint ranges.
    pub fn ranges(&self) -> &[AddressRange] {
        &self.0
    }

    /// Whether no address is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the address is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        let index = self.0.partition_point(|range| range.last < address);
        self.0.get(index).is_some_and(|range| range.contains(address))
    }

    /// What is in either set.
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut i, mut j, mut both) = (0, 0, Vec::new());
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            let (first, last) = (a.first.max(b.first), a.last.min(b.last));
            if first <= last && first.is_ipv4() == last.is_ipv4() {
                both.push(AddressRange { first, last });
            }
            if a.last < b.last { i += 1 } else { j += 1 }
        }
        AddressSet(both)
    }

    /// What is in this set and not in the other.
    pub fn difference(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for range in &self.0 {
            let mut rest = Some(*range);
            let from = other.0.partition_point(|hole| hole.last < range.first);
            for hole in other.0[from..].iter().take_while(|hole| hole.first <= range.last) {
                let Some(open) = rest else { break };
                if open.first < hole.first {
                    left.push(AddressRange { first: open.first, last: before(hole.first) });
                }
                rest = (hole.last < open.last)
                    .then(|| AddressRange { first: after(hole.last), last: open.last });
            }
            left.extend(rest);
        }
        AddressSet(left)
    }
}

impl FromIterator<AddressRange> for AddressSet {
    fn from_iter<I: IntoIterator<Item = AddressRange>>(ranges: I) -> Self {
        let mut all: Vec<AddressRange> = ranges.into_iter().collect();
        all.sort_unstable();
        let mut merged: Vec<AddressRange> = Vec::with_capacity(all.len());
        for range in all {
            match merged.last_mut() {
                Some(open) if joins(open, &range) => open.last = open.last.max(range.last),
                _ => merged.push(range),
            }
        }
        AddressSet(merged)
    }
}

/// Cuts the whole address space at the borders of `sets`: every atom lies wholly inside or wholly
/// outside each of them. Atoms that no set tells apart are kept as one set of ranges.
pub fn atoms(sets: &[AddressSet]) -> Vec<AddressSet> {
    let mut cuts: Vec<IpAddr> = AddressSet::all().0.iter().map(|range| range.first).collect();
    for range in sets.iter().flat_map(|set| set.ranges()) {
        cuts.push(range.first);
        if !is_last(range.last) {
            cuts.push(after(range.last));
        }
    }
    cuts.sort_unstable();
    cuts.dedup();
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); cuts.len()];
    for (number, set) in sets.iter().enumerate() {
        for range in set.ranges() {
            let from = cuts.partition_point(|cut| *cut < range.first);
            let to = cuts.partition_point(|cut| *cut <= range.last);
            members[from..to].iter_mut().for_each(|inside| inside.push(number));
        }
    }
    let mut by_membership: std::collections::BTreeMap<(bool, Vec<usize>), Vec<AddressRange>> =
        std::collections::BTreeMap::new();
    for (index, (first, inside)) in cuts.iter().zip(members).enumerate() {
        let last = match cuts.get(index + 1) {
            Some(next) if next.is_ipv4() == first.is_ipv4() => before(*next),
            _ => AddressSet::all().0[usize::from(first.is_ipv6())].last,
        };
        let range = AddressRange { first: *first, last };
        by_membership.entry((first.is_ipv6(), inside)).or_default().push(range);
    }
    let mut atoms: Vec<AddressSet> = by_membership.into_values().map(|r| r.into_iter().collect()).collect();
    atoms.sort_unstable();
    atoms
}

impl fmt::Display for AddressRange {
    /// A single address or `first-last`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl fmt::Display for AddressSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    }
}

fn joins(open: &AddressRange, next: &AddressRange) -> bool {
    open.first.is_ipv4() == next.first.is_ipv4()
        && (next.first <= open.last || (!is_last(open.last) && after(open.last) == next.first))
}

fn is_last(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4 == Ipv4Addr::BROADCAST,
        IpAddr::V6(v6) => v6 == Ipv6Addr::from(u128::MAX),
    }
}

fn after(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from(u32::from(v4).saturating_add(1)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6).saturating_add(1)).into(),
    }
}

fn before(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from(u32::from(v4).saturating_sub(1)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6).saturating_sub(1)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(cidrs: &[&str]) -> AddressSet {
        cidrs.iter().map(|cidr| AddressRange::from_cidr(cidr).expect("a CIDR")).collect()
    }

    #[test]
    fn a_hole_leaves_two_ranges() {
        let left = set(&["10.0.0.0/24"]).difference(&set(&["10.0.0.16/28"]));
        assert_eq!(left.to_string(), "10.0.0.0-10.0.0.15,10.0.0.32-10.0.0.255");
    }

    #[test]
    fn atoms_cover_everything_once() {
        let atoms = atoms(&[set(&["10.0.0.0/8"]), set(&["10.1.0.0/16", "::/0"])]);
        let whole = atoms.iter().fold(AddressSet::none(), |all, atom| all.union(atom));
        assert_eq!(whole, AddressSet::all());
        assert_eq!(atoms.len(), 4, "outside, 10/8 less 10.1/16, 10.1/16, IPv6");
    }

    #[test]
    fn zero_slash_zero_covers_one_family_only() {
        assert!(!set(&["0.0.0.0/0"]).contains("2001:db8::1".parse().expect("an address")));
    }
}
