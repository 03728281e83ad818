//! What is told beside the output, on standard error.
//!
//! Who closed it does not want to hear it: nothing ends for that, and nothing is lost for that.

use crate::report::printable;
use std::fmt;
use std::io::{self, Write};

/// A line on standard error, as `eprintln!`, which ends the program where nobody reads.
macro_rules! say {
    ($($what:tt)*) => {
        $crate::cli::say::line(format_args!($($what)*))
    };
}
pub(crate) use say;

/// Writes a line at once, if anybody reads.
pub fn line(what: fmt::Arguments<'_>) {
    let line = printable(&format!("{what}\n"));
    io::stderr().lock().write_all(line.as_bytes()).unwrap_or_default();
}
