//! Rules between segments, and which of them decide about a pair.
//!
//! The more exactly a rule names the two ends, the more it counts: what is said of `web` and `data`
//! goes before what is said of `*` and `data`. Rules that name a pair equally well must all hold.

use crate::model::{Origin, TrafficSet};

/// What may travel from some segments to others, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Who opens connections: any of these.
    pub from: Vec<End>,
    /// Who is called: any of these.
    pub to: Vec<End>,
    /// What may travel.
    pub allow: Allow,
    /// How it must be protected.
    pub protect: Protect,
    /// Whether ways over others count.
    pub ways: Ways,
    /// What people said about it; may be empty.
    pub why: String,
    /// Where it stands.
    pub origin: Origin,
}

/// One end of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A segment, a network, or a namespace that is a segment.
    Named(String),
    /// `outside`: addresses that no segment holds.
    Outside,
    /// `*`: every segment, and outside.
    Anyone,
}

/// What a rule lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allow {
    /// Nothing.
    Never,
    /// These ports.
    Only(TrafficSet),
    /// Everything.
    All,
}

/// What must protect the traffic of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protect {
    /// Nothing is asked for.
    AsItIs,
    /// It must be encrypted.
    Encrypted,
    /// Both ends must show certificates.
    MutualTls,
}

/// Which ways break a rule that lets nothing through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// Direct connections, and ways over other workloads.
    Any,
    /// Direct connections only.
    Direct,
}

/// What an end can be held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A segment of the contract.
    Declared,
    /// A namespace that no declared segment takes in whole.
    Namespace,
    /// A named outside network.
    Network,
    /// All other addresses outside.
    Outside,
}

impl End {
    /// How well an end names a segment: 0 for `*`, 2 for its own name; `None` where it does not.
    pub fn rank(&self, kind: Kind, name: &str) -> Option<u8> {
        match (self, kind) {
            (End::Named(own), Kind::Declared | Kind::Namespace | Kind::Network) if own == name => Some(2),
            (End::Outside, Kind::Outside) => Some(2),
            (End::Outside, Kind::Network) => Some(1),
            (End::Anyone, _) => Some(0),
            _ => None,
        }
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        match self {
            End::Named(name) => name,
            End::Outside => "outside",
            End::Anyone => "*",
        }
    }
}

impl Rule {
    /// Whether another rule with an equal first and an equal second end leaves nothing of what this
    /// one lets through, though both count for them and one of them lets something through.
    pub fn contradicts(&self, other: &Rule) -> bool {
        let shared = |own: &[End], others: &[End]| own.iter().any(|end| others.contains(end));
        let (own, others) = (self.allow.traffic(), other.allow.traffic());
        let silent = own.is_empty() && others.is_empty();
        !silent
            && own.intersection(&others).is_empty()
            && shared(&self.from, &other.from)
            && shared(&self.to, &other.to)
    }
}

impl Allow {
    /// What may travel.
    pub fn traffic(&self) -> TrafficSet {
        match self {
            Allow::Never => TrafficSet::none(),
            Allow::Only(traffic) => traffic.clone(),
            Allow::All => TrafficSet::all(),
        }
    }
}

impl Protect {
    /// The word of a contract; empty where nothing is asked for.
    pub fn word(self) -> &'static str {
        match self {
            Protect::AsItIs => "",
            Protect::Encrypted => "encrypted",
            Protect::MutualTls => "mutual-tls",
        }
    }
}
