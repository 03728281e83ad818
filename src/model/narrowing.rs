//! Conditions above packets: what passes is less than addresses and ports say.
//!
//! A rule that is narrowed keeps its traffic in the graph; what it asks beyond that is kept here,
//! so that nobody takes the port for open without a word on the rest.

use std::fmt;

/// What a rule asks beyond addresses and ports; all of it must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Narrowing {
    /// Sorted; never empty in a rule.
    pub conditions: Vec<Condition>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    /// The request method is one of these.
    Methods(Vec<String>),
    /// The request path is like one of these, as written.
    Paths(Vec<String>),
    /// The host is like one of these.
    Hosts(Vec<String>),
    /// The TLS server name is one of these.
    ServerNames(Vec<String>),
    /// The name that is asked for in DNS is like one of these.
    DnsNames(Vec<String>),
    /// The client's identity is proven to be like one of these.
    Principals(Vec<String>),
    /// Client and server authenticate each other before a connection is let through.
    MutualAuthentication,
    /// The source port is one of these, as written.
    SourcePorts(String),
    /// The ICMP message is one of these types, as written.
    IcmpTypes(Vec<String>),
    /// Anything else, in words.
    Other(String),
}

impl Narrowing {
    /// One condition.
    pub fn on(condition: Condition) -> Self {
        Narrowing { conditions: vec![condition] }
    }

    /// Both must hold.
    pub fn and(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self.conditions.sort();
        self.conditions.dedup();
        self
    }
}

impl fmt::Display for Narrowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, list) = match self {
            Condition::Methods(list) => ("methods", list),
            Condition::Paths(list) => ("paths", list),
            Condition::Hosts(list) => ("hosts", list),
            Condition::ServerNames(list) => ("TLS server names", list),
            Condition::DnsNames(list) => ("DNS names", list),
            Condition::Principals(list) => ("principals", list),
            Condition::IcmpTypes(list) => ("ICMP types", list),
            Condition::MutualAuthentication => return f.write_str("mutual authentication"),
            Condition::SourcePorts(ports) => return write!(f, "source ports {ports}"),
            Condition::Other(words) => return f.write_str(words),
        };
        write!(f, "{what} {}", list.join(" "))
    }
}
