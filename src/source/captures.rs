//! Finds and opens captures: a few of them, or the thousands that a ring of files leaves.

use super::files::{self, hint_of, open, problem};
use crate::model::Problem;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// So many captures may be open at once; of more, each is open only while it is read.
const MOST_OPEN: usize = 100;
/// Merging looks at the beginning of every capture before it reads the earliest one through.
const BEGINNING: u64 = 64 << 10;

/// An opened capture and its name.
pub type OpenCapture = (PathBuf, Box<dyn Read + Send>);

/// The captures at the given paths: files as they are named, in folders those that end in `.pcap`,
/// `.pcapng`, `.cap` or `.dmp`, rotated (`.pcap0`, `.pcap.1`) or packed (`.gz`, `.zst`) too.
pub fn find_captures(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<Problem>) {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        let before = found.len();
        files::find(path, is_capture, &mut found, &mut problems);
        if found.len() == before && path.is_dir() {
            let hint = "captures end in .pcap, .pcapng, .cap or .dmp (.gz and .zst are unpacked)";
            problems.push(problem(&path.display().to_string(), "no captures here", hint));
        }
    }
    let mut known = std::collections::BTreeSet::new();
    found.retain(|file| known.insert(file.clone()));
    (found, problems)
}

/// Opens captures for streaming; gzip and zstd are unpacked on the way. Files that cannot be
/// opened are problems, and hide no other.
pub fn open_captures(paths: Vec<PathBuf>) -> (Vec<OpenCapture>, Vec<Problem>) {
    let few = paths.len() <= MOST_OPEN;
    let mut problems = Vec::new();
    let mut captures = Vec::new();
    for path in paths {
        match opened(&path, few).and_then(files::unpack) {
            Ok(input) => captures.push((path, input)),
            Err(error) => {
                let name = path.display().to_string();
                problems.push(problem(&name, &format!("cannot read: {error}"), hint_of(&error)));
            }
        }
    }
    (captures, problems)
}

fn opened(path: &Path, few: bool) -> io::Result<Box<dyn Read + Send>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let file = open(path)?;
    // What a pipe has given it does not give again.
    match few || !file.metadata()?.is_file() {
        true => Ok(Box::new(file)),
        false => Ok(Box::new(Shy { path: path.to_owned(), position: 0, file: None })),
    }
}

/// A file that is closed between reads of its beginning, and at its end.
struct Shy {
    path: PathBuf,
    position: u64,
    file: Option<File>,
}

impl Read for Shy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let mut file = open(&self.path)?;
                file.seek(SeekFrom::Start(self.position))?;
                file
            }
        };
        let count = file.read(buffer)?;
        self.position += count as u64;
        if count > 0 && self.position > BEGINNING {
            self.file = Some(file);
        }
        Ok(count)
    }
}

/// Rotation puts numbers behind the ending.
fn is_capture(path: &Path) -> bool {
    let plain = files::plain_name(path);
    let unnumbered = plain.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('.');
    [".pcap", ".pcapng", ".cap", ".dmp"].iter().any(|ending| unnumbered.ends_with(ending))
}
