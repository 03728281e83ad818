//! One proxy's configuration, whether it comes from its bootstrap or from a dump: its parts by name.

use super::wire::{Text, has};
use crate::model::proxy::{self, Proxy};
use crate::model::{Document, Node, Origin, der};
use std::collections::BTreeMap;

/// One proxy's configuration.
#[derive(Debug)]
pub struct View<'a> {
    /// The document.
    pub document: &'a Document,
    /// Whose it is.
    pub proxy: Proxy,
    /// Listeners at work, with their paths in the document.
    pub listeners: Vec<(String, &'a Node)>,
    /// Clusters at work, with their paths.
    pub clusters: Vec<(String, &'a Node)>,
    /// Route configurations that come on their own, by name.
    pub routes: BTreeMap<&'a str, &'a Node>,
    /// Endpoints that come on their own, by cluster.
    pub endpoints: BTreeMap<&'a str, Vec<&'a Node>>,
    /// Secrets by name.
    pub secrets: BTreeMap<&'a str, &'a Node>,
    /// Filters that come on their own, by name.
    pub filters: BTreeMap<&'a str, &'a Node>,
}

impl<'a> View<'a> {
    /// Reads the parts of a document that configures a proxy.
    pub fn of(document: &'a Document) -> Option<View<'a>> {
        let proxy = proxy::of(document)?;
        let mut view = View {
            document,
            proxy,
            listeners: numbered("listeners", proxy::listeners(document)),
            clusters: numbered("clusters", clusters(document)),
            routes: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            secrets: BTreeMap::new(),
            filters: BTreeMap::new(),
        };
        view.add_secrets();
        view.add_dumped();
        Some(view)
    }

    /// The document, at a place in it.
    pub fn at(&self, path: &str, node: &Node) -> Origin {
        self.document.origin.at(path, node.line)
    }

    fn add_secrets(&mut self) {
        let document = self.document;
        let own = document.body.path(&["static_resources", "secrets"]).map_or(&[][..], Node::items);
        let dumped = proxy::dumped(document, "SecretsConfigDump").flat_map(|dump| {
            let of = |field: &str| dump.items_of(field).iter().filter_map(|entry| entry.get("secret"));
            of("static_secrets").chain(of("dynamic_active_secrets"))
        });
        for secret in own.iter().chain(dumped) {
            if let Some(name) = secret.text_of("name") {
                self.secrets.insert(name, secret);
            }
        }
    }

    fn add_dumped(&mut self) {
        let document = self.document;
        for dump in proxy::dumped(document, ".RoutesConfigDump") {
            for entry in
                ["static_route_configs", "dynamic_route_configs"].iter().flat_map(|f| dump.items_of(f))
            {
                let config = entry.get("route_config");
                if let Some((name, config)) =
                    config.and_then(|config| Some((config.text_of("name")?, config)))
                {
                    self.routes.insert(name, config);
                }
            }
        }
        for dump in proxy::dumped(document, "EndpointsConfigDump") {
            let fields = ["static_endpoint_configs", "dynamic_endpoint_configs"];
            for entry in fields.iter().flat_map(|field| dump.items_of(field)) {
                let Some(assignment) = entry.get("endpoint_config") else { continue };
                if let Some(name) = assignment.text_of("cluster_name") {
                    self.endpoints.entry(name).or_default().push(assignment);
                }
            }
        }
        for dump in proxy::dumped(document, "EcdsConfigDump") {
            for entry in dump.items_of("ecds_filters") {
                let filter = entry.get("ecds_filter");
                if let Some((name, filter)) =
                    filter.and_then(|filter| Some((filter.text_of("name")?, filter)))
                {
                    self.filters.insert(name, filter);
                }
            }
        }
    }

    /// Validation contexts that count for a TLS context: its own, the default beside a secret, and the
    /// secret where it was read.
    fn validations(&self, context: &'a Node) -> Vec<&'a Node> {
        let combined = context.get("combined_validation_context");
        let secret = |node: Option<&'a Node>| {
            let name = node?.get("validation_context_sds_secret_config")?.text_of("name")?;
            self.secrets.get(name)?.get("validation_context")
        };
        let own = context.get("validation_context");
        let default = combined.and_then(|combined| combined.get("default_validation_context"));
        [own, default, secret(Some(context)), secret(combined)].into_iter().flatten().collect()
    }

    /// Whether the certificate of the other end is checked against anything.
    pub fn checks_peers(&self, context: &'a Node) -> bool {
        const ANCHORS: &[&str] = &[
            "trusted_ca",
            "watched_directory",
            "system_root_certs",
            "ca_certificate_provider_instance",
            "custom_validator_config",
            "verify_certificate_hash",
            "verify_certificate_spki",
        ];
        // What a secret that was not read holds is taken to be an authority, which a gap says.
        let unread = [Some(context), context.get("combined_validation_context")].into_iter().flatten();
        let unread = unread.filter_map(|node| node.get("validation_context_sds_secret_config"));
        let awaited =
            unread.filter_map(|sds| sds.text_of("name")).any(|name| !self.secrets.contains_key(name));
        let checks = |validation: &&Node| {
            let believes = validation.text_of("trust_chain_verification") == Some("ACCEPT_UNTRUSTED");
            let pinned =
                has(validation, "verify_certificate_hash") || has(validation, "verify_certificate_spki");
            ANCHORS.iter().any(|field| has(validation, field)) && (!believes || pinned)
        };
        let instance = ["validation_context_certificate_provider_instance"].iter().any(|f| has(context, f));
        let validations = self.validations(context);
        let believing =
            |validation: &&Node| validation.text_of("trust_chain_verification") == Some("ACCEPT_UNTRUSTED");
        let open = validations.iter().any(believing) && !validations.iter().any(&checks);
        !open && (awaited || instance || validations.iter().any(&checks))
    }

    /// The names of which the other end's certificate must have one; `None` where all do.
    pub fn names_of_peers(&self, context: &'a Node) -> Option<Vec<Text>> {
        let mut names = Vec::new();
        for validation in self.validations(context) {
            let typed = validation.items_of("match_typed_subject_alt_names").iter();
            let plain = validation.items_of("match_subject_alt_names").iter();
            names.extend(
                typed.filter_map(|one| Text::read(one.get("matcher")?)).chain(plain.filter_map(Text::read)),
            );
        }
        (!names.is_empty()).then_some(names)
    }

    /// The names that the certificates of a context have, as far as anything here tells: those that
    /// are written down, and the names of secrets that are SPIFFE identities. `None` where they are
    /// not known.
    pub fn identities(&self, context: &'a Node) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for sds in context.items_of("tls_certificate_sds_secret_configs") {
            let name = sds.text_of("name")?;
            let secret = self.secrets.get(name).and_then(|secret| secret.get("tls_certificate"));
            match secret.and_then(written_names) {
                Some(written) => names.extend(written),
                None if name.starts_with("spiffe://") => names.push(name.to_owned()),
                None => return None,
            }
        }
        for certificate in context.items_of("tls_certificates") {
            names.extend(written_names(certificate)?);
        }
        (!names.is_empty()).then_some(names)
    }

    /// The cluster of a name.
    pub fn cluster(&self, name: &str) -> Option<(&str, &'a Node)> {
        let found = self.clusters.iter().find(|(_, cluster)| cluster.text_of("name") == Some(name));
        found.map(|(path, cluster)| (path.as_str(), *cluster))
    }
}

/// The names of a certificate that stands in the document.
fn written_names(certificate: &Node) -> Option<Vec<String>> {
    let names = der::names_of_pem(certificate.get("certificate_chain")?.text_of("inline_string")?)?;
    // Envoy tries the URIs, and host names where none of them fits.
    (!names.is_empty()).then_some(names)
}

fn numbered<'a>(what: &str, nodes: Vec<&'a Node>) -> Vec<(String, &'a Node)> {
    nodes.into_iter().enumerate().map(|(index, node)| (format!("{what}[{index}]"), node)).collect()
}

fn clusters(document: &Document) -> Vec<&Node> {
    let own = document.body.path(&["static_resources", "clusters"]).map_or(&[][..], Node::items);
    let mut all: Vec<&Node> = own.iter().collect();
    for dump in proxy::dumped(document, "ClustersConfigDump") {
        for field in ["static_clusters", "dynamic_active_clusters"] {
            all.extend(dump.items_of(field).iter().filter_map(|entry| entry.get("cluster")));
        }
    }
    all
}
