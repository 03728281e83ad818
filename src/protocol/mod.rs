//! What a stream speaks and whether it is protected: one file for each detector, and a table.
//!
//! Ports are hints, bytes are proof. A detector sees the first bytes of both directions and says
//! `Certain`, `Unsure` or `NotForUs`; nothing here keeps or returns payload or a secret.

mod ajp;
mod amqp;
mod announces;
mod beside;
mod bfd;
mod bgp;
mod bittorrent;
mod bytes;
mod cassandra;
mod ceph;
mod clickhouse;
mod coap;
mod control;
mod credentials;
mod dcerpc;
mod dhcp;
mod dhcpv6;
mod diameter;
mod dns;
mod dtls;
mod fastcgi;
mod first;
mod ftp;
mod git;
mod graphite;
mod hbone;
mod hpack;
mod http;
mod http2;
mod imap;
mod ipcomp;
mod ipfix;
mod ipsec;
mod irc;
mod iscsi;
mod kafka;
mod kerberos;
mod later;
mod ldap;
mod lines;
mod memberlist;
mod memcached;
mod mongodb;
mod mqtt;
mod mysql;
mod nats;
mod nbd;
mod netbios;
mod nntp;
mod nrpe;
mod ntp;
mod openvpn;
mod openwire;
mod oracle;
mod pairs;
mod pop3;
mod postgresql;
mod proxy;
mod quic;
mod radius;
mod rdp;
mod redis;
mod rpc;
mod rsync;
mod rtp;
mod rtsp;
mod seen;
mod sieve;
mod sip;
mod smb;
mod smtp;
mod snmp;
mod socks;
mod spread;
mod ssh;
mod ssl2;
mod statsd;
mod stomp;
mod stun;
mod syslog;
mod tds;
mod telnet;
mod tftp;
mod thrift;
mod tls;
mod unknown;
mod vnc;
mod wireguard;
mod x11;
mod xmpp;
mod zabbix;
mod zookeeper;

pub use announces::Announces;
pub use beside::doubted;
pub use first::{First, Opening, candidates};
pub use later::may_upgrade;
pub use seen::Seen;

use crate::capture::{Exchange, Flow, Handshake, StillWanted, Transport};
use crate::model::{Encryption, Proof, Protection, WhyUnknown};
use std::borrow::Cow;
use std::net::IpAddr;

/// What a detector found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Lower-case name of the protocol: `tls`, `postgresql`, `unknown`.
    pub protocol: &'static str,
    /// Whether the content is protected.
    pub protection: Protection,
    /// What the verdict rests on, for people.
    pub why: Cow<'static, str>,
    /// Names and values worth a report; never payload and never a secret.
    pub facts: Vec<(&'static str, Cow<'static, str>)>,
    /// Addresses that the flow gave a name (DNS answers).
    pub names: Vec<(IpAddr, String)>,
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

/// What carries a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// TCP, or SCTP where it is used as a stream.
    Stream,
    /// UDP.
    Datagram,
    /// TCP and UDP alike.
    Both,
    /// What has a number in IP and no ports.
    Network,
    /// Anything above IP, other protocols among it.
    Any,
}

/// Which verdicts a protocol can get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It has no protection of its own.
    Clear,
    /// It is never readable.
    Encrypted,
    /// It has both forms, and the bytes tell them apart.
    Either,
}

/// One protocol.
pub trait Detector: Sync {
    /// Lower-case name, as flow records print it; the name of its file in `fixtures/streams`.
    fn name(&self) -> &'static str;
    /// Further names that its flows may get.
    fn also(&self) -> &'static [&'static str];
    /// What carries it.
    fn over(&self) -> Over;
    /// Ports that are usual: hints, for where the bytes fit more than one protocol.
    fn ports(&self) -> &'static [u16];
    /// Which verdicts it can give.
    fn form(&self) -> Form;
    /// One line on what is recognised.
    fn summary(&self) -> &'static str;
    /// Where the protocol is written down.
    fn reference(&self) -> &'static str;
    /// How conversations can begin in which it finds something; where no opening fits, nobody asks it.
    fn openings(&self) -> &'static [Opening];
    /// Looks at the first bytes of a conversation.
    fn probe(&self, seen: &Seen<'_>) -> Probe;
    /// Who tells when it has heard enough; without it, all first bytes are kept.
    fn heard(&self) -> Option<Heard>;
}

