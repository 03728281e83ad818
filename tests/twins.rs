//! Two policies of one name cannot both exist, and files do not tell which does: what one of them
//! closes is not called closed, and what one of them encrypts not encrypted. The pages on the languages
//! have the problems that are told.

mod common;

use std::collections::BTreeSet;
use watertight::analysis::Analysis;
use watertight::model::{ExpectedProtection, Protocol};

const PODS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: x, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: x, labels: {app: a}}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: x, labels: {app: b}}
spec: {containers: [{name: c}]}
";

/// Connections between the pods beside two objects of the name `p`.
fn connections(api: &str, kind: &str, specs: [&str; 2]) -> Vec<String> {
    let object = |spec: &str| {
        format!("---\napiVersion: {api}\nkind: {kind}\nmetadata: {{name: p, namespace: x}}\nspec: {spec}\n")
    };
    let (analysis, problems) = common::analyse(&format!("{PODS}{}{}", object(specs[0]), object(specs[1])));
    let is_same = specs[0] == specs[1];
    let told = problems.iter().filter(|problem| problem.message.contains("the same name is taken")).count();
    assert_eq!((told, problems.len()), if is_same { (0, 0) } else { (1, 1) }, "{problems:?}");
    common::connection_lines(&analysis, false)
}

const OPEN: [&str; 2] = ["x/Pod/a -> x/Pod/b: all", "x/Pod/b -> x/Pod/a: all"];

#[test]
fn one_for_each_direction_isolates_in_neither() {
    let deny = |way: &str| format!("{{podSelector: {{matchLabels: {{app: b}}}}, policyTypes: [{way}]}}");
    let (into, out) = (deny("Ingress"), deny("Egress"));
    assert_eq!(connections("networking.k8s.io/v1", "NetworkPolicy", [&into, &out]), OPEN);
    assert_eq!(connections("networking.k8s.io/v1", "NetworkPolicy", [&into, &into]), OPEN[1..]);
}

#[test]
fn what_one_of_them_denies_may_be_let_in() {
    let deny = "{endpointSelector: {matchLabels: {app: b}}, ingressDeny: [{fromEndpoints: [{}]}]}";
    let out = "{endpointSelector: {matchLabels: {app: b}}, egress: [{toEndpoints: [{}]}]}";
    assert_eq!(connections("cilium.io/v2", "CiliumNetworkPolicy", [deny, out]), OPEN);
    assert_eq!(connections("cilium.io/v2", "CiliumNetworkPolicy", [deny, deny]), OPEN[1..]);
}

#[test]
fn in_meshes_too() {
    let deny = "{selector: {matchLabels: {app: b}}, action: DENY, rules: [{}]}";
    let allow = "{selector: {matchLabels: {app: b}}, rules: [{to: [{operation: {ports: ['80']}}]}]}";
    assert_eq!(connections("security.istio.io/v1", "AuthorizationPolicy", [deny, allow]), OPEN);
    let twice = connections("security.istio.io/v1", "AuthorizationPolicy", [deny, deny]);
    assert!(!twice.contains(&OPEN[0].to_owned()), "{twice:?}");
}

/// A language: what shows its dataplane or mesh, and objects, each with what may stand in it.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static [&'static str])]);

const OVN_NODE: &str =
    "apiVersion: v1\nkind: Node\nmetadata: {name: n, annotations: {k8s.ovn.org/node-subnets: '{}'}}\n";

