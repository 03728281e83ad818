//! watertight: who can talk to whom, who does, and is it protected?
//!
//! ```text
//!  files, stdin, live cluster                        pcap, pcapng
//!       │ source, cluster                                 │ source
//!       ▼                                                 ▼
//!   Document ──► Inventory (who exists)              Packet ──► Flow        capture
//!       │ policy       │                                          │
//!       ▼              ▼                                          ▼
//!    tiers ──────► AllowedGraph   graph                       Detection     protocol
//!   entry points ──► Exposure   exposure                          ▼
//!                      └───────────────┬──────────────────── ObservedFlow   observed
//!                                      ▼
//!                                Finding, Gap      check
//!                                      ▼
//!                               Analysis ──► text, json, sarif, dot …       report
//! ```
//!
//! One direction, no way back: `docs/architecture.md` says who may import whom.

pub mod analysis;
pub mod capture;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod contract;
pub mod entry;
pub mod exposure;
pub mod graph;
pub mod inventory;
pub mod model;
pub mod observed;
pub mod policy;
pub mod protocol;
pub mod report;
pub mod source;
pub mod suggest;
