//! `graph`: who may talk to whom, who does, or one over the other.

use super::{Session, need_input};
use crate::cli::args::{Graph, What};
use crate::cli::{Failure, settings};
use crate::report::{View, ViewKind};
use std::process::ExitCode;

/// Reads, builds and writes the graph; findings are not looked for.
pub(super) fn run(session: &mut Session, args: &Graph) -> Result<ExitCode, Failure> {
    let kind = if matches!(args.what, What::Potential) { ViewKind::Potential } else { ViewKind::Graph };
    settings::targets_for(&session.common, kind)?;
    need_input(&session.common, &args.paths, &args.capture)?;
    if matches!(args.what, What::Observed | What::Overlay) && args.capture.is_empty() {
        return Err(Failure::usage("this needs a capture", "add --capture FILE"));
    }
    let mut analysis = session.declared(&args.paths)?;
    analysis.observed = session.observed(&args.capture, &analysis);
    let options = settings::graph_options(args, &analysis)?;
    let view = match args.what {
        What::Potential => View::Potential(&analysis, &options),
        What::Allowed | What::Observed | What::Overlay | What::Exposure => View::Graph(&analysis, &options),
    };
    session.write(&view)?;
    Ok(session.exit_code(&analysis))
}
