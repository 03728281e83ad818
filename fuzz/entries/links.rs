//! The link types that are fuzzed, by their numbers: those of every row of `src/capture/link.rs`
//! (`tests/tidy.rs` compares), and one that nobody reads.

pub const LINKS: &[u32] =
    &[1, 276, 113, 12, 14, 101, 228, 229, 0, 108, 9, 50, 104, 10, 51, 105, 127, 192, 239, 147];
