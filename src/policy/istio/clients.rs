//! What clients of the mesh send: automatic mutual TLS, and what DestinationRules make of it
//! (`cluster_tls.go`, `mtls_checker.go`).

use super::super::{Dialect, Namespaces, Sending, Sends, ServiceChoice, Services, Target};
use super::capture::{Capture, every_service};
use super::destination_rule::{DestinationRule, Rules, Tls, expanded};
use super::membership::{Members, all, pods};
use super::mesh_config::MeshConfig;
use super::peer_authentication::{Mode, Modes};
use super::waypoint::Waypoints;
use crate::model::{Bend, Document, Gap, Node, Origin, PortSet, Selector};
use std::collections::BTreeSet;

/// A service, as far as clients decide by it.
struct Called {
    namespace: String,
    name: String,
    ports: Vec<u16>,
    headless: bool,
}

/// What is known of the clients' side.
pub struct Clients<'a> {
    /// Who they are.
    pub members: &'a Members,
    /// What servers are set to.
    pub modes: &'a Modes,
    /// The rules for destinations.
    pub rules: &'a Rules,
    /// Mesh-wide settings.
    pub config: &'a MeshConfig,
    /// What leaves past proxies.
    pub capture: &'a Capture,
    /// Who is between clients and servers.
    pub waypoints: &'a Waypoints,
}

impl Clients<'_> {
    /// All sendings, in the order in which they are asked, and what could not be known.
    pub fn sendings(&self, documents: &[Document]) -> (Vec<Sending>, Vec<Gap>) {
        let mut gaps = Vec::new();
        let mut list = self.capture.bypasses(self.members);
        list.extend(self.waypoints.sendings(self.members));
        let services: Vec<Called> = documents.iter().filter_map(called).collect();
        let routed = routed_subsets(documents);
        for service in &services {
            self.by_rules(service, &routed, &mut list, &mut gaps);
        }
        for service in services.iter().filter(|service| service.headless) {
            let (sends, why) = self.automatic(&service.namespace, true);
            list.push(self.to(None, service.target(None), sends, why, None));
        }
        let (disabled, rest) = self.modes.disabled();
        let differing: BTreeSet<&String> = disabled.iter().chain(self.modes.named()).collect();
        for namespace in differing {
            let (sends, why) = self.automatic(namespace, false);
            list.push(self.to(
                None,
                Target::Service(every_service(Some(namespace.clone())), None),
                sends,
                why,
                None,
            ));
        }
        let nowhere = if rest { Mode::Disable } else { Mode::Permissive };
        let (sends, why) = self.automatic_for(nowhere, false);
        list.push(self.to(None, Target::Service(every_service(None), None), sends, why, None));
        let past = "it calls by address and not through a service: the proxy passes it on as it is";
        list.push(self.to(None, Target::Anything, Sends::AsIs, past.to_owned(), None));
        if self.members.ambient != Selector::nothing() {
            list.push(Sending {
                subjects: vec![pods(Namespaces::any(), self.members.ambient.clone())],
                to: Target::Anything,
                ports: PortSet::all(),
                sends: Sends::IfAdvertised(Dialect::Hbone),
                why: "the node's proxy tunnels to whoever takes part in ambient".to_owned(),
                origin: None,
            });
        }
        (list, gaps)
    }

    /// What the rules make of one service, for each namespace of clients that they treat apart.
    fn by_rules(
        &self,
        service: &Called,
        routed: &BTreeSet<(String, String)>,
        list: &mut Vec<Sending>,
        gaps: &mut Vec<Gap>,
    ) {
        if self.rules.is_empty() {
            return;
        }
        let host = expanded(&service.name, &service.namespace);
        let names = self.rules.client_namespaces();
        let default = self.rules.find(None, &service.namespace, &host, &self.config.root);
        for client in &names {
            for rule in self.rules.selective(client, &host) {
                let whom = Whom { namespace: Some(client), labels: rule.clients.as_ref() };
                self.by_rule(service, &whom, rule, routed, list, gaps);
            }
            let found = self.rules.find(Some(client), &service.namespace, &host, &self.config.root);
            let whom = Whom { namespace: Some(client), labels: None };
            match (&found, &default) {
                (Some(rule), _) => self.by_rule(service, &whom, rule, routed, list, gaps),
                // What holds for everybody else must not hold here.
                (None, Some(_)) => {
                    let (sends, why) = self.automatic(&service.namespace, service.headless);
                    list.push(self.to(Some(&whom), service.target(None), sends, why, None));
                }
                (None, None) => {}
            }
        }
        if let Some(rule) = &default {
            self.by_rule(service, &Whom::default(), rule, routed, list, gaps);
        }
    }

    fn by_rule(
        &self,
        service: &Called,
        whom: &Whom<'_>,
        rule: &DestinationRule,
        routed: &BTreeSet<(String, String)>,
        list: &mut Vec<Sending>,
        gaps: &mut Vec<Gap>,
    ) {
        let policy = rule.policy.clone().unwrap_or_default();
        let host = expanded(&service.name, &service.namespace);
        let subset = rule.subsets.iter().find(|(name, _)| routed.contains(&(host.clone(), (*name).clone())));
        for name in rule.subsets.keys() {
            gaps.push(Gap {
                what: match subset.is_some_and(|(routed, _)| routed == name) {
                    true => format!(
                        "a route leads to the subset {name:?}, whose TLS was taken for the whole service"
                    ),
                    false => format!("the TLS of the subset {name:?} counts only where a route leads to it"),
                },
                origin: rule.origin.clone(),
                bends: Bend::MayAllowMore,
            });
        }
        let headless = service.headless || policy.passes_through;
        let origin = Some(&rule.origin);
        let mut add = |target: Target, tls: Option<Tls>, lost: Option<Tls>| {
            if tls == Some(Tls::FromSecret) && whom.labels.is_none() {
                // Gateways may read Secrets; what follows holds for sidecars.
                let mut sending =
                    self.to(Some(whom), target.clone(), Sends::OtherTls, why(rule, "TLS of its own"), origin);
                sending.subjects = whom.subjects(&self.members.gateway);
                list.push(sending);
            }
            let (sends, why) = self.of_rule(service, rule, tls, lost, headless, whom);
            list.push(self.to(Some(whom), target, sends, why, origin));
        };
        for port in service.ports.iter().filter(|port| policy.ports.contains_key(port)) {
            let own = policy.ports[port];
            add(service.target(Some(*port)), own, policy.tls.filter(|_| own.is_none()));
        }
        let whole = match subset {
            Some((_, tls)) => *tls,
            None => policy.tls,
        };
        add(service.target(None), whole, None);
    }

    /// What a rule makes of one port. `lost` is TLS at the top that an entry for the port without
    /// any has taken away.
    fn of_rule(
        &self,
        service: &Called,
        rule: &DestinationRule,
        tls: Option<Tls>,
        lost: Option<Tls>,
        headless: bool,
        whom: &Whom<'_>,
    ) -> (Sends, String) {
        let plain = if self.config.tunnels { Sends::IfOnly(Dialect::Hbone) } else { Sends::AsIs };
        match (tls, lost) {
            (Some(Tls::Disable), _) => (plain, why(rule, "DISABLE")),
            (Some(Tls::Own), _) => (Sends::OtherTls, why(rule, "TLS of its own")),
            (Some(Tls::FromSecret), _) if whom.labels.is_some() => {
                (Sends::OtherTls, why(rule, "TLS of its own"))
            }
            (Some(Tls::FromSecret), _) => {
                (Sends::AsIs, why(rule, "a Secret that sidecars cannot read, which leaves no TLS"))
            }
            (Some(Tls::Broken), _) => {
                (Sends::AsIs, why(rule, "MUTUAL without certificate and key, which leaves no TLS"))
            }
            (Some(Tls::Mesh), _) => (Sends::Always(self.dialect()), why(rule, "ISTIO_MUTUAL")),
            (None, Some(Tls::Mesh)) => {
                (Sends::IfAdvertised(self.dialect()), why(rule, "an entry for the port without TLS"))
            }
            (None, Some(_)) => {
                (plain, why(rule, "an entry for the port without TLS, which takes away that of the whole"))
            }
            (None, None) => self.automatic(&service.namespace, headless),
        }
    }

    fn dialect(&self) -> Dialect {
        if self.config.tunnels { Dialect::IstioEither } else { Dialect::IstioMtls }
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

    fn to(
        &self,
        whom: Option<&Whom<'_>>,
        to: Target,
        sends: Sends,
        why: String,
        origin: Option<&Origin>,
    ) -> Sending {
        let clients = Selector::any_of(vec![self.members.sidecar.clone(), self.members.gateway.clone()]);
        let subjects = whom.unwrap_or(&Whom::default()).subjects(&clients);
        Sending { subjects, to, ports: PortSet::all(), sends, why, origin: origin.cloned() }
    }
}

