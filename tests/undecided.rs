//! A review says of which flows nobody can tell whether they are protected.

mod common;
#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test takes datagrams between two ends")]
mod frames;

use frames::{ethernet, from_a, from_b, udp};
use watertight::analysis;

const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: n}
spec: {containers: [{name: c}]}
status: {podIP: 10.1.0.7}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: n}
spec: {containers: [{name: c}]}
status: {podIP: 10.2.0.9}
";

/// The gaps of a review of datagrams from the first end to the second, and back.
fn gaps(manifests: &str, datagrams: &[&[u8]]) -> Vec<String> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for (at, content) in datagrams.iter().enumerate() {
        let id = at as u16 + 1;
        let (ip, ports) =
            if at % 2 == 0 { (from_a(id), (5_000, 6_000)) } else { (from_b(id), (6_000, 5_000)) };
        let packet = ethernet(0x0800, &ip.whole(17, &udp(ports.0, ports.1, content)));
        let length = packet.len() as u32;
        let words = [1_700_000_000, at as u32 * 100, length, length];
        words.iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(packet);
    }
    let (analysis, _) = common::analyse_under("", manifests, None);
    let captures = vec![("hand".to_owned(), Box::new(file.as_slice()) as Box<dyn std::io::Read + Send>)];
    let (observed, errors) = analysis::observe(captures, &analysis.inventory, 1);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(observed.flows.len(), 1);
    let analysis = analysis::reviewed(analysis, observed);
    let whether = |what: &String| what.contains("whether they are protected");
    analysis.gaps.iter().map(|gap| gap.what.clone()).filter(whether).collect()
}

#[test]
fn a_review_is_not_silent_about_flows_that_may_be_readable() {
    let strange: [&[u8]; 2] = [&[0xf9, 1, 0, 2, 0, 0, 0, 7], &[0xf9, 2, 0, 2, 0, 0, 0, 8]];
    assert_eq!(
        gaps(PODS, &strange),
        ["1 x flows of which nobody can tell whether they are protected: unknown (no detector knows these \
             bytes), as n/Pod/a -> n/Pod/b UDP/6000"]
    );
    // Nothing was said, what was said is known, and nobody of the cluster said it.
    let none: [&str; 0] = [];
    assert_eq!(gaps(PODS, &[&[], &[]]), none);
    assert_eq!(gaps(PODS, &[b"a text that everybody who is on the way can read", b"and another"]), none);
    let others = PODS.replace("podIP: 10.", "podIP: 192.");
    assert_eq!(gaps(&others, &strange), none);
}
