//! `diff`: what a change of configuration opens, closes, or leaves without a guard.

use super::{Session, Written};
use crate::analysis::{self, Analysis};
use crate::check::Severity;
use crate::cli::args::{Diff, FailOn};
use crate::cli::{Failure, settings};
use crate::policy::{self, Dataplane, Found};
use crate::report::diff::Comparison;
use crate::report::{View, ViewKind};
use crate::source::Reading;
use std::process::ExitCode;

/// Reads both versions, compares, reports; 1 where something opens, by `--fail-on`.
pub(super) fn run(session: &mut Session, args: &Diff) -> Result<ExitCode, Failure> {
    settings::targets_for(&session.common, ViewKind::Diff)?;
    if session.common.cluster {
        let hint = "`watertight drift manifests/ --cluster` compares manifests with the cluster";
        return Err(Failure::usage("diff compares two versions of manifests", hint));
    }
    let mut old = session.read_in(std::slice::from_ref(&args.old), &args.snapshot)?;
    let mut new = match &args.new {
        Some(path) => session.read_in(std::slice::from_ref(path), &args.snapshot)?,
        None => committed(&old),
    };
    // What is wrong with the snapshots was met twice, and is said once.
    new.manifests.problems.retain(|problem| !old.manifests.problems.contains(problem));
    let [before, after] = dataplanes([&old, &new])?;
    let (before, after) = set_up(&mut old, &mut new, before, after);
    let old = session.analysed(old, before);
    let mut new = session.analysed(new, after);
    let beside = beside(&old, &mut new);
    let observed = session.observed(&args.capture, &new);
    let (diff, replay) = session.timed("compare", || analysis::compared(&old, &new, &observed));
    let replay = (!args.capture.is_empty()).then_some(replay);
    let comparison = Comparison { old: &old, new: &new, diff, replay };
    let gaps = session.common.strict
        && session.common.fail_on != FailOn::Never
        && !(old.gaps.is_empty() && new.gaps.is_empty());
    session.write(&View::Diff(&comparison))?;
    let fails = settings::reaches(&session.common, comparison.worst().max(beside)) || gaps;
    Ok(match (session.broken, fails) {
        (true, _) => ExitCode::from(2),
        (false, true) => ExitCode::from(1),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Says among the gaps of the new version what changed on networks beside that of the cluster, and
/// how bad it is.
pub(super) fn beside(old: &Analysis, new: &mut Analysis) -> Option<Severity> {
    let changes = analysis::compared_beside(old, new);
    let opens = changes.iter().any(|change| change.opens);
    new.gaps.extend(changes.into_iter().map(|change| change.gap));
    new.gaps.sort();
    opens.then_some(Severity::High)
}

/// The same with its staged policies put into effect; what is wrong with it was said already.
fn committed(old: &Written) -> Written {
    let Written { manifests, contract, found: _, gaps, engine, today, tenancy } = old;
    let Reading { documents, problems: _, files, bytes, skipped } = manifests;
    let documents = policy::committed(documents);
    Written {
        manifests: Reading {
            documents,
            problems: Vec::new(),
            files: *files,
            bytes: *bytes,
            skipped: *skipped,
        },
        contract: contract.clone(),
        found: Vec::new(),
        gaps: gaps.clone(),
        engine: engine.clone(),
        today: *today,
        tenancy: tenancy.clone(),
    }
}

/// What the contracts say of the dataplane. The cluster is one: what only one of them says counts for both.
pub(super) fn set_up(
    old: &mut Written,
    new: &mut Written,
    before: Dataplane,
    after: Dataplane,
) -> (Dataplane, Dataplane) {
    let says = |written: &Written| {
        let given = &written.contract.dataplane;
        given.version.is_some() || !given.settings.is_empty()
    };
    let of_old = if says(old) { &old.contract } else { &new.contract };
    let of_new = if says(new) { &new.contract } else { &old.contract };
    let ((before, said), (after, more)) = (analysis::set_up(before, of_old), analysis::set_up(after, of_new));
    let twice = said == more;
    old.found.extend(said);
    new.found.extend(more.into_iter().filter(|_| !twice));
    (before, after)
}

/// One cluster has one dataplane: where the versions seem to differ, what runs in one of them, or
/// else what the new one suggests, counts for both.
pub(super) fn dataplanes(both: [&Written; 2]) -> Result<[Dataplane; 2], Failure> {
    // What was typed, or else what the contract of the new version says.
    let engine = if both[1].engine == "auto" { &both[0].engine } else { &both[1].engine };
    if let Some(named) = settings::dataplane(engine)? {
        return Ok(both.map(|written| policy::configured(named.clone(), &written.manifests.documents)));
    }
    let [old, new] = both.map(|written| policy::detect(&written.manifests.documents));
    if old.kind == new.kind {
        return Ok([old, new]);
    }
    let better = match (&old.found, &new.found) {
        (Found::Running(_), Found::Suggested(_) | Found::Assumed) | (Found::Suggested(_), Found::Assumed) => {
            old
        }
        _ => new,
    };
    Ok([better.clone(), better])
}
