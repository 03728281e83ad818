//! Addresses that nobody declared, where there are too many to show each: those of one name are one,
//! then those of one network, and if these are too many as well, all of them. What programs read keeps
//! each address.

use super::GraphOptions;
use super::names::{network_name, party_name};
use crate::analysis::Analysis;
use crate::observed::Party;
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More than these are not shown one by one.
pub(super) const MOST: usize = 200;

/// How addresses are called; each by itself where there are few.
#[derive(Debug, Default)]
pub(super) struct Outside {
    labels: HashMap<IpAddr, String>,
    groups: usize,
}

impl Outside {
    /// Of the flows in the chosen part of a graph.
    pub fn of(analysis: &Analysis, options: &GraphOptions) -> Outside {
        let mut addresses = BTreeSet::new();
        for seen in analysis.observed.flows.iter().filter(|seen| options.shows_flow(analysis, seen)) {
            let ends = [(&seen.initiator, seen.flow.initiator.ip), (&seen.responder, seen.flow.responder.ip)];
            addresses.extend(ends.into_iter().filter(|(party, _)| is_nobody(party)).map(|(_, ip)| ip));
        }
        match addresses.len() > MOST {
            true => Outside::folded(analysis, &addresses),
            false => Outside::default(),
        }
    }

    fn folded(analysis: &Analysis, addresses: &BTreeSet<IpAddr>) -> Outside {
        let groups = groups(analysis, addresses, MOST);
        let count = groups.len();
        let mut labels = HashMap::with_capacity(addresses.len());
        for (label, members) in groups {
            let label = labelled(&label, &members);
            labels.extend(members.into_iter().map(|address| (address, label.clone())));
        }
        Outside { labels, groups: count }
    }

    /// The name of a party, or of those with which it is shown.
    pub fn name(&self, analysis: &Analysis, party: &Party, address: IpAddr) -> String {
        let folded = self.labels.get(&address).filter(|_| is_nobody(party));
        folded.cloned().unwrap_or_else(|| party_name(analysis, party, address))
    }

    /// A sentence on what is shown together; nothing where each address stands by itself.
    pub fn note(&self) -> Option<String> {
        let folded = self.labels.len();
        (folded > 0).then(|| {
            format!("{folded} addresses outside are shown as {}; json and csv have each", self.groups)
        })
    }
}

/// Addresses by what is known of them, in not more groups than some.
pub(super) fn groups(
    analysis: &Analysis,
    addresses: &BTreeSet<IpAddr>,
    most: usize,
) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let name = |address: IpAddr| {
        let declared = network_name(analysis, address);
        declared.or_else(|| analysis.observed.names.best(address).map(|(name, _)| name)).map(str::to_owned)
    };
    // The more is known, the later it is given up.
    let steps: [&dyn Fn(IpAddr) -> String; 3] = [
        &|address| name(address).unwrap_or_else(|| network(address)),
        &|address| name(address).unwrap_or_else(|| "others outside".to_owned()),
        &|_| "outside".to_owned(),
    ];
    let by = |label: &dyn Fn(IpAddr) -> String| {
        let mut groups: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
        for address in addresses {
            groups.entry(label(*address)).or_default().insert(*address);
        }
        groups
    };
    let mut all = steps.iter().map(|label| by(label));
    all.find(|groups| groups.len() <= most).unwrap_or_else(|| by(steps[2]))
}

/// `NAME (3 addresses)`, or with the address itself.
pub(super) fn labelled(label: &str, members: &BTreeSet<IpAddr>) -> String {
    match (members.len(), members.first()) {
        (1, Some(only)) if network(*only) == label => only.to_string(),
        (1, Some(only)) => format!("{label} ({only})"),
        (count, _) => format!("{label} ({count} addresses)"),
    }
}

/// The network of 256 addresses around one, in IPv6 that of a site (RFC 6177).
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("{}/24", Ipv4Addr::from(u32::from(v4) & 0xffff_ff00)),
        IpAddr::V6(v6) => format!("{}/48", Ipv6Addr::from(u128::from(v6) >> 80 << 80)),
    }
}

/// Whether no object holds the address of a party.
fn is_nobody(party: &Party) -> bool {
    matches!(party, Party::Outside | Party::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_called_by_itself_and_several_by_their_network() {
        let set = |text: &[&str]| -> BTreeSet<IpAddr> {
            text.iter().map(|address| address.parse().expect("an address")).collect()
        };
        assert_eq!(labelled("20.0.1.0/24", &set(&["20.0.1.7"])), "20.0.1.7");
        assert_eq!(labelled("a.example", &set(&["20.0.1.7"])), "a.example (20.0.1.7)");
        assert_eq!(labelled("20.0.1.0/24", &set(&["20.0.1.7", "20.0.1.8"])), "20.0.1.0/24 (2 addresses)");
        assert_eq!(network("20.0.1.7".parse().expect("an address")), "20.0.1.0/24");
        assert_eq!(network("2001:db8:1:2::9".parse().expect("an address")), "2001:db8:1::/48");
    }
}
