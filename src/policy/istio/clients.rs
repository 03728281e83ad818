//! What clients of the mesh send: automatic mutual TLS, and what DestinationRules make of it
//! (`cluster_tls.go`, `mtls_checker.go`).

mod led_on;

use super::super::{Dialect, Namespaces, Sending, Sends, Speech, Target};
use super::called::{self, Called, Lies, Place, Port, Told};
use super::capture::{Capture, every_service};
use super::destination_rule::{DestinationRule, Effective, Rules, Subset, Tls};
use super::membership::{Members, all, pods};
use super::mesh_config::MeshConfig;
use super::peer_authentication::{Mode, Modes};
use super::routes::{By, Routes, Used};
use super::sidecar::Sidecars;
use super::waypoint::Waypoints;
use crate::model::{Bend, Document, Gap, Origin, PortSet, Selector};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the clients' side.
pub struct Clients<'a> {
    /// Who they are.
    pub members: &'a Members,
    /// What servers are set to.
    pub modes: &'a Modes,
    /// The rules for destinations.
    pub rules: &'a Rules,
    /// Where calls are led.
    pub routes: &'a Routes,
    /// Mesh-wide settings.
    pub config: &'a MeshConfig,
    /// What leaves past proxies.
    pub capture: &'a Capture,
    /// Who is between clients and servers.
    pub waypoints: &'a Waypoints,
    /// Which hosts clients know of.
    pub sidecars: &'a Sidecars,
}

/// What is called at ports of each kind.
type Ways = [Used; 3];

/// At all ports, at those for requests, and at those for bytes.
const SPEECHES: [Option<Speech>; 3] = [None, Some(Speech::Http), Some(Speech::Bytes)];

/// What decides for clients of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Resolved {
    rule: Option<DestinationRule>,
    sidecars: Ways,
    gateways: Ways,
    visible: bool,
}

