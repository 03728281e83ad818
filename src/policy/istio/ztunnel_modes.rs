//! What becomes of a PeerAuthentication with ports on its way to ztunnel, which knows no modes:
//! istiod makes policies of them that deny whoever has no identity, and names those that a workload has
//! (`convertPeerAuthentication` and `convertedSelectorPeerAuthentications` of `ambient/authorization.go`).
//!
//! The two do not always agree: a workload may name a policy that was not made, and then nothing
//! of it holds.

use super::peer_authentication::{Mode, PeerAuthentication};

/// What stands above the object of a workload.
pub struct Parents<'a> {
    /// The object of the namespace that has no selector at all.
    pub namespace: Option<&'a PeerAuthentication>,
    /// That of the mesh.
    pub mesh: Option<&'a PeerAuthentication>,
    /// What holds where the object says nothing.
    pub effective: Mode,
}

impl Parents<'_> {
    /// What holds at a port of the object, or at all others: `meant`, or what is left of it.
    pub fn at_ztunnel(&self, object: &PeerAuthentication, port: Option<u16>, meant: Mode) -> Mode {
        match (self.denies(object, port), meant) {
            (true, _) => Mode::Strict,
            (false, Mode::Strict) => Mode::Permissive,
            (false, other) => other,
        }
    }

    /// Whether plaintext is denied.
    fn denies(&self, object: &PeerAuthentication, port: Option<u16>) -> bool {
        let has = |wanted: &[Mode]| object.ports.values().flatten().any(|mode| wanted.contains(mode));
        let open = [Mode::Permissive, Mode::Disable];
        let strict = object.mode.unwrap_or(self.effective) == Mode::Strict;
        let names_its_policy = match (object.mode, strict) {
            (Some(_), true) => has(&open),
            // Where the mode is inherited, DISABLE is not looked for.
            (None, true) => has(&[Mode::Permissive]),
            (_, false) => has(&[Mode::Strict]),
        };
        match (names_its_policy, strict) {
            (false, strict) => strict,
            (true, _) => self.denies_by_policy(object, port),
        }
    }

    /// Whether the policy that is made of the object does; where none is made, nothing does.
    fn denies_by_policy(&self, object: &PeerAuthentication, port: Option<u16>) -> bool {
        let is_strict = |above: Option<&PeerAuthentication>| above.and_then(|o| o.mode) == Some(Mode::Strict);
        let (of_namespace, of_mesh) = (is_strict(self.namespace), is_strict(self.mesh));
        let silent = self.namespace.is_none_or(|object| object.mode.is_none());
        let own = port.and_then(|port| object.ports.get(&port).copied().flatten());
        // A strict port is left to what stands above it, also where the object says otherwise.
        let left = object.mode == Some(Mode::Strict)
            || (object.mode.is_none() && of_namespace)
            || (silent && of_mesh);
        if own == Some(Mode::Strict) && !left {
            return true;
        }
        let excepts = match object.mode {
            Some(mode) => mode == Mode::Strict,
            None => match self.namespace {
                Some(_) => of_namespace,
                None => of_mesh,
            },
        };
        let open = |mode: &Mode| *mode != Mode::Strict;
        excepts && object.ports.values().flatten().any(open) && !own.as_ref().is_some_and(open)
    }
}
