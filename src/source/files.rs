//! Finds and opens files: folders are walked, gzip and zstd are unpacked, `-` is standard input.

use super::{envoy, yaml};
use crate::model::{Document, Origin, Problem, proxy};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was read, and what could not be.
#[derive(Debug, Default)]
pub struct Reading {
    /// Objects in the order of files and documents.
    pub documents: Vec<Document>,
    /// Broken files and documents.
    pub problems: Vec<Problem>,
    /// Documents that are valid YAML and no Kubernetes objects (values files, charts …).
    pub skipped: usize,
    /// Files that were read.
    pub files: usize,
    /// Bytes after unpacking.
    pub bytes: u64,
}

impl Reading {
    /// One after the other.
    pub(super) fn joined(parts: Vec<Reading>) -> Reading {
        let count = parts.iter().map(|part| part.documents.len()).sum();
        let mut all = Reading { documents: Vec::with_capacity(count), ..Reading::default() };
        for part in parts {
            all.documents.extend(part.documents);
            all.problems.extend(part.problems);
            all.skipped += part.skipped;
            all.files += part.files;
            all.bytes += part.bytes;
        }
        all
    }
}

/// A file, unpacked, larger than this is refused: a bomb or a mistake.
const LARGEST_MANIFEST: u64 = 2 << 30;
/// Nobody writes a longer contract by hand.
const LARGEST_CONTRACT: u64 = 16 << 20;

/// Reads all manifests at the given paths.
///
/// Files named by the user are read whatever their names; in folders, those that end in `.yaml`,
/// `.yml` or `.json`, plain or with `.gz` or `.zst`.
pub fn read_manifests(paths: &[PathBuf]) -> Reading {
    let mut reading = Reading::default();
    let files = find_manifests(paths, &mut reading.problems);
    if files.is_empty() && reading.problems.is_empty() {
        let named = paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" ");
        let hint = "manifests end in .yaml, .yml or .json (.gz and .zst are unpacked); \
                    rendered Helm or Kustomize output is read from `-`";
        reading.problems.push(problem(&named, "no manifests here", hint));
    }
    let parts: Vec<Reading> = files.par_iter().map(|file| read_file(file)).collect();
    Reading::joined(std::iter::once(reading).chain(parts).collect())
}

/// The files of manifests at the given paths, sorted, each once.
pub(super) fn find_manifests(paths: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        find(path, is_manifest, &mut files, problems);
    }
    files.sort();
    files.dedup();
    files
}

/// Links are followed: a policy behind one counts. What several names in a folder lead to, as in a
/// mounted ConfigMap, is read once, under the shortest of them.
pub(super) fn find(
    path: &Path,
    wanted: fn(&Path) -> bool,
    files: &mut Vec<PathBuf>,
    problems: &mut Vec<Problem>,
) {
    if !path.is_dir() {
        files.push(path.to_owned());
        return;
    }
    let mut found: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for entry in walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_file() && wanted(entry.path()) => {
                let name = entry.into_path();
                let rank = |name: &Path| (name.components().count(), name.to_owned());
                let known = found.entry(real(&name)).or_insert_with(|| name.clone());
                if rank(&name) < rank(known) {
                    *known = name;
                }
            }
            Ok(_) => {}
            Err(error) if leads_to_nothing_wanted(&error, wanted) => {}
            Err(error) => {
                let at = error.path().unwrap_or(path).display().to_string();
                problems.push(match error.io_error() {
                    Some(io) => problem(&at, &format!("cannot read: {io}"), hint_of(io)),
                    None => problem(&at, &error.to_string(), "name the files one by one"),
                });
            }
        }
    }
    let mut found: Vec<PathBuf> = found.into_values().collect();
    found.sort();
    files.extend(found);
}

/// The file that a name leads to; the name itself where that cannot be told.
fn real(name: &Path) -> PathBuf {
    name.canonicalize().unwrap_or_else(|_| name.to_owned())
}

/// A link to a folder that it lies in hides nothing, nor does one to nowhere whose name is of no
/// file that is read.
fn leads_to_nothing_wanted(error: &walkdir::Error, wanted: fn(&Path) -> bool) -> bool {
    let dangles = || {
        let link = error.path().filter(|path| path.is_symlink());
        link.is_some_and(|link| !link.exists() && !wanted(link))
    };
    error.loop_ancestor().is_some() || dangles()
}

