//! Where the parts of an object stand, and refusals that say so.

use super::selector::{self, Expr};
use crate::model::{AddressRange, AddressSet, Document, Node, Origin, Problem};
use crate::policy::kubernetes::refusal;
use std::net::IpAddr;

/// A place inside an object: errors name its line.
#[derive(Clone)]
pub struct Place<'a> {
    /// The object.
    pub origin: &'a Origin,
    /// What stands there.
    pub node: Option<&'a Node>,
    /// Line of the nearest thing that is there.
    pub line: u32,
}

impl<'a> Place<'a> {
    /// The `spec` of an object.
    pub fn spec(document: &'a Document) -> Place<'a> {
        let place =
            Place { origin: &document.origin, node: Some(&document.body), line: document.origin.line };
        place.field("spec")
    }

    /// A field of what stands here.
    pub fn field(&self, name: &str) -> Place<'a> {
        self.inside(self.node.and_then(|node| node.get(name)))
    }

    /// An item of the list that stands here.
    pub fn item(&self, index: usize) -> Place<'a> {
        self.inside(self.node.and_then(|node| node.items().get(index)))
    }

    fn inside(&self, node: Option<&'a Node>) -> Place<'a> {
        Place { origin: self.origin, node, line: node.map_or(self.line, |node| node.line) }
    }

    /// A refusal of what stands here.
    pub fn refuse(&self, message: impl Into<String>, hint: &str) -> Problem {
        refusal(self.origin, self.line, message, hint)
    }

    /// Reads a selector; the empty one is `all()`.
    ///
    /// # Errors
    /// A syntax error, with its column.
    pub fn selector(&self, field: &str, text: &str) -> Result<Expr, Problem> {
        selector::parse(text).map_err(|error| {
            let hint = "values stand in quotes, comparisons are ==, !=, in { … }, not in { … }, contains, \
                        starts with, ends with and has(…), joined by && and ||, on one line";
            let place = self.field(field);
            let begins = place.node.map_or(0, |node| node.column);
            let mut problem = place.refuse(format!("{field} {text:?}: {error}"), hint);
            if begins > 0 {
                problem.origin.column = begins + error.column as u32 - 1;
            }
            problem
        })
    }

    /// Reads a selector that must not say `global()`.
    ///
    /// # Errors
    /// A syntax error, or `global()`.
    pub fn selector_without_global(&self, field: &str, text: &str) -> Result<Expr, Problem> {
        let expr = self.selector(field, text)?;
        if expr.any(&|part| *part == Expr::Global) {
            let hint = "global() stands only in the namespaceSelector of a source or destination";
            return Err(self.field(field).refuse(format!("{field} says global()"), hint));
        }
        Ok(expr)
    }

    /// Reads a list of networks: CIDRs and single addresses.
    ///
    /// # Errors
    /// One that is neither.
    pub fn networks(&self, texts: &[String]) -> Result<AddressSet, Problem> {
        let mut ranges = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let single = || text.trim().parse::<IpAddr>().ok().map(AddressRange::single);
            match AddressRange::from_cidr(text).or_else(single) {
                Some(range) => ranges.push(range),
                None => {
                    let hint =
                        "a network is written 10.0.0.0/8 or fd00::/8, a single address without a prefix";
                    return Err(self.item(index).refuse(format!("{text:?} is no network"), hint));
                }
            }
        }
        Ok(ranges.into_iter().collect())
    }
}
