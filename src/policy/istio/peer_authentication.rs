//! PeerAuthentication: what a server takes on each of its ports.
//!
//! `ComposePeerAuthentication` and `getConfigsForWorkload` of istiod: mesh, namespace and workload
//! are three scopes, in each the oldest object wins wholly, and UNSET passes on what was above it.

use super::super::kubernetes::refusal;
use super::super::{Acceptance, Accepts, Admission, Dialect, Holds, Namespaces, Selection};
use super::capture::Capture;
use super::membership::{Members, all, pods};
use super::mesh_config::MeshConfig;
use super::ztunnel_modes::Parents;
use crate::model::{Bend, Document, Gap, Node, Origin, PortSet, Problem, Requirement, Selector};
use std::collections::BTreeMap;

/// `kind`.
pub const KIND: &str = "PeerAuthentication";

/// `mtls.mode`; those that let plaintext in come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// `DISABLE`.
    Disable,
    /// `PERMISSIVE`.
    Permissive,
    /// `STRICT`.
    Strict,
}

/// One object.
#[derive(Clone, Debug)]
pub struct PeerAuthentication {
    /// Where it stands.
    pub origin: Origin,
    /// `selector.matchLabels`; empty for a whole namespace or the mesh.
    pub selector: Selector,
    /// `mtls.mode`; `None` where it is UNSET.
    pub mode: Option<Mode>,
    /// `portLevelMtls`, by the port of the container.
    pub ports: BTreeMap<u16, Option<Mode>>,
    /// Whether `selector` is absent, and not only empty.
    pub without_selector: bool,
    created: Option<String>,
}

/// A mode and who says it.
type Given<'a> = (Mode, Option<&'a Origin>);

/// All objects by scope, with what was found wrong.
#[derive(Debug, Default)]
pub struct Modes {
    mesh: Option<PeerAuthentication>,
    namespaces: BTreeMap<String, PeerAuthentication>,
    /// The same two without those that have an empty selector, by namespace (`ztunnel_modes`).
    bare: BTreeMap<String, PeerAuthentication>,
    root: String,
    workloads: BTreeMap<String, Vec<PeerAuthentication>>,
    /// What depends on more than the documents say.
    pub gaps: Vec<Gap>,
    /// Objects that the API server would refuse.
    pub problems: Vec<Problem>,
}

/// Reads all objects.
pub fn read(documents: &[Document], config: &MeshConfig) -> Modes {
    let mut modes = Modes { root: config.root.clone(), ..Modes::default() };
    let mut scopes: BTreeMap<(String, bool), Vec<PeerAuthentication>> = BTreeMap::new();
    for document in documents.iter().filter(|d| super::is(d, KIND)) {
        match object(document) {
            Ok(object) => {
                let selects = !object.selector.is_everything();
                let namespace = object.origin.namespace.to_string();
                if selects && namespace == config.root {
                    modes.gaps.push(Gap {
                        what: "a PeerAuthentication of the root namespace with a selector is ignored"
                            .to_owned(),
                        origin: object.origin,
                        bends: Bend::MayAllowMore,
                    });
                    continue;
                }
                scopes.entry((namespace, selects)).or_default().push(object);
            }
            Err(problem) => modes.problems.push(problem),
        }
    }
    for ((namespace, selects), mut objects) in scopes {
        let dated = objects.iter().all(|object| object.created.is_some());
        let key = |o: &PeerAuthentication| (o.created.clone(), o.origin.name.clone());
        match dated {
            true => objects.sort_by_key(key),
            // Nobody knows which is older: the one that lets more in is shown.
            false => objects.sort_by_key(|o| (o.weakest(), o.origin.name.clone())),
        }
        if !dated && objects.len() > 1 && (!selects || overlapping(&objects)) {
            let names: Vec<&str> = objects.iter().map(|o| &*o.origin.name).collect();
            modes.gaps.push(Gap {
                what: format!(
                    "several PeerAuthentications have one scope ({}): the oldest counts, and manifests do not say \
                     which that is",
                    names.join(", ")
                ),
                origin: objects[0].origin.clone(),
                bends: Bend::MayAllowLess,
            });
        }
        if selects {
            modes.workloads.insert(namespace, objects);
            continue;
        }
        if namespace == config.root {
            modes.gaps.extend(objects.iter().filter(|object| !object.without_selector).map(not_in_ambient));
        }
        let bare = objects.iter().find(|object| object.without_selector);
        modes.bare.extend(bare.map(|object| (namespace.clone(), object.clone())));
        let Some(first) = objects.into_iter().next() else { continue };
        if namespace == config.root {
            modes.mesh = Some(first);
        } else {
            modes.namespaces.insert(namespace, first);
        }
    }
    modes
}

