//! What people decided: segments and their sensitivity, rules between them, exceptions, severities,
//! and what they know of the cluster that manifests do not tell.
//!
//! A contract is read from `watertight.yaml` and bound to those who exist. It evaluates nothing:
//! whether a rule holds is found out by the checks.

mod controller;
mod date;
mod exception;
mod home;
mod idle;
mod pattern;
mod reader;
mod rule;
mod sections;
mod segment;
mod segmentation;
mod setup;

pub use controller::{PlacedController, Runs, Served};
pub use date::Date;
pub use exception::{About, Exception};
pub use home::{Home, homes};
pub use pattern::{Pattern, nearest};
pub use reader::{KEYS, Known, read};
pub use rule::{Allow, End, Kind, Protect, Rule, Ways};
pub use segment::{Fit, Knowledge, LabelTest, Network, Segment, Sensitivity, Subject};
pub use segmentation::{SegmentId, SegmentInfo, Segmentation};

use crate::model::{AddressSet, Origin, TrafficSet};
use std::collections::BTreeMap;

/// A contract; the empty one makes every namespace a segment and says nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// The file as it was named; empty where there is none.
    pub file: String,
    /// Segments, in the order of the file: the first that fits holds an endpoint.
    pub segments: Vec<Segment>,
    /// Named outside networks.
    pub networks: Vec<Network>,
    /// Rules between segments.
    pub rules: Vec<Rule>,
    /// Ports behind which something sits that matters.
    pub sensitive: Vec<SensitivePorts>,
    /// What enforces the policies, and how it is set up.
    pub dataplane: DataplaneSettings,
    /// Controllers of the ways in from outside, in the order of the file.
    pub controllers: Vec<PlacedController>,
    /// Severities by check.
    pub severities: BTreeMap<String, Override>,
    /// Exceptions.
    pub exceptions: Vec<Exception>,
}

/// Ports, and what sits behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SensitivePorts {
    /// What people call it.
    pub name: String,
    /// The ports.
    pub ports: TrafficSet,
    /// Where it stands.
    pub origin: Origin,
}

/// The dataplane, as far as people know better than the manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataplaneSettings {
    /// Name of an engine, as `--engine` takes it.
    pub engine: Option<String>,
    /// Major and minor version.
    pub version: Option<(u32, u32)>,
    /// Settings by the dataplane's own names.
    pub settings: BTreeMap<String, Setting>,
}

/// A setting of the dataplane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As the dataplane's own configuration would write it.
    pub value: String,
    /// Where it stands.
    pub origin: Origin,
}

/// What becomes of the findings of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Override {
    /// They get this severity, by its place: 0 is low, 3 is critical.
    Severity(u8),
    /// They are counted and not shown.
    Off,
}

impl Override {
    /// The words that a contract takes; severities in their order.
    pub const WORDS: [&'static str; 5] = ["low", "medium", "high", "critical", "off"];

    /// Reads one of the words.
    pub fn from_word(word: &str) -> Option<Override> {
        let place = Override::WORDS.iter().position(|known| *known == word)?;
        Some(if place == 4 { Override::Off } else { Override::Severity(place as u8) })
    }
}

impl Contract {
    /// The named network that holds all of these addresses.
    pub fn network_of(&self, addresses: &AddressSet) -> Option<&str> {
        let whole = |n: &&Network| !addresses.is_empty() && addresses.difference(&n.addresses).is_empty();
        self.networks.iter().find(whole).map(|n| n.name.as_str())
    }
}
