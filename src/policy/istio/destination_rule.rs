//! DestinationRule: which one counts for a client and a service, and the TLS that it asks for.
//!
//! The search of istiod (`PushContext.destinationRule`): the client's namespace, then the service's,
//! then the root namespace; the first that has a rule for the host ends it, and nothing is merged
//! across namespaces. In one namespace the most specific host wins.

use super::super::kubernetes::refusal;
use super::mesh_config::MeshConfig;
use crate::model::{Bend, Document, Gap, Node, Origin, Problem, Requirement, Selector, Text};
use std::collections::{BTreeMap, BTreeSet};

/// `kind`.
pub const KIND: &str = "DestinationRule";

/// `tls` of a traffic policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tls {
    /// `DISABLE`.
    Disable,
    /// `SIMPLE`, or `MUTUAL` with certificates of its own.
    Own,
    /// The same, and the certificate of the server is not looked at (`insecureSkipVerify`).
    Blind,
    /// The same with certificates from a Secret, which only gateways and selected clients can read
    /// (`credentialName`).
    FromSecret,
    /// `MUTUAL` without all that it needs: the cluster is left without TLS.
    Broken,
    /// `ISTIO_MUTUAL`.
    Mesh,
}

/// What one policy says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficPolicy {
    /// `tls`.
    pub tls: Option<Tls>,
    /// `portLevelSettings`, by the port of the service; an entry replaces the rest wholly.
    pub ports: BTreeMap<u16, Option<Tls>>,
    /// Whether `loadBalancer.simple` is PASSTHROUGH.
    pub passes_through: bool,
}

/// A part of the endpoints of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subset {
    /// Which (`labels`).
    pub labels: Selector,
    /// `trafficPolicy`.
    pub policy: Option<TrafficPolicy>,
}

/// Who wrote a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Author {
    /// A person.
    User,
    /// istiod, out of a BackendTLSPolicy: it fills what users leave open.
    Policy,
}

/// One object, or several of one host that are one (`destination_rule.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationRule {
    /// Where it stands.
    pub origin: Origin,
    /// `host`, expanded.
    pub host: String,
    /// `exportTo`, with the default of the mesh; `*` for everybody.
    pub exported_to: Vec<String>,
    /// `workloadSelector.matchLabels`.
    pub clients: Option<Selector>,
    /// `trafficPolicy`.
    pub policy: Option<TrafficPolicy>,
    /// `subsets`, by their name.
    pub subsets: BTreeMap<String, Subset>,
    /// Who wrote it.
    pub author: Author,
    created: Option<String>,
}

/// All rules, with what was found wrong.
#[derive(Debug, Default)]
pub struct Rules {
    /// By namespace; in each the oldest first.
    by_namespace: BTreeMap<String, Vec<DestinationRule>>,
    /// What depends on more than the documents say.
    pub gaps: Vec<Gap>,
    /// Objects that the API server would refuse.
    pub problems: Vec<Problem>,
}

/// Reads all rules.
pub fn read(documents: &[Document], config: &MeshConfig) -> Rules {
    let mut rules = Rules::default();
    for document in documents.iter().filter(|d| super::is(d, KIND)) {
        match object(document, config) {
            Ok(rule) => {
                let namespace = rule.origin.namespace.to_string();
                if rule.host.contains('.') && !rule.host.ends_with(".local") && is_short(&rule.host) {
                    rules.gaps.push(Gap {
                        what: format!("the host {:?} is not expanded and matches no service", rule.host),
                        origin: rule.origin.clone(),
                        bends: Bend::MayAllowLess,
                    });
                }
                rules.by_namespace.entry(namespace).or_default().push(rule);
            }
            Err(problem) => rules.problems.push(problem),
        }
    }
    for rule in super::backend_tls::read(documents) {
        rules.by_namespace.entry(rule.origin.namespace.to_string()).or_default().push(rule);
    }
    for list in rules.by_namespace.values_mut() {
        // Where nobody knows which is older, the one that protects less is shown.
        let weakness = |rule: &DestinationRule| rule.created.is_none().then(|| rule.weakest());
        let key = |rule: &DestinationRule| {
            (rule.author, rule.created.clone(), weakness(rule), rule.origin.name.clone())
        };
        list.sort_by_key(key);
        rules.gaps.extend(undated(list));
    }
    rules
}

