//! Whether bytes on the wire are protected, and what that claim rests on.
//!
//! Absence has a reason: `Unknown` always says why, and entropy alone never makes `Encrypted`.

/// The verdict on one observed flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protection {
    /// An encrypted protocol was proven by its bytes.
    Encrypted(Encryption),
    /// Readable content was proven by its grammar.
    Plaintext(Proof),
    /// Neither could be proven.
    Unknown(WhyUnknown),
}

/// What encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encryption {
    /// TLS from the first byte.
    Tls,
    /// TLS in which the client showed a certificate.
    MutualTls,
    /// TLS after an upgrade inside the connection (STARTTLS and its kin).
    UpgradedTls,
    /// Datagram TLS.
    Dtls,
    /// QUIC, which is TLS 1.3 inside.
    Quic,
    /// Secure Shell.
    Ssh,
    /// WireGuard.
    WireGuard,
    /// IPsec: ESP, or IKE that sets it up.
    Ipsec,
    /// OpenVPN.
    OpenVpn,
    /// Messages that the protocol itself encrypts: SMB 3, SNMP 3 with privacy, GSS privacy.
    Own,
}

/// What proves that content is readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Proof {
    /// The messages of a clear-text protocol parse.
    Grammar,
    /// The protocol is not known, but the bytes are text.
    Text,
    /// TLS was offered and refused, and clear content followed.
    UpgradeRefused,
    /// TLS framing with a cipher that does not encrypt.
    NullCipher,
}

/// Why nothing can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhyUnknown {
    /// No payload was seen in either direction.
    NoPayload,
    /// The capture begins in the middle of the connection and no record could be found.
    LateStart,
    /// Packets were cut by the capture's snap length before the decisive byte.
    CutBySnaplen,
    /// No detector knows the bytes, which look random: encrypted or compressed.
    RandomLooking,
    /// No detector knows the bytes.
    NoMatch,
    /// A handshake began and never completed.
    HandshakeIncomplete,
    /// The protocol has both forms and the bytes seen do not tell them apart.
    Ambiguous,
    /// More was met than one connection that says one thing: packets of another, other bytes under the same
    /// numbers, text after the end.
    Contradicted,
    /// It may be the leg between a proxy and its application inside a pod, or the wire.
    AmbiguousInPod,
    /// The flow table was full when the decisive bytes came.
    Evicted,
}

impl Protection {
    /// `encrypted`, `plaintext` or `unknown`: the words of the flow records.
    pub fn word(self) -> &'static str {
        match self {
            Protection::Encrypted(_) => "encrypted",
            Protection::Plaintext(_) => "plaintext",
            Protection::Unknown(_) => "unknown",
        }
    }

    /// Whether whoever is on the way can read it.
    pub fn is_plaintext(self) -> bool {
        matches!(self, Protection::Plaintext(_))
    }
}

/// How an allowed connection is protected, as configuration promises; the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExpectedProtection {
    /// The mesh refuses it: nothing passes.
    Refused,
    /// Mutual TLS, and the server takes nothing else.
    MtlsStrict,
    /// Mutual TLS; the server would take plaintext, or TLS without a client's certificate, too.
    MtlsPermissive,
    /// TLS of the mesh without a client certificate.
    Tls,
    /// TLS that the application or the way in terminates.
    AppTls,
    /// Encrypted between nodes.
    NodeEncrypted,
    /// Nothing promises anything.
    Unknown,
    /// In the clear.
    Plaintext,
}

impl ExpectedProtection {
    /// The words of the graph's JSON.
    pub fn word(self) -> &'static str {
        match self {
            ExpectedProtection::Refused => "refused",
            ExpectedProtection::MtlsStrict => "mtls-strict",
            ExpectedProtection::MtlsPermissive => "mtls-permissive",
            ExpectedProtection::Tls => "tls",
            ExpectedProtection::AppTls => "app-tls",
            ExpectedProtection::NodeEncrypted => "node-encrypted",
            ExpectedProtection::Unknown => "unknown",
            ExpectedProtection::Plaintext => "plaintext",
        }
    }
}
