//! One connection asked about: yes or no, without reasons and without sets being made for it.
//!
//! Flows are judged by the million; what a pair may do as a whole, and why, is left to `edge`.

use super::build::AllowedGraph;
use super::classes::PeerId;
use super::edge::Exemption;
use crate::model::Protocol;

impl AllowedGraph {
    /// Whether a connection may arrive: what [`super::Edge::reaching`] says of one port.
    pub fn passes(&self, from: PeerId, to: PeerId, protocol: Protocol, port: u16) -> bool {
        if !self.mesh.is_empty() {
            return self.edge(from, to).reaching().contains(protocol, port);
        }
        let (egress, ingress) = self.decisions(from, to);
        let (sent, taken) =
            (egress.allowed.contains(protocol, port), ingress.allowed.contains(protocol, port));
        (sent && taken)
            || match self.exemption(from, to) {
                Exemption::None => false,
                Exemption::LocalNode => sent,
                Exemption::OwnPods => true,
            }
    }
}
