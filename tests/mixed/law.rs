//! A small cluster whose policies are written in several languages at once, in words of its own.

use std::net::Ipv4Addr;
use watertight::model::Protocol;
use watertight::policy::DataplaneKind;

#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: usize,
    pub app: usize,
    pub ip: Ipv4Addr,
    /// The number of its TCP port `web`.
    pub web: u16,
}

/// The language of a policy; each has its own place in the order of its dataplane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    NetworkPolicy,
    /// AdminNetworkPolicy.
    OldAdmin,
    /// BaselineAdminNetworkPolicy, of which there is one.
    OldBaseline,
    /// ClusterNetworkPolicy of the tier Admin.
    Admin,
    /// ClusterNetworkPolicy of the tier Baseline.
    Baseline,
    /// Calico's NetworkPolicy, in one of [`TIERS`].
    Calico(usize),
    /// Calico's GlobalNetworkPolicy, in one of [`TIERS`].
    CalicoGlobal(usize),
    /// CiliumNetworkPolicy, and whether it isolates.
    Cilium(bool),
    /// CiliumClusterwideNetworkPolicy, and whether it isolates.
    CiliumGlobal(bool),
    /// Of OVN-Kubernetes; one in each namespace.
    EgressFirewall,
}

impl Language {
    /// Whether its policies belong to a namespace, and speak of that where they name none.
    pub fn is_namespaced(self) -> bool {
        use Language::{Calico, Cilium, EgressFirewall, NetworkPolicy};
        matches!(self, NetworkPolicy | Calico(_) | Cilium(_) | EgressFirewall)
    }

    /// Whether it is one of those for administrators.
    pub fn is_for_administrators(self) -> bool {
        use Language::{Admin, Baseline, OldAdmin, OldBaseline};
        matches!(self, OldAdmin | OldBaseline | Admin | Baseline)
    }
}

/// Calico's tiers: name, order, whether what no rule matches goes on to the next.
pub const TIERS: &[(&str, f64, bool)] = &[
    ("first", 500.0, false),
    ("sieve", 900.0, true),
    ("second", 5_000.0, true),
    ("default", 1_000_000.0, false),
    ("late", 2_000_000.0, false),
    ("behind", 20_000_000.0, false),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Allow,
    Deny,
    Pass,
}

#[derive(Clone, Copy, Debug)]
pub enum App {
    Any,
    Is(usize),
    Not(usize),
}

#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// The namespace of the policy; every one where it has none.
    Own,
    Every,
    One(usize),
}

#[derive(Clone, Copy, Debug)]
pub enum Whom {
    /// Everything, inside and outside.
    Anyone,
    Pods(Scope, App),
    Block(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub enum Traffic {
    /// Of every protocol.
    All,
    Tcp(u16, u16),
    /// The port `web` of whoever is called.
    Web,
}

#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub action: Action,
    pub whom: Whom,
    pub traffic: Traffic,
}

#[derive(Clone, Debug)]
pub struct Law {
    pub language: Language,
    /// Its own namespace, or the one whose pods a policy without a namespace selects.
    pub namespace: Option<usize>,
    pub subject: App,
    pub ingress: bool,
    /// No two laws have the same.
    pub order: i32,
    pub lines: Vec<Line>,
}

#[derive(Clone, Debug)]
pub struct Cluster {
    pub dataplane: DataplaneKind,
    pub pods: Vec<Pod>,
    pub laws: Vec<Law>,
}

/// Whoever is not the subject.
#[derive(Clone, Copy, Debug)]
pub enum Far<'a> {
    Pod(&'a Pod),
    Outside(Ipv4Addr),
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Port(Protocol, u16),
    Ping,
}