const ROWS: &[Row] = &[
    (
        "NetworkPolicy",
        "",
        &[(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: x}\nspec: ",
            &[
                "{podSelector: {matchLabels: {app: b}}, ingress: []}",
                "{podSelector: {matchLabels: {app: b}}, ingress: [{ports: [{port: 80}]}]}",
                "{podSelector: {matchLabels: {app: b}}, ingress: [{ports: [{port: 90}]}]}",
                "{podSelector: {}, policyTypes: [Ingress, Egress]}",
            ],
        )],
    ),
    (
        "AdminNetworkPolicy",
        "",
        &[
            (
                "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: p}\nspec: ",
                &[
                    "{priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}",
                    "{priority: 1, subject: {namespaces: {}}, ingress: [{action: Allow, from: [{namespaces: {}}], ports: [{portNumber: {protocol: TCP, port: 80}}]}]}",
                    "{priority: 1, subject: {namespaces: {}}, ingress: [{action: Pass, from: [{namespaces: {}}]}]}",
                ],
            ),
            (
                "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: q}\nspec: ",
                &[
                    "{priority: 2, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}",
                    "{priority: 0, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}]}]}",
                ],
            ),
        ],
    ),
    (
        "BaselineAdminNetworkPolicy",
        "",
        &[(
            "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: BaselineAdminNetworkPolicy\nmetadata: {name: default}\nspec: ",
            &[
                "{subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}",
                "{subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], ports: [{portNumber: {protocol: TCP, port: 80}}]}]}",
            ],
        )],
    ),
    (
        "ClusterNetworkPolicy",
        "",
        &[(
            "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: p}\nspec: ",
            &[
                "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}",
                "{tier: Baseline, priority: 1, subject: {namespaces: {}}, ingress: [{action: Accept, from: [{namespaces: {}}]}]}",
            ],
        )],
    ),
    (
        "OVN-Kubernetes",
        OVN_NODE,
        &[(
            "apiVersion: k8s.ovn.org/v1\nkind: EgressFirewall\nmetadata: {name: default, namespace: x}\nspec: ",
            &[
                "{egress: [{type: Deny, to: {cidrSelector: 0.0.0.0/0}}]}",
                "{egress: [{type: Allow, to: {cidrSelector: 0.0.0.0/0}}]}",
                "{egress: [{type: Allow, to: {cidrSelector: 8.8.8.0/24}}, {type: Deny, to: {cidrSelector: 0.0.0.0/0}}]}",
            ],
        )],
    ),
    (
        "Cilium",
        "",
        &[(
            "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p, namespace: x}\nspec: ",
            &[
                "{endpointSelector: {matchLabels: {app: b}}, ingress: [{}]}",
                "{endpointSelector: {matchLabels: {app: b}}, ingressDeny: [{fromEndpoints: [{}]}]}",
                "{endpointSelector: {matchLabels: {app: b}}, ingress: [{fromEndpoints: [{}], toPorts: [{ports: [{port: '80', protocol: TCP}]}]}]}",
            ],
        )],
    ),
    (
        "Calico",
        "",
        &[
            (
                "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: p}\nspec: ",
                &[
                    "{selector: app == 'b', types: [Ingress], ingress: [{action: Deny}]}",
                    "{selector: app == 'b', order: 5, types: [Ingress], ingress: [{action: Allow}]}",
                    "{selector: app == 'b', types: [Ingress], ingress: [{action: Deny, source: {selector: t == 'in'}}, {action: Allow}]}",
                ],
            ),
            (
                "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata: {name: s, labels: {t: in}}\nspec: ",
                &["{nets: [10.0.0.1/32]}", "{nets: [10.0.0.9/32]}"],
            ),
        ],
    ),
    (
        "Istio policies",
        "",
        &[(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: x}\nspec: ",
            &[
                "{selector: {matchLabels: {app: b}}, action: DENY, rules: [{to: [{operation: {ports: ['80']}}]}]}",
                "{selector: {matchLabels: {app: b}}, rules: [{to: [{operation: {ports: ['90']}}]}]}",
                "{}",
            ],
        )],
    ),
    (
        "Istio transport",
        "",
        &[
            (
                "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: x}\nspec: ",
                &[
                    "{mtls: {mode: STRICT}}",
                    "{mtls: {mode: DISABLE}}",
                    "{mtls: {mode: PERMISSIVE}}",
                    "{selector: {matchLabels: {app: b}}, mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}}}",
                ],
            ),
            (
                "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d, namespace: x}\nspec: ",
                &[
                    "{host: b.x.svc.cluster.local, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}",
                    "{host: b.x.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}}",
                ],
            ),
        ],
    ),
    (
        "Linkerd",
        "",
        &[
            (
                "apiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: {name: p, namespace: x}\nspec: ",
                &[
                    "{podSelector: {matchLabels: {app: b}}, port: 80}",
                    "{podSelector: {matchLabels: {app: b}}, port: 90}",
                    "{podSelector: {matchLabels: {app: b}}, port: 80, accessPolicy: all-unauthenticated}",
                ],
            ),
            (
                "apiVersion: policy.linkerd.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: x}\nspec: ",
                &[
                    "{targetRef: {group: policy.linkerd.io, kind: Server, name: p}, requiredAuthenticationRefs: [{kind: ServiceAccount, name: default}]}",
                    "{targetRef: {group: policy.linkerd.io, kind: Server, name: p}, requiredAuthenticationRefs: [{kind: ServiceAccount, name: other}]}",
                ],
            ),
        ],
    ),
    (
        "Consul",
        "",
        &[
            (
                "apiVersion: consul.hashicorp.com/v1alpha1\nkind: ServiceIntentions\nmetadata: {name: p, namespace: x}\nspec: ",
                &[
                    "{destination: {name: b}, sources: [{name: '*', action: deny}]}",
                    "{destination: {name: b}, sources: [{name: a, action: allow}]}",
                ],
            ),
            (
                "apiVersion: consul.hashicorp.com/v1alpha1\nkind: Mesh\nmetadata: {name: mesh, namespace: x}\nspec: ",
                &[
                    "{allowEnablingPermissiveMutualTLS: true}",
                    "{transparentProxy: {meshDestinationsOnly: true}}",
                ],
            ),
        ],
    ),
    (
        "Cilium's settings",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: np, namespace: x}\nspec: {podSelector: {matchLabels: {app: b}}, ingress: [{ports: [{port: 80}]}]}\n---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: cnp, namespace: x}\nspec: {endpointSelector: {}, ingress: [{toPorts: [{ports: [{port: '90', protocol: TCP}]}]}]}\n",
        &[(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cilium-config, namespace: kube-system}\ndata: ",
            &[
                "{}",
                "{enable-policy: never}",
                "{enable-policy: always}",
                "{enable-k8s-networkpolicy: 'false'}",
                "{enable-cilium-network-policy: 'false'}",
                "{enable-wireguard: 'true'}",
            ],
        )],
    ),
    (
        "Istio's settings",
        "",
        &[(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata: ",
            &[
                "{mesh: 'enableAutoMtls: true'}",
                "{mesh: 'enableAutoMtls: false'}",
                "{mesh: 'outboundTrafficPolicy: {mode: REGISTRY_ONLY}'}",
            ],
        )],
    ),
    (
        "Linkerd's settings",
        "",
        &[(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: linkerd-config, namespace: linkerd}\ndata: ",
            &[
                "{values: \"proxy:\\n  defaultInboundPolicy: all-unauthenticated\"}",
                "{values: \"proxy:\\n  defaultInboundPolicy: deny\"}",
                "{values: \"proxy:\\n  defaultInboundPolicy: all-authenticated\"}",
            ],
        )],
    ),
];

