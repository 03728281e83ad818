//! The vocabulary: plain values that every room speaks.
//!
//! Nothing here does I/O, keeps state or knows a report format. What a value means in a given
//! policy language is decided where that language is lowered (`policy/*`).

pub mod address;
pub mod api_kind;
pub mod calendar;
pub mod change;
pub mod closest;
pub mod der;
pub mod document;
pub mod domain;
pub mod endpoint;
pub mod few;
pub mod gap;
pub mod instant;
pub mod ip_protocols;
pub mod k3s;
pub mod labels;
pub mod names;
pub mod narrowing;
pub mod node;
pub mod node_kind;
pub mod problem;
pub mod protection;
pub mod proxy;
pub mod scope;
pub mod selector;
pub mod snapshot;
pub mod traffic;

pub use address::{AddressRange, AddressSet};
pub use api_kind::{ApiKind, Objects, WantedKind};
pub use change::{Changes, ObjectKey};
pub use closest::closest;
pub use document::{CLUSTER, Document, INBOUND_DEFAULT, INTENTION_DEFAULT, Origin};
pub use domain::DomainPattern;
pub use endpoint::EndpointName;
pub use few::Few;
pub use gap::{Bend, Gap};
pub use instant::Instant;
pub use ip_protocols::IpProtocols;
pub use labels::Labels;
pub use narrowing::{Condition, Narrowing};
pub use node::{Node, Value};
pub use node_kind::NodeKind;
pub use problem::Problem;
pub use protection::{Encryption, ExpectedProtection, Proof, Protection, WhyUnknown};
pub use selector::{Pattern, Requirement, Selector, fact};
pub use snapshot::{Forbidden, Snapshot, SnapshotHead};
pub use traffic::{PortSet, Protocol, TrafficSet};

/// A text of a document. Up to 23 bytes, as most have, it stands where it is kept, without memory of
/// its own; longer ones are shared by their copies.
pub type Text = smol_str::SmolStr;
