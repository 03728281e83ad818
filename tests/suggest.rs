//! Policies for what was observed: they allow it, nothing more, and say what they leave out.

#![expect(clippy::disallowed_methods, reason = "tests write and read files")]

#[path = "common/files.rs"]
#[expect(dead_code, reason = "other tests write pcapng")]
mod files;
#[path = "common/frames.rs"]
#[expect(dead_code, reason = "other tests wrap them")]
mod frames;

use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watertight"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .output()
        .expect("the tool runs")
}

fn json(arguments: &[&str]) -> serde_json::Value {
    let output = run(arguments);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"))
}

/// Manifests and capture of a world, the manifests with what is suggested among them.
fn applied(world: &str) -> (tempfile::TempDir, String, String, Output) {
    let (manifests, capture) =
        (format!("fixtures/{world}/manifests"), format!("fixtures/{world}/capture.pcap"));
    let output = run(&["suggest", &manifests, "--capture", &capture]);
    let folder = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&manifests)).expect("manifests")
    {
        let path = entry.expect("a file").path();
        std::fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("a copy");
    }
    std::fs::write(folder.path().join("zz-observed.yaml"), &output.stdout).expect("a file");
    (folder, manifests, capture, output)
}

#[test]
fn what_is_applied_breaks_nothing_that_was_seen_and_opens_nothing() {
    for world in ["shop", "proxies", "tls-everywhere"] {
        let (folder, manifests, capture, output) = applied(world);
        assert_eq!(output.status.code(), Some(0), "{world}: {}", String::from_utf8_lossy(&output.stderr));
        let new = folder.path().display().to_string();
        let diff =
            json(&["diff", &manifests, &new, "--capture", &capture, "-f", "json", "--fail-on", "never"]);
        assert_eq!(diff["flows"]["breaks"], serde_json::json!([]), "{world}");
        assert_eq!(diff["problems"], serde_json::json!({"old": [], "new": []}), "{world}");
        for kind in ["opens", "widens", "shifts", "ungoverned", "loses-conditions"] {
            assert_eq!(diff["summary"][kind], 0, "{world} {kind}");
        }
    }
}

#[test]
fn what_is_applied_closes_what_was_not_seen_and_what_policies_deny_stays_denied() {
    let (folder, _, _, output) = applied("shop");
    let (new, said) = (folder.path().display().to_string(), String::from_utf8(output.stdout).expect("text"));
    let explained = |from: &str, to: &str, port: &str| {
        String::from_utf8(run(&["explain", from, to, port, &new]).stdout).expect("text")
    };
    assert!(explained("shop/api", "data/cache", "tcp/6379").starts_with("ALLOWED"));
    assert!(explained("shop/api", "data/cache", "tcp/6380").starts_with("DENIED"));
    assert!(explained("shop/report", "data/cache", "tcp/6379").starts_with("DENIED"));
    assert!(explained("shop/report", "data/db", "tcp/5432").starts_with("DENIED"));
    let left = "#   shop/Deployment/report -> data/StatefulSet/db TCP/5432, 1 flow: the policies deny it\n";
    assert!(said.contains(left), "{said}");
    assert!(said.contains("#   22 paths are closed, 3 let less through\n"), "{said}");
    assert!(said.contains("#   shop/Deployment/report: nothing that it needs was seen\n"), "{said}");
}

#[test]
fn a_world_with_what_was_suggested_asks_for_the_same_once_more() {
    let (folder, _, capture, _) = applied("shop");
    let again = json(&["suggest", &folder.path().display().to_string(), "--capture", &capture, "-f", "json"]);
    assert_eq!(again["proof"]["holds"], true);
    assert_eq!((&again["proof"]["closes"], &again["proof"]["narrows"]), (&0.into(), &0.into()));
    let names: Vec<&str> =
        again["policies"].as_array().expect("policies").iter().filter_map(|p| p["name"].as_str()).collect();
    assert!(names.contains(&"data/NetworkPolicy/observed-deployment-cache"), "not a taken name: {names:?}");
}

