//! Names that flows give to addresses which no object holds: DNS answers, TLS server names, HTTP
//! hosts. A name is what somebody on the wire said, so its evidence goes with it.

use super::{Flows, Stored};
use crate::protocol::Detection;
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What a name rests on, the closest to the flow first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NamedBy {
    /// The client asked for it in its ClientHello, on this address.
    ServerName,
    /// The client asked for it in an HTTP request, on this address.
    HttpHost,
    /// A DNS answer gave this address for it.
    DnsAnswer,
}

/// Addresses and their names; the same whatever the order of flows, as long as nothing overflows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(HashMap<IpAddr, BTreeSet<(NamedBy, String)>>);

/// Names kept for one address: content networks have thousands behind one.
const MOST_NAMES: usize = 8;
/// Addresses that are named; a flood of answers must not fill the memory.
const MOST_ADDRESSES: usize = 100_000;

impl Names {
    /// Learns from a flow to `responder`; `wanted` tells the addresses that need a name.
    pub fn learn(&mut self, detection: &Detection, responder: IpAddr, wanted: impl Fn(IpAddr) -> bool) {
        for (address, name) in &detection.names {
            if wanted(*address) {
                self.add(*address, NamedBy::DnsAnswer, name);
            }
        }
        let fact = |wanted: &str| {
            detection.facts.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_ref())
        };
        // What is asked of a proxy is the name of somebody behind it.
        if fact("inner").is_some() || fact("method") == Some("CONNECT") || !wanted(responder) {
            return;
        }
        // A mesh writes ports and subsets into its server names.
        if let Some(name) = fact("sni").filter(|name| !name.starts_with("outbound_")) {
            self.add(responder, NamedBy::ServerName, name);
        }
        if let Some(host) = fact("host") {
            self.add(responder, NamedBy::HttpHost, without_port(host));
        }
    }

    /// Learns from all flows; `wanted` tells the addresses that need a name.
    pub fn of_flows(flows: &Flows, wanted: impl Fn(IpAddr) -> bool) -> Names {
        let mut names = Names::default();
        // Flows to one server with one verdict say the same.
        let mut heard = HashSet::new();
        for stored in flows.stored_with(teaches) {
            match stored {
                Stored::Whole(seen) => names.learn(&seen.detection, seen.flow.responder.ip, &wanted),
                Stored::Shared(kept) => {
                    let responder = kept.flow.responder.ip;
                    if heard.insert((kept.verdict, responder)) {
                        names.learn(kept.detection, responder, &wanted);
                    }
                }
            }
        }
        names
    }

    /// The best name of an address, and what it rests on.
    pub fn best(&self, address: IpAddr) -> Option<(&str, NamedBy)> {
        let (by, name) = self.0.get(&address)?.first()?;
        Some((name, *by))
    }

    /// All names of an address, with what each rests on.
    pub fn of(&self, address: IpAddr) -> impl Iterator<Item = (NamedBy, &str)> {
        self.0.get(&address).into_iter().flatten().map(|(by, name)| (*by, name.as_str()))
    }

    /// All addresses that have a name, in order, with all their names.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &BTreeSet<(NamedBy, String)>)> {
        let mut all: Vec<_> = self.0.iter().map(|(address, names)| (*address, names)).collect();
        all.sort_unstable_by_key(|(address, _)| *address);
        all.into_iter()
    }

    fn add(&mut self, address: IpAddr, by: NamedBy, name: &str) {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_name = name.contains(|c: char| c.is_ascii_alphabetic()) && name.parse::<IpAddr>().is_err();
        if !is_name || self.0.len() >= MOST_ADDRESSES && !self.0.contains_key(&address) {
            return;
        }
        let names = self.0.entry(address).or_default();
        names.insert((by, name));
        if names.len() > MOST_NAMES {
            names.pop_last();
        }
    }
}

impl NamedBy {
    /// For programs: `tls-server-name`, `http-host`, `dns-answer`.
    pub fn word(self) -> &'static str {
        match self {
            NamedBy::ServerName => "tls-server-name",
            NamedBy::HttpHost => "http-host",
            NamedBy::DnsAnswer => "dns-answer",
        }
    }
}

/// Whether a verdict can give a name to anybody.
fn teaches(detection: &Detection) -> bool {
    let names = |(name, _): &(&str, _)| matches!(*name, "sni" | "host");
    !detection.names.is_empty() || detection.facts.iter().any(names)
}

/// A host without its port; addresses in brackets are no names anyway.
fn without_port(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Proof, Protection};

    fn detection(facts: Vec<(&'static str, &str)>, names: Vec<(IpAddr, String)>) -> Detection {
        let facts = facts.into_iter().map(|(name, value)| (name, value.to_owned().into())).collect();
        let protection = Protection::Plaintext(Proof::Grammar);
        Detection { protocol: "http", protection, why: "".into(), facts, names }
    }

    #[test]
    fn the_name_closest_to_the_flow_wins_and_proxies_name_nobody() {
        let (server, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut names = Names::default();
        names.learn(&detection(vec![], vec![(server, "cdn.example.".to_owned())]), other, |_| true);
        assert_eq!(names.best(server), Some(("cdn.example", NamedBy::DnsAnswer)));
        names.learn(&detection(vec![("host", "Api.example:8080")], vec![]), server, |_| true);
        assert_eq!(names.best(server), Some(("api.example", NamedBy::HttpHost)));
        names.learn(&detection(vec![("host", "x.example"), ("inner", "tls")], vec![]), other, |_| true);
        names.learn(&detection(vec![("host", "192.0.2.9")], vec![]), other, |_| true);
        names.learn(&detection(vec![("sni", "outbound_.80_._.a.b")], vec![]), other, |_| true);
        names.learn(&detection(vec![("sni", "y.example")], vec![]), other, |_| false);
        assert_eq!(names.best(other), None);
        assert_eq!(names.iter().count(), 1);
    }
}
