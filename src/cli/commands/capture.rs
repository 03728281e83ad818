//! `capture`: what goes over interfaces of this machine: a table, a line a flow, or the review.

use super::{Session, need_input};
use crate::analysis::{self, Analysis};
use crate::cli::args::{CaptureLive, Color, Common, Sort};
use crate::cli::failure::print_problem;
use crate::cli::live::{self, Colour, Desk, Follow, Manner, Order, Records, Rotation};
use crate::cli::live::{Terminal, Typed, Typing, read_keys};
use crate::cli::say::say;
use crate::cli::{Failure, settings};
use crate::model::Problem;
use crate::observed::{Directory, Wanted};
use crate::policy::Dataplane;
use crate::report::{self, View, ViewKind};
use crate::source::{self, GoesOn, Live, LiveCounters};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the table is drawn and findings are looked for.
const SECOND: Duration = Duration::from_secs(1);
/// How often it is looked whether the capture has ended.
const GLANCE: Duration = Duration::from_millis(50);

/// Captures until the time, the count or a signal ends it; what is known is told as it comes.
pub(super) fn run(session: &mut Session, args: &CaptureLive) -> Result<ExitCode, Failure> {
    let kind = if args.reviews() { ViewKind::Review } else { ViewKind::Flows };
    let targets = settings::targets_for(&session.common, kind)?;
    let rotation = Rotation::parse(&args.rotate).ok_or_else(|| {
        let message = format!("--rotate {:?} is neither a size nor a time", args.rotate);
        Failure::usage(message, "100MB, 64KiB, 5m, 1h")
    })?;
    if args.reviews() && args.snapshot.is_empty() {
        need_input(&session.common, &args.all_manifests(), &[])?;
    }
    all_there(session, args)?;
    let account = source::account(args.user.as_deref()).map_err(refused)?;
    // Interfaces first, while that is permitted; all else is read without privileges.
    let mut live = source::open_live(&settings::live(args)?).map_err(refused)?;
    let left = source::give_up_privileges(account.as_ref()).map_err(refused)?;
    let declared = declared(session, args)?;
    let folder = args.write_records.as_deref();
    let files = folder.map(|folder| Records::new(folder, rotation, args.keep)).transpose()?;
    let manner = manner(&session.common, args);
    let show = show(&session.common, args, manner);
    let (name, counters) = (args.interface.join("+"), live.counters());
    let out: Box<dyn Write> = match (&session.common.output, manner) {
        (Some(path), Manner::Records | Manner::CheckText | Manner::CheckJson) => {
            Box::new(BufWriter::new(super::output::create(path)?))
        }
        // By itself, standard output is written to with every line.
        _ => Box::new(BufWriter::new(io::stdout())),
    };
    let told = !matches!(manner, Manner::List | Manner::CheckAtTheEnd) || matches!(show, Show::Table(..));
    // What was told as it came, or shown as a table, is not told again.
    let rest = &targets[usize::from(told)..];
    rest.iter().filter_map(|target| target.file.as_deref()).try_for_each(super::output::can_write)?;
    live.begin().map_err(refused)?;
    if !session.common.quiet {
        say!("capturing on {}; SIGINT or SIGTERM ends it", args.interface.join(", "));
    }
    match left {
        GoesOn::StillRoot if !session.common.quiet => say!("note: {left}"),
        _ if session.common.verbose => say!("privileges: {left}"),
        GoesOn::AsBefore | GoesOn::As(_) | GoesOn::StillRoot => {}
    }
    // The analysis learns names as flows come, who holds which address does not change.
    let inventory = declared.inventory.clone();
    let follow = Follow::new(declared, Directory::new(&inventory), name.clone(), manner, out, files);
    let (mut analysis, all_told) = session.timed("capture", || watch(live, name, follow, show))?;
    for capture in &mut analysis.observed.captures {
        capture.losses = live::losses(&counters);
    }
    say_counters(session, &counters);
    let gone = counters.gone().into_iter().map(|name| {
        let hint = "what was captured until then is told; what it carried after that was not seen";
        source::problem(name, "the interface went away before the capture ended", hint)
    });
    session.report_problems(&gone.collect::<Vec<_>>());
    if !args.reviews() {
        session.write_to(rest, &View::Flows(&analysis))?;
        return all_told.map(|()| session.exit_code(&analysis));
    }
    let observed = std::mem::take(&mut analysis.observed);
    let analysis = session.timed("check", || analysis::reviewed(analysis, observed));
    session.write_to(rest, &View::Review(&analysis))?;
    if manner == Manner::CheckText && !session.common.quiet {
        say!("{}", report::headline(&analysis));
    }
    all_told.map(|()| session.exit_code(&analysis))
}

/// What is not there is known before anything is opened, not after hours.
fn all_there(session: &Session, args: &CaptureLive) -> Result<(), Failure> {
    let config = session.common.config.clone();
    let named: Vec<PathBuf> =
        args.all_manifests().into_iter().chain(args.snapshot.iter().cloned()).chain(config).collect();
    let absent = source::absent(&named);
    let Some((last, others)) = absent.split_last() else { return Ok(()) };
    others.iter().for_each(print_problem);
    Err(refused(last.clone()))
}

