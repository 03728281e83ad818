//! What a stream speaks and whether it is protected: one file for each detector, and a table.
//!
//! Ports are hints, bytes are proof. A detector sees the first bytes of both directions and says
//! `Certain`, `Unsure` or `NotForUs`; nothing here keeps or returns payload.

mod bytes;
mod dns;
mod http;
mod http2;
mod ipsec;
mod lines;
mod mysql;
mod postgresql;
mod quic;
mod redis;
mod ssh;
mod tls;
mod unknown;
mod wireguard;

use crate::capture::{Flow, StreamStart};
use crate::model::{Proof, Protection};

/// What a detector found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Lower-case name of the protocol: `tls`, `postgresql`, `unknown`.
    pub protocol: &'static str,
    /// Whether the content is protected.
    pub protection: Protection,
    /// What the verdict rests on, for people.
    pub why: String,
    /// Names and values worth a report; never payload and never a secret.
    pub facts: Vec<(&'static str, String)>,
}

/// A detector's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The bytes prove it.
    Certain(Detection),
    /// The bytes fit, but others may fit as well.
    Unsure(Detection),
    /// The bytes are something else.
    NotForUs,
}

/// One protocol.
pub trait Detector: Sync {
    /// Lower-case name, as flow records print it.
    fn name(&self) -> &'static str;
    /// One line on what is recognised.
    fn summary(&self) -> &'static str;
    /// Looks at the first bytes of a flow.
    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe;
}

/// All detectors. Those that need one certain mark come first, those that fit a grammar later, so
/// that a lucky fit never hides a mark.
pub const DETECTORS: &[&dyn Detector] = &[
    &tls::Tls,
    &ssh::Ssh,
    &postgresql::Postgresql,
    &mysql::Mysql,
    &http2::Http2,
    &http::Http,
    &redis::Redis,
    &lines::Smtp,
    &lines::Imap,
    &lines::Pop3,
    &lines::Ftp,
    &ipsec::Ipsec,
    &wireguard::WireGuard,
    &quic::Quic,
    &dns::Dns,
];

/// What a flow speaks: the first certain answer, else the first unsure one, else an honest unknown.
pub fn detect(flow: &Flow) -> Detection {
    let mut unsure = None;
    for detector in DETECTORS {
        match detector.probe(flow, &flow.start) {
            Probe::Certain(detection) => return detection,
            Probe::Unsure(detection) => drop(unsure.get_or_insert(detection)),
            Probe::NotForUs => {}
        }
    }
    unsure.unwrap_or_else(|| unknown::detect(flow))
}

impl Detection {
    /// A clear-text protocol whose grammar fits.
    fn plain(protocol: &'static str, why: &str) -> Detection {
        let protection = Protection::Plaintext(Proof::Grammar);
        Detection { protocol, protection, why: why.to_owned(), facts: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Detection {
        self.facts.push((name, value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detectors_have_unique_lower_case_names_and_a_summary() {
        let names: std::collections::BTreeSet<_> = DETECTORS.iter().map(|d| d.name()).collect();
        assert_eq!(names.len(), DETECTORS.len());
        assert!(DETECTORS.iter().all(|d| d.name() == d.name().to_lowercase() && !d.summary().is_empty()));
    }
}
