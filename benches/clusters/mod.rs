//! Manifests of clusters of different shapes, the same at every run.

use std::fmt::Write as _;

/// Namespaces of four pods with a default deny and two policies.
pub fn small_namespaces(namespaces: usize) -> String {
    let mut text = String::new();
    for n in 0..namespaces {
        namespace(&mut text, n);
        for number in 0..4 {
            pod(&mut text, n, number, &format!("app: app-{number}"));
        }
        policies(&mut text, n);
    }
    text
}

fn policies(text: &mut String, n: usize) {
    policy(text, n, "deny", "podSelector: {}\n  policyTypes: [Ingress, Egress]");
    let peer = |app: usize| format!("[{{podSelector: {{matchLabels: {{app: app-{app}}}}}}}]");
    let (web, out) = (peer(1), peer(0));
    let spec = format!(
        "podSelector: {{matchLabels: {{app: app-0}}}}\n  ingress:\n  - from: {web}\n    ports: [{{port: 8080}}]"
    );
    policy(text, n, "web", &spec);
    let spec = format!(
        "podSelector: {{matchLabels: {{app: app-1}}}}\n  policyTypes: [Egress]\n  egress:\n  - to: {out}\n    ports: [{{port: http}}]"
    );
    policy(text, n, "out", &spec);
}

/// Namespaces of twelve pods with nine policies that let in all namespaces of a team, and let out
/// to nobody but the resolver: rules that name hundreds of pods, all of them void.
pub fn teams(namespaces: usize) -> String {
    let mut text = String::new();
    for n in 0..namespaces {
        namespace(&mut text, n);
        for number in 0..12 {
            pod(&mut text, n, number, &format!("app: app-{}, tier: t{}", number % 4, number % 3));
        }
        for number in 0..9 {
            let spec = format!(
                "podSelector: {{matchLabels: {{app: app-{}}}}}\n  policyTypes: [Ingress, Egress]\n  ingress:\n  - from:\n    \
                 - podSelector: {{matchLabels: {{tier: t{}}}}}\n    - namespaceSelector: {{matchExpressions: [{{key: team, operator: In, values: [{}]}}]}}\n    \
                 ports: [{{port: 8080}}]\n  egress:\n  - to: [{{ipBlock: {{cidr: 10.0.0.0/8}}}}]\n    ports: [{{port: 53, protocol: UDP}}]",
                number % 4,
                number % 3,
                (0..7)
                    .map(|team| format!("t{}", (n + number + team * 7) % 50))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            policy(&mut text, n, &format!("p{number}"), &spec);
        }
    }
    text
}

/// Namespaces of twenty services in a mesh of sidecars, or in one with a waypoint for each: half of
/// them authorize one client, and a network policy lets in the namespace and that of a team.
pub fn mesh(namespaces: usize, waypoints: bool) -> String {
    let mut text = String::new();
    let label = match waypoints {
        false => "istio-injection: enabled",
        true => "istio.io/dataplane-mode: ambient, istio.io/use-waypoint: waypoint",
    };
    for n in 0..namespaces {
        let _ = writeln!(
            text,
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: ns-{n}, labels: {{{label}, team: t{}}}}}\n\
             ---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: default, namespace: ns-{n}}}\nspec: {{mtls: {{mode: STRICT}}}}",
            n % 9
        );
        if waypoints {
            let _ = writeln!(
                text,
                "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: waypoint, namespace: ns-{n}}}\n\
                 spec: {{gatewayClassName: istio-waypoint, listeners: [{{name: mesh, port: 15008, protocol: HBONE}}]}}"
            );
        }
        for app in 0..20 {
            let _ = writeln!(
                text,
                "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app-{app}, namespace: ns-{n}}}\nspec:\n  \
                 selector: {{matchLabels: {{app: app-{app}}}}}\n  template:\n    metadata: {{labels: {{app: app-{app}}}}}\n    spec:\n      \
                 serviceAccountName: app-{app}\n      containers: [{{name: main, ports: [{{containerPort: 8080, name: http}}]}}]\n\
                 ---\napiVersion: v1\nkind: Service\nmetadata: {{name: app-{app}, namespace: ns-{n}}}\n\
                 spec: {{selector: {{app: app-{app}}}, ports: [{{name: http, port: 80, targetPort: http}}]}}"
            );
            if app % 2 == 0 {
                let _ = writeln!(
                    text,
                    "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: app-{app}, namespace: ns-{n}}}\nspec:\n  \
                     selector: {{matchLabels: {{app: app-{app}}}}}\n  rules:\n  - from: [{{source: {{principals: [cluster.local/ns/ns-{n}/sa/app-{}]}}}}]\n    \
                     to: [{{operation: {{methods: [GET], ports: ['8080']}}}}]",
                    app + 1
                );
            }
        }
        let spec = format!(
            "podSelector: {{}}\n  ingress:\n  - from: [{{podSelector: {{}}}}]\n  - from: [{{namespaceSelector: {{matchLabels: {{team: t{}}}}}}}]\n    \
             ports: [{{port: 15008}}, {{port: 8080}}]",
            (n + 1) % 9
        );
        policy(&mut text, n, "namespace", &spec);
    }
    text
}

