//! What on-node capture meets, made by hand: every link layer and tunnel, fragments, offload,
//! handshakes that are missing or repeated, and one packet met at several places.

#![expect(clippy::disallowed_methods, reason = "tests read reference data")]

mod common;
#[path = "common/files.rs"]
#[allow(dead_code, reason = "this test writes pcap alone")]
mod files;
#[path = "common/frames.rs"]
mod frames;

use files::{Timed as Packet, pcap};
use frames::{
    A, B, Ip, NODE_A, NODE_B, aggregated, cooked, ethernet, from_a, from_b, ip6, nodes, tcp, udp, wrapped,
    wrapped_6,
};
use std::io::Read;
use watertight::analysis;
use watertight::capture::{self, Flow, FlowLimits, Handshake, Transport};
use watertight::inventory::Inventory;
use watertight::observed::Observed;

const SYN: u8 = 2;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const DATA: u8 = 0x18;
const FIN: u8 = 0x11;
const RST: u8 = 4;

fn flows_of(file: &[u8]) -> (Vec<Flow>, capture::CaptureSummary) {
    let mut flows = Vec::new();
    let mut input = file;
    let summary = capture::read_capture(&mut input, FlowLimits::default(), &mut |flow| flows.push(flow));
    flows.sort_by_key(|flow| (flow.first, flow.initiator, flow.responder));
    (flows, summary.expect("a capture"))
}

/// Segments between A:4000 and B:80 in Ethernet frames: who sends, sequence, acknowledgement, flags, payload.
fn talk(segments: &[(char, u32, u32, u8, &[u8])]) -> Vec<Flow> {
    let packets: Vec<Packet> = segments
        .iter()
        .enumerate()
        .map(|(number, (who, sequence, acknowledged, flags, payload))| {
            let id = number as u16 + 1;
            let (ip, ports) = if *who == 'a' { (from_a(id), (4_000, 80)) } else { (from_b(id), (80, 4_000)) };
            let frame = ip.whole(6, &tcp(ports, *sequence, *acknowledged, *flags, payload));
            (number as u64 * 1_000, ethernet(0x0800, &frame))
        })
        .collect();
    flows_of(&pcap(1, &packets)).0
}

fn observe(files: Vec<Vec<u8>>, workers: usize) -> Observed {
    let inputs = files.into_iter().enumerate().map(|(number, file)| {
        let input: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(file));
        (format!("node-{number}.pcap"), input)
    });
    let (observed, errors) = analysis::observe(inputs.collect(), &Inventory::default(), workers);
    assert!(errors.is_empty(), "{errors:?}");
    observed
}

fn first(observed: &Observed) -> Flow {
    observed.flows.iter().next().expect("a flow").flow
}

#[test]
fn every_wrapping_shows_the_inner_flow_and_its_chain() {
    for (name, link, frame, chain) in wrapped().into_iter().chain(wrapped_6()) {
        let (flows, summary) = flows_of(&pcap(link, &[(0, frame)]));
        assert_eq!(flows.len(), 1, "{name}: {summary:?}");
        let flow = &flows[0];
        assert_eq!(
            (flow.transport, flow.initiator.port, flow.responder.port),
            (Transport::Udp, 5_000, 53),
            "{name}"
        );
        let known = (flow.initiator.ip, flow.responder.ip) == (A.into(), B.into());
        assert!(known || flow.initiator.ip.is_ipv6(), "{name}: {flow:?}");
        assert_eq!(flow.via, chain, "{name}");
        assert_eq!(flow.start.forward, b"a question, in the clear", "{name}");
        assert!(summary.oddities.is_empty(), "{name}: {summary:?}");
    }
}

