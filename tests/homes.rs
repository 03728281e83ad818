//! An object that names no namespace is in `default`, in every language.

mod common;

use watertight::analysis::Analysis;

/// Pods, what is said of them, and their service; each language has its own way to have them in.
const WORLDS: &[(&str, &str)] = &[
    (
        "annotations: {linkerd.io/inject: enabled}",
        "apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: web, HOME}
spec: {podSelector: {matchLabels: {app: web}}, port: 8080}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata: {name: cli, HOME}
spec: {identityRefs: [{kind: ServiceAccount, name: cli}]}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: {name: web, HOME}
spec: {targetRef: {group: policy.linkerd.io, kind: Server, name: web}, requiredAuthenticationRefs: [{group: policy.linkerd.io, kind: MeshTLSAuthentication, name: cli}]}",
    ),
    (
        "annotations: {consul.hashicorp.com/connect-inject: 'true'}",
        "apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceIntentions
metadata: {name: web, HOME}
spec: {destination: {name: web}, sources: [{name: cli, action: allow}, {name: '*', action: deny}]}",
    ),
    (
        "labels: {app: NAME, sidecar.istio.io/inject: 'true'}",
        "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web, HOME}
spec: {selector: {matchLabels: {app: web}}, rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/cli]}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, HOME}
spec: {host: web, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}",
    ),
    (
        "labels: {app: NAME}",
        "apiVersion: k8s.ovn.org/v1
kind: EgressFirewall
metadata: {name: default, HOME}
spec: {egress: [{type: Deny, to: {cidrSelector: 0.0.0.0/0}}]}",
    ),
];

fn analysed(pod: &str, said: &str, home: &str) -> Analysis {
    let one = |name: &str| {
        let labels =
            if pod.starts_with("labels") { String::new() } else { format!("labels: {{app: {name}}}, ") };
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, {labels}{}, HOME}}\nspec: {{serviceAccountName: {name}, containers: [{{name: c, ports: [{{containerPort: 8080}}]}}]}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, HOME}}\nspec: {{selector: {{app: {name}}}, ports: [{{port: 80, targetPort: 8080}}]}}\n---\n",
            pod.replace("NAME", name)
        )
    };
    let text = format!("{}{}{}{said}\n", one("cli"), one("web"), one("other"));
    let (analysis, problems) = common::analyse(&text.replace(", HOME", home));
    assert!(problems.is_empty(), "{problems:?}");
    analysis
}

#[test]
fn naming_it_makes_no_difference() {
    for (pod, said) in WORLDS {
        let answer = |home| {
            let analysis = analysed(pod, said, home);
            (common::connection_lines(&analysis, true), common::protection_lines(&analysis))
        };
        let (unnamed, named) = (answer(""), answer(", namespace: default"));
        assert_eq!(unnamed, named, "{said}");
        let (without, _) = {
            let analysis = analysed(pod, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}", "");
            (common::connection_lines(&analysis, true), ())
        };
        assert_ne!(unnamed.0, without, "{said}: it makes no difference");
    }
}

#[test]
fn what_is_declared_without_a_namespace_is_not_there_twice_beside_what_is_live() {
    let policy = |place: &str| {
        common::documents(&format!(
            "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: p{place}}}\nspec: {{endpointSelector: {{}}, ingress: []}}\n---\napiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {{name: p}}\nspec: {{endpointSelector: {{}}, ingress: []}}\n"
        ))
    };
    let (declared, live) = (policy(""), policy(", namespace: default"));
    let completed = watertight::analysis::drift::completed(&declared, &live);
    assert_eq!(completed.documents.len(), 2, "{:?}", completed.documents);
    assert!(completed.undeclared.is_empty());
}
