//! Names that flows give to addresses which no object holds: DNS answers, TLS server names, HTTP
//! hosts. A name is what somebody on the wire said, so its evidence goes with it.
//!
//! Behind one address there may be many names: a flow has the one that it said itself, or else the
//! one that its client was told last before it began.

use super::{Brief, Flows, SharedNumber, Stored};
use crate::capture::Flow;
use crate::protocol::Detection;
use hashbrown::{HashMap, HashSet};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

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

/// Who called whom, and when the call began (nanoseconds since 1970).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub client: IpAddr,
    pub server: IpAddr,
    pub begun: u64,
}

impl From<&Flow> for Call {
    fn from(flow: &Flow) -> Call {
        Call { client: flow.initiator.ip, server: flow.responder.ip, begun: flow.first }
    }
}

impl From<&Brief> for Call {
    fn from(flow: &Brief) -> Call {
        Call { client: flow.initiator.ip, server: flow.responder.ip, begun: flow.first }
    }
}

/// Addresses and their names; the same whatever the order of flows, as long as nothing overflows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    known: HashMap<IpAddr, Few<NamedBy>>,
    /// Addresses of which not all names were kept.
    crowded: BTreeSet<IpAddr>,
    /// What a client was told of an address, by DNS, and when: the client first.
    told: HashMap<(IpAddr, IpAddr), Few<u64>>,
}

/// What names are learned from: a verdict, and who called whom.
enum Lesson<'a> {
    Whole(Arc<Detection>, Call),
    Shared(SharedNumber, &'a Detection, Call),
}

impl<'a> Lesson<'a> {
    fn of(stored: Stored<'a>) -> Lesson<'a> {
        match stored {
            Stored::Whole(seen) => Lesson::Whole(Arc::clone(&seen.detection), Call::from(&seen.flow)),
            Stored::Shared(kept) => Lesson::Shared(kept.verdict, kept.detection, Call::from(&kept.flow)),
        }
    }
}

/// A few names in order, each with what it stands behind, and each once: most addresses have one,
/// for which a tree would take room for eleven.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Few<K>(Vec<(K, String)>);

impl<K> Default for Few<K> {
    fn default() -> Self {
        Few(Vec::with_capacity(1))
    }
}

impl<K: Ord + Copy> Few<K> {
    /// Adds a name, unless it is there.
    fn insert(&mut self, key: K, name: &str) {
        let place = self.0.binary_search_by(|(known, text)| (*known, text.as_str()).cmp(&(key, name)));
        if let Err(at) = place {
            self.0.insert(at, (key, name.to_owned()));
        }
    }
}

/// Names of one kind kept for one address: content networks have thousands behind one.
const MOST_NAMES: usize = 8;
/// Answers kept for one client and one address, the last ones.
const MOST_ANSWERS: usize = 32;
/// Pairs of a client and an address that answers are kept for.
const MOST_PAIRS: usize = 100_000;
/// Addresses that are named; a flood of answers must not fill the memory.
const MOST_ADDRESSES: usize = 100_000;

impl Names {
    /// Learns from a flow; `wanted` tells the addresses that need a name.
    pub fn learn(&mut self, detection: &Detection, call: Call, wanted: impl Fn(IpAddr) -> bool) {
        for (address, name) in &detection.names {
            let Some(name) = tidied(name).filter(|_| wanted(*address)) else { continue };
            self.tell(call, *address, &name);
            self.add(*address, NamedBy::DnsAnswer, &name);
        }
        for (by, name) in said(detection) {
            if wanted(call.server) {
                self.add(call.server, by, &name);
            }
        }
    }

    /// Learns from all flows; `wanted` tells the addresses that need a name.
    pub fn of_flows(flows: &Flows, wanted: impl Fn(IpAddr) -> bool + Sync) -> Names {
        let mut names = Names::default();
        // Flows to one server with one verdict say the same.
        let mut heard = HashSet::new();
        flows.each_with(teaches, Lesson::of, |lesson| match lesson {
            Lesson::Whole(detection, call) => names.learn(&detection, call, &wanted),
            Lesson::Shared(number, detection, call) => {
                // Who was told a name, and when, is another thing for each flow.
                if heard.insert((number, call.server)) || !detection.names.is_empty() {
                    names.learn(detection, call, &wanted);
                }
            }
        });
        names
    }