/// Whether more of what a side says could change what a detector says, of a connection that is its own
/// whatever follows. What the speaker said is looked at first: it is in the caches.
pub type Heard = fn(&Exchange<'_>) -> StillWanted;

/// The parts that every detector has alike: the row of the table, made from one block. The file
/// adds `fn probe(&Seen) -> Option<Probe>`, where `None` says that the bytes are something else.
/// What can be told of the first bytes stands in `begins`; without it, the detector is always asked.
/// `until` names who tells when enough was said.
macro_rules! detector {
    ($type:ident: $name:literal $(, also [$($also:literal),+])?; $over:ident, ports $ports:expr, $form:ident;
     $summary:literal; $reference:literal $(; begins [$($opening:expr),+])? $(; until $heard:ident)?) => {
        #[doc = $summary]
        pub struct $type;

        impl crate::protocol::Detector for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn also(&self) -> &'static [&'static str] {
                &[$($($also),+)?]
            }

            fn over(&self) -> crate::protocol::Over {
                crate::protocol::Over::$over
            }

            fn ports(&self) -> &'static [u16] {
                &PORTS
            }

            fn form(&self) -> crate::protocol::Form {
                crate::protocol::Form::$form
            }

            fn summary(&self) -> &'static str {
                $summary
            }

            fn reference(&self) -> &'static str {
                $reference
            }

            fn openings(&self) -> &'static [crate::protocol::Opening] {
                const DECLARED: &[crate::protocol::Opening] = &[$($($opening),+)?];
                const ANY: &[crate::protocol::Opening] = &[crate::protocol::Opening::ANY];
                const { if DECLARED.is_empty() { ANY } else { DECLARED } }
            }

            fn heard(&self) -> Option<crate::protocol::Heard> {
                const DECLARED: &[crate::protocol::Heard] = &[$($heard)?];
                DECLARED.first().copied()
            }

            fn probe(&self, seen: &crate::protocol::Seen<'_>) -> crate::protocol::Probe {
                probe(seen).unwrap_or(crate::protocol::Probe::NotForUs)
            }
        }

        const PORTS: &[u16] = &$ports;
    };
}
use detector;

/// All detectors. Those that need one certain mark come first, those that fit a grammar later, so
/// that a lucky fit never hides a mark; within a group, the frequent ones come first.
pub const DETECTORS: &[&dyn Detector] = &[
    // A wrapper is opened before anything else looks at it.
    &proxy::Proxy,
    &hbone::Hbone,
    &tls::Tls,
    &ssl2::Ssl2,
    &http::Http,
    &http2::Http2,
    &dns::Dns,
    &ssh::Ssh,
    &postgresql::Postgresql,
    &mysql::Mysql,
    &redis::Redis,
    &mongodb::Mongodb,
    &amqp::Amqp,
    &nats::Nats,
    &mqtt::Mqtt,
    &smtp::Smtp,
    &imap::Imap,
    &pop3::Pop3,
    &ftp::Ftp,
    &nntp::Nntp,
    &sieve::Sieve,
    &irc::Irc,
    &xmpp::Xmpp,
    &ldap::Ldap,
    // Before SQL Server, whose remote calls begin with the same two bytes.
    &rdp::Rdp,
    &tds::Tds,
    &smb::Smb,
    &vnc::Vnc,
    &nbd::Nbd,
    &zabbix::Zabbix,
    &nrpe::Nrpe,
    &rsync::Rsync,
    &git::Git,
    &ceph::Ceph,
    &iscsi::Iscsi,
    &bgp::Bgp,
    &bfd::Bfd,
    &stomp::Stomp,
    &openwire::Openwire,
    &clickhouse::Clickhouse,
    &oracle::Oracle,
    &bittorrent::Bittorrent,
    &quic::Quic,
    &dtls::Dtls,
    &ipsec::Ipsec,
    &ipcomp::Ipcomp,
    &control::Control,
    &wireguard::WireGuard,
    &openvpn::Openvpn,
    &stun::Stun,
    &dhcp::Dhcp,
    &sip::Sip,
    &rtsp::Rtsp,
    // From here on a grammar, not a mark.
    &cassandra::Cassandra,
    &zookeeper::Zookeeper,
    &memcached::Memcached,
    &kafka::Kafka,
    &socks::Socks,
    &telnet::Telnet,
    &snmp::Snmp,
    &kerberos::Kerberos,
    &rpc::Rpc,
    &dcerpc::Dcerpc,
    &thrift::Thrift,
    &fastcgi::Fastcgi,
    &ajp::Ajp,
    &x11::X11,
    &memberlist::Memberlist,
    &diameter::Diameter,
    &radius::Radius,
    &dhcpv6::Dhcpv6,
    &ipfix::Ipfix,
    &netbios::Netbios,
    &coap::Coap,
    &tftp::Tftp,
    &ntp::Ntp,
    &syslog::Syslog,
    &statsd::Statsd,
    &graphite::Graphite,
    &rtp::Rtp,
];

