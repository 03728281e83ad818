//! The only room that touches files and standard input. Out come documents and problems.

mod files;
mod yaml;

pub use files::{Reading, open_capture, read_manifests};
pub use yaml::parse;
