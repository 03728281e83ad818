//! Evidence → findings: one file for each check, and a table of them.
//!
//! A check reads the inventory, the graph and the observed flows; sentences for people are made
//! here because a finding is one, everything else about the form is left to `report`.

mod allow_any_identity;
mod allow_from_load_balancer_snat;
mod allowed_but_unused;
mod authorization_without_identity;
mod closed_world;
mod contradicting_priority;
mod dataplane_dependent;
mod dead_selector;
mod dns_blocked;
mod egress_to_api_server_by_cluster_ip;
mod egress_without_tls;
mod expected_mtls_seen_plaintext;
mod expired_certificate;
mod expired_exception;
mod exposed_workload;
mod foreign_trust_domain;
mod gateway_plaintext;
mod ground;
mod host_network_bypass;
mod ineffective_mesh_policy;
mod mesh_bypass;
mod mesh_excluded_port;
mod mesh_ground;
mod mesh_rules;
mod mesh_seen;
mod mtls_conflict;
mod mtls_disabled;
mod namespace_without_default_deny;
pub mod needs;
mod network_policy_blocks_mesh;
mod node_tunnels;
mod observed_but_denied;
mod one_sided_allow;
mod other_node;
mod outside_mesh;
mod overbroad_principal;
mod overlapping_cidr_covers_pods;
mod permissive_in_use;
mod permissive_mtls;
mod plaintext_credentials;
mod plaintext_edge;
mod plaintext_flow;
mod policy_in_missing_namespace;
mod policy_not_enforced;
mod port_range_too_wide;
mod redundant_policy;
mod refused_handshake;
pub mod replay;
mod route_to_missing_service;
mod segment_rule_broken;
mod segment_without_rule;
mod selector_typo;
mod self_signed_certificate;
mod service_port_in_policy;
mod settle;
mod shadowed_rule;
mod shared;
mod strict_ready;
mod unattached_route;
mod unattributed_endpoint;
mod unknown_field;
mod unresolved_named_port;
mod unrestricted_egress;
mod unrestricted_ingress;
mod unsegmented_flow;
mod unsegmented_path;
mod unselected_workload;
mod unused_exception;
mod waypoint_bypass;
mod weak_certificate_key;
mod weak_mesh_tls_minimum;
mod weak_tls;

pub use observed_but_denied::Denials;
pub use settle::{Beside, Excepted, Outcome, run, run_with};

use crate::contract::{Contract, Date, Segmentation};
use crate::exposure::Exposures;
use crate::graph::{AllowedGraph, Notes};
use crate::inventory::Inventory;
use crate::model::{Origin, TrafficSet};
use crate::observed::Observed;

/// What a check looks at.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Who exists.
    pub inventory: &'a Inventory,
    /// Who may talk to whom.
    pub graph: &'a AllowedGraph,
    /// Who does; empty where no capture was given.
    pub observed: &'a Observed,
    /// What is known beside the graph.
    pub notes: &'a Notes,
    /// What people decided; the empty contract where they wrote none.
    pub contract: &'a Contract,
    /// Who belongs to which segment; namespaces where no contract says otherwise.
    pub segments: &'a Segmentation,
    /// The day on which exceptions are judged.
    pub today: Date,
    /// What can be reached from outside.
    pub exposures: &'a Exposures,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth a change.
    Medium,
    /// A hole.
    High,
    /// A hole through which something is leaking.
    Critical,
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Name of the check.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: `namespace/Kind/name`, a namespace, or `initiator -> responder`.
    pub subject: String,
    /// One or two sentences, with a witness where there is one.
    pub message: String,
    /// The lines that it rests on; the first is the one to open.
    pub because: Vec<Origin>,
    /// What to do.
    pub fix: String,
    /// What tells it from others of the same check and subject (a direction, a port); part of the
    /// fingerprint, never a line number.
    pub detail: String,
    /// The traffic that it is about, where it is about some; empty where it is not known, and then
    /// no exception for some ports covers it.
    pub traffic: TrafficSet,
}

impl Finding {
    /// The order of an analysis: the worst first, then by check, subject and detail.
    pub fn order(&self, other: &Finding) -> std::cmp::Ordering {
        let worse = other.severity.cmp(&self.severity);
        worse.then_with(|| {
            (self.check, &self.subject, &self.detail).cmp(&(other.check, &other.subject, &other.detail))
        })
    }
}

/// One check.
pub trait Check: Sync {
    /// Kebab-case, named after the bad thing.
    fn name(&self) -> &'static str;
    /// How bad its findings are.
    fn severity(&self) -> Severity;
    /// One sentence.
    fn summary(&self) -> &'static str;
    /// Ids of the controls that it serves.
    fn controls(&self) -> &'static [&'static str];
    /// Its page, in Markdown.
    fn page(&self) -> &'static str;
    /// Looks.
    fn run(&self, evidence: &Evidence<'_>) -> Vec<Finding>;
}

