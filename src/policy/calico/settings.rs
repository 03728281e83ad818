//! Settings of the dataplane that FelixConfiguration holds, by their own names.

use crate::model::{Document, Node, Value};
use crate::policy::fields;
use std::collections::BTreeMap;

/// Settings that are lists of ports, read where they are lowered (`host`).
const LISTS: &[&str] = &["failsafeInboundHostPorts", "failsafeOutboundHostPorts"];

/// Every setting that something is drawn from, and may be given without FelixConfiguration.
pub const SETTINGS: &[&str] = &[
    "wireguardEnabled",
    "wireguardEnabledV6",
    "wireguardHostEncryptionEnabled",
    "wireguardListeningPort",
    "wireguardListeningPortV6",
    "wireguardInterfaceName",
    "wireguardInterfaceNameV6",
    "vxlanPort",
    "defaultEndpointToHostAction",
    "failsafeInboundHostPorts",
    "failsafeOutboundHostPorts",
];

fn scalars() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().copied().filter(|key| !LISTS.contains(key))
}

/// The settings that the FelixConfiguration `default` makes; absent ones have their defaults.
///
/// A setting that an object of a single node (`node.<name>`) turns off is off: what holds on some
/// nodes alone cannot be relied on.
pub fn settings(documents: &[Document]) -> BTreeMap<String, String> {
    let felix = |document: &&Document| {
        &*document.origin.kind == "FelixConfiguration" && fields::kind_of(super::KINDS, document).is_some()
    };
    let value = |document: &Document, key: &str| match &document.body.path(&["spec", key])?.value {
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.to_string()),
        _ => None,
    };
    let mut settings = BTreeMap::new();
    let objects: Vec<&Document> = documents.iter().filter(felix).collect();
    for document in objects.iter().filter(|document| &*document.origin.name == "default") {
        let own = scalars().filter_map(|key| Some((key.to_owned(), value(document, key)?)));
        settings.extend(own);
    }
    for document in objects.iter().filter(|document| document.origin.name.starts_with("node.")) {
        for key in scalars() {
            let off = document.body.path(&["spec", key]).and_then(Node::bool) == Some(false);
            if off && settings.contains_key(key) {
                settings.insert(key.to_owned(), "false".to_owned());
            }
        }
    }
    settings
}