/// The same policies over replica sets of so many pods each: their classes are the same.
pub fn replicas(namespaces: usize, replicas: usize) -> String {
    let mut text = String::new();
    for n in 0..namespaces {
        namespace(&mut text, n);
        for number in 0..4 * replicas {
            let app = number / replicas;
            let owner = format!(
                "\n  ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: app-{app}, controller: true}}]"
            );
            owned_pod(&mut text, n, number, &format!("app: app-{app}"), &owner);
        }
        policies(&mut text, n);
    }
    text
}

/// As published histograms have it (npinaeva/k8s-netpol-scale): 604 namespaces of which few are
/// big, 5,413 pods, 13,678 policies; the median policy selects 6 pods, 3,559 have no rules, and
/// peers hold up to 3,578 pods.
pub fn profile() -> String {
    const NAMESPACES: usize = 604;
    let mut text = String::new();
    let mut dice = Dice::new(7);
    // 2 namespaces of 600 pods, 12 of 100, and the rest of 4 to 7.
    let size = |n: usize| match n {
        0 | 1 => 600,
        2..14 => 100,
        _ => 4 + n % 4 + usize::from(n.is_multiple_of(2)),
    };
    let (mut pods, mut policies) = (0_usize, 0_usize);
    for n in 0..NAMESPACES {
        namespace(&mut text, n);
        for number in 0..size(n).min(5_413 - pods) {
            // Groups of 6 pods share an application.
            let labels = format!("app: app-{}, tier: t{}, track: stable", number / 6, number % 3);
            pod(&mut text, n, number, &labels);
        }
        pods += size(n).min(5_413 - pods);
    }
    while policies < 13_678 {
        let n = dice.below(NAMESPACES);
        let groups = size(n).div_ceil(6);
        let subject = match dice.below(10) {
            0 => "{}".to_owned(),
            1 => format!("{{matchLabels: {{tier: t{}}}}}", dice.below(3)),
            _ => format!("{{matchLabels: {{app: app-{}}}}}", dice.below(groups)),
        };
        let peer = match dice.below(20) {
            0 => "namespaceSelector: {}, podSelector: {matchLabels: {track: stable, tier: t0}}".to_owned(),
            1..4 => format!("namespaceSelector: {{matchLabels: {{team: t{}}}}}", dice.below(50)),
            4..6 => format!("ipBlock: {{cidr: 172.{}.{}.0/24}}", 16 + dice.below(16), dice.below(64)),
            _ => format!("podSelector: {{matchLabels: {{app: app-{}}}}}", dice.below(groups)),
        };
        let port = match dice.below(3) {
            0 => "http".to_owned(),
            _ => (8_080 + dice.below(4)).to_string(),
        };
        let spec = match policies {
            // Without rules, as a default deny has none.
            0..3_559 => format!("podSelector: {subject}\n  policyTypes: [Ingress]"),
            _ if policies.is_multiple_of(3) => format!(
                "podSelector: {subject}\n  policyTypes: [Egress]\n  egress:\n  - to: [{{{peer}}}]\n    ports: [{{port: {port}}}]"
            ),
            _ => format!(
                "podSelector: {subject}\n  ingress:\n  - from: [{{{peer}}}]\n    ports: [{{port: {port}}}]"
            ),
        };
        policy(&mut text, n, &format!("p{policies}"), &spec);
        policies += 1;
    }
    text
}