/// Of rules for one host whose policies differ, the oldest one's counts ([`merged`]).
fn undated(list: &[DestinationRule]) -> Vec<Gap> {
    let mut by_host: BTreeMap<(&str, &[String]), Vec<&DestinationRule>> = BTreeMap::new();
    let counts = |rule: &&DestinationRule| {
        rule.author == Author::User && rule.clients.is_none() && rule.policy.is_some()
    };
    for rule in list.iter().filter(counts) {
        by_host.entry((&rule.host, &rule.exported_to)).or_default().push(rule);
    }
    let several = by_host.into_iter().filter(|(_, rules)| {
        rules.iter().any(|rule| rule.created.is_none()) && rules.iter().any(|r| r.policy != rules[0].policy)
    });
    let gap = |((host, _), rules): ((&str, _), Vec<&DestinationRule>)| {
        let names: Vec<&str> = rules.iter().map(|rule| &*rule.origin.name).collect();
        Gap {
            what: format!(
                "several DestinationRules are for {host} ({}): the policy of the oldest counts, and manifests do \
                 not say which that is",
                names.join(", ")
            ),
            origin: rules[0].origin.clone(),
            bends: Bend::MayAllowLess,
        }
    };
    several.map(gap).collect()
}

/// A rule for everybody that istiod makes of a policy.
pub fn synthesized(origin: Origin, host: String, policy: TrafficPolicy) -> DestinationRule {
    DestinationRule {
        origin,
        host,
        exported_to: vec!["*".to_owned()],
        clients: None,
        policy: Some(policy),
        subsets: BTreeMap::new(),
        author: Author::Policy,
        created: None,
    }
}

/// `reviews.ns` and `reviews.ns.svc`: names that Kubernetes resolves and istiod does not.
fn is_short(host: &str) -> bool {
    let parts: Vec<&str> = host.split('.').collect();
    parts.len() == 2 || (parts.len() == 3 && parts[2] == "svc")
}

fn object(document: &Document, config: &MeshConfig) -> Result<DestinationRule, Problem> {
    let origin = super::place(document);
    let spec = document.body.get("spec").unwrap_or(&document.body);
    let Some(host) = spec.text_of("host").filter(|host| !host.is_empty()) else {
        return Err(refusal(&origin, spec.line, "host is missing", "name the service under spec.host"));
    };
    let namespace = origin.namespace.to_string();
    let exported: Vec<String> =
        spec.items_of("exportTo").iter().filter_map(Node::text).map(str::to_owned).collect();
    let exported = if exported.is_empty() { config.rules_exported_to.clone() } else { exported };
    let mut exported_to: Vec<String> =
        exported.into_iter().map(|name| if name == "." { namespace.clone() } else { name }).collect();
    if exported_to.is_empty() {
        exported_to.push("*".to_owned());
    }
    let clients = match spec.get("workloadSelector").filter(|node| !node.is_null()) {
        Some(selector) => Some(super::match_labels(&origin, selector)?),
        None => None,
    };
    let policy = match spec.get("trafficPolicy").filter(|node| !node.is_null()) {
        Some(node) => Some(policy(&origin, node)?),
        None => None,
    };
    let mut subsets = BTreeMap::new();
    for subset in spec.items_of("subsets") {
        let name = subset.text_of("name").unwrap_or_default().to_owned();
        let own = subset.get("trafficPolicy").filter(|node| !node.is_null());
        let own = own.map(|node| self::policy(&origin, node)).transpose()?;
        let label = |(key, value): &(Text, Node)| {
            Some(Requirement::In(key.to_string(), vec![value.text()?.to_owned()]))
        };
        let labels = subset.get("labels").map_or(&[][..], Node::fields).iter().filter_map(label).collect();
        subsets.entry(name).or_insert(Subset { labels: Selector { requirements: labels }, policy: own });
    }
    let created = document.body.path(&["metadata", "creationTimestamp"]).and_then(Node::text);
    Ok(DestinationRule {
        host: expanded(host, &namespace),
        origin,
        exported_to,
        clients,
        policy,
        subsets,
        author: Author::User,
        created: created.map(str::to_owned),
    })
}

