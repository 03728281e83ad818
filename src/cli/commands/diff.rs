//! `diff`: what a change of configuration opens, closes, or leaves without a guard.

use super::Session;
use crate::analysis;
use crate::cli::args::{Diff, FailOn};
use crate::cli::{Failure, settings};
use crate::policy::{self, DataplaneKind};
use crate::report::View;
use crate::report::diff::Comparison;
use std::process::ExitCode;

/// Reads both versions, compares, reports; 1 where something opens, by `--fail-on`.
pub(super) fn run(session: &mut Session, args: &Diff) -> Result<ExitCode, Failure> {
    let old = session.read(std::slice::from_ref(&args.old));
    let new = session.read(std::slice::from_ref(&args.new));
    // One cluster has one dataplane: what either version shows of it counts for both.
    let dataplane = settings::dataplane(&session.common.engine)?.unwrap_or_else(|| {
        let (before, after) = (policy::detect(&old.documents), policy::detect(&new.documents));
        if after.kind == DataplaneKind::Kubernetes { before } else { after }
    });
    let old = session.analysed(old, dataplane.clone());
    let new = session.analysed(new, dataplane);
    let observed = session.observed(&args.capture, &new);
    let (diff, replay) = session.timed("compare", || analysis::compared(&old, &new, &observed));
    let replay = (!args.capture.is_empty()).then_some(replay);
    let comparison = Comparison { old: &old, new: &new, diff, replay };
    let gaps = session.common.strict
        && session.common.fail_on != FailOn::Never
        && !(old.gaps.is_empty() && new.gaps.is_empty());
    session.write(&View::Diff(&comparison))?;
    let fails = settings::reaches(&session.common, comparison.worst()) || gaps;
    Ok(match (session.broken, fails) {
        (true, _) => ExitCode::from(2),
        (false, true) => ExitCode::from(1),
        (false, false) => ExitCode::SUCCESS,
    })
}
