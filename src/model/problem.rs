//! Input that could not be used: said once, and the rest goes on.

use super::Origin;

/// An object or file that is broken, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where; the kind and name are empty where they could not be read.
    pub origin: Origin,
    /// What is wrong.
    pub message: String,
    /// What would help; empty where nothing is known.
    pub hint: String,
}

impl Problem {
    /// What is wrong with an object at one of its lines; 0 is the line on which it begins.
    pub fn at(origin: &Origin, line: u32, message: impl Into<String>, hint: &str) -> Problem {
        let line = if line == 0 { origin.line } else { line };
        Problem { origin: Origin { line, ..origin.clone() }, message: message.into(), hint: hint.to_owned() }
    }
}

impl std::fmt::Display for Problem {
    /// `file:line: message`, with the column and the object where they are known.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.origin.file)?;
        if self.origin.line > 0 {
            write!(f, ":{}", self.origin.line)?;
        }
        if self.origin.column > 0 {
            write!(f, ":{}", self.origin.column)?;
        }
        match (self.origin.kind.is_empty(), self.origin.namespace.is_empty()) {
            (true, _) => {}
            (_, true) => write!(f, ": {} {}", self.origin.kind, self.origin.name)?,
            _ => write!(f, ": {} {}/{}", self.origin.kind, self.origin.namespace, self.origin.name)?,
        }
        write!(f, ": {}", super::names::one_line(&self.message))
    }
}
