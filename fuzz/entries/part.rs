//! What a run keeps to: `WATERTIGHT_PART` names one row of the table that an entry goes over (a
//! detector, a container or link type, a tunnel), so that each can be given its share of time.

use std::sync::OnceLock;

static PART: OnceLock<Option<String>> = OnceLock::new();

/// The part that was asked for.
pub fn only() -> Option<&'static str> {
    PART.get_or_init(|| std::env::var("WATERTIGHT_PART").ok()).as_deref()
}
