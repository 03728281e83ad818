//! Signals that end a capture: the first one asks for the end, a later one does not wait for it.

use super::Stop;
use crate::model::Problem;
use crate::source::problem;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::thread;
use std::time::{Duration, Instant};

/// How soon after the first signal another one still means the same: keys are pressed twice.
const SAME: Duration = Duration::from_secs(1);

/// From now on signals ask for the end; one that comes a second later ends the process at once, as
/// where whoever reads the output does not.
///
/// The thread that waits for them is begun here, with the privileges of the one that asks.
///
/// # Errors
/// The system gives no signals, or no thread.
pub(super) fn end(stop: Stop) -> Result<(), Problem> {
    let failed = |error: std::io::Error| {
        problem("capture", &format!("cannot wait for signals: {error}"), "are there too many open files?")
    };
    let mut wanted = vec![SIGINT, SIGTERM];
    if !hang_ups_are_ignored() {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted).map_err(failed)?;
    let wait = move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            stop.now();
            if first.get_or_insert_with(Instant::now).elapsed() >= SAME {
                // It does not come back.
                emulate_default_handler(signal).unwrap_or_default();
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(failed)?;
    Ok(())
}

/// `nohup` and its kin turn hang-ups off before a program begins, and it stays like that.
#[expect(clippy::disallowed_methods, reason = "the kernel tells it in a file")]
fn hang_ups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 << (SIGHUP - 1) != 0)
}
