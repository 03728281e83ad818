//! The mesh-wide configuration: the ConfigMap `istio`, whose `mesh` is YAML inside a text, or what an
//! installer is told (IstioOperator, the Istio resource of the Sail operator, a Flux HelmRelease or
//! an Argo CD Application of the chart `istiod`). What runs comes before what was ordered.

use crate::model::{Bend, Document, Gap, Node, Origin};
use crate::policy::flat::{self, Flat};

/// What the mesh is set to; absent keys have the documented default (`MeshConfig`).
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// `rootNamespace`.
    pub root: String,
    /// `trustDomain`, which all identities of the mesh have, and its aliases.
    pub trust_domains: TrustDomains,
    /// `enableAutoMtls`.
    pub auto_mtls: bool,
    /// `defaultDestinationRuleExportTo`; everybody where it is empty.
    pub rules_exported_to: Vec<String>,
    /// `defaultVirtualServiceExportTo`; everybody where it is empty.
    pub routes_exported_to: Vec<String>,
    /// `defaultServiceExportTo`; everybody where it is empty.
    pub services_exported_to: Vec<String>,
    /// What proxies are injected with where pods do not say otherwise (`global.proxy` of the chart).
    pub proxy: ProxyDefaults,
    /// Whether clients with a sidecar tunnel to ambient servers.
    pub tunnels: bool,
    /// Where it stands; `None` where the defaults were taken.
    pub origin: Option<Origin>,
    /// What bears on nothing here, and is said all the same.
    pub gaps: Vec<Gap>,
}

/// Names of the trust domain.
#[derive(Clone, Debug)]
pub struct TrustDomains {
    /// `trustDomain`.
    pub own: String,
    /// `trustDomainAliases`.
    pub aliases: Vec<String>,
}

/// `global.proxy` of the chart, and `defaultConfig` of the mesh: what annotations of pods override.
#[derive(Clone, Debug, Default)]
pub struct ProxyDefaults {
    /// `includeIPRanges`.
    pub included_ranges: Option<String>,
    /// `excludeIPRanges`.
    pub excluded_ranges: Option<String>,
    /// `includeInboundPorts`.
    pub included_inbound: Option<String>,
    /// `excludeInboundPorts`.
    pub excluded_inbound: Option<String>,
    /// `excludeOutboundPorts`.
    pub excluded_outbound: Option<String>,
    /// `defaultConfig.interceptionMode`.
    pub interception: Option<String>,
}

/// In principals it stands for the trust domain, whatever that is called.
pub const CLUSTER_LOCAL: &str = "cluster.local";

/// Where an installer is told the values of the chart, by group, kind, and path.
const ORDERS: &[(&str, &str, &[&str])] = &[
    ("install.istio.io/", "IstioOperator", &["spec", "values"]),
    ("sailoperator.io/", "Istio", &["spec", "values"]),
    ("sailoperator.io/", "IstioRevision", &["spec", "values"]),
    ("helm.toolkit.fluxcd.io/", "HelmRelease", &["spec", "values"]),
    ("argoproj.io/", "Application", &["spec", "source", "helm", "valuesObject"]),
];

/// All settings, before they have types.
#[derive(Default)]
pub struct Settings {
    /// `meshConfig`.
    pub mesh: Flat,
    /// `global.proxy` of the chart.
    pub proxy: Flat,
    /// Where the first stands.
    pub origin: Option<Origin>,
    gaps: Vec<Gap>,
}

/// Collects the settings out of the documents.
pub fn settings(documents: &[Document]) -> Settings {
    let mut settings = Settings::default();
    for document in documents.iter().filter(|d| &*d.origin.kind == "ConfigMap") {
        let text = |key: &str| document.body.path(&["data", key]).and_then(Node::text);
        let name = &*document.origin.name;
        if let Some(text) = text("mesh").filter(|_| name == "istio" || name.starts_with("istio-")) {
            settings.take(document, flat::of_text(text), |all| &mut all.mesh, "");
        }
        if let Some(text) = text("values").filter(|_| name.starts_with("istio-sidecar-injector")) {
            settings.take(document, flat::of_text(text), |all| &mut all.proxy, "global.proxy.");
        }
    }
    for document in documents {
        let of = |(group, kind, _): &&(&str, &str, &[&str])| {
            document.api_version.starts_with(group) && *kind == &*document.origin.kind
        };
        let Some((_, kind, path)) = ORDERS.iter().find(of) else { continue };
        if let Some(own) = document.body.path(&["spec", "meshConfig"]).filter(|_| *kind == "IstioOperator") {
            settings.take(document, Some(flat::of_node(own)), |all| &mut all.mesh, "");
        }
        let Some(values) = document.body.path(path) else { continue };
        settings.take(document, Some(flat::of_node(values)), |all| &mut all.mesh, "meshConfig.");
        settings.take(document, Some(flat::of_node(values)), |all| &mut all.proxy, "global.proxy.");
    }
    settings
}