fn is_manifest(path: &Path) -> bool {
    let plain = plain_name(path);
    [".yaml", ".yml", ".json"].iter().any(|ending| plain.ends_with(ending))
}

/// The lower-case name of a file without the ending that says how it is packed.
pub(super) fn plain_name(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name).to_owned()
}

/// Reads the documents of one file.
pub(super) fn read_file(path: &Path) -> Reading {
    let name = path.display().to_string();
    let failed = |message: String, hint: &str| Reading {
        problems: vec![problem(&name, &message, hint)],
        files: 1,
        ..Reading::default()
    };
    let mut bytes = Vec::new();
    let read = match name.as_str() {
        "-" => unpack(Box::new(io::stdin())),
        _ => open(path).and_then(|file| unpack(Box::new(file))),
    }
    .and_then(|reader| reader.take(LARGEST_MANIFEST).read_to_end(&mut bytes));
    if let Err(error) = read {
        return failed(format!("cannot read: {error}"), hint_of(&error));
    }
    if bytes.len() as u64 == LARGEST_MANIFEST {
        return failed("more than 2 GiB of manifests in one file".to_owned(), "split the file");
    }
    let count = bytes.len() as u64;
    let text = match decoded(bytes) {
        Ok(text) => text,
        Err(NoText::Binary) => {
            return failed("not a text file".to_owned(), "captures are given with --capture");
        }
        Err(NoText::NotUtf8 { line }) => {
            let (message, hint) = ("not UTF-8", "kubectl refuses it too; save the file as UTF-8");
            let mut reading = failed(message.to_owned(), hint);
            reading.problems.iter_mut().for_each(|problem| problem.origin.line = line);
            return reading;
        }
    };
    let mut reading = yaml::parse(&Arc::from(name.as_str()), &text);
    for document in reading.documents.iter_mut().filter(|document| proxy::is_one(document)) {
        envoy::add_certificates(path.parent().unwrap_or(Path::new(".")), &mut document.body);
    }
    reading.files = 1;
    reading.bytes = count;
    reading
}

/// The text of one file, unpacked.
///
/// # Errors
/// The file cannot be read, is too large, or is no text.
pub(super) fn read_text(path: &Path) -> Result<String, Problem> {
    let name = path.display().to_string();
    let failed = |message: &str, hint: &str| problem(&name, message, hint);
    let mut bytes = Vec::new();
    let read = open(path)
        .and_then(|file| unpack(Box::new(file)))
        .and_then(|reader| reader.take(LARGEST_CONTRACT).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(failed(&format!("cannot read: {error}"), hint_of(&error))),
        Ok(count) if count as u64 == LARGEST_CONTRACT => {
            Err(failed("this is too large for a contract", "is it the right file?"))
        }
        Ok(_) => decoded(bytes).map_err(|_| {
            failed("not a text file", "a contract is YAML in UTF-8; see docs/reference/contract.md")
        }),
    }
}

/// Why bytes are no text.
#[derive(Debug, PartialEq, Eq)]
enum NoText {
    /// They hold zeros, or no UTF-16 behind its mark.
    Binary,
    /// From this line on they are in some other encoding.
    NotUtf8 { line: u32 },
}

/// Text as YAML may be encoded (YAML 1.2, 5.2): UTF-8, or UTF-16 with a byte order mark, as the
/// shell of Windows writes it. Lines that end with a carriage return alone end as others do.
fn decoded(bytes: Vec<u8>) -> Result<String, NoText> {
    let wide = |order: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(|pair| order([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| NoText::Binary)
    };
    let text = match bytes.as_slice() {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes)?,
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes)?,
        _ => String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let lines = memchr::memchr_iter(b'\n', before).count();
            match memchr::memchr(0, error.as_bytes()) {
                Some(_) => NoText::Binary,
                None => NoText::NotUtf8 { line: u32::try_from(lines + 1).unwrap_or(u32::MAX) },
            }
        })?,
    };
    match text.contains('\0') {
        true => Err(NoText::Binary),
        false if text.contains('\r') && !text.contains('\n') => Ok(text.replace('\r', "\n")),
        false => Ok(text),
    }
}

#[expect(clippy::disallowed_methods, reason = "this room is where files are opened")]
pub(super) fn open(path: &Path) -> io::Result<std::fs::File> {
    std::fs::File::open(path)
}

