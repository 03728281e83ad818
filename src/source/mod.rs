//! The only room that touches files and standard input. Out come documents and problems.

mod files;
mod yaml;

pub use files::{Reading, open_capture, peak_memory_bytes, problem, read_manifests};
pub use yaml::parse;
