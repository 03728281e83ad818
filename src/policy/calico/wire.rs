//! Calico objects as users write them; one shape serves a kind in both API groups.
//!
//! Every field of the open-source API is named; unknown ones are found by the table of kinds.

use crate::model::{Document, Problem};
use crate::policy::kubernetes::refusal;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// `spec` of NetworkPolicy, GlobalNetworkPolicy and their staged forms.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PolicySpec {
    pub tier: Option<String>,
    pub order: Option<f64>,
    pub ingress: Option<Vec<RuleSpec>>,
    pub egress: Option<Vec<RuleSpec>>,
    pub selector: Option<String>,
    pub types: Option<Vec<String>>,
    pub service_account_selector: Option<String>,
    /// GlobalNetworkPolicy only, like the three behind it.
    pub namespace_selector: Option<String>,
    pub do_not_track: Option<bool>,
    #[serde(rename = "preDNAT")]
    pub pre_dnat: Option<bool>,
    pub apply_on_forward: Option<bool>,
    pub staged_action: Option<String>,
}

/// `Rule`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RuleSpec {
    pub action: Option<String>,
    pub ip_version: Option<i64>,
    pub protocol: Option<NumberOrName>,
    pub not_protocol: Option<NumberOrName>,
    pub icmp: Option<IcmpSpec>,
    #[serde(rename = "notICMP")]
    pub not_icmp: Option<IcmpSpec>,
    pub source: Option<EntitySpec>,
    pub destination: Option<EntitySpec>,
    pub http: Option<HttpSpec>,
}

/// `EntityRule`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EntitySpec {
    pub nets: Option<Vec<String>>,
    pub not_nets: Option<Vec<String>>,
    pub selector: Option<String>,
    pub not_selector: Option<String>,
    pub namespace_selector: Option<String>,
    pub services: Option<ServiceSpec>,
    pub service_accounts: Option<AccountSpec>,
    pub ports: Option<Vec<NumberOrName>>,
    pub not_ports: Option<Vec<NumberOrName>>,
    /// Not in the open-source API.
    pub domains: Option<Vec<String>>,
}

/// `ServiceMatch`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceSpec {
    pub name: Option<String>,
    pub namespace: Option<String>,
}

impl ServiceSpec {
    /// Whether it says no namespace.
    pub fn is_bare(&self) -> bool {
        self.namespace.as_deref().is_none_or(str::is_empty)
    }
}

/// `ServiceAccountMatch`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AccountSpec {
    pub names: Option<Vec<String>>,
    pub selector: Option<String>,
}

/// `ICMPFields`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct IcmpSpec {
    #[serde(rename = "type")]
    pub kind: Option<i64>,
    pub code: Option<i64>,
}

/// `HTTPMatch`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct HttpSpec {
    pub methods: Option<Vec<String>>,
    pub paths: Option<Vec<PathSpec>>,
}

/// `HTTPPath`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PathSpec {
    pub exact: Option<String>,
    pub prefix: Option<String>,
}

/// `spec` of Tier.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TierSpec {
    pub order: Option<f64>,
    pub default_action: Option<String>,
}

/// `spec` of NetworkSet and GlobalNetworkSet.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NetworkSetSpec {
    pub nets: Option<Vec<String>>,
}

/// `spec` of HostEndpoint and WorkloadEndpoint, as far as policies go.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EndpointSpec {
    #[serde(rename = "expectedIPs")]
    pub expected_ips: Option<Vec<String>>,
    pub profiles: Option<Vec<String>>,
    pub orchestrator: Option<String>,
}

/// `spec` of Profile.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProfileSpec {
    pub ingress: Option<Vec<RuleSpec>>,
    pub egress: Option<Vec<RuleSpec>>,
    pub labels_to_apply: Option<BTreeMap<String, String>>,
}

/// `spec` of FelixConfiguration, as far as policies go.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FelixSpec {
    pub failsafe_inbound_host_ports: Option<Vec<FailsafeSpec>>,
    pub failsafe_outbound_host_ports: Option<Vec<FailsafeSpec>>,
}

/// `ProtoPort`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FailsafeSpec {
    pub protocol: Option<String>,
    pub port: Option<i64>,
    pub net: Option<String>,
}

/// A number or a text, kept as text: `numorstring` of Calico takes `80`, `"80"` and `"80:90"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberOrName(pub String);

impl<'de> Deserialize<'de> for NumberOrName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = NumberOrName;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a name")
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<NumberOrName, E> {
                Ok(NumberOrName(number.to_string()))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<NumberOrName, E> {
                Ok(NumberOrName(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Reads the typed spec of an object; one without a spec has the empty one.
///
/// # Errors
/// The value that does not fit its field, with its line.
pub fn spec<'de, T: Deserialize<'de> + Default>(document: &'de Document) -> Result<T, Problem> {
    let node = document.body.get("spec").filter(|node| !node.is_null());
    let Some(node) = node else { return Ok(T::default()) };
    node.read().map_err(|misfit| {
        let hint = "quote values that look like numbers or truth values";
        refusal(&document.origin, misfit.line, misfit.message, hint)
    })
}