#[test]
fn what_hides_or_lacks_its_inside_stays_a_flow_of_its_own() {
    let inner = from_a(7).whole(17, &udp(5_000, 53, b"a question, in the clear"));
    let frame = ethernet(0x0800, &inner);
    let cases: [(&str, u16, &[u8], &[u8]); 9] = [
        ("CAPWAP in DTLS", 5_247, &[1, 0, 0, 0, 22, 0xfe, 0xfd, 0], &frame),
        ("a keep-alive of CAPWAP", 5_247, &[0, 0x10, 0x40, 8, 0, 0, 0, 0], &frame),
        ("a fragment of CAPWAP", 5_247, &[0, 0x10, 0x40, 0x80, 0, 1, 0, 0], &frame),
        ("CAPWAP of another radio", 5_247, &[0, 0x10, 0x47, 0, 0, 0, 0, 0], &frame),
        ("the control channel of CAPWAP", 5_246, &[0, 0x10, 0x40, 0, 0, 0, 0, 0], &frame),
        ("an L2TP control message", 1_701, &[0xc8, 2, 0, 70, 0, 1, 0, 7, 0, 1, 0, 1], &inner),
        ("L2TP, version 3", 1_701, &[0, 3, 0, 0, 0, 0, 0, 7, 0xff, 3, 0, 0x21], &inner),
        ("compression agreed on in L2TP", 1_701, &[0, 2, 0, 1, 0, 7, 0xff, 3, 0x80, 0xfd], &inner),
        ("an offset of L2TP behind the end", 1_701, &[2, 2, 0, 1, 0, 7, 0xff, 0xff, 0x21], &inner),
    ];
    for (name, port, header, body) in cases {
        let outer = udp(40_000, port, &[header, body].concat());
        let frame = ethernet(0x0800, &nodes(1).whole(17, &outer));
        let (flows, summary) = flows_of(&pcap(1, &[(0, frame)]));
        assert_eq!(flows.len(), 1, "{name}: {summary:?}");
        assert_eq!((flows[0].responder.port, flows[0].via.len()), (port, 0), "{name}");
    }
    // A service header whose length leaves its own words out, and one that carries something else.
    for header in [[0x0f, 0xc1, 1, 1, 0, 0, 9, 7], [0x0f, 0xc2, 1, 4, 0, 0, 9, 7]] {
        let frame = ethernet(0x894f, &[&header[..], &inner].concat());
        let (flows, summary) = flows_of(&pcap(1, &[(0, frame)]));
        assert_eq!((flows.len(), summary.oddities.len()), (0, 1), "{summary:?}");
    }
}

#[test]
fn every_packet_of_a_frame_that_carries_several_is_counted() {
    let packet = |number: u8| {
        let text = vec![b'a' + number; usize::from(number) + 1];
        from_a(u16::from(number) + 1).whole(17, &udp(5_000 + u16::from(number), 53, &text))
    };
    let frame = aggregated(&(0..40).map(packet).collect::<Vec<_>>());
    for (link, frame) in [
        (105, frame.clone()),
        (1, ethernet(0x0800, &nodes(1).whole(47, &[&[0, 0, 0x82, 0x40][..], &frame].concat()))),
    ] {
        let (flows, summary) = flows_of(&pcap(link, &[(0, frame)]));
        assert_eq!((flows.len(), summary.packets), (40, 1));
        assert!(summary.oddities.is_empty(), "{summary:?}");
        let text = |port: u16| {
            let flow = flows.iter().find(|flow| flow.initiator.port == port).expect("the flow");
            (flow.start.forward.len(), flow.via.join(" "))
        };
        let via = if link == 1 { "gre" } else { "" };
        assert_eq!((text(5_000), text(5_039)), ((1, via.to_owned()), (40, via.to_owned())));
    }
    // What is no IP is counted and hides none of the others, and neither does a cut.
    let spanning_tree = [&[2; 12][..], &[0, 5], &[0x42, 0x42, 3, 0, 0], &[0]].concat();
    let mut mixed = aggregated(&[packet(0)]);
    mixed.extend(spanning_tree);
    mixed.extend(&aggregated(&[packet(1), packet(2)])[26..]);
    mixed.truncate(mixed.len() - 30);
    let (flows, summary) = flows_of(&pcap(105, &[(0, mixed)]));
    assert_eq!((flows.len(), summary.oddities.get("packets that are not IP")), (2, Some(&1)), "{summary:?}");
    assert_eq!(summary.oddities.get("packets that end inside their headers"), Some(&1), "{summary:?}");
}

