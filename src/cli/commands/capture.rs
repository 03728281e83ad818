//! `capture`: what goes over an interface of this machine, a line a flow; with manifests, the review.

use super::{Session, need_input};
use crate::analysis::{self, Analysis};
use crate::cli::args::CaptureLive;
use crate::cli::{Failure, settings};
use crate::model::Problem;
use crate::policy::Dataplane;
use crate::report::View;
use crate::source::{self, LiveCounters};
use std::process::ExitCode;

/// Captures until the time, the count or a signal ends it; then everything is judged and written.
pub(super) fn run(session: &mut Session, args: &CaptureLive) -> Result<ExitCode, Failure> {
    settings::targets(&session.common)?;
    if args.check {
        need_input(&session.common, &args.manifests)?;
    }
    let declared = match args.manifests.is_empty() && !session.common.cluster {
        true => {
            let dataplane =
                settings::dataplane(&session.common.engine)?.unwrap_or_else(Dataplane::kubernetes);
            let nobody = analysis::declared(&[], dataplane);
            session.under_contract(nobody, &[])?
        }
        false => session.declared(&args.manifests)?,
    };
    let (live, counters) = source::open_live(&settings::live(args)?).map_err(refused)?;
    if !session.common.quiet {
        eprintln!("capturing on {}; SIGINT or SIGTERM ends it", args.interface);
    }
    let inputs: Vec<analysis::NamedCapture<'_>> = vec![(args.interface.clone(), Box::new(live))];
    let (mut observed, errors) =
        session.timed("capture", || analysis::observe(inputs, &declared.inventory, 1));
    if let Some((_, error)) = errors.into_iter().next() {
        return Err(Failure::usage(format!("{}: {error}", args.interface), ""));
    }
    let lost = [
        ("packets that the kernel dropped: its buffer was full", counters.dropped()),
        ("packets that the interface dropped", counters.interface_dropped()),
    ];
    for (what, count) in lost.into_iter().filter(|(_, count)| *count > 0) {
        observed.oddities.insert(what.to_owned(), count);
    }
    say_counters(session, &counters);
    let analysis = match args.check {
        true => session.timed("check", || analysis::reviewed(declared, observed)),
        false => Analysis { observed, ..declared },
    };
    match args.check {
        true => session.write(&View::Review(&analysis))?,
        false => session.write(&View::Flows(&analysis))?,
    }
    Ok(session.exit_code(&analysis))
}

fn say_counters(session: &Session, counters: &LiveCounters) {
    if !session.common.quiet {
        let (received, dropped) = (counters.received(), counters.dropped());
        eprintln!(
            "{received} packets received, {dropped} dropped by the kernel, {} by the interface",
            counters.interface_dropped()
        );
    }
}

fn refused(problem: Problem) -> Failure {
    Failure::usage(problem.to_string(), problem.hint)
}