impl Clients<'_> {
    /// All sendings, in the order in which they are asked, and what could not be known.
    pub fn sendings(&self, documents: &[Document]) -> (Vec<Sending>, Vec<Gap>) {
        let mut gaps = Vec::new();
        let mut list = self.capture.bypasses(&self.members.sidecar);
        list.extend(self.waypoints.sendings(self.members));
        let hosts = called::read(documents, self.config);
        list.extend(self.sidecars.sendings(self.members, &hosts, self.routes));
        self.to_taken(&hosts, &mut list);
        self.to_led_on(&hosts, &mut list);
        for host in &hosts {
            self.to_host(host, &mut list, &mut gaps);
        }
        gaps.extend(hosts.iter().flat_map(|host| host.gaps.clone()));
        let (disabled, rest) = self.modes.disabled();
        let differing: BTreeSet<&String> = disabled.iter().chain(self.modes.named()).collect();
        for namespace in differing {
            let (sends, why) = self.automatic(namespace, false);
            let target = Target::Service(every_service(Some(namespace.clone())), None);
            list.push(self.to(&Whom::default(), target, sends, why, None));
        }
        let nowhere = if rest { Mode::Disable } else { Mode::Permissive };
        let (sends, why) = self.automatic_for(nowhere, false);
        let everybody = Whom::default();
        list.push(self.to(&everybody, Target::Service(every_service(None), None), sends, why, None));
        let past = "it calls by address and not through a service: the proxy passes it on as it is";
        list.push(self.to(&everybody, Target::Anything, Sends::AsIs, past.to_owned(), None));
        if self.members.ambient != Selector::nothing() {
            self.of_ambient(&hosts, &mut list);
        }
        gaps.sort();
        gaps.dedup();
        (list, gaps)
    }

    /// The node's proxy knows no rules for destinations.
    fn of_ambient(&self, hosts: &[Called], list: &mut Vec<Sending>) {
        let mut add = |to, sends, why: &str| {
            list.push(Sending {
                subjects: vec![pods(Namespaces::any(), self.members.ambient.clone())],
                to,
                ports: PortSet::all(),
                sends,
                why: why.to_owned(),
                origin: None,
            });
        };
        for outside in hosts.iter().flat_map(Called::outside) {
            let why = "the node's proxy passes on what leaves the mesh as it is";
            add(Target::Outside(outside.clone()), Sends::AsIs, why);
        }
        let why = "the node's proxy tunnels to whoever takes part in ambient";
        add(Target::Anything, Sends::IfAdvertised(Dialect::Hbone), why);
    }

    /// Of two objects of one host a client knows one: in its own namespace a ServiceEntry comes before
    /// what others declare, and elsewhere services come first (`selectServices`). Calls of the other
    /// are calls of a host that the proxy does not know.
    fn to_taken(&self, hosts: &[Called], list: &mut Vec<Sending>) {
        let mut by_host: BTreeMap<&str, Vec<&Called>> = BTreeMap::new();
        hosts.iter().for_each(|called| by_host.entry(&called.host).or_default().push(called));
        for called in hosts {
            for other in &by_host[called.host.as_str()] {
                let (namespace, targets) = called.lost_to(other);
                let whom = Whom { namespace, by: Some(By::Sidecars), ..Whom::default() };
                let why =
                    format!("{} has the same host: a proxy that knows that one passes calls on", other.name);
                for target in targets {
                    list.push(self.to(&whom, target.for_some_calls(), Sends::AsIs, why.clone(), None));
                }
                if called.is_within(other) {
                    let why =
                        format!("{} has the same host: calls of it may lead to these endpoints", other.name);
                    for target in called.targets().into_iter().map(Target::for_some_calls) {
                        for sends in [Sends::AsIs, Sends::Always(self.dialect())] {
                            list.push(self.to(&whom, target.clone(), sends, why.clone(), None));
                        }
                    }
                }
            }
        }
    }

    /// What rules make of one host, for each namespace of clients that they treat apart.
    fn to_host(&self, called: &Called, list: &mut Vec<Sending>, gaps: &mut Vec<Gap>) {
        let default = self.resolved(None, called);
        let mut names = self.rules.client_namespaces();
        names.extend(self.routes.client_namespaces().cloned());
        names.extend(called.exported_to.iter().filter(|name| *name != "*").cloned());
        names.sort();
        names.dedup();
        for client in &names {
            for rule in self.rules.find(Some(client), &called.namespace, &called.host).selective {
                let whom = Whom { namespace: Some(client), labels: rule.clients.as_ref(), by: None };
                let resolved = Resolved { rule: Some(rule.clone()), ..self.resolved(Some(client), called) };
                self.by(called, &whom, &resolved, list, gaps);
            }
            let resolved = self.resolved(Some(client), called);
            if resolved != default {
                self.by(called, &Whom { namespace: Some(client), ..Whom::default() }, &resolved, list, gaps);
            }
        }
        let special =
            called.headless || called.lies == Lies::Outside || !called.is_service() || !default.visible;
        if default.rule.is_some() || special {
            self.by(called, &Whom::default(), &default, list, gaps);
        }
    }

    fn resolved(&self, client: Option<&str>, called: &Called) -> Resolved {
        let rule = self.rules.find(client, &called.namespace, &called.host).general.cloned();
        let used = |by| match rule.is_some() || called.outside().next().is_some() {
            true => SPEECHES.map(|speech| self.routes.used(client, by, &called.host, None, speech)),
            false => Default::default(),
        };
        let visible = called.exported_to.iter().any(|name| name == "*" || Some(name.as_str()) == client);
        Resolved { sidecars: used(By::Sidecars), gateways: used(By::Gateways), rule, visible }
    }

    /// What clients send that a rule, or none, treats alike.
    fn by(
        &self,
        called: &Called,
        whom: &Whom<'_>,
        resolved: &Resolved,
        list: &mut Vec<Sending>,
        gaps: &mut Vec<Gap>,
    ) {
        if !resolved.visible {
            let why = "the host is not exported to the client: its proxy passes calls on as they are";
            // A route that leads to it makes it known nevertheless.
            let is_led_to = self.routes.lead_to(whom.namespace.map_or("", String::as_str), &called.host);
            for target in called.targets() {
                let target = if is_led_to { target.for_some_calls() } else { target };
                list.push(self.to(whom, target, Sends::AsIs, why.to_owned(), None));
            }
            if !is_led_to {
                return;
            }
        }
        if let Some(rule) = &resolved.rule {
            for (name, subset) in &rule.subsets {
                let routed =
                    [&resolved.sidecars, &resolved.gateways].iter().any(|u| u[0].subsets.contains(name));
                let differs =
                    subset.policy.as_ref().is_some_and(|p| p.top.tls.is_some() || !p.ports.is_empty());
                if differs && !routed {
                    gaps.push(Gap {
                        what: format!("the TLS of the subset {name:?} counts only where a route leads to it"),
                        origin: rule.origin.clone(),
                        bends: Bend::MayAllowMore,
                    });
                }
            }
        }
        let apart = resolved.sidecars != resolved.gateways;
        if apart && whom.labels.is_none() {
            let gateways = Whom { by: Some(By::Gateways), ..*whom };
            self.through(called, &gateways, resolved.rule.as_ref(), &resolved.gateways[0], list);
            let sidecars = Whom { by: Some(By::Sidecars), ..*whom };
            self.through(called, &sidecars, resolved.rule.as_ref(), &resolved.sidecars[0], list);
        } else {
            self.through(called, whom, resolved.rule.as_ref(), &resolved.sidecars[0], list);
        }
    }

    fn through(
        &self,
        called: &Called,
        whom: &Whom<'_>,
        rule: Option<&DestinationRule>,
        used: &Used,
        list: &mut Vec<Sending>,
    ) {
        let ports = rule.map(DestinationRule::ports).unwrap_or_default();
        let outside = called.outside().next().is_some();
        let led_apart = self.routes.concern(&called.host);
        let alone = |port: &&Port| outside || led_apart || port.is_http() || ports.contains(&port.number);
        let single = called.ports.iter().filter(alone).map(Some);
        for port in single.chain([None]) {
            let Some(target) = called.target(port.map(|port| port.number)) else { continue };
            let client = whom.namespace.map(String::as_str);
            let led = match (port, whom.by, outside) {
                (Some(port), Some(by), true) => {
                    self.routes.used(client, by, &called.host, Some(port.number), None)
                }
                (Some(port), by, false) => {
                    let by = by.unwrap_or(By::Sidecars);
                    self.routes.used(client, by, &called.host, Some(port.number), Some(port.speech))
                }
                _ => used.clone(),
            };
            if led.elsewhere && called.outside().next().is_some() {
                continue;
            }
            let one = One { called, whom, rule, port };
            let subsets = rule.into_iter().flat_map(|rule| &rule.subsets);
            let subsets: Vec<&Subset> =
                subsets.filter(|(name, _)| led.subsets.contains(*name)).map(|(_, subset)| subset).collect();
            for subset in &subsets {
                let among = vec![pods(Namespaces::any(), subset.labels.clone())];
                let part = Target::Among(Box::new(target.clone()), among);
                let part = if led.whole || subsets.len() > 1 { part.for_some_calls() } else { part };
                self.push(&one, Some(subset), part, list);
            }
            self.push(&one, None, target, list);
        }
    }

    fn push(&self, one: &One<'_>, subset: Option<&Subset>, target: Target, list: &mut Vec<Sending>) {
        let One { called, whom, rule, port } = one;
        let number = port.map(|port| port.number);
        let effective = rule.map_or_else(Effective::default, |rule| rule.effective(number, subset));
        let origin = rule.map(|rule| &rule.origin);
        if effective.tls == Some(Tls::FromSecret) && whom.labels.is_none() && whom.by != Some(By::Sidecars) {
            // Gateways may read Secrets; what follows holds for sidecars.
            let gateways = Whom { by: Some(By::Gateways), ..**whom };
            let why = rule.map_or_else(String::new, |rule| why(rule, "TLS of its own"));
            list.push(self.to(&gateways, target.clone(), one.other_tls(self.sidecars), why, origin));
        }
        let (sends, why) = match rule {
            Some(rule) => self.of_rule(one, rule, effective),
            None => self.automatic_to(called, false),
        };
        for (target, sends, why) in as_told(called, target, sends, why) {
            list.push(self.to(whom, target, sends, why, origin));
        }
    }

    /// What a rule makes of one port. `lost` is TLS at the top that an entry for the port without
    /// any has taken away.
    fn of_rule(&self, one: &One<'_>, rule: &DestinationRule, effective: Effective) -> (Sends, String) {
        let plain = match self.config.tunnels && one.called.lies == Lies::InMesh {
            true => Sends::IfOnly(Dialect::Hbone),
            false => Sends::AsIs,
        };
        let once = effective.is_decided_once;
        let goes_on = one.called.headless || effective.passes_on;
        match (effective.tls, effective.lost) {
            (Some(Tls::Disable), _) => (plain, why(rule, "DISABLE")),
            (Some(Tls::Own), _) => (one.other_tls(self.sidecars), why(rule, "TLS of its own")),
            (Some(Tls::Blind), _) => {
                let what = "TLS of its own that does not look at the server's certificate";
                let blind = one.called.outside().next().is_some();
                (if blind { Sends::BlindTls } else { one.other_tls(self.sidecars) }, why(rule, what))
            }
            (Some(Tls::FromSecret), _) if one.whom.labels.is_some() => {
                (one.other_tls(self.sidecars), why(rule, "TLS of its own"))
            }
            (Some(Tls::FromSecret), _) => {
                (Sends::AsIs, why(rule, "a Secret that sidecars cannot read, which leaves no TLS"))
            }
            (Some(Tls::Broken), _) => {
                (Sends::AsIs, why(rule, "MUTUAL without certificate and key, which leaves no TLS"))
            }
            (Some(Tls::Mesh), _) => (Sends::Always(self.dialect()), why(rule, "ISTIO_MUTUAL")),
            // What decides for single pods looks at the whole again, and finds the mesh's there; where calls
            // go on to the address that was called, it is not looked at.
            (None, Some(lost)) if lost == Tls::Mesh || goes_on => {
                let (sends, _) = self.automatic_to(one.called, once);
                (sends, why(rule, "an entry for the port without TLS"))
            }
            (None, Some(_)) => {
                (plain, why(rule, "an entry for the port without TLS, which takes away that of the whole"))
            }
            (None, None) => self.automatic_to(one.called, once),
        }
    }

    fn dialect(&self) -> Dialect {
        if self.config.tunnels { Dialect::IstioEither } else { Dialect::IstioMtls }
    }

    fn automatic_to(&self, called: &Called, once: bool) -> (Sends, String) {
        match called.lies {
            Lies::InMesh => self.automatic(&called.namespace, called.headless || once),
            Lies::Outside => {
                let name = &called.name;
                (Sends::AsIs, format!("{name} is declared to lie outside of the mesh (MESH_EXTERNAL)"))
            }
        }
    }

    fn automatic(&self, namespace: &str, headless: bool) -> (Sends, String) {
        self.automatic_for(self.modes.of_namespace(namespace), headless)
    }

    fn automatic_for(&self, mode: Mode, headless: bool) -> (Sends, String) {
        let plain = if self.config.tunnels { Sends::IfOnly(Dialect::Hbone) } else { Sends::AsIs };
        match (self.config.auto_mtls, mode) {
            (false, _) => (plain, "automatic mutual TLS is switched off (enableAutoMtls)".to_owned()),
            (_, Mode::Disable) => (
                plain,
                "mutual TLS is disabled for the namespace of the service, which is all that clients look at"
                    .to_owned(),
            ),
            _ if headless => (
                Sends::IfAllAdvertise(self.dialect()),
                "automatic mutual TLS, decided once for all pods of the service".to_owned(),
            ),
            _ => (Sends::IfAdvertised(self.dialect()), "automatic mutual TLS".to_owned()),
        }
    }

    fn to(&self, whom: &Whom<'_>, to: Target, sends: Sends, why: String, origin: Option<&Origin>) -> Sending {
        let clients = match whom.by {
            Some(By::Sidecars) => self.members.sidecar.clone(),
            Some(By::Gateways) => self.members.gateway.clone(),
            None => Selector::any_of(vec![self.members.sidecar.clone(), self.members.gateway.clone()]),
        };
        let subjects = whom.subjects(&clients);
        Sending { subjects, to, ports: PortSet::all(), sends, why, origin: origin.cloned() }
    }
}

