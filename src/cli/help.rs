//! The command line as it is parsed: what is typed, with the formats of each command in its help.

use super::args::{Args, EVERY_COMMAND};
use super::settings::formats_of;
use crate::policy::DataplaneKind;
use crate::report::ViewKind;
use clap::{Arg, Command, CommandFactory, FromArgMatches};

/// What kind of report a command writes.
const REPORTS: &[(&str, ViewKind)] = &[
    ("check", ViewKind::Review),
    ("graph", ViewKind::Graph),
    ("flows", ViewKind::Flows),
    ("capture", ViewKind::Flows),
    ("explain", ViewKind::Explain),
    ("diff", ViewKind::Diff),
    ("drift", ViewKind::Drift),
];

/// What commands write that have no kind of report of their own.
const OTHERS: &[(&str, &str)] = &[
    ("reach", "text or json"),
    ("rules", "text"),
    ("completions", "text"),
    ("snapshot", "yaml or json"),
    ("suggest", "text (which is YAML) or json"),
    ("watch", "text or json"),
];

/// What was typed; help, and what is wrong, are told here.
pub(super) fn parse() -> Args {
    let parsed = command().try_get_matches().and_then(|matches| Args::from_arg_matches(&matches));
    parsed.unwrap_or_else(|error| error.exit())
}

/// All that can be typed.
pub(super) fn command() -> Command {
    let command = Args::command();
    let reports = REPORTS.iter().map(|(name, kind)| (*name, either(&formats_of(*kind))));
    let others = OTHERS.iter().map(|(name, formats)| (*name, (*formats).to_owned()));
    let command = reports.chain(others).fold(command, |command, (name, formats)| {
        command.mut_subcommand(name, |sub| sub.arg(format(formats)))
    });
    let engines = ["auto"].into_iter().chain(DataplaneKind::all().map(DataplaneKind::name));
    let engines = either(&engines.collect::<Vec<_>>());
    command.mut_arg("engine", |arg| {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        arg.help(format!("{help}: {engines}"))
    })
}

/// `--format` of one command, in place of the one of all.
fn format(formats: String) -> Arg {
    Arg::new("format")
        .short('f')
        .long("format")
        .global(true)
        .value_name("NAME")
        .help_heading(EVERY_COMMAND)
        .help(formats)
}

/// `a, b or c`.
fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
