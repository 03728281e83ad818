//! The binary: parse, run, exit code.

use std::process::ExitCode;

/// Most of a run on manifests is small pieces of memory that several threads take and give back.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    watertight::cli::main()
}
