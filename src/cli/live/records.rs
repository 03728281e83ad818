//! Flow records in files that are rotated by size or age, of which the newest are kept.
//!
//! `flows-20261125T160000Z-000001.jsonl`: names sort by time, and only whole lines are written.

use crate::cli::Failure;
use crate::cli::settings;
use crate::source;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// When a file is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// With so many bytes.
    Bytes(u64),
    /// After this time.
    Age(Duration),
}

impl Rotation {
    /// `100MB`, `64KiB`, `1GB`, or a time: `90s`, `5m`, `1h`.
    pub fn parse(text: &str) -> Option<Rotation> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
        let factor: u64 = match unit.to_ascii_lowercase().as_str() {
            "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return settings::duration(text).map(Rotation::Age),
        };
        number.checked_mul(factor).map(Rotation::Bytes)
    }
}

/// A folder of records.
///
/// What cannot be written waits and is tried again, so that a disk that is full for a while costs
/// nothing; the capture goes on.
#[derive(Debug)]
pub struct Records {
    folder: PathBuf,
    rotation: Rotation,
    keep: Option<usize>,
    current: Option<Current>,
    number: u32,
    /// Whole lines that are not in a file yet.
    waiting: Vec<u8>,
    /// How many lines those are.
    lines: u64,
    /// Lines for which there was no room.
    lost: u64,
    trouble: Trouble,
}

#[derive(Debug)]
struct Current {
    file: File,
    path: PathBuf,
    /// Bytes of whole lines in the file.
    bytes: u64,
    begun: Instant,
}

/// Whether records can be written.
#[derive(Debug)]
enum Trouble {
    None,
    /// They cannot, and nobody was told yet.
    Fresh(Failure),
    Told,
}

/// Bytes that are written together.
const TOGETHER: usize = 64 << 10;
/// Bytes that wait while nothing can be written.
const MOST_WAITING: usize = 16 << 20;

const PREFIX: &str = "flows-";
const ENDING: &str = ".jsonl";

impl Records {
    /// Records go into this folder, which is made where it is not there.
    ///
    /// # Errors
    /// The folder cannot be made or written to.
    #[expect(clippy::disallowed_methods, reason = "records are written where the user says")]
    pub fn new(folder: &Path, rotation: Rotation, keep: Option<usize>) -> Result<Records, Failure> {
        std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
        let mut records = Records {
            folder: folder.to_owned(),
            rotation,
            keep,
            current: None,
            number: 0,
            waiting: Vec::new(),
            lines: 0,
            lost: 0,
            trouble: Trouble::None,
        };
        // Whether it can be written to is known before hours of work depend on it.
        records.rotate()?;
        Ok(records)
    }

    /// Takes a line, which ends in a newline.
    pub fn write(&mut self, line: &[u8]) {
        let waiting = self.waiting.len() as u64;
        let full = self.current.as_ref().is_some_and(|current| match self.rotation {
            _ if current.bytes + waiting == 0 => false,
            Rotation::Bytes(most) => current.bytes + waiting + line.len() as u64 > most,
            Rotation::Age(most) => current.begun.elapsed() >= most,
        });
        if full {
            self.flush();
            // What still waits goes into the old file or the next one, whichever takes it.
            let rotated = if self.waiting.is_empty() { self.rotate() } else { Ok(()) };
            self.note(rotated);
        }
        if self.waiting.len() + line.len() > MOST_WAITING {
            self.lost += self.lines;
            self.lines = 0;
            self.waiting.clear();
        }
        self.waiting.extend_from_slice(line);
        self.lines += 1;
        if self.waiting.len() >= TOGETHER && matches!(self.trouble, Trouble::None) {
            self.flush();
        }
    }

    /// Puts what waits on its way to the disk; what cannot be written waits for the next time.
    pub fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let written = self.put();
        if written.is_ok() {
            self.waiting.clear();
            self.lines = 0;
        }
        self.note(written);
    }

    /// Why records cannot be written, where that is new.
    pub fn trouble(&mut self) -> Option<Failure> {
        match std::mem::replace(&mut self.trouble, Trouble::Told) {
            Trouble::Fresh(failure) => Some(failure),
            other => {
                self.trouble = other;
                None
            }
        }
    }

    /// Records that are in no file: those that wait, and those for which there was no room.
    pub fn missing(&self) -> u64 {
        self.lines + self.lost
    }

    fn note(&mut self, result: Result<(), Failure>) {
        match (result, &self.trouble) {
            (Ok(()), _) => self.trouble = Trouble::None,
            (Err(failure), Trouble::None) => self.trouble = Trouble::Fresh(failure),
            (Err(_), Trouble::Fresh(_) | Trouble::Told) => {}
        }
    }

    /// Writes what waits. Half of it is none of it: only whole lines stay in a file.
    fn put(&mut self) -> Result<(), Failure> {
        // Somebody took the file away, or its folder: what is written to it would be nowhere.
        let is_there = self.current.as_ref().is_some_and(|current| current.path.exists());
        if !is_there {
            self.current = None;
            self.rotate()?;
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        if let Err(error) = current.file.write_all(&self.waiting) {
            // Where even that fails, the next run of whoever reads finds a line that is cut.
            current.file.set_len(current.bytes).unwrap_or_default();
            return Err(cannot(&current.path, &error));
        }
        current.bytes += self.waiting.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), Failure> {
        self.number += 1;
        let (path, file) = loop {
            let name = format!("{PREFIX}{}-{:06}{ENDING}", stamp(), self.number);
            let path = self.folder.join(name);
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => break (path, file),
                // Another run began within the same second.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => self.number += 1,
                Err(error) => return Err(cannot(&path, &error)),
            }
        };
        self.remove_oldest(&path);
        self.current = Some(Current { file, path, bytes: 0, begun: Instant::now() });
        Ok(())
    }

    /// Removes the oldest records beyond those that are kept; nothing else in the folder is touched.
    #[expect(clippy::disallowed_methods, reason = "only files of our own names are looked at")]
    fn remove_oldest(&self, newest: &Path) {
        let Some(keep) = self.keep else { return };
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok);
        let ours = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(ENDING)).is_some_and(is_stamp)
        };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(ours).collect();
        files.sort();
        let surplus = files.len().saturating_sub(keep.max(1));
        for old in files.iter().take(surplus).filter(|file| *file != newest) {
            // What cannot be removed now is tried again at the next rotation.
            drop(std::fs::remove_file(old));
        }
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot write records to {}: {error}", path.display()), source::hint_of(error))
}

