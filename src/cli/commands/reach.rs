//! `reach`: what a taken-over workload reaches, step by step.

use super::{Session, need_input};
use crate::cli::args::Reach;
use crate::cli::{Failure, settings};
use crate::report::{Printable, reach};
use std::io::{self, Write};
use std::process::ExitCode;

/// Answers for one workload, in text or JSON.
pub(super) fn run(session: &mut Session, args: &Reach) -> Result<ExitCode, Failure> {
    need_input(&session.common, &args.paths, &[])?;
    let json = match session.common.format.as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => {
            return Err(Failure::usage(format!("the format {other} has no reach report"), "text or json"));
        }
    };
    let analysis = session.declared(&args.paths)?;
    let index = settings::workload(&analysis, &args.workload)?;
    let reach = session.timed("reach", || reach::of(&analysis, index));
    let mut out: Box<dyn Write> = match &session.common.output {
        Some(path) => Box::new(super::create(path)?),
        None => Box::new(io::stdout().lock()),
    };
    match json {
        true => reach::write_json(&analysis, &reach, &mut out)?,
        false => reach::write_text(&analysis, &reach, &mut Printable::new(&mut out))?,
    }
    out.flush()?;
    Ok(session.exit_code(&analysis))
}
