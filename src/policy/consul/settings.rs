//! The settings of the chart and of the servers: what is given, what the servers' ConfigMap says,
//! the documented defaults otherwise (`charts/consul/values.yaml`).

use super::super::Dataplane;
use super::super::shapes::Shape;
use crate::model::{Document, Node, Origin};

/// What the ConfigMap of the servers ends with.
const SERVER_CONFIG: &str = "-server-config";

/// What holds for the whole cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `connectInject.default`.
    pub inject: Switch,
    /// `connectInject.transparentProxy.defaultEnabled`.
    pub transparent: Switch,
    /// What no intention decides.
    pub default: DefaultPolicy,
    /// Where that stands; `None` where it is assumed.
    pub default_origin: Option<Origin>,
    /// Whether the default policy is known.
    pub known: Switch,
    /// Whether the switches of the injector are.
    pub injector: Switch,
}

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// `default_intention_policy`, or what follows from the settings of ACLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultPolicy {
    /// Let in.
    Allow,
    /// Keep out.
    Deny,
}

impl Switch {
    fn of(text: &str) -> Switch {
        match text {
            "true" => Switch::On,
            _ => Switch::Off,
        }
    }
}

impl DefaultPolicy {
    fn parse(text: &str) -> Option<DefaultPolicy> {
        match text {
            "allow" => Some(DefaultPolicy::Allow),
            "deny" => Some(DefaultPolicy::Deny),
            _ => None,
        }
    }
}

impl Settings {
    /// What is given as `consul.…`, else the ConfigMap of the servers, else the defaults: without
    /// ACLs everything that no intention decides is allowed.
    pub fn read(documents: &[Document], shapes: &[Shape<'_>], dataplane: &Dataplane) -> Settings {
        let given = dataplane.settings.get("consul.default_intention_policy");
        let given = given.and_then(|text| DefaultPolicy::parse(text));
        let managed = (dataplane.setting("consul.global.acls.manageSystemACLs", "false") == "true")
            .then_some(DefaultPolicy::Deny);
        let written = written(documents);
        let default = given.or(managed).or(written.as_ref().map(|(policy, _)| *policy));
        let switch = |setting: &str, flag: &str| {
            let given = dataplane.settings.get(setting).cloned();
            given.or_else(|| flag_of_injector(shapes, flag)).map(|text| Switch::of(&text))
        };
        let inject = switch("consul.connectInject.default", "-default-inject=");
        let transparent = switch(
            "consul.connectInject.transparentProxy.defaultEnabled",
            "-default-enable-transparent-proxy=",
        );
        Settings {
            inject: inject.unwrap_or(Switch::Off),
            transparent: transparent.unwrap_or(Switch::On),
            injector: if transparent.is_some() { Switch::On } else { Switch::Off },
            default: default.unwrap_or(DefaultPolicy::Allow),
            default_origin: given.or(managed).is_none().then(|| written.map(|(_, origin)| origin)).flatten(),
            known: if default.is_some() { Switch::On } else { Switch::Off },
        }
    }
}

/// A flag of the injector, which its Deployment has in the text of its command.
fn flag_of_injector(shapes: &[Shape<'_>], flag: &str) -> Option<String> {
    let containers =
        shapes.iter().flat_map(|shape| shape.body.path(&["spec", "containers"]).map_or(&[][..], Node::items));
    let texts = containers.flat_map(|c| c.items_of("command").iter().chain(c.items_of("args")));
    texts
        .filter_map(Node::text)
        .filter(|text| text.contains("inject-connect") || text.starts_with(flag))
        .find_map(|text| {
            let (_, rest) = text.split_once(flag)?;
            rest.split(|c: char| c.is_whitespace() || c == '\\').next().map(str::to_owned)
        })
}

/// The policy that the configuration of the servers has: each value of the ConfigMap is JSON.
fn written(documents: &[Document]) -> Option<(DefaultPolicy, Origin)> {
    let named = |d: &&Document| &*d.origin.kind == "ConfigMap" && d.origin.name.ends_with(SERVER_CONFIG);
    let mut found = None;
    for document in documents.iter().filter(named) {
        for (_, node) in document.body.get("data").map_or(&[][..], Node::fields) {
            let Some(config) = node.text().and_then(|text| serde_json::from_str(text).ok()) else { continue };
            let config: serde_json::Value = config;
            let own = config.get("default_intention_policy").and_then(|v| v.as_str());
            let acl = config.get("acl");
            let enabled = acl.and_then(|acl| acl.get("enabled")).and_then(serde_json::Value::as_bool);
            let of_acl = match enabled {
                Some(true) => {
                    acl.and_then(|acl| acl.get("default_policy")).and_then(|v| v.as_str()).or(Some("allow"))
                }
                Some(false) => Some("allow"),
                None => None,
            };
            if let Some(policy) = own.and_then(DefaultPolicy::parse) {
                return Some((policy, document.origin.clone()));
            }
            found = found.or(of_acl.and_then(DefaultPolicy::parse).map(|p| (p, document.origin.clone())));
        }
    }
    found
}
