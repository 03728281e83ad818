//! Cilium beside its page: what connections do not show (ICMP, conditions, exemptions), and the
//! engine against a naive evaluator on random clusters.
//!
//! The naive evaluator is written from the prose of the documentation: it goes through rules packet
//! by packet, knows no tiers, no classes and no sets, and is as slow as it looks.

mod common;

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use watertight::analysis::Analysis;
use watertight::graph::Exemption;
use watertight::model::{IpProtocols, Protocol, TrafficSet};
use watertight::policy::{Dataplane, DataplaneKind};

fn cilium(settings: &[(&str, &str)]) -> Dataplane {
    let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Dataplane::new(DataplaneKind::Cilium).with_settings(settings.collect())
}

fn pod(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: x, labels: {{app: {name}}}}}\n\
         spec: {{containers: [{{name: c}}]}}\n---\n"
    )
}

/// Pods `a` and `b`, and a policy for `a` with these lists, each on a line.
fn with_rule(lists: &str) -> String {
    let lists: String = lists.lines().map(|line| format!("  {line}\n")).collect();
    let policy = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p, namespace: x}\nspec:\n  \
                  endpointSelector: {matchLabels: {app: a}}\n";
    format!("{}{}{policy}{lists}", pod("a"), pod("b"))
}

fn class(analysis: &Analysis, name: &str) -> u32 {
    let index = analysis.inventory.workloads.iter().position(|w| w.name.name == name);
    analysis.graph.class_of(index.expect("the pod"), 0)
}

/// What `b` may send to `a`, and which part of it only under conditions.
fn to_a(manifests: &str, settings: &[(&str, &str)]) -> (TrafficSet, TrafficSet, Vec<String>) {
    let (analysis, problems) = common::analyse_on(manifests, Some(cilium(settings)));
    assert!(problems.is_empty(), "{problems:?}");
    let edge = analysis.graph.edge(class(&analysis, "b"), class(&analysis, "a"));
    let conditions = edge.because().into_iter().filter_map(|rule| {
        let narrowed = &analysis.graph.rules[rule as usize].rule.narrowed;
        narrowed.as_ref().map(ToString::to_string)
    });
    (edge.traffic.clone(), edge.narrowed(), conditions.collect())
}

fn pings(traffic: &TrafficSet) -> bool {
    traffic.portless.contains(IpProtocols::ICMP)
}

#[test]
fn c_10_an_entry_with_ports_lets_no_ping_in() {
    let port = "[{ports: [{port: \"80\", protocol: TCP}]}]";
    let (traffic, _, _) = to_a(
        &with_rule(&format!("ingress:\n- fromEndpoints: [{{matchLabels: {{app: b}}}}]\n  toPorts: {port}")),
        &[],
    );
    assert!(traffic.contains(Protocol::Tcp, 80) && !pings(&traffic));
    let (traffic, _, _) = to_a(&with_rule("ingress:\n- fromEndpoints: [{matchLabels: {app: b}}]"), &[]);
    assert!(pings(&traffic), "C-11: without ports everything is meant");
    let (traffic, _, _) =
        to_a(&with_rule(&format!("ingress:\n- fromEntities: [all]\ningressDeny:\n- toPorts: {port}")), &[]);
    assert!(pings(&traffic) && !traffic.contains(Protocol::Tcp, 80), "C-23: a denied port leaves ping alone");
    let (traffic, _, _) = to_a(
        &with_rule(
            "ingress:\n- fromEntities: [all]\ningressDeny:\n- fromEndpoints: [{matchLabels: {app: b}}]",
        ),
        &[],
    );
    assert!(traffic.is_empty(), "C-23: a denied client may not ping");
}

#[test]
fn icmp_types_are_conditions() {
    let rule = with_rule(
        "ingress:\n- fromEndpoints: [{}]\n  icmps: [{fields: [{type: 8}, {type: EchoRequest, family: IPv6}]}]",
    );
    let (traffic, narrowed, conditions) = to_a(&rule, &[]);
    assert_eq!(traffic, narrowed);
    assert_eq!(traffic.to_string(), "ICMP,ICMPv6");
    assert_eq!(conditions, ["ICMP types 8", "ICMP types EchoRequest"]);
    let (_, problems) = common::analyse_on(&rule, Some(cilium(&[("enable-icmp-rules", "false")])));
    assert_eq!(problems.len(), 1, "the agent refuses them where they are switched off");
}