/// Who is there; how a mesh has them stands in place of `NAMESPACE` and `POD`.
const ALL: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: x, NAMESPACE}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: x}
spec: {selector: {app: b}, ports: [{name: http, port: 80}, {name: tcp, port: 90}]}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: x, labels: {app: a}, POD}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: x, labels: {app: b}, POD}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.2, podIPs: [{ip: 10.0.0.2}]}
";

/// What passes between the pods at two ports, and to the outside, with the weakest protection that it has.
fn passing(analysis: &Analysis) -> Vec<Option<ExpectedProtection>> {
    let workload = |name: &str| {
        let found = analysis.inventory.workloads.iter().position(|w| &*w.name.name == name);
        analysis.graph.classes_of(found.expect("a pod"))[0]
    };
    let (a, b) = (workload("a"), workload("b"));
    let outside = analysis.graph.atom_of(std::net::IpAddr::from([8, 8, 8, 8]));
    let ways = [(a, b, 80), (a, b, 90), (b, a, 80), (b, a, 90), (a, outside, 80)];
    let weakest = |(from, to, port): (u32, u32, u16)| {
        let edge = analysis.graph.edge(from, to);
        let Some(mesh) = &edge.mesh else {
            return edge.traffic.contains(Protocol::Tcp, port).then_some(ExpectedProtection::Unknown);
        };
        let legs = mesh.legs.iter().filter(|leg| leg.traffic.contains(Protocol::Tcp, port));
        legs.map(|leg| leg.protection).max().filter(|_| mesh.allowed.contains(Protocol::Tcp, port))
    };
    ways.into_iter().map(weakest).collect()
}

