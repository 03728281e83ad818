//! What a stream speaks and whether it is protected: one file for each detector, and a table.
//!
//! Ports are hints, bytes are proof.

use crate::capture::{Flow, StreamStart};
use crate::model::Protection;

/// What a detector found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Lower-case name of the protocol: `tls`, `postgresql`, `unknown`.
    pub protocol: &'static str,
    /// Whether the content is protected.
    pub protection: Protection,
    /// What the verdict rests on, for people.
    pub why: String,
    /// Names and values worth a report; never payload and never a secret.
    pub facts: Vec<(&'static str, String)>,
}

/// A detector's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The bytes prove it.
    Certain(Detection),
    /// The bytes fit, but others may fit as well.
    Unsure(Detection),
    /// The bytes are something else.
    NotForUs,
}

/// One protocol.
pub trait Detector: Sync {
    /// Lower-case name, as flow records print it.
    fn name(&self) -> &'static str;
    /// One line on what is recognised.
    fn summary(&self) -> &'static str;
    /// Looks at the first bytes of a flow.
    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe;
}