#[test]
fn c_36_requests_are_conditions_and_c_37_a_plain_rule_lifts_them() {
    let http = "- fromEndpoints: [{matchLabels: {app: b}}]\n  \
                toPorts: [{ports: [{port: \"80\", protocol: TCP}], rules: {http: [{method: GET, path: /a}, {method: HEAD}]}}]";
    let (traffic, narrowed, conditions) = to_a(&with_rule(&format!("ingress:\n{http}")), &[]);
    assert!(traffic.contains(Protocol::Tcp, 80) && narrowed.contains(Protocol::Tcp, 80));
    assert_eq!(conditions, ["methods GET HEAD"], "a path that one rule leaves open is no condition");
    let plain = "- fromEndpoints: [{}]\n  toPorts: [{ports: [{port: \"80\", protocol: TCP}]}]";
    let (_, narrowed, _) = to_a(&with_rule(&format!("ingress:\n{http}\n{plain}")), &[]);
    assert!(narrowed.is_empty());
    let (_, problems) = common::analyse_on(
        &with_rule(&format!("ingress:\n{http}")),
        Some(cilium(&[("enable-l7-proxy", "false")])),
    );
    assert!(problems[0].message.contains("without the L7 proxy"), "{problems:?}");
}

#[test]
fn other_conditions_above_packets_are_kept() {
    let port = "ports: [{port: \"443\", protocol: TCP}]";
    for (rule, condition) in [
        (format!("toPorts: [{{{port}, serverNames: [a.example.com]}}]"), "TLS server names a.example.com"),
        (
            format!("toPorts: [{{{port}, rules: {{http: [{{host: h, headers: [X-A]}}]}}}}]"),
            "hosts h, headers X-A",
        ),
        (format!("toPorts: [{{{port}, rules: {{http: [{{}}]}}}}]"), "HTTP"),
        ("authentication: {mode: required}".to_owned(), "mutual authentication"),
    ] {
        let (traffic, narrowed, conditions) =
            to_a(&with_rule(&format!("ingress:\n- fromEndpoints: [{{}}]\n  {rule}")), &[]);
        assert!(traffic.contains(Protocol::Tcp, 443), "{rule}");
        assert_eq!((traffic, conditions.join("; ")), (narrowed, condition.to_owned()), "{rule}");
    }
}

#[test]
fn kafka_and_other_parsers_are_conditions_in_old_versions_and_refused_in_new_ones() {
    let port = "ports: [{port: \"443\", protocol: TCP}]";
    for (rules, condition) in [
        ("kafka: [{topic: t}]", "Kafka requests that the rules list"),
        ("l7proto: r2d2, l7: [{cmd: READ}]", "r2d2 requests that its parser lets through"),
    ] {
        let entry = format!("ingress:\n- fromEndpoints: [{{}}]\n  toPorts: [{{{port}, rules: {{{rules}}}}}]");
        let manifests = with_rule(&entry);
        let old = Dataplane { version: Some((1, 19)), ..cilium(&[]) };
        let (analysis, _) = common::analyse_on(&manifests, Some(old));
        let edge = analysis.graph.edge(class(&analysis, "b"), class(&analysis, "a"));
        let because = edge.because()[0] as usize;
        let narrowed = analysis.graph.rules[because].rule.narrowed.as_ref().map(ToString::to_string);
        assert_eq!(narrowed.as_deref(), Some(condition));
        let (analysis, problems) = common::analyse_on(&manifests, Some(cilium(&[])));
        assert!(problems[0].hint.contains("removed in 1.20"), "{problems:?}");
        assert!(analysis.graph.edge(class(&analysis, "b"), class(&analysis, "a")).traffic.is_all());
    }
}

#[test]
fn entities_that_are_a_part_of_the_nodes_are_conditions() {
    let host = "apiVersion: v1\nkind: Pod\nmetadata: {name: h, namespace: y}\n\
                spec: {hostNetwork: true, containers: [{name: c}]}\n---\n";
    for (entities, partly) in [("[host]", true), ("[remote-node]", true), ("[host, remote-node]", false)] {
        let manifests = format!("{host}{}", with_rule(&format!("ingress:\n- fromEntities: {entities}")));
        let (analysis, _) = common::analyse_on(&manifests, Some(cilium(&[])));
        let edge = analysis.graph.edge(class(&analysis, "h"), class(&analysis, "a"));
        assert!(edge.traffic.is_all(), "{entities}");
        assert_eq!(!edge.narrowed().is_empty(), partly, "{entities}");
    }
}

