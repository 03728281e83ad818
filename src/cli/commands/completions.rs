//! `completions`: the command line as shells and `man` read it.

use super::Session;
use super::output::open;
use crate::cli::args::{Completions, CompletionsFor};
use crate::cli::{Failure, help, settings};
use clap_complete::Shell;
use std::process::ExitCode;

/// Writes one of them.
pub(super) fn run(session: &Session, args: &Completions) -> Result<ExitCode, Failure> {
    settings::only_output(&session.common, "completions", &["text"])?;
    let mut command = help::command();
    let shell = match args.form {
        CompletionsFor::Bash => Some(Shell::Bash),
        CompletionsFor::Elvish => Some(Shell::Elvish),
        CompletionsFor::Fish => Some(Shell::Fish),
        CompletionsFor::Powershell => Some(Shell::PowerShell),
        CompletionsFor::Zsh => Some(Shell::Zsh),
        CompletionsFor::Man => None,
    };
    // What is written in one piece reaches a reader that goes away whole or not at all.
    let mut text = Vec::new();
    match shell {
        Some(shell) => clap_complete::generate(shell, &mut command, "watertight", &mut text),
        None => clap_mangen::Man::new(command).render(&mut text)?,
    }
    let mut out = open(&session.common)?;
    out.write_all(&text)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