fn not_in_ambient(object: &PeerAuthentication) -> Gap {
    let what = "a PeerAuthentication of the root namespace with an empty selector does not count for pods in ambient";
    Gap { what: what.to_owned(), origin: object.origin.clone(), bends: Bend::MayAllowMore }
}

fn overlapping(objects: &[PeerAuthentication]) -> bool {
    let apart = |a: &Requirement, b: &Requirement| match (a, b) {
        (Requirement::In(key, one), Requirement::In(other, two)) => key == other && one != two,
        _ => false,
    };
    let disjoint = |a: &PeerAuthentication, b: &PeerAuthentication| {
        a.selector.requirements.iter().any(|x| b.selector.requirements.iter().any(|y| apart(x, y)))
    };
    objects.iter().enumerate().any(|(n, a)| objects[n + 1..].iter().any(|b| !disjoint(a, b)))
}

fn object(document: &Document) -> Result<PeerAuthentication, Problem> {
    let origin = super::place(document);
    let spec = document.body.get("spec");
    let selector = super::workload_selector(document)?;
    let mode = spec.and_then(|s| s.get("mtls")).map_or(Ok(None), |node| mode(&origin, node))?;
    let mut ports = BTreeMap::new();
    if let Some(list) = spec.and_then(|s| s.get("portLevelMtls")).filter(|node| !node.is_null()) {
        if list.fields().is_empty() || selector.is_everything() {
            let message = "portLevelMtls needs a selector and at least one port";
            return Err(refusal(
                &origin,
                list.line,
                message,
                "add selector.matchLabels, or take the ports away",
            ));
        }
        for (key, node) in list.fields() {
            let Some(port) = key.parse::<u16>().ok().filter(|port| *port > 0) else {
                let message = format!("portLevelMtls has the key {key:?}, which is no port");
                return Err(refusal(&origin, node.line, message, "write the number of the container's port"));
            };
            ports.insert(port, self::mode(&origin, node)?);
        }
    }
    let created = document.body.path(&["metadata", "creationTimestamp"]).and_then(Node::text);
    let given = spec.and_then(|spec| spec.get("selector")).is_some_and(|node| !node.is_null());
    Ok(PeerAuthentication {
        origin,
        selector,
        mode,
        ports,
        without_selector: !given,
        created: created.map(str::to_owned),
    })
}

fn mode(origin: &Origin, node: &Node) -> Result<Option<Mode>, Problem> {
    match node.text_of("mode") {
        None | Some("UNSET") => Ok(None),
        Some("DISABLE") => Ok(Some(Mode::Disable)),
        Some("PERMISSIVE") => Ok(Some(Mode::Permissive)),
        Some("STRICT") => Ok(Some(Mode::Strict)),
        Some(other) => {
            let message = format!("the mode {other:?} is not known");
            Err(refusal(origin, node.line, message, "write STRICT, PERMISSIVE, DISABLE or UNSET"))
        }
    }
}

impl PeerAuthentication {
    fn weakest(&self) -> Mode {
        let modes = self.ports.values().copied().flatten().chain(self.mode);
        modes.min().unwrap_or(Mode::Permissive)
    }
}

impl Modes {
    /// What holds in a namespace where no workload says otherwise; clients know no more than that
    /// of a service (`BestEffortInferServiceMTLSMode`).
    pub fn of_namespace(&self, namespace: &str) -> Mode {
        self.given(Some(namespace), self.mesh.as_ref()).0
    }

    /// The mode of a namespace below that of the mesh, or of the mesh alone, and the object that says
    /// it; none where the mode is the default.
    fn given<'a>(&'a self, namespace: Option<&str>, mesh: Option<&'a PeerAuthentication>) -> Given<'a> {
        let said = |object: &'a PeerAuthentication| Some((object.mode?, Some(&object.origin)));
        let scopes = [namespace.and_then(|name| self.namespaces.get(name)), mesh];
        scopes.into_iter().flatten().find_map(said).unwrap_or((Mode::Permissive, None))
    }

    /// Namespaces in which clients believe that services do without mutual TLS; `None` stands for
    /// all that are not named.
    pub fn disabled(&self) -> (Vec<String>, bool) {
        let named = self.namespaces.keys().filter(|name| self.of_namespace(name) == Mode::Disable);
        let rest = self.given(None, self.mesh.as_ref()).0 == Mode::Disable;
        (named.cloned().collect(), rest)
    }

    /// Namespaces that have an object of their own.
    pub fn named(&self) -> impl Iterator<Item = &String> {
        self.namespaces.keys()
    }