#[test]
fn c_22_the_own_node_is_exempt_unless_the_settings_say_otherwise() {
    let host = "apiVersion: v1\nkind: Pod\nmetadata: {name: h, namespace: y}\n\
                spec: {hostNetwork: true, containers: [{name: c}]}\n---\n";
    let manifests = format!("{host}{}", with_rule("ingress:\n- {}"));
    for (setting, exempt) in [("auto", Exemption::LocalNode), ("policy", Exemption::None)] {
        let (analysis, _) = common::analyse_on(&manifests, Some(cilium(&[("allow-localhost", setting)])));
        let edge = analysis.graph.edge(class(&analysis, "h"), class(&analysis, "a"));
        assert_eq!(edge.exemption, exempt, "{setting}");
    }
}

#[test]
fn c_54_a_refused_object_leaves_its_subjects_open() {
    let manifests = with_rule("ingress:\n- fromEntities: [nobody]\ningressDeny:\n- fromEntities: [all]");
    let (analysis, problems) = common::analyse_on(&manifests, Some(cilium(&[])));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].origin.line > 0 && problems[0].hint.contains("kube-apiserver"), "{problems:?}");
    assert!(analysis.graph.edge(class(&analysis, "b"), class(&analysis, "a")).traffic.is_all());
}

#[test]
fn what_the_settings_switch_off_says_which_setting() {
    let dataplane = cilium(&[("policy-audit-mode", "true")]);
    assert!(dataplane.ignored_kinds["CiliumNetworkPolicy"].contains("policy-audit-mode"));
    assert!(cilium(&[]).ignored_kinds.keys().all(|kind| kind == "ClusterNetworkPolicy"));
}

