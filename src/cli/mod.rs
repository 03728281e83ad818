//! The command line: what was typed, what it means, and the commands.

mod args;
mod commands;
mod ends;
mod failure;
mod help;
mod live;
mod say;
mod settings;

pub use failure::{Failure, FailureKind};

use std::process::ExitCode;

/// Runs the program and says how it went: 0 fine, 1 findings, 2 could not do it.
pub fn main() -> ExitCode {
    let args = help::parse();
    match commands::run(args) {
        Ok(code) => code,
        Err(failure) if failure.kind == FailureKind::ClosedPipe => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(2)
        }
    }
}
