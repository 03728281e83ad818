//! `flows`: what captures hold, a line a flow.

use super::Session;
use crate::analysis;
use crate::cli::args::Flows;
use crate::cli::{Failure, settings};
use crate::policy::Dataplane;
use crate::report::{View, ViewKind};
use std::process::ExitCode;

/// Reads captures; with manifests, addresses get names.
pub(super) fn run(session: &mut Session, args: &Flows) -> Result<ExitCode, Failure> {
    settings::targets_for(&session.common, ViewKind::Flows)?;
    let nobody = args.manifests.is_empty() && args.snapshot.is_empty() && !session.common.cluster;
    let mut analysis = match nobody {
        true => {
            let dataplane =
                settings::dataplane(&session.common.engine)?.unwrap_or_else(Dataplane::kubernetes);
            let nobody = analysis::declared(&[], dataplane);
            session.under_contract(nobody, &[])?
        }
        false => session.declared_in(&args.manifests, &args.snapshot)?,
    };
    analysis.observed = session.observed(&args.captures, &analysis);
    session.write(&View::Flows(&analysis))?;
    let code = session.exit_code(&analysis);
    // The process ends here: hundreds of thousands of flows and names need not be taken apart first.
    std::mem::forget(analysis);
    Ok(code)
}