pub(super) fn unpack(reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut reader = reader;
    let mut magic = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut magic)?;
    let whole = io::Cursor::new(magic.clone()).chain(reader);
    Ok(match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(whole))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::new(whole)?),
        _ => Box::new(whole),
    })
}

/// What would help where a file, a folder or a pipe cannot be used.
pub fn hint_of(error: &io::Error) -> &'static str {
    /// Too many open files of this process, and of all (Linux, errno-base.h).
    const TOO_MANY: [i32; 2] = [24, 23];
    match error.kind() {
        _ if error.raw_os_error().is_some_and(|number| TOO_MANY.contains(&number)) => {
            "`ulimit -n` says how many files may be open at once; give fewer at a time"
        }
        io::ErrorKind::NotFound => "is the path right?",
        io::ErrorKind::PermissionDenied => {
            "whoever runs this has no permission; of `capture`, that is the user whom --user names"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "make room, or write somewhere else"
        }
        io::ErrorKind::ReadOnlyFilesystem => "write somewhere else",
        io::ErrorKind::IsADirectory => "this is a folder; a file is wanted",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "this is a file; a folder is wanted",
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            "is the file whole, and packed as its first bytes say?"
        }
        _ => "is the path right, and the device behind it well?",
    }
}

/// Those of the paths that lead nowhere: known before anything is read.
#[expect(clippy::disallowed_methods, reason = "this room is where files are looked at")]
pub fn absent(paths: &[PathBuf]) -> Vec<Problem> {
    let named = paths.iter().filter(|path| path.as_os_str() != "-");
    let missing = named.filter_map(|path| {
        let error = std::fs::metadata(path).err().filter(|error| error.kind() == io::ErrorKind::NotFound)?;
        Some(problem(&path.display().to_string(), &format!("cannot read: {error}"), hint_of(&error)))
    });
    missing.collect()
}

/// A problem of a file as a whole.
pub fn problem(file: &str, message: &str, hint: &str) -> Problem {
    Problem { origin: Origin::of_file(file), message: message.to_owned(), hint: hint.to_owned() }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn text_comes_in_any_encoding_that_yaml_allows() {
        let text = "kind: Pod # \u{fc}\u{1f600}\n";
        let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(order).collect()
        };
        for bytes in [text.as_bytes().to_vec(), wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
            assert_eq!(decoded(bytes).as_deref(), Ok(text));
        }
        assert_eq!(decoded(b"a: 1\rb: 2\r".to_vec()).as_deref(), Ok("a: 1\nb: 2\n"));
        assert_eq!(decoded(b"a: 1\r\nb: |\n  x\r\n".to_vec()).as_deref(), Ok("a: 1\r\nb: |\n  x\r\n"));
        for broken in [&b"a\0b"[..], b"\xff\xfe\0\xd8", b"\0\xc3\x28", b"\xff\xfea\0\0\0"] {
            assert_eq!(decoded(broken.to_vec()), Err(NoText::Binary), "{broken:?}");
        }
        assert_eq!(decoded(b"a: 1\n# Gr\xfc\xdfe\n".to_vec()), Err(NoText::NotUtf8 { line: 2 }));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test makes a folder of links")]
    fn links_in_folders_are_followed_and_each_file_is_read_once() {
        let root = tempfile::tempdir().expect("a folder");
        let at = |name: &str| root.path().join(name);
        // A mounted ConfigMap, and a link that leads out of the folder.
        std::fs::create_dir_all(at("mounted/..2026_11_26")).expect("made");
        std::fs::create_dir(at("elsewhere")).expect("made");
        for name in ["mounted/..2026_11_26/policy.yaml", "elsewhere/other.yaml"] {
            std::fs::write(at(name), "kind: Namespace").expect("written");
        }
        let links = [
            ("..2026_11_26", "mounted/..data"),
            ("..data/policy.yaml", "mounted/policy.yaml"),
            ("../elsewhere/other.yaml", "mounted/linked.yaml"),
            ("../mounted", "mounted/circle"),
            ("nowhere", "mounted/tool"),
            ("nowhere.yaml", "mounted/lost.yaml"),
        ];
        links.iter().for_each(|(target, name)| symlink(target, at(name)).expect("linked"));
        let mut problems = Vec::new();
        let found = find_manifests(&[at("mounted")], &mut problems);
        assert_eq!(found, [at("mounted/linked.yaml"), at("mounted/policy.yaml")]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].origin.file.contains("lost.yaml"), "{problems:?}");
    }
}
