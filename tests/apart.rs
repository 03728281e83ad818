//! Networks apart that use the same addresses: what cannot be told apart is said.

mod common;
#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test takes datagrams in VLANs")]
mod frames;

use frames::{ethernet, from_a, from_b, nodes, tcp, udp};
use watertight::analysis;

/// What a capture shows of its only flow: protection, packets counted, and the gaps on what is not known
/// to be one network.
fn told(frames: &[Vec<u8>]) -> (&'static str, u64, Vec<String>) {
    let (flows, gaps) = reviewed(frames);
    assert_eq!(flows.len(), 1);
    (flows[0].0, flows[0].1, gaps)
}

/// Protection and packets of all flows of a capture, and those gaps.
fn reviewed(frames: &[Vec<u8>]) -> (Vec<(&'static str, u64)>, Vec<String>) {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for (at, packet) in frames.iter().enumerate() {
        let length = packet.len() as u32;
        let words = [1_700_000_000, at as u32 * 100, length, length];
        words.iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(packet);
    }
    let (analysis, _) = common::analyse_under("", "", None);
    let captures = vec![("hand".to_owned(), Box::new(file.as_slice()) as Box<dyn std::io::Read + Send>)];
    let (observed, errors) = analysis::observe(captures, &analysis.inventory, 1);
    assert!(errors.is_empty(), "{errors:?}");
    let packets =
        |seen: &watertight::observed::ObservedFlow| seen.flow.forward.packets + seen.flow.backward.packets;
    let flows =
        observed.flows.iter().map(|seen| (seen.detection.protection.word(), packets(&seen))).collect();
    let analysis = analysis::reviewed(analysis, observed);
    let gaps = analysis.gaps.iter().map(|gap| gap.what.clone()).filter(|what| what.contains("VLAN"));
    (flows, gaps.collect())
}

/// What is not known of some datagrams, each with its VLAN and whether the first end sent it.
fn gaps(packets: &[(u8, bool, u16)]) -> Vec<String> {
    let frame = |(vlan, ahead, id): &(u8, bool, u16)| {
        let (ip, ports) = if *ahead { (from_a(*id), (5_000, 6_000)) } else { (from_b(*id), (6_000, 5_000)) };
        let body = ip.whole(17, &udp(ports.0, ports.1, format!("datagram {id} of some").as_bytes()));
        ethernet(0x8100, &[&[0, *vlan, 8, 0][..], &body].concat())
    };
    told(&packets.iter().map(frame).collect::<Vec<_>>()).2
}

/// A network, or none.
type Vni = Option<u8>;

/// Packets between two ends: where each was met, whether the first end sent it, its identification.
fn frame(vni: Vni, ahead: bool, id: u16, protocol: u8, body: &[u8]) -> Vec<u8> {
    let ip = if ahead { from_a(id) } else { from_b(id) };
    let inner = ethernet(0x0800, &ip.whole(protocol, body));
    let Some(vni) = vni else { return inner };
    let overlay = [&[8, 0, 0, 0, 0, 0, vni, 0][..], &inner].concat();
    ethernet(0x0800, &nodes(id).whole(17, &udp(40_000, 8_472, &overlay)))
}

/// A segment in the middle of a connection.
fn segment(vni: Vni, ahead: bool, id: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let ports = if ahead { (40_000, 8_443) } else { (8_443, 40_000) };
    frame(vni, ahead, id, 6, &tcp(ports, sequence, 1, 0x18, payload))
}

/// A record of TLS that carries data.
fn record(number: u64) -> Vec<u8> {
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        (word >> 24) as u8
    };
    [23, 3, 3, 0, 200].into_iter().chain((0..200).map(|_| next())).collect()
}

/// A connection over TLS, in networks that may differ with the direction, behind some number.
fn over_tls(ahead: impl Fn(u16) -> Vec<Vni>, back: impl Fn(u16) -> Vec<Vni>) -> Vec<Vec<u8>> {
    let each = (0..16_u16).flat_map(|n| {
        let (is_ahead, sequence) = (n % 2 == 0, 5_000 + u32::from(n / 2) * 205);
        let places = if is_ahead { ahead(n) } else { back(n) };
        places.into_iter().map(move |vni| segment(vni, is_ahead, n + 1, sequence, &record(u64::from(n))))
    });
    each.collect()
}