#[test]
fn the_version_is_that_of_the_agents_image() {
    let agent = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: cilium, namespace: kube-system}\n\
                 spec: {template: {spec: {containers: [{name: cilium-agent, image: \"quay.io/cilium/cilium:v1.16.3@sha256:00\"}]}}}\n";
    let (analysis, _) = common::analyse_on(agent, None);
    assert_eq!(analysis.graph.dataplane.kind, DataplaneKind::Cilium);
    assert_eq!(analysis.graph.dataplane.version, Some((1, 16)));
}

#[test]
fn a_name_that_an_answer_gave_leads_to_the_rules_that_mean_it() {
    let rules = "egress:\n- toEntities: [world]\n  toPorts: [{ports: [{port: \"53\", protocol: UDP}], rules: {dns: [{matchPattern: \"*\"}]}}]\n\
                 - toFQDNs: [{matchName: api.example.com}, {matchPattern: \"*.example.com\"}]\n  toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]";
    let (analysis, _) = common::analyse_on(&with_rule(rules), Some(cilium(&[])));
    let may = |name: &str| {
        let source = class(&analysis, "a");
        let mut peers = analysis.graph.named(name).peekable();
        peers.peek().map(|peer| analysis.graph.edge(source, *peer).traffic.contains(Protocol::Tcp, 443))
    };
    assert_eq!((may("API.example.com."), may("b.example.com")), (Some(true), Some(true)));
    assert_eq!((may("example.com"), may("a.b.example.com")), (None, None));
}

#[test]
fn mutated_policies_do_no_harm() {
    let page = include_str!("../docs/semantics/cilium.md");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % limit.max(1) as u64) as usize
    };
    let dataplane = cilium(&[("enable-host-firewall", "true"), ("labels", "k8s:a.* k8s:!b(")]);
    for text in blocks {
        let words: Vec<&str> = text.split_inclusive([' ', '\n']).collect();
        for _ in 0..20 {
            let mut mutated: Vec<&str> = words.clone();
            for _ in 0..1 + below(4) {
                let (at, other) = (below(mutated.len()), below(words.len()));
                match below(3) {
                    0 => mutated[at] = words[other],
                    1 => drop(mutated.remove(at)),
                    _ => mutated.insert(at, words[other]),
                }
            }
            let (analysis, problems) = common::analyse_on(&mutated.concat(), Some(dataplane.clone()));
            assert!(problems.iter().all(|problem| !problem.message.is_empty()), "{problems:?}");
            assert!(analysis.graph.policies.iter().all(|policy| !policy.origin.name.is_empty()));
        }
    }
}

// ------------------------------------------------------------------ random clusters

type Labels = BTreeMap<String, String>;

#[derive(Clone, Debug)]
struct Endpoint {
    namespace: usize,
    labels: Labels,
    ip: IpAddr,
    web: u16,
}

#[derive(Clone, Debug)]
struct Term {
    key: String,
    operator: &'static str,
    values: Vec<String>,
}

/// The L3 part of an entry.
#[derive(Clone, Debug)]
enum Whom {
    Unsaid,
    Endpoints(Vec<Vec<Term>>),
    Blocks(Vec<(&'static str, Option<&'static str>)>),
    Entities(Vec<&'static str>),
}

/// A port of an entry.
#[derive(Clone, Debug)]
enum Port {
    Number(&'static str, u16, u16),
    Named(&'static str),
}

#[derive(Clone, Debug)]
struct Entry {
    whom: Whom,
    ports: Vec<Port>,
}

/// A Cilium rule; `namespace` is `None` for a clusterwide one.
#[derive(Clone, Debug)]
struct Rule {
    namespace: Option<usize>,
    subjects: Vec<Term>,
    default_deny: Option<bool>,
    allow: Option<Vec<Entry>>,
    deny: Option<Vec<Entry>>,
    ingress: bool,
}

/// A NetworkPolicy of one direction.
#[derive(Clone, Debug)]
struct Isolation {
    namespace: usize,
    subjects: Vec<Term>,
    /// Namespace and pod terms, or a block; each with ports of TCP.
    rules: Vec<(Whom, Option<Vec<Term>>, Option<u16>)>,
    ingress: bool,
}

#[derive(Clone, Debug)]
struct Cluster {
    namespaces: Vec<Labels>,
    pods: Vec<Endpoint>,
    rules: Vec<Rule>,
    policies: Vec<Isolation>,
    mode: &'static str,
}

/// The far end of a packet.
enum Far<'a> {
    Pod(&'a Endpoint),
    World(IpAddr),
}

fn holds(term: &Term, value: Option<&String>) -> bool {
    match term.operator {
        "In" => value.is_some_and(|v| term.values.contains(v)),
        "NotIn" => value.is_none_or(|v| !term.values.contains(v)),
        "Exists" => value.is_some(),
        _ => value.is_none(),
    }
}

/// Labels of the identity of a pod: own ones but the hidden, its namespace, labels of that.
fn identity(cluster: &Cluster, pod: &Endpoint) -> Labels {
    let mut labels: Labels = pod.labels.clone();
    labels.remove("pod-template-hash");
    labels.insert("k8s:io.kubernetes.pod.namespace".into(), format!("n{}", pod.namespace));
    for (key, value) in &cluster.namespaces[pod.namespace] {
        labels.insert(format!("k8s:io.cilium.k8s.namespace.labels.{key}"), value.clone());
    }
    labels
}

fn fits(terms: &[Term], labels: &Labels) -> bool {
    terms.iter().all(|term| holds(term, labels.get(&term.key)))
}

fn within(cidr: &str, ip: IpAddr) -> bool {
    cidr.parse::<ipnet::IpNet>().expect("a CIDR").contains(&ip)
}

fn names_far(cluster: &Cluster, scope: Option<usize>, whom: &Whom, far: &Far<'_>, has_ports: bool) -> bool {
    match (whom, far) {
        (Whom::Unsaid, _) => has_ports,
        (Whom::Entities(entities), Far::Pod(_)) => entities.iter().any(|e| ["all", "cluster"].contains(e)),
        (Whom::Entities(entities), Far::World(_)) => entities.iter().any(|e| ["all", "world"].contains(e)),
        (Whom::Blocks(blocks), Far::World(ip)) => blocks
            .iter()
            .any(|(cidr, except)| within(cidr, *ip) && !except.is_some_and(|except| within(except, *ip))),
        (Whom::Blocks(_), Far::Pod(_)) => false,
        (Whom::Endpoints(selectors), far) => selectors.iter().any(|terms| {
            let about = |start: &str| terms.iter().any(|term| term.key.starts_with(start));
            let names_namespace = about("k8s:io.kubernetes.pod.namespace");
            let names_labels = about("k8s:io.cilium.k8s.namespace.labels.");
            match far {
                Far::Pod(pod) => {
                    let own = names_namespace || names_labels || scope.is_none_or(|own| own == pod.namespace);
                    own && fits(terms, &identity(cluster, pod))
                }
                // The outside has no labels but its own; a namespace that is asked for is missing.
                Far::World(_) => {
                    let free = names_namespace || (names_labels && scope.is_some());
                    free && fits(terms, &Labels::new())
                }
            }
        }),
    }
}

fn port_fits(port: &Port, target: Option<&Endpoint>, protocol: Protocol, number: u16) -> bool {
    match port {
        Port::Number(name, first, last) => {
            let same = match *name {
                "ANY" => protocol != Protocol::Sctp,
                name => name == protocol.name(),
            };
            same && (*first == 0 || (*first..=*last).contains(&number))
        }
        Port::Named(name) => {
            let same = *name == "ANY" || *name == protocol.name();
            same && protocol == Protocol::Tcp && target.is_some_and(|pod| pod.web == number)
        }
    }
}

/// One side's verdict, rule by rule.
fn side(
    cluster: &Cluster,
    subject: &Endpoint,
    far: &Far<'_>,
    ingress: bool,
    protocol: Protocol,
    number: u16,
) -> bool {
    let target = match (ingress, far) {
        (true, _) => Some(subject),
        (false, Far::Pod(pod)) => Some(*pod),
        (false, Far::World(_)) => None,
    };
    let own = identity(cluster, subject);
    let (mut denied, mut allowed, mut isolated) = (false, false, cluster.mode == "always");
    for rule in cluster.rules.iter().filter(|rule| rule.ingress == ingress) {
        let here = rule.namespace.is_none_or(|namespace| namespace == subject.namespace);
        let entries = |list: &Option<Vec<Entry>>| list.clone().unwrap_or_default();
        let (allow, deny) = (entries(&rule.allow), entries(&rule.deny));
        if !here || !fits(&rule.subjects, &own) || (allow.is_empty() && deny.is_empty()) {
            continue;
        }
        isolated |= rule.default_deny != Some(false);
        let meant = |entry: &Entry| {
            names_far(cluster, rule.namespace, &entry.whom, far, !entry.ports.is_empty())
                && (entry.ports.is_empty()
                    || entry.ports.iter().any(|port| port_fits(port, target, protocol, number)))
        };
        denied |= deny.iter().any(meant);
        allowed |= allow.iter().any(meant);
    }
    for policy in cluster.policies.iter().filter(|policy| policy.ingress == ingress) {
        if policy.namespace != subject.namespace || !fits(&policy.subjects, &own) {
            continue;
        }
        isolated = true;
        for (whom, namespaces, port) in &policy.rules {
            let peer = match (whom, far) {
                (Whom::Unsaid, _) => true,
                (Whom::Endpoints(selectors), Far::Pod(pod)) => {
                    let here = match namespaces {
                        Some(terms) => fits(terms, &cluster.namespaces[pod.namespace]),
                        None => pod.namespace == policy.namespace,
                    };
                    here && selectors.iter().any(|terms| fits(terms, &identity(cluster, pod)))
                }
                // A selector of namespaces is one of labels, and the outside has none.
                (Whom::Endpoints(selectors), Far::World(_)) => {
                    let forbids = |of: &Vec<Term>| !of.is_empty() && of.iter().all(|term| holds(term, None));
                    namespaces.as_ref().is_some_and(forbids)
                        && selectors.iter().any(|terms| fits(terms, &Labels::new()))
                }
                (whom, far) => names_far(cluster, None, whom, far, false),
            };
            allowed |= peer && port.is_none_or(|port| protocol == Protocol::Tcp && port == number);
        }
    }
    !denied && (allowed || !isolated)
}

// ------------------------------------------------------------------ as manifests

fn terms_yaml(terms: &[Term]) -> String {
    let one = |term: &Term| match term.values.is_empty() {
        true => format!("{{key: \"{}\", operator: {}}}", term.key, term.operator),
        false => format!(
            "{{key: \"{}\", operator: {}, values: [{}]}}",
            term.key,
            term.operator,
            term.values.join(", ")
        ),
    };
    format!("{{matchExpressions: [{}]}}", terms.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn list<T>(items: &[T], one: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn entry_yaml(entry: &Entry, word: &str) -> String {
    let mut parts = Vec::new();
    match &entry.whom {
        Whom::Unsaid => {}
        Whom::Endpoints(selectors) => {
            parts.push(format!("{word}Endpoints: {}", list(selectors, |terms| terms_yaml(terms))));
        }
        Whom::Blocks(blocks) => parts.push(format!(
            "{word}CIDRSet: {}",
            list(blocks, |(cidr, except)| match except {
                Some(except) => format!("{{cidr: \"{cidr}\", except: [\"{except}\"]}}"),
                None => format!("{{cidr: \"{cidr}\"}}"),
            })
        )),
        Whom::Entities(entities) => {
            parts.push(format!("{word}Entities: {}", list(entities, ToString::to_string)));
        }
    }
    if !entry.ports.is_empty() {
        let port = |port: &Port| match port {
            Port::Number(protocol, first, last) if last > first => {
                format!("{{port: \"{first}\", endPort: {last}, protocol: {protocol}}}")
            }
            Port::Number(protocol, first, _) => format!("{{port: \"{first}\", protocol: {protocol}}}"),
            Port::Named(protocol) => format!("{{port: web, protocol: {protocol}}}"),
        };
        parts.push(format!("toPorts: [{{ports: {}}}]", list(&entry.ports, port)));
    }
    format!("{{{}}}", parts.join(", "))
}

fn labels_yaml(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(", ")
}

fn manifests(cluster: &Cluster) -> String {
    let mut all = Vec::new();
    for (number, labels) in cluster.namespaces.iter().enumerate() {
        let labels = labels_yaml(labels);
        all.push(format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: n{number}, labels: {{{labels}}}}}\n"
        ));
    }
    for (number, pod) in cluster.pods.iter().enumerate() {
        all.push(format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, namespace: n{}, labels: {{{}}}}}\n\
             spec: {{containers: [{{name: c, ports: [{{name: web, containerPort: {}}}]}}]}}\nstatus: {{podIP: \"{}\"}}\n",
            pod.namespace,
            labels_yaml(&pod.labels),
            pod.web,
            pod.ip
        ));
    }
    // The agent refuses a rule that has no entry.
    let has_entry =
        |rule: &Rule| [&rule.allow, &rule.deny].into_iter().flatten().any(|list| !list.is_empty());
    for (number, rule) in cluster.rules.iter().enumerate().filter(|(_, rule)| has_entry(rule)) {
        let (name, word) = if rule.ingress { ("ingress", "from") } else { ("egress", "to") };
        let head = match rule.namespace {
            Some(own) => {
                format!("kind: CiliumNetworkPolicy\nmetadata: {{name: r{number}, namespace: n{own}}}\n")
            }
            None => format!("kind: CiliumClusterwideNetworkPolicy\nmetadata: {{name: r{number}}}\n"),
        };
        let mut spec = vec![format!("endpointSelector: {}", terms_yaml(&rule.subjects))];
        spec.extend(rule.default_deny.map(|flag| format!("enableDefaultDeny: {{{name}: {flag}}}")));
        let lists = [(name.to_owned(), &rule.allow), (format!("{name}Deny"), &rule.deny)];
        for (field, entries) in lists {
            spec.extend(
                entries
                    .as_ref()
                    .map(|entries| format!("{field}: {}", list(entries, |e| entry_yaml(e, word)))),
            );
        }
        all.push(format!("apiVersion: cilium.io/v2\n{head}spec: {{{}}}\n", spec.join(", ")));
    }
    for (number, policy) in cluster.policies.iter().enumerate() {
        let (name, word, kind) = match policy.ingress {
            true => ("ingress", "from", "Ingress"),
            false => ("egress", "to", "Egress"),
        };
        let rule = |(whom, namespaces, port): &(Whom, Option<Vec<Term>>, Option<u16>)| {
            let peers = match whom {
                Whom::Endpoints(selectors) => list(selectors, |terms| match namespaces {
                    Some(of) => format!(
                        "{{namespaceSelector: {}, podSelector: {}}}",
                        terms_yaml(of),
                        terms_yaml(terms)
                    ),
                    None => format!("{{podSelector: {}}}", terms_yaml(terms)),
                }),
                Whom::Blocks(blocks) => list(blocks, |(cidr, except)| match except {
                    Some(except) => format!("{{ipBlock: {{cidr: \"{cidr}\", except: [\"{except}\"]}}}}"),
                    None => format!("{{ipBlock: {{cidr: \"{cidr}\"}}}}"),
                }),
                _ => "[]".to_owned(),
            };
            let ports = port.map_or(String::new(), |port| format!(", ports: [{{port: {port}}}]"));
            format!("{{{word}: {peers}{ports}}}")
        };
        all.push(format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: k{number}, namespace: n{}}}\n\
             spec: {{podSelector: {}, policyTypes: [{kind}], {name}: {}}}\n",
            policy.namespace,
            terms_yaml(&policy.subjects),
            list(&policy.rules, rule)
        ));
    }
    all.join("---\n")
}

// ------------------------------------------------------------------ strategies

const NAMESPACES: usize = 3;

fn labels() -> impl Strategy<Value = Labels> {
    let key = prop::sample::select(vec!["a", "b", "pod-template-hash"]);
    prop::collection::btree_map(key.prop_map(str::to_owned), "[xy]", 0..=2)
}

fn term(keys: &'static [&'static str]) -> impl Strategy<Value = Term> {
    let operators = prop::sample::select(vec!["In", "NotIn", "Exists", "DoesNotExist"]);
    let values = prop::collection::btree_set("[xyz]", 1..=2);
    (prop::sample::select(keys.to_vec()), operators, values, 0..NAMESPACES).prop_map(
        |(key, operator, values, namespace)| {
            let values = match (operator, key) {
                ("Exists" | "DoesNotExist", _) => Vec::new(),
                (_, "k8s:io.kubernetes.pod.namespace") => vec![format!("n{namespace}")],
                _ => values.into_iter().collect(),
            };
            Term { key: key.to_owned(), operator, values }
        },
    )
}

