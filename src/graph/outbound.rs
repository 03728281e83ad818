//! Hosts outside of the cluster that meshes know by name: who may call them, and what protects that.
//!
//! Which addresses stand behind a name is often known to DNS alone. A host counts as reachable
//! where the network lets some address outside through, so that nothing is called closed too soon.

use super::build::AllowedGraph;
use super::classes::{ClassId, PeerId};
use crate::model::{ExpectedProtection, Protocol};
use crate::policy::{Dialect, Outside, OutsideSpeech, Sends, Target};
use std::collections::BTreeSet;

/// Calls of one class to one host outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// Who calls.
    pub from: ClassId,
    /// The host and the port that is called.
    pub to: Outside,
    /// What protects them between the client's proxy and the host: the weakest over the ways they take.
    pub protection: ExpectedProtection,
    /// Whether somebody looks at the certificate of the host, where TLS is opened by a proxy.
    pub trust: Trust,
    /// The sending that decides, by position in `Transport::sends`.
    pub sending: u32,
    /// Numbers of the rules that let it through.
    pub because: Vec<u32>,
}

/// Whether the certificate of a server counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trust {
    /// It does, or it is the application's affair.
    Verified,
    /// Anybody who shows one is believed.
    Blind,
}

impl AllowedGraph {
    /// All calls to hosts outside that the network lets through, by class and host.
    pub fn outbound(&self) -> Vec<Outbound> {
        let mut all = Vec::new();
        for class in (0..).zip(self.classes()).filter(|(_, class)| !class.members.is_empty()) {
            let mut seen: BTreeSet<(&[String], u16)> = BTreeSet::new();
            for (_, target) in self.sendings(class.0) {
                if let Some(to) = outside(target)
                    && seen.insert((&to.hosts, to.port))
                {
                    all.extend(self.call(class.0, to));
                }
            }
        }
        all
    }

    /// Calls of one class to a host outside; `None` where the network lets none through.
    fn call(&self, from: ClassId, to: &Outside) -> Option<Outbound> {
        let because = self.let_out(from, to)?;
        let mut found: Option<(ExpectedProtection, Trust, u32)> = None;
        for (number, target) in self.sendings(from) {
            let fit = fit(target, to);
            if fit == Fit::None {
                continue;
            }
            let (protection, trust) = protection(self.transport().sends[number as usize].sends, to.speech);
            let here = (protection, trust, number);
            found = Some(found.map_or(here, |known| if known.0 >= here.0 { known } else { here }));
            if fit == Fit::All {
                break;
            }
        }
        let (protection, trust, sending) = found?;
        Some(Outbound { from, to: to.clone(), protection, trust, sending, because })
    }

    /// The rules that let a class out to a host; `None` where nothing is let out.
    fn let_out(&self, from: ClassId, to: &Outside) -> Option<Vec<u32>> {
        let behind = |(peer, atom): (PeerId, &crate::model::AddressSet)| {
            let meant = to.addresses.as_ref().is_none_or(|set| !set.intersection(atom).is_empty());
            meant.then_some(peer)
        };
        let named = to.hosts.iter().flat_map(|host| self.named(host));
        let mut peers: Vec<PeerId> = self.atoms().filter_map(behind).chain(named).collect();
        peers.sort_unstable();
        peers.dedup();
        let edges = peers.into_iter().map(|peer| self.edge(from, peer));
        let open = edges.filter(|edge| edge.traffic.contains(Protocol::Tcp, to.target));
        let mut because: Option<Vec<u32>> = None;
        for edge in open {
            because.get_or_insert_default().extend(edge.because());
        }
        because.map(|mut rules| {
            rules.sort_unstable();
            rules.dedup();
            rules
        })
    }

    fn sendings(&self, class: ClassId) -> impl Iterator<Item = (u32, &Target)> {
        let numbers = self.sends_of(class).iter().copied();
        numbers.map(|number| (number, &self.transport().sends[number as usize].to))
    }
}

/// How many of the calls to a host a sending is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    None,
    Some,
    All,
}

fn outside(target: &Target) -> Option<&Outside> {
    match target {
        Target::Outside(outside) => Some(outside),
        Target::SomeCallsTo(inner) | Target::Among(inner, _) => outside(inner),
        Target::Anything
        | Target::Service(..)
        | Target::Peer(_)
        | Target::Address(_)
        | Target::Addressed(_) => None,
    }
}

fn fit(target: &Target, to: &Outside) -> Fit {
    match target {
        Target::Anything => Fit::All,
        Target::Outside(own) if (&own.hosts, own.port) == (&to.hosts, to.port) => Fit::All,
        // Subsets of hosts outside are parts of their endpoints.
        Target::SomeCallsTo(inner) | Target::Among(inner, _) => fit(inner, to).min(Fit::Some),
        Target::Addressed(set) => match &to.addresses {
            None => Fit::Some,
            Some(own) if own.difference(set).is_empty() => Fit::All,
            Some(own) if own.intersection(set).is_empty() => Fit::None,
            Some(_) => Fit::Some,
        },
        Target::Outside(_) | Target::Service(..) | Target::Peer(_) | Target::Address(_) => Fit::None,
    }
}

fn protection(sends: Sends, speech: OutsideSpeech) -> (ExpectedProtection, Trust) {
    let as_is = match speech {
        OutsideSpeech::Clear => ExpectedProtection::Plaintext,
        OutsideSpeech::Tls => ExpectedProtection::AppTls,
        OutsideSpeech::Undeclared => ExpectedProtection::Unknown,
    };
    match sends {
        Sends::OtherTls | Sends::OtherTlsOverHttp => (ExpectedProtection::Tls, Trust::Verified),
        Sends::BlindTls | Sends::Always(Dialect::EnvoyOptional | Dialect::EnvoyTls) => {
            (ExpectedProtection::Tls, Trust::Blind)
        }
        Sends::Plaintext => (ExpectedProtection::Plaintext, Trust::Verified),
        // With a certificate of the mesh; whether the host likes it is its own affair.
        Sends::Always(Dialect::IstioMtls | Dialect::IstioEither | Dialect::EnvoyMtls | Dialect::Foreign) => {
            (ExpectedProtection::Tls, Trust::Verified)
        }
        Sends::AsIs
        | Sends::IfAdvertised(_)
        | Sends::IfAllAdvertise(_)
        | Sends::IfOnly(_)
        | Sends::Always(
            Dialect::Hbone
            | Dialect::LinkerdTransport
            | Dialect::LinkerdMtls
            | Dialect::ConsulMtls
            | Dialect::ConsulGateway,
        ) => (as_is, Trust::Verified),
    }
}