/// Found by the fuzzer: inside, such an address would be taken for one of IPv4.
#[test]
fn an_address_of_ones_is_no_address_and_spoils_no_count() {
    let good = ip6(17, true, &udp(5_000, 53, b"question"));
    for (from, to) in [(8, 24), (24, 40)] {
        let mut odd = good.clone();
        odd[from..to].fill(0xff);
        for (link, wrap) in [(101, false), (1, true)] {
            let packet = |ip: &[u8]| if wrap { ethernet(0x86dd, ip) } else { ip.to_vec() };
            let (flows, summary) =
                flows_of(&pcap(link, &[(0, packet(&odd)), (1, packet(&good)), (2, packet(&odd))]));
            assert_eq!(flows.len(), 1, "{summary:?}");
            assert_eq!(summary.oddities.get("packets with malformed headers"), Some(&2), "{summary:?}");
        }
    }
}

#[test]
fn six_in_four_and_the_ends_of_the_outermost_tunnel_are_told() {
    let inner = ip6(17, true, &udp(5_000, 53, b"question"));
    let (flows, _) = flows_of(&pcap(1, &[(0, ethernet(0x0800, &nodes(1).whole(41, &inner)))]));
    assert_eq!(flows[0].via, ["6in4"]);
    assert!(flows[0].initiator.ip.is_ipv6());
    assert_eq!(flows[0].seen.tunnel(), Some((NODE_A.into(), NODE_B.into())));
}

#[test]
fn bytes_that_only_look_like_a_tunnel_stay_what_they_are() {
    let inner = from_a(7).whole(17, &udp(5_000, 53, b"question"));
    let mut wrong = ethernet(0x0800, &inner);
    wrong[24] ^= 1;
    let payload = [&[8, 0, 0, 0, 0, 0x10, 0, 0][..], &wrong].concat();
    let (flows, _) =
        flows_of(&pcap(1, &[(0, ethernet(0x0800, &nodes(1).whole(17, &udp(40_000, 12_345, &payload))))]));
    assert_eq!((flows.len(), flows[0].responder.port), (1, 12_345));
    assert!(flows[0].via.is_empty());
}

#[test]
fn wireguard_and_esp_are_flows_of_their_own_and_nesting_ends_somewhere() {
    let esp = ethernet(0x0800, &nodes(1).whole(50, &[1; 40]));
    let (flows, _) = flows_of(&pcap(1, &[(0, esp)]));
    assert_eq!(flows[0].transport, Transport::Other(50));
    let mut packet = from_a(1).whole(17, &udp(1, 2, b"deep"));
    for _ in 0..40 {
        packet = nodes(1).whole(4, &packet);
    }
    let (flows, summary) = flows_of(&pcap(101, &[(0, packet)]));
    assert!(flows.is_empty() && summary.oddities.keys().any(|what| what.contains("layers")), "{summary:?}");
}

#[test]
fn what_the_link_layer_encrypts_is_counted_as_that() {
    let macsec = ethernet(0x88e5, &[&[0x0c, 0, 0, 0, 0, 1][..], &[0x55; 40]].concat());
    let (flows, summary) = flows_of(&pcap(1, &[(0, macsec)]));
    assert!(flows.is_empty() && summary.oddities.contains_key("packets that are encrypted below IP"));
}