/// Automatic mutual TLS to endpoints of which their entry says itself what they speak.
fn as_told(called: &Called, target: Target, sends: Sends, why: String) -> Vec<(Target, Sends, String)> {
    let (Sends::IfAdvertised(dialect) | Sends::IfAllAdvertise(dialect)) = sends else {
        return vec![(target, sends, why)];
    };
    let name = &called.name;
    let mutual = || (Sends::Always(dialect), format!("{why}: {name} says that its endpoints speak it"));
    let nothing = (Sends::AsIs, format!("{name} does not say that its endpoints speak mutual TLS"));
    let of = |target, (sends, why)| (target, sends, why);
    match called.told {
        Told::ByThem => vec![(target, sends, why)],
        Told::MutualTls => vec![of(target, mutual())],
        Told::Nothing => vec![of(target, nothing)],
        Told::Both => vec![of(target.clone().for_some_calls(), nothing), of(target, mutual())],
    }
}

fn why(rule: &DestinationRule, what: &str) -> String {
    let Origin { kind, namespace, name, .. } = &rule.origin;
    format!("{kind} {namespace}/{name}: {what}")
}

/// One port of a host, called by some clients.
struct One<'a> {
    called: &'a Called,
    whom: &'a Whom<'a>,
    rule: Option<&'a DestinationRule>,
    port: Option<&'a Port>,
}

