//! Settings of the dataplane that FelixConfiguration and the environment of its agents hold, by their own
//! names.

use crate::model::{Bend, Document, Gap, Node, Origin, Value};
use crate::policy::{fields, image};
use std::collections::{BTreeMap, BTreeSet};

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

/// A setting by which packets pass, or do not, whatever policies say.
struct Loosening {
    key: &'static str,
    /// The values that do so, in small letters; any other is the default or as strict.
    values: &'static [&'static str],
    what: &'static str,
    bends: Bend,
}

/// Of `FelixConfigurationSpec` (`api/pkg/apis/projectcalico/v3/felixconfig.go`).
const LOOSENING: &[Loosening] = &[
    Loosening {
        key: "chainInsertMode",
        values: &["append"],
        what: "rules that others put into iptables come before those of Calico: what they accept, no policy denies",
        bends: Bend::MayAllowMore,
    },
    Loosening {
        key: "dropActionOverride",
        values: &["accept", "logandaccept"],
        what: "what policies deny is let through",
        bends: Bend::MayAllowMore,
    },
    Loosening {
        key: "allowVXLANPacketsFromWorkloads",
        values: &["true"],
        what: "pods may send packets of VXLAN, and what is inside of them meets none of their policies",
        bends: Bend::MayAllowMore,
    },
    Loosening {
        key: "allowIPIPPacketsFromWorkloads",
        values: &["true"],
        what: "pods may send packets of IPIP, and what is inside of them meets none of their policies",
        bends: Bend::MayAllowMore,
    },
    Loosening {
        key: "workloadSourceSpoofing",
        values: &["any"],
        what: "pods with the annotation cni.projectcalico.org/allowedSourcePrefixes may send from addresses of others, \
               and pass as these",
        bends: Bend::MayAllowMore,
    },
    Loosening {
        key: "iptablesFilterAllowAction",
        values: &["return"],
        what: "what policies let in meets the rules that others put into iptables, which may drop it",
        bends: Bend::MayAllowLess,
    },
];

/// What the settings of the dataplane leave open about policies.
pub fn loosened(documents: &[Document]) -> Vec<Gap> {
    let found = |one: &Loosening, value: &str, origin: Origin| {
        let what = format!("{} is {value}: {}", one.key, one.what);
        one.values.contains(&&*value.to_ascii_lowercase()).then_some(Gap { what, origin, bends: one.bends })
    };
    let of_one = |document: &Document| -> Vec<Gap> {
        let spec = document.body.get("spec");
        let own = LOOSENING.iter().filter_map(|one| {
            let node = spec?.get(one.key)?;
            found(one, &value(node)?, document.origin.at(&format!("spec.{}", one.key), node.line))
        });
        own.collect()
    };
    let environment = environment(documents);
    let of_agents = environment.iter().filter_map(|given| {
        let one = LOOSENING.iter().find(|one| one.key.eq_ignore_ascii_case(given.key))?;
        found(one, &given.value, given.document.origin.at("", given.line))
    });
    documents.iter().filter(is_felix).flat_map(of_one).chain(of_agents).collect()
}

fn is_felix(document: &&Document) -> bool {
    &*document.origin.kind == "FelixConfiguration" && fields::kind_of(super::KINDS, document).is_some()
}

/// The agents, by the names that installers give them.
const AGENTS: &[&str] = &["calico-node", "canal"];
/// What the name of a variable begins with that is a setting.
const VARIABLE: &str = "FELIX_";

/// The version of the agents; Calico Enterprise counts otherwise, and its images have other names.
pub fn version(documents: &[Document]) -> Option<(u32, u32)> {
    image::version(documents, AGENTS, &["calico/node", "calico-node"])
}

/// A setting in the environment of the agents, which counts more than what FelixConfiguration says.
struct Given<'a> {
    key: &'a str,
    value: String,
    document: &'a Document,
    line: u32,
}

fn environment(documents: &[Document]) -> Vec<Given<'_>> {
    let is_agent = |d: &&Document| &*d.origin.kind == "DaemonSet" && AGENTS.contains(&&*d.origin.name);
    documents.iter().filter(is_agent).flat_map(variables).collect()
}

fn variables(agent: &Document) -> impl Iterator<Item = Given<'_>> {
    agent.containers().iter().flat_map(|container| container.items_of("env")).filter_map(move |variable| {
        let key = variable.text_of("name")?.strip_prefix(VARIABLE)?;
        let text = value(variable.get("value")?)?;
        // `BoolParam.Parse` in `felix/config`.
        let value = match &*text.to_ascii_lowercase() {
            "true" | "1" | "yes" | "y" | "t" => "true".to_owned(),
            "false" | "0" | "no" | "n" | "f" => "false".to_owned(),
            _ => text,
        };
        Some(Given { key, value, document: agent, line: variable.line })
    })
}

fn scalars() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().copied().filter(|key| !LISTS.contains(key))
}

/// A setting as text.
fn value(node: &Node) -> Option<String> {
    match &node.value {
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.to_string()),
        _ => None,
    }
}

/// The settings that the FelixConfiguration `default` makes; absent ones have their defaults.
///
/// A setting that an object of a single node (`node.<name>`) turns off is off: what holds on some
/// nodes alone cannot be relied on.
pub fn settings(documents: &[Document]) -> BTreeMap<String, String> {
    let value = |document: &Document, key: &str| value(document.body.path(&["spec", key])?);
    let mut settings = BTreeMap::new();
    let objects: Vec<&Document> = documents.iter().filter(is_felix).collect();
    let of_all = objects.iter().filter(|document| &*document.origin.name == "default");
    for key in scalars() {
        let said: BTreeSet<Option<String>> = of_all.clone().map(|document| value(document, key)).collect();
        let is_switch = said.contains(&Some("true".to_owned()));
        match said.into_iter().collect::<Vec<_>>().as_slice() {
            [one] => settings.extend(one.clone().map(|value| (key.to_owned(), value))),
            // Of two objects of one name nobody knows which there is: what one switches on may be off.
            _ if is_switch => drop(settings.insert(key.to_owned(), "false".to_owned())),
            several => {
                settings.extend(several.iter().flatten().next().map(|value| (key.to_owned(), value.clone())));
            }
        }
    }
    for document in objects.iter().filter(|document| document.origin.name.starts_with("node.")) {
        for key in scalars() {
            let off = document.body.path(&["spec", key]).and_then(Node::bool) == Some(false);
            if off && settings.contains_key(key) {
                settings.insert(key.to_owned(), "false".to_owned());
            }
        }
    }
    for given in environment(documents) {
        if let Some(key) = SETTINGS.iter().find(|key| key.eq_ignore_ascii_case(given.key)) {
            settings.insert((*key).to_owned(), given.value);
        }
    }
    settings
}
