//! ServiceDefaults and ProxyDefaults: the protocol of services, whether they still take plaintext,
//! and whether they may be called by the addresses of their pods.

use crate::model::{Document, Node, Origin};
use std::collections::{BTreeMap, BTreeSet};

/// What is set for services.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    protocols: BTreeMap<String, String>,
    modes: BTreeMap<String, (String, Origin)>,
    protocol: Option<String>,
    mode: Option<(String, Origin)>,
    direct: Vec<String>,
    described: BTreeSet<String>,
}

impl Defaults {
    /// Reads both kinds; the names of objects are those of services.
    pub fn read(documents: &[Document]) -> Defaults {
        let mut defaults = Defaults::default();
        let own = |d: &&Document| d.api_version.starts_with("consul.hashicorp.com/");
        for document in documents.iter().filter(own) {
            let Some(spec) = document.body.get("spec") else { continue };
            let name = document.origin.name.to_string();
            let place = spec.get("mutualTLSMode").map_or(document.origin.line, |node| node.line);
            let mode = spec.text_of("mutualTLSMode").filter(|mode| !mode.is_empty());
            let mode = mode.map(|mode| (mode.to_owned(), document.origin.at("", place)));
            match &*document.origin.kind {
                "ServiceDefaults" => {
                    if spec.path(&["transparentProxy", "dialedDirectly"]).and_then(Node::bool) == Some(true) {
                        defaults.direct.push(name.clone());
                    }
                    defaults.described.insert(name.clone());
                    let protocol = spec.text_of("protocol").filter(|protocol| !protocol.is_empty());
                    defaults.protocols.extend(protocol.map(|p| (name.clone(), p.to_owned())));
                    defaults.modes.extend(mode.map(|mode| (name, mode)));
                }
                "ProxyDefaults" if name == "global" => {
                    defaults.protocol =
                        spec.path(&["config", "protocol"]).and_then(Node::text).map(str::to_owned);
                    defaults.mode = mode;
                }
                _ => {}
            }
        }
        defaults
    }

    /// What makes a service take plaintext; its own setting counts before the one of all.
    pub fn permissive(&self, service: &str) -> Option<&Origin> {
        let (mode, origin) = self.modes.get(service).or(self.mode.as_ref())?;
        (mode == "permissive").then_some(origin)
    }

    /// Whether requests of a service can be told apart; without a word its protocol is tcp.
    pub fn speaks_http(&self, service: Option<&str>) -> bool {
        let own = service.and_then(|name| self.protocols.get(name)).or(self.protocol.as_ref());
        own.is_some_and(|protocol| matches!(&*protocol.to_ascii_lowercase(), "http" | "http2" | "grpc"))
    }

    /// Whether the servers take permissions for a service: they look at its own ServiceDefaults, and at
    /// ProxyDefaults only where it has none (`C:agent/consul/state/config_entry.go`).
    pub fn takes_permissions(&self, service: Option<&str>) -> bool {
        let silent = |name: &str| self.described.contains(name) && !self.protocols.contains_key(name);
        self.speaks_http(service) && !service.is_some_and(silent)
    }

    /// Services that may be called by the addresses of their pods.
    pub fn direct(&self) -> &[String] {
        &self.direct
    }
}