/// What a flow speaks: the first certain answer, else the first unsure one, else an honest unknown.
pub fn detect(flow: &Flow) -> Detection {
    let seen = Seen::of(flow);
    beside::doubted(later::as_far_as_seen(judge(&seen), &seen), flow.start.besides)
}

/// The same for a conversation that is no record of its own, as in a test or inside a proxy.
///
/// Where nobody saw who opened the conversation, it is also read the other way round.
pub fn judge(seen: &Seen<'_>) -> Detection {
    let mut unsure = None;
    if let Some(detection) = ask_all(seen, &mut unsure) {
        return beside::tempered(seen, detection);
    }
    let guessed = matches!(seen.handshake, Handshake::GuessedByPort | Handshake::FirstPacket);
    let other_way = (guessed && seen.has_payload()).then(|| ask_all(&seen.swapped(), &mut unsure)).flatten();
    if let Some(detection) = other_way {
        return beside::tempered(seen, detection);
    }
    unsure.map_or_else(|| unknown::detect(seen), |detection| beside::tempered(seen, detection))
}

/// Whether more of what a side of a connection says could change what [`detect`] says of it.
pub fn still_wanted(exchange: &Exchange<'_>) -> StillWanted {
    let heard = first::hearing(exchange).filter_map(|detector| detector.heard());
    let mut wanted = heard.map(|heard| heard(exchange));
    wanted.find(|wanted| *wanted != StillWanted::Both).unwrap_or(StillWanted::Both)
}

/// Whether a stretch of what a side says holds something of which [`detect`] tells, whatever is around it.
pub fn seeks(stretch: &[u8]) -> bool {
    credentials::in_answer(stretch).is_some()
}

fn ask_all(seen: &Seen<'_>, unsure: &mut Option<Detection>) -> Option<Detection> {
    for detector in candidates(seen) {
        match detector.probe(seen) {
            Probe::Certain(detection) => return Some(detection),
            Probe::Unsure(detection) => drop(unsure.get_or_insert(detection)),
            Probe::NotForUs => {}
        }
    }
    None
}

impl Over {
    /// Whether a transport carries it.
    pub fn carries(self, transport: Transport) -> bool {
        match self {
            Over::Stream => matches!(transport, Transport::Tcp | Transport::Sctp),
            Over::Datagram => transport == Transport::Udp,
            Over::Both => matches!(transport, Transport::Tcp | Transport::Udp | Transport::Sctp),
            Over::Network => matches!(transport, Transport::Icmp | Transport::Other(_)),
            Over::Any => true,
        }
    }
}

impl Detection {
    /// A clear-text protocol whose grammar fits.
    fn plain(protocol: &'static str, why: impl Into<Cow<'static, str>>) -> Detection {
        Detection::new(protocol, Protection::Plaintext(Proof::Grammar), why)
    }

    fn encrypted(protocol: &'static str, by: Encryption, why: impl Into<Cow<'static, str>>) -> Detection {
        Detection::new(protocol, Protection::Encrypted(by), why)
    }

    /// The protocol is known, its protection is not.
    fn unclear(protocol: &'static str, what: WhyUnknown, why: impl Into<Cow<'static, str>>) -> Detection {
        Detection::new(protocol, Protection::Unknown(what), why)
    }

    fn new(protocol: &'static str, protection: Protection, why: impl Into<Cow<'static, str>>) -> Detection {
        Detection { protocol, protection, why: why.into(), facts: Vec::new(), names: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Detection {
        self.facts.push((name, value.into()));
        self
    }

    /// The same where there is a value.
    fn with_some(self, name: &'static str, value: Option<impl Into<Cow<'static, str>>>) -> Detection {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Says which kind of secret travelled in the clear, where one did; never the secret.
    fn with_credentials(self, kind: Option<&'static str>) -> Detection {
        self.with_some("credentials", kind)
    }

    fn certain(self) -> Option<Probe> {
        Some(Probe::Certain(self))
    }

    fn unsure(self) -> Option<Probe> {
        Some(Probe::Unsure(self))
    }

    /// Certain where a port hints at the protocol too, else unsure.
    fn certain_if(self, certain: bool) -> Option<Probe> {
        if certain { self.certain() } else { self.unsure() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detectors_have_unique_lower_case_names_and_say_what_they_recognise() {
        let mut names = std::collections::BTreeSet::new();
        for detector in DETECTORS {
            let fine = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            for name in [detector.name()].iter().chain(detector.also()) {
                assert!(names.insert(*name), "{name} stands twice");
                assert!(fine(name), "{name} is not lower-case");
            }
            assert!(
                !detector.summary().is_empty() && !detector.reference().is_empty(),
                "{}",
                detector.name()
            );
        }
        assert!(DETECTORS.len() >= 50);
        assert!(later::UPGRADES_LATER.iter().all(|name| names.contains(name)));
    }
}
