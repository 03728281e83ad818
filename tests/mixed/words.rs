//! The same cluster as manifests, each law in its language.

use super::law::{Action, App, Cluster, Language, Law, Line, Scope, TIERS, Traffic, Whom};

pub fn manifests(cluster: &Cluster) -> String {
    let mut all = Vec::new();
    for n in 0..2 {
        all.push(format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: x{n}, labels: {{team: t{n}}}}}}}"
        ));
    }
    for (number, pod) in cluster.pods.iter().enumerate() {
        let (namespace, app, web, ip) = (pod.namespace, pod.app, pod.web, pod.ip);
        all.push(format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: w{number}, namespace: x{namespace}, labels: {{app: a{app}}}}}, \
             spec: {{containers: [{{name: c, ports: [{{name: web, containerPort: {web}}}]}}]}}, status: {{podIP: {ip}}}}}"
        ));
    }
    let used = |(tier, _): &(usize, _)| {
        cluster.laws.iter().any(
            |law| matches!(law.language, Language::Calico(of) | Language::CalicoGlobal(of) if of == *tier),
        )
    };
    for (_, (name, order, passes)) in TIERS.iter().enumerate().filter(used).filter(|(_, t)| t.0 != "default")
    {
        let end = if *passes { "Pass" } else { "Deny" };
        all.push(format!(
            "{{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {{name: {name}}}, spec: {{order: {order}, defaultAction: {end}}}}}"
        ));
    }
    all.extend(cluster.laws.iter().enumerate().map(|(number, law)| written(number, law)));
    all.join("\n---\n") + "\n"
}

/// Ingress and egress differ in these words.
fn sides(law: &Law) -> (&'static str, &'static str) {
    if law.ingress { ("ingress", "from") } else { ("egress", "to") }
}

fn labels(app: App) -> String {
    match app {
        App::Any => "{}".to_owned(),
        App::Is(app) => format!("{{matchLabels: {{app: a{app}}}}}"),
        App::Not(app) => format!("{{matchExpressions: [{{key: app, operator: NotIn, values: [a{app}]}}]}}"),
    }
}

fn team(namespace: Option<usize>) -> String {
    namespace.map_or_else(|| "{}".to_owned(), |n| format!("{{matchLabels: {{team: t{n}}}}}"))
}

fn list(lines: impl Iterator<Item = String>) -> String {
    format!("[{}]", lines.collect::<Vec<_>>().join(", "))
}

