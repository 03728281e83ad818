//! `check`: the review, which is the main job.

use super::{Session, need_input};
use crate::analysis;
use crate::cli::args::Check;
use crate::cli::{Failure, settings};
use crate::report::{View, ViewKind};
use std::process::ExitCode;

/// Reads, reviews, reports; the exit code says whether there are findings.
pub(super) fn run(session: &mut Session, args: &Check) -> Result<ExitCode, Failure> {
    settings::targets_for(&session.common, ViewKind::Review)?;
    if args.snapshot.is_empty() {
        need_input(&session.common, &args.paths, &args.capture)?;
    }
    let declared = match args.portability {
        false => session.declared_in(&args.paths, &args.snapshot)?,
        true => session.declared_elsewhere(&args.paths, &args.snapshot)?,
    };
    let observed = session.observed(&args.capture, &declared);
    let mut analysis = session.timed("check", || analysis::reviewed(declared, observed));
    analysis.problems.append(&mut session.unread);
    session.write(&View::Review(&analysis))?;
    Ok(session.exit_code(&analysis))
}
