//! The sections about what runs: the dataplane, and controllers.

use super::reader::{Reader, one_of};
use super::sections::{cidrs, labels, mapping, section};
use super::{DataplaneSettings, Pattern, PlacedController, Runs, Served, Setting};
use crate::model::{Node, Value};

/// Reads `dataplane`; whether the dataplane knows the settings is not known yet.
pub(super) fn dataplane(reader: &mut Reader<'_>, root: &Node) -> DataplaneSettings {
    let mut settings = DataplaneSettings::default();
    let Some(node) = root.get("dataplane").filter(|node| !node.is_null()) else { return settings };
    if !reader.keys(node, "dataplane", "`dataplane`") {
        return settings;
    }
    if let Some(engine) = reader.text(node, "engine") {
        match engine == "auto" || reader.known.engines.contains(&engine.as_str()) {
            true => settings.engine = Some(engine),
            false => {
                let hint = one_of(&engine, &reader.known.engines);
                reader.refuse(node, "engine", format!("there is no engine {engine:?}"), &hint);
            }
        }
    }
    settings.version = version(reader, node);
    let entries = mapping(reader, node, "settings");
    let parent = section(node, "settings");
    for (name, value) in entries {
        let origin = reader.origin(reader.key_spot(parent, name, value), &format!("settings.{name}"));
        if let Some(value) = reader.text(parent, name) {
            settings.settings.insert(name.to_owned(), Setting { value, origin });
        }
    }
    settings
}

/// `version: "1.17"`; without quotes YAML takes 1.20 for 1.2.
fn version(reader: &mut Reader<'_>, node: &Node) -> Option<(u32, u32)> {
    let value = node.get("version").filter(|value| !value.is_null())?;
    if matches!(value.value, Value::Float(_)) {
        let hint = "version: \"1.20\"; without quotes it is a number, and 1.20 is 1.2";
        reader.refuse(node, "version", "`version` must stand in quotes".to_owned(), hint);
        return None;
    }
    let text = reader.text(node, "version")?;
    let read = || {
        let mut numbers = text.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        numbers.all(|patch| patch.bytes().all(|b| b.is_ascii_digit())).then_some((major, minor))
    };
    let version = read();
    if version.is_none() {
        let hint = "major and minor: version: \"1.17\"";
        reader.refuse(node, "version", format!("{text:?} is no version"), hint);
    }
    version
}

/// Reads an item of `controllers`; one that is not understood places nothing.
pub(super) fn controller(reader: &mut Reader<'_>, node: &Node, number: usize) -> Option<PlacedController> {
    let what = format!("controllers[{number}]");
    if !reader.keys(node, "controllers", &what) {
        return None;
    }
    let (serves, of) = served(reader, node, &what)?;
    let runs = runs(reader, node, &what)?;
    Some(PlacedController { serves, of, runs, origin: reader.origin((node.line, 0), &what) })
}

fn served(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<(Served, Pattern)> {
    let given: Vec<(Served, &str)> = Served::ALL.into_iter().filter(|(_, key)| is_given(node, key)).collect();
    match given.as_slice() {
        [(served, key)] => {
            let text = reader.text(node, key)?;
            match served.is_object() {
                true => named(reader, node, key, &text).map(|pattern| (*served, pattern)),
                false => Some((*served, Pattern::new(&text))),
            }
        }
        [] => {
            let hint = "give it a class, a gatewayClass, an ingress, a gateway or a route";
            reader.refuse(node, "class", format!("{what} does not say what the controller serves"), hint);
            None
        }
        [_, (_, second), ..] => {
            let hint = "make an item of each";
            reader.refuse(node, second, format!("{what} serves several things at once"), hint);
            None
        }
    }
}

fn runs(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Runs> {
    let outside = reader.word(node, "outside", &[(true, "true"), (false, "false")]).ok()?.unwrap_or(false);
    let pods = ["namespace", "labels"].into_iter().find(|key| is_given(node, key));
    let workload = is_given(node, "workload").then_some("workload");
    if !outside && is_given(node, "cidrs") {
        let hint = "`cidrs` is for controllers with `outside: true`";
        reader.refuse(node, "cidrs", format!("{what} has addresses and is not outside"), hint);
        return None;
    }
    match (outside, workload, pods) {
        (true, None, None) => {
            let addresses = cidrs(reader, node, "cidrs");
            // Addresses that cannot be read must not make it come from anywhere, nor from nowhere.
            (!is_given(node, "cidrs") || !addresses.is_empty()).then_some(Runs::Outside(addresses))
        }
        (false, Some(key), None) => {
            let text = reader.text(node, key)?;
            named(reader, node, key, &text).map(Runs::Workload)
        }
        (false, None, Some(_)) => {
            let namespace = reader.text(node, "namespace").map(|text| Pattern::new(&text));
            let labels = labels(reader, node, "labels");
            let empty = labels.is_empty() || labels.iter().any(|test| test.values.is_empty());
            if is_given(node, "labels") && empty {
                let hint = "labels: {app: proxy}";
                reader.refuse(node, "labels", "`labels` holds nothing that can be used".to_owned(), hint);
                return None;
            }
            Some(Runs::Pods { namespace, labels })
        }
        (false, None, None) => {
            let hint = "namespace and labels of its pods, workload: namespace/name, or outside: true";
            reader.refuse(node, "outside", format!("{what} does not say where the controller runs"), hint);
            None
        }
        (_, workload, pods) => {
            let key = workload.or(pods).unwrap_or("outside");
            let hint =
                "its pods by namespace and labels, one workload, or outside: true; not several of them";
            reader.refuse(node, key, format!("{what} says twice where the controller runs"), hint);
            None
        }
    }
}

/// `namespace/name`, in which stars may stand.
fn named(reader: &mut Reader<'_>, node: &Node, key: &str, text: &str) -> Option<Pattern> {
    if text.contains(['/', '*']) {
        return Some(Pattern::new(text));
    }
    let hint = format!("*/{text} for every namespace, or namespace/{text}");
    reader.refuse(node, key, format!("{text:?} names no namespace"), &hint);
    None
}

fn is_given(node: &Node, key: &str) -> bool {
    node.get(key).is_some_and(|value| !value.is_null())
}