/// `ResolveShortnameToFQDN`: only a name without any dot is expanded.
pub fn expanded(host: &str, namespace: &str) -> String {
    match host.contains(['.', '*']) {
        true => host.to_owned(),
        false => format!("{host}.{namespace}.svc.cluster.local"),
    }
}

fn policy(origin: &Origin, node: &Node) -> Result<TrafficPolicy, Problem> {
    let own = node.get("tls").filter(|n| !n.is_null()).map_or(Ok(None), |node| tls(origin, node))?;
    let mut ports = BTreeMap::new();
    for entry in node.items_of("portLevelSettings") {
        let number = entry.path(&["port", "number"]).and_then(Node::int).and_then(|n| u16::try_from(n).ok());
        let Some(number) = number.filter(|number| *number > 0) else {
            let hint = "write port: {number: 80} with a port of the service";
            return Err(refusal(origin, entry.line, "portLevelSettings without a port", hint));
        };
        let tls = entry.get("tls").filter(|n| !n.is_null()).map_or(Ok(None), |node| tls(origin, node))?;
        ports.insert(number, tls);
    }
    let passes_through = node.path(&["loadBalancer", "simple"]).and_then(Node::text) == Some("PASSTHROUGH");
    Ok(TrafficPolicy { tls: own, ports, passes_through })
}

fn tls(origin: &Origin, node: &Node) -> Result<Option<Tls>, Problem> {
    let secret = node.text_of("credentialName").filter(|name| !name.is_empty());
    let from_secret = secret.is_some_and(|name| !name.starts_with("configmap://"));
    let blind = node.get("insecureSkipVerify").and_then(Node::bool) == Some(true);
    let has = |field: &str| node.text_of(field).is_some_and(|text| !text.is_empty());
    Ok(Some(match node.text_of("mode") {
        None | Some("DISABLE") => Tls::Disable,
        Some("SIMPLE" | "MUTUAL") if from_secret => Tls::FromSecret,
        Some("SIMPLE") if blind => Tls::Blind,
        Some("SIMPLE") => Tls::Own,
        Some("MUTUAL") if blind && has("clientCertificate") && has("privateKey") => Tls::Blind,
        Some("MUTUAL") if secret.is_some() || (has("clientCertificate") && has("privateKey")) => Tls::Own,
        Some("MUTUAL") => Tls::Broken,
        Some("ISTIO_MUTUAL") => Tls::Mesh,
        Some(other) => {
            let message = format!("the TLS mode {other:?} is not known");
            let hint = "write DISABLE, SIMPLE, MUTUAL or ISTIO_MUTUAL";
            return Err(refusal(origin, node.line, message, hint));
        }
    }))
}

/// TLS for one port, and what an entry for the port without any has taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effective {
    /// What counts.
    pub tls: Option<Tls>,
    /// What would have counted for the whole.
    pub lost: Option<Tls>,
}

impl DestinationRule {
    /// The least of what its policy asks for: plaintext, what both sides can, TLS of its own, the mesh's.
    fn weakest(&self) -> u8 {
        let of = |tls: Option<Tls>| match tls {
            Some(Tls::Disable) => 0,
            None => 1,
            Some(Tls::Mesh) => 3,
            Some(_) => 2,
        };
        self.policy.iter().flat_map(|p| p.ports.values().copied().chain([p.tls])).map(of).min().unwrap_or(1)
    }

    /// What holds for a port, of the whole or of a subset (`MergeSubsetTrafficPolicy`): an entry for
    /// the port replaces what stands above it, even where it has no TLS.
    pub fn effective(&self, port: Option<u16>, subset: Option<&Subset>) -> Effective {
        let whole = self.policy.as_ref();
        let entry = |policy: Option<&TrafficPolicy>| *policy?.ports.get(&port?)?;
        let has_entry = |policy: Option<&TrafficPolicy>| {
            policy.is_some_and(|policy| port.is_some_and(|port| policy.ports.contains_key(&port)))
        };
        let top = whole.and_then(|policy| policy.tls);
        let base = if has_entry(whole) { entry(whole) } else { top };
        let own = subset.and_then(|subset| subset.policy.as_ref());
        let tls = match has_entry(own) {
            true => entry(own),
            false => own.and_then(|policy| policy.tls).or(base),
        };
        Effective { tls, lost: top.filter(|_| tls.is_none()) }
    }