/// The parts that every check has alike: the row of the table, and findings that carry its name.
macro_rules! check {
    ($type:ident, $name:literal, $severity:ident, $summary:literal, [$($control:literal),*]) => {
        #[doc = $summary]
        pub struct $type;

        impl crate::check::Check for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn severity(&self) -> crate::check::Severity {
                crate::check::Severity::$severity
            }

            fn summary(&self) -> &'static str {
                $summary
            }

            fn controls(&self) -> &'static [&'static str] {
                &[$($control),*]
            }

            fn page(&self) -> &'static str {
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/checks/", $name, ".md"))
            }

            fn run(&self, evidence: &Evidence<'_>) -> Vec<Finding> {
                run(evidence)
            }
        }

        impl $type {
            fn finding(
                &self,
                subject: String,
                message: String,
                because: Vec<crate::model::Origin>,
                fix: impl Into<String>,
            ) -> Finding {
                let (check, severity) = ($name, crate::check::Severity::$severity);
                let (fix, detail) = (fix.into(), String::new());
                let traffic = crate::model::TrafficSet::none();
                let shown = |text: String| crate::model::names::one_line(&text).into_owned();
                let (subject, message) = (shown(subject), shown(message));
                Finding { check, severity, subject, message, because, fix, detail, traffic }
            }
        }
    };
}
use check;

/// All checks, in the order of the pages: the contract, paths, policies, exposure, flows.
pub const CHECKS: &[&dyn Check] = &[
    &segment_rule_broken::SegmentRuleBroken,
    &segment_without_rule::SegmentWithoutRule,
    &expired_exception::ExpiredException,
    &unused_exception::UnusedException,
    &unsegmented_path::UnsegmentedPath,
    &namespace_without_default_deny::NamespaceWithoutDefaultDeny,
    &unselected_workload::UnselectedWorkload,
    &unrestricted_egress::UnrestrictedEgress,
    &unrestricted_ingress::UnrestrictedIngress,
    &exposed_workload::ExposedWorkload,
    &route_to_missing_service::RouteToMissingService,
    &unattached_route::UnattachedRoute,
    &host_network_bypass::HostNetworkBypass,
    &dead_selector::DeadSelector,
    &policy_not_enforced::PolicyNotEnforced,
    &dataplane_dependent::DataplaneDependent,
    &unknown_field::UnknownField,
    &selector_typo::SelectorTypo,
    &policy_in_missing_namespace::PolicyInMissingNamespace,
    &shadowed_rule::ShadowedRule,
    &redundant_policy::RedundantPolicy,
    &overlapping_cidr_covers_pods::OverlappingCidrCoversPods,
    &port_range_too_wide::PortRangeTooWide,
    &egress_to_api_server_by_cluster_ip::EgressToApiServerByClusterIp,
    &allow_from_load_balancer_snat::AllowFromLoadBalancerSnat,
    &service_port_in_policy::ServicePortInPolicy,
    &unresolved_named_port::UnresolvedNamedPort,
    &dns_blocked::DnsBlocked,
    &one_sided_allow::OneSidedAllow,
    &contradicting_priority::ContradictingPriority,
    &permissive_mtls::PermissiveMtls,
    &mtls_disabled::MtlsDisabled,
    &mesh_excluded_port::MeshExcludedPort,
    &outside_mesh::OutsideMesh,
    &mtls_conflict::MtlsConflict,
    &network_policy_blocks_mesh::NetworkPolicyBlocksMesh,
    &authorization_without_identity::AuthorizationWithoutIdentity,
    &allow_any_identity::AllowAnyIdentity,
    &overbroad_principal::OverbroadPrincipal,
    &ineffective_mesh_policy::IneffectiveMeshPolicy,
    &waypoint_bypass::WaypointBypass,
    &plaintext_edge::PlaintextEdge,
    &gateway_plaintext::GatewayPlaintext,
    &egress_without_tls::EgressWithoutTls,
    &weak_mesh_tls_minimum::WeakMeshTlsMinimum,
    &observed_but_denied::ObservedButDenied,
    &unsegmented_flow::UnsegmentedFlow,
    &plaintext_flow::PlaintextFlow,
    &plaintext_credentials::PlaintextCredentials,
    &expected_mtls_seen_plaintext::ExpectedMtlsSeenPlaintext,
    &mesh_bypass::MeshBypass,
    &refused_handshake::RefusedHandshake,
    &foreign_trust_domain::ForeignTrustDomain,
    &permissive_in_use::PermissiveInUse,
    &strict_ready::StrictReady,
    &weak_tls::WeakTls,
    &expired_certificate::ExpiredCertificate,
    &self_signed_certificate::SelfSignedCertificate,
    &weak_certificate_key::WeakCertificateKey,
    &allowed_but_unused::AllowedButUnused,
    &unattributed_endpoint::UnattributedEndpoint,
];

impl Severity {
    /// All of them, the least first.
    pub const ALL: [Severity; 4] = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// Lower-case word.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADINGS: [&str; 6] =
        ["What it finds", "Why it matters", "What it reads", "Example", "What to do", "References"];

    #[test]
    fn every_check_has_a_unique_kebab_case_name_controls_and_a_whole_page() {
        let mut names = std::collections::BTreeSet::new();
        for check in CHECKS {
            let (name, page) = (check.name(), check.page());
            assert!(names.insert(name), "{name} stands twice");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
            assert!(!check.controls().is_empty(), "{name} serves no control");
            assert!(
                page.starts_with(&format!("# {name}\n\n{}\n", check.summary())),
                "{name}: title or summary"
            );
            let whole = HEADINGS.iter().all(|heading| page.contains(&format!("\n## {heading}\n")));
            assert!(whole, "{name}: a heading is missing");
        }
    }
}
