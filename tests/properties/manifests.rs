//! The same cluster as its users would write it.

use super::cluster::{
    Action, AdminPeer, AdminPolicy, AdminPort, AdminRule, Cluster, Generation, Labels, Peer, Port, Rule,
    Stage, Term,
};
use std::fmt::Write as _;
use watertight::model::Protocol;

pub fn terms_yaml(terms: &[Term]) -> String {
    let one = |t: &Term| match t.values.is_empty() {
        true => format!("{{key: {}, operator: {}}}", t.key, t.operator),
        false => format!("{{key: {}, operator: {}, values: [{}]}}", t.key, t.operator, t.values.join(", ")),
    };
    format!("{{matchExpressions: [{}]}}", terms.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn peer_yaml(peer: &Peer) -> String {
    match peer {
        Peer::Block { cidr, except: None } => format!("{{ipBlock: {{cidr: \"{cidr}\"}}}}"),
        Peer::Block { cidr, except: Some(e) } => {
            format!("{{ipBlock: {{cidr: \"{cidr}\", except: [\"{e}\"]}}}}")
        }
        Peer::Pods { namespaces, pods } => {
            let mut parts = Vec::new();
            parts.extend(namespaces.as_ref().map(|t| format!("namespaceSelector: {}", terms_yaml(t))));
            parts.extend(pods.as_ref().map(|t| format!("podSelector: {}", terms_yaml(t))));
            format!("{{{}}}", parts.join(", "))
        }
    }
}

fn port_yaml(port: &Port) -> String {
    match port {
        Port::Any(p) => format!("{{protocol: {p}}}"),
        Port::Number(p, first, None) => format!("{{protocol: {p}, port: {first}}}"),
        Port::Number(p, first, Some(last)) => format!("{{protocol: {p}, port: {first}, endPort: {last}}}"),
        Port::Named(p, name) => format!("{{protocol: {p}, port: {name}}}"),
    }
}

fn rules_yaml(rules: &[Rule], peers: &str) -> String {
    let list = |items: Vec<String>| items.join(", ");
    let one = |rule: &Rule| {
        format!(
            "{{{peers}: [{}], ports: [{}]}}",
            list(rule.peers.iter().map(peer_yaml).collect()),
            list(rule.ports.iter().map(port_yaml).collect())
        )
    };
    list(rules.iter().map(one).collect())
}

pub fn manifests(cluster: &Cluster) -> Vec<String> {
    let mut all = Vec::new();
    let labels = |l: &Labels| l.iter().map(|(k, v)| format!("{k}: {v}")).collect::<Vec<_>>().join(", ");
    for (number, namespace) in cluster.namespaces.iter().enumerate() {
        let labels = labels(namespace);
        all.push(format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: n{number}, labels: {{{labels}}}}}\n"
        ));
    }
    for (number, pod) in cluster.pods.iter().enumerate() {
        let mut ports = String::new();
        for (name, port, protocol) in &pod.ports {
            let _ = write!(ports, "{{name: {name}, containerPort: {port}, protocol: {protocol}}}, ");
        }
        all.push(format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, namespace: n{}, labels: {{{}}}}}\n\
             spec: {{containers: [{{name: c, ports: [{ports}]}}]}}\nstatus: {{podIP: \"{}\"}}\n",
            pod.namespace,
            labels(&pod.labels),
            pod.ip
        ));
    }
    for (number, policy) in cluster.policies.iter().enumerate() {
        let types = match &policy.types {
            Some(types) => format!("policyTypes: [{}], ", types.join(", ")),
            None => String::new(),
        };
        all.push(format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
             metadata: {{name: np{number}, namespace: n{}}}\n\
             spec: {{podSelector: {}, {types}ingress: [{}], egress: [{}]}}\n",
            policy.namespace,
            terms_yaml(&policy.subjects),
            rules_yaml(&policy.ingress, "from"),
            rules_yaml(&policy.egress, "to")
        ));
    }
    all.extend(cluster.admin.iter().map(admin_yaml));
    all
}

fn admin_peer_yaml(peer: &AdminPeer) -> String {
    match peer {
        AdminPeer::Namespaces(terms) => format!("{{namespaces: {}}}", terms_yaml(terms)),
        AdminPeer::Pods(namespaces, pods) => format!(
            "{{pods: {{namespaceSelector: {}, podSelector: {}}}}}",
            terms_yaml(namespaces),
            terms_yaml(pods)
        ),
        AdminPeer::Networks(cidrs) => format!("{{networks: [{}]}}", quoted(cidrs)),
    }
}

fn quoted(texts: &[String]) -> String {
    texts.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", ")
}

fn admin_port_yaml(port: &AdminPort, generation: Generation) -> String {
    let lower = |protocol: &Protocol| protocol.name().to_lowercase();
    match (generation, port) {
        (Generation::First, AdminPort::Number(p, n)) => {
            format!("{{portNumber: {{protocol: {p}, port: {n}}}}}")
        }
        (Generation::First, AdminPort::Range(p, first, last)) => {
            format!("{{portRange: {{protocol: {p}, start: {first}, end: {last}}}}}")
        }
        (Generation::First, AdminPort::Named(name)) => format!("{{namedPort: {name}}}"),
        (Generation::Second, AdminPort::Number(p, n)) => {
            format!("{{{}: {{destinationPort: {{number: {n}}}}}}}", lower(p))
        }
        (Generation::Second, AdminPort::Range(p, first, last)) => {
            format!("{{{}: {{destinationPort: {{range: {{start: {first}, end: {last}}}}}}}}}", lower(p))
        }
        (Generation::Second, AdminPort::Named(name)) => format!("{{destinationNamedPort: {name}}}"),
    }
}

fn admin_rules_yaml(rules: &[AdminRule], peers: &str, generation: Generation) -> String {
    let (accept, field) = match generation {
        Generation::First => ("Allow", "ports"),
        Generation::Second => ("Accept", "protocols"),
    };
    let one = |rule: &AdminRule| {
        let action = match rule.action {
            Action::Allow => accept,
            Action::Deny => "Deny",
            Action::Pass => "Pass",
        };
        let list: Vec<String> = rule.peers.iter().map(admin_peer_yaml).collect();
        let ports: Vec<String> = rule.ports.iter().map(|port| admin_port_yaml(port, generation)).collect();
        let ports = match ports.is_empty() {
            true => String::new(),
            false => format!(", {field}: [{}]", ports.join(", ")),
        };
        format!("{{action: {action}, {peers}: [{}]{ports}}}", list.join(", "))
    };
    rules.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn admin_yaml(policy: &AdminPolicy) -> String {
    let AdminPolicy { stage, generation, name, priority, subjects, ingress, egress } = policy;
    let (version, kind, head) = match (generation, stage) {
        (Generation::First, Stage::Admin) => {
            ("v1alpha1", "AdminNetworkPolicy", format!("priority: {priority}, "))
        }
        (Generation::First, Stage::Baseline) => ("v1alpha1", "BaselineAdminNetworkPolicy", String::new()),
        (Generation::Second, _) => {
            ("v1alpha2", "ClusterNetworkPolicy", format!("tier: {stage:?}, priority: {priority}, "))
        }
    };
    format!(
        "apiVersion: policy.networking.k8s.io/{version}\nkind: {kind}\nmetadata: {{name: {name}}}\n\
         spec: {{{head}subject: {}, ingress: [{}], egress: [{}]}}\n",
        admin_peer_yaml(subjects),
        admin_rules_yaml(ingress, "from", *generation),
        admin_rules_yaml(egress, "to", *generation)
    )
}