#[test]
fn fragments_are_put_together_in_any_order_of_both_versions_and_inside_tunnels() {
    let payload: Vec<u8> = (0..3_000_u32).map(|n| n as u8).collect();
    let datagram = udp(5_000, 53, &payload);
    let four = |ip: Ip| {
        [(1_480, 1), (0, 0), (2_960, 2)].map(|(from, _): (usize, u8)| {
            let end = (from + 1_480).min(datagram.len());
            let more = if end < datagram.len() { 0x2000 } else { 0 };
            ip.part(17, more | (from / 8) as u16, &datagram[from..end])
        })
    };
    let six = [(0_usize, 1_480), (1_480, 2_960), (2_960, 3_008)].map(|(from, to)| {
        let position = (from as u16) | u16::from(to < datagram.len());
        let head = [&[17, 0][..], &position.to_be_bytes(), &[0, 0, 0, 9]].concat();
        ip6(44, true, &[head.as_slice(), &datagram[from..to]].concat())
    });
    let vxlan = four(from_a(9)).map(|part| {
        let frame = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &ethernet(0x0800, &part)].concat();
        nodes(2).whole(17, &udp(40_000, 8_472, &frame))
    });
    for parts in [four(from_a(9)), six, vxlan] {
        let packets: Vec<Packet> = parts.iter().map(|part| (1, part.clone())).collect();
        let (flows, summary) = flows_of(&pcap(101, &packets));
        assert_eq!((flows.len(), flows[0].forward.packets), (1, 3), "{summary:?}");
        assert_eq!(flows[0].start.forward, payload);
        assert!(summary.oddities.is_empty() && !flows[0].start.holes);
    }
}

#[test]
fn a_datagram_that_never_becomes_whole_shows_its_beginning_and_is_counted() {
    let datagram = udp(5_000, 53, &[7; 2_000]);
    let head = from_a(9).part(17, 0x2000, &datagram[..1_480]);
    let tail = from_a(10).part(17, 185, &datagram[1_480..]);
    let (flows, summary) = flows_of(&pcap(101, &[(0, head), (1, tail)]));
    assert_eq!((flows.len(), flows[0].responder.port, flows[0].start.holes), (1, 53, true));
    let counted: Vec<(&str, u64)> =
        summary.oddities.iter().map(|(what, count)| (what.as_str(), *count)).collect();
    assert_eq!(
        counted,
        [("fragmented packets that never became whole", 1), ("fragments whose first part was not seen", 1)]
    );
}

#[test]
fn offload_leaves_lengths_of_zero_and_segments_larger_than_any_network() {
    let body = tcp((4_000, 80), 1, 1, DATA, &[b'x'; 9_000]);
    let mut packet = from_a(1).whole(6, &body);
    packet[2..4].copy_from_slice(&[0, 0]);
    let (flows, summary) = flows_of(&pcap(101, &[(0, packet)]));
    assert_eq!((flows[0].forward.bytes, flows[0].start.forward.len()), (9_040, 9_000));
    assert!(summary.oddities.is_empty());
    let mut six = ip6(6, true, &body);
    six[4..6].copy_from_slice(&[0, 0]);
    assert_eq!(flows_of(&pcap(101, &[(0, six)])).0[0].start.forward.len(), 9_000);
}

#[test]
fn handshakes_say_who_opened_even_where_half_of_them_is_missing() {
    let both = talk(&[('a', 10, 0, SYN, b""), ('b', 50, 11, SYN_ACK, b""), ('a', 11, 51, DATA, b"hello")]);
    assert_eq!((both.len(), both[0].handshake, both[0].initiator.port), (1, Handshake::Seen, 4_000));
    let answer = talk(&[('b', 50, 11, SYN_ACK, b""), ('a', 11, 51, DATA, b"hello")]);
    assert_eq!((answer[0].handshake, answer[0].initiator.port), (Handshake::AnswerSeen, 4_000));
    let none = talk(&[('b', 51, 16, DATA, b"hello"), ('a', 11, 56, DATA, b"you")]);
    assert_eq!((none[0].handshake, none[0].initiator.port), (Handshake::GuessedByPort, 4_000));
    assert!(none[0].start.late && !both[0].start.late);
    let crossed = talk(&[('b', 50, 11, SYN_ACK, b""), ('a', 10, 0, SYN, b""), ('a', 11, 51, DATA, b"hello")]);
    assert_eq!((crossed.len(), crossed[0].handshake), (1, Handshake::Seen));
}

