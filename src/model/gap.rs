//! What was not understood, and which way it bends the answer.

use super::Origin;

/// Something that the analysis could not take into account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// A sentence for people: what is missing.
    pub what: String,
    /// Where it stands.
    pub origin: Origin,
    /// Which claims it weakens.
    pub bends: Bend,
}

/// The direction in which the truth may differ from the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bend {
    /// More may be allowed than is shown: "segmented" cannot be claimed.
    MayAllowMore,
    /// Less may be allowed than is shown.
    MayAllowLess,
    /// Traffic may have been missed: "all encrypted" cannot be claimed.
    MayMissTraffic,
}
