//! The connections of the graph as JSON, for programs.

use super::json::{Because, Traffic, because_shape, traffic_shape};
use super::names::end_name;
use crate::analysis::Analysis;
use crate::graph::{self, Connection};
use serde::{Serialize, Serializer};

/// What may travel, written one after the other: there may be millions.
pub(super) struct Passing<'a> {
    pub analysis: &'a Analysis,
    pub shown: Box<dyn Fn(&Connection) -> bool + 'a>,
}

impl Serialize for Passing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = graph::connections(&self.analysis.graph, &self.analysis.inventory);
        let shown = all.filter(|connection| (self.shown)(connection));
        serializer.collect_seq(shown.map(|connection| connection_shape(self.analysis, &connection)))
    }
}

#[derive(Serialize)]
struct ConnectionShape<'a> {
    from: String,
    to: String,
    traffic: Traffic,
    /// What travels without ports, where `traffic` alone would mislead.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_protocols: Option<String>,
    l7: Option<Conditions>,
    segmented: bool,
    protection: &'static str,
    protection_why: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    carried: Vec<Carried>,
    because: Vec<Because<'a>>,
}

/// How one part of the traffic is protected, where meshes carry it.
#[derive(Serialize)]
struct Carried {
    traffic: Traffic,
    /// `declared`, `undeclared` or `mesh`.
    ports: &'static str,
    protection: &'static str,
    protection_why: String,
}

/// Conditions above packets: on which traffic, and what each of the rules behind it asks.
#[derive(Serialize)]
struct Conditions {
    traffic: Traffic,
    any_of: Vec<String>,
}

fn connection_shape<'a>(analysis: &'a Analysis, connection: &Connection) -> ConnectionShape<'a> {
    ConnectionShape {
        from: end_name(analysis, &connection.from),
        to: end_name(analysis, &connection.to),
        traffic: traffic_shape(&connection.traffic),
        other_protocols: super::names::other_protocols(&connection.traffic),
        l7: conditions(analysis, connection),
        segmented: connection.unsegmented.is_empty(),
        protection: connection.expected.protection.word(),
        protection_why: super::protection::why(analysis, connection),
        carried: connection.carried.iter().map(|part| carried_shape(analysis, part)).collect(),
        because: connection
            .because
            .iter()
            .map(|rule| because_shape(&analysis.graph.rules[*rule as usize].rule.origin))
            .collect(),
    }
}

fn carried_shape(analysis: &Analysis, part: &graph::Carried) -> Carried {
    let expected = &part.expected;
    Carried {
        traffic: traffic_shape(&part.traffic),
        ports: part.standing.word(),
        protection: expected.protection.word(),
        protection_why: analysis.graph.reason(expected),
    }
}

fn conditions(analysis: &Analysis, connection: &Connection) -> Option<Conditions> {
    let any_of = super::names::conditions(analysis, connection);
    (!connection.narrowed.is_empty()).then(|| Conditions {
        traffic: traffic_shape(&connection.narrowed),
        any_of: any_of.into_iter().collect(),
    })
}