#[test]
fn one_connection_is_one_whatever_networks_it_goes_by() {
    let none = Vec::<String>::new();
    let one = |vni: u8| move |_| vec![Some(vni)];
    assert_eq!(told(&over_tls(one(1), one(1))), ("encrypted", 16, none.clone()));
    // Cilium writes the identity of who sends into the number (pkg/identity, bpf/lib/encap.h).
    assert_eq!(told(&over_tls(one(1), one(2))), ("encrypted", 16, none.clone()));
    // Inside and outside of the tunnel.
    let twice = |vni: u8| move |_| vec![None, Some(vni)];
    assert_eq!(told(&over_tls(twice(1), twice(2))), ("encrypted", 16, none.clone()));
    // The identity of who sends became another.
    let changed = |n: u16| vec![Some(if n < 8 { 1 } else { 3 })];
    assert_eq!(told(&over_tls(changed, one(2))), ("encrypted", 16, none.clone()));
    let changed_inside = |n: u16| vec![None, Some(if n < 8 { 1 } else { 3 })];
    assert_eq!(told(&over_tls(changed_inside, twice(2))), ("encrypted", 16, none));
}

#[test]
fn what_one_network_encrypts_does_not_hide_what_another_says_in_the_clear() {
    for at in [900_000_000, 3_900_000_000, 4_294_960_000_u32] {
        for places in [vec![Some(2)], vec![None], vec![None, Some(2)]] {
            let clear = (0..6_u16).flat_map(|n| {
                let text = format!("GET /{n} HTTP/1.1\r\nHost: another.example\r\n\r\n");
                let sequence = at.wrapping_sub(30_000_000).wrapping_add(u32::from(n) * 50);
                places
                    .clone()
                    .into_iter()
                    .map(move |vni| segment(vni, true, 900 + n, sequence, text.as_bytes()))
            });
            let clear: Vec<Vec<u8>> = clear.collect();
            let encrypted = over_tls(|_| vec![Some(1)], |_| vec![Some(1)]);
            // One behind the other, captures taken one after the other would show it so.
            if places.contains(&Some(2)) {
                let (word, _, gaps) = told(&[encrypted.clone(), clear.clone()].concat());
                assert_ne!(word, "encrypted", "{at} {places:?}");
                assert_eq!(gaps.len(), 1, "{at} {places:?}");
            }
            let mixed: Vec<Vec<u8>> =
                encrypted.chunks(4).zip(clear.chunks(2)).flat_map(|(a, b)| [a, b].concat()).collect();
            let (word, _, gaps) = told(&mixed);
            assert_ne!(word, "encrypted", "{at} {places:?}");
            assert_eq!(gaps.len(), 1, "{at} {places:?}");
        }
    }
}

#[test]
fn datagrams_of_two_networks_are_not_one_flow_for_sure() {
    let datagram = |vni: Vni, ahead: bool, id: u16| {
        let ports = if ahead { (5_000, 6_000) } else { (6_000, 5_000) };
        frame(vni, ahead, id, 17, &udp(ports.0, ports.1, format!("datagram {id} of some").as_bytes()))
    };
    let both = |places: fn(u16) -> Vec<Vni>| {
        let each =
            (1..13_u16).flat_map(|id| places(id).into_iter().map(move |vni| datagram(vni, id % 4 < 2, id)));
        told(&each.collect::<Vec<_>>()).2.len()
    };
    assert_eq!(both(|id| vec![Some(1 + (id % 2) as u8)]), 1);
    assert_eq!(both(|id| vec![None, Some(1 + (id % 2) as u8)]), 1);
    // Each direction has a number of its own.
    assert_eq!(both(|id| vec![Some(1 + u8::from(id % 4 < 2))]), 0);
    assert_eq!(both(|id| vec![None, Some(1 + u8::from(id % 4 < 2))]), 0);
    // Routed from one network to another.
    assert_eq!(both(|_| vec![Some(1), Some(2)]), 0);
    assert_eq!(both(|_| vec![Some(1), None, Some(2)]), 0);
}

