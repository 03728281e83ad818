//! The only room that touches files and standard input. Out come documents and problems.

mod contract;
mod files;
mod yaml;

pub use contract::{CONTRACT, ContractFile, read_contract};
pub use files::{Reading, find_captures, open_capture, peak_memory_bytes, problem, read_manifests};
pub use yaml::{parse, parse_one};