const OWN: &[&str] = &["a", "b", "pod-template-hash"];
const PEER: &[&str] = &[
    "a",
    "a",
    "b",
    "pod-template-hash",
    "k8s:io.kubernetes.pod.namespace",
    "k8s:io.cilium.k8s.namespace.labels.a",
];
const OF_NAMESPACES: &[&str] = &["a", "b"];

fn terms(keys: &'static [&'static str]) -> impl Strategy<Value = Vec<Term>> {
    prop::collection::vec(term(keys), 0..=2)
}

fn blocks() -> impl Strategy<Value = Whom> {
    let blocks = vec![
        ("10.0.0.0/28", None),
        ("10.0.0.0/27", Some("10.0.0.16/29")),
        ("0.0.0.0/0", Some("10.0.0.8/29")),
        ("fd00::/120", None),
    ];
    prop::collection::vec(prop::sample::select(blocks), 1..=2).prop_map(Whom::Blocks)
}

fn whom() -> impl Strategy<Value = Whom> {
    let entities = prop::sample::select(vec!["all", "world", "cluster", "none"]);
    prop_oneof![
        1 => Just(Whom::Unsaid),
        4 => prop::collection::vec(terms(PEER), 0..=2).prop_map(Whom::Endpoints),
        2 => blocks(),
        2 => prop::collection::vec(entities, 0..=2).prop_map(Whom::Entities),
    ]
}