fn written(number: usize, law: &Law) -> String {
    let own = law.namespace.map_or_else(String::new, |n| format!(", namespace: x{n}"));
    let (direction, _) = sides(law);
    let rules = |one: fn(&Law, &Line) -> String| list(law.lines.iter().map(|line| one(law, line)));
    match law.language {
        Language::NetworkPolicy => {
            let kind = if law.ingress { "Ingress" } else { "Egress" };
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: k{number}{own}}}\n\
                 spec: {{podSelector: {}, policyTypes: [{kind}], {direction}: {}}}",
                labels(law.subject),
                rules(kubernetes)
            )
        }
        Language::OldAdmin | Language::OldBaseline | Language::Admin | Language::Baseline => {
            let order = law.order;
            let (version, kind, name, head) = match law.language {
                // OVN-Kubernetes takes priorities up to 99; the names tell equal ones apart.
                Language::OldAdmin => (
                    "v1alpha1",
                    "AdminNetworkPolicy",
                    format!("o{number}"),
                    format!("priority: {}, ", order / 10),
                ),
                Language::OldBaseline => {
                    ("v1alpha1", "BaselineAdminNetworkPolicy", "default".to_owned(), String::new())
                }
                Language::Admin => (
                    "v1alpha2",
                    "ClusterNetworkPolicy",
                    format!("n{number}"),
                    format!("tier: Admin, priority: {order}, "),
                ),
                _ => (
                    "v1alpha2",
                    "ClusterNetworkPolicy",
                    format!("n{number}"),
                    format!("tier: Baseline, priority: {order}, "),
                ),
            };
            let subject = format!(
                "{{pods: {{namespaceSelector: {}, podSelector: {}}}}}",
                team(law.namespace),
                labels(law.subject)
            );
            format!(
                "apiVersion: policy.networking.k8s.io/{version}\nkind: {kind}\nmetadata: {{name: {name}}}\n\
                 spec: {{{head}subject: {subject}, {direction}: {}}}",
                rules(administrators)
            )
        }
        Language::Calico(tier) | Language::CalicoGlobal(tier) => {
            let (kind, place, more) = match (law.language, law.namespace) {
                (Language::CalicoGlobal(_), Some(n)) => {
                    ("GlobalNetworkPolicy", String::new(), format!("namespaceSelector: \"team == 't{n}'\", "))
                }
                (Language::CalicoGlobal(_), None) => ("GlobalNetworkPolicy", String::new(), String::new()),
                _ => ("NetworkPolicy", own, String::new()),
            };
            let kind_of = if law.ingress { "Ingress" } else { "Egress" };
            format!(
                "apiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {{name: c{number}{place}}}\n\
                 spec: {{tier: {}, order: {}, selector: \"{}\", {more}types: [{kind_of}], {direction}: {}}}",
                TIERS[tier].0,
                law.order,
                selector(law.subject),
                rules(calico)
            )
        }
        Language::Cilium(isolates) | Language::CiliumGlobal(isolates) => {
            let global = matches!(law.language, Language::CiliumGlobal(_));
            let (kind, place) = match global {
                true => ("CiliumClusterwideNetworkPolicy", String::new()),
                false => ("CiliumNetworkPolicy", own),
            };
            let subject =
                identity(law.namespace.filter(|_| global).map_or(Scope::Own, Scope::One), law.subject);
            let of = |deny: bool| {
                let lines = law.lines.iter().filter(|line| (line.action == Action::Deny) == deny);
                list(lines.map(|line| cilium(law, line)))
            };
            format!(
                "apiVersion: cilium.io/v2\nkind: {kind}\nmetadata: {{name: c{number}{place}}}\n\
                 spec: {{endpointSelector: {subject}, enableDefaultDeny: {{{direction}: {isolates}}}, \
                 {direction}: {}, {direction}Deny: {}}}",
                of(false),
                of(true)
            )
        }
        Language::EgressFirewall => format!(
            "apiVersion: k8s.ovn.org/v1\nkind: EgressFirewall\nmetadata: {{name: default{own}}}\nspec: {{egress: {}}}",
            rules(firewall)
        ),
    }
}

fn kubernetes(law: &Law, line: &Line) -> String {
    let peer = match line.whom {
        Whom::Anyone => String::new(),
        Whom::Block(cidr) => format!("{{ipBlock: {{cidr: {cidr}}}}}"),
        Whom::Pods(Scope::Own, app) => format!("{{podSelector: {}}}", labels(app)),
        Whom::Pods(Scope::Every, app) => format!("{{namespaceSelector: {{}}, podSelector: {}}}", labels(app)),
        Whom::Pods(Scope::One(n), app) => {
            format!("{{namespaceSelector: {}, podSelector: {}}}", team(Some(n)), labels(app))
        }
    };
    let ports = match line.traffic {
        Traffic::All => String::new(),
        Traffic::Tcp(first, last) => format!("{{port: {first}, endPort: {last}}}"),
        Traffic::Web => "{port: web}".to_owned(),
    };
    format!("{{{}: [{peer}], ports: [{ports}]}}", sides(law).1)
}

fn administrators(law: &Law, line: &Line) -> String {
    let old = matches!(law.language, Language::OldAdmin | Language::OldBaseline);
    let action = match line.action {
        Action::Allow if old => "Allow",
        Action::Allow => "Accept",
        Action::Deny => "Deny",
        Action::Pass => "Pass",
    };
    let peer = match line.whom {
        Whom::Anyone => unreachable!("not sayable"),
        Whom::Block(cidr) => format!("networks: [{cidr}]"),
        Whom::Pods(scope, app) => {
            let namespace = if let Scope::One(n) = scope { Some(n) } else { None };
            match app {
                App::Any => format!("namespaces: {}", team(namespace)),
                app => {
                    format!("pods: {{namespaceSelector: {}, podSelector: {}}}", team(namespace), labels(app))
                }
            }
        }
    };
    let ports = match (line.traffic, old) {
        (Traffic::All, _) => String::new(),
        (Traffic::Tcp(first, last), true) if first == last => {
            format!(", ports: [{{portNumber: {{protocol: TCP, port: {first}}}}}]")
        }
        (Traffic::Tcp(first, last), true) => {
            format!(", ports: [{{portRange: {{protocol: TCP, start: {first}, end: {last}}}}}]")
        }
        (Traffic::Web, true) => ", ports: [{namedPort: web}]".to_owned(),
        (Traffic::Tcp(first, last), false) if first == last => {
            format!(", protocols: [{{tcp: {{destinationPort: {{number: {first}}}}}}}]")
        }
        (Traffic::Tcp(first, last), false) => {
            format!(", protocols: [{{tcp: {{destinationPort: {{range: {{start: {first}, end: {last}}}}}}}}}]")
        }
        (Traffic::Web, false) => ", protocols: [{destinationNamedPort: web}]".to_owned(),
    };
    format!("{{action: {action}, {}: [{{{peer}}}]{ports}}}", sides(law).1)
}

