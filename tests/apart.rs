//! Networks apart that use the same addresses: what cannot be told apart is said.

mod common;
#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test takes datagrams in VLANs")]
mod frames;

use frames::{ethernet, from_a, from_b, udp};
use watertight::analysis;

/// What is not known of some datagrams, each with its VLAN and whether the first end sent it.
fn gaps(packets: &[(u8, bool, u16)]) -> Vec<String> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for (at, (vlan, ahead, id)) in packets.iter().enumerate() {
        let (ip, ports) = if *ahead { (from_a(*id), (5_000, 6_000)) } else { (from_b(*id), (6_000, 5_000)) };
        let body = ip.whole(17, &udp(ports.0, ports.1, format!("datagram {id} of some").as_bytes()));
        let packet = ethernet(0x8100, &[&[0, *vlan, 8, 0][..], &body].concat());
        let length = packet.len() as u32;
        let words = [1_700_000_000, at as u32 * 100, length, length];
        words.iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(packet);
    }
    let (analysis, _) = common::analyse_under("", "", None);
    let captures = vec![("hand".to_owned(), Box::new(file.as_slice()) as Box<dyn std::io::Read + Send>)];
    let (observed, errors) = analysis::observe(captures, &analysis.inventory, 1);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(observed.flows.len(), 1);
    let analysis = analysis::reviewed(analysis, observed);
    analysis.gaps.iter().map(|gap| gap.what.clone()).filter(|what| what.contains("VLAN")).collect()
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
