//! The bytes of capture files, little endian: a pcap for one interface, a pcapng for several.

/// The header of a pcap file in the byte order of this machine's readers: little endian.
pub(super) fn pcap_header(link_type: u32, snaplen: u32) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(snaplen.to_le_bytes());
    bytes.extend(link_type.to_le_bytes());
    bytes
}

/// A section and its interfaces (draft-ietf-opsawg-pcapng sections 4.1 and 4.2), little endian.
pub(super) fn pcapng_header(links: &[u32], names: &[String], snaplen: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let section = [0x1a2b_3c4d_u32.to_le_bytes(), [1, 0, 0, 0], [0xff; 4], [0xff; 4]].concat();
    block(&mut bytes, 0x0a0d_0d0a, &[&section]);
    for (link, name) in links.iter().zip(names) {
        let fixed = [(link & 0xffff).to_le_bytes(), snaplen.to_le_bytes()].concat();
        let length = (name.len() as u16).to_le_bytes();
        let option = [&[2, 0], &length[..], name.as_bytes(), &vec![0; padding(name.len())]].concat();
        block(&mut bytes, 1, &[&fixed, &option, &[0; 4]]);
    }
    bytes
}

/// A block of pcapng: type, length, content, padding, length again.
fn block(out: &mut Vec<u8>, kind: u32, parts: &[&[u8]]) {
    let content: usize = parts.iter().map(|part| part.len()).sum();
    let length = ((content + padding(content) + 12) as u32).to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(length);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.extend(&[0; 3][..padding(content)]);
    out.extend(length);
}

/// Bytes up to the next multiple of four.
fn padding(length: usize) -> usize {
    length.next_multiple_of(4) - length
}

/// An enhanced packet block (draft-ietf-opsawg-pcapng section 4.3): the number of the interface,
/// microseconds since 1970, the length on the wire, and what was captured of it.
pub(super) fn packet(out: &mut Vec<u8>, interface: u32, micros: u64, length: u32, bytes: &[u8]) {
    let captured = bytes.len() as u32;
    let words = [interface, (micros >> 32) as u32, micros as u32, captured, length];
    let mut head = [0; 20];
    for (place, word) in head.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
    block(out, 6, &[&head, bytes]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_interfaces_make_blocks_that_say_their_length_on_both_sides() {
        let names = ["eth0".to_owned(), "wg0".to_owned()];
        let mut file = pcapng_header(&[1, 101], &names, 2_048);
        packet(&mut file, 1, 7, 60, &[9; 31]);
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes"));
        let (mut at, mut kinds, mut links) = (0, Vec::new(), Vec::new());
        while at < file.len() {
            let length = word(at + 4) as usize;
            assert!(length.is_multiple_of(4) && word(at + length - 4) as usize == length, "at {at}");
            kinds.push(word(at));
            if word(at) == 1 {
                // The link type, then the name as option 2.
                links.push((word(at + 8), file[at + 16], file[at + 18]));
            }
            at += length;
        }
        assert_eq!(kinds, [0x0a0d_0d0a, 1, 1, 6]);
        assert_eq!(links, [(1, 2, 4), (101, 2, 3)]);
    }
}
