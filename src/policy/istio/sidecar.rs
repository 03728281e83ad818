//! Sidecar: which hosts the proxies of clients know of. What a proxy does not know it passes on as the
//! application sent it, so that no mutual TLS is opened; closed is nothing by that, for applications
//! can go around their proxy.
//!
//! `SidecarScope` and `doGetSidecarScope` of istiod: of the Sidecars of a namespace those that select
//! come first, and where none is for a pod, that of the root namespace counts.

use super::super::kubernetes::refusal;
use super::super::{Dialect, Selection, Sending, Sends, ServiceChoice, Services, Target};
use super::called::{Called, Place};
use super::capture::every_service;
use super::membership::{Members, all, pods};
use super::mesh_config::MeshConfig;
use super::routes::Routes;
use crate::model::names::is_subdomain;
use crate::model::{Bend, Document, Gap, Node, Origin, PortSet, Problem, Requirement, Selector, Text};
use crate::policy::Namespaces;
use std::collections::{BTreeMap, BTreeSet};

/// `kind`.
pub const KIND: &str = "Sidecar";

/// All objects, with what was found wrong.
#[derive(Debug, Default)]
pub struct Sidecars {
    /// Those of each namespace, in the order in which they are asked.
    by_namespace: BTreeMap<String, Vec<Sidecar>>,
    root: String,
    /// Whether some has listeners of ingress, so that what services declare of a port is not what its
    /// proxy does there.
    pub declare_ingress: bool,
    /// Where clients may be.
    namespaces: BTreeSet<String>,
    /// What depends on more than the documents say.
    pub gaps: Vec<Gap>,
    /// Objects that the API server would refuse.
    pub problems: Vec<Problem>,
}

/// One object.
#[derive(Clone, Debug)]
struct Sidecar {
    origin: Origin,
    /// `workloadSelector.labels`; `None` where it is for all pods.
    clients: Option<Selector>,
    /// `egress`; where there is none, everything is known.
    egress: Vec<Listener>,
    created: Option<String>,
}

/// `egress[]`.
#[derive(Clone, Debug)]
struct Listener {
    /// `port.number`; `None` for what takes all other ports.
    at: Option<u16>,
    hosts: Vec<Host>,
}

/// `egress[].hosts[]`: `NAMESPACE/NAME`, with `~` before it where it is left out.
#[derive(Clone, Debug)]
struct Host {
    /// `None` for any.
    namespace: Option<String>,
    name: String,
    is_left_out: bool,
}

/// Whether a proxy knows a host at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Yes,
    No,
    /// That hangs on routes, or on listeners that applications must call by themselves.
    Perhaps,
}

/// Reads all objects.
pub fn read(documents: &[Document], config: &MeshConfig) -> Sidecars {
    let mut sidecars = Sidecars { root: config.root.clone(), ..Sidecars::default() };
    for document in documents.iter().filter(|d| super::is(d, KIND)) {
        match object(document) {
            Ok(sidecar) => {
                sidecars.declare_ingress |=
                    document.body.path(&["spec", "ingress"]).is_some_and(|list| !list.items().is_empty());
                sidecars.take(sidecar);
            }
            Err(problem) => sidecars.problems.push(problem),
        }
    }
    for list in sidecars.by_namespace.values_mut() {
        list.sort_by_key(|s| (s.clients.is_none(), s.created.clone(), s.origin.name.clone()));
    }
    if !sidecars.by_namespace.is_empty() {
        sidecars.namespaces = documents.iter().map(|d| super::place(d).namespace.to_string()).collect();
    }
    sidecars
}

