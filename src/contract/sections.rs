//! The sections of a contract, one function each.

use super::reader::{Reader, one_of};
use super::{About, Allow, Contract, Date, End, Exception, Fit, LabelTest, Network, setup};
use super::{Override, Pattern, Protect, Rule, Segment, SensitivePorts, Sensitivity, Ways};
use crate::model::{AddressRange, AddressSet, Node};

/// Names that mean something else in a rule.
const RESERVED: [&str; 2] = ["outside", "*"];

/// Reads all sections.
pub(super) fn fill(reader: &mut Reader<'_>, root: &Node, contract: &mut Contract) {
    for (name, node) in mapping(reader, root, "segments") {
        if let Some(segment) = segment(reader, root, name, node) {
            contract.segments.push(segment);
        }
    }
    for (name, node) in mapping(reader, root, "networks") {
        let parent = section(root, "networks");
        let taken = contract.segments.iter().any(|s| s.name == *name);
        if taken || RESERVED.contains(&name) {
            reader.refuse_key(
                parent,
                name,
                node,
                match taken {
                    true => format!("a segment is called {name:?} too"),
                    false => format!("{name:?} means something else in rules"),
                },
                "take another name",
            );
            continue;
        }
        let addresses = cidrs(reader, parent, name);
        if addresses.is_empty() && node.items().is_empty() && node.text().is_none() {
            let message = format!("the network {name} has no addresses");
            reader.refuse_key(parent, name, node, message, "office: [203.0.113.0/24]");
        }
        let origin = reader.origin(reader.key_spot(parent, name, node), &format!("networks.{name}"));
        contract.networks.push(Network { name: name.to_owned(), addresses, origin });
    }
    for (name, node) in mapping(reader, root, "sensitivePorts") {
        let parent = section(root, "sensitivePorts");
        if let Ok(ports) = reader.ports(parent, name) {
            let spot = reader.key_spot(parent, name, node);
            let origin = reader.origin(spot, &format!("sensitivePorts.{name}"));
            contract.sensitive.push(SensitivePorts { name: name.to_owned(), ports, origin });
        }
    }
    for (name, _) in mapping(reader, root, "severities") {
        severity(reader, section(root, "severities"), name, contract);
    }
    contract.dataplane = setup::dataplane(reader, root);
    for (number, node) in list(reader, root, "controllers") {
        contract.controllers.extend(setup::controller(reader, node, number));
    }
    for (number, node) in list(reader, root, "rules") {
        let Some(rule) = rule(reader, node, number) else { continue };
        if let Some(other) = contract.rules.iter().find(|other| other.contradicts(&rule)) {
            let message = format!(
                "{} and {} on line {} leave nothing that may travel",
                rule.origin.name, other.origin.name, other.origin.line
            );
            let hint =
                "rules with the same ends must all hold: put the ports into one rule, or take one away";
            reader.refuse(node, "", message, hint);
        }
        contract.rules.push(rule);
    }
    for (number, node) in list(reader, root, "exceptions") {
        contract.exceptions.extend(exception(reader, node, number));
    }
}

fn segment(reader: &mut Reader<'_>, root: &Node, name: &str, node: &Node) -> Option<Segment> {
    let parent = section(root, "segments");
    if RESERVED.contains(&name) || name.is_empty() {
        let hint = "`outside` and `*` are built in; take another name";
        reader.refuse_key(parent, name, node, format!("no segment can be called {name:?}"), hint);
        return None;
    }
    let what = format!("the segment {name}");
    let origin = reader.origin(reader.key_spot(parent, name, node), &format!("segments.{name}"));
    let mut segment = Segment { name: name.to_owned(), sensitivity: None, any: Vec::new(), origin };
    if !reader.keys(node, "segments", &what) {
        return Some(segment);
    }
    segment.sensitivity = reader.word(node, "sensitivity", &Sensitivity::ALL).unwrap_or_default();
    let own = fit(reader, node);
    let alternatives = node.items_of("any");
    match (own, alternatives.is_empty()) {
        (Some(own), true) => segment.any.push(own),
        (None, true) => {
            let hint = "give it namespaces, namespaceLabels, podLabels, serviceAccounts, workloads or cidrs";
            reader.refuse_key(parent, name, node, format!("{what} does not say whom it holds"), hint);
        }
        (Some(_), false) => {
            let hint = "put the other keys into an item of `any`, or into every one";
            reader.refuse(node, "any", format!("{what} has both `any` and keys beside it"), hint);
        }
        (None, false) => {}
    }
    for item in alternatives {
        if reader.keys(item, "segments", &format!("an item of `any` of {what}")) {
            for key in ["any", "sensitivity"].into_iter().filter(|key| item.get(key).is_some()) {
                reader.refuse(item, key, format!("`{key}` cannot stand inside of `any`"), "move it up");
            }
            segment.any.extend(fit(reader, item));
        }
    }
    Some(segment)
}