    /// Ports that some entry is about.
    pub fn ports(&self) -> BTreeSet<u16> {
        let policies = self.policy.iter().chain(self.subsets.values().filter_map(|s| s.policy.as_ref()));
        policies.flat_map(|policy| policy.ports.keys().copied()).collect()
    }

    /// How well the host fits: the longer the better, exact names best.
    fn fits(&self, name: &str) -> Option<usize> {
        match self.host.strip_prefix('*') {
            _ if self.host == name => Some(usize::MAX),
            Some(suffix) if name.ends_with(suffix) => Some(suffix.len()),
            _ => None,
        }
    }

    fn is_exported_to(&self, namespace: &str) -> bool {
        self.exported_to.iter().any(|name| name == "*" || name == namespace)
    }

    fn is_private(&self) -> bool {
        self.exported_to.iter().all(|name| **name == *self.origin.namespace)
    }
}

impl Rules {
    /// Namespaces whose clients may be treated unlike all others.
    pub fn client_namespaces(&self) -> Vec<String> {
        let named = self.by_namespace.values().flatten().flat_map(|rule| &rule.exported_to);
        let mut all: Vec<String> =
            named.filter(|name| *name != "*").chain(self.by_namespace.keys()).cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// Rules of a namespace for some of its clients, by their labels.
    pub fn selective<'a>(&'a self, client: &str, host: &'a str) -> impl Iterator<Item = &'a DestinationRule> {
        let own = self.by_namespace.get(client).into_iter().flatten();
        own.filter(move |rule| rule.clients.is_some() && rule.fits(host).is_some())
    }

    /// The rule that counts for a client of a namespace (`None`: any that is not named anywhere).
    pub fn find(
        &self,
        client: Option<&str>,
        service: &str,
        host: &str,
        root: &str,
    ) -> Option<DestinationRule> {
        let of = |namespace: &str, wanted: &dyn Fn(&DestinationRule) -> bool| {
            let list = self.by_namespace.get(namespace)?;
            let general = || list.iter().filter(|rule| rule.clients.is_none());
            let best = general().filter_map(|rule| rule.fits(host)).max()?;
            merged(general().filter(|rule| rule.fits(host) == Some(best) && wanted(rule)))
        };
        let exported = |rule: &DestinationRule| match client {
            Some(client) => rule.is_exported_to(client),
            None => rule.exported_to.iter().any(|name| name == "*"),
        };
        let own = client.and_then(|client| match client == root {
            true => of(client, &DestinationRule::is_private),
            false => of(client, &|_| true),
        });
        own.or_else(|| of(service, &exported)).or_else(|| of(root, &exported))
    }
}

/// Rules of one host and one `exportTo` are one: subsets are united, and the first policy at the top
/// counts alone.
fn merged<'a>(mut rules: impl Iterator<Item = &'a DestinationRule>) -> Option<DestinationRule> {
    let mut first = rules.next()?.clone();
    for rule in rules.filter(|rule| rule.exported_to == first.exported_to).collect::<Vec<_>>() {
        match (&mut first.policy, &rule.policy) {
            (None, Some(policy)) => {
                first.policy = Some(policy.clone());
                first.origin = rule.origin.clone();
            }
            (Some(own), Some(policy)) if rule.author == Author::Policy => {
                if own.tls.is_none() && policy.tls.is_some() {
                    own.tls = policy.tls;
                }
                for (port, tls) in &policy.ports {
                    let entry = own.ports.entry(*port).or_insert(*tls);
                    *entry = entry.or(*tls);
                }
            }
            _ => {}
        }
        for (name, subset) in &rule.subsets {
            first.subsets.entry(name.clone()).or_insert_with(|| subset.clone());
        }
    }
    Some(first)
}