    /// The name that a flow called its server by: what it said itself, else what DNS told its client
    /// last before it began, else the best that anybody said of the address. `None` for addresses
    /// that nobody named.
    pub fn of_flow<'a>(&'a self, detection: &'a Detection, call: Call) -> Option<(Cow<'a, str>, NamedBy)> {
        let all = self.known.get(&call.server)?;
        if let Some((by, name)) = said(detection).next() {
            return Some((name, by));
        }
        if let Some(name) = self.told_before(call) {
            return Some((name.into(), NamedBy::DnsAnswer));
        }
        all.0.first().map(|(by, name)| (name.as_str().into(), *by))
    }

    /// What DNS told the client of the server's address last before it called.
    fn told_before(&self, call: Call) -> Option<&str> {
        let answers = self.told.get(&(call.client, call.server))?;
        let before = answers.0.partition_point(|(told, _)| *told < call.begun.saturating_add(1));
        answers.0[..before].last().map(|(_, name)| name.as_str())
    }

    /// The best name of an address, and what it rests on.
    pub fn best(&self, address: IpAddr) -> Option<(&str, NamedBy)> {
        let (by, name) = self.known.get(&address)?.0.first()?;
        Some((name, *by))
    }

    /// Whether an address has more names than are kept.
    pub fn is_crowded(&self, address: IpAddr) -> bool {
        self.crowded.contains(&address)
    }

    /// All names of an address, with what each rests on.
    pub fn of(&self, address: IpAddr) -> impl Iterator<Item = (NamedBy, &str)> {
        let all = self.known.get(&address).map_or(&[][..], |names| &names.0);
        all.iter().map(|(by, name)| (*by, name.as_str()))
    }

