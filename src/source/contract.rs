//! Finds and opens the contract: the file that was named, or the one beside the input.

use super::files::read_text;
use super::yaml;
use crate::model::{Node, Problem};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name under which a contract lies beside the input.
pub const CONTRACT: &str = "watertight.yaml";

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
    let Some(path) = beside(input).filter(|path| path.is_file()) else { return Ok(None) };
    let name: Arc<str> = path.display().to_string().into();
    // A manifest may have the same name; in a contract there is no object.
    match yaml::parse(&name, &read_text(&path)?).documents.is_empty() {
        true => parse(&path).map(Some),
        false => Ok(None),
    }
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