fn object(document: &Document) -> Result<Sidecar, Problem> {
    let origin = super::place(document);
    let Some(spec) = document.body.get("spec").filter(|spec| !spec.is_null()) else {
        let hint = "write egress with the hosts that clients should know";
        return Err(refusal(&origin, document.body.line, "spec is missing", hint));
    };
    check(&origin, spec)?;
    let label =
        |(key, value): &(Text, Node)| Some(Requirement::In(key.to_string(), vec![value.text()?.to_owned()]));
    let clients = spec.get("workloadSelector").filter(|node| !node.is_null()).map(|node| {
        let labels = node.get("labels").map_or(&[][..], Node::fields);
        Selector { requirements: labels.iter().filter_map(label).collect() }
    });
    let egress = spec.items_of("egress").iter().map(|node| listener(&origin, node));
    let created = document.body.path(&["metadata", "creationTimestamp"]).and_then(Node::text);
    Ok(Sidecar {
        egress: egress.collect::<Result<_, _>>()?,
        clients,
        created: created.map(str::to_owned),
        origin,
    })
}

/// `ValidateSidecar`, as far as it is about what listeners there are.
fn check(origin: &Origin, spec: &Node) -> Result<(), Problem> {
    const PARTS: [&str; 4] = ["egress", "ingress", "outboundTrafficPolicy", "inboundConnectionPool"];
    let is_said = |part: &&str| spec.get(part).is_some_and(|node| !node.is_null());
    if !PARTS.iter().any(is_said) {
        let hint = "write egress with the hosts that clients should know";
        return Err(refusal(origin, spec.line, "a Sidecar that says nothing", hint));
    }
    let egress = spec.items_of("egress");
    let has_port = |node: &Node| node.get("port").is_some_and(|port| !port.is_null());
    let early = egress.iter().rev().skip(1).find(|node| !has_port(node));
    if let Some(node) = early {
        let hint = "one listener of egress alone has no port, and it is the last";
        return Err(refusal(origin, node.line, "a listener without a port stands before others", hint));
    }
    let own_tls = spec.items_of("ingress").iter().filter_map(|node| Some((node, node.get("tls")?)));
    for (node, tls) in own_tls.filter(|(_, tls)| !tls.is_null()) {
        let protocol = node.path(&["port", "protocol"]).and_then(Node::text).unwrap_or_default();
        if !["HTTPS", "TLS"].contains(&protocol.to_ascii_uppercase().as_str()) {
            let hint = "write protocol: HTTPS or TLS for a port of ingress with tls";
            return Err(refusal(
                origin,
                tls.line,
                "tls stands at a port that is declared for other bytes",
                hint,
            ));
        }
    }
    Ok(())
}

/// `ValidateSidecar`, as far as it is about hosts.
fn listener(origin: &Origin, node: &Node) -> Result<Listener, Problem> {
    let hosts = node.items_of("hosts");
    if hosts.is_empty() {
        let hint = "write hosts: [\"./*\"] for the namespace itself";
        return Err(refusal(origin, node.line, "a listener of egress has no hosts", hint));
    }
    let read = |node: &Node| {
        let text = node.text().unwrap_or_default();
        host(text).ok_or_else(|| {
            let message = format!("the host {text:?} is not NAMESPACE/NAME with a full name");
            let hint = "write ./*, */*, or NAMESPACE/NAME.NAMESPACE.svc.cluster.local";
            refusal(origin, node.line, message, hint)
        })
    };
    let at = node.path(&["port", "number"]).and_then(Node::int).and_then(|n| u16::try_from(n).ok());
    Ok(Listener { at: at.filter(|port| *port > 0), hosts: hosts.iter().map(read).collect::<Result<_, _>>()? })
}

fn host(text: &str) -> Option<Host> {
    let (namespace, name) = text.split_once('/')?;
    let (left_out, rest) = match namespace.strip_prefix('~') {
        Some(rest) => (true, rest),
        None => (false, namespace),
    };
    let is_name = is_subdomain(rest) && !rest.contains('.');
    let fits = matches!(rest, "*" | ".") || is_name || (left_out && rest.is_empty());
    let namespace = match rest {
        "*" | "" => None,
        "." => Some(String::new()),
        name => Some(name.to_owned()),
    };
    (fits && is_host(name)).then(|| Host { namespace, name: name.to_owned(), is_left_out: left_out })
}

