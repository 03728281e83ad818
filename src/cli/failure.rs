//! What stops a command: a kind, a message and a hint.

use super::say::say;
use crate::model::Problem;
use crate::source;
use std::io;

/// Why a command could not be done.
#[derive(Debug)]
pub struct Failure {
    /// For the exit code.
    pub kind: FailureKind,
    /// One line.
    pub message: String,
    /// What would help; may be empty.
    pub hint: String,
}

/// What sort of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// What was asked for makes no sense.
    Usage,
    /// Reading or writing failed.
    Io,
    /// The reader of our output went away, which is its right.
    ClosedPipe,
}

impl Failure {
    /// A request that makes no sense.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Usage, message: message.into(), hint: hint.into() }
    }

    /// Prints `error:` and `hint:` to standard error.
    pub fn print(&self) {
        print(&self.message, &self.hint);
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => FailureKind::ClosedPipe,
            io::ErrorKind::Unsupported => FailureKind::Usage,
            _ => FailureKind::Io,
        };
        Failure { kind, message: error.to_string(), hint: source::hint_of(&error).to_owned() }
    }
}

/// Prints a problem of the input.
pub fn print_problem(problem: &Problem) {
    print(&problem.to_string(), &problem.hint);
}

fn print(message: &str, hint: &str) {
    say!("error: {message}");
    if !hint.is_empty() {
        say!("  hint: {hint}");
    }
}
