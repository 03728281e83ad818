//! The naive side: packet by packet through the tiers of each dataplane, as its documentation tells
//! it. It knows no classes, no sets and nothing of the engines.

use super::law::{Action, App, Cluster, Far, Language, Law, Line, Pod, Scope, Sent, TIERS, Traffic, Whom};
use ipnet::Ipv4Net;
use watertight::model::Protocol;
use watertight::policy::DataplaneKind;

/// One packet as one of its ends sees it.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    pub cluster: &'a Cluster,
    pub subject: &'a Pod,
    pub far: Far<'a>,
    pub ingress: bool,
    pub sent: Sent,
}

/// Whether the policies of this end let the packet pass.
pub fn passes(seen: &Seen<'_>) -> bool {
    match seen.cluster.dataplane {
        DataplaneKind::Calico => calico(seen),
        DataplaneKind::Cilium => {
            let (said, isolated) = cilium(seen);
            administrators(seen, Language::Admin).or(said).unwrap_or_else(|| {
                match decided(seen, Language::Baseline) {
                    Some(Action::Deny) => false,
                    // A Pass leads to what isolates there, and is shown as open (docs/compared.md).
                    Some(Action::Allow | Action::Pass) => true,
                    None => !isolated,
                }
            })
        }
        _ => {
            let policies = administrators(seen, Language::OldAdmin)
                .or_else(|| network_policies(seen))
                .or_else(|| administrators(seen, Language::OldBaseline))
                .unwrap_or(true);
            policies && firewall(seen)
        }
    }
}

/// Laws of some languages for this end and direction, in their order.
fn laws<'a>(seen: &Seen<'a>, of: impl Fn(Language) -> bool) -> Vec<&'a Law> {
    let is_for = |law: &&Law| {
        of(law.language)
            && law.ingress == seen.ingress
            && law.namespace.is_none_or(|namespace| namespace == seen.subject.namespace)
            && app_fits(law.subject, seen.subject)
    };
    let mut found: Vec<&Law> = seen.cluster.laws.iter().filter(is_for).collect();
    found.sort_by_key(|law| law.order);
    found
}

fn first<'a>(law: &'a Law, seen: &Seen<'_>) -> Option<&'a Line> {
    law.lines.iter().find(|line| line_fits(law, line, seen))
}

/// Calico: tier by tier, and in each the laws by order; a tier with laws for this end decides, or
/// hands on what passes. NetworkPolicies stand in `default` at 1000, those of administrators in
/// tiers of their own, which hand on what no rule of theirs matches.
fn calico(seen: &Seen<'_>) -> bool {
    let tier_of = |law: &Law| match law.language {
        Language::Calico(tier) | Language::CalicoGlobal(tier) => (TIERS[tier].1, TIERS[tier].2),
        Language::Admin => (1_000.0, true),
        Language::Baseline => (10_000_000.0, true),
        _ => (1_000_000.0, false),
    };
    let mut orders: Vec<f64> = seen.cluster.laws.iter().map(|law| tier_of(law).0).collect();
    orders.sort_by(f64::total_cmp);
    orders.dedup();
    'tiers: for order in orders {
        let mut here = laws(seen, |_| true);
        here.retain(|law| tier_of(law).0 == order);
        here.sort_by_key(|law| if law.language == Language::NetworkPolicy { 1000 } else { law.order });
        let Some(any) = here.first() else { continue };
        for law in &here {
            match first(law, seen).map(|line| line.action) {
                Some(Action::Allow) => return true,
                Some(Action::Deny) => return false,
                Some(Action::Pass) => continue 'tiers,
                None => {}
            }
        }
        if !tier_of(any).1 {
            return false;
        }
    }
    true
}

/// The first line of the first law that matches; nothing where none does or it passes.
fn administrators(seen: &Seen<'_>, language: Language) -> Option<bool> {
    match decided(seen, language)? {
        Action::Allow => Some(true),
        Action::Deny => Some(false),
        Action::Pass => None,
    }
}

fn decided(seen: &Seen<'_>, language: Language) -> Option<Action> {
    let found = laws(seen, |of| of == language).into_iter().find_map(|law| first(law, seen))?;
    Some(found.action)
}

fn network_policies(seen: &Seen<'_>) -> Option<bool> {
    let laws = laws(seen, |of| of == Language::NetworkPolicy);
    let isolated = !laws.is_empty();
    isolated.then(|| laws.into_iter().any(|law| first(law, seen).is_some()))
}

/// Cilium: one matching denial beats all, then one matching permission is enough, of whichever
/// language. Whether the end is isolated is asked behind the baseline of administrators.
fn cilium(seen: &Seen<'_>) -> (Option<bool>, bool) {
    let own = |of| matches!(of, Language::NetworkPolicy | Language::Cilium(_) | Language::CiliumGlobal(_));
    let (mut denied, mut allowed, mut isolated) = (false, false, false);
    for law in laws(seen, own) {
        isolated |= match law.language {
            Language::Cilium(isolates) | Language::CiliumGlobal(isolates) => isolates,
            _ => true,
        };
        for line in law.lines.iter().filter(|line| line_fits(law, line, seen)) {
            match line.action {
                Action::Deny => denied = true,
                Action::Allow | Action::Pass => allowed = true,
            }
        }
    }
    let said = match (denied, allowed) {
        (true, _) => Some(false),
        (false, true) => Some(true),
        (false, false) => None,
    };
    (said, isolated)
}

/// The firewall of the namespace looks at what leaves the cluster.
fn firewall(seen: &Seen<'_>) -> bool {
    let Far::Outside(_) = seen.far else { return true };
    let laws = laws(seen, |of| of == Language::EgressFirewall);
    let first = laws.first().and_then(|law| first(law, seen));
    first.is_none_or(|line| line.action != Action::Deny)
}

fn app_fits(app: App, pod: &Pod) -> bool {
    match app {
        App::Any => true,
        App::Is(app) => pod.app == app,
        App::Not(app) => pod.app != app,
    }
}

fn line_fits(law: &Law, line: &Line, seen: &Seen<'_>) -> bool {
    let target = match (seen.ingress, seen.far) {
        (true, _) => Some(seen.subject),
        (false, Far::Pod(pod)) => Some(pod),
        (false, Far::Outside(_)) => None,
    };
    let traffic = match (line.traffic, seen.sent) {
        (Traffic::All, _) => true,
        (Traffic::Tcp(first, last), Sent::Port(Protocol::Tcp, port)) => (first..=last).contains(&port),
        (Traffic::Web, Sent::Port(Protocol::Tcp, port)) => target.is_some_and(|pod| pod.web == port),
        _ => false,
    };
    let whom = match (line.whom, seen.far) {
        (Whom::Anyone, _) => true,
        (Whom::Pods(..), Far::Outside(_)) => false,
        (Whom::Pods(scope, app), Far::Pod(pod)) => {
            let namespace = match scope {
                Scope::Own if law.language.is_namespaced() => law.namespace == Some(pod.namespace),
                Scope::Own | Scope::Every => true,
                Scope::One(namespace) => pod.namespace == namespace,
            };
            namespace && app_fits(app, pod)
        }
        (Whom::Block(cidr), far) => {
            let by_identity = seen.cluster.dataplane == DataplaneKind::Cilium;
            let (ip, counts) = match far {
                Far::Outside(ip) => (ip, true),
                Far::Pod(pod) => (pod.ip, !by_identity),
            };
            counts && cidr.parse::<Ipv4Net>().expect("a CIDR").contains(&ip)
        }
    };
    traffic && whom
}