/// The conditions of one mapping; `None` where there are none, or one of them is broken, so that
/// a broken condition never makes a segment hold more than it should.
fn fit(reader: &mut Reader<'_>, node: &Node) -> Option<Fit> {
    let fit = Fit {
        namespaces: patterns(reader, node, "namespaces"),
        namespace_labels: labels(reader, node, "namespaceLabels"),
        pod_labels: labels(reader, node, "podLabels"),
        service_accounts: patterns(reader, node, "serviceAccounts"),
        workloads: patterns(reader, node, "workloads"),
        addresses: cidrs(reader, node, "cidrs"),
    };
    for (key, read) in [("serviceAccounts", &fit.service_accounts), ("workloads", &fit.workloads)] {
        if let Some(bare) = read.iter().find(|pattern| !pattern.text().contains(['/', '*'])) {
            let hint = format!("*/{0} for every namespace, or namespace/{0}", bare.text());
            reader.refuse(node, key, format!("{:?} names no namespace", bare.text()), &hint);
        }
    }
    let given = |key: &str| node.get(key).is_some_and(|value| !value.is_null());
    let read = [
        ("namespaces", fit.namespaces.is_empty()),
        ("namespaceLabels", fit.namespace_labels.is_empty()),
        ("podLabels", fit.pod_labels.is_empty()),
        ("serviceAccounts", fit.service_accounts.is_empty()),
        ("workloads", fit.workloads.is_empty()),
        ("cidrs", fit.addresses.is_empty()),
    ];
    let broken = read.iter().any(|(key, empty)| given(key) && *empty);
    if broken {
        let key = read.iter().find(|(key, empty)| given(key) && *empty).map_or("", |(key, _)| *key);
        reader.refuse(
            node,
            key,
            format!("`{key}` holds nothing that can be used"),
            "name something, or take the key out; as it stands the segment holds nobody",
        );
        return Some(Fit { namespaces: vec![Pattern::new("")], ..fit });
    }
    (!fit.is_empty()).then_some(fit)
}

fn rule(reader: &mut Reader<'_>, node: &Node, number: usize) -> Option<Rule> {
    let what = format!("rules[{number}]");
    if !reader.keys(node, "rules", &what) {
        return None;
    }
    let (from, to) = (ends(reader, node, "from", &what), ends(reader, node, "to", &what));
    let allow = allow(reader, node);
    let protect = reader.word(
        node,
        "protect",
        &[(Protect::Encrypted, Protect::Encrypted.word()), (Protect::MutualTls, Protect::MutualTls.word())],
    );
    let ways = reader.word(node, "ways", &[(Ways::Any, "any"), (Ways::Direct, "direct")]);
    let why = reader.text(node, "why").unwrap_or_default();
    let (allow, protect) = (allow.ok()?, protect.ok()?.unwrap_or(Protect::AsItIs));
    if allow == Allow::Never && protect != Protect::AsItIs {
        let hint = "either nothing may travel, or it must be protected";
        reader.refuse(node, "protect", format!("{what} protects what it does not allow"), hint);
    }
    if allow != Allow::Never && node.get("ways").is_some() {
        let hint = "`ways` is for rules with `allow: never`";
        reader.refuse(node, "ways", format!("{what} allows connections, so ways do not matter"), hint);
    }
    let origin = reader.origin((node.line, 0), &what);
    let ways = ways.ok()?.unwrap_or(Ways::Any);
    (!from.is_empty() && !to.is_empty()).then_some(Rule { from, to, allow, protect, ways, why, origin })
}

