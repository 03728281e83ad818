//! Objects that name no namespace and live in one: they are in `default`, for languages that compare the
//! namespaces of objects.

use crate::model::Document;
use std::borrow::Cow;

/// Kinds that live in no namespace, of those that such languages look at.
const IN_NONE: &[&str] = &[
    "AdminNetworkPolicy",
    "BaselineAdminNetworkPolicy",
    "CiliumClusterwideNetworkPolicy",
    "ClusterNetworkConnect",
    "ClusterNetworkPolicy",
    "ClusterUserDefinedNetwork",
    "CustomResourceDefinition",
    "GatewayClass",
    "GlobalNetworkPolicy",
    "Namespace",
    "Node",
    "RouteAdvertisements",
];

/// The documents with the namespace of each object written out.
pub fn written_out(documents: &[Document]) -> Cow<'_, [Document]> {
    let lacks_it = |document: &Document| {
        document.origin.namespace.is_empty() && !IN_NONE.contains(&&*document.origin.kind)
    };
    if !documents.iter().any(lacks_it) {
        return Cow::Borrowed(documents);
    }
    let written = |document: &Document| match lacks_it(document) {
        true => Document { origin: document.origin.at_home(), ..document.clone() },
        false => document.clone(),
    };
    Cow::Owned(documents.iter().map(written).collect())
}
