//! `flows`: what captures hold, a line a flow.

use super::Session;
use crate::analysis;
use crate::cli::args::Flows;
use crate::cli::{Failure, settings};
use crate::policy::Dataplane;
use crate::report::View;
use std::process::ExitCode;

/// Reads captures; with manifests, addresses get names.
pub(super) fn run(session: &mut Session, args: &Flows) -> Result<ExitCode, Failure> {
    let mut analysis = match args.manifests.is_empty() && !session.common.cluster {
        true => {
            let dataplane =
                settings::dataplane(&session.common.engine)?.unwrap_or_else(Dataplane::kubernetes);
            let nobody = analysis::declared(&[], dataplane);
            session.under_contract(nobody, &[])?
        }
        false => session.declared(&args.manifests)?,
    };
    analysis.observed = session.observed(&args.captures, &analysis);
    session.write(&View::Flows(&analysis))?;
    Ok(session.exit_code(&analysis))
}