#[test]
fn pings_have_no_words_and_the_proof_says_so() {
    let echo = |kind: u8| [&[kind, 0, 0xf7, 0xff, 0, 1, 0, 1][..], &[7; 48]].concat();
    let (web, api) = ([10, 0, 0, 5], [10, 0, 0, 6]);
    let mut packets = talk((web, 40_000), ([10, 96, 0, 6], 80));
    packets.extend([ip(1, web, api, &echo(8)), ip(1, api, web, &echo(0))]);
    let (told, said) = suggested(CLUSTER, &packets);
    assert_eq!(told["proof"]["holds"], false, "{said}");
    assert!(said.contains("#   WOULD BREAK: x/Pod/web -> x/Pod/api ICMP"), "{said}");
    assert!(said.contains("ICMP, 1 flow: NetworkPolicy has no words for it"), "{said}");
}

#[test]
fn neighbours_are_looked_for_whatever_is_suggested() {
    let output =
        run(&["suggest", "fixtures/dual-stack/manifests", "--capture", "fixtures/dual-stack/capture.pcap"]);
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success() && !said.contains("WOULD BREAK"), "{said}");
}

fn ip(protocol: u8, source: [u8; 4], target: [u8; 4], body: &[u8]) -> Vec<u8> {
    frames::Ip { id: 0, hops: 64, source, target }.whole(protocol, body)
}

fn tcp(from: ([u8; 4], u16), to: ([u8; 4], u16), numbers: [u32; 2], flags: u8, payload: &[u8]) -> Vec<u8> {
    ip(6, from.0, to.0, &frames::tcp((from.1, to.1), numbers[0], numbers[1], flags, payload))
}

/// A connection that is opened and answered with a request in between.
fn talk(from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<Vec<u8>> {
    vec![
        tcp(from, to, [1_000, 0], 0x02, &[]),
        tcp(to, from, [9_000, 1_001], 0x12, &[]),
        tcp(from, to, [1_001, 9_001], 0x18, b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"),
        tcp(to, from, [9_001, 1_030], 0x18, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ]
}

const CLUSTER: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: x, labels: {app: web}}
spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}
status: {podIP: 10.0.0.5}
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: x, labels: {app: api, tier: back}}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.6}
---
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: x, labels: {tier: back}}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.7}
---
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: y}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.8}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: x}
spec: {clusterIP: 10.96.0.6, selector: {app: api}, ports: [{port: 80, targetPort: 9000}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: x}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
";

/// What is suggested for manifests and packets: JSON and text.
fn suggested(manifests: &str, packets: &[Vec<u8>]) -> (serde_json::Value, String) {
    let timed: Vec<(u64, Vec<u8>)> =
        packets.iter().cloned().zip(1_u64..).map(|(packet, second)| (second * 1_000_000, packet)).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(place("all.yaml"), manifests).expect("a file");
    std::fs::write(place("node.pcap"), files::pcap(101, &timed)).expect("a file");
    let arguments = ["suggest", &place("all.yaml"), "--capture", &place("node.pcap")];
    let text = String::from_utf8(run(&arguments).stdout).expect("text");
    (json(&[&arguments[..], &["-f", "json"]].concat()), text)
}

fn pod(name: &str, last: u8, labels: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: x, labels: {{{labels}}}}}\n\
         spec: {{containers: [{{name: c}}]}}\nstatus: {{podIP: 10.0.0.{last}}}\n---\n"
    )
}

