//! `capture`: what goes over interfaces of this machine: a table, a line a flow, or the review.

use super::{Session, need_input};
use crate::analysis::{self, Analysis};
use crate::cli::args::{CaptureLive, Color, Common, Sort};
use crate::cli::live::{self, Colour, Desk, Follow, Manner, Order, Records, Rotation};
use crate::cli::live::{Terminal, Typed, Typing, read_keys};
use crate::cli::{Failure, settings};
use crate::model::Problem;
use crate::observed::{Directory, Wanted};
use crate::policy::Dataplane;
use crate::report::{self, View, ViewKind};
use crate::source::{self, GoesOn, Live, LiveCounters};
use std::io::{self, BufWriter, IsTerminal, Write};
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
        need_input(&session.common, &args.all_manifests())?;
    }
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
            Box::new(BufWriter::new(super::create(path)?))
        }
        // By itself, standard output is written to with every line.
        _ => Box::new(BufWriter::new(io::stdout())),
    };
    live.begin().map_err(refused)?;
    if !session.common.quiet {
        eprintln!("capturing on {}; SIGINT or SIGTERM ends it", args.interface.join(", "));
    }
    match left {
        GoesOn::StillRoot if !session.common.quiet => eprintln!("note: {left}"),
        _ if session.common.verbose => eprintln!("privileges: {left}"),
        GoesOn::AsBefore | GoesOn::As(_) | GoesOn::StillRoot => {}
    }
    // What was told as it came, or shown as a table, is not told again.
    let told = !matches!(manner, Manner::List | Manner::CheckAtTheEnd) || matches!(show, Show::Table(..));
    // The analysis learns names as flows come, who holds which address does not change.
    let inventory = declared.inventory.clone();
    let follow = Follow::new(declared, Directory::new(&inventory), name.clone(), manner, out, files);
    let mut analysis = session.timed("capture", || watch(live, name, follow, show))?;
    analysis.observed.oddities.extend(live::losses(&counters));
    say_counters(session, &counters);
    let rest = &targets[usize::from(told)..];
    if !args.reviews() {
        session.write_to(rest, &View::Flows(&analysis))?;
        return Ok(session.exit_code(&analysis));
    }
    let observed = std::mem::take(&mut analysis.observed);
    let analysis = session.timed("check", || analysis::reviewed(analysis, observed));
    session.write_to(rest, &View::Review(&analysis))?;
    if manner == Manner::CheckText && !session.common.quiet {
        eprintln!("{}", report::headline(&analysis));
    }
    Ok(session.exit_code(&analysis))
}

/// Who exists and what is permitted; nobody and nothing without manifests.
fn declared(session: &mut Session, args: &CaptureLive) -> Result<Analysis, Failure> {
    let manifests = args.all_manifests();
    if !manifests.is_empty() || !args.snapshot.is_empty() || session.common.cluster {
        return session.declared_in(&manifests, &args.snapshot);
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
    if plain && lists && io::stdout().is_terminal() {
        let colour = match common.color {
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
fn watch(live: Live, name: String, mut follow: Follow<'_>, show: Show) -> Result<Analysis, Failure> {
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
        let mut told = Ok(());
        while told.is_ok() && !reader.is_finished() {
            desk.ask(now());
            let asked = Instant::now();
            while asked.elapsed() < SECOND && !reader.is_finished() {
                thread::sleep(GLANCE);
            }
            told = follow.take(desk.fetch());
            let typed = typed.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if typed.end {
                stop.now();
            }
            match &terminal {
                Some(terminal) => follow.draw(terminal, &typed, colour, &counters),
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
        told?;
        if let Some((name, error)) = errors.into_iter().next() {
            return Err(Failure::usage(format!("{name}: {error}"), ""));
        }
        follow.take(desk.fetch())?;
        follow.end(followed)
    })
}

/// Nanoseconds since 1970: the clock by which packets are stamped.
#[expect(clippy::disallowed_methods, reason = "a live capture goes by the clock")]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
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
