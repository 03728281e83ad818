//! watertight: who can talk to whom, who does, and is it protected?

pub mod model;
pub mod capture;
pub mod protocol;