#[test]
fn the_same_addresses_in_two_vlans_are_not_known_to_be_one_network() {
    // Other packets in each.
    let apart: Vec<(u8, bool, u16)> =
        (0..8_u8).map(|n| (10 + n % 2 * 10, n % 4 < 2, u16::from(n) + 1)).collect();
    assert_eq!(gaps(&apart).len(), 1);
    // Routed from one to the other, each packet is met in both.
    let routed: Vec<(u8, bool, u16)> =
        (0..8_u8).map(|n| (10 + n % 2 * 10, n % 4 < 2, u16::from(n / 2) + 1)).collect();
    assert_eq!(gaps(&routed), [] as [&str; 0]);
    let one: Vec<(u8, bool, u16)> = (0..8_u8).map(|n| (10, n % 2 == 0, u16::from(n) + 1)).collect();
    assert_eq!(gaps(&one), [] as [&str; 0]);
}

#[test]
fn the_same_addresses_in_two_networks_are_told_whatever_their_ports() {
    // Calls of two clients, each with its answers, in networks by the direction.
    let gaps = |calls: [(u8, u8); 2]| {
        let each = (0..12_u16).flat_map(|n| {
            let (client, ahead) = (usize::from(n % 2), n % 4 < 2);
            let (own, server) = (5_000 + n % 2, 6_000);
            let ports = if ahead { (own, server) } else { (server, own) };
            let vni = if ahead { calls[client].0 } else { calls[client].1 };
            let text = format!("datagram {n} of some");
            [frame(Some(vni), ahead, n + 1, 17, &udp(ports.0, ports.1, text.as_bytes()))]
        });
        let (flows, gaps) = reviewed(&each.collect::<Vec<_>>());
        assert_eq!(flows.len(), 2);
        gaps.len()
    };
    assert_eq!(gaps([(1, 1), (1, 1)]), 0);
    assert_eq!(gaps([(1, 2), (1, 2)]), 0);
    assert_eq!(gaps([(1, 2), (3, 2)]), 0);
    assert_eq!(gaps([(1, 1), (2, 2)]), 1);
    assert_eq!(gaps([(1, 2), (3, 4)]), 1);
}

/// A frame between two routers, under the label of the way and that of a network.
fn labelled(network: u8, way: u8, ahead: bool, id: u16, protocol: u8, body: &[u8]) -> Vec<u8> {
    let ip = if ahead { from_a(id) } else { from_b(id) };
    let label = |number: u8, bottom: u8| [0, 1, number << 4 | bottom, 64];
    ethernet(0x8847, &[&label(way, 0)[..], &label(network, 1), &ip.whole(protocol, body)].concat())
}

#[test]
fn customers_with_the_same_addresses_beneath_one_label_are_not_taken_for_one() {
    let ports = |ahead: bool| if ahead { (40_000, 8_443) } else { (8_443, 40_000) };
    let sealed = |n: u16, ahead: bool, network: u8| {
        let body = tcp(ports(ahead), 5_000 + u32::from(n / 2) * 205, 1, 0x18, &record(u64::from(n)));
        labelled(network, 6, ahead, n + 1, 6, &body)
    };
    let clear = |n: u16| {
        let text = format!("GET /{n} HTTP/1.1\r\nHost: another.example\r\n\r\n");
        let body = tcp(ports(true), 900_000_000 + u32::from(n) * 50, 1, 0x18, text.as_bytes());
        labelled(9, 6, true, 900 + n, 6, &body)
    };
    // Each direction has a label of its own.
    let alone: Vec<Vec<u8>> = (0..16).map(|n| sealed(n, n % 2 == 0, 1 + (n % 2) as u8)).collect();
    assert_eq!(told(&alone), ("encrypted", 16, Vec::new()));
    let (word, _, gaps) = told(&[alone.clone(), (0..6).map(clear).collect()].concat());
    assert!(word != "encrypted" && gaps.len() == 1, "{word} {gaps:?}");
    // The way changes, and its label; that of the network stays.
    let rerouted: Vec<Vec<u8>> = (0..16_u16)
        .map(|n| {
            let text = format!("datagram {n} of some");
            labelled(1, 6 + (n / 8) as u8, true, n + 1, 17, &udp(5_000, 6_000, text.as_bytes()))
        })
        .collect();
    assert_eq!(told(&rerouted).2, [] as [&str; 0]);
}
