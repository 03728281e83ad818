//! DestinationRule: the TLS that it asks for. Which one counts for a client is left to `rule_lookup`.

use super::super::kubernetes::refusal;
use super::mesh_config::MeshConfig;
use super::rule_lookup::{Found, Lookup};
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

/// `loadBalancer` of a traffic policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balancing {
    /// `simple: PASSTHROUGH`: calls go on to the address that was called.
    PassesOn,
    /// Any other: an endpoint is chosen.
    Chooses,
}

/// What a policy says at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `tls`.
    pub tls: Option<Tls>,
    /// `loadBalancer`.
    pub balancing: Option<Balancing>,
}

/// What one policy says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficPolicy {
    /// What it says of all ports.
    pub top: Settings,
    /// `portLevelSettings`, by the port of the service; an entry replaces the rest wholly.
    pub ports: BTreeMap<u16, Settings>,
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
    /// `exportTo` as it is written, with `.` and `*`; with a `workloadSelector` it is `.` alone.
    pub exported_to: BTreeSet<String>,
    /// `workloadSelector.matchLabels`.
    pub clients: Option<Selector>,
    /// `trafficPolicy`.
    pub policy: Option<TrafficPolicy>,
    /// `subsets`, by their name.
    pub subsets: BTreeMap<String, Subset>,
    /// Who wrote it.
    pub author: Author,
    /// Whether the mesh keeps rules without `exportTo` in their namespace.
    kept_by_default: bool,
    created: Option<String>,
}

/// All rules, with what was found wrong.
#[derive(Debug, Default)]
pub struct Rules {
    lookup: Lookup,
    namespaces: BTreeSet<String>,
    root: String,
    /// What depends on more than the documents say.
    pub gaps: Vec<Gap>,
    /// Objects that the API server would refuse.
    pub problems: Vec<Problem>,
}

/// Reads all rules.
pub fn read(documents: &[Document], config: &MeshConfig) -> Rules {
    let mut rules = Rules { root: config.root.clone(), ..Rules::default() };
    let mut all = Vec::new();
    for document in documents.iter().filter(|d| super::is(d, KIND)) {
        match object(document, config) {
            Ok(rule) => {
                if rule.host.contains('.') && !rule.host.ends_with(".local") && is_short(&rule.host) {
                    rules.gaps.push(Gap {
                        what: format!("the host {:?} is not expanded and matches no service", rule.host),
                        origin: rule.origin.clone(),
                        bends: Bend::MayAllowLess,
                    });
                }
                all.push(rule);
            }
            Err(problem) => rules.problems.push(problem),
        }
    }
    all.extend(super::backend_tls::read(documents, config));
    // Where nobody knows which is older, the one that protects less is shown.
    all.sort_by_key(|rule| {
        let weakness = rule.created.is_none().then(|| rule.weakest());
        let name = (rule.origin.name.clone(), rule.origin.namespace.clone());
        (rule.clients.is_none(), rule.author, rule.created.clone(), weakness, name)
    });
    rules.gaps.extend(undated(&all));
    let named = |rule: &DestinationRule| {
        let to = rule.exported_to.iter().filter(|name| !["*", "."].contains(&name.as_str()));
        to.cloned().chain([rule.origin.namespace.to_string()]).collect::<Vec<_>>()
    };
    rules.namespaces = all.iter().flat_map(named).collect();
    rules.lookup.take(all, &config.root);
    rules
}

