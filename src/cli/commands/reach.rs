//! `reach`: what a taken-over workload reaches, step by step.

use super::output::open;
use super::{Session, need_input};
use crate::cli::args::Reach;
use crate::cli::{Failure, settings};
use crate::report::{Printable, reach};
use std::process::ExitCode;

/// Answers for one workload, in text or JSON.
pub(super) fn run(session: &mut Session, args: &Reach) -> Result<ExitCode, Failure> {
    need_input(&session.common, &args.paths, &[])?;
    let json = settings::only_output(&session.common, "reach", &["text", "json"])? == "json";
    let analysis = session.declared(&args.paths)?;
    let index = settings::workload(&analysis, &args.workload)?;
    let reach = session.timed("reach", || reach::of(&analysis, index));
    let mut out = open(&session.common)?;
    match json {
        true => reach::write_json(&analysis, &reach, &mut out)?,
        false => reach::write_text(&analysis, &reach, &mut Printable::new(&mut out))?,
    }
    out.flush()?;
    Ok(session.exit_code(&analysis))
}
