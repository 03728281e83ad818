//! Random clusters: what each dataplane enforces, all at once.

use super::law::{Action, App, Cluster, Language, Law, Line, Pod, Scope, TIERS, Traffic, Whom};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use watertight::policy::DataplaneKind;

fn app() -> impl Strategy<Value = App> {
    prop_oneof![2 => Just(App::Any), 3 => (0..3_usize).prop_map(App::Is), 1 => (0..3_usize).prop_map(App::Not)]
}

fn whom() -> impl Strategy<Value = Whom> {
    let scope =
        prop_oneof![2 => Just(Scope::Own), 1 => Just(Scope::Every), 1 => (0..2_usize).prop_map(Scope::One)];
    let blocks = vec!["10.0.0.0/30", "10.0.0.0/16", "0.0.0.0/0", "192.0.2.0/24"];
    prop_oneof![
        1 => Just(Whom::Anyone),
        4 => (scope, app()).prop_map(|(scope, app)| Whom::Pods(scope, app)),
        2 => prop::sample::select(blocks).prop_map(Whom::Block),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    let action = prop::sample::select(vec![Action::Allow, Action::Allow, Action::Deny, Action::Pass]);
    let traffic = prop_oneof![
        2 => Just(Traffic::All),
        3 => (prop::sample::select(vec![80_u16, 443]), 0..400_u16).prop_map(|(n, more)| Traffic::Tcp(n, n + more)),
        1 => Just(Traffic::Web),
    ];
    (action, whom(), traffic).prop_map(|(action, whom, traffic)| Line { action, whom, traffic })
}

fn language(dataplane: DataplaneKind) -> BoxedStrategy<Language> {
    let tier = 0..TIERS.len();
    match dataplane {
        DataplaneKind::Calico => prop_oneof![
            2 => Just(Language::NetworkPolicy),
            1 => Just(Language::Admin),
            1 => Just(Language::Baseline),
            2 => tier.clone().prop_map(Language::Calico),
            2 => tier.prop_map(Language::CalicoGlobal),
        ]
        .boxed(),
        DataplaneKind::Cilium => prop_oneof![
            2 => Just(Language::NetworkPolicy),
            1 => Just(Language::Admin),
            1 => Just(Language::Baseline),
            2 => any::<bool>().prop_map(Language::Cilium),
            2 => any::<bool>().prop_map(Language::CiliumGlobal),
        ]
        .boxed(),
        _ => prop_oneof![
            3 => Just(Language::NetworkPolicy),
            2 => Just(Language::OldAdmin),
            1 => Just(Language::OldBaseline),
            2 => Just(Language::EgressFirewall),
        ]
        .boxed(),
    }
}

/// A law that its language can say.
fn sayable(mut law: Law) -> Law {
    let language = law.language;
    if language.is_namespaced() {
        law.namespace = law.namespace.or(Some(0));
    }
    if language == Language::EgressFirewall {
        (law.ingress, law.subject) = (false, App::Any);
    }
    for line in &mut law.lines {
        line.whom = match (language, line.whom) {
            (Language::EgressFirewall, Whom::Anyone | Whom::Pods(..)) => Whom::Block("0.0.0.0/0"),
            (of, Whom::Anyone) if of.is_for_administrators() => Whom::Pods(Scope::Every, App::Any),
            (of, Whom::Block(_)) if of.is_for_administrators() && law.ingress => {
                Whom::Pods(Scope::Every, App::Any)
            }
            (_, whom) => whom,
        };
        // Names are those of pods.
        if matches!((line.whom, line.traffic), (Whom::Block(_), Traffic::Web)) {
            line.traffic = Traffic::Tcp(80, 80);
        }
        // The firewall has single ports.
        if let (Language::EgressFirewall, Traffic::Tcp(first, _)) = (language, line.traffic) {
            line.traffic = Traffic::Tcp(first, first);
        }
        line.action = match (language, line.action) {
            (Language::NetworkPolicy, _) => Action::Allow,
            (of, Action::Pass) if of.is_for_administrators() && of != Language::OldBaseline => Action::Pass,
            (Language::Calico(_) | Language::CalicoGlobal(_), action) => action,
            (_, Action::Pass) => Action::Deny,
            (_, action) => action,
        };
    }
    law
}

pub fn cluster(dataplane: DataplaneKind) -> impl Strategy<Value = Cluster> {
    let pod = (0..2_usize, 0..3_usize, prop::sample::select(vec![80_u16, 443]));
    let law = (
        language(dataplane),
        prop::option::of(0..2_usize),
        app(),
        any::<bool>(),
        any::<i16>(),
        prop::collection::vec(line(), 0..=3),
    );
    (prop::collection::vec(pod, 2..=5), prop::collection::vec(law, 1..=8)).prop_map(move |(pods, laws)| {
        let pods = pods.into_iter().enumerate().map(|(number, (namespace, app, web))| Pod {
            namespace,
            app,
            ip: Ipv4Addr::new(10, 0, 0, number as u8 + 1),
            web,
        });
        let laws = laws.into_iter().enumerate().map(
            |(number, (language, namespace, subject, ingress, order, lines))| {
                let order = i32::from(order).rem_euclid(100) * 10 + number as i32;
                sayable(Law { language, namespace, subject, ingress, order, lines })
            },
        );
        let mut singles = BTreeSet::new();
        let only = |law: &Law| match law.language {
            Language::OldBaseline => singles.insert(None),
            Language::EgressFirewall => singles.insert(law.namespace),
            // A rule without any entry is refused.
            Language::Cilium(_) | Language::CiliumGlobal(_) => !law.lines.is_empty(),
            _ => true,
        };
        Cluster { dataplane, pods: pods.collect(), laws: laws.filter(only).collect() }
    })
}
