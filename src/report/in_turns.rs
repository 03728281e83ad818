//! Texts that several threads put together and that are written in their order.

use super::line::Line;
use std::io::{self, Write};
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

/// Texts that each thread may be ahead of who writes them. Whoever had to wait after each would
/// sleep, and waking up takes longer than making one.
const AHEAD: usize = 2;

/// Writes the texts of all numbers below a bound. Each thread has a speaker of its own, and makes
/// every so many-th text.
///
/// # Errors
/// Those of writing.
pub(super) fn write<S: FnMut(usize, &mut Line)>(
    texts: usize,
    threads: usize,
    speaker: impl Fn() -> S + Sync,
    out: &mut dyn Write,
) -> io::Result<()> {
    if texts.min(threads) < 2 {
        let (mut say, mut lines) = (speaker(), Line::default());
        return (0..texts).try_for_each(|number| {
            lines.clear();
            say(number, &mut lines);
            out.write_all(lines.bytes())
        });
    }
    let speaker = &speaker;
    thread::scope(|scope| {
        let start = |first: usize| {
            let (filled, full) = sync_channel::<Line>(AHEAD);
            let (back, spare) = channel::<Line>();
            scope.spawn(move || {
                let mut say = speaker();
                for number in (first..texts).step_by(threads) {
                    let mut lines = spare.try_recv().unwrap_or_default();
                    lines.clear();
                    say(number, &mut lines);
                    // Where writing failed, nobody waits for more.
                    if filled.send(lines).is_err() {
                        return;
                    }
                }
            });
            (full, back)
        };
        let lanes: Vec<_> = (0..threads).map(start).collect();
        for (full, back) in lanes.iter().cycle().take(texts) {
            // Who is gone before the end has panicked, which the end of the scope passes on.
            let Ok(lines) = full.recv() else { break };
            out.write_all(lines.bytes())?;
            // Nobody takes it back who has made all of his.
            back.send(lines).unwrap_or_default();
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number() -> impl FnMut(usize, &mut Line) {
        |number, line| {
            line.number(number as u64);
            line.put(b"\n");
        }
    }

    #[test]
    fn texts_come_in_their_order_whoever_made_them() {
        let expected: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        for threads in [0, 1, 2, 3, 7] {
            let mut out = Vec::new();
            write(1_000, threads, number, &mut out).expect("memory takes all");
            assert_eq!(String::from_utf8_lossy(&out), expected, "{threads} threads");
        }
        let mut out = Vec::new();
        write(0, 2, number, &mut out).expect("nothing to write");
        assert!(out.is_empty());
    }

    /// Takes so many bytes, and then no more.
    struct Narrow(usize);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_cannot_write_any_more_ends_and_says_so() {
        for threads in [1, 3] {
            let failed = write(usize::MAX, threads, number, &mut Narrow(1_000));
            assert_eq!(failed.map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
        }
    }
}
