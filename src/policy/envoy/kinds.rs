//! The documents of Envoy with their parts (`config.bootstrap.v3`, `admin.v3`).
//!
//! What stands below a part is read where it is lowered, because extensions may stand anywhere there:
//! those that are not known are gaps of their own.

use super::super::fields::{Field, full, gap, no_effect};
use super::super::{DataplaneKind, Kind};
use crate::model::Bend;

/// Everything that is read, or whose absence from the graph is said.
pub const KINDS: &[Kind] = &[
    Kind {
        api_versions: &["envoy.config.bootstrap.v3"],
        name: "Bootstrap",
        enforced_by: DataplaneKind::ANY,
        fields: BOOTSTRAP,
    },
    Kind {
        api_versions: &["envoy.admin.v3"],
        name: "ConfigDump",
        enforced_by: DataplaneKind::ANY,
        fields: &[full("configs[].*")],
    },
];

const BOOTSTRAP: &[Field] = &[
    full("node.*"),
    full("static_resources.listeners[].*"),
    full("static_resources.clusters[].*"),
    full("static_resources.secrets[].*"),
    full("admin.address.*"),
    no_effect("admin.*"),
    // Said in words of their own.
    full("dynamic_resources.lds_config.*"),
    full("dynamic_resources.cds_config.*"),
    no_effect("dynamic_resources.*"),
    gap("hds_config.*", Bend::MayMissTraffic),
    gap("bootstrap_extensions[].*", Bend::MayMissTraffic),
    no_effect("cluster_manager.*"),
    no_effect("flags_path"),
    no_effect("stats_sinks[].*"),
    no_effect("stats_config.*"),
    no_effect("stats_flush_interval"),
    no_effect("stats_flush_on_admin"),
    no_effect("watchdog.*"),
    no_effect("watchdogs.*"),
    no_effect("tracing.*"),
    no_effect("layered_runtime.*"),
    no_effect("overload_manager.*"),
    no_effect("enable_dispatcher_stats"),
    no_effect("header_prefix"),
    no_effect("stats_server_version_override"),
    no_effect("use_tcp_for_dns_lookups"),
    no_effect("dns_resolution_config.*"),
    no_effect("typed_dns_resolver_config.*"),
    no_effect("fatal_actions[].*"),
    no_effect("config_sources[].*"),
    no_effect("default_config_source.*"),
    no_effect("default_socket_interface"),
    no_effect("certificate_provider_instances.*"),
    no_effect("inline_headers[].*"),
    no_effect("perf_tracing_file_path"),
    no_effect("default_regex_engine.*"),
    no_effect("xds_delegate_extension.*"),
    no_effect("xds_config_tracker_extension.*"),
    no_effect("listener_manager.*"),
    no_effect("application_log_config.*"),
    no_effect("grpc_async_client_manager_config.*"),
    no_effect("memory_allocator_manager.*"),
];
