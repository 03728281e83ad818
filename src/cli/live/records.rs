//! Flow records in files that are rotated by size or age, of which the newest are kept.
//!
//! `flows-20261125T160000Z-000001.jsonl`: names sort by time, and only whole lines are written.

use crate::cli::Failure;
use crate::cli::settings;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
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
#[derive(Debug)]
pub struct Records {
    folder: PathBuf,
    rotation: Rotation,
    keep: Option<usize>,
    current: Option<Current>,
    number: u32,
}

#[derive(Debug)]
struct Current {
    out: BufWriter<File>,
    bytes: u64,
    begun: Instant,
}

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
        let mut records = Records { folder: folder.to_owned(), rotation, keep, current: None, number: 0 };
        // Whether it can be written to is known before hours of work depend on it.
        records.rotate()?;
        Ok(records)
    }

    /// Writes a line, which ends in a newline.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn write(&mut self, line: &[u8]) -> Result<(), Failure> {
        let full = match (&self.current, self.rotation) {
            (None, _) => true,
            (Some(current), Rotation::Bytes(most)) => {
                current.bytes > 0 && current.bytes + line.len() as u64 > most
            }
            (Some(current), Rotation::Age(most)) => current.bytes > 0 && current.begun.elapsed() >= most,
        };
        if full {
            self.rotate()?;
        }
        if let Some(current) = &mut self.current {
            current.bytes += line.len() as u64;
            current.out.write_all(line).map_err(|error| cannot(&self.folder, &error))?;
        }
        Ok(())
    }

    /// What was written is on its way to the disk.
    ///
    /// # Errors
    /// The disk is full.
    pub fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.current.as_mut().map_or(Ok(()), |current| current.out.flush());
        flushed.map_err(|error| cannot(&self.folder, &error))
    }

    fn rotate(&mut self) -> Result<(), Failure> {
        self.flush()?;
        self.number += 1;
        let (path, file) = loop {
            let name = format!("{PREFIX}{}-{:06}{ENDING}", stamp(), self.number);
            let path = self.folder.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => break (path, file),
                // Another run began within the same second.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => self.number += 1,
                Err(error) => return Err(cannot(&path, &error)),
            }
        };
        self.current = Some(Current { out: BufWriter::new(file), bytes: 0, begun: Instant::now() });
        self.remove_oldest(&path);
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
    let hint = "privileges are given up before: the folder must belong to whom the capture goes on as";
    Failure::usage(format!("cannot write records to {}: {error}", path.display()), hint)
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
            records.write(format!("{{\"n\":{number}}}\n").as_bytes()).expect("written");
        }
        records.flush().expect("flushed");
        let mut names: Vec<PathBuf> =
            std::fs::read_dir(folder.path()).expect("files").map(|e| e.expect("a file").path()).collect();
        names.sort();
        let texts: Vec<String> =
            names.iter().map(|path| std::fs::read_to_string(path).expect("text")).collect();
        assert_eq!(texts, ["{\"n\":4}\n{\"n\":5}\n", "{\"n\":6}\n{\"n\":7}\n", "mine"]);
    }
}
