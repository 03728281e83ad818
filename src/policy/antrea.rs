//! Antrea's feature gates, as far as they decide which policies count.

use super::flat;
use crate::model::{Document, Node};
use std::collections::BTreeMap;

/// The gate of AdminNetworkPolicy and BaselineAdminNetworkPolicy, off by default (`docs/feature-gates.md`
/// of Antrea).
pub const ADMIN_NETWORK_POLICY: &str = "AdminNetworkPolicy";
/// Every setting that something is drawn from.
pub const SETTINGS: &[&str] = &[ADMIN_NETWORK_POLICY];

/// The ConfigMap; older installations put a hash behind its name.
const CONFIG_MAP: &str = "antrea-config";
const CONTROLLER: &str = "antrea-controller.conf";

/// The gates as the configuration of the controller has them; none where it was not read. A gate is on
/// where all objects that may be the configuration say so.
pub fn settings(documents: &[Document]) -> BTreeMap<String, String> {
    let named = |d: &&Document| &*d.origin.kind == "ConfigMap" && d.origin.name.starts_with(CONFIG_MAP);
    let text = |d: &Document| d.body.path(&["data", CONTROLLER]).and_then(Node::text).map(str::to_owned);
    let texts: Vec<String> = documents.iter().filter(named).filter_map(text).collect();
    let is_on = |text: &String, gate: &str| {
        let all = flat::of_text(text).unwrap_or_default();
        let said = |gate: &str| Some(all.get(&format!("featureGates.{gate}"))?.first()? == "true");
        said(gate).or_else(|| said("AllAlpha")).unwrap_or(false)
    };
    let value = |gate: &&str| {
        let on = texts.iter().all(|text| is_on(text, gate));
        ((*gate).to_owned(), on.to_string())
    };
    SETTINGS.iter().filter(|_| !texts.is_empty()).map(value).collect()
}