fn ends(reader: &mut Reader<'_>, node: &Node, key: &str, what: &str) -> Vec<End> {
    let ends: Vec<End> = reader.texts(node, key).into_iter().map(|(text, _)| end(text)).collect();
    if ends.is_empty() && node.get(key).is_none_or(Node::is_null) {
        let hint = "name a segment, `outside`, or \"*\" (with quotes)";
        reader.refuse(node, key, format!("{what} has no `{key}`"), hint);
    }
    ends
}

fn end(text: String) -> End {
    match text.as_str() {
        "*" => End::Anyone,
        "outside" => End::Outside,
        _ => End::Named(text),
    }
}

fn allow(reader: &mut Reader<'_>, node: &Node) -> Result<Allow, ()> {
    match node.get("allow") {
        None => Ok(Allow::All),
        Some(value) => match value.text() {
            Some("never") => Ok(Allow::Never),
            Some("all") => Ok(Allow::All),
            Some(text) if super::nearest(text, ["never", "all"]).is_some() => {
                let hint = one_of(text, &["never", "all", "ports: [tcp/5432]"]);
                reader.refuse(node, "allow", format!("`allow` cannot be {text:?}"), &hint);
                Err(())
            }
            _ => reader.ports(node, "allow").map(Allow::Only),
        },
    }
}

fn severity(reader: &mut Reader<'_>, parent: &Node, name: &str, contract: &mut Contract) {
    if !reader.known.checks.contains(&name) {
        let hint = near_check(reader, name);
        if let Some(value) = parent.get(name) {
            reader.refuse_key(parent, name, value, format!("there is no check {name:?}"), &hint);
        }
        return;
    }
    let Some(word) = reader.given(parent, name, "low, medium, high, critical, or off") else { return };
    match Override::from_word(&word) {
        Some(value) => drop(contract.severities.insert(name.to_owned(), value)),
        None => {
            let message = format!("{word:?} is no severity");
            reader.refuse(parent, name, message, &one_of(&word, &Override::WORDS));
        }
    }
}

fn exception(reader: &mut Reader<'_>, node: &Node, number: usize) -> Option<Exception> {
    let what = format!("exceptions[{number}]");
    if !reader.keys(node, "exceptions", &what) {
        return None;
    }
    let check = needed(reader, node, "check", &what, "name a check; `watertight rules` lists them");
    let why = needed(reader, node, "why", &what, "the reason, for whoever reads the report");
    let approved_by = needed(reader, node, "approvedBy", &what, "whoever answers for it");
    let expires = needed(reader, node, "expires", &what, "a date, expires: 2027-06-30; an exception ends");
    let ports = node.get("ports").map(|_| reader.ports(node, "ports"));
    let about = about(reader, node, &what);
    let check = check?;
    if !reader.known.checks.contains(&check.as_str()) {
        let hint = near_check(reader, &check);
        reader.refuse(node, "check", format!("there is no check {check:?}"), &hint);
        return None;
    }
    let expires = expires?;
    let Some(date) = Date::parse(&expires) else {
        let hint = "YYYY-MM-DD, a day that exists; it is the last on which the exception holds";
        reader.refuse(node, "expires", format!("{expires:?} is no date"), hint);
        return None;
    };
    Some(Exception {
        check,
        about: about?,
        ports: ports.transpose().ok()?,
        why: why?,
        approved_by: approved_by?,
        ticket: reader.text(node, "ticket").unwrap_or_default(),
        expires: date,
        origin: reader.origin((node.line, 0), &what),
    })
}

