//! The mesh-wide configuration: the ConfigMap `istio`, whose `mesh` is YAML inside a text.
//!
//! Only a few scalars of it decide anything here, so they are read by their indentation: keys of
//! the first level, and those one level below.

use crate::model::{Document, Node, Origin};
use std::collections::BTreeMap;

/// What the mesh is set to; absent keys have the documented default (`MeshConfig`).
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// `rootNamespace`.
    pub root: String,
    /// `trustDomain` and its aliases, with `cluster.local`, which always stands for the local one.
    pub trust_domains: Vec<String>,
    /// `enableAutoMtls`.
    pub auto_mtls: bool,
    /// `defaultDestinationRuleExportTo`; everybody where it is empty.
    pub rules_exported_to: Vec<String>,
    /// Whether clients with a sidecar tunnel to ambient servers.
    pub tunnels: bool,
    /// Where it stands; `None` where the defaults were taken.
    pub origin: Option<Origin>,
}

/// Reads the configuration out of the documents.
pub fn read(documents: &[Document]) -> MeshConfig {
    let is_map = |d: &&Document| {
        let name = &*d.origin.name;
        &*d.origin.kind == "ConfigMap"
            && (name == "istio" || name.starts_with("istio-"))
            && d.body.path(&["data", "mesh"]).and_then(Node::text).is_some()
    };
    let map = documents.iter().find(is_map);
    let text = map.and_then(|d| d.body.path(&["data", "mesh"])).and_then(Node::text).unwrap_or_default();
    let keys = keys(text);
    let first = |key: &str| keys.get(key).and_then(|values| values.first()).cloned();
    let mut trust_domains = vec![first("trustDomain").unwrap_or_else(|| "cluster.local".to_owned())];
    trust_domains.extend(keys.get("trustDomainAliases").cloned().unwrap_or_default());
    trust_domains.push("cluster.local".to_owned());
    trust_domains.dedup();
    MeshConfig {
        root: first("rootNamespace").unwrap_or_else(|| "istio-system".to_owned()),
        trust_domains,
        auto_mtls: first("enableAutoMtls").is_none_or(|value| value != "false"),
        rules_exported_to: keys.get("defaultDestinationRuleExportTo").cloned().unwrap_or_default(),
        tunnels: tunnels(documents),
        origin: map.map(|d| d.origin.clone()),
    }
}

/// The scalars and lists of the first two levels, by their path.
fn keys(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut parent = String::new();
    for line in text.lines() {
        let content = line.split(" #").next().unwrap_or_default().trim_end();
        let bare = content.trim_start();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        let depth = content.len() - bare.len();
        if let Some(item) = bare.strip_prefix("- ") {
            all.entry(parent.clone()).or_default().push(unquoted(item));
            continue;
        }
        let Some((key, value)) = bare.split_once(':') else { continue };
        let value = value.trim();
        match (depth, value.is_empty()) {
            (0, true) => key.clone_into(&mut parent),
            (0, false) => {
                parent.clear();
                let inner = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                let values = match inner {
                    Some(list) => list.split(',').map(unquoted).filter(|item| !item.is_empty()).collect(),
                    None => vec![unquoted(value)],
                };
                all.insert(key.to_owned(), values);
            }
            (_, _) => {
                all.entry(format!("{parent}.{key}")).or_default().push(unquoted(value));
            }
        }
    }
    all
}

fn unquoted(text: &str) -> String {
    text.trim().trim_matches(['"', '\'']).to_owned()
}

/// Ambient is on where its parts run, or where something is labelled for it; istiod's own variable
/// comes first (`PILOT_ENABLE_AMBIENT`).
fn tunnels(documents: &[Document]) -> bool {
    let said = documents.iter().filter(|d| &*d.origin.kind == "Deployment").find_map(|d| {
        let containers = d.body.path(&["spec", "template", "spec", "containers"])?.items();
        let mut variables = containers.iter().flat_map(|c| c.items_of("env"));
        let variable = variables.find(|v| v.text_of("name") == Some("PILOT_ENABLE_AMBIENT"))?;
        Some(variable.text_of("value") == Some("true"))
    });
    let runs = |d: &Document| &*d.origin.kind == "DaemonSet" && &*d.origin.name == "ztunnel";
    said.unwrap_or_else(|| documents.iter().any(|d| runs(d) || super::membership::is_ambient(d)))
}

#[cfg(test)]
mod tests {
    use super::keys;

    #[test]
    fn keys_are_read_by_their_indentation() {
        let text = "# comment\ntrustDomain: \"prod.example\" # ours\ntrustDomainAliases:\n- old.example\n- 'older'\n\
                    meshMTLS:\n  minProtocolVersion: TLSV1_3\ndefaultDestinationRuleExportTo: [\".\"]\nenableAutoMtls: false\n";
        let keys = keys(text);
        assert_eq!(keys["trustDomain"], ["prod.example"]);
        assert_eq!(keys["trustDomainAliases"], ["old.example", "older"]);
        assert_eq!(keys["meshMTLS.minProtocolVersion"], ["TLSV1_3"]);
        assert_eq!(keys["defaultDestinationRuleExportTo"], ["."]);
        assert_eq!(keys["enableAutoMtls"], ["false"]);
    }
}