fn why(rule: &DestinationRule, what: &str) -> String {
    format!("DestinationRule {}/{}: {what}", rule.origin.namespace, rule.origin.name)
}

/// Clients of a namespace, or of all; by labels where a rule selects.
#[derive(Default)]
struct Whom<'a> {
    namespace: Option<&'a String>,
    labels: Option<&'a Selector>,
}

impl Whom<'_> {
    fn subjects(&self, members: &Selector) -> Vec<super::super::Selection> {
        let namespaces = self.namespace.map_or_else(Namespaces::any, |name| Namespaces::Named(name.clone()));
        let labels = self.labels.cloned().unwrap_or_default();
        vec![pods(namespaces, all([members.clone(), labels]))]
    }
}

impl Called {
    fn target(&self, port: Option<u16>) -> Target {
        let services = Services {
            namespace: Some(self.namespace.clone()),
            chosen: ServiceChoice::Named(self.name.clone()),
        };
        Target::Service(services, port)
    }
}

fn called(document: &Document) -> Option<Called> {
    if &*document.origin.kind != "Service" || document.api_version != "v1" {
        return None;
    }
    let spec = document.body.get("spec")?;
    let number = |port: &Node| port.get("port")?.int().and_then(|n| u16::try_from(n).ok());
    Some(Called {
        namespace: super::place(document).namespace.to_string(),
        name: document.origin.name.to_string(),
        ports: spec.items_of("ports").iter().filter_map(number).collect(),
        headless: spec.text_of("clusterIP") == Some("None"),
    })
}

/// Hosts with the subsets to which routes of VirtualServices lead.
fn routed_subsets(documents: &[Document]) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for document in documents.iter().filter(|d| &*d.origin.kind == "VirtualService") {
        let Some(spec) = document.body.get("spec") else { continue };
        for route in ["http", "tcp", "tls"].iter().flat_map(|list| spec.items_of(list)) {
            for destination in route.items_of("route").iter().filter_map(|entry| entry.get("destination")) {
                if let (Some(host), Some(subset)) =
                    (destination.text_of("host"), destination.text_of("subset"))
                {
                    found.insert((expanded(host, &super::place(document).namespace), subset.to_owned()));
                }
            }
        }
    }
    found
}