/// Of rules for one host whose policies differ, the oldest one's counts (`rule_lookup`).
fn undated(list: &[DestinationRule]) -> Vec<Gap> {
    let mut by_host: BTreeMap<(&str, &str), Vec<&DestinationRule>> = BTreeMap::new();
    let counts = |rule: &&DestinationRule| {
        rule.author == Author::User && rule.clients.is_none() && rule.policy.is_some()
    };
    for rule in list.iter().filter(counts) {
        by_host.entry((&rule.host, &rule.origin.namespace)).or_default().push(rule);
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
pub fn synthesized(
    origin: Origin,
    host: String,
    policy: TrafficPolicy,
    config: &MeshConfig,
) -> DestinationRule {
    DestinationRule {
        origin,
        host,
        exported_to: BTreeSet::new(),
        clients: None,
        policy: Some(policy),
        subsets: BTreeMap::new(),
        author: Author::Policy,
        kept_by_default: keeps(config),
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
    let clients = match spec.get("workloadSelector").filter(|node| !node.is_null()) {
        Some(selector) => Some(super::match_labels(&origin, selector)?),
        None => None,
    };
    let exported_to = match clients.is_some() {
        true => BTreeSet::from([".".to_owned()]),
        false => spec.items_of("exportTo").iter().filter_map(Node::text).map(str::to_owned).collect(),
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
        kept_by_default: keeps(config),
        created: created.map(str::to_owned),
    })
}

/// `defaultDestinationRuleExportTo`, of which istiod honours `.` and `*` alone.
fn keeps(config: &MeshConfig) -> bool {
    config.rules_exported_to.iter().any(|name| name == ".")
}

/// `ResolveShortnameToFQDN`: only a name without any dot is expanded.
pub fn expanded(host: &str, namespace: &str) -> String {
    match host.contains(['.', '*']) {
        true => host.to_owned(),
        false => format!("{host}.{namespace}.svc.cluster.local"),
    }
}

fn policy(origin: &Origin, node: &Node) -> Result<TrafficPolicy, Problem> {
    let mut ports = BTreeMap::new();
    for entry in node.items_of("portLevelSettings") {
        let number = entry.path(&["port", "number"]).and_then(Node::int).and_then(|n| u16::try_from(n).ok());
        let Some(number) = number.filter(|number| *number > 0) else {
            let hint = "write port: {number: 80} with a port of the service";
            return Err(refusal(origin, entry.line, "portLevelSettings without a port", hint));
        };
        ports.insert(number, settings(origin, entry)?);
    }
    Ok(TrafficPolicy { top: settings(origin, node)?, ports })
}

fn settings(origin: &Origin, node: &Node) -> Result<Settings, Problem> {
    let present = |field: &str| node.get(field).filter(|value| !value.is_null());
    let balancing = present("loadBalancer").map(|balancer| match balancer.text_of("simple") {
        Some("PASSTHROUGH") => Balancing::PassesOn,
        _ => Balancing::Chooses,
    });
    let tls = present("tls").map_or(Ok(None), |node| tls(origin, node))?;
    Ok(Settings { tls, balancing })
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

/// What holds for one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    /// What counts.
    pub tls: Option<Tls>,
    /// TLS that an entry for the port without any has taken away.
    pub lost: Option<Tls>,
    /// Whether calls go on to the address that was called.
    pub passes_on: bool,
    /// Whether automatic mutual TLS is decided once for all endpoints.
    pub is_decided_once: bool,
}

impl TrafficPolicy {
    fn entry(&self, port: Option<u16>) -> Option<Settings> {
        self.ports.get(&port?).copied()
    }

    /// What holds for a port (`GetPortLevelTrafficPolicy`).
    fn at(&self, port: Option<u16>) -> Settings {
        self.entry(port).unwrap_or(self.top)
    }

    /// The TLS that decides for single endpoints (`trafficPolicyTLSModeForPort`): an entry without any
    /// takes nothing away there.
    fn tls_of_endpoints(&self, port: Option<u16>) -> Option<Tls> {
        self.entry(port).and_then(|entry| entry.tls).or(self.top.tls)
    }
}

impl DestinationRule {
    /// The least of what its policy asks for: plaintext, what both sides can, TLS of its own, the mesh's.
    pub fn weakest(&self) -> u8 {
        let of = |tls: Option<Tls>| match tls {
            Some(Tls::Disable) => 0,
            None => 1,
            Some(Tls::Mesh) => 3,
            Some(_) => 2,
        };
        let all = self.policy.iter().flat_map(|policy| policy.ports.values().chain([&policy.top]));
        all.map(|settings| of(settings.tls)).min().unwrap_or(1)
    }

    /// What holds for a port, of the whole or of a subset (`MergeSubsetTrafficPolicy`): an entry for
    /// the port replaces what stands above it, even where it has no TLS.
    pub fn effective(&self, port: Option<u16>, subset: Option<&Subset>) -> Effective {
        let (whole, own) = (self.policy.as_ref(), subset.and_then(|subset| subset.policy.as_ref()));
        let base = whole.map_or_else(Settings::default, |policy| policy.at(port));
        let settings = own.map_or(base, |policy| match policy.entry(port) {
            Some(entry) => entry,
            None => Settings {
                tls: policy.top.tls.or(base.tls),
                balancing: policy.top.balancing.or(base.balancing),
            },
        });
        let of_endpoints = own.and_then(|policy| policy.tls_of_endpoints(port));
        let of_endpoints = of_endpoints.or_else(|| whole?.tls_of_endpoints(port));
        // `BestEffortInferServiceMTLSMode` looks at the top of the policy alone, of a subset at its own.
        let asked = if subset.is_some() { own } else { whole };
        let passes_on = |settings: Settings| settings.balancing == Some(Balancing::PassesOn);
        Effective {
            tls: settings.tls,
            lost: of_endpoints.filter(|_| settings.tls.is_none()),
            passes_on: passes_on(settings),
            is_decided_once: asked.is_some_and(|policy| passes_on(policy.top)),
        }
    }

    /// Ports that some entry is about.
    pub fn ports(&self) -> BTreeSet<u16> {
        let policies = self.policy.iter().chain(self.subsets.values().filter_map(|s| s.policy.as_ref()));
        policies.flat_map(|policy| policy.ports.keys().copied()).collect()
    }

    /// Whether it is known when it was made.
    pub fn is_dated(&self) -> bool {
        self.created.is_some()
    }

    /// Whether clients of its own namespace see it.
    pub fn is_seen_at_home(&self) -> bool {
        self.exported_to.is_empty() || ["*", ".", &*self.origin.namespace].iter().any(|name| self.names(name))
    }

    /// Whether nobody else does.
    pub fn is_private(&self) -> bool {
        let home = [".", &*self.origin.namespace];
        (self.exported_to.is_empty() && self.kept_by_default)
            || (self.exported_to.len() == 1 && home.iter().any(|name| self.names(name)))
    }

    /// Whether clients of a namespace see it from there (`None`: any that is not named anywhere).
    pub fn is_visible_to(&self, client: Option<&str>) -> bool {
        self.exported_to.is_empty() || self.names("*") || client.is_some_and(|client| self.names(client))
    }

    fn names(&self, namespace: &str) -> bool {
        self.exported_to.contains(namespace)
    }
}

impl Rules {
    /// Namespaces whose clients may be treated unlike all others.
    pub fn client_namespaces(&self) -> Vec<String> {
        self.namespaces.iter().cloned().collect()
    }

    /// The rules that count for clients of a namespace (`None`: any that is not named anywhere).
    pub fn find(&self, client: Option<&str>, service: &str, host: &str) -> Found<'_> {
        self.lookup.find(client, service, host, &self.root)
    }
}