/// `*`, or a name with a dot whose labels are no longer than 63 characters, behind `*.` or not.
fn is_host(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let labels = name.split('.').all(|label| label.len() <= 63);
    text == "*" || (labels && is_subdomain(name) && (name.contains('.') || name.len() < text.len()))
}

impl Sidecars {
    fn take(&mut self, sidecar: Sidecar) {
        let namespace = sidecar.origin.namespace.to_string();
        let list = self.by_namespace.entry(namespace.clone()).or_default();
        let is_whole = |s: &Sidecar| s.clients.as_ref().is_none_or(Selector::is_everything);
        if is_whole(&sidecar) && list.iter().any(is_whole) {
            self.problems.push(refusal(
                &sidecar.origin,
                sidecar.origin.line,
                format!(
                    "the namespace {namespace} has two Sidecars without a workloadSelector: which counts is undefined"
                ),
                "keep one of them",
            ));
        }
        self.gaps.push(Gap {
            what: "a Sidecar scopes what clients know of, which is advice and closes nothing: applications can go \
                   around their proxy"
                .to_owned(),
            origin: sidecar.origin.clone(),
            bends: Bend::MayAllowLess,
        });
        list.push(sidecar);
    }

    /// What clients send to hosts that their proxies do not know.
    pub fn sendings(&self, members: &Members, hosts: &[Called], routes: &Routes) -> Vec<Sending> {
        let mut list = Vec::new();
        for namespace in &self.namespaces {
            let mut others = members.sidecar.clone();
            for sidecar in self.asked(namespace) {
                let clients = sidecar.clients.clone().unwrap_or_default();
                let who =
                    vec![pods(Namespaces::Named(namespace.clone()), all([others.clone(), clients.clone()]))];
                others = all([others, clients.negated()]);
                let hidden = sidecar.hidden(namespace, hosts, routes);
                list.extend(hidden.into_iter().map(|(to, sends)| sidecar.sending(&who, to, sends)));
            }
        }
        list
    }

    /// The Sidecars of the pods of a namespace; the first that selects a pod counts.
    fn asked(&self, namespace: &str) -> impl Iterator<Item = &Sidecar> {
        let of = |namespace: &str| self.by_namespace.get(namespace).map_or(&[][..], Vec::as_slice);
        let own = of(namespace);
        let last = own.iter().position(|s| s.clients.is_none()).map_or(own.len(), |n| n + 1);
        let of_mesh = of(&self.root).iter().find(|s| s.clients.is_none());
        own[..last].iter().chain(of_mesh.filter(move |_| own.iter().all(|s| s.clients.is_some())))
    }
}

impl Sidecar {
    fn sending(&self, who: &[Selection], to: Target, sends: Sends) -> Sending {
        let Origin { namespace, name, .. } = &self.origin;
        let what = match sends {
            Sends::AsIs => "keeps the host from the client: its proxy passes calls on as they are",
            _ => "keeps a route for the host from the client: its proxy calls it as if there were none",
        };
        Sending {
            subjects: who.to_vec(),
            to,
            ports: PortSet::all(),
            sends,
            why: format!("the Sidecar {namespace}/{name} {what}"),
            origin: Some(self.origin.clone()),
        }
    }

