//! What is not understood of objects, by the tables of their kinds.

use super::super::fields;
use super::kinds::KINDS;
use crate::model::{Document, Gap};

/// Walks all objects of Istio against their tables.
pub fn read(documents: &[Document]) -> Vec<Gap> {
    let known = documents.iter().filter_map(|document| Some((fields::kind_of(KINDS, document)?, document)));
    known.flat_map(|(kind, document)| fields::doubts(kind, document)).collect()
}