#[test]
fn a_simultaneous_open_is_one_connection_of_who_came_first() {
    let flows = talk(&[
        ('b', 50, 0, SYN, b""),
        ('a', 10, 0, SYN, b""),
        ('a', 10, 51, SYN_ACK, b""),
        ('b', 50, 11, SYN_ACK, b""),
        ('a', 11, 51, DATA, b"hello"),
    ]);
    assert_eq!((flows.len(), flows[0].handshake, flows[0].initiator.port), (1, Handshake::Seen, 80));
    assert_eq!(flows[0].start.backward, b"hello");
}

#[test]
fn a_new_handshake_between_the_same_ports_is_a_new_connection() {
    let closed = talk(&[
        ('a', 10, 0, SYN, b""),
        ('b', 50, 11, SYN_ACK, b""),
        ('a', 11, 51, RST, b""),
        ('a', 900, 0, SYN, b""),
        ('b', 950, 901, SYN_ACK, b""),
        ('a', 901, 951, DATA, b"second"),
    ]);
    assert_eq!(closed.len(), 2);
    assert_eq!(closed[1].start.forward, b"second");
    let unclosed = talk(&[('a', 10, 0, SYN, b""), ('a', 11, 51, DATA, b"first"), ('a', 70_000, 0, SYN, b"")]);
    assert_eq!(unclosed.len(), 2);
    let repeated = talk(&[('a', 10, 0, SYN, b""), ('a', 10, 0, SYN, b""), ('b', 50, 11, SYN_ACK, b"")]);
    assert_eq!((repeated.len(), repeated[0].forward.packets), (1, 2));
}

/// The ports of a connection that has ended are used again, and the capture lost the handshake.
#[test]
fn payload_far_from_what_was_said_before_the_end_is_a_new_connection() {
    let ended = [
        ('a', 10, 0, SYN, &b""[..]),
        ('b', 50, 11, SYN_ACK, b""),
        ('a', 11, 51, DATA, b"SSH-2.0-a\r\n"),
        ('b', 51, 22, DATA, b"SSH-2.0-b\r\n"),
        ('a', 22, 62, FIN, b""),
        ('b', 62, 23, FIN, b""),
    ];
    let later = |offset: u32| [('a', 23 + offset, 62 + offset, DATA, &b"GET / HTTP/1.1\r\n\r\n"[..])];
    let again = talk(&[&ended[..], &later(90_000_000)].concat());
    assert_eq!(again.len(), 2);
    assert_eq!((again[1].start.forward.as_slice(), again[1].start.late), (later(0)[0].4, true));
    let told = again.iter().map(|flow| watertight::protocol::detect(flow).protection.word());
    assert_eq!(told.collect::<Vec<_>>(), ["unknown", "plaintext"]);
    assert_eq!(talk(&[&ended[..], &later(0)].concat()).len(), 1, "what was under way belongs to the old one");
}

#[test]
fn packets_after_a_reset_and_after_the_farewell_still_belong_to_the_connection() {
    let flows = talk(&[
        ('a', 10, 0, SYN, b""),
        ('b', 50, 11, SYN_ACK, b""),
        ('a', 11, 51, DATA, b"hello"),
        ('b', 51, 16, RST, b""),
        ('a', 16, 51, DATA, b" world"),
        ('b', 51, 22, RST, b""),
    ]);
    assert_eq!((flows.len(), flows[0].forward.packets, flows[0].backward.packets), (1, 3, 3));
    assert_eq!(flows[0].start.forward, b"hello world");
    let farewell = talk(&[
        ('a', 10, 0, SYN, b""),
        ('a', 11, 51, FIN, b""),
        ('b', 51, 12, FIN, b""),
        ('a', 12, 52, ACK, b""),
    ]);
    assert_eq!((farewell.len(), farewell[0].forward.packets), (1, 3));
}