/// Who exists and what is permitted; nobody and nothing without manifests.
fn declared(session: &mut Session, args: &CaptureLive) -> Result<Analysis, Failure> {
    let manifests = args.all_manifests();
    if !manifests.is_empty() || !args.snapshot.is_empty() || session.common.cluster {
        let declared = session.declared_in(&manifests, &args.snapshot)?;
        let nothing = declared.inventory.namespaces.is_empty() && declared.policy_count() == 0;
        return match session.broken && nothing {
            false => Ok(declared),
            true => Err(Failure::usage(
                "nothing is captured: there is nothing to hold it against",
                "the errors above say why; without --check, --manifests and --snapshot flows are listed",
            )),
        };
    }
    let dataplane = settings::dataplane(&session.common.engine)?.unwrap_or_else(Dataplane::kubernetes);
    session.under_contract(analysis::declared(&[], dataplane), &[])
}

/// What becomes of flows, by what was asked for.
fn manner(common: &Common, args: &CaptureLive) -> Manner {
    let format = common.format.as_deref().unwrap_or("text");
    match (args.reviews(), format) {
        (true, "text") => Manner::CheckText,
        (true, "json") => Manner::CheckJson,
        (true, _) => Manner::CheckAtTheEnd,
        // Reports at the end need all flows.
        (false, "json") if common.report.is_empty() => Manner::Records,
        (false, "text") if args.write_records.is_some() && common.report.is_empty() => Manner::FilesOnly,
        (false, _) => Manner::List,
    }
}

/// What is shown while it goes on.
enum Show {
    /// The table of open flows.
    Table(Colour, Typed),
    /// A line now and then.
    Progress,
    /// Nothing.
    Nothing,
}

fn show(common: &Common, args: &CaptureLive, manner: Manner) -> Show {
    let plain = common.format.as_deref().unwrap_or("text") == "text" && common.output.is_none();
    let lists = matches!(manner, Manner::List | Manner::FilesOnly);
    if plain && lists && io::stdout().is_terminal() && settings::can_draw() {
        let colour = match common.color {
            Color::Auto if settings::colours_are_unwanted() => Colour::Plain,
            Color::Never => Colour::Plain,
            Color::Auto | Color::Always => Colour::Coloured,
        };
        let order = match args.sort {
            Sort::Bytes => Order::Bytes,
            Sort::Packets => Order::Packets,
            Sort::Newest => Order::Newest,
        };
        let typed = Typed { order, only: args.only.clone(), typing: Typing::Commands, end: false };
        return Show::Table(colour, typed);
    }
    match common.quiet || common.no_progress {
        true => Show::Nothing,
        false => Show::Progress,
    }
}

/// Reads in one thread and tells in this one, until the capture ends.
///
/// What could not be told comes back beside what is known: files and reports do without it.
///
/// # Errors
/// The interfaces gave no capture.
fn watch(live: Live, name: String, mut follow: Follow<'_>, show: Show) -> Result<Known, Failure> {
    let wanted = match show {
        Show::Table(..) => Wanted::Glances,
        Show::Progress | Show::Nothing if follow.reviews() => Wanted::Verdicts,
        Show::Progress | Show::Nothing => Wanted::Count,
    };
    let (desk, stop, counters) = (Desk::new(wanted), live.stop(), live.counters());
    let tells_progress = matches!(show, Show::Progress);
    let (terminal, colour, typed) = match show {
        Show::Table(colour, typed) => (Some(Terminal::take()), colour, typed),
        Show::Progress | Show::Nothing => (None, Colour::Plain, Typed::default()),
    };
    let typed = Mutex::new(typed);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let followed = analysis::follow(vec![(name, Box::new(live))], &desk);
            over.store(true, Ordering::Relaxed);
            followed
        });
        if terminal.as_ref().is_some_and(Terminal::has_keys) {
            scope.spawn(|| read_keys(&typed, || over.load(Ordering::Relaxed)));
        }
        let (mut told, mut shown) = (Ok(()), typed.lock().unwrap_or_else(PoisonError::into_inner).clone());
        while told.is_ok() && !reader.is_finished() {
            desk.ask(now());
            let asked = Instant::now();
            while asked.elapsed() < SECOND && !reader.is_finished() {
                thread::sleep(GLANCE);
                let now = typed.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if now.end {
                    stop.now();
                }
                if let Some(terminal) = terminal.as_ref().filter(|_| now != shown) {
                    follow.draw(terminal, &now, colour, &counters);
                    shown = now;
                }
            }
            told = follow.take(desk.fetch());
            match &terminal {
                Some(terminal) => follow.draw(terminal, &shown, colour, &counters),
                None if tells_progress => follow.progress(&counters),
                None => {}
            }
        }
        // Where nothing can be told any more, nothing more is captured.
        stop.now();
        let (followed, errors) = match reader.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        // Who gave the screen to the table gets it back before anything is written.
        drop(terminal);
        if let Some((name, error)) = errors.into_iter().next() {
            return Err(Failure::usage(format!("{name}: {error}"), "is the interface still there?"));
        }
        if told.is_err() {
            follow.mute();
        }
        let (analysis, rest) = follow.end(desk.fetch(), followed);
        Ok((analysis, told.and(rest)))
    })
}

/// What is known in the end, and whether all of it could be told.
type Known = (Analysis, Result<(), Failure>);

/// Nanoseconds since 1970: the clock by which packets are stamped.
#[expect(clippy::disallowed_methods, reason = "a live capture goes by the clock")]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn say_counters(session: &Session, counters: &LiveCounters) {
    if !session.common.quiet {
        let (received, dropped) = (counters.received(), counters.dropped());
        say!(
            "{received} packets received, {dropped} dropped by the kernel, {} by the interface",
            counters.interface_dropped()
        );
    }
}

fn refused(problem: Problem) -> Failure {
    Failure::usage(problem.to_string(), problem.hint)
}
