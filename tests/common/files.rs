//! Captures of one interface, made by hand.

/// A packet: microseconds and bytes.
pub type Timed = (u64, Vec<u8>);

/// A pcapng of one interface.
pub fn pcapng(link: u32, interface: &str, packets: &[Timed]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = (body.len() + padding + 12) as u32;
        file.extend([kind.to_le_bytes(), length.to_le_bytes()].concat());
        file.extend(body);
        file.extend(&[0; 3][..padding]);
        file.extend(length.to_le_bytes());
    };
    block(0x0a0d_0d0a, &[&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat());
    let mut name = interface.as_bytes().to_vec();
    name.resize(interface.len().next_multiple_of(4), 0);
    let option = [&[2, 0][..], &(interface.len() as u16).to_le_bytes(), &name, &[0; 4]].concat();
    block(1, &[&(link as u16).to_le_bytes()[..], &[0; 6], &option].concat());
    for (time, bytes) in packets {
        let head = [0, (time >> 32) as u32, *time as u32, bytes.len() as u32, bytes.len() as u32];
        let head: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).collect();
        block(6, &[head.as_slice(), bytes].concat());
    }
    file
}

/// A pcap.
pub fn pcap(link: u32, packets: &[Timed]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    file.extend(link.to_le_bytes());
    for (micros, bytes) in packets {
        let length = bytes.len() as u32;
        let words = [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, length, length];
        words.iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(bytes);
    }
    file
}
