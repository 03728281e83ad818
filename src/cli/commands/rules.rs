//! `rules`: the checks and their pages.

use crate::check::CHECKS;
use crate::cli::Failure;
use crate::cli::args::Rules;
use std::io::{self, Write};
use std::process::ExitCode;

/// Lists the checks, or prints the page of one.
pub(super) fn run(args: &Rules) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
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