    /// The acceptances, in the order in which they are asked.
    pub fn acceptances(&self, members: &Members, capture: &Capture) -> Vec<Acceptance> {
        let mut list = capture.builtin(members);
        let mut add = |place: &Place<'_>| {
            list.extend(capture.sidecars(members, place));
            list.extend(ambient(members, place));
        };
        let (mesh, of_ambient) = (self.mesh.as_ref(), self.bare.get(&self.root));
        for (namespace, objects) in &self.workloads {
            let at = |mesh| self.given(Some(namespace), mesh);
            let (at_sidecar, at_ztunnel) = (at(mesh), at(of_ambient));
            for object in objects {
                let own = |given| object.mode.map_or(given, |mode| (mode, Some(&object.origin)));
                let (whole, in_ambient) = (own(at_sidecar), own(at_ztunnel));
                let (namespaces, selector) = (&Namespaces::Named(namespace.clone()), &object.selector);
                let parents = Parents {
                    namespace: self.bare.get(namespace),
                    mesh: of_ambient,
                    effective: at_ztunnel.0,
                };
                for (port, mode) in &object.ports {
                    let ports = PortSet::range(*port, *port);
                    let of_port = |whole| mode.map_or(whole, |mode| (mode, Some(&object.origin)));
                    let (given, (mode, origin)) = (of_port(whole), of_port(in_ambient));
                    let in_ambient = (parents.at_ztunnel(object, Some(*port), mode), origin);
                    add(&Place { namespaces, selector, ports, given, in_ambient });
                }
                let in_ambient = (parents.at_ztunnel(object, None, in_ambient.0), in_ambient.1);
                add(&Place { namespaces, selector, ports: PortSet::all(), given: whole, in_ambient });
            }
        }
        let selector = &Selector::everything();
        for namespace in self.namespaces.keys().map(Some).chain([None]) {
            let namespaces = &namespace.map_or_else(Namespaces::any, |name| Namespaces::Named(name.clone()));
            let at = |mesh| self.given(namespace.map(String::as_str), mesh);
            let (given, in_ambient) = (at(mesh), at(of_ambient));
            add(&Place { namespaces, selector, ports: PortSet::all(), given, in_ambient });
        }
        list
    }
}

/// Where a mode holds.
#[derive(Debug)]
pub struct Place<'a> {
    /// In which namespaces.
    pub namespaces: &'a Namespaces,
    /// For which pods.
    pub selector: &'a Selector,
    /// On which ports.
    pub ports: PortSet,
    /// What a proxy beside the pod makes of it, and the object that says so; none where nothing does.
    pub given: Given<'a>,
    /// What the proxy of the node makes of it.
    pub in_ambient: Given<'a>,
}

impl Place<'_> {
    /// The pods of the place that a selector leaves.
    pub fn of(&self, members: &Selector) -> Vec<Selection> {
        vec![pods(self.namespaces.clone(), all([members.clone(), self.selector.clone()]))]
    }

    /// The reason, in words.
    pub fn why((mode, origin): Given<'_>) -> String {
        let word = match mode {
            Mode::Disable => "DISABLE",
            Mode::Permissive => "PERMISSIVE",
            Mode::Strict => "STRICT",
        };
        match origin {
            Some(origin) => format!("mode {word} of PeerAuthentication {}/{}", origin.namespace, origin.name),
            None => format!("mode {word}, as no PeerAuthentication says otherwise"),
        }
    }
}

fn ambient(members: &Members, place: &Place<'_>) -> Vec<Acceptance> {
    let plaintext = match place.in_ambient.0 {
        Mode::Strict => Admission::Refused,
        Mode::Permissive | Mode::Disable => Admission::Admitted,
    };
    let whole = Accepts {
        plaintext,
        terminates: Some(Dialect::Hbone),
        advertises: Some(Dialect::Hbone),
        proxied: Admission::Admitted,
    };
    // Neither the mode nor authorization reaches what goes past the proxy.
    let half = Accepts { plaintext: Admission::Admitted, proxied: Admission::Refused, ..whole };
    let past = "an annotation lets what does not come by the tunnel past the proxy of the node";
    let acceptance = |pods: &Selector, accepts, why: String, origin: Option<&Origin>| Acceptance {
        holds: Holds::Surely,
        subjects: place.of(pods),
        ports: place.ports.clone(),
        accepts,
        why,
        origin: origin.cloned(),
    };
    let mut list = Vec::new();
    if members.half != Selector::nothing() {
        list.push(acceptance(&members.half, half, past.to_owned(), None));
    }
    if members.ambient != Selector::nothing() {
        list.push(acceptance(&members.ambient, whole, Place::why(place.in_ambient), place.in_ambient.1));
    }
    list
}
