//! The allowed-communication graph: inventory and rules, joined on endpoint classes.
//!
//! Pairs are never stored; an edge is the meeting of a row of its source and one of its target.

mod build;
mod classes;
mod connections;
mod edge;

pub use build::{AllowedGraph, PolicyInfo, RuleInfo};
pub use classes::{Class, ClassId, Member, PeerId};
pub use connections::{Connection, End, connections};
pub use edge::{Edge, Exemption, Row};

// The words of the rule set that edges and policies carry, for rooms that do not know policies.
pub use crate::policy::{
    Dataplane, Decision, Direction, Namespaces, Peer, Peers, Rule, Selection, TrafficMatch,
};