impl One<'_> {
    /// TLS of its own; the proxy at the other end reads requests where a service declares HTTP, unless
    /// a Sidecar says what it serves.
    fn other_tls(&self, sidecars: &Sidecars) -> Sends {
        let is_declared = self.called.is_service() && !sidecars.declare_ingress;
        match self.port.is_some_and(Port::is_http) && is_declared {
            true => Sends::OtherTlsOverHttp,
            false => Sends::OtherTls,
        }
    }
}

/// Clients of a namespace, or of all; by labels where a rule selects.
#[derive(Clone, Copy, Default)]
struct Whom<'a> {
    namespace: Option<&'a String>,
    labels: Option<&'a Selector>,
    /// Only these; both where `None`.
    by: Option<By>,
}

impl Whom<'_> {
    fn subjects(&self, members: &Selector) -> Vec<super::super::Selection> {
        let namespaces = self.namespace.map_or_else(Namespaces::any, |name| Namespaces::Named(name.clone()));
        let labels = self.labels.cloned().unwrap_or_default();
        vec![pods(namespaces, all([members.clone(), labels]))]
    }
}

impl Called {
    /// The calls that another object with the same host takes from it, and the namespace whose clients
    /// make them, where it is not all.
    fn lost_to<'a>(&self, other: &'a Called) -> (Option<&'a String>, Vec<Target>) {
        let is_apart = self.namespace != other.namespace;
        match (self.is_service(), other.is_service()) {
            (true, true) => (None, Vec::new()),
            (true, false) if is_apart => (Some(&other.namespace), self.targets()),
            _ if is_apart => (None, self.targets()),
            // What is called by the entry of a service's host is the service, or see `is_within`.
            (false, true) => (None, Vec::new()),
            _ if self.name == other.name => (None, Vec::new()),
            // Where the two declare a port differently, requests find no route at the one that lost, and
            // at pods behind a headless service they find none where another object has the port at all.
            _ => {
                let is_taken = |own: &&Port| {
                    let of_other = other.ports.iter().find(|port| port.number == own.number);
                    let asks = own.is_http() || (own.speech == Speech::Undeclared && !self.is_service());
                    let is_lost = |port: &Port| self.headless || (asks && port.speech != own.speech);
                    of_other.is_some_and(is_lost)
                };
                let ports = self.ports.iter().filter(is_taken);
                (None, ports.filter_map(|port| self.target(Some(port.number))).collect())
            }
        }
    }

    /// Whether it is an entry with endpoints, of the namespace and host of a service: a client knows the
    /// service alone, with the endpoints of both that have a port by the same name.
    fn is_within(&self, other: &Called) -> bool {
        self.lists_endpoints && other.is_service() && self.namespace == other.namespace
    }

    /// All that it is called by.
    pub fn targets(&self) -> Vec<Target> {
        match &self.place {
            Place::Services(services) => vec![Target::Service(services.clone(), None)],
            Place::Outside(hosts) => hosts.iter().cloned().map(Target::Outside).collect(),
        }
    }
}
