//! Documents of Envoy among others: known by their own keys, named, and brought into one spelling.
//!
//! Files are written with the names of the protocol files (`static_resources`) or with those of
//! JSON (`staticResources`); both mean the same. What they say is left to `policy/envoy`.

use super::Reading;
use crate::model::proxy::{BOOTSTRAP, CONFIG_DUMP};
use crate::model::{Document, Node, Origin, Problem, Text, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that are called by what they are, so that their folder tells the proxy.
const COMMON_NAMES: &[&str] = &["envoy", "bootstrap", "config_dump", "config-dump", "envoy-config", "config"];
/// Fields with names of somebody's choice on the next level.
const MAPS: &[&str] = &["policies", "typed_per_filter_config", "typed_extension_protocol_options"];
/// Fields whose whole content is of somebody's choice.
const FREE: &[&str] = &["filter_metadata", "static_layer", "substitutions"];

/// Takes a document that configures an Envoy; gives all others back.
pub fn take(file: &Arc<str>, number: u32, root: Node, reading: &mut Reading) -> Option<Node> {
    let Some(form) = form(&root) else {
        let Some(what) = fragment(&root) else { return Some(root) };
        let origin = Origin { line: root.line, ..origin(file, number, CONFIG_DUMP, &root) };
        let message = format!("{what} by themselves do not tell what the proxy does");
        reading.problems.push(Problem { origin, message, hint: WHOLE.to_owned() });
        return None;
    };
    let mut body = root;
    spell(&mut body, "");
    let origin = origin(file, number, form, &body);
    match misshapen(&body) {
        Some((line, message, hint)) => {
            let origin = Origin { line, ..origin };
            reading.problems.push(Problem { origin, message, hint: hint.to_owned() });
        }
        None => reading.documents.push(Document { origin, api_version: form.0.into(), body }),
    }
    None
}

/// What to give instead of a part.
const WHOLE: &str = "give the whole: `istioctl proxy-config all POD -o json`, or /config_dump of the proxy without \
                     `resource=`";

/// Parts of a configuration that tools print one at a time, in words: they say neither which proxy
/// it is nor what its other parts make of them.
fn fragment(root: &Node) -> Option<&'static str> {
    // A part of a dump: `/config_dump?resource=dynamic_listeners`.
    let is_part = |part: &Node| {
        part.text_of("@type")
            .is_some_and(|name| name.contains("envoy.admin.") && name.contains("ConfigDump."))
    };
    if root.items_of("configs").iter().any(is_part) {
        return Some("parts of a config_dump");
    }
    // `istioctl proxy-config listeners POD -o json` and its like: a list, or one of it.
    let of = |node: &Node| {
        let has = |names: &[&str]| names.iter().any(|name| node.get(name).is_some());
        let named = node.get("kind").is_some() || node.get("apiVersion").is_some();
        match () {
            () if named => None,
            () if has(&["filterChains", "filter_chains"]) && has(&["address"]) => {
                Some("listeners of an Envoy")
            }
            () if has(&["virtualHosts", "virtual_hosts"]) => Some("routes of an Envoy"),
            () if has(&["connectTimeout", "connect_timeout"]) && has(&["type", "lbPolicy", "lb_policy"]) => {
                Some("clusters of an Envoy")
            }
            () if has(&["hostStatuses", "host_statuses"]) => Some("endpoints of an Envoy"),
            () if has(&["dynamicActiveSecrets", "dynamic_active_secrets"]) => Some("secrets of an Envoy"),
            () => None,
        }
    };
    let of_bootstrap = root.get("bootstrap").and_then(form).map(|_| "parts of a config_dump");
    of(root).or(root.items().iter().find_map(of)).or(of_bootstrap)
}

/// Values of charts have keys of all kinds at their root, so one that could be theirs is not enough.
fn form(root: &Node) -> Option<(&'static str, &'static str)> {
    if root.get("kind").is_some() || root.get("apiVersion").is_some() {
        return None;
    }
    let has = |names: &[&str]| names.iter().any(|name| root.get(name).is_some());
    let admin = root.path(&["admin", "address"]).is_some_and(|a| !a.fields().is_empty());
    let node = root.path(&["node", "id"]).is_some() && root.path(&["node", "cluster"]).is_some();
    if has(&["static_resources", "staticResources", "dynamic_resources", "dynamicResources"])
        || (admin && node)
    {
        return Some(BOOTSTRAP);
    }
    let dumped = |part: &Node| part.text_of("@type").is_some_and(|name| name.ends_with("ConfigDump"));
    root.items_of("configs").iter().any(dumped).then_some(CONFIG_DUMP)
}