#[test]
fn services_ways_in_scans_and_pods_without_labels_are_each_told_apart() {
    const WEB: ([u8; 4], u16) = ([10, 0, 0, 5], 40_000);
    let outside = |last: u8| ([198, 51, 100, last], 50_000);
    let listens = |port: u16| ([10, 0, 0, 5], port);
    let mut packets = talk(WEB, ([10, 96, 0, 6], 80));
    packets.extend(talk(outside(7), listens(8080)));
    packets.extend(talk((WEB.0, 40_001), ([203, 0, 113, 9], 443)));
    packets.extend(talk(([10, 0, 0, 7], 40_002), listens(8080)));
    packets.extend(talk(([10, 0, 0, 8], 40_003), listens(8080)));
    // A scan: nobody answers on one port, and the other refuses.
    packets.push(tcp(outside(8), listens(22), [5, 0], 0x02, &[]));
    packets.push(tcp(outside(8), listens(23), [6, 0], 0x02, &[]));
    packets.push(tcp(listens(23), outside(8), [0, 7], 0x14, &[]));
    let (told, _) = suggested(CLUSTER, &packets);
    assert_eq!(told["proof"]["holds"], true, "{told}");
    let policies = told["policies"].as_array().expect("policies");
    let yaml = |name: &str| {
        let policy = policies.iter().find(|policy| policy["name"] == format!("x/NetworkPolicy/{name}"));
        policy.map(|policy| policy["yaml"].as_str().expect("YAML").to_owned()).unwrap_or_default()
    };
    let web = yaml("observed-web");
    let [ingress, egress] = ["  ingress:", "  egress:"].map(|word| web.find(word).expect("a direction"));
    let (entering, leaving) = (&web[ingress..egress], &web[egress..]);
    // The service is its pods and their port; the way in is open to everybody on purpose.
    assert!(leaving.contains("podSelector: {matchLabels: {app: api, tier: back}}"), "{web}");
    assert!(leaving.contains("{protocol: TCP, port: 9000}") && !leaving.contains("port: 80}"), "{web}");
    assert!(leaving.contains("- ipBlock: {cidr: \"203.0.113.9/32\"}"), "{web}");
    assert!(entering.contains("cidr: \"0.0.0.0/0\""), "{web}");
    assert!(entering.contains("# allows x/Pod/api too, whose labels x/Pod/old shares"), "{web}");
    assert_eq!(told["proof"]["shut"], 2, "scans break nothing");
    assert!(!web.contains("port: 22") && !web.contains("port: 23"), "{web}");
    assert!(yaml("observed-api").contains("podSelector: {matchLabels: {app: web}}"));
    let listed = |key: &str, subject: &str| -> Vec<String> {
        let all = told[key].as_array().expect("a list").iter();
        let named = all.filter(|one| one.to_string().contains(subject));
        named.filter_map(|one| one["why"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(listed("left_out", "198.51.100.8"), ["it was not answered, or refused"; 2], "{told}");
    assert_eq!(
        listed("without", "x/Pod/old"),
        ["its labels select pods of x/Pod/api too; give it one of its own"]
    );
    assert_eq!(listed("without", "y/Pod/bare"), ["its pods have no labels to select them by"]);
}

#[test]
fn without_a_capture_there_is_nothing_to_suggest() {
    for arguments in [&["suggest", "fixtures/shop/manifests"][..], &["suggest", "--capture", "x.pcap"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("hint: "), "{arguments:?}");
    }
}

#[test]
fn a_health_check_is_a_need_and_what_was_not_seen_to_begin_is_none_without_a_word() {
    let (web, api) = (([10, 0, 0, 5], 8080), ([10, 0, 0, 6], 40_000));
    // Opened, accepted and closed: nothing was said, and to cut it would take the pod out of service.
    let mut packets = vec![
        tcp(api, web, [1, 0], 0x02, &[]),
        tcp(web, api, [7, 2], 0x12, &[]),
        tcp(api, web, [2, 8], 0x10, &[]),
        tcp(api, web, [2, 8], 0x11, &[]),
        tcp(web, api, [8, 3], 0x11, &[]),
    ];
    // A probe with a bare acknowledgement, which is answered by a reset.
    let ssh = (web.0, 22);
    packets.push(tcp((api.0, 40_001), ssh, [9, 0], 0x10, &[]));
    packets.push(tcp(ssh, (api.0, 40_001), [0, 0], 0x04, &[]));
    let (told, text) = suggested(&[pod("web", 5, "app: web"), pod("api", 6, "app: api")].concat(), &packets);
    assert!(
        text.contains("  # no word came back: health checks, datagrams that go one way, or a scan\n"),
        "{text}"
    );
    assert!(text.contains("port: 8080}") && !text.contains("port: 22}"), "{text}");
    assert_eq!(told["left_out"][0]["traffic"], "TCP/22", "{told}");
    assert_eq!(told["proof"]["breaks"][0]["traffic"], "TCP/22", "it may be an idle connection: {told}");
}

#[test]
fn no_rule_is_made_for_private_addresses_that_nothing_explains() {
    let stranger = ([10, 9, 9, 9], 40_000);
    let manifests = [pod("web", 5, "app: web"), pod("twin", 7, "app: a"), pod("other", 7, "app: b")].concat();
    let mut packets = talk(stranger, ([10, 0, 0, 5], 8080));
    packets.extend(talk(([10, 0, 0, 7], 40_000), ([10, 0, 0, 5], 8081)));
    let (told, text) = suggested(&manifests, &packets);
    assert!(!text.contains("ipBlock"), "{text}");
    let why: Vec<&str> =
        told["left_out"].as_array().expect("a list").iter().filter_map(|one| one["why"].as_str()).collect();
    assert_eq!(why, ["who stands behind an address is not known"; 2]);
}

#[test]
fn the_api_server_is_judged_by_its_address() {
    let manifests = [
        &*pod("web", 5, "app: web"),
        "apiVersion: v1\nkind: Node\nmetadata: {name: n}\n\
         status: {addresses: [{type: InternalIP, address: 192.168.1.1}]}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: kubernetes, namespace: default}\n\
         spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 443, targetPort: 6443}]}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {name: kubernetes, namespace: default, labels: {kubernetes.io/service-name: kubernetes}}\n\
         endpoints: [{addresses: [192.168.1.1]}]\nports: [{name: https, port: 6443}]\n",
    ]
    .concat();
    let packets = talk(([10, 0, 0, 5], 40_000), ([10, 96, 0, 1], 443));
    let (told, text) = suggested(&manifests, &packets);
    assert_eq!((&told["proof"]["judged"], &told["proof"]["holds"]), (&1.into(), &true.into()), "{text}");
    assert!(text.contains("- ipBlock: {cidr: \"192.168.1.1/32\"}"), "{text}");
    // Blocks of addresses do not match nodes there.
    let cilium = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a, namespace: y}\n\
                  spec: {endpointSelector: {}, ingress: [{}]}\n---\n";
    let (told, text) = suggested(&[cilium, &manifests].concat(), &packets);
    assert_eq!(told["proof"]["holds"], false, "{text}");
    assert!(text.contains("WOULD BREAK: x/Pod/web -> default/Service/kubernetes TCP/443"), "{text}");
}

#[test]
fn no_name_of_a_manifest_is_more_than_a_name() {
    let evil = "\"evil\\n---\\napiVersion: v1\\nkind: Namespace\\nmetadata: {name: more}\\n#\"";
    let manifests = [pod(evil, 5, "app: web"), pod("api", 6, "app: api")].concat();
    let (_, text) = suggested(&manifests, &talk(([10, 0, 0, 5], 40_000), ([10, 0, 0, 6], 9000)));
    let kinds: Vec<&str> = text.lines().filter(|line| line.starts_with("kind:")).collect();
    assert_eq!(kinds, ["kind: NetworkPolicy"; 2], "{text}");
}

#[test]
fn names_of_policies_are_free_and_short_enough() {
    let long = "a".repeat(253);
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, namespace: x}\n\
                      spec: {template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c}]}}}\n---\n";
    let owned = "apiVersion: v1\nkind: Pod\nmetadata: {name: pod-api-1, namespace: x, labels: {app: e}, \
                 ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: pod-api, controller: true}]}\n\
                 spec: {containers: [{name: c}]}\nstatus: {podIP: 10.0.0.6}\n---\n";
    let manifests = [deployment, &pod("api", 5, "app: p"), owned, &pod(&long, 7, "app: l")].concat();
    let mut packets = talk(([10, 0, 0, 6], 40_000), ([10, 0, 0, 5], 8080));
    packets.extend(talk(([10, 0, 0, 7], 40_000), ([10, 0, 0, 5], 8080)));
    let (told, _) = suggested(&manifests, &packets);
    let policies = told["policies"].as_array().expect("policies").iter();
    let names: Vec<String> = policies.filter_map(|p| p["name"].as_str()).map(str::to_owned).collect();
    let cut = format!("x/NetworkPolicy/observed-{}", "a".repeat(244));
    assert_eq!(
        names,
        [&*cut, "x/NetworkPolicy/observed-pod-api", "x/NetworkPolicy/observed-statefulset-pod-api"]
    );
}

