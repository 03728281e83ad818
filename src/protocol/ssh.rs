//! SSH (RFC 4253): the identification line of either side.

use super::{Detection, Detector, Probe};
use crate::capture::{Flow, StreamStart, Transport};
use crate::model::{Encryption, Protection};

/// Secure Shell.
pub struct Ssh;

impl Detector for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn summary(&self) -> &'static str {
        "SSH: the identification of either side"
    }

    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
        let named = |bytes: &[u8]| bytes.starts_with(b"SSH-2.0-") || bytes.starts_with(b"SSH-1.99-");
        let (ahead, back) = (named(&start.forward), named(&start.backward));
        if flow.transport != Transport::Tcp || !(ahead || back) {
            return Probe::NotForUs;
        }
        let why =
            if ahead && back { "both sides identified themselves" } else { "one side identified itself" };
        Probe::Certain(Detection {
            protocol: "ssh",
            protection: Protection::Encrypted(Encryption::Ssh),
            why: why.to_owned(),
            facts: Vec::new(),
        })
    }
}
