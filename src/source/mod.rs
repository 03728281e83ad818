//! The only room that touches files, standard input and interfaces. Out come documents, bytes and problems.

mod captures;
mod contract;
mod envoy;
mod files;
mod live;
mod memory;
mod privileges;
mod scalar;
mod snapshots;
mod tree;
mod yaml;

pub use captures::{OpenCapture, find_captures, open_captures};
pub use contract::{CONTRACT, ContractFile, read_contract};
pub use files::{Reading, absent, hint_of, problem, read_manifests};
pub use live::{Live, LiveCounters, LiveOptions, Stop, open_live};
pub use memory::{peak_memory_bytes, small_pages};
pub use privileges::{Account, GoesOn, account, give_up_privileges};
pub use snapshots::read_snapshots;
pub use yaml::{parse, parse_one};