/// What makes a document unreadable as a whole; the rest is said where it is read.
fn misshapen(body: &Node) -> Option<(u32, String, &'static str)> {
    let is_map = |node: &&Node| !matches!(node.value, Value::Map(_) | Value::Null);
    let is_list = |node: &&Node| !matches!(node.value, Value::List(_) | Value::Null);
    let resources = body.get("static_resources");
    for (name, node) in
        [("static_resources", resources), ("dynamic_resources", body.get("dynamic_resources"))]
    {
        if let Some(node) = node.filter(is_map) {
            let hint = "write listeners: and clusters: below it";
            return Some((node.line, format!("{name} is not a mapping"), hint));
        }
    }
    for name in ["listeners", "clusters", "secrets"] {
        if let Some(node) = resources.and_then(|resources| resources.get(name)).filter(is_list) {
            let hint = "each one begins with a dash";
            return Some((node.line, format!("static_resources.{name} is not a list"), hint));
        }
    }
    None
}

fn origin(file: &Arc<str>, document: u32, form: (&str, &str), body: &Node) -> Origin {
    let dumped =
        |part: &&Node| part.text_of("@type").is_some_and(|name| name.ends_with("BootstrapConfigDump"));
    let bootstrap = match body.get("configs") {
        Some(parts) => parts.items().iter().find(dumped).and_then(|part| part.get("bootstrap")),
        None => Some(body),
    };
    let node = bootstrap.and_then(|bootstrap| bootstrap.get("node"));
    let text = |field: &str| node.and_then(|node| node.text_of(field)).filter(|text| !text.is_empty());
    // Names of endpoints are joined by slashes.
    let plain = |text: &str| text.replace('/', "-");
    let (namespace, name) = (text("cluster"), text("id"));
    Origin {
        file: file.clone(),
        document,
        line: body.line,
        column: 0,
        kind: form.1.into(),
        namespace: namespace.map_or_else(|| "envoy".to_owned(), plain).into(),
        name: name.map_or_else(|| file_name(file, document), plain).into(),
        rule: "".into(),
    }
}

/// The name of the file without its endings, or of its folder where the file is called `envoy.yaml`.
fn file_name(file: &str, document: u32) -> String {
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let mut parts = file.rsplit(['/', '\\']);
    let own = stem(parts.next().unwrap_or_default());
    let folder = parts.next().filter(|folder| !["", ".", ".."].contains(folder));
    let name = match folder {
        Some(folder) if COMMON_NAMES.contains(&own.as_str()) => folder.to_owned(),
        _ => own,
    };
    match document {
        1 => name,
        more => format!("{name}-{more}"),
    }
}

/// Brings all names of fields below a node into the spelling of the protocol files.
fn spell(node: &mut Node, below: &str) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| spell(item, below)),
        Value::Map(fields) => {
            for (name, value) in fields {
                if !MAPS.contains(&below) {
                    *name = snake(name);
                }
                let free = FREE.contains(&&**name)
                    || (below == "node" && &**name == "metadata")
                    || (below == "transport_socket_matches" && &**name == "match");
                if !free {
                    let inside = if MAPS.contains(&below) { String::new() } else { name.to_string() };
                    spell(value, &inside);
                }
            }
        }
        _ => {}
    }
}

/// `staticResources` → `static_resources`; what is no name of a field stays.
fn snake(name: &str) -> Text {
    let is_field = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
        && name.contains(|c: char| c.is_ascii_uppercase());
    if !is_field {
        return name.into();
    }
    let mut text = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text.into()
}

/// A chain of certificates in a file is not longer.
const LARGEST_CHAIN: u64 = 1 << 20;

/// Puts the certificates that the configuration names, and that lie beside it, in their place: they
/// tell who the proxy is. Private keys are never opened.
pub fn add_certificates(folder: &Path, body: &mut Node) {
    match &mut body.value {
        Value::List(items) => items.iter_mut().for_each(|item| add_certificates(folder, item)),
        Value::Map(fields) => {
            for (name, value) in fields {
                if &**name == "certificate_chain" {
                    add_chain(folder, value);
                } else {
                    add_certificates(folder, value);
                }
            }
        }
        _ => {}
    }
}

