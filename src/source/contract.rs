//! Finds and opens the contract: the file that was named, or the one beside the input.

use super::files::{find_manifests, problem, read_text};
use super::yaml;
use crate::model::{Node, Origin, Problem};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name under which a contract lies beside the input.
pub const CONTRACT: &str = "watertight.yaml";

/// Names that people give it by mistake.
const OTHER_NAMES: [&str; 3] = ["watertight.yml", "watertight.json", ".watertight.yaml"];
/// What to do with a contract of such a name.
const NAME_IT: &str = "call it watertight.yaml, or name it with --config";
/// Sections that only contracts have at the beginning of a line.
const SECTIONS: [&str; 5] = ["segments", "rules", "sensitivePorts", "severities", "exceptions"];
/// What to do with a contract among objects.
const ALONE: &str = "put it into a file of its own: watertight.yaml, or one that --config names";

/// A contract as it was found.
#[derive(Debug)]
pub struct ContractFile {
    /// The file as it is named in reports.
    pub name: String,
    /// What stands in it.
    pub text: String,
    /// The same, as a tree.
    pub root: Node,
}

/// Reads the contract that was named, or else the one in the first folder, or beside the first
/// file; `None` where there is none. Folders above are not searched.
///
/// # Errors
/// The file that was named cannot be read, or the one that was found is broken.
pub fn read_contract(named: Option<&Path>, input: &[PathBuf]) -> Result<Option<ContractFile>, Problem> {
    if let Some(path) = named {
        return parse(path).map(Some);
    }
    let Some(path) = beside(input) else { return Ok(None) };
    if !path.is_file() {
        return match OTHER_NAMES.iter().map(|name| path.with_file_name(name)).find(|other| other.is_file()) {
            Some(other) => unless_it_holds_objects(&other, NAME_IT),
            None => elsewhere(input, &path),
        };
    }
    let name: Arc<str> = path.display().to_string().into();
    let text = read_text(&path)?;
    // A manifest may have the same name; in a contract there is no object.
    if yaml::parse(&name, &text).documents.is_empty() {
        return parse(&path).map(Some);
    }
    match section_line(&text) {
        Some(line) => {
            Err(refused(&path, line, "a contract begins here, in a file that holds objects", ALONE))
        }
        None => Ok(None),
    }
}

/// A contract among the input in another place than where it is looked for.
fn elsewhere(input: &[PathBuf], expected: &Path) -> Result<Option<ContractFile>, Problem> {
    let files = find_manifests(input, &mut Vec::new());
    let called_so =
        |file: &&PathBuf| file.file_name().is_some_and(|name| name == CONTRACT) && *file != expected;
    let hint = "name it with --config, or put it into the first folder that is named";
    files.iter().filter(called_so).try_fold(None, |_, file| unless_it_holds_objects(file, hint))
}

/// A contract that nobody would read, because of its name or place.
fn unless_it_holds_objects(path: &Path, hint: &str) -> Result<Option<ContractFile>, Problem> {
    let name: Arc<str> = path.display().to_string().into();
    let text = read_text(path)?;
    match section_line(&text) {
        Some(line) if yaml::parse(&name, &text).documents.is_empty() => {
            let message = "this looks like a contract and is not read as one";
            Err(refused(path, line, message, hint))
        }
        _ => Ok(None),
    }
}

/// The first line (from 1) on which a section of a contract begins.
fn section_line(text: &str) -> Option<u32> {
    let begins = |line: &str| {
        let line = line.trim_start_matches('\u{feff}');
        let in_json = line.trim_start_matches(['{', ' ', '\t']).strip_prefix('"').unwrap_or_default();
        SECTIONS.iter().any(|section| {
            let after =
                |line: &str, end: char| line.strip_prefix(section).is_some_and(|rest| rest.starts_with(end));
            after(line, ':') || after(in_json, '"')
        })
    };
    text.lines().position(begins).map(|at| at as u32 + 1)
}

fn refused(path: &Path, line: u32, message: &str, hint: &str) -> Problem {
    let problem = problem(&path.display().to_string(), message, hint);
    Problem { origin: Origin { line, ..problem.origin.clone() }, ..problem }
}

fn beside(input: &[PathBuf]) -> Option<PathBuf> {
    let first = input.first().filter(|path| path.as_os_str() != "-")?;
    match first.is_dir() {
        true => Some(first.join(CONTRACT)),
        false => Some(first.with_file_name(CONTRACT)),
    }
}

fn parse(path: &Path) -> Result<ContractFile, Problem> {
    let text = read_text(path)?;
    let name = path.display().to_string();
    let root = yaml::parse_one(&Arc::from(name.as_str()), &text)?;
    Ok(ContractFile { name, text, root })
}