fn selector(app: App) -> String {
    match app {
        App::Any => "all()".to_owned(),
        App::Is(app) => format!("app == 'a{app}'"),
        App::Not(app) => format!("app != 'a{app}'"),
    }
}

fn calico(law: &Law, line: &Line) -> String {
    let peer = match line.whom {
        Whom::Anyone => String::new(),
        Whom::Block(cidr) => format!("nets: [{cidr}]"),
        Whom::Pods(Scope::Own, app) => format!("selector: \"{}\"", selector(app)),
        Whom::Pods(Scope::Every, app) => format!("selector: \"{}\", namespaceSelector: all()", selector(app)),
        Whom::Pods(Scope::One(n), app) => {
            format!("selector: \"{}\", namespaceSelector: \"team == 't{n}'\"", selector(app))
        }
    };
    let (protocol, ports) = match line.traffic {
        Traffic::All => ("", String::new()),
        Traffic::Tcp(first, last) => (", protocol: TCP", format!("ports: [\"{first}:{last}\"]")),
        Traffic::Web => (", protocol: TCP", "ports: [web]".to_owned()),
    };
    let (source, destination) = match (law.ingress, peer.is_empty(), ports.is_empty()) {
        (true, _, _) => (peer, ports),
        (false, false, false) => (String::new(), format!("{peer}, {ports}")),
        (false, _, _) => (String::new(), format!("{peer}{ports}")),
    };
    format!("{{action: {:?}{protocol}, source: {{{source}}}, destination: {{{destination}}}}}", line.action)
}

/// A selector of identities.
fn identity(scope: Scope, app: App) -> String {
    let key = "\"k8s:io.kubernetes.pod.namespace\"";
    let mut terms = Vec::new();
    match scope {
        Scope::Own => {}
        Scope::Every => terms.push(format!("{{key: {key}, operator: Exists}}")),
        Scope::One(n) => terms.push(format!("{{key: {key}, operator: In, values: [x{n}]}}")),
    }
    match app {
        App::Any => {}
        App::Is(app) => terms.push(format!("{{key: app, operator: In, values: [a{app}]}}")),
        App::Not(app) => terms.push(format!("{{key: app, operator: NotIn, values: [a{app}]}}")),
    }
    format!("{{matchExpressions: {}}}", list(terms.into_iter()))
}

fn cilium(law: &Law, line: &Line) -> String {
    let word = sides(law).1;
    let peer = match line.whom {
        Whom::Anyone => format!("{word}Entities: [all]"),
        Whom::Block(cidr) => format!("{word}CIDR: [{cidr}]"),
        Whom::Pods(scope, app) => format!("{word}Endpoints: [{}]", identity(scope, app)),
    };
    let ports = match line.traffic {
        Traffic::All => String::new(),
        Traffic::Tcp(first, last) if last > first => {
            format!(", toPorts: [{{ports: [{{port: \"{first}\", endPort: {last}, protocol: TCP}}]}}]")
        }
        Traffic::Tcp(first, _) => format!(", toPorts: [{{ports: [{{port: \"{first}\", protocol: TCP}}]}}]"),
        Traffic::Web => ", toPorts: [{ports: [{port: web, protocol: TCP}]}]".to_owned(),
    };
    format!("{{{peer}{ports}}}")
}

fn firewall(_: &Law, line: &Line) -> String {
    let Whom::Block(cidr) = line.whom else { unreachable!("not sayable") };
    let port = match line.traffic {
        Traffic::All => String::new(),
        Traffic::Tcp(first, _) => format!(", ports: [{{protocol: TCP, port: {first}}}]"),
        Traffic::Web => unreachable!("not sayable"),
    };
    format!("{{type: {:?}, to: {{cidrSelector: {cidr}}}{port}}}", line.action)
}