/// Each choice of one from each list.
fn choices(lists: &[&[String]]) -> Vec<Vec<String>> {
    lists.iter().fold(vec![Vec::new()], |all, list| {
        let with = |known: &Vec<String>, one: &String| known.iter().cloned().chain([one.clone()]).collect();
        all.iter().flat_map(|known| list.iter().map(move |one| with(known, one))).collect()
    })
}

#[test]
fn what_is_shown_holds_whichever_of_them_there_is() {
    for (language, setting, objects) in ROWS {
        let texts = objects.iter().map(|(head, specs)| {
            specs.iter().map(|spec| format!("---\n{head}{spec}\n")).collect::<Vec<String>>()
        });
        let texts: Vec<Vec<String>> = texts.collect();
        let lists: Vec<&[String]> = texts.iter().map(Vec::as_slice).collect();
        let answer = |parts: &[String]| {
            let namespace = match *language {
                _ if language.starts_with("Linkerd") => "annotations: {linkerd.io/inject: enabled}",
                _ if language.starts_with("Istio") => "labels: {istio-injection: enabled}",
                _ => "labels: {}",
            };
            let pod = match *language {
                "Consul" => "annotations: {consul.hashicorp.com/connect-inject: 'true'}",
                _ => "annotations: {}",
            };
            // A pod that runs shows whether it has a proxy.
            let runs = |line: &&str| *language == "Calico" || !line.starts_with("status:");
            let all = ALL.lines().filter(runs).collect::<Vec<_>>().join("\n");
            let all = all.replace("NAMESPACE", namespace).replace("POD", pod);
            let text = format!("{all}\n---\n{setting}{}", parts.concat());
            let (analysis, problems) = common::analyse(&text);
            (passing(&analysis), problems)
        };
        let (all, problems) = answer(&texts.concat());
        let told =
            problems.iter().filter(|problem| problem.message.contains("the same name is taken")).count();
        let expected: usize = texts.iter().map(|list| list.len() - 1).sum();
        assert_eq!((told, problems.len()), (expected, expected), "{language}: {problems:?}");
        let mut seen = BTreeSet::new();
        for world in choices(&lists) {
            let (one, problems) = answer(&world);
            assert!(problems.is_empty(), "{language}: {problems:?} {world:?}");
            assert!(
                one.iter().zip(&all).all(|(one, all)| one <= all),
                "{language}: {one:?} {all:?} {world:?}"
            );
            seen.insert(one);
        }
        assert!(seen.len() > 1, "{language}: what stands there makes no difference");
    }
}

#[test]
fn what_each_of_them_closes_is_closed() {
    let deny = |ports: &str| {
        format!("{{podSelector: {{matchLabels: {{app: b}}}}, ingress: [{{ports: [{ports}]}}]}}")
    };
    let (web, both) = (deny("{port: 80}"), deny("{port: 80}, {port: 90}"));
    let told = connections("networking.k8s.io/v1", "NetworkPolicy", [&web, &both]);
    assert_eq!(told, ["x/Pod/a -> x/Pod/b: TCP 80,90", OPEN[1]]);
}

#[test]
fn hundreds_of_one_name_are_looked_at_too() {
    let one = |port: usize| {
        format!(
            "---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: p{}, namespace: x}}\nspec: {{endpointSelector: {{matchLabels: {{app: b}}}}, ingress: [{{toPorts: [{{ports: [{{port: '{port}', protocol: TCP}}]}}]}}]}}\n",
            port % 2
        )
    };
    let isolating = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: n, namespace: x}\nspec: {podSelector: {matchLabels: {app: b}}}\n";
    let text = format!("{PODS}{}{isolating}", (1..=300).map(one).collect::<String>());
    let (analysis, problems) = common::analyse(&text);
    assert_eq!(problems.len(), 298);
    assert_eq!(common::connection_lines(&analysis, false), ["x/Pod/a -> x/Pod/b: TCP 1-300", OPEN[1]]);
}
