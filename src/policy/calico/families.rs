//! For which address families a rule exists.
//!
//! Calico makes one rule for each family; a list without a network of the family removes it there
//! (`FilterRuleToIPVersion`), also a list of networks to leave out.

use super::wire::EntitySpec;
use crate::model::{AddressRange, AddressSet};

/// The families for which a rule exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    v4: bool,
    v6: bool,
}

impl Families {
    /// Both.
    pub const BOTH: Families = Families { v4: true, v6: true };
    /// IPv4 alone.
    pub const V4: Families = Families { v4: true, v6: false };
    /// IPv6 alone.
    pub const V6: Families = Families { v4: false, v6: true };

    /// Those of both.
    pub fn and(self, other: Families) -> Families {
        Families { v4: self.v4 && other.v4, v6: self.v6 && other.v6 }
    }

    /// Those that the networks of one side leave.
    pub fn of(entity: &EntitySpec) -> Families {
        let EntitySpec { nets, not_nets, .. } = entity;
        let list = |texts: &Option<Vec<String>>| -> Vec<AddressRange> {
            let single = |text: &str| text.trim().parse().ok().map(AddressRange::single);
            let texts = texts.as_deref().unwrap_or_default();
            texts.iter().filter_map(|text| AddressRange::from_cidr(text).or_else(|| single(text))).collect()
        };
        let present = |ranges: &[AddressRange]| match ranges {
            [] => Families::BOTH,
            some => Families {
                v4: some.iter().any(|range| range.first.is_ipv4()),
                v6: some.iter().any(|range| range.first.is_ipv6()),
            },
        };
        let (nets, left_out) = (list(nets), list(not_nets));
        let [all_v4, all_v6] = [0, 1].map(|family| AddressSet::all().ranges()[family]);
        let some_left = Families { v4: !left_out.contains(&all_v4), v6: !left_out.contains(&all_v6) };
        present(&nets).and(present(&left_out)).and(some_left)
    }

    /// Whether there is none.
    pub fn is_none(self) -> bool {
        !self.v4 && !self.v6
    }

    /// The addresses of these families; `None` where both exist.
    pub fn addresses(self) -> Option<AddressSet> {
        (self != Families::BOTH).then(|| self.cut(&AddressSet::all()))
    }

    /// The part of some addresses that is of these families.
    pub fn cut(self, addresses: &AddressSet) -> AddressSet {
        let kept = |range: &&AddressRange| if range.first.is_ipv4() { self.v4 } else { self.v6 };
        addresses.ranges().iter().filter(kept).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(nets: &[&str], not_nets: &[&str]) -> Families {
        let list = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        Families::of(&EntitySpec { nets: list(nets), not_nets: list(not_nets), ..EntitySpec::default() })
    }

    #[test]
    fn a_list_without_a_family_removes_the_rule_there() {
        assert_eq!(of(&[], &[]), Families::BOTH);
        assert_eq!(of(&["10.0.0.0/8"], &[]), Families::V4);
        assert_eq!(of(&[], &["10.0.0.0/8"]), Families::V4);
        assert_eq!(of(&["10.0.0.0/8", "fd00::/8"], &[]), Families::BOTH);
        assert!(of(&["10.0.0.0/8"], &["fd00::/8"]).is_none());
    }

    #[test]
    fn leaving_out_a_whole_family_removes_the_rule_there() {
        assert!(of(&[], &["0.0.0.0/0"]).is_none());
        assert_eq!(of(&[], &["0.0.0.0/0", "fd00::/8"]), Families::V6);
    }
}
