//! What checks may conclude from who was read: manifests rarely hold all pods that rules speak of, so
//! that a rule may matter for pods that nobody showed.

use super::Evidence;
use crate::graph::{Namespaces, Peer, Peers, Rule, RuleInfo, Selection};

/// Whether everything that the peers of a rule may ever match is surely matched by those of another.
/// Where a whole cluster was read, which its nodes tell, those who are there decide.
pub(super) fn surely_holds(evidence: &Evidence<'_>, outer: &Rule, inner: &Rule) -> bool {
    if is_whole(evidence) {
        return true;
    }
    match (&outer.peers, &inner.peers) {
        (Peers::Everyone, _) => true,
        (Peers::Among(_), Peers::Everyone) => false,
        (Peers::Among(outer), Peers::Among(inner)) => {
            let takes_all =
                outer.iter().any(|peer| matches!(peer, Peer::Endpoints(all) if is_everywhere(all)));
            inner.iter().all(|peer| takes_all || outer.contains(peer) || !speaks_of_others(peer))
        }
    }
}

/// Whether a rule may matter for pods that were not read: it looks into other namespaces, or nobody who
/// was read is one of its peers.
pub(super) fn may_matter_unseen(evidence: &Evidence<'_>, info: &RuleInfo) -> bool {
    let peers = info.rule.peers.named();
    let by_labels = || peers.iter().any(|peer| peer.any(|part| matches!(part, Peer::Endpoints(_))));
    let idle = || info.matches.as_ref().is_some_and(Vec::is_empty) && by_labels();
    !is_whole(evidence) && (peers.iter().any(speaks_of_others) || idle())
}

/// Nodes stand in what was read out of a cluster and nowhere else.
fn is_whole(evidence: &Evidence<'_>) -> bool {
    !evidence.inventory.nodes.is_empty()
}

fn speaks_of_others(peer: &Peer) -> bool {
    peer.any(|part| matches!(part, Peer::Endpoints(Selection { namespaces: Namespaces::Matching(_), .. })))
}

fn is_everywhere(selection: &Selection) -> bool {
    let everywhere = matches!(&selection.namespaces, Namespaces::Matching(all) if all.is_everything());
    everywhere && selection.endpoints.is_everything()
}