fn port() -> impl Strategy<Value = Port> {
    let protocol = || prop::sample::select(vec!["TCP", "UDP", "ANY"]);
    let number = prop::sample::select(vec![0_u16, 80, 81, 443]);
    prop_oneof![
        3 => (protocol(), number, 0_u16..400).prop_map(|(protocol, first, more)| {
            let last = if first == 0 { 0 } else { first + more };
            Port::Number(protocol, first, last)
        }),
        1 => protocol().prop_map(Port::Named),
    ]
}

fn entries() -> impl Strategy<Value = Option<Vec<Entry>>> {
    let entry =
        (whom(), prop::collection::vec(port(), 0..=2)).prop_map(|(whom, ports)| Entry { whom, ports });
    prop::option::of(prop::collection::vec(entry, 0..=2))
}

fn rule() -> impl Strategy<Value = Rule> {
    let default_deny = prop::option::weighted(0.4, any::<bool>());
    let place = prop::option::weighted(0.6, 0..NAMESPACES);
    (place, terms(OWN), default_deny, entries(), entries(), any::<bool>()).prop_map(
        |(namespace, subjects, default_deny, allow, deny, ingress)| Rule {
            namespace,
            subjects,
            default_deny,
            allow,
            deny,
            ingress,
        },
    )
}