/// One namespace in which every policy selects all pods and lets all pods in on some port.
pub fn one_namespace(pods: usize) -> String {
    let mut text = String::new();
    namespace(&mut text, 0);
    for number in 0..pods {
        pod(&mut text, 0, number, "app: web");
    }
    for number in 0..pods {
        let port = 8_080 + number % 100;
        let spec = format!(
            "podSelector: {{}}\n  ingress:\n  - from: [{{podSelector: {{}}}}]\n    ports: [{{port: {port}}}]"
        );
        policy(&mut text, 0, &format!("p{number}"), &spec);
    }
    text
}

/// One namespace in which every pod has a policy of its own that lets its neighbour in.
pub fn policy_for_each_pod(pods: usize) -> String {
    let mut text = String::new();
    namespace(&mut text, 0);
    for number in 0..pods {
        pod(&mut text, 0, number, &format!("id: i{number}"));
    }
    for number in 0..pods {
        let neighbour = (number + 1) % pods;
        let spec = format!(
            "podSelector: {{matchLabels: {{id: i{number}}}}}\n  ingress:\n  - from: [{{podSelector: {{matchLabels: {{id: i{neighbour}}}}}}}]\n    ports: [{{port: 8080}}]"
        );
        policy(&mut text, 0, &format!("p{number}"), &spec);
    }
    text
}

/// Policies of the whole cluster, ten for each priority, each from one team of namespaces to another.
pub fn cluster_scoped(namespaces: usize, pods: usize, policies: usize) -> String {
    let mut text = String::new();
    let mut dice = Dice::new(11);
    for n in 0..namespaces {
        namespace(&mut text, n);
        for number in 0..pods {
            pod(&mut text, n, number, &format!("app: app-{}", number % 4));
        }
    }
    for number in 0..policies {
        let action = ["Accept", "Deny", "Pass"][dice.below(3)];
        let (team, app, from) = (dice.below(50), dice.below(4), dice.below(50));
        let _ = writeln!(
            text,
            "---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: c{number}}}\nspec:\n\
             \x20 tier: Admin\n  priority: {}\n  subject:\n    pods:\n      namespaceSelector: {{matchLabels: {{team: t{team}}}}}\n      podSelector: {{matchLabels: {{app: app-{app}}}}}\n\
             \x20 ingress:\n  - action: {action}\n    from: [{{namespaces: {{matchLabels: {{team: t{from}}}}}}}]\n    protocols: [{{tcp: {{destinationPort: {{number: {}}}}}}}]",
            number % 1_000,
            8_000 + number / 1_000 * 100 + number % 100,
        );
    }
    // What `diff` changes.
    let spec = "podSelector: {}\n  ingress:\n  - from: [{podSelector: {}}]\n    ports: [{port: 8080}]";
    policy(&mut text, 0, "own", spec);
    text
}

fn namespace(text: &mut String, n: usize) {
    let _ = writeln!(
        text,
        "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: ns-{n}\n  labels: {{team: t{}}}",
        n % 50
    );
}

fn pod(text: &mut String, n: usize, number: usize, labels: &str) {
    owned_pod(text, n, number, labels, "");
}

/// `owner` is a line more of the metadata, or nothing.
fn owned_pod(text: &mut String, n: usize, number: usize, labels: &str, owner: &str) {
    let address = n * 600 + number;
    let _ = writeln!(
        text,
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: pod-{number}\n  namespace: ns-{n}\n  labels: {{{labels}}}{owner}\n\
         spec:\n  containers:\n  - name: main\n    image: example.invalid/app\n    ports:\n    - containerPort: 8080\n      name: http\n\
         status:\n  phase: Running\n  podIP: 10.{}.{}.{}",
        address >> 16 & 255,
        address >> 8 & 255,
        address & 255
    );
}

fn policy(text: &mut String, n: usize, name: &str, spec: &str) {
    let _ = writeln!(
        text,
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: {name}\n  namespace: ns-{n}\nspec:\n  {spec}"
    );
}

/// Numbers that look random and are the same at every run (SplitMix64).
pub struct Dice(u64);

impl Dice {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number below the limit.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}