#[test]
fn keep_alives_and_repetitions_add_no_bytes() {
    let flows = talk(&[
        ('a', 10, 0, SYN, b""),
        ('b', 50, 11, SYN_ACK, b""),
        ('a', 11, 51, DATA, b"abc"),
        ('a', 13, 51, ACK, b"\0"),
        ('a', 11, 51, DATA, b"abcdef"),
    ]);
    assert_eq!(flows[0].start.forward, b"abcdef");
    let late = talk(&[('a', 99, 51, ACK, b"\0"), ('a', 100, 51, DATA, b"abc")]);
    assert_eq!(late[0].start.forward, b"abc");
}

/// One connection as it is met at a pod's interface (1), a bridge (2) and, in VXLAN, at the node's (3).
fn met_thrice() -> Vec<Packet> {
    let segments: [(bool, u32, u32, u8, &[u8]); 5] = [
        (true, 10, 0, SYN, b""),
        (false, 50, 11, SYN_ACK, b""),
        (true, 11, 51, DATA, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (true, 11, 51, DATA, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (false, 51, 38, DATA, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ];
    let mut packets = Vec::new();
    for (number, (from_client, sequence, acknowledged, flags, payload)) in segments.into_iter().enumerate() {
        let id = number as u16 + 1;
        let (ip, ports) = if from_client { (from_a(id), (4_000, 80)) } else { (from_b(id), (80, 4_000)) };
        let plain = ip.whole(6, &tcp(ports, sequence, acknowledged, flags, payload));
        let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &ethernet(0x0800, &plain)].concat();
        let carried = nodes(id).whole(17, &udp(40_000, 8_472, &vxlan));
        let time = number as u64 * 1_000;
        packets.push((time, cooked(1, &plain)));
        packets.push((time + 5, cooked(2, &plain)));
        packets.push((time + 9, cooked(3, &carried)));
    }
    packets
}

#[test]
fn a_packet_at_pod_bridge_and_node_is_counted_once_and_a_repetition_twice() {
    let observed = observe(vec![pcap(276, &met_thrice())], 1);
    assert_eq!((observed.flows.len(), observed.copies), (1, 10));
    let flow = &first(&observed);
    assert_eq!((flow.forward.packets, flow.backward.packets), (3, 2));
    assert_eq!(flow.via, ["vxlan:1"]);
    let interfaces: Vec<u32> = flow.seen.places().iter().map(|place| place.interface).collect();
    assert_eq!(interfaces.len(), 3, "{interfaces:?}");
    assert_eq!(flow.seen.copies(), 10);
}

#[test]
fn captures_of_two_nodes_are_merged_on_time() {
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for (number, (time, frame)) in met_thrice().into_iter().enumerate() {
        match number % 3 {
            0 => here.push((time, frame)),
            1 => there.push((time + 2_000_000, frame)),
            _ => {}
        }
    }
    // The other node's clock is two seconds ahead: nothing proves that these are the same packets.
    let apart = observe(vec![pcap(276, &here), pcap(276, &there)], 2);
    assert_eq!(apart.flows.len(), 1);
    there.iter_mut().for_each(|(time, _)| *time -= 1_999_900);
    let merged = observe(vec![pcap(276, &there), pcap(276, &here)], 2);
    assert_eq!((merged.flows.len(), merged.copies), (1, 5));
    assert_eq!(first(&merged).start, first(&observe(vec![pcap(276, &here)], 1)).start);
    assert_eq!(merged.captures.len(), 2);
}

#[test]
fn segments_that_offload_cut_differently_are_counted_once() {
    let large = [b'x'; 4_000];
    let mut packets = vec![(0, cooked(1, &from_a(1).whole(6, &tcp((4_000, 80), 10, 0, SYN, b""))))];
    packets.push((1, cooked(3, &from_a(1).whole(6, &tcp((4_000, 80), 10, 0, SYN, b"")))));
    packets.push((2, cooked(1, &from_a(2).whole(6, &tcp((4_000, 80), 11, 51, DATA, &large)))));
    for (number, piece) in large.chunks(1_400).enumerate() {
        let segment = tcp((4_000, 80), 11 + number as u32 * 1_400, 51, DATA, piece);
        packets.push((3 + number as u64, cooked(3, &from_a(2 + number as u16).whole(6, &segment))));
    }
    let observed = observe(vec![pcap(276, &packets)], 1);
    assert_eq!((first(&observed).forward.packets, observed.copies), (2, 4));
}

#[test]
fn a_connection_through_a_service_address_is_one_and_says_so() {
    let service = [10, 96, 0, 10];
    let mut packets = Vec::new();
    let segments: [(bool, u32, u32, u8, &[u8]); 4] = [
        (true, 0x1b3f_09c2, 0, SYN, b""),
        (false, 0x9d27_e451, 0x1b3f_09c3, SYN_ACK, b""),
        (true, 0x1b3f_09c3, 0x9d27_e452, DATA, b"*1\r\n$4\r\nPING\r\n"),
        (false, 0x9d27_e452, 0x1b3f_09d1, DATA, b"+PONG\r\n"),
    ];
    for (number, (from_client, sequence, acknowledged, flags, payload)) in segments.into_iter().enumerate() {
        for (leg, (address, port)) in [(service, 80_u16), (B, 6_379)].into_iter().enumerate() {
            let (source, target) = if from_client { (A, address) } else { (address, A) };
            let ports = if from_client { (4_000, port) } else { (port, 4_000) };
            let ip = Ip { id: number as u16 + 1, hops: 64 - leg as u8, source, target };
            let segment = tcp(ports, sequence, acknowledged, flags, payload);
            let order = if from_client { leg } else { 1 - leg };
            packets
                .push((number as u64 * 1_000 + order as u64, cooked(leg as u32 + 1, &ip.whole(6, &segment))));
        }
    }
    packets.sort();
    let observed = observe(vec![pcap(276, &packets)], 2);
    assert_eq!(observed.flows.len(), 1);
    let flow = &first(&observed);
    assert_eq!((flow.initiator.ip, flow.responder.ip, flow.responder.port), (A.into(), B.into(), 6_379));
    assert_eq!((flow.forward.packets, flow.seen.legs().len()), (2, 2));
    assert_eq!((flow.seen.legs()[0].responder.ip, flow.seen.legs()[0].responder.port), (service.into(), 80));
}

#[test]
fn a_clock_that_is_set_back_splits_no_flow() {
    let said = |port: u16| ethernet(0x0800, &from_a(7).whole(17, &udp(port, 9_999, b"hello there")));
    let (later, earlier) =
        ((0..5_000).map(|n| (36_000_000_000 + n, said(1))), (0..5_000).map(|n| (n, said(2))));
    let (flows, _) = flows_of(&pcap(1, &later.chain(earlier).collect::<Vec<_>>()));
    let packets: Vec<u64> = flows.iter().map(|flow| flow.forward.packets + flow.backward.packets).collect();
    assert_eq!(packets, [5_000, 5_000]);
}

#[test]
fn any_number_of_workers_gives_the_same_flows() {
    let mut files = vec![pcap(276, &met_thrice())];
    if let Some(root) = common::shared("data/captures") {
        let entries = walkdir::WalkDir::new(root.join("zeek")).sort_by_file_name().into_iter();
        let packed = |path: &std::path::Path| path.extension().is_some_and(|ending| ending == "gz");
        let paths = entries.filter_map(Result::ok).map(walkdir::DirEntry::into_path);
        let known =
            paths.filter(|path| path.is_file() && !packed(path)).filter_map(|path| std::fs::read(path).ok());
        files.extend(known.filter(|bytes| bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1])).take(120));
    }
    let text = |workers| {
        let observed = observe(files.clone(), workers);
        let flows: Vec<String> =
            observed.flows.iter().map(|seen| format!("{:?} {:?}", seen.flow, seen.detection)).collect();
        (flows, observed.copies, observed.oddities)
    };
    let one = text(1);
    assert!(!one.0.is_empty());
    assert_eq!(one, text(2));
    assert_eq!(one, text(3));
}
