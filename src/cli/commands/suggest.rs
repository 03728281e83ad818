//! `suggest`: policies for what was observed, read together with everything else before they are shown.

use super::{Session, nothing_read, output};
use crate::analysis;
use crate::cli::args::Suggest;
use crate::cli::say::say;
use crate::cli::{Failure, settings};
use crate::model::Problem;
use crate::report::diff::Comparison;
use crate::report::suggestion;
use crate::{observed, source, suggest};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

/// Suggests, proves, writes; 1 where the proof fails.
pub(super) fn run(session: &mut Session, args: &Suggest) -> Result<ExitCode, Failure> {
    let json = settings::only_output(&session.common, "suggest", &["text", "yaml", "json"])? == "json";
    if args.snapshot.is_empty() {
        super::need_input(&session.common, &args.paths, &args.capture)?;
    }
    if args.capture.is_empty() {
        return Err(Failure::usage("this needs a capture", "add --capture FILE"));
    }
    if let Some(path) = &session.common.output {
        output::can_write(path)?;
    }
    let mut read = session.read_in(&args.paths, &args.snapshot)?;
    read.found.extend(nothing_read(&read.manifests, &args.paths));
    let dataplane = Session::dataplane(&mut read)?;
    let (mut documents, contract) = (read.manifests.documents.clone(), read.contract.clone());
    let (today, tenancy) = (read.today, read.tenancy.clone());
    let mut before = session.analysed(read, dataplane.clone());
    let mut observed = session.observed(&args.capture, &before);
    analysis::leave_open(&before, &mut observed);
    before.gaps.extend(observed::gaps(&observed));
    before.gaps.sort();
    before.problems.append(&mut session.unread);
    before.observed = observed;
    if suggest::nobody_has_addresses(&before) {
        say!("warning: {}", suggestion::NOBODY);
    }
    let suggestion = session.timed("suggest", || suggest::of(&before));
    let objects = suggestion::objects(&before, &suggestion);
    // What was written, as whoever applies it reads it.
    let written = source::parse(&Arc::from("suggested"), &suggestion::documents(&objects));
    documents.extend(written.documents);
    let mut after =
        session.timed("prove", || analysis::declared_under(&documents, dataplane, contract, today));
    after.inventory.tenancy = tenancy;
    let unknown: Vec<Problem> =
        after.problems.iter().filter(|p| &*p.origin.file == "suggested").cloned().collect();
    session.report_problems(&[written.problems, unknown].concat());
    let (diff, replay) = session.timed("prove", || analysis::compared(&before, &after, &before.observed));
    let comparison = Comparison { old: &before, new: &after, diff, replay: Some(replay) };
    let mut out = output::open(&session.common)?;
    let written = match json {
        true => suggestion::write_json(&before, &suggestion, &objects, &comparison, &mut out),
        false => suggestion::write_yaml(&before, &suggestion, &objects, &comparison, &mut out),
    };
    match written.and_then(|()| out.flush()) {
        // Whoever stopped reading still gets the exit code: a pager must not make it 0.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(match (session.broken, suggestion::holds(&suggestion, &comparison)) {
        (true, _) => ExitCode::from(2),
        (false, false) => ExitCode::from(1),
        (false, true) => ExitCode::SUCCESS,
    })
}