#[test]
fn what_nobody_can_know_is_said_in_what_is_written() {
    let template = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: x}\n\
                    spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c}]}}}\n";
    let packets = talk(([10, 0, 0, 5], 40_000), ([10, 0, 0, 6], 9000));
    let (_, text) = suggested(template, &packets);
    assert!(text.contains("#   no flow could be judged: nothing is proved\n"), "{text}");
    assert!(text.contains("#   no pod here has an address, so nobody can be told on the wire"), "{text}");
    let broken = [&*pod("web", 5, "app: web"), "kind: Pod\napiVersion: v1\nmetadata: {name: [\n"].concat();
    let (told, text) = suggested(&broken, &[]);
    assert!(text.contains("# Could not be read:\n#   ") && text.contains("not valid YAML"), "{text}");
    assert!(text.contains("# Not known:\n#   no packet is in this capture"), "{text}");
    assert_eq!(told["gaps"].as_array().map(Vec::len), Some(1), "{told}");
}

#[test]
fn pods_without_labels_are_named_with_whom_they_bring() {
    let bare = "apiVersion: v1\nkind: Pod\nmetadata: {name: bare, namespace: y}\n\
                spec: {containers: [{name: c}]}\nstatus: {podIP: 10.0.0.8}\n";
    let packets = talk(([10, 0, 0, 8], 40_000), ([10, 0, 0, 5], 8080));
    let (_, text) = suggested(&[&*pod("web", 5, "app: web"), bare].concat(), &packets);
    assert!(text.contains("  # allows every pod of y: y/Pod/bare has no labels\n"), "{text}");
}

#[test]
fn what_calls_a_service_is_seen_by_whom_it_leads_to() {
    let packets = talk(([10, 0, 0, 5], 40_000), ([10, 96, 0, 6], 80));
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name).display().to_string();
    let timed: Vec<(u64, Vec<u8>)> = packets.into_iter().map(|packet| (1_000_000, packet)).collect();
    std::fs::write(place("all.yaml"), CLUSTER).expect("a file");
    std::fs::write(place("node.pcap"), files::pcap(101, &timed)).expect("a file");
    let listed = |arguments: &[&str]| {
        let fixed = ["graph", &place("all.yaml"), "--what", "observed", "--capture", &place("node.pcap")];
        String::from_utf8(run(&[&fixed[..], arguments].concat()).stdout).expect("text")
    };
    let line = "x/Pod/web -> x/Service/api: TCP 80 ";
    assert!(listed(&["--focus", "x/api"]).starts_with(line), "{}", listed(&["--focus", "x/api"]));
    assert!(listed(&["--namespace", "x"]).starts_with(line));
    assert_eq!(listed(&["--focus", "x/old"]), "");
}