fn about(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<About> {
    // A key without a value must not make an exception wider than it was meant.
    let mut whole = true;
    let mut pattern = |key: &str| {
        let text =
            reader.given(node, key, "stars may stand in it; take the key out where it does not matter");
        whole &= text.is_some() || node.get(key).is_none();
        text.map(|text| Pattern::new(&text))
    };
    let (subject, from, to) = (pattern("subject"), pattern("from"), pattern("to"));
    if !whole {
        return None;
    }
    match (subject, from, to) {
        (Some(subject), None, None) => Some(About::Subject(subject)),
        (None, None, None) => {
            let hint = "give it a `subject` (stars may stand in it), or `from` and `to`";
            reader.refuse(node, "check", format!("{what} does not say which findings it is about"), hint);
            None
        }
        (None, from, to) => Some(About::Ends { from, to }),
        (Some(_), _, _) => {
            let hint = "take one of them";
            reader.refuse(node, "subject", format!("{what} has a `subject` and ends"), hint);
            None
        }
    }
}

fn needed(reader: &mut Reader<'_>, node: &Node, key: &str, what: &str, hint: &str) -> Option<String> {
    let text = reader.text(node, key).filter(|text| !text.trim().is_empty());
    if text.is_none() && node.get(key).is_none_or(|value| value.is_null() || value.text().is_some()) {
        reader.refuse(node, key, format!("{what} has no `{key}`"), hint);
    }
    text
}

fn near_check(reader: &Reader<'_>, name: &str) -> String {
    match super::nearest(name, reader.known.checks.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "`watertight rules` lists the checks".to_owned(),
    }
}

fn patterns(reader: &mut Reader<'_>, node: &Node, key: &str) -> Vec<Pattern> {
    reader.texts(node, key).iter().map(|(text, _)| Pattern::new(text)).collect()
}

pub(super) fn labels(reader: &mut Reader<'_>, node: &Node, key: &str) -> Vec<LabelTest> {
    let names: Vec<String> = mapping(reader, node, key).iter().map(|(name, _)| (*name).to_owned()).collect();
    let parent = section(node, key);
    let mut tests = Vec::new();
    for name in names {
        let values = patterns(reader, parent, &name);
        if let Some(node) = parent.get(&name).filter(|node| node.is_null() || node.is_empty_list()) {
            let hint = format!("{name}: web, or a list of values, or \"*\" for any");
            reader.refuse_key(parent, &name, node, format!("the label {name} has no value"), &hint);
        }
        tests.push(LabelTest { key: name, values });
    }
    tests
}

pub(super) fn cidrs(reader: &mut Reader<'_>, parent: &Node, key: &str) -> AddressSet {
    let mut ranges = Vec::new();
    for (text, node) in reader.texts(parent, key) {
        let single = || text.parse().ok().map(AddressRange::single);
        match AddressRange::from_cidr(&text).or_else(single) {
            Some(range) => ranges.push(range),
            None => {
                let hint = "10.20.0.0/16, 2001:db8::/32, or one address";
                reader.refuse_item(node, &text, format!("{text:?} is no address block"), hint);
            }
        }
    }
    ranges.into_iter().collect()
}

/// The entries of a section that is a mapping.
pub(super) fn mapping<'n>(reader: &mut Reader<'_>, parent: &'n Node, key: &str) -> Vec<(&'n str, &'n Node)> {
    let Some(node) = parent.get(key).filter(|node| !node.is_null()) else { return Vec::new() };
    if !matches!(node.value, crate::model::Value::Map(_)) {
        reader.refuse_key(
            parent,
            key,
            node,
            format!("`{key}` must be a mapping"),
            "name: value, a line each",
        );
    }
    node.fields().iter().map(|(name, value)| (&**name, value)).collect()
}

/// The items of a section that is a list, numbered.
fn list<'n>(reader: &mut Reader<'_>, root: &'n Node, key: &str) -> Vec<(usize, &'n Node)> {
    let Some(node) = root.get(key).filter(|node| !node.is_null()) else { return Vec::new() };
    if !matches!(node.value, crate::model::Value::List(_)) {
        reader.refuse_key(root, key, node, format!("`{key}` must be a list"), "begin each item with `- `");
    }
    node.items().iter().enumerate().collect()
}

/// A section that is known to be there.
pub(super) fn section<'n>(root: &'n Node, key: &str) -> &'n Node {
    root.get(key).unwrap_or(root)
}