    /// The calls to hosts that clients of a namespace do not know, or of which they do not know all
    /// routes, with what is sent.
    fn hidden(&self, client: &str, hosts: &[Called], routes: &Routes) -> Vec<(Target, Sends)> {
        if self.egress.is_empty() {
            return Vec::new();
        }
        let mut targets = Vec::new();
        // Services of which something is known, by namespace, and how many are known at all.
        let mut known: BTreeMap<&str, Vec<&Called>> = BTreeMap::new();
        let mut whole: BTreeMap<&str, bool> = BTreeMap::new();
        for called in hosts {
            let is_led_to = routes.lead_to(client, &called.host);
            let at = |port: Option<u16>| self.knows(client, called, port, is_led_to);
            let ports: Vec<Option<u16>> = match called.ports.is_empty() {
                true => vec![None],
                false => called.ports.iter().map(|port| Some(port.number)).collect(),
            };
            let is_hidden = ports.iter().all(|port| at(*port) == Known::No);
            if called.is_service() {
                *whole.entry(&called.namespace).or_insert(true) &= !is_hidden;
                if is_hidden {
                    continue;
                }
                known.entry(&called.namespace).or_default().push(called);
            }
            for port in &ports {
                let Some(target) = called.target(*port) else { continue };
                match at(*port) {
                    Known::Yes => {}
                    Known::No => targets.push((target, Sends::AsIs)),
                    Known::Perhaps => targets.push((target.for_some_calls(), Sends::AsIs)),
                }
            }
            let takes =
                |namespace: &str, host: &str| self.egress.iter().any(|l| l.takes(client, namespace, host));
            if !routes.are_taken(client, &called.host, takes) {
                let all = called.targets().into_iter().map(Target::for_some_calls);
                let both =
                    |to: Target| [(to.clone(), Sends::AsIs), (to, Sends::IfAdvertised(Dialect::IstioMtls))];
                targets.extend(all.flat_map(both));
            }
        }
        if whole.values().all(|whole| *whole) {
            return targets;
        }
        let named = known.into_iter().flat_map(|(namespace, services)| match whole[namespace] {
            true => vec![every_service(Some(namespace.to_owned()))],
            false => services.into_iter().filter_map(Called::services).cloned().collect(),
        });
        let chosen = ServiceChoice::Besides(named.collect());
        targets.push((Target::Service(Services { namespace: None, chosen }, None), Sends::AsIs));
        targets
    }

    fn knows(&self, client: &str, called: &Called, port: Option<u16>, is_led_to: bool) -> Known {
        let knows = |listener: &&Listener| listener.knows(client, called);
        let here = |listener: &&Listener| listener.at.is_some() && listener.at == port;
        let of_all = self.egress.iter().filter(|listener| listener.at.is_none()).any(|l| knows(&l));
        let apart = self.egress.iter().any(|listener| here(&listener));
        let of_port = self.egress.iter().filter(here).any(|listener| knows(&listener));
        match (of_all, of_port) {
            (true, _) if !apart => Known::Yes,
            (true, _) | (_, true) => Known::Perhaps,
            (false, false) if is_led_to => Known::Perhaps,
            (false, false) => Known::No,
        }
    }
}

impl Listener {
    fn knows(&self, client: &str, called: &Called) -> bool {
        self.has(client, &called.namespace, |name| is_within(&called.host, name))
    }

    /// Whether a VirtualService with this host counts for clients of it (`VSMatches`).
    fn takes(&self, client: &str, namespace: &str, host: &str) -> bool {
        self.has(client, namespace, |name| is_within(host, name) || is_within(name, host))
    }

    fn has(&self, client: &str, namespace: &str, is_meant: impl Fn(&str) -> bool) -> bool {
        let fits = |host: &&Host| {
            let named = host.namespace.as_deref().map(|name| if name.is_empty() { client } else { name });
            named.is_none_or(|name| name == namespace) && is_meant(&host.name)
        };
        let mut fitting = self.hosts.iter().filter(fits).peekable();
        fitting.peek().is_some() && fitting.all(|host| !host.is_left_out)
    }
}

/// Whether a host is one of those that a name with or without a star stands for (`SubsetOf`).
fn is_within(host: &str, name: &str) -> bool {
    match (host.strip_prefix('*'), name.strip_prefix('*')) {
        (None, None) => host == name,
        (None, Some(tail)) => host.ends_with(tail),
        (Some(own), Some(tail)) => own.len() >= tail.len() && own.ends_with(tail),
        (Some(_), None) => false,
    }
}

impl Called {
    /// What it stands for in the cluster.
    fn services(&self) -> Option<&Services> {
        match &self.place {
            Place::Services(services) => Some(services),
            Place::Outside(_) => None,
        }
    }
}
