//! What to change in a mesh so that an edge is protected, or no longer refused: which object, and in
//! what way. Sentences are made in `report`.

use super::build::AllowedGraph;
use super::classes::ClassId;
use super::expected::{Expected, WhyExpected};
use crate::model::{ExpectedProtection, Origin};
use crate::policy::{Admission, MeshMode, Target};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MeshChange {
    /// In what way.
    pub what: WhatToChange,
    /// The object to open, where there is one.
    pub at: Option<Origin>,
    /// The workload that it is about where no object is to be opened: its position in the inventory.
    pub workload: Option<usize>,
}

/// In what way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhatToChange {
    /// What tells clients to send something else than the mesh's TLS (a DestinationRule).
    ClientTls,
    /// A workload has no proxy.
    Join,
    /// A port is kept from the server's proxy, or its TLS is turned off there.
    CoverPort,
    /// The client passes by what would protect it: it calls by address.
    CallService,
    /// The server takes plaintext because an object says so.
    MakeStrict,
    /// The server takes plaintext because nothing says otherwise.
    AddStrict,
    /// Manifests do not tell who is in the mesh.
    TellMembership,
}

impl AllowedGraph {
    /// What to change where an expectation is less than strict; `None` where nothing is, or nothing
    /// that a mesh could do. `ends` are the classes that the expectation is about, `workloads` two
    /// workloads of theirs.
    pub fn mesh_change(
        &self,
        (from, to): (ClassId, ClassId),
        expected: &Expected,
        (client, server): (usize, usize),
    ) -> Option<MeshChange> {
        use ExpectedProtection::{MtlsPermissive, Plaintext, Refused, Unknown};
        let at_workload = |what, index| MeshChange { what, at: None, workload: Some(index) };
        let at = |what, origin: &Option<Origin>, index| match origin {
            Some(origin) => MeshChange { what, at: Some(origin.clone()), workload: None },
            None => at_workload(what, index),
        };
        let (sends, accepts) = match expected.why {
            WhyExpected::Mesh { sends, accepts, via: _ } => (sends, accepts),
            _ => (None, None),
        };
        let transport = self.transport();
        let sending = sends.and_then(|number| transport.sends.get(number as usize));
        let acceptance = accepts.and_then(|number| transport.accepts.get(number as usize));
        let mode = |class| self.membership(class).map(|member| member.mode);
        let outside = |class| mode(class).is_none_or(|mode| mode == MeshMode::Outside);
        let unclear = |class| mode(class) == Some(MeshMode::Unclear);
        match expected.protection {
            Unknown if unclear(from) || unclear(to) => {
                let who = if unclear(to) { server } else { client };
                Some(at_workload(WhatToChange::TellMembership, who))
            }
            Unknown if outside(to) => Some(at_workload(WhatToChange::Join, server)),
            Unknown if outside(from) => Some(at_workload(WhatToChange::Join, client)),
            Plaintext | Refused => {
                let ruled = sending.filter(|sending| sending.origin.is_some());
                if let Some(sending) = ruled {
                    return Some(at(WhatToChange::ClientTls, &sending.origin, client));
                }
                if outside(from) {
                    return Some(at_workload(WhatToChange::Join, client));
                }
                if outside(to) {
                    return Some(at_workload(WhatToChange::Join, server));
                }
                let covers = |acceptance: &&crate::policy::Acceptance| {
                    acceptance.accepts.terminates.is_some()
                        && acceptance.accepts.proxied == Admission::Admitted
                };
                match acceptance.filter(|acceptance| !covers(acceptance)) {
                    Some(bare) => Some(at(WhatToChange::CoverPort, &bare.origin, server)),
                    None if sending.is_some_and(|sending| sending.to == Target::Anything) => {
                        Some(at_workload(WhatToChange::CallService, client))
                    }
                    None => None,
                }
            }
            MtlsPermissive => Some(match acceptance.and_then(|acceptance| acceptance.origin.as_ref()) {
                Some(origin) => {
                    MeshChange { what: WhatToChange::MakeStrict, at: Some(origin.clone()), workload: None }
                }
                None => MeshChange { what: WhatToChange::AddStrict, at: None, workload: None },
            }),
            _ => None,
        }
    }
}