fn add_chain(folder: &Path, chain: &mut Node) {
    let (line, column) = (chain.line, chain.column);
    let Some(text) = chain.text_of("filename").and_then(|name| beside(folder, name)) else { return };
    let inline = ("inline_string".into(), Node { line, column, value: Value::Text(text.into()) });
    chain.change_fields(|fields| fields.push(inline));
}

/// The certificates of a file below the folder of the configuration, or its parent: the path as it is
/// written, or as much of its end as is there.
#[expect(clippy::disallowed_methods, reason = "this room is where files are opened")]
fn beside(folder: &Path, name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    let ends = (0..parts.len()).map(|from| parts[from..].join("/"));
    let places = ends.flat_map(|end| [folder.join(&end), folder.join("..").join(&end)]);
    let fits = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|known| known.is_file() && known.len() <= LARGEST_CHAIN)
    };
    let text = std::fs::read_to_string(places.into_iter().find(fits)?).ok()?;
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    Some(format!("-----BEGIN CERTIFICATE-----{body}-----END CERTIFICATE-----"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Reading {
        super::super::parse(&Arc::from("edge/envoy.yaml"), text)
    }

    #[test]
    fn a_bootstrap_is_known_by_its_keys_and_values_of_charts_are_not() {
        let reading = read("node: {id: a/b, cluster: c}\nstaticResources: {listeners: []}\n");
        assert_eq!((reading.documents.len(), reading.skipped), (1, 0));
        let document = &reading.documents[0];
        assert_eq!((&*document.origin.namespace, &*document.origin.name), ("c", "a-b"));
        assert!(document.body.get("static_resources").is_some());
        assert_eq!(read("node: {id: 1}\nadmin: {password: x}\nreplicas: 2\n").skipped, 1);
    }

    #[test]
    fn without_a_node_the_file_names_the_proxy() {
        assert_eq!(&*read("static_resources: {}\n").documents[0].origin.name, "edge");
        assert_eq!(file_name("a/web.envoy.yaml", 1), "web");
        assert_eq!(file_name("envoy.yaml", 2), "envoy-2");
    }

    #[test]
    fn wrong_shapes_are_errors_with_a_line() {
        let reading = read("static_resources:\n  listeners:\n    name: a\n");
        assert!(reading.documents.is_empty());
        assert_eq!(reading.problems[0].origin.line, 3);
        assert!(reading.problems[0].message.contains("listeners is not a list"));
    }

    #[test]
    fn parts_of_a_configuration_are_refused_once_with_what_to_give_instead() {
        for (text, what) in [
            (
                r#"[{"name": "a", "address": {}, "filterChains": []}, {"address": {}, "filterChains": []}]"#,
                "listeners",
            ),
            (r#"[{"name": "outbound|80||a", "type": "EDS", "connectTimeout": "10s"}]"#, "clusters"),
            (r#"[{"name": "80", "virtualHosts": []}]"#, "routes"),
            (r#"[{"name": "a", "hostStatuses": []}]"#, "endpoints"),
            (r#"{"bootstrap": {"node": {"id": "a"}, "staticResources": {}}}"#, "parts of a config_dump"),
            (
                r#"{"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener"}]}"#,
                "parts of a config_dump",
            ),
        ] {
            let reading = read(text);
            assert_eq!(
                (reading.documents.len(), reading.problems.len(), reading.skipped),
                (0, 1, 0),
                "{text}"
            );
            let problem = &reading.problems[0];
            assert!(
                problem.message.starts_with(what) && problem.hint.contains("proxy-config all"),
                "{problem:?}"
            );
            assert_eq!(problem.origin.line, 1);
        }
        assert_eq!(read("bootstrap: {enabled: true}\naddress: x\nresources: {}\n").skipped, 1);
    }

    #[test]
    fn names_of_somebodys_choice_are_kept() {
        let text = "staticResources: {x: [{policies: {myOwn: {notRule: 1}}, filterMetadata: {aB: 1}}]}\n";
        let body = &read(text).documents[0].body;
        let item = &body.path(&["static_resources", "x"]).expect("x").items()[0];
        assert!(item.path(&["policies", "myOwn", "not_rule"]).is_some());
        assert!(item.path(&["filter_metadata", "aB"]).is_some());
    }
}
