//! A small cluster, as the laws speak of it: pods, and policies in their own words.

use std::collections::BTreeMap;
use std::net::IpAddr;
use watertight::model::Protocol;

pub type Labels = BTreeMap<String, String>;

pub const NAMESPACES: usize = 3;
pub const PORTS: [u16; 4] = [80, 81, 443, 5432];

#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: usize,
    pub labels: Labels,
    pub ip: IpAddr,
    pub ports: Vec<(String, u16, Protocol)>,
}

#[derive(Clone, Debug)]
pub struct Term {
    pub key: String,
    pub operator: &'static str,
    pub values: Vec<String>,
}

#[derive(Clone, Debug)]
pub enum Peer {
    Pods { namespaces: Option<Vec<Term>>, pods: Option<Vec<Term>> },
    Block { cidr: String, except: Option<String> },
}

#[derive(Clone, Debug)]
pub enum Port {
    Any(Protocol),
    Number(Protocol, u16, Option<u16>),
    Named(Protocol, String),
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub peers: Vec<Peer>,
    pub ports: Vec<Port>,
}

#[derive(Clone, Debug)]
pub struct Policy {
    pub namespace: usize,
    pub subjects: Vec<Term>,
    pub types: Option<Vec<&'static str>>,
    pub ingress: Vec<Rule>,
    pub egress: Vec<Rule>,
}

#[derive(Clone, Debug)]
pub struct Cluster {
    pub namespaces: Vec<Labels>,
    pub pods: Vec<Pod>,
    pub policies: Vec<Policy>,
    pub admin: Vec<AdminPolicy>,
}

/// Before or after NetworkPolicy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Admin,
    Baseline,
}

/// In which words a policy of administrators is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    First,
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Allow,
    Deny,
    Pass,
}

#[derive(Clone, Debug)]
pub enum AdminPeer {
    Namespaces(Vec<Term>),
    Pods(Vec<Term>, Vec<Term>),
    Networks(Vec<String>),
}

#[derive(Clone, Debug)]
pub enum AdminPort {
    Number(Protocol, u16),
    Range(Protocol, u16, u16),
    Named(String),
}

#[derive(Clone, Debug)]
pub struct AdminRule {
    pub action: Action,
    pub peers: Vec<AdminPeer>,
    pub ports: Vec<AdminPort>,
}

#[derive(Clone, Debug)]
pub struct AdminPolicy {
    pub stage: Stage,
    pub generation: Generation,
    pub name: String,
    pub priority: u16,
    pub subjects: AdminPeer,
    pub ingress: Vec<AdminRule>,
    pub egress: Vec<AdminRule>,
}
