//! The allowed-communication graph: inventory and rules, joined on endpoint classes.
//!
//! Pairs are never stored; an edge is the meeting of a row of its source and one of its target.

mod alike;
mod backing;
mod build;
mod callable;
mod callers;
mod classes;
mod connections;
mod declared;
pub mod diff;
mod edge;
mod expected;
mod explain;
mod gaps;
mod matching;
mod meant;
mod mentioned;
mod mesh;
mod mesh_change;
mod mesh_edge;
mod notes;
mod outbound;
mod overview;
mod path;
mod potential;
mod remedy;
mod rows;
mod verdict;
mod without;

pub use backing::{Backing, Spoken};
pub use build::{AllowedGraph, LoweredRule, PolicyInfo, RuleInfo, TierInfo};
pub use callable::Callable;
pub use callers::{Callers, Known};
pub use classes::{Class, ClassId, KeptAlike, Member, NamedPort, PeerId};
pub use connections::{Carried, Connection, Connections, End, connections, outside};
pub use declared::{Declared, Standing};
pub use edge::{Edge, Exemption, Row};
pub use expected::{Expected, WhyExpected, expected};
pub use explain::{Explanation, Ground, LayerWalk, Outcome, RuleWalk, Spot, TierWalk, Walk, explain, walk};
pub use mesh_change::{MeshChange, WhatToChange};
pub use mesh_edge::{Leg, MeshEdge, Via};
pub use notes::Notes;
pub use outbound::{Outbound, Trust};
pub use overview::{Example, Overview, OverviewRow, overview};
pub use path::{GroupId, Links, Reached, Search};
pub use potential::{Link, Potential, potentials};
pub use remedy::{Change, Effect, Remedy, by_labels, remedies};

// The words of the rule set that edges and policies carry, for rooms that do not know policies.
pub use crate::policy::{
    Acceptance, Action, Admission, Dataplane, DataplaneKind, Decision, Dialect, Direction, Found, Holds,
    Isolation, Layer, Membership, MeshMode, Namespaces, Outside, OutsideSpeech, Peer, Peers, Population,
    PortName, Relay, Rule, Selection, ServiceChoice, Services, TierRank, TlsFloor, TlsVersion, TrafficMatch,
    UnknownField,
};
