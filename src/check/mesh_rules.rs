//! What checks on mesh authorization ask of a rule: how much of an identity it names.

use super::Evidence;
use crate::graph::{Action, Peer, Peers, PolicyInfo, RuleInfo, Selection};
use crate::model::{Requirement, Selector, fact};

/// Kinds in which people write down who may call. Defaults of a control plane are not among them:
/// checks on transport and segmentation tell of those.
const WRITTEN: [&str; 6] =
    ["AuthorizationPolicy", "ServerAuthorization", "Server", "HTTPRoute", "GRPCRoute", "ServiceIntentions"];

/// The rules of mesh authorization that somebody wrote and that let something in, each with its
/// policy.
pub(super) fn allowing<'a>(evidence: &Evidence<'a>) -> impl Iterator<Item = (&'a RuleInfo, &'a PolicyInfo)> {
    let graph = evidence.graph;
    graph.rules.iter().filter_map(move |info| {
        let policy = &graph.policies[info.policy as usize];
        let written = WRITTEN.contains(&&*info.rule.origin.kind);
        (graph.is_of_mesh(policy) && written && info.rule.action == Action::Allow).then_some((info, policy))
    })
}

/// Whom a rule lets in, where it names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Anybody {
    /// Everybody, with or without an identity.
    Everyone,
    /// Whoever proves any identity.
    AnyIdentity,
}

/// Whether a rule is satisfied by everybody, or by any identity; `None` where it names some.
pub(super) fn anybody(peers: &Peers) -> Option<Anybody> {
    match peers {
        Peers::Everyone => Some(Anybody::Everyone),
        Peers::Among(peers) => peers.iter().filter_map(any).min(),
    }
}

fn any(peer: &Peer) -> Option<Anybody> {
    match peer {
        Peer::Authenticated => Some(Anybody::AnyIdentity),
        Peer::Endpoints(selection) if is_everything(selection) => Some(Anybody::Everyone),
        Peer::All(parts) => {
            let each: Option<Vec<Anybody>> = parts.iter().map(any).collect();
            Some(each?.into_iter().max().unwrap_or(Anybody::Everyone))
        }
        _ => None,
    }
}

/// Whether a selection asks nothing of namespace and labels.
fn is_everything(selection: &Selection) -> bool {
    let open = |selector: &Selector| selector.requirements.iter().all(asks_nothing);
    selection.namespaces == crate::graph::Namespaces::any() && open(&selection.endpoints)
}

fn asks_nothing(requirement: &Requirement) -> bool {
    match requirement {
        Requirement::AnyOf(choices) => choices.iter().any(|c| c.requirements.iter().all(asks_nothing)),
        _ => false,
    }
}

/// The selections of identities in a rule that do not say which account: a pattern, a whole
/// namespace, a whole trust domain.
pub(super) fn without_account(peers: &Peers) -> bool {
    let Peers::Among(peers) = peers else { return false };
    peers.iter().any(|peer| {
        let mut wide = false;
        peer.for_each(&mut |part| {
            if let Peer::Endpoints(selection) = part {
                wide |= !is_everything(selection) && !pins_account(&selection.endpoints);
            }
        });
        wide && peer.any(|part| matches!(part, Peer::Authenticated))
    })
}

fn pins_account(selector: &Selector) -> bool {
    selector.requirements.iter().any(|requirement| match requirement {
        Requirement::In(key, _) => key == fact::SERVICE_ACCOUNT,
        Requirement::AnyOf(choices) => !choices.is_empty() && choices.iter().all(pins_account),
        _ => false,
    })
}
