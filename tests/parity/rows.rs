//! The rows: a message of another analyser, what covers it, and an input that shows it.

/// One row.
pub struct Row {
    /// Whose message.
    pub tool: &'static str,
    /// Its code, or several that are answered alike.
    pub code: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// What covers it.
    pub cover: Cover,
    /// What else is to be said; why not, where nothing covers it.
    pub remark: &'static str,
}

/// What covers a message, with the input (after [`NAMESPACE`]) on which it appears.
pub enum Cover {
    /// A finding of this check.
    Check(&'static str, &'static str),
    /// A gap that holds this text.
    Gap(&'static str, &'static str),
    /// An error that holds this text.
    Error(&'static str, &'static str),
    /// Nothing.
    Not,
}

/// The ground of every input: a client and a server in the mesh.
pub const NAMESPACE: &str = r#"apiVersion: v1
kind: Namespace
metadata: {name: n, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: n, labels: {app: web}}
spec: {serviceAccountName: web, containers: [{name: c, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: n, labels: {app: db}}
spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: n}
spec: {selector: {app: db}, ports: [{port: 80, targetPort: 8080}]}
"#;

/// All rows, in the order of the page.
pub const ROWS: &[Row] = &[
    Row {
        tool: "istioctl analyze",
        code: "IST0101",
        about: "a referenced object does not exist: hosts",
        cover: Cover::Check("route-to-missing-service", INPUT_1),
        remark: "Hosts of routes. Namespaces in sources are KIA0101; secrets are not read.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0102",
        about: "a namespace is not injected",
        cover: Cover::Not,
        remark: "Staying out of the mesh is a choice; what it costs stands in the PROTECTION table of `check`, with the workload to change first.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0103",
        about: "a pod in an injected namespace has no proxy",
        cover: Cover::Check("outside-mesh", INPUT_2),
        remark: "Where other pods of the namespace have one.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0106, IST0133",
        about: "an object that the API server refuses",
        cover: Cover::Error("is not known", INPUT_3),
        remark: "An error with file, line and hint; the rest is analysed. Kinds that no engine reads are not validated.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0107, IST0108, IST0125, IST0135, IST0136",
        about: "misplaced, unknown or invalid annotations",
        cover: Cover::Not,
        remark: "Annotations are read where they count; one at another place has no effect in the answer, and nobody says so.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0109, IST0110, IST0111, IST0112",
        about: "conflicting hosts of VirtualServices, Sidecars, ports",
        cover: Cover::Not,
        remark: "Routing inside of the mesh; Sidecar scoping is advice here.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0116, IST0137, IST0150",
        about: "ports of deployments and services that conflict",
        cover: Cover::Not,
        remark: "Routing, not protection.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0118",
        about: "a port whose protocol is detected",
        cover: Cover::Not,
        remark: "Taken as detected; no message.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0123",
        about: "a namespace with two labels for injection",
        cover: Cover::Not,
        remark: "Read as the injector reads them (the default revision counts); no message.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0127",
        about: "an AuthorizationPolicy without workloads",
        cover: Cover::Check("ineffective-mesh-policy", INPUT_4),
        remark: "",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0128, IST0129",
        about: "a DestinationRule that does not verify the server",
        cover: Cover::Not,
        remark: "Not covered by a message; such an edge is `tls` and never `mtls`.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0130, IST0131, IST0132",
        about: "routes that are never reached",
        cover: Cover::Not,
        remark: "Routing, not protection.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0134, IST0177",
        about: "ServiceEntries that conflict or lack addresses",
        cover: Cover::Not,
        remark: "ServiceEntries are a gap.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0138, IST0161",
        about: "certificates of gateways",
        cover: Cover::Not,
        remark: "Secrets are not read; `expired-certificate` and its kin judge what a capture shows.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0139, IST0146, IST0147, IST0148",
        about: "webhooks and automatic images",
        cover: Cover::Not,
        remark: "Webhooks are not read: revisions that no manifest shows leave membership unclear.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0143, IST0144",
        about: "a service on localhost; an application that runs as user 1337",
        cover: Cover::Not,
        remark: "Commands and users of containers are not read.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0140, IST0145, IST0162, IST0165, IST0170",
        about: "gateways and clusters that conflict",
        cover: Cover::Not,
        remark: "Routing, not protection.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0149, IST0175",
        about: "JWT without RequestAuthentication; keys fetched from anywhere",
        cover: Cover::Not,
        remark: "Tokens of users are conditions on requests here.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0151 to IST0155",
        about: "pitfalls of EnvoyFilter",
        cover: Cover::Gap("an EnvoyFilter may change anything", INPUT_5),
        remark: "Whatever the filter says: it may change anything.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0156, IST0172, IST0176",
        about: "versions of CRDs",
        cover: Cover::Not,
        remark: "The cluster is not asked for its CRDs.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0166, IST0167",
        about: "policies that bind no gateway or waypoint",
        cover: Cover::Not,
        remark: "Covered only where the selector matches no pod in the mesh (IST0127).",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0171",
        about: "a status says that a policy was not accepted",
        cover: Cover::Not,
        remark: "`status` is not read.",
    },
    Row {
        tool: "istioctl analyze",
        code: "IST0173, IST0174",
        about: "a DestinationRule for subsets or hosts that do not exist",
        cover: Cover::Not,
        remark: "The rule has no effect in the answer; no message.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0002, KIA0003",
        about: "several objects for one scope or workload",
        cover: Cover::Gap("several PeerAuthentications have one scope", INPUT_6),
        remark: "The weaker one counts until the age is known.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0004",
        about: "a selector without workloads",
        cover: Cover::Check("ineffective-mesh-policy", INPUT_4),
        remark: "AuthorizationPolicies; not PeerAuthentications.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0005",
        about: "exportTo names no namespace",
        cover: Cover::Not,
        remark: "No message.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0101",
        about: "an AuthorizationPolicy names a namespace that does not exist",
        cover: Cover::Check("dead-selector", INPUT_7),
        remark: "",
    },
    Row {
        tool: "Kiali",
        code: "KIA0102, KIA0104",
        about: "bad methods, hosts that are not in the registry",
        cover: Cover::Not,
        remark: "Kept as conditions on requests, and not judged.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0105",
        about: "a field needs an identity, and mutual TLS is not strict",
        cover: Cover::Check("permissive-mtls", INPUT_8),
        remark: "Plaintext clients have no identity in the answer, so such a rule does not let them in.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0106",
        about: "a principal whose service account nobody uses",
        cover: Cover::Check("dead-selector", INPUT_9),
        remark: "",
    },
    Row {
        tool: "Kiali",
        code: "KIA0107, KIA0108",
        about: "a principal of a foreign trust domain",
        cover: Cover::Check("dead-selector", INPUT_10),
        remark: "Where no alias says that it is one of this mesh.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0109",
        about: "ambient: conditions on requests without a waypoint",
        cover: Cover::Gap("ztunnel cannot see requests", INPUT_11),
        remark: "",
    },
    Row {
        tool: "Kiali",
        code: "KIA0110, KIA0210, KIA0211, KIA0212",
        about: "ambient: policies and rules that a waypoint does not see",
        cover: Cover::Not,
        remark: "Waypoints are gaps.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0201, KIA0202, KIA0203, KIA0209",
        about: "DestinationRules that are doubled or match nothing",
        cover: Cover::Not,
        remark: "See IST0173.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0204",
        about: "a DestinationRule hides what is set for mesh or namespace",
        cover: Cover::Check("mtls-conflict", INPUT_12),
        remark: "Where it breaks something; where it only weakens, the edge says so.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0205, KIA0206",
        about: "a DestinationRule sends mutual TLS, and no PeerAuthentication asks for it",
        cover: Cover::Check("permissive-mtls", INPUT_13),
        remark: "",
    },
    Row {
        tool: "Kiali",
        code: "KIA0207, KIA0208",
        about: "a DestinationRule disables TLS, and the server is strict",
        cover: Cover::Check("mtls-conflict", INPUT_14),
        remark: "",
    },
    Row {
        tool: "Kiali",
        code: "KIA0301",
        about: "gateways with the same host and port",
        cover: Cover::Not,
        remark: "Routing, not protection.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0302",
        about: "a Gateway whose selector matches nothing",
        cover: Cover::Not,
        remark: "Entry points say who stands behind them; no message.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0401, KIA0501",
        about: "strict servers, no automatic mutual TLS and no DestinationRule",
        cover: Cover::Check("mtls-conflict", INPUT_15),
        remark: "",
    },
    Row {
        tool: "Kiali",
        code: "KIA0505, KIA0506",
        about: "servers with mutual TLS disabled, clients that send it",
        cover: Cover::Check("mtls-conflict", INPUT_16),
        remark: "`mtls-disabled` tells of the servers by themselves.",
    },
    Row {
        tool: "Kiali",
        code: "KIA0601, KIA0602, KIA0701",
        about: "names and protocols of ports",
        cover: Cover::Not,
        remark: "Taken as detected; no message.",
    },
    Row {
        tool: "Kiali",
        code: "KIA1004, KIA1006, KIA1007",
        about: "Sidecars",
        cover: Cover::Not,
        remark: "Sidecar scoping is advice here.",
    },
    Row {
        tool: "Kiali",
        code: "KIA1101 to KIA1108",
        about: "VirtualServices that lead nowhere",
        cover: Cover::Check("route-to-missing-service", INPUT_1),
        remark: "Hosts of destinations; weights, subsets and doubled hosts are not judged.",
    },
    Row {
        tool: "Kiali",
        code: "KIA1109 to KIA1117, KIA1211, KIA1212",
        about: "waypoints, Wasm, Telemetry, ServiceEntries",
        cover: Cover::Not,
        remark: "Gaps where they are read.",
    },
    Row {
        tool: "Kiali",
        code: "KIA1301",
        about: "a workload that no AuthorizationPolicy covers",
        cover: Cover::Check("unsegmented-path", INPUT_17),
        remark: "Where no NetworkPolicy governs it either, and others may connect from another segment.",
    },
    Row {
        tool: "Kiali",
        code: "KIA1311 to KIA1317",
        about: "ambient: workloads that labels keep out",
        cover: Cover::Check("outside-mesh", INPUT_18),
        remark: "Pods that a label takes out; conflicts between a sidecar and the label of the namespace are read as the mesh reads them, and waypoints are gaps.",
    },
    Row {
        tool: "Kiali",
        code: "KIA1401, KIA1402, KIA1501 to KIA1504, KIA1601",
        about: "routes and gateways of the Gateway API",
        cover: Cover::Not,
        remark: "`unattached-route` and `route-to-missing-service` tell of routes that lead nowhere; the rest is not covered.",
    },
    Row {
        tool: "Kiali",
        code: "KIA1701, KIA1702",
        about: "WorkloadGroups",
        cover: Cover::Not,
        remark: "Not read.",
    },
    Row {
        tool: "linkerd check",
        code: "linkerd-opaque-ports-definition",
        about: "a Service and its pods that disagree on opaque ports",
        cover: Cover::Gap("opaque", INPUT_19),
        remark: "",
    },
    Row {
        tool: "linkerd check",
        code: "linkerd authz (a reference to what is missing)",
        about: "an AuthorizationPolicy that grants nothing",
        cover: Cover::Gap("not among the inputs", INPUT_20),
        remark: "",
    },
    Row {
        tool: "linkerd check",
        code: "l5d-cluster-networks-*",
        about: "pods and nodes outside of clusterNetworks",
        cover: Cover::Not,
        remark: "They are taken to be inside, which the page on Linkerd says.",
    },
    Row {
        tool: "linkerd check",
        code: "l5d-identity-*",
        about: "certificates and keys of the identity service",
        cover: Cover::Not,
        remark: "Secrets are not read; `expired-certificate` and its kin judge what a capture shows.",
    },
    Row {
        tool: "linkerd check",
        code: "l5d-*-webhook-*",
        about: "webhooks of the control plane",
        cover: Cover::Not,
        remark: "Not read.",
    },
    Row {
        tool: "linkerd check",
        code: "l5d-data-plane-*, l5d-existence-*, l5d-cp-*, pre-*",
        about: "health and versions of the control and data plane",
        cover: Cover::Not,
        remark: "Not a matter of manifests.",
    },
];

const INPUT_1: &str = r#"---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: n}
spec: {selector: {istio: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: n}
spec: {hosts: ["*"], gateways: [gw], http: [{route: [{destination: {host: nowhere}}]}]}
"#;

const INPUT_2: &str = r#"---
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: n, labels: {app: old}}
spec: {containers: [{name: c}]}
status: {phase: Running, podIP: 10.0.0.9, podIPs: [{ip: 10.0.0.9}]}
"#;

const INPUT_3: &str = r#"---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICTLY}}
"#;

const INPUT_4: &str = r#"---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: n}
spec: {selector: {matchLabels: {app: nobody}}}
"#;

const INPUT_5: &str = r#"---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: f, namespace: n}
spec: {workloadSelector: {labels: {app: db}}, configPatches: []}
"#;

const INPUT_6: &str = r#"---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: a, namespace: n}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: b, namespace: n}
spec: {mtls: {mode: PERMISSIVE}}
"#;

const INPUT_7: &str = r#"---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: n}
spec: {rules: [{from: [{source: {namespaces: [nowhere]}}]}]}
"#;

const INPUT_8: &str = r#"---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: n}
spec: {rules: [{from: [{source: {namespaces: [n]}}]}]}
"#;

const INPUT_9: &str = r#"---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: n}
spec: {rules: [{from: [{source: {principals: [cluster.local/ns/n/sa/nobody]}}]}]}
"#;

const INPUT_10: &str = r#"---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: n}
spec: {rules: [{from: [{source: {principals: [other.example/ns/n/sa/web]}}]}]}
"#;

const INPUT_11: &str = r#"---
apiVersion: v1
kind: Namespace
metadata: {name: amb, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Pod
metadata: {name: x, namespace: amb, labels: {app: x}}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: y, namespace: amb, labels: {app: y, istio.io/dataplane-mode: none}}
spec: {containers: [{name: c}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: amb}
spec: {selector: {matchLabels: {app: x}}, rules: [{to: [{operation: {methods: [GET]}}]}]}
"#;

const INPUT_12: &str = r#"---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: d, namespace: n}
spec: {host: db, trafficPolicy: {connectionPool: {}, tls: {mode: SIMPLE}}}
"#;

const INPUT_13: &str = r#"---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: d, namespace: n}
spec: {host: "*.n.svc.cluster.local", trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
"#;

const INPUT_14: &str = r#"---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: d, namespace: n}
spec: {host: db, trafficPolicy: {tls: {mode: DISABLE}}}
"#;

const INPUT_15: &str = r#"---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "enableAutoMtls: false"}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"#;

const INPUT_16: &str = r#"---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: n}
spec: {mtls: {mode: DISABLE}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: d, namespace: n}
spec: {host: db, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
"#;

const INPUT_17: &str = r#"---
apiVersion: v1
kind: Namespace
metadata: {name: other, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: x, namespace: other, labels: {app: x}}
spec: {containers: [{name: c}]}
"#;

const INPUT_18: &str = r#"---
apiVersion: v1
kind: Namespace
metadata: {name: amb, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Pod
metadata: {name: x, namespace: amb, labels: {app: x}}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: y, namespace: amb, labels: {app: y, istio.io/dataplane-mode: none}}
spec: {containers: [{name: c}]}
"#;

const INPUT_19: &str = r#"---
apiVersion: v1
kind: Namespace
metadata: {name: m, annotations: {linkerd.io/inject: enabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: m, labels: {app: db}}
spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: m, annotations: {config.linkerd.io/opaque-ports: "8080"}}
spec: {selector: {app: db}, ports: [{port: 80, targetPort: 8080}]}
"#;

const INPUT_20: &str = r#"---
apiVersion: v1
kind: Namespace
metadata: {name: m, annotations: {linkerd.io/inject: enabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: m, labels: {app: db}}
spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}
---
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: db, namespace: m}
spec: {podSelector: {matchLabels: {app: db}}, port: 8080}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: {name: p, namespace: m}
spec:
  targetRef: {group: policy.linkerd.io, kind: Server, name: db}
  requiredAuthenticationRefs: [{kind: MeshTLSAuthentication, group: policy.linkerd.io, name: missing}]
"#;
