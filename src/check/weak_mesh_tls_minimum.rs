//! `weak-mesh-tls-minimum`: a mesh or a gateway that takes TLS older than 1.2, or weak ciphers.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::policy_name;
use super::{Evidence, Finding, check};
use crate::graph::{TlsFloor, TlsVersion};

check! {
    WeakMeshTlsMinimum, "weak-mesh-tls-minimum", Medium,
    "A mesh or a gateway that takes TLS older than 1.2, or weak ciphers.",
    ["NIST-800-52r2", "PCI-DSS-4.0-4.2.1"]
}

/// What makes a suite weak: no forward secrecy, no authenticated encryption, or a broken cipher. The
/// names of OpenSSL and of IANA are both in use.
const WEAK_PARTS: &[&str] = &["NULL", "RC4", "DES", "MD5", "EXP", "ADH", "AECDH", "CBC"];

/// Whether a suite is weak; suites of TLS 1.3 never are.
fn is_weak(suite: &str) -> bool {
    let upper = suite.trim_matches(['[', ']']).to_ascii_uppercase();
    let modern = ["GCM", "POLY1305", "CCM"].iter().any(|part| upper.contains(part));
    let fresh = upper.contains("ECDHE") || upper.contains("DHE");
    let newest = upper.starts_with("TLS_AES") || upper.starts_with("TLS_CHACHA20");
    WEAK_PARTS.iter().any(|part| upper.contains(part)) || !(newest || (modern && fresh))
}

fn weak_suites(floor: &TlsFloor) -> Vec<&str> {
    let suites = floor.ciphers.iter().flat_map(|list| list.trim_matches(['[', ']']).split('|'));
    suites.filter(|suite| is_weak(suite)).collect()
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let one = |floor: &TlsFloor| {
        let old = floor.version.filter(|version| *version < TlsVersion::V12);
        let weak = weak_suites(floor);
        let what = match (old, weak.is_empty()) {
            (None, true) => return None,
            (Some(version), true) => format!("{} and above", version.word()),
            (None, false) => format!("the weak ciphers {}", weak.join(", ")),
            (Some(version), false) => {
                format!("{} and above, and the weak ciphers {}", version.word(), weak.join(", "))
            }
        };
        let mut finding = WeakMeshTlsMinimum.finding(
            policy_name(&floor.origin),
            format!("{} takes {what} ({}).", floor.of, floor.field),
            vec![floor.origin.clone()],
            "Ask for TLS 1.2 at least, and leave the choice of ciphers to the proxy.",
        );
        finding.detail.clone_from(&floor.of);
        Some(finding)
    };
    evidence.notes.tls_floors.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::is_weak;

    #[test]
    fn suites_are_weak_without_forward_secrecy_or_authenticated_encryption() {
        for suite in [
            "AES128-SHA",
            "AES256-GCM-SHA384",
            "ECDHE-RSA-AES128-SHA",
            "DES-CBC3-SHA",
            "TLS_RSA_WITH_RC4_128_SHA",
        ] {
            assert!(is_weak(suite), "{suite}");
        }
        let strong = [
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "ECDHE-RSA-CHACHA20-POLY1305",
            "TLS_AES_128_GCM_SHA256",
        ];
        for suite in strong {
            assert!(!is_weak(suite), "{suite}");
        }
    }
}