/// `20261125T160000Z-000001`.
fn is_stamp(text: &str) -> bool {
    let shape = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        16 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() >= 23 && text.bytes().enumerate().all(shape)
}

/// The moment, in a form that sorts and that every file system takes.
#[expect(clippy::disallowed_methods, reason = "files are named after the moment they were begun")]
fn stamp() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = crate::report::moment(since.as_nanos() as u64);
    text.chars().take(19).filter(|c| !matches!(c, '-' | ':')).chain(['Z']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_told_apart() {
        assert_eq!(Rotation::parse("100MB"), Some(Rotation::Bytes(100_000_000)));
        assert_eq!(Rotation::parse("64KiB"), Some(Rotation::Bytes(65_536)));
        assert_eq!(Rotation::parse("1h"), Some(Rotation::Age(Duration::from_secs(3_600))));
        assert_eq!(Rotation::parse("5m"), Some(Rotation::Age(Duration::from_secs(300))));
        for wrong in ["", "MB", "0MB", "0", "10XB", "-1h", "99999999999999GB"] {
            assert_eq!(Rotation::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what was written")]
    fn full_files_are_followed_by_others_and_the_newest_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("flows-notes.jsonl"), "mine").expect("written");
        let mut records = Records::new(folder.path(), Rotation::Bytes(20), Some(2)).expect("records");
        for number in 0..8 {
            records.write(format!("{{\"n\":{number}}}\n").as_bytes());
        }
        records.flush();
        assert!(records.trouble().is_none() && records.missing() == 0);
        let mut names: Vec<PathBuf> =
            std::fs::read_dir(folder.path()).expect("files").map(|e| e.expect("a file").path()).collect();
        names.sort();
        let texts: Vec<String> =
            names.iter().map(|path| std::fs::read_to_string(path).expect("text")).collect();
        assert_eq!(texts, ["{\"n\":4}\n{\"n\":5}\n", "{\"n\":6}\n{\"n\":7}\n", "mine"]);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test takes away what was written")]
    fn what_cannot_be_written_waits_and_is_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("records");
        let mut records = Records::new(&inside, Rotation::Bytes(1 << 20), None).expect("records");
        let text = |folder: &Path| -> String {
            let files = std::fs::read_dir(folder).expect("files").map(|entry| entry.expect("a file").path());
            let mut files: Vec<PathBuf> = files.collect();
            files.sort();
            files.iter().map(|path| std::fs::read_to_string(path).expect("text")).collect()
        };
        records.write(b"1\n");
        records.flush();
        assert_eq!(text(&inside), "1\n");
        // The folder becomes a file: nothing can be written.
        std::fs::remove_dir_all(&inside).expect("removed");
        std::fs::write(&inside, "in the way").expect("written");
        for line in [b"2\n", b"3\n"] {
            records.write(line);
            records.flush();
        }
        let told = records.trouble().expect("trouble");
        assert!(told.message.contains("cannot write records") && !told.hint.is_empty(), "{told:?}");
        assert!(records.trouble().is_none() && records.missing() == 2);
        std::fs::remove_file(&inside).expect("removed");
        std::fs::create_dir(&inside).expect("made");
        records.flush();
        assert_eq!((text(&inside).as_str(), records.missing()), ("2\n3\n", 0));
    }

    #[test]
    fn a_disk_that_stays_full_costs_a_bounded_memory_and_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut records = Records::new(folder.path(), Rotation::Bytes(u64::MAX), None).expect("records");
        // Not even an empty file fits a path that is none.
        records.current = None;
        records.folder = folder.path().join("none");
        let line = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            records.write(&line);
        }
        assert!(records.waiting.len() <= MOST_WAITING && records.missing() == 20);
        assert!(records.trouble().is_some());
    }
}