impl Settings {
    /// Adds what lies under a prefix; what is there already stays.
    fn take(
        &mut self,
        document: &Document,
        flat: Option<Flat>,
        part: fn(&mut Settings) -> &mut Flat,
        prefix: &str,
    ) {
        let Some(flat) = flat else {
            let what = "the mesh-wide configuration in it is no YAML: the defaults are taken".to_owned();
            self.gaps.push(Gap { what, origin: document.origin.clone(), bends: Bend::MayAllowMore });
            return;
        };
        for (path, values) in flat {
            let Some(key) = path.strip_prefix(prefix) else { continue };
            part(self).entry(key.to_owned()).or_insert(values);
            self.origin.get_or_insert_with(|| document.origin.clone());
        }
    }
}

/// Reads the configuration out of the documents.
pub fn read(documents: &[Document]) -> MeshConfig {
    let Settings { mesh, proxy, origin, mut gaps } = settings(documents);
    let list = |key: &str| mesh.get(key).cloned().unwrap_or_default();
    let first = |key: &str| list(key).into_iter().next();
    let of_proxy = |key: &str| proxy.get(key).map(|values| values.join(","));
    let trust_domains = TrustDomains {
        own: first("trustDomain").unwrap_or_else(|| CLUSTER_LOCAL.to_owned()),
        aliases: list("trustDomainAliases"),
    };
    if let (Some("REGISTRY_ONLY"), Some(origin)) = (first("outboundTrafficPolicy.mode").as_deref(), &origin) {
        gaps.push(Gap {
            what: "outboundTrafficPolicy REGISTRY_ONLY lets proxies refuse hosts that they do not know, which is advice \
                   and closes nothing: applications can go around their proxy"
                .to_owned(),
            origin: origin.clone(),
            bends: Bend::MayAllowLess,
        });
    }
    let selects =
        mesh.iter().any(|(key, values)| key.starts_with("discoverySelectors") && !values.is_empty());
    if let (true, Some(origin)) = (selects, &origin) {
        gaps.push(Gap {
            what: "discoverySelectors keep namespaces from istiod: their services and policies are unknown to it, and \
                   are taken here as if they were known"
                .to_owned(),
            origin: origin.clone(),
            bends: Bend::MayAllowMore,
        });
    }
    MeshConfig {
        root: first("rootNamespace").unwrap_or_else(|| "istio-system".to_owned()),
        trust_domains,
        auto_mtls: first("enableAutoMtls").is_none_or(|value| value != "false"),
        rules_exported_to: list("defaultDestinationRuleExportTo"),
        routes_exported_to: list("defaultVirtualServiceExportTo"),
        services_exported_to: list("defaultServiceExportTo"),
        proxy: ProxyDefaults {
            included_ranges: of_proxy("includeIPRanges"),
            excluded_ranges: of_proxy("excludeIPRanges"),
            included_inbound: of_proxy("includeInboundPorts"),
            excluded_inbound: of_proxy("excludeInboundPorts"),
            excluded_outbound: of_proxy("excludeOutboundPorts"),
            interception: first("defaultConfig.interceptionMode"),
        },
        tunnels: tunnels(documents),
        origin,
        gaps,
    }
}

/// Ambient is on where its parts run, or where something is labelled for it; istiod's own variable
/// comes first (`PILOT_ENABLE_AMBIENT`).
fn tunnels(documents: &[Document]) -> bool {
    let said = documents.iter().filter(|d| &*d.origin.kind == "Deployment").find_map(|d| {
        let containers = d.body.path(&["spec", "template", "spec", "containers"])?.items();
        let mut variables = containers.iter().flat_map(|c| c.items_of("env"));
        let variable = variables.find(|v| v.text_of("name") == Some("PILOT_ENABLE_AMBIENT"))?;
        Some(variable.text_of("value") == Some("true"))
    });
    let runs = |d: &Document| &*d.origin.kind == "DaemonSet" && &*d.origin.name == "ztunnel";
    said.unwrap_or_else(|| documents.iter().any(|d| runs(d) || super::membership::is_ambient(d)))
}
