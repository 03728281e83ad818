//! Objects that name no namespace and live in one: they are in `default`, for languages that compare the
//! namespaces of objects.

use crate::model::Document;
use std::borrow::Cow;

/// The documents with the namespace of each object written out.
pub fn written_out(documents: &[Document]) -> Cow<'_, [Document]> {
    let lacks_it =
        |document: &Document| document.origin.namespace.is_empty() && document.lives_in_namespace();
    if !documents.iter().any(lacks_it) {
        return Cow::Borrowed(documents);
    }
    let written = |document: &Document| match lacks_it(document) {
        true => Document { origin: document.origin.at_home(), ..document.clone() },
        false => document.clone(),
    };
    Cow::Owned(documents.iter().map(written).collect())
}