fn policy() -> impl Strategy<Value = Isolation> {
    let peers = prop_oneof![
        1 => Just(Whom::Unsaid),
        3 => prop::collection::vec(terms(OWN), 1..=2).prop_map(Whom::Endpoints),
        2 => blocks(),
    ];
    let port = prop::option::of(prop::sample::select(vec![80_u16, 443]));
    let rule = (peers, prop::option::of(terms(OF_NAMESPACES)), port);
    (0..NAMESPACES, terms(OWN), prop::collection::vec(rule, 0..=2), any::<bool>())
        .prop_map(|(namespace, subjects, rules, ingress)| Isolation { namespace, subjects, rules, ingress })
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let of_namespace = prop::collection::btree_map("[ab]", "[xy]", 0..=2);
    let pods = prop::collection::vec(
        (0..NAMESPACES, labels(), any::<bool>(), prop::sample::select(vec![80_u16, 443])),
        2..=6,
    );
    let mode = prop::sample::select(vec!["default", "default", "default", "always"]);
    (
        prop::collection::vec(of_namespace, NAMESPACES),
        pods,
        prop::collection::vec(rule(), 0..=5),
        prop::collection::vec(policy(), 0..=3),
        mode,
    )
        .prop_map(|(namespaces, pods, rules, policies, mode)| {
            let pods = pods.into_iter().enumerate().map(|(number, (namespace, labels, v4, web))| {
                let ip = if v4 { format!("10.0.0.{number}") } else { format!("fd00::{number}") };
                Endpoint { namespace, labels, ip: ip.parse().expect("an address"), web }
            });
            Cluster { pods: pods.collect(), namespaces, rules, policies, mode }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_decides_as_the_naive_evaluator_does(cluster in cluster()) {
        let text = manifests(&cluster);
        let settings = [("enable-policy", cluster.mode), ("policy-default-local-cluster", "false")];
        let (analysis, problems) = common::analyse_on(&text, Some(cilium(&settings)));
        prop_assert!(problems.is_empty(), "{problems:?}\n{text}");
        let outside: Vec<IpAddr> =
            ["10.0.0.9", "10.0.0.17", "10.0.0.40", "203.0.113.1", "fd00::70", "2001:db8::1"]
                .iter().map(|ip| ip.parse().expect("an address")).collect();
        for protocol in Protocol::ALL {
            for port in [80, 82, 443] {
                for (i, from) in cluster.pods.iter().enumerate() {
                    let source = class(&analysis, &format!("p{i}"));
                    for (j, to) in cluster.pods.iter().enumerate().filter(|(j, _)| *j != i) {
                        let want = side(&cluster, from, &Far::Pod(to), false, protocol, port)
                            && side(&cluster, to, &Far::Pod(from), true, protocol, port);
                        let target = class(&analysis, &format!("p{j}"));
                        let got = analysis.graph.edge(source, target).traffic.contains(protocol, port);
                        prop_assert_eq!(want, got, "p{} -> p{} {} {}\n{}", i, j, protocol, port, text);
                    }
                    for ip in &outside {
                        let atom = analysis.graph.atom_of(*ip);
                        for ingress in [true, false] {
                            let want = side(&cluster, from, &Far::World(*ip), ingress, protocol, port);
                            let edge = match ingress {
                                true => analysis.graph.edge(atom, source),
                                false => analysis.graph.edge(source, atom),
                            };
                            let got = edge.traffic.contains(protocol, port);
                            prop_assert_eq!(want, got, "p{} {} {} {} {}\n{}", i, ip, ingress, protocol, port, text);
                        }
                    }
                }
            }
        }
    }
}