    /// All addresses that have a name, in order, with all their names.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &[(NamedBy, String)])> {
        let mut all: Vec<_> = self.known.iter().map(|(address, names)| (*address, &names.0[..])).collect();
        all.sort_unstable_by_key(|(address, _)| *address);
        all.into_iter()
    }

    fn add(&mut self, address: IpAddr, by: NamedBy, name: &str) {
        if self.known.len() >= MOST_ADDRESSES && !self.known.contains_key(&address) {
            return;
        }
        let names = self.known.entry(address).or_default();
        names.insert(by, name);
        // Kinds do not push each other out: rules for names go by DNS answers alone.
        let end = names.0.partition_point(|(kind, _)| *kind <= by);
        let begin = names.0.partition_point(|(kind, _)| *kind < by);
        if end - begin > MOST_NAMES {
            names.0.remove(end - 1);
            self.crowded.insert(address);
        }
    }

    /// Remembers that DNS told the client of a call the name of an address.
    fn tell(&mut self, call: Call, address: IpAddr, name: &str) {
        let pair = (call.client, address);
        if self.told.len() >= MOST_PAIRS && !self.told.contains_key(&pair) {
            return;
        }
        let answers = self.told.entry(pair).or_default();
        answers.insert(call.begun, name);
        if answers.0.len() > MOST_ANSWERS {
            answers.0.remove(0);
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

/// The names that a client called its server by, the closest to the flow first.
fn said(detection: &Detection) -> impl Iterator<Item = (NamedBy, Cow<'_, str>)> {
    let fact = |wanted: &str| {
        detection.facts.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_ref())
    };
    // What is asked of a proxy is the name of somebody behind it.
    let of_server = fact("inner").is_none() && fact("method") != Some("CONNECT");
    // A mesh writes ports and subsets into its server names.
    let sni = fact("sni").filter(|name| of_server && !name.starts_with("outbound_"));
    let host = fact("host").filter(|_| of_server).map(without_port);
    let both = [(NamedBy::ServerName, sni), (NamedBy::HttpHost, host)];
    both.into_iter().filter_map(|(by, name)| Some((by, tidied(name?)?)))
}

/// A name in small letters and without its last dot; addresses are no names.
fn tidied(name: &str) -> Option<Cow<'_, str>> {
    let name = name.trim_end_matches('.');
    let is_name = name.contains(|c: char| c.is_ascii_alphabetic()) && name.parse::<IpAddr>().is_err();
    let is_small = !name.contains(|c: char| c.is_ascii_uppercase());
    is_name.then(|| if is_small { name.into() } else { name.to_ascii_lowercase().into() })
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

    fn call(client: u8, server: IpAddr, begun: u64) -> Call {
        Call { client: [10, 0, 0, client].into(), server, begun }
    }

    #[test]
    fn the_name_closest_to_the_flow_wins_and_proxies_name_nobody() {
        let (server, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut names = Names::default();
        let mut learn = |facts, told, server| {
            names.learn(&detection(facts, told), call(1, server, 1), |address| {
                address != IpAddr::from([0; 4])
            });
            names.best(server).map(|(name, by)| (name.to_owned(), by))
        };
        learn(vec![], vec![(server, "cdn.example.".to_owned())], other);
        assert_eq!(learn(vec![], vec![], server), Some(("cdn.example".to_owned(), NamedBy::DnsAnswer)));
        let best = learn(vec![("host", "Api.example:8080")], vec![], server);
        assert_eq!(best, Some(("api.example".to_owned(), NamedBy::HttpHost)));
        assert_eq!(learn(vec![("host", "x.example"), ("inner", "tls")], vec![], other), None);
        assert_eq!(learn(vec![("host", "192.0.2.9")], vec![], other), None);
        assert_eq!(learn(vec![("sni", "outbound_.80_._.a.b")], vec![], other), None);
        assert_eq!(learn(vec![("sni", "y.example")], vec![], [0; 4].into()), None);
        assert_eq!(names.iter().count(), 1);
    }

    #[test]
    fn a_flow_has_its_own_name_else_what_its_client_was_told_last_else_any() {
        let (server, resolver) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([10, 96, 0, 10]));
        let mut names = Names::default();
        let mut told = |client, at, name: &str| {
            let answer = detection(vec![], vec![(server, name.to_owned())]);
            names.learn(&answer, call(client, resolver, at), |address| address == server);
        };
        told(1, 10, "z.example");
        told(1, 20, "b.example");
        told(2, 15, "a.example");
        let bare = detection(vec![], vec![]);
        let of = |detection, client, at| {
            let (name, by) = names.of_flow(detection, call(client, server, at)).expect("a name");
            (name.into_owned(), by.word())
        };
        let by_dns = |name: &str| (name.to_owned(), "dns-answer");
        assert_eq!(of(&bare, 1, 19), by_dns("z.example"));
        assert_eq!(of(&bare, 1, 20), by_dns("b.example"));
        assert_eq!(of(&bare, 2, 99), by_dns("a.example"));
        // Nothing was told before, or to this client: any name of the address, the same one always.
        assert_eq!(of(&bare, 1, 9), by_dns("a.example"));
        assert_eq!(of(&bare, 3, 99), by_dns("a.example"));
        let own = detection(vec![("sni", "Own.example."), ("host", "inner.example")], vec![]);
        assert_eq!(of(&own, 1, 99), ("own.example".to_owned(), "tls-server-name"));
        assert_eq!(names.of_flow(&own, call(1, resolver, 99)), None, "an object has that address");
    }

    #[test]
    fn many_names_of_one_kind_leave_those_of_others() {
        let server = IpAddr::from([192, 0, 2, 1]);
        let mut names = Names::default();
        names.learn(&detection(vec![], vec![(server, "dns.example".to_owned())]), call(1, server, 1), |_| {
            true
        });
        assert!(!names.is_crowded(server));
        for number in 0..20 {
            let host = format!("h{number:02}.example");
            names.learn(&detection(vec![("host", &host)], vec![]), call(1, server, 2), |_| true);
        }
        assert!(names.is_crowded(server));
        assert_eq!(names.of(server).count(), MOST_NAMES + 1);
        assert!(names.of(server).any(|name| name == (NamedBy::DnsAnswer, "dns.example")));
    }
}
