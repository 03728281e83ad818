//! `drift`: what differs in effect between the declared and the live configuration.

use super::{Session, Written, diff, live};
use crate::analysis::{self, drift::completed};
use crate::cli::args::{Drift, FailOn};
use crate::cli::{Failure, settings};
use crate::observed::Observed;
use crate::report::diff::Comparison;
use crate::report::{View, ViewKind, drift};
use crate::source::Reading;
use std::process::ExitCode;

/// Reads both sides, compares, reports; 1 where something opens, by `--fail-on`.
pub(super) fn run(session: &mut Session, args: &Drift) -> Result<ExitCode, Failure> {
    settings::targets_for(&session.common, ViewKind::Drift)?;
    let hint = "watertight drift manifests/ --cluster, or --snapshot FILE";
    if args.paths.is_empty() {
        return Err(Failure::usage("nothing is declared: no manifests were named", hint));
    }
    if session.common.cluster == args.snapshot.is_some() {
        return Err(Failure::usage("one live side is needed, and no more", hint));
    }
    let mut declared = session.read(&args.paths)?;
    let (name, live) = match &args.snapshot {
        Some(file) => {
            let read = session.read(std::slice::from_ref(file))?;
            (
                file.display().to_string(),
                Written { found: Vec::new(), contract: declared.contract.clone(), ..read },
            )
        }
        None => {
            let (reading, gaps) = live::reading(session)?;
            let name = reading.documents.first().map(|d| d.origin.file.to_string()).unwrap_or_default();
            (name, beside(&declared, reading, gaps))
        }
    };
    let whole =
        session.timed("complete", || completed(&declared.manifests.documents, &live.manifests.documents));
    declared.manifests.documents = whole.documents;
    let [before, after] = diff::dataplanes([&declared, &live])?;
    let mut live = live;
    let (before, after) = diff::set_up(&mut declared, &mut live, before, after);
    live.found.clear();
    let declared = session.analysed(declared, before);
    let mut live = session.analysed(live, after);
    let on_others = diff::beside(&declared, &mut live);
    let (diff, _) = session.timed("compare", || analysis::compared(&declared, &live, &Observed::default()));
    let comparison = Comparison { old: &declared, new: &live, diff, replay: None };
    let drift = drift::Drift { comparison, live: name, undeclared: whole.undeclared };
    session.write(&View::Drift(&drift))?;
    let common = &session.common;
    let gaps = common.strict
        && common.fail_on != FailOn::Never
        && !(declared.gaps.is_empty() && live.gaps.is_empty());
    let fails = settings::reaches(common, drift.worst().max(on_others)) || gaps;
    Ok(match (session.broken, fails) {
        (true, _) => ExitCode::from(2),
        (false, true) => ExitCode::from(1),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// The cluster under what the declared side says of it.
fn beside(declared: &Written, manifests: Reading, gaps: Vec<crate::model::Gap>) -> Written {
    Written {
        manifests,
        contract: declared.contract.clone(),
        found: Vec::new(),
        gaps,
        engine: declared.engine.clone(),
        today: declared.today,
        tenancy: declared.tenancy.clone(),
    }
}
