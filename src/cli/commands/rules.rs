//! `rules`: the checks and their pages.

use super::Session;
use super::output::open;
use crate::check::CHECKS;
use crate::cli::args::Rules;
use crate::cli::{Failure, settings};
use std::process::ExitCode;

/// Lists the checks, or prints the page of one.
pub(super) fn run(session: &Session, args: &Rules) -> Result<ExitCode, Failure> {
    settings::only_output(&session.common, "rules", &["text"])?;
    let mut out = open(&session.common)?;
    match &args.name {
        None => {
            for check in CHECKS {
                writeln!(out, "{:<30} {:<9} {}", check.name(), check.severity().word(), check.summary())?;
            }
        }
        Some(name) => {
            let check = CHECKS.iter().find(|check| check.name() == name).ok_or_else(|| {
                let part = name.split('-').next().unwrap_or(name);
                let near: Vec<&str> = CHECKS.iter().map(|c| c.name()).filter(|n| n.contains(part)).collect();
                let hint = match near.is_empty() {
                    true => "`watertight rules` lists them all".to_owned(),
                    false => format!("did you mean {}?", near.join(", ")),
                };
                Failure::usage(format!("there is no check {name:?}"), hint)
            })?;
            write!(out, "{}", check.page())?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
